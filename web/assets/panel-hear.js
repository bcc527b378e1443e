// Type and hear: text goes in, sound comes out.
import { byId, inSeconds } from './dom.js'
import { fromBase64 } from '../sdk/audio/pcm.js'
import { Player } from '../sdk/audio/player.js'
import { Problem, isAnswer } from './problem.js'
import { speechModel, voice } from './ride.js'
import { Turn } from './turn.js'

const speechRate = 24_000 // samples a second
const nothingYet = 'The wave of what came: nothing yet'

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

  async run() {
    if (this.turn.busy) return
    const canvas = byId('wave')
    const player = new Player(canvas, speechRate)
    canvas.setAttribute('aria-label', nothingYet)
    await this.turn.run((text) => this.#say('failed', text), async (stop) => {
      stop.addEventListener('abort', () => player.stop())
      this.#say('waiting', 'Getting a ticket.')
      await this.machine.own(() => this.#speak(byId('speech-text').value.trim(), player, stop))
      const heard = await player.heard()
      stop.throwIfAborted()
      const length = `${inSeconds(player.seconds)} of sound`
      canvas.setAttribute('aria-label', `The wave of what came: ${length}`)
      this.#say('done', `${heard ? `Heard ${length}.` : player.seconds ? `Got ${length}, which this browser did not play.` : 'The vendor sent no sound.'} The ticket is used.`)
    })
    player.stop()
  }

  /**
   * Resolves when the last sound has come.
   * @param {string} text
   * @param {Player} player
   * @param {AbortSignal} stop
   */
  async #speak(text, player, stop) {
    const speech = this.machine.farebox.connectSpeech({
      voiceId: voice, modelId: speechModel, outputFormat: `pcm_${speechRate}`, voiceSettings: { stability: 0.5, similarityBoost: 0.8 },
    })
    try {
      await new Promise((resolve, reject) => {
        stop.addEventListener('abort', () => reject(stop.reason))
        speech.on('audio', ({ audio, isFinal }) => {
          if (audio) player.play(fromBase64(audio))
          this.#say('playing', 'Playing.')
          if (isFinal) resolve(null)
        })
        // A text that was cut off is said again from its beginning, or not at all.
        speech.on('reconnecting', (error) => {
          if (player.seconds || isAnswer(error)) reject(player.seconds ? new Problem('socket_closed') : error)
          else this.#say('waiting', 'The line broke. Trying again with a fresh ticket.')
        })
        speech.on('ended', (error) => (error ? reject(error) : resolve(null)))
        speech.send({ text: `${text} `, tryTriggerGeneration: true })
        speech.send({ text: '' })
        this.#say('waiting', 'Waiting for the vendor to speak.')
      })
    } finally {
      speech.close()
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
