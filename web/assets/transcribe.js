// Transcribing a file: one request, one ticket.
import { Problem } from './problem.js'
import { vendorProblem } from './vendor.js'

/**
 * @param {import('./token.js').Grant} grant
 * @param {File} recording
 * @param {typeof fetch} fetcher
 * @param {AbortSignal} [signal] ends it, with its reason
 * @returns {Promise<string>} the text
 * @throws {Problem} with code auth_error where the ticket is refused
 */
export async function transcribe(grant, recording, fetcher, signal) {
  const form = new FormData()
  form.append(grant.tokenParameter, grant.token)
  form.append('model_id', 'scribe_v1')
  form.append('file', recording, recording.name)
  const response = await fetcher(`${grant.baseUrl}/v1/speech-to-text`, { method: 'POST', body: form, credentials: 'omit', signal })
    .catch((problem) => { throw problem.code === 'network' ? new Problem('socket_closed', problem) : problem })
  const body = await response.json().catch(() => ({}))
  if (response.ok && typeof body.text === 'string') return body.text
  throw vendorProblem(body.detail?.status ?? body.detail?.code, { status: response.status, detail: saidBy(body) })
}

/**
 * The vendor's words, which come in several shapes.
 * @param {any} body
 * @returns {string}
 */
function saidBy({ detail }) {
  if (typeof detail === 'string') return detail
  if (Array.isArray(detail)) return detail.map((entry) => entry?.msg ?? '').join('; ')
  return detail?.message ?? ''
}
