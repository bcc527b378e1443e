// Type and hear: text goes in, sound comes out.
import { byId, inSeconds } from './dom.js'
import { ride } from './machine.js'
import { Player } from '../sdk/audio/player.js'
import { speak, speechRate } from './speech.js'
import { Turn } from './turn.js'

export class HearPanel {
  /** @param {import('./machine.js').Machine} machine */
  constructor(machine) {
    this.machine = machine
    this.turn = new Turn([byId('speech-play')], byId('speech-stop'), byId('hear-problems'))
    byId('speech').onsubmit = (/** @type {Event} */ event) => {
      event.preventDefault()
      this.run()
    }
  }

  /** @param {import('./tickets.js').Ticket} ticket */
  runWith(ticket) {
    byId('hear').scrollIntoView({ block: 'nearest' })
    return this.run(ticket)
  }

  /** @param {import('./tickets.js').Ticket} [given] */
  async run(given) {
    if (this.turn.busy || !byId('speech').reportValidity()) return
    const canvas = byId('wave')
    const player = new Player(canvas, speechRate)
    canvas.setAttribute('aria-label', 'The wave of what came: nothing yet')
    await this.turn.run((text) => this.#say('failed', text), async (stop) => {
      stop.addEventListener('abort', () => player.stop())
      this.#say('waiting', 'Getting a ticket.')
      const ticket = given ?? await this.machine.take('tts_websocket')
      stop.throwIfAborted()
      this.#say('waiting', 'Waiting for the vendor to speak.')
      await ride(ticket, () => speak(ticket.grant, byId('speech-text').value, {
        watch: this.machine.exchange.watch(ticket),
        onAudio: (samples) => {
          player.play(samples)
          this.#say('playing', 'Playing.')
        },
        signal: stop,
      }))
      const heard = await player.heard()
      stop.throwIfAborted()
      const length = `${inSeconds(player.seconds)} of sound`
      canvas.setAttribute('aria-label', `The wave of what came: ${length}`)
      this.#say('done', `${heard ? `Heard ${length}.` : player.seconds ? `Got ${length}, which this browser did not play.` : 'The vendor sent no sound.'} The ticket is used.`)
    })
    player.stop()
  }

  /**
   * @param {string} state
   * @param {string} text
   */
  #say(state, text) {
    const status = byId('speech-status')
    status.dataset.state = state
    if (status.textContent !== text) status.textContent = text
  }
}
