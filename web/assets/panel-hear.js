// Type and hear: text goes in, sound comes out.
import { byId, inSeconds } from './dom.js'
import { clearProblem, showProblem } from './errors.js'
import { ride } from './machine.js'
import { Player } from './player.js'
import { Problem } from './problem.js'
import { speak, speechRate } from './speech.js'

export class HearPanel {
  /** @param {import('./machine.js').Machine} machine */
  constructor(machine) {
    this.machine = machine
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
    if (this.busy || !byId('speech').reportValidity()) return
    this.busy = true
    clearProblem()
    byId('speech-play').setAttribute('aria-disabled', 'true')
    const canvas = byId('wave')
    canvas.setAttribute('aria-label', 'The wave of what was heard: nothing yet')
    const player = new Player(canvas, speechRate)
    try {
      this.#say('waiting', 'Getting a ticket.')
      const ticket = given ?? await this.machine.take('tts_websocket')
      this.#say('waiting', 'Waiting for the vendor to speak.')
      await ride(ticket, () => speak(ticket.grant, byId('speech-text').value, {
        watch: this.machine.exchange.watch,
        onAudio: (samples) => {
          player.play(samples)
          this.#say('playing', 'Playing.')
        },
      }))
      await player.heard()
      const heard = player.seconds ? `Heard ${inSeconds(player.seconds)} of sound.` : 'The vendor sent no sound.'
      canvas.setAttribute('aria-label', `The wave of what was heard: ${inSeconds(player.seconds)}`)
      this.#say('done', `${heard} The ticket is used.`)
    } catch (error) {
      player.stop()
      this.#say('failed', '')
      showProblem(byId('hear-problems'), Problem.from(error))
    } finally {
      byId('speech-play').removeAttribute('aria-disabled')
      this.busy = false
    }
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
