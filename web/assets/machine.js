// The machine prints tickets: one press, one ticket, which is one token of the
// service's.
import { after } from './dom.js'
import { Problem } from './problem.js'

const tries = 3 // of one print
const patience = 20_000 // milliseconds; the service gives up before

export class Machine {
  /**
   * @param {{session: import('./session.js').Session, exchange: import('./exchange.js').Exchange, tickets: import('./tickets.js').Tickets}} parts
   */
  constructor({ session, exchange, tickets }) {
    this.session = session
    this.exchange = exchange
    this.tickets = tickets
    /** @type {(ticket: import('./tickets.js').Ticket) => void} what a ticket's own button does */
    this.onTry = () => {}
  }

  /**
   * Asks once.
   * @param {string} type
   * @param {{headers: Record<string, string>, idempotencyKey?: string}} who
   * @throws {Problem}
   */
  async ask(type, { headers, idempotencyKey }) {
    return requestToken(type, { headers, fetcher: this.fetch, idempotencyKey, signal: AbortSignal.timeout(patience) })
  }

  /** @type {typeof fetch} */
  fetch = async (input, init) => {
    try {
      return await this.exchange.fetch(input, init)
    } catch (error) {
      throw Problem.from(error, 'network')
    }
  }

  /**
   * Prints a ticket for who is signed in. Where nobody knows whether it was
   * made, the same key asks for the same ticket once more.
   * @param {string} type
   * @returns {Promise<import('./tickets.js').Ticket>}
   * @throws {Problem}
   */
  async print(type) {
    const began = performance.now()
    const { session } = this
    const owner = session.subject
    const idempotencyKey = newKey()
    for (let turn = 1; ; turn++) {
      try {
        const grant = await this.ask(type, { headers: session.headers(), idempotencyKey })
        return this.tickets.add(grant, { owner, milliseconds: performance.now() - began, onTry: (ticket) => this.onTry(ticket) })
      } catch (error) {
        const problem = Problem.from(error)
        if (problem.status === 401) { // which only ever means the session
          problem.signIn = true
          if (session.subject === owner) session.end()
        }
        if (turn === tries || !['network', 'request_in_progress'].includes(problem.code)) throw problem
        await after((problem.retryAfter || turn) * 1000)
      }
    }
  }

  /**
   * A ticket to ride with: a fresh one of the visitor's that lies there, or a
   * new one.
   * @param {string} type
   * @returns {Promise<import('./tickets.js').Ticket>}
   * @throws {Problem}
   */
  async take(type) {
    return this.tickets.fresh(type, this.session.subject) ?? this.print(type)
  }
}

/**
 * Rides with a ticket, and says on it what became of it. Whatever happens, it
 * has been shown to the vendor and is not taken for fresh again.
 * @template T
 * @param {import('./tickets.js').Ticket} ticket
 * @param {() => Promise<T>} ride
 * @returns {Promise<T>}
 * @throws {Problem}
 */
export async function ride(ticket, ride) {
  ticket.use()
  try {
    const result = await ride()
    ticket.tear()
    return result
  } catch (error) {
    const problem = Problem.from(error)
    if (problem.code === 'auth_error') ticket.refuse(problem.detail)
    else ticket.breakOff()
    throw problem
  }
}

/**
 * @typedef {object} Grant what a token comes with
 * @property {string} token
 * @property {string} tokenType
 * @property {number} expiresIn seconds, from the answer on
 * @property {string} baseUrl
 * @property {string} websocketBaseUrl
 * @property {string} tokenParameter where the token goes on redeeming
 * @property {boolean} replayed the same answer as before, to the same key
 */

/**
 * @param {string} type
 * @param {{headers: Record<string, string>, fetcher: typeof fetch, idempotencyKey?: string, signal?: AbortSignal}} options
 * @returns {Promise<Grant>}
 * @throws {Problem}
 */
export async function requestToken(type, { headers, fetcher, idempotencyKey = newKey(), signal }) {
  const response = await fetcher(`v1/single-use-token/${type}`, {
    method: 'POST', headers: { ...headers, 'Idempotency-Key': idempotencyKey }, signal,
  })
  if (!response.ok) throw await problemOf(response)
  const body = await response.json()
  return {
    token: body.token, tokenType: body.token_type, expiresIn: body.expires_in,
    baseUrl: body.base_url, websocketBaseUrl: body.websocket_base_url, tokenParameter: body.token_parameter,
    replayed: response.headers.get('Idempotent-Replayed') === 'true',
  }
}

/**
 * @param {Response} response one that is not ok
 * @returns {Promise<Problem>}
 */
export async function problemOf(response) {
  const body = await response.json().catch(() => ({}))
  return new Problem(typeof body.code === 'string' ? body.code : 'network', {
    status: response.status, detail: body.detail,
    retryAfter: Number(response.headers.get('Retry-After')) || 0,
    requestId: body.request_id ?? response.headers.get('X-Request-Id') ?? '',
  })
}

/** @returns {string} a key for one attempt; works without https too */
export function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('')
}
