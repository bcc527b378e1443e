// <farebox-voice>: speak and see the words, type and hear them. What it promises
// stands in farebox-voice.d.ts.
import { createFarebox, FareboxError } from './farebox.js'
import { MicrophoneError, openMicrophone } from './audio/microphone.js'
import { base64, fromBase64, level } from './audio/pcm.js'
import { Player } from './audio/player.js'
import { furnish, paragraph } from './voice/looks.js'
import { Turn } from './voice/turn.js'
import { english, explain } from './voice/words.js'

const scribeRate = 16000 // samples a second
const speechRate = 24000
const patience = 5000 // milliseconds for the last words

// Properties that are attributes.
const texts = {
  baseUrl: '', credentials: '', mode: '', language: '', name: '',
  modelId: 'scribe_v2_realtime', voiceId: 'JBFqnCBsd6RMkjVDRZzb', speechModelId: 'eleven_flash_v2_5',
}
const flags = ['disabled', 'required']
const attributeOf = (property) => property.replace(/[A-Z]/, (letter) => '-' + letter.toLowerCase())

const after = (time) => new Promise((resolve) => setTimeout(resolve, time))
const endOf = (live) => new Promise((resolve, reject) => live.on('ended', (error) => error ? reject(error) : resolve()))

// A server that imports this has no elements, and makes none.
export class FareboxVoice extends (globalThis.HTMLElement ?? Object) {
  static formAssociated = true
  static observedAttributes = ['required']

  #internals = this.attachInternals()
  #ui = furnish(this.attachShadow({ mode: 'open', delegatesFocus: true }))
  #words = english
  #state = 'idle'
  #value = ''
  #isDisabled = false
  #turn
  #done = Promise.resolve()

  constructor() {
    super()
    this.#internals.role = 'group'
    this.#ui.speak.onclick = () => this.#press('speak', () => this.start())
    this.#ui.hear.onclick = () => this.#press('hear', () => this.#ui.text.value.trim() ? this.hear() : this.#ui.text.focus())
    this.#measure(-60)
    this.#show()
  }

  start() {
    return this.mode === 'hear' ? this.hear() : this.#begin('speak', (turn) => this.#listen(turn))
  }
  hear(text = this.#ui.text.value) {
    return this.#begin('hear', (turn) => this.#say(turn, this.#ui.text.value = text))
  }
  stop() {
    this.#turn?.ask()
    return this.#done
  }

  get state() { return this.#state }
  get labels() { return this.#words }
  set labels(words) {
    this.#words = { ...english, ...words }
    this.#show()
  }
  get value() { return this.#value }
  set value(text) {
    this.#value = String(text ?? '')
    this.#ui.committed.replaceChildren(...this.#value.split('\n').filter(Boolean).map(paragraph))
    this.#ui.partial.textContent = ''
    this.#submit()
  }

  get form() { return this.#internals.form }
  get validity() { return this.#internals.validity }
  get validationMessage() { return this.#internals.validationMessage }
  checkValidity() { return this.#internals.checkValidity() }
  reportValidity() { return this.#internals.reportValidity() }
  formResetCallback() { this.value = '' }
  formStateRestoreCallback(state) { this.value = state }
  formDisabledCallback(isDisabled) {
    this.#isDisabled = isDisabled
    if (isDisabled) this.#turn?.end()
    this.#show()
  }
  attributeChangedCallback() { this.#submit() }

  connectedCallback() {
    // What was set before this module was there.
    for (const name of ['labels', 'value', ...flags, ...Object.keys(texts)]) {
      if (!Object.hasOwn(this, name)) continue
      const early = this[name]
      delete this[name]
      this[name] = early
    }
  }
  connectedMoveCallback() {}
  disconnectedCallback() {
    // It may only be moved.
    queueMicrotask(() => this.isConnected || this.#turn?.end())
  }

  #press(kind, start) {
    if (this.#turn?.kind === kind) this.stop()
    else if (!this.#turn) start()
  }

  #begin(kind, work) {
    if (this.#isDisabled || !this.isConnected || this.#turn && !this.#turn.isEnding) return this.#done
    this.#turn?.end()
    const turn = this.#turn = new Turn(kind)
    return this.#done = this.#done.then(async () => {
      try {
        turn.check() // what is undone at once, as by React's StrictMode, costs nothing
        this.#ui.problem.textContent = ''
        await work(turn)
      } catch (error) {
        if (!turn.isEnding || error.name !== 'AbortError') this.#fail(error)
      }
      if (this.#turn !== turn) return
      this.#turn = undefined
      this.#become('idle')
    })
  }

  async #listen(turn) {
    this.#become('starting')
    const opening = openMicrophone(scribeRate, new URL('sdk/audio/recorder.worklet.js', this.#base()))
    let live
    try {
      const source = await turn.until(opening)
      this.#become('connecting')
      live = this.#farebox().connectScribe({
        modelId: this.modelId, audioFormat: 'pcm_' + scribeRate, sampleRate: scribeRate,
        commitStrategy: 'vad', languageCode: this.language || undefined,
      })
      const ended = endOf(live)
      let isLast
      const last = new Promise((resolve) => { isLast = () => turn.isEnding && resolve() })
      live.on('accepted', () => turn.isEnding || this.#become('listening'))
      live.on('reconnecting', () => {
        if (!turn.isEnding) this.#become('reconnecting')
        this.#keepPartial() // the new socket does not know it
      })
      live.on('partial_transcript', ({ text }) => this.#hint(text))
      live.on('committed_transcript', ({ text }) => this.#keep(text))
      // Nothing was left to commit.
      for (const name of ['committed_transcript', 'commit_throttled', 'insufficient_audio_activity']) live.on(name, isLast)
      source.start((samples) => {
        live.send({ audioBase64: base64(samples) })
        this.#measure(level(samples))
      }, () => turn.isEnding || turn.ask())
      await turn.until(ended).catch((error) => {
        if (!turn.isEnding) throw error
        source.stop()
        this.#become('stopping')
        live.send({ audioBase64: '', commit: true })
        return turn.atLast(Promise.race([ended, last, after(patience)]))
      })
    } finally {
      live?.close()
      opening.then((source) => source.stop(), () => {})
      this.#measure(-60)
      this.#keepPartial()
    }
  }

  async #say(turn, text) {
    if (!text.trim()) return
    this.#become('connecting')
    const { wave } = this.#ui
    // Pens know no light-dark().
    const { color, borderTopColor } = getComputedStyle(wave)
    wave.style.setProperty('--accent', color)
    wave.style.setProperty('--edge', borderTopColor)
    let player = new Player(wave, speechRate)
    let live
    try {
      live = this.#farebox().connectSpeech({
        voiceId: this.voiceId, modelId: this.speechModelId, outputFormat: 'pcm_' + speechRate, languageCode: this.language || undefined,
      })
      const send = () => [text.trim() + ' ', ''].forEach((text) => live.send({ text }))
      const ended = endOf(live)
      live.on('reconnecting', () => {
        this.#become('reconnecting')
        if (!player.seconds) return // then it is sent again without us
        player.stop()
        player = new Player(wave, speechRate)
        send()
      })
      const isSaid = new Promise((resolve) => live.on('audio', ({ audio, isFinal }) => {
        if (audio) {
          player.play(fromBase64(audio))
          this.#become('speaking')
        }
        if (isFinal) resolve()
      }))
      send()
      await turn.until(Promise.race([ended, isSaid]))
      await turn.until(player.heard())
    } finally {
      live?.close()
      player.stop()
    }
  }

  #base() {
    return this.baseUrl ? new URL(this.baseUrl.replace(/\/?$/, '/'), document.baseURI) : new URL('..', import.meta.url)
  }
  #farebox() {
    const { getSession, credentials } = this
    return createFarebox({ baseUrl: this.#base().href, ...(getSession && { getSession }), ...(credentials && { credentials }) })
  }

  #hint(text) {
    this.#ui.partial.textContent = text
    this.#scroll()
    this.#tell('partial', { text })
  }
  #keep(text) {
    this.#ui.partial.textContent = ''
    if (!text) return
    this.#value += (this.#value && '\n') + text
    this.#ui.committed.append(paragraph(text))
    this.#scroll()
    this.#submit()
    this.#tell('transcript', { text })
  }
  #keepPartial() { this.#keep(this.#ui.partial.textContent) }
  #scroll() { this.#ui.transcript.scrollTop = this.#ui.transcript.scrollHeight }

  #measure(decibel) {
    const { meter, level } = this.#ui
    level.style.setProperty('--level', String((decibel + 60) / 60))
    meter.setAttribute('aria-valuenow', decibel.toFixed(0))
  }

  #fail(error) {
    if (!(error instanceof FareboxError)) {
      error = new FareboxError({ code: error instanceof MicrophoneError ? error.code : 'invalid_request', detail: error.message }, error)
    }
    this.#ui.problem.textContent = explain(this.#words, error.code)
    this.#tell('error', error)
  }

  #become(state) {
    if (state === this.#state) return
    this.#state = state
    this.#show()
    this.#tell('state', { state })
  }
  #tell(name, detail) { this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true })) }

  #submit() {
    this.#internals.setFormValue(this.#value)
    const isMissing = this.required && !this.#value
    this.#internals.setValidity({ valueMissing: isMissing }, isMissing ? this.#words.required : '', this.#ui.speak)
  }

  #show() {
    const { speak, hear, meter, transcript, label, text, wave, status } = this.#ui
    const words = this.#words
    this.#internals.ariaLabel = words.name
    label.textContent = words.text
    text.disabled = this.#isDisabled
    for (const [element, word] of [[meter, words.level], [transcript, words.transcript], [wave, words.wave]]) element.ariaLabel = word
    for (const [kind, button] of [['speak', speak], ['hear', hear]]) {
      const isOn = this.#turn?.kind === kind
      button.textContent = isOn ? words.stop : words[kind]
      button.toggleAttribute('data-stop', isOn)
      // A button that is disabled would take the focus with it.
      button.ariaDisabled = String(this.#isDisabled || !isOn && !!this.#turn)
    }
    status.textContent = words[this.#state]
  }
}

for (const [property, usual] of Object.entries(texts)) {
  const attribute = attributeOf(property)
  Object.defineProperty(FareboxVoice.prototype, property, {
    configurable: true, enumerable: true,
    get() { return this.getAttribute(attribute) || usual },
    set(value) { value == null ? this.removeAttribute(attribute) : this.setAttribute(attribute, value) },
  })
}
for (const flag of flags) {
  Object.defineProperty(FareboxVoice.prototype, flag, {
    configurable: true, enumerable: true,
    get() { return this.hasAttribute(flag) },
    set(value) { this.toggleAttribute(flag, !!value) },
  })
}
// Frameworks look whether there is such a property.
FareboxVoice.prototype.getSession = undefined

if (globalThis.customElements && !customElements.get('farebox-voice')) customElements.define('farebox-voice', FareboxVoice)
