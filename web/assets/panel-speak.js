// Speak: sound goes in, a transcript grows.
import { byId, make } from './dom.js'
import { base64, level } from '../sdk/audio/pcm.js'
import { Problem, isAnswer } from './problem.js'
import { scribeModel, scribeRate } from './ride.js'
import { microphone, recorded } from './sources.js'
import { Turn } from './turn.js'

const loud = -45 // dBFS; quieter is a pause
const pauseChunks = 8 // tenths of a second of quiet that end a passage
const lastWords = 5_000 // milliseconds that they are waited for

export class SpeakPanel {
  /** @param {import('./machine.js').Machine} machine */
  constructor(machine) {
    this.machine = machine
    this.turn = new Turn([byId('speak-mic'), byId('speak-sample')], byId('speak-stop'), byId('speak-problems'))
    byId('speak-mic').onclick = () => this.run(() => microphone(scribeRate), true)
    byId('speak-sample').onclick = () => this.run(async () => recorded(scribeRate), false)
  }

  /**
   * @param {() => Promise<import('./sources.js').Source>} open
   * @param {boolean} endless whether only the visitor ends it
   */
  run(open, endless) {
    return this.turn.run((text) => this.#say(text), async (stop) => {
      byId('committed').replaceChildren()
      byId('partial').textContent = ''
      this.#say(endless ? 'Asking for the microphone.' : 'Getting a ticket.')
      const source = await open()
      try {
        stop.throwIfAborted()
        await this.machine.own(() => this.#listen(source, endless, stop))
        this.#say('Done. The ticket is used.')
      } finally {
        source.stop()
        this.#showLevel(-60)
      }
    })
  }

  /**
   * @param {import('./sources.js').Source} source
   * @param {boolean} endless
   * @param {AbortSignal} stop
   */
  async #listen(source, endless, stop) {
    const listening = endless ? 'Listening. Speak, then press Stop.' : 'Playing the sample.'
    this.#say('Waiting for the vendor to take the ticket.')
    const scribe = this.machine.farebox.connectScribe({
      modelId: scribeModel, audioFormat: `pcm_${scribeRate}`, sampleRate: scribeRate, commitStrategy: 'manual',
    })
    let isAccepted = false
    let isOver = false
    let unsaid = false // since the last commit
    const commit = () => {
      if (unsaid) scribe.send({ audioBase64: '', commit: true })
      unsaid = false
    }
    const pause = pauses(endless ? commit : () => {})
    try {
      await new Promise((resolve, reject) => {
        const finish = () => {
          if (isOver) return
          isOver = true
          source.stop()
          if (!isAccepted) return resolve(null)
          this.#say('Waiting for the last words.')
          const last = unsaid
          commit()
          if (!last) return resolve(null)
          setTimeout(() => reject(new Problem('socket_silent')), lastWords)
        }
        scribe.on('accepted', () => {
          this.#say(isOver ? 'Waiting for the last words.' : listening)
          if (isAccepted) return
          isAccepted = true
          source.start((samples) => {
            scribe.send({ audioBase64: base64(samples) })
            unsaid = true
            const now = level(samples)
            pause(now)
            this.#showLevel(now)
          }, finish)
        })
        scribe.on('partial_transcript', ({ text }) => { byId('partial').textContent = text })
        scribe.on('committed_transcript', ({ text }) => {
          byId('partial').textContent = ''
          byId('committed').append(make('p', {}, text))
          if (isOver) resolve(null)
        })
        scribe.on('reconnecting', (error) => {
          // The SDK goes on trying. Who has only begun had rather know.
          if (isAnswer(error) && !isAccepted) reject(error)
          else this.#say(navigator.onLine ? 'The line broke. Going on with a fresh ticket.' : 'You are offline. It goes on when you are back soon.')
        })
        scribe.on('ended', (error) => (error ? reject(error) : resolve(null)))
        stop.addEventListener('abort', finish)
      })
    } finally {
      scribe.close()
    }
    if (!isAccepted) stop.throwIfAborted()
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
