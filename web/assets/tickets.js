// The paper tickets: what each one is, what has become of it, and how it looks.
// They come from the wire: what the service answered, and what the vendor said.
import { announce, byId, make, shorten } from './dom.js'
import { vendorProblem } from './problem.js'
import { refusedUnsaid, transcribeProblem } from './ride.js'

/**
 * @typedef {object} Grant what a token comes with
 * @property {string} token
 * @property {string} tokenType
 * @property {number} expiresIn seconds, from the answer on
 * @property {string} baseUrl
 * @property {string} websocketBaseUrl
 * @property {string} tokenParameter where the token goes on redeeming
 */

/** @type {Record<string, string>} */
const names = { realtime_scribe: 'Live transcription', batch_scribe: 'Transcribe a file', tts_websocket: 'Speech', signed_url: 'Conversation' }

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
  #isAccepted = false // by the vendor, this time
  isSilent = true // the vendor has said nothing this time

  /**
   * @param {number} number
   * @param {Grant} grant
   * @param {{owner: string, note: string, onTry: (ticket: Ticket) => void}} print
   *   whom it is for, how it was printed, and what its button does
   */
  constructor(number, grant, { owner, note, onTry }) {
    this.number = number
    this.grant = grant
    this.owner = owner
    this.due = Date.now() + grant.expiresIn * 1000
    this.stateText = make('span', { class: 'state' })
    this.leftText = make('span', { class: 'small' })
    this.life = make('i')
    this.verdict = make('p', { class: 'verdict', hidden: '' })
    this.noteText = make('span', { class: 'small' }, note)
    this.button = make('button', { type: 'button' })
    this.button.hidden = grant.tokenType === 'signed_url' // which is the app's to open
    this.button.onclick = () => this.state !== 'in-use' && onTry(this)
    this.element = make('li', { class: 'ticket', 'data-testid': 'ticket', 'data-type': grant.tokenType },
      make('div', { class: 'stub' }, make('span', {}, 'Ticket'), make('b', {}, String(number)), make('span', { class: 'owner', 'data-testid': 'ticket-owner' }, owner || 'one ride')),
      make('div', { class: 'fare' },
        make('div', { class: 'line' }, make('h3', {}, names[grant.tokenType] ?? grant.tokenType), this.stateText),
        make('div', { class: 'row' }, make('code', {}, grant.tokenType), make('code', { class: 'token' }, shorten(grant.token))),
        make('div', { class: 'line' }, make('div', { class: 'life' }, this.life), this.leftText),
        this.verdict,
        make('div', { class: 'row' }, this.button, this.noteText)))
    this.#become('fresh')
  }

  /** @returns {number} seconds to live */
  get left() { return Math.max(0, (this.due - Date.now()) / 1000) }

  /** The same ticket came a second time, to who asked with the same key. */
  repeat() { this.noteText.textContent += ', the same as before' }

  /** The vendor is shown the ticket. From here on it is nobody's fresh ticket. */
  use() {
    this.#before = this.state
    this.#isAccepted = false
    this.isSilent = true
    this.#become('in-use')
  }

  /** The vendor has taken it. */
  accept() { this.#isAccepted = true }

  /** @param {string} detail the vendor's words */
  refuse(detail) {
    const why = this.#was ? `Refused, as promised. ${this.#was}` : 'The vendor did not take this ticket.'
    this.#become('refused', why, detail)
  }

  /** The vendor is gone, whatever it said. */
  end() {
    if (this.state !== 'in-use') return
    if (this.#isAccepted) this.#tear()
    else if (this.#was) this.#become(this.#before, 'The vendor could not be asked.')
    // Whether the vendor had torn it is not known.
    else this.#spoil('The ride broke off. The next try takes a fresh ticket.')
  }

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
    this.element.toggleAttribute('data-late', seconds <= 60)
  }

  #tear() {
    if (this.#rode) return this.#become('used', 'Taken a second time. This must not happen; please report it.')
    const late = this.#was === timeOver
    const before = this.#was
    this.#rode = true
    this.#spoil(late ? 'The vendor’s clock runs behind: it took the ticket still. Now it is used.' : before && 'The ride before had not begun. Now it is used.')
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
    this.button.textContent = state === 'in-use' ? 'In use' : again ? 'Try it again' : 'Use it'
    this.button.dataset.testid = again ? 'ticket-try-again' : 'ticket-try'
    this.button.setAttribute('aria-label', `${this.button.textContent}: ticket ${this.number}`)
    this.button.setAttribute('aria-disabled', String(state === 'in-use'))
    if (again) this.leftText.textContent = state === 'expired' ? 'Out of time' : 'Torn'
    this.tick()
    announce(`Ticket ${this.number}, ${names[this.grant.tokenType]}, for ${this.owner || 'you'}: ${stateNames[state]}. ${this.verdict.textContent}`)
  }
}

/** @typedef {import('./wire.js').Watcher} Watcher */

/** @implements {Watcher} */
export class Tickets {
  /** @type {Ticket[]} newest first */
  #all = []
  #printed = 0
  #keep = 5
  /** @type {(ticket: Ticket) => void} what a ticket's own button does */
  onTry = () => {}

  /** @param {{subject: string}} session */
  constructor(session) {
    this.session = session
    setInterval(() => this.#all.forEach((ticket) => ticket.tick()), 1000)
  }

  /**
   * @param {string} token that was printed a moment ago
   * @returns {Ticket}
   */
  of(token) { return /** @type {Ticket} */ (this.#find(token)) }

  /** @param {import('./wire.js').Call} call */
  asked({ init }) { this.#shown(init)?.use() }

  /**
   * @param {import('./wire.js').Call} call
   * @param {Response | null} response
   * @param {any} body
   */
  answered({ init, milliseconds }, response, body) {
    const ridden = this.#shown(init)
    if (ridden) {
      const problem = response && !response.ok && transcribeProblem(response.status, body)
      if (problem && problem.code === 'auth_error') ridden.refuse(problem.detail)
      if (response?.ok && typeof body?.text === 'string') ridden.accept()
      ridden.end()
    }
    // What is asked for without the visitor's own session is not theirs.
    if (response?.ok && init.credentials !== 'omit') this.#print(body, response, milliseconds)
  }

  /** @param {URL} url */
  opened(url) { this.#on(url)?.use() }

  /** @param {URL} url @param {any} frame */
  received(url, frame) {
    const ticket = this.#on(url)
    if (!ticket) return
    ticket.isSilent = false
    if (!frame?.error) ticket.accept()
    else if (vendorProblem(frame.message_type ?? frame.error).code === 'auth_error') ticket.refuse(frame.message ?? frame.error)
  }

  /** @param {URL} url @param {number} code */
  closed(url, code) {
    const ticket = this.#on(url)
    if (code === refusedUnsaid && ticket?.isSilent) ticket.refuse('')
    ticket?.end()
  }

  /** @param {any} body @param {Response} response @param {number} milliseconds */
  #print(body, response, milliseconds) {
    const token = body?.token ?? body?.signed_url
    if (!token || !body.expires_in) return
    const before = this.#find(token)
    if (before) return before.repeat()
    const ticket = new Ticket(++this.#printed, {
      token, tokenType: body.token_type ?? 'signed_url', expiresIn: body.expires_in,
      baseUrl: body.base_url, websocketBaseUrl: body.websocket_base_url, tokenParameter: body.token_parameter,
    }, {
      owner: this.session.subject, onTry: (ticket) => this.onTry(ticket),
      note: `Printed in ${Math.round(milliseconds)} ms${response.headers.get('Idempotent-Replayed') ? ', the same as before' : ''}`,
    })
    this.#all.unshift(ticket)
    byId('tickets').prepend(ticket.element)
    byId('no-tickets').hidden = true
    while (this.#all.length > this.#keep && this.#all.at(-1)?.state !== 'in-use') this.#all.pop()?.element.remove()
  }

  /** @param {string} token */
  #find(token) { return this.#all.find(({ grant }) => grant.token === token) }

  /** @param {URL} url of a socket */
  #on({ searchParams }) { return this.#find(searchParams.get('token') ?? searchParams.get('single_use_token') ?? '') }

  /** @param {RequestInit} init of a request that may show one to the vendor */
  #shown({ body }) { return body instanceof FormData ? this.#find(String(body.get('token') ?? body.get('single_use_token'))) : undefined }
}
