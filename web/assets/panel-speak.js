// Speak: sound goes in, a transcript grows.
import { byId, make } from './dom.js'
import { clearProblem, showProblem } from './errors.js'
import { ride } from './machine.js'
import { level } from './pcm.js'
import { Problem } from './problem.js'
import { connectScribe, scribeRate } from './scribe.js'
import { microphone, recorded } from './sources.js'

const loud = -45 // dBFS; quieter is a pause
const pauseChunks = 8 // tenths of a second of quiet that end a passage

export class SpeakPanel {
  /** @param {import('./machine.js').Machine} machine */
  constructor(machine) {
    this.machine = machine
    /** @type {() => void} */
    this.stop = () => {}
    byId('speak-mic').onclick = () => this.run(() => microphone(scribeRate), true)
    byId('speak-sample').onclick = () => this.run(async () => recorded(scribeRate), false)
    byId('speak-stop').onclick = () => this.stop()
  }

  /** @param {import('./tickets.js').Ticket} ticket */
  runWith(ticket) {
    byId('speak').scrollIntoView({ block: 'nearest' })
    return this.run(async () => recorded(scribeRate), false, ticket)
  }

  /**
   * @param {() => Promise<import('./sources.js').Source>} open
   * @param {boolean} endless whether only the visitor ends it
   * @param {import('./tickets.js').Ticket} [given]
   */
  async run(open, endless, given) {
    if (this.busy) return
    clearProblem()
    this.#setBusy(true)
    byId('committed').replaceChildren()
    byId('partial').textContent = ''
    /** @type {import('./sources.js').Source | undefined} */
    let source
    try {
      this.#say(endless ? 'Asking for the microphone.' : 'Getting a ticket.')
      const opened = source = await open()
      const ticket = given ?? await this.machine.take('realtime_scribe')
      await ride(ticket, () => this.#listen(ticket.grant, opened, endless))
      this.#say('Done. The ticket is used.')
    } catch (error) {
      this.#say('')
      showProblem(byId('speak-problems'), Problem.from(error))
    } finally {
      source?.stop()
      this.#showLevel(-60)
      this.#setBusy(false)
    }
  }

  /**
   * @param {import('./token.js').Grant} grant
   * @param {import('./sources.js').Source} source
   * @param {boolean} endless
   */
  async #listen(grant, source, endless) {
    this.#say('Waiting for the vendor to take the ticket.')
    /** @type {(problem: Problem | null) => void} */
    let ended = () => {}
    const end = new Promise((resolve) => { ended = resolve })
    const scribe = await connectScribe(grant, {
      watch: this.machine.exchange.watch,
      onPartial: (text) => { byId('partial').textContent = text },
      onCommitted: (text) => {
        byId('partial').textContent = ''
        byId('committed').append(make('p', {}, text))
      },
      onEnd: ended,
    })
    this.#say(endless ? 'Listening. Speak, then press Stop.' : 'Playing the sample.')
    const finish = () => {
      this.stop = () => {}
      source.stop()
      byId('speak-stop').disabled = true
      this.#say('Waiting for the last words.')
      scribe.finish()
    }
    this.stop = finish
    const pause = pauses(endless ? scribe.commit : () => {})
    source.start((samples) => {
      scribe.send(samples)
      const now = level(samples)
      pause(now)
      this.#showLevel(now)
    }, finish)
    const problem = await end
    if (problem) throw problem
  }

  /** @param {boolean} busy */
  #setBusy(busy) {
    this.busy = busy
    // A button that is disabled takes the focus with it.
    const focused = /** @type {HTMLElement | null} */ (document.activeElement)
    const hadFocus = byId('speak').contains(focused)
    if (busy) this.pressed = focused
    byId('speak-stop').disabled = !busy
    byId('speak-mic').disabled = byId('speak-sample').disabled = busy
    if (hadFocus) (busy ? byId('speak-stop') : this.pressed).focus()
    this.stop = () => {}
  }

  /** @param {string} text */
  #say(text) { byId('speak-status').textContent = text }

  /** @param {number} decibel */
  #showLevel(decibel) {
    const meter = byId('meter')
    meter.firstElementChild.style.setProperty('--level', String((decibel + 60) / 60))
    meter.setAttribute('aria-valuenow', decibel.toFixed(0))
    meter.setAttribute('aria-valuetext', decibel > loud ? `${decibel.toFixed(0)} decibels` : 'silent')
  }
}

/**
 * @param {() => void} onPause called when something was said and then nothing
 * @returns {(decibel: number) => void} takes the level of each chunk
 */
function pauses(onPause) {
  let said = 0
  let quiet = 0
  return (decibel) => {
    if (decibel > loud) {
      said++
      quiet = 0
    } else if (++quiet === pauseChunks && said > 3) {
      said = 0
      onPause()
    }
  }
}
