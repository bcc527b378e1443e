// Transcribe a file: a recording goes in, its text comes out.
import { byId } from './dom.js'
import { Problem } from './problem.js'
import { scribeRate, transcribe } from './ride.js'
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

  /** @param {File | undefined} file */
  run(file) {
    const say = (/** @type {string} */ text) => { byId('file-status').textContent = text }
    return this.turn.run(say, async (stop) => {
      byId('file-result').textContent = ''
      if (!file) throw new Problem('file_missing')
      say('Getting a ticket.')
      const { grant } = await this.machine.print('batch_scribe', stop)
      say(`Sending ${file.name}. A long recording takes its time.`)
      byId('file-result').textContent = await transcribe(grant, file, stop)
      say(`Done: ${file.name}. The ticket is used.`)
    })
  }
}
