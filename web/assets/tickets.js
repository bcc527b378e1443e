// The paper tickets: what each one is, what has become of it, and how it looks.
import { announce, byId, make, shorten } from './dom.js'

/** @type {Record<string, string>} */
const names = { realtime_scribe: 'Live transcription', batch_scribe: 'Transcribe a file', tts_websocket: 'Speech' }

/** @type {Record<string, string>} */
const uses = { realtime_scribe: 'Play the sample', batch_scribe: 'Send a file', tts_websocket: 'Say the text' }

/** @typedef {'fresh' | 'in-use' | 'used' | 'expired' | 'refused'} State */

/** @type {Record<State, string>} */
const stateNames = { fresh: 'Fresh', 'in-use': 'In use', used: 'Used', expired: 'Expired', refused: 'Refused' }

const timeOver = 'Its time was over.'

export class Ticket {
  /** @type {State} */
  state = 'fresh'
  /** @type {State} what it was before it was shown to the vendor */
  #before = 'fresh'
  #was = '' // why it can be no good any more
  #rode = false

  /**
   * @param {number} number
   * @param {import('./machine.js').Grant} grant
   * @param {{owner: string, milliseconds: number, onTry: (ticket: Ticket) => void}} print
   *   whom it is for, what it took to print, and what its button does
   */
  constructor(number, grant, { owner, milliseconds, onTry }) {
    this.number = number
    this.grant = grant
    this.owner = owner
    this.due = Date.now() + grant.expiresIn * 1000
    this.stateText = make('span', { class: 'state' })
    this.leftText = make('span', { class: 'small' })
    this.life = make('i')
    this.verdict = make('p', { class: 'verdict', hidden: '' })
    this.button = make('button', { type: 'button' })
    this.button.onclick = () => this.state !== 'in-use' && onTry(this)
    const printed = `Printed in ${Math.round(milliseconds)} ms${grant.replayed ? ', the same as before' : ''}`
    this.element = make('li', { class: 'ticket', 'data-testid': 'ticket', 'data-type': grant.tokenType },
      make('div', { class: 'stub' }, 'Ticket', make('b', {}, String(number)), make('span', { class: 'owner', 'data-testid': 'ticket-owner' }, owner || 'one ride')),
      make('div', { class: 'fare' },
        make('div', { class: 'line' }, make('h3', {}, names[grant.tokenType] ?? grant.tokenType), this.stateText),
        make('div', { class: 'row' }, make('code', {}, grant.tokenType), make('code', { class: 'token' }, shorten(grant.token))),
        make('div', { class: 'line' }, make('div', { class: 'life' }, this.life), this.leftText),
        this.verdict,
        make('div', { class: 'row' }, this.button, make('span', { class: 'small' }, printed))))
    this.#become('fresh')
  }

  /** @returns {number} seconds to live */
  get left() { return Math.max(0, (this.due - Date.now()) / 1000) }

  /** The vendor is shown the ticket. From here on it is nobody's fresh ticket. */
  use() {
    this.#before = this.state
    this.#become('in-use')
  }

  /** The ride is over. @param {string} [how] what became of it */
  tear(how) {
    this.#rode = true
    this.#spoil(how)
  }

  /** The ride ended early; whether the vendor had torn the ticket is not known. */
  breakOff() { this.#spoil('The ride broke off. The next try takes a fresh ticket.') }

  /** @param {string} detail the vendor's words */
  refuse(detail) {
    const why = this.#was ? `Refused, as promised. ${this.#was}` : 'The vendor did not take this ticket.'
    this.#become('refused', why, detail)
  }

  /** The vendor took it although it should be no good any more. */
  taken() {
    if (this.#rode) this.#become('used', 'Taken a second time. This must not happen; please report it.')
    else if (this.#was === timeOver) this.tear('The vendor’s clock runs behind: it took the ticket still. Now it is used.')
    else this.tear('The ride before had not begun. Now it is used.')
  }

  /** The vendor could not be asked, so that it is what it was. */
  unanswered() { this.#become(this.#before, 'The vendor could not be asked.') }

  /** Brings what time changes up to date. */
  tick() {
    if (this.state === 'fresh' && this.left === 0) {
      this.#was = timeOver
      this.#become('expired')
    }
    this.life.style.setProperty('--left', String(this.left / this.grant.expiresIn || 0))
    if (this.state !== 'fresh') return
    const seconds = Math.ceil(this.left)
    this.leftText.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')} left`
  }

  /** @param {string} [how] */
  #spoil(how) {
    this.#was = 'It was good for one ride.'
    this.#become('used', how)
  }

  /**
   * @param {State} state
   * @param {string} [verdict]
   * @param {string} [detail]
   */
  #become(state, verdict = '', detail = '') {
    this.state = state
    this.element.dataset.state = state
    this.stateText.textContent = stateNames[state]
    this.verdict.textContent = detail ? `${verdict} The vendor says: “${detail}”` : verdict
    this.verdict.hidden = !verdict
    const again = state !== 'fresh' && state !== 'in-use'
    this.button.textContent = state === 'in-use' ? 'In use' : again ? 'Try it again' : uses[this.grant.tokenType] ?? 'Use it'
    this.button.dataset.testid = again ? 'ticket-try-again' : 'ticket-try'
    this.button.setAttribute('aria-label', `${this.button.textContent}: ticket ${this.number}`)
    this.button.setAttribute('aria-disabled', String(state === 'in-use'))
    if (again) this.leftText.textContent = state === 'expired' ? 'Out of time' : 'Torn'
    this.tick()
    announce(`Ticket ${this.number}, ${names[this.grant.tokenType]}, for ${this.owner || 'you'}: ${stateNames[state]}. ${this.verdict.textContent}`)
  }
}

export class Tickets {
  /** @type {Ticket[]} newest first */
  #all = []
  #printed = 0
  #keep = 5

  constructor() {
    setInterval(() => this.#all.forEach((ticket) => ticket.tick()), 1000)
  }

  /**
   * @param {import('./machine.js').Grant} grant
   * @param {ConstructorParameters<typeof Ticket>[2]} print
   */
  add(grant, print) {
    const ticket = new Ticket(++this.#printed, grant, print)
    this.#all.unshift(ticket)
    byId('tickets').prepend(ticket.element)
    byId('no-tickets').hidden = true
    while (this.#all.length > this.#keep && this.#all.at(-1)?.state !== 'in-use') this.#all.pop()?.element.remove()
    return ticket
  }

  /**
   * @param {string} type
   * @param {string} owner
   * @returns {Ticket | undefined} the newest fresh one of the owner's
   */
  fresh(type, owner) {
    return this.#all.find((ticket) => ticket.state === 'fresh' && ticket.left > 0 && ticket.owner === owner && ticket.grant.tokenType === type)
  }
}
