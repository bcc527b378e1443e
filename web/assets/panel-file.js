// Transcribe a file: a recording goes in, its text comes out.
import { byId } from './dom.js'
import { ride } from './machine.js'
import { Problem, vendorProblem } from './problem.js'
import { scribeRate } from './scribe.js'
import { recording } from './sources.js'
import { Turn } from './turn.js'

export class FilePanel {
  /** @param {import('./machine.js').Machine} machine */
  constructor(machine) {
    this.machine = machine
    this.turn = new Turn([byId('file-send'), byId('file-sample')], byId('file-stop'), byId('file-problems'))
    byId('file-form').onsubmit = (/** @type {Event} */ event) => {
      event.preventDefault()
      this.run(byId('file-input').files[0])
    }
    byId('file-sample').onclick = () => this.run(recording(scribeRate))
  }

  /** @param {import('./tickets.js').Ticket} ticket */
  runWith(ticket) {
    byId('file').scrollIntoView({ block: 'nearest' })
    return this.run(byId('file-input').files[0] ?? recording(scribeRate), ticket)
  }

  /**
   * @param {File | undefined} file
   * @param {import('./tickets.js').Ticket} [given]
   */
  run(file, given) {
    const say = (/** @type {string} */ text) => { byId('file-status').textContent = text }
    return this.turn.run(say, async (stop) => {
      byId('file-result').textContent = ''
      if (!file) throw new Problem('file_missing')
      say('Getting a ticket.')
      const ticket = given ?? await this.machine.take('batch_scribe')
      stop.throwIfAborted()
      say(`Sending ${file.name}. A long recording takes its time.`)
      byId('file-result').textContent = await ride(ticket, () => transcribe(ticket.grant, file, this.machine.fetch, stop))
      say(`Done: ${file.name}. The ticket is used.`)
    })
  }
}

/**
 * @param {import('./machine.js').Grant} grant
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
