// Transcribe a file: a recording goes in, its text comes out.
import { byId } from './dom.js'
import { clearProblem, showProblem } from './errors.js'
import { ride } from './machine.js'
import { wav } from './pcm.js'
import { Problem } from './problem.js'
import { sample } from './sample.js'
import { scribeRate } from './scribe.js'
import { transcribe } from './transcribe.js'

export class FilePanel {
  /** @param {import('./machine.js').Machine} machine */
  constructor(machine) {
    this.machine = machine
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
    if (this.busy) return
    this.busy = true
    clearProblem()
    byId('file-result').textContent = ''
    const status = byId('file-status')
    try {
      if (!file) throw new Problem('file_missing')
      status.textContent = 'Getting a ticket.'
      const ticket = given ?? await this.machine.take('batch_scribe')
      status.textContent = `Sending ${file.name}.`
      byId('file-result').textContent = await ride(ticket, () => transcribe(ticket.grant, file, file.name, this.machine.fetch))
      status.textContent = `Done: ${file.name}. The ticket is used.`
    } catch (error) {
      status.textContent = ''
      showProblem(byId('file-problems'), Problem.from(error))
    } finally {
      this.busy = false
    }
  }
}

/** @returns {File} the sample, as a recording */
export const recording = () => new File([wav(sample(scribeRate), scribeRate)], 'sample.wav', { type: 'audio/wav' })
