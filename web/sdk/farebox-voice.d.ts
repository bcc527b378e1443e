import type { FareboxError, FareboxErrorCode, FareboxOptions } from './farebox.js'

/** What it is doing. One turn of speaking or hearing is under way at a time. */
export type FareboxVoiceState = 'idle' | 'starting' | 'connecting' | 'listening' | 'speaking' | 'reconnecting' | 'stopping'

/** A FareboxError's code, or what is wrong with the microphone. */
export type FareboxVoiceErrorCode = FareboxErrorCode | 'microphone_refused' | 'microphone_missing' | 'microphone_needs_https'

export type FareboxVoiceError = Omit<FareboxError, 'code'> & { readonly code: FareboxVoiceErrorCode }

/** All that it says: controls, names for screen readers, states, and errors by code or by kind. */
export interface FareboxVoiceLabels {
  speak: string, hear: string, stop: string
  name: string, text: string, level: string, transcript: string, wave: string
  idle: string, starting: string, connecting: string, listening: string, speaking: string, reconnecting: string, stopping: string
  /** Why a form cannot be sent. */
  required: string
  /** Kinds of errors; failed is any other. */
  session: string, denied: string, busy: string, network: string, failed: string
  quota_exhausted: string, microphone_refused: string, microphone_missing: string, microphone_needs_https: string
  [code: string]: string
}

/** They bubble and are composed. */
export interface FareboxVoiceEventMap {
  /** A passage that is committed. */
  transcript: CustomEvent<{ text: string }>
  /** What the passage is so far. */
  partial: CustomEvent<{ text: string }>
  state: CustomEvent<{ state: FareboxVoiceState }>
  /** Why a turn ended, where it did not do so in order. */
  error: CustomEvent<FareboxVoiceError>
}

/**
 * The element <farebox-voice>. No token is asked for before start() or hear(),
 * or a press of its buttons. Removed from the document it ends at once; moved
 * within it, it goes on.
 */
export class FareboxVoice extends HTMLElement {
  /** Where farebox answers, a path prefix included; by default where this module was loaded from. */
  baseUrl: string
  /** Gives the session JWT, as for createFarebox. */
  getSession: FareboxOptions['getSession']
  /** 'include' sends the session cookie across origins. */
  credentials: RequestCredentials | ''
  /** 'speak' transcribes, 'hear' says what is typed; 'both' is usual. */
  mode: 'speak' | 'hear' | 'both' | ''
  /** Of transcription. */
  modelId: string
  /** Of speech. */
  speechModelId: string
  voiceId: string
  /** The language's code for both, where it is known. */
  language: string
  /** Takes the words that are given, and the English ones for the others. */
  get labels(): FareboxVoiceLabels
  set labels(words: Partial<FareboxVoiceLabels>)

  readonly state: FareboxVoiceState
  /** The transcript: the passages, a line each. It is the form's value. */
  value: string

  /**
   * Listens to the microphone, or with mode 'hear' says what is typed. Does
   * nothing while a turn is under way. Resolves when the turn has ended, and
   * never rejects: errors are events.
   */
  start(): Promise<void>
  /** Says a text, by default what is typed. Else like start(). */
  hear(text?: string): Promise<void>
  /** Ends the turn, after the last words; called again, at once. Resolves when it has ended. */
  stop(): Promise<void>

  name: string
  disabled: boolean
  /** Whether a form needs a transcript. */
  required: boolean
  readonly form: HTMLFormElement | null
  readonly validity: ValidityState
  readonly validationMessage: string
  checkValidity(): boolean
  reportValidity(): boolean

  addEventListener<Name extends keyof FareboxVoiceEventMap>(type: Name, listener: (this: FareboxVoice, event: FareboxVoiceEventMap[Name]) => unknown, options?: boolean | AddEventListenerOptions): void
  addEventListener(type: string, listener: EventListenerOrEventListenerObject, options?: boolean | AddEventListenerOptions): void
  removeEventListener<Name extends keyof FareboxVoiceEventMap>(type: Name, listener: (this: FareboxVoice, event: FareboxVoiceEventMap[Name]) => unknown, options?: boolean | EventListenerOptions): void
  removeEventListener(type: string, listener: EventListenerOrEventListenerObject, options?: boolean | EventListenerOptions): void
}

declare global {
  interface HTMLElementTagNameMap {
    'farebox-voice': FareboxVoice
  }
}
