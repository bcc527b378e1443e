// Speak: sound goes in, a transcript grows.
import { byId, make } from './dom.js'
import { ride } from './machine.js'
import { level } from '../sdk/audio/pcm.js'
import { connectScribe, scribeRate } from './scribe.js'
import { microphone, recorded } from './sources.js'
import { Turn } from './turn.js'

const loud = -45 // dBFS; quieter is a pause
const pauseChunks = 8 // tenths of a second of quiet that end a passage

export class SpeakPanel {
  /** @param {import('./machine.js').Machine} machine */
  constructor(machine) {
    this.machine = machine
    this.turn = new Turn([byId('speak-mic'), byId('speak-sample')], byId('speak-stop'), byId('speak-problems'))
    byId('speak-mic').onclick = () => this.run(() => microphone(scribeRate), true)
    byId('speak-sample').onclick = () => this.run(async () => recorded(scribeRate), false)
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
  run(open, endless, given) {
    return this.turn.run((text) => this.#say(text), async (stop) => {
      byId('committed').replaceChildren()
      byId('partial').textContent = ''
      this.#say(endless ? 'Asking for the microphone.' : 'Getting a ticket.')
      const source = await open()
      try {
        const ticket = given ?? await this.machine.take('realtime_scribe')
        stop.throwIfAborted()
        await ride(ticket, () => this.#listen(ticket, source, endless, stop))
        this.#say('Done. The ticket is used.')
      } finally {
        source.stop()
        this.#showLevel(-60)
      }
    })
  }

  /**
   * @param {import('./tickets.js').Ticket} ticket
   * @param {import('./sources.js').Source} source
   * @param {boolean} endless
   * @param {AbortSignal} stop
   */
  async #listen(ticket, source, endless, stop) {
    this.#say('Waiting for the vendor to take the ticket.')
    /** @type {(problem: import('./problem.js').Problem | null) => void} */
    let ended = () => {}
    const end = new Promise((resolve) => { ended = resolve })
    const scribe = await connectScribe(ticket.grant, {
      watch: this.machine.exchange.watch(ticket),
      onPartial: (text) => { byId('partial').textContent = text },
      onCommitted: (text) => {
        byId('partial').textContent = ''
        byId('committed').append(make('p', {}, text))
      },
      onEnd: ended,
    })
    this.#say(endless ? 'Listening. Speak, then press Stop.' : 'Playing the sample.')
    let isOver = false
    const finish = () => {
      if (isOver) return
      isOver = true
      source.stop()
      this.#say('Waiting for the last words.')
      scribe.finish()
    }
    const pause = pauses(endless ? scribe.commit : () => {})
    source.start((samples) => {
      scribe.send(samples)
      const now = level(samples)
      pause(now)
      this.#showLevel(now)
    }, finish)
    stop.addEventListener('abort', finish)
    if (stop.aborted) finish()
    const problem = await end
    if (problem) throw problem
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
