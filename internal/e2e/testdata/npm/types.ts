// Compiled and never run: what the types of the SDK promise, and what they refuse.
import { Scribe, AudioFormat } from '@elevenlabs/client'
import { createFarebox, FareboxError, type Token } from '@farebox/sdk'
import { FareboxVoice } from '@farebox/sdk/voice'

const farebox = createFarebox({ baseUrl: 'https://voice.example.com', getSession: async ({ renew }) => renew ? 'new' : 'jwt' })
createFarebox({ baseUrl: '/voice', credentials: 'include', timeout: 5000 })

export async function token(signal: AbortSignal): Promise<Token> {
  const { token, tokenType, expiresAt, baseUrl, websocketBaseUrl, tokenParameter } =
    await farebox.token('realtime_scribe', { signal, idempotencyKey: 'attempt-1' })
  expiresAt.getTime() satisfies number
  const parameter: 'token' | 'single_use_token' = tokenParameter
  return { token, tokenType, expiresAt, expiresIn: 1, baseUrl, websocketBaseUrl, tokenParameter: parameter }
}

export async function agents(): Promise<string[]> {
  const { signedUrl } = await farebox.signedUrl('agent_1')
  const { token: conversationToken, conversationId } = await farebox.conversationToken('agent_1', {})
  return [signedUrl, conversationToken, conversationId ?? '']
}

export function wait(error: unknown): number {
  if (!(error instanceof FareboxError)) return 0
  switch (error.code) {
    case 'rate_limited': return error.retryAfter
    case 'session_revoked': case 'network': case 'timeout': case 'aborted': return error.status
    // @ts-expect-error there is no such code
    case 'rate_limit': return 1
    default: return 0
  }
}

export async function live(): Promise<void> {
  const scribe = farebox.connectScribe({ modelId: 'scribe_v2_realtime', audioFormat: 'pcm_16000', sampleRate: 16000 })
  scribe.on('partial_transcript', ({ text }) => text.trim())
  scribe.on('reconnecting', (error) => error.code)
  scribe.on('ended', (error) => error?.cause)
  scribe.on('commit_throttled', ({ error }) => error)
  scribe.send({ audioBase64: '', commit: true })
  await scribe.ready
  scribe.close()

  farebox.connectScribe({
    modelId: 'scribe_v2_realtime', audioFormat: AudioFormat.PCM_16000, sampleRate: 16000,
    connect: (options) => Scribe.connect(options),
  })

  const speech = farebox.connectSpeech({ voiceId: 'v', voiceSettings: { stability: 0.5, similarityBoost: 0.8 }, outputFormat: 'pcm_24000' })
  speech.on('audio', ({ audio, isFinal }) => isFinal ? '' : audio?.length)
  speech.send({ text: 'Hello ', flush: true })
  // @ts-expect-error speech takes text
  speech.send({ audioBase64: '' })
  await farebox.prefetch('tts_websocket')
  // @ts-expect-error there is no such type
  await farebox.token('speech')
  // @ts-expect-error a voice is needed
  farebox.connectSpeech({ modelId: 'm' })
  // @ts-expect-error a model is needed
  farebox.connectScribe({ languageCode: 'en' })
}

export async function element(): Promise<string> {
  const voice = document.createElement('farebox-voice')
  voice satisfies FareboxVoice
  voice.getSession = async ({ renew }) => renew ? 'new' : 'jwt'
  voice.mode = 'speak'
  voice.labels = { speak: 'Sprechen', rate_limited: 'Zu oft.' }
  voice.addEventListener('transcript', ({ detail }) => detail.text.trim())
  voice.addEventListener('state', ({ detail }) => detail.state === 'listening')
  voice.addEventListener('error', ({ detail }) => detail.code === 'microphone_refused' ? detail.message : detail.retryAfter)
  document.querySelector('farebox-voice')?.hear('Hello.')
  // @ts-expect-error there is no such mode
  voice.mode = 'sing'
  // @ts-expect-error it is told, not set
  voice.state = 'idle'
  await voice.start()
  await voice.stop()
  return voice.value
}
