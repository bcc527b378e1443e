// Text to speech: one socket, one ticket, one text.
import { Problem, vendorProblem } from './problem.js'
import { openSocket, redeemingUrl, verdict } from './socket.js'
import { fromBase64 } from '../sdk/audio/pcm.js'

export const speechRate = 24000 // samples a second

const voice = 'JBFqnCBsd6RMkjVDRZzb' // one of the vendor's ready-made voices
const policyViolation = 1008 // RFC 6455, 7.4.1; without a word, a refused ticket
const silence = 30_000 // milliseconds

/**
 * Has text spoken. The first sound tells that the ticket was accepted.
 * @param {import('./machine.js').Grant} grant
 * @param {string} text
 * @param {{watch: import('./socket.js').Watch, onAudio: (samples: Int16Array) => void, signal?: AbortSignal}} options
 *   signal ends it, with its reason
 * @returns {Promise<void>} done when the last sound has come
 * @throws {Problem} with code auth_error where the ticket is refused
 */
export async function speak(grant, text, { watch, onAudio, signal }) {
  const url = redeemingUrl(grant, `/v1/text-to-speech/${voice}/stream-input`, {
    model_id: 'eleven_flash_v2_5', output_format: `pcm_${speechRate}`,
  })
  /** @type {Problem | null} */
  let trouble = null
  let isAccepted = false
  const end = verdict(silence)
  signal?.addEventListener('abort', () => end.reject(signal.reason))
  const socket = openSocket(url, watch, {
    onOpen(send) {
      send({ text: ' ', voice_settings: { stability: 0.5, similarity_boost: 0.8 } })
      send({ text: `${text.trim()} `, try_trigger_generation: true })
      send({ text: '' })
    },
    onFrame(frame) {
      end.wait()
      if (frame.error || frame.code) {
        trouble = vendorProblem(frame.error, { detail: frame.message ?? frame.error })
        return
      }
      isAccepted = true
      if (frame.audio) onAudio(fromBase64(frame.audio))
      if (frame.isFinal) end.resolve()
    },
    onEnd(code) {
      end.reject(trouble ?? new Problem(code === policyViolation && !isAccepted ? 'auth_error' : 'socket_closed'))
    },
  })
  try {
    await end.promise
  } finally {
    socket.close()
  }
}
