// Live transcription: one socket, one ticket.
import { Problem, vendorProblem } from './problem.js'
import { openSocket, redeemingUrl, verdict } from './socket.js'
import { base64 } from '../sdk/audio/pcm.js'

export const scribeRate = 16000 // samples a second

/**
 * @typedef {object} Scribe an accepted connection
 * @property {(samples: Int16Array) => void} send takes mono samples at scribeRate
 * @property {() => void} commit ends a passage
 * @property {() => Promise<void>} finish commits, waits for the last transcript, closes
 * @property {() => void} close
 */

/**
 * Connects and waits until the vendor has accepted the ticket.
 * @param {import('./machine.js').Grant} grant
 * @param {{watch: import('./socket.js').Watch, onPartial: (text: string) => void, onCommitted: (text: string) => void, onEnd: (problem: Problem | null) => void}} options
 *   onEnd is called once, for an accepted connection alone
 * @returns {Promise<Scribe>}
 * @throws {Problem} with code auth_error where the ticket is refused
 */
export async function connectScribe(grant, { watch, onPartial, onCommitted, onEnd }) {
  const url = redeemingUrl(grant, '/v1/speech-to-text/realtime', {
    model_id: 'scribe_v2_realtime', audio_format: `pcm_${scribeRate}`, commit_strategy: 'manual',
  })
  /** @type {Problem | null} */
  let trouble = null
  let accepted = false
  let pending = 0 // samples sent since the last commit
  /** @type {ReturnType<typeof verdict> | null} */
  let last = null
  const acceptance = verdict()

  const socket = openSocket(url, watch, {
    onFrame(frame) {
      switch (frame.message_type) {
        case 'session_started':
          accepted = true
          acceptance.resolve()
          break
        case 'partial_transcript':
          onPartial(String(frame.text ?? ''))
          break
        case 'committed_transcript':
        case 'committed_transcript_with_timestamps':
          onCommitted(String(frame.text ?? ''))
          last?.resolve()
          break
        default:
          if (typeof frame.error === 'string') {
            trouble = vendorProblem(frame.message_type, { detail: frame.error })
            acceptance.reject(trouble)
            last?.resolve()
          }
      }
    },
    onEnd() {
      const wasAccepted = accepted
      acceptance.reject(trouble ?? new Problem('socket_closed'))
      const expected = last !== null
      last?.resolve()
      if (wasAccepted) onEnd(trouble ?? (expected ? null : new Problem('socket_closed')))
    },
  })

  try {
    await acceptance.promise
  } catch (error) {
    socket.close()
    throw error
  }
  const chunk = (/** @type {string} */ audio, /** @type {boolean} */ commit) =>
    socket.send({ message_type: 'input_audio_chunk', audio_base_64: audio, commit, sample_rate: scribeRate })
  const commit = () => {
    if (pending) chunk('', true)
    pending = 0
  }
  return {
    send(samples) {
      pending += samples.length
      chunk(base64(samples), false)
    },
    commit,
    async finish() {
      const waits = pending > 0
      last = verdict(5000)
      commit()
      if (waits) await last.promise.catch(() => { trouble ??= new Problem('socket_silent') })
      else last.resolve()
      socket.close()
    },
    close: () => socket.close(),
  }
}
