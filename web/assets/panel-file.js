// Transcribe a file: a recording goes in, its text comes out.
import { byId } from './dom.js'
import { clearProblem, showProblem } from './errors.js'
import { ride } from './machine.js'
import { wav } from './pcm.js'
import { Problem } from './problem.js'
import { sample } from './sample.js'
import { scribeRate } from './scribe.js'
import { transcribe } from './transcribe.js'
import { Turn } from './turn.js'

export class FilePanel {
  /** @param {import('./machine.js').Machine} machine */
  constructor(machine) {
    this.machine = machine
    this.turn = new Turn([byId('file-send'), byId('file-sample')], byId('file-stop'))
    byId('file-form').onsubmit = (/** @type {Event} */ event) => {
      event.preventDefault()
      this.run(byId('file-input').files[0])
    }
    byId('file-sample').onclick = () => this.run(recording())
  }

  /** @param {import('./tickets.js').Ticket} ticket */
  runWith(ticket) {
    byId('file').scrollIntoView({ block: 'nearest' })
    return this.run(byId('file-input').files[0] ?? recording(), ticket)
  }

  /**
   * @param {File | undefined} file
   * @param {import('./tickets.js').Ticket} [given]
   */
  async run(file, given) {
    if (this.turn.busy) return
    clearProblem()
    const stop = this.turn.begin()
    const status = byId('file-status')
    byId('file-result').textContent = ''
    try {
      if (!file) throw new Problem('file_missing')
      status.textContent = 'Getting a ticket.'
      const ticket = given ?? await this.machine.take('batch_scribe')
      stop.throwIfAborted()
      status.textContent = `Sending ${file.name}. A long recording takes its time.`
      byId('file-result').textContent = await ride(ticket, () => transcribe(ticket.grant, file, this.machine.fetch, stop))
      status.textContent = `Done: ${file.name}. The ticket is used.`
    } catch (error) {
      const problem = Problem.from(error)
      status.textContent = problem.code === 'stopped' ? 'Stopped.' : ''
      if (problem.code !== 'stopped') showProblem(byId('file-problems'), problem)
    } finally {
      this.turn.end()
    }
  }
}

/** @returns {File} the sample, as a recording */
export const recording = () => new File([wav(sample(scribeRate), scribeRate)], 'sample.wav', { type: 'audio/wav' })
