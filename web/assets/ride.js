// Redeeming a ticket by hand, where the SDK has no part: a recording, and a
// ticket that lies there, be it fresh or long used. What became of it is seen on
// the wire.
import { Problem, vendorProblem } from './problem.js'
import { recording } from './sources.js'

export const scribeRate = 16_000 // samples a second
export const scribeModel = 'scribe_v2_realtime'
export const speechModel = 'eleven_flash_v2_5'
export const voice = 'JBFqnCBsd6RMkjVDRZzb' // one of the vendor's ready-made voices

const patience = 15_000 // milliseconds

/**
 * Shows the vendor a ticket, once, and nothing more.
 * @param {import('./tickets.js').Ticket} ticket
 * @throws {Problem} where nobody could say whether it is taken
 */
export async function ride({ grant }) {
  try {
    if (grant.tokenType === 'batch_scribe') await transcribe(grant, recording(scribeRate), AbortSignal.timeout(patience))
    else await firstWord(grant)
  } catch (error) {
    const problem = Problem.from(error)
    if (problem.code !== 'auth_error') throw problem // that is a word about the ticket
  }
}

/**
 * Opens a socket and waits for the vendor's first word: an open socket is not
 * yet an accepted one.
 * @param {import('./tickets.js').Grant} grant
 */
async function firstWord({ token, tokenType, websocketBaseUrl, tokenParameter }) {
  const isSpeech = tokenType === 'tts_websocket'
  const url = new URL(websocketBaseUrl + (isSpeech ? `/v1/text-to-speech/${voice}/stream-input?model_id=${speechModel}` : `/v1/speech-to-text/realtime?model_id=${scribeModel}`))
  url.searchParams.set(tokenParameter, token)
  const socket = new WebSocket(url)
  const hangUp = () => socket.close()
  try {
    await new Promise((resolve, reject) => {
      setTimeout(() => reject(new Problem('socket_silent')), patience)
      socket.onopen = () => isSpeech && [' ', 'Once. ', ''].forEach((text) => socket.send(JSON.stringify({ text })))
      socket.onclose = ({ code }) => reject(new Problem(code === refusedUnsaid ? 'auth_error' : 'socket_closed'))
      socket.onmessage = ({ data }) => {
        const frame = JSON.parse(data)
        if (frame.error) reject(vendorProblem(frame.message_type ?? frame.error, { detail: frame.message ?? frame.error }))
        else resolve(frame)
      }
    })
  } finally {
    hangUp()
  }
}

/** What a refused ticket's socket is closed with where nothing is said (RFC 6455, 7.4.1). */
export const refusedUnsaid = 1008

/**
 * @param {import('./tickets.js').Grant} grant
 * @param {File} recording
 * @param {AbortSignal} signal ends it, with its reason
 * @returns {Promise<string>} the text
 * @throws {Problem} with code auth_error where the ticket is refused
 */
export async function transcribe({ baseUrl, token, tokenParameter }, recording, signal) {
  const form = new FormData()
  form.append(tokenParameter, token)
  form.append('model_id', 'scribe_v1')
  form.append('file', recording, recording.name)
  let response
  try {
    response = await fetch(`${baseUrl}/v1/speech-to-text`, { method: 'POST', body: form, credentials: 'omit', signal })
  } catch (error) {
    throw Problem.from(error, error instanceof TypeError ? 'socket_closed' : 'socket_silent')
  }
  const body = await response.json().catch(() => ({}))
  if (response.ok && typeof body.text === 'string') return body.text
  throw transcribeProblem(response.status, body)
}

/**
 * @param {number} status
 * @param {any} body the vendor's, whose words come in several shapes
 * @returns {Problem}
 */
export function transcribeProblem(status, body) {
  const detail = body?.detail
  const said = typeof detail === 'string' ? detail
    : Array.isArray(detail) ? detail.map((entry) => entry?.msg ?? '').join('; ')
      : detail?.message
  return vendorProblem(detail?.status ?? detail?.code, { status, detail: said })
}
