/** The kinds of single-use tokens. */
export type TokenType = 'realtime_scribe' | 'batch_scribe' | 'tts_websocket'

/** What went wrong, from a closed set. */
export type FareboxErrorCode =
  | 'invalid_request'
  | 'session_missing' | 'session_invalid' | 'session_expired' | 'session_revoked'
  | 'token_type_not_allowed' | 'agent_not_allowed' | 'origin_not_allowed'
  | 'unknown_token_type' | 'not_found' | 'method_not_allowed'
  | 'request_in_progress' | 'idempotency_key_reused' | 'request_too_large'
  | 'rate_limited' | 'quota_exhausted'
  | 'internal_error' | 'vendor_error'
  | 'vendor_unavailable' | 'vendor_refused' | 'session_keys_unavailable' | 'overloaded'
  /** No answer, or none of farebox's; a page whose origin is not allowed sees this too. */
  | 'network'
  /** No answer in time. */
  | 'timeout'
  /** Given up by the caller: the signal, or close(). */
  | 'aborted'

/** What every failed call rejects with. */
export class FareboxError extends Error {
  constructor(fields: Partial<Omit<FareboxError, 'cause'>> & { code: FareboxErrorCode, detail?: string }, cause?: unknown)
  readonly name: 'FareboxError'
  readonly code: FareboxErrorCode
  /** The HTTP status, 0 where there was no answer. */
  readonly status: number
  /** In seconds, 0 where nothing was said. */
  readonly retryAfter: number
  /** For the operators of the service. */
  readonly requestId?: string
  /** What lies beneath: the signal's reason, what getSession threw, the vendor's error frame. */
  readonly cause?: unknown
}

export interface FareboxOptions {
  /** Where farebox answers, a path prefix included; by default the page's own origin. */
  baseUrl?: string
  /**
   * Gives the session JWT, or nothing for none. It is asked for each try, so
   * keep the JWT yourself. With renew, the one that it gave before has expired
   * and it must get another; calls under way share that renewal. If it throws,
   * the call fails with session_missing, or with network for a TypeError, which
   * is what fetch throws.
   */
  getSession?: (options: { renew: boolean }) => string | null | undefined | Promise<string | null | undefined>
  /** 'include' sends the session cookie across origins. */
  credentials?: RequestCredentials
  /** Milliseconds after which a call has ended, its retries included; 30 000 by default. */
  timeout?: number
}

export interface RequestOptions {
  /** Ends the call at once, also while it pauses. */
  signal?: AbortSignal
  /** Names the wanted token; by default each call makes its own. It is kept over retries. */
  idempotencyKey?: string
}

/** A token, and what redeeming it takes. It works once. */
export interface Token {
  token: string
  tokenType: TokenType
  /** By this machine's clock. */
  expiresAt: Date
  /** Seconds, when it was answered. */
  expiresIn: number
  baseUrl: string
  websocketBaseUrl: string
  /** The query parameter or form field that takes the token. */
  tokenParameter: 'token' | 'single_use_token'
}

export interface SignedUrl {
  signedUrl: string
  expiresAt: Date
  expiresIn: number
}

export interface ConversationToken {
  token: string
  conversationId?: string
}

export interface Farebox {
  /** Gets a token, which no other call gets. */
  token(type: TokenType, options?: RequestOptions): Promise<Token>
  /**
   * Gets a token ahead and keeps it for the next token() or connection of this
   * type without an idempotencyKey, until half a minute before it expires. It
   * keeps one of a type, and never rejects. The token is the present session's:
   * make a new Farebox for another user.
   */
  prefetch(type: TokenType): Promise<void>
  /** The single-use address of a conversation with an agent. */
  signedUrl(agentId: string, options?: RequestOptions): Promise<SignedUrl>
  /** The token of a WebRTC conversation with an agent. */
  conversationToken(agentId: string, options?: RequestOptions): Promise<ConversationToken>
  /** Transcribes live. Nothing is asked for before the calling code has returned. */
  connectScribe<C extends VendorConnection = VendorConnection>(options: ScribeOptions<C>): Connection<ScribeEvents, ScribeFrame>
  /** Speaks live. Nothing is asked for before the calling code has returned. */
  connectSpeech(options: SpeechOptions): Connection<SpeechEvents, SpeechFrame>
}

export function createFarebox(options: FareboxOptions): Farebox

/**
 * A connection that takes a new token and socket where one was dropped: at most
 * five times in a row, with growing pauses, and not for errors that a new token
 * cannot cure.
 */
export interface Connection<Events extends ConnectionEvents, Frame> {
  /** Resolves once the vendor has accepted a token, with its first message; rejects where it ends before. */
  readonly ready: Promise<unknown>
  /** Listens until the connection has ended. */
  on<Name extends keyof Events>(name: Name, listener: (detail: Events[Name]) => void): void
  on(name: string, listener: (detail: any) => void): void
  /** Sends, or keeps the last 500 frames until a socket is accepted. */
  send(frame: Frame): void
  /** Ends it, whatever it was doing. */
  close(): void
}

export interface ConnectionEvents {
  /** The vendor accepted a token: the first time, and after each drop. */
  accepted: Record<string, any>
  /** A socket was lost or refused, and another is on its way. */
  reconnecting: FareboxError
  /** It is over, once: with null where the vendor ended it in order, aborted after close(), else with why. */
  ended: FareboxError | null
}

/** Query parameters of the vendor's, in camelCase. */
type Parameter = string | number | boolean | readonly (string | number)[] | undefined

interface ScribeParameters {
  modelId: string
  audioFormat?: string
  sampleRate?: number
  commitStrategy?: 'manual' | 'vad'
  languageCode?: string
  includeTimestamps?: boolean
  vadSilenceThresholdSecs?: number
  vadThreshold?: number
  minSpeechDurationMs?: number
  minSilenceDurationMs?: number
  keyterms?: string[]
}

/** What connect gets for the vendor's client: the parameters, token and baseUri. */
export type ConnectOptions = any

/** What is used of the vendor's RealtimeConnection. */
export interface VendorConnection {
  on(name: any, listener: (detail: any) => void): void
  send(frame: any): void
  close(): void
}

export type ScribeOptions<C extends VendorConnection = VendorConnection> = ScribeParameters & {
  /**
   * Opens a socket with the vendor's own client, such as
   * (options) => Scribe.connect(options), where a plain WebSocket is not wanted.
   * The vendor's events then come by on(), too.
   */
  connect?: (options: ConnectOptions) => C | Promise<C>
  [parameter: string]: any
}

/** For both kinds of socket, as the vendor's client has it. */
export interface ScribeFrame {
  audioBase64: string
  commit?: boolean
  sampleRate?: number
  previousText?: string
}

/** An error of the vendor's. */
export interface VendorFailure {
  message_type?: string
  error: string
  message?: string
}

/** Further names are those of the vendor's messages and errors. */
export interface ScribeEvents extends ConnectionEvents {
  session_started: { session_id: string, config: Record<string, unknown> }
  partial_transcript: { text: string }
  committed_transcript: { text: string }
  committed_transcript_with_timestamps: { text: string, language_code?: string, words?: { text: string, start?: number, end?: number, type?: string }[] }
  auth_error: VendorFailure
  quota_exceeded: VendorFailure
  input_error: VendorFailure
}

export interface SpeechOptions {
  voiceId: string
  modelId?: string
  outputFormat?: string
  /** Seconds. */
  inactivityTimeout?: number
  autoMode?: boolean
  languageCode?: string
  voiceSettings?: { stability?: number, similarityBoost?: number, style?: number, speed?: number, useSpeakerBoost?: boolean }
  [parameter: string]: Parameter | object
}

/** The empty text ends the speech. The first frame of a socket, with the voice settings, is sent for you. */
export interface SpeechFrame {
  text: string
  tryTriggerGeneration?: boolean
  flush?: boolean
}

/**
 * The vendor says nothing before it has text, so that accepted comes with the
 * first sound. What was sent until then is sent again on a new socket; what a
 * drop cut off later is yours to send again, after reconnecting.
 */
export interface SpeechEvents extends ConnectionEvents {
  audio: { audio?: string | null, isFinal?: boolean | null, alignment?: object | null, normalizedAlignment?: object | null }
}
