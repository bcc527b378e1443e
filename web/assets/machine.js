// The machine prints tickets: one request, one ticket.
import { Problem } from './problem.js'
import { requestToken } from './token.js'

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
   * @param {string} type
   * @param {{idempotencyKey?: string, headers?: Record<string, string>}} [options]
   * @throws {Problem}
   */
  async ask(type, { idempotencyKey, headers = this.session.headers() } = {}) {
    return requestToken(type, { headers, fetcher: this.fetch, idempotencyKey })
  }

  /** @type {typeof fetch} */
  fetch = async (input, init) => {
    try {
      return await this.exchange.fetch(input, init)
    } catch (error) {
      throw new Problem('network', { detail: String(error) })
    }
  }

  /**
   * @param {string} type
   * @returns {Promise<import('./tickets.js').Ticket>}
   * @throws {Problem}
   */
  async print(type) {
    const began = performance.now()
    const grant = await this.ask(type)
    return this.tickets.add(grant, performance.now() - began, (ticket) => this.onTry(ticket))
  }

  /**
   * A ticket to ride with: a fresh one that lies there, or a new one.
   * @param {string} type
   * @returns {Promise<import('./tickets.js').Ticket>}
   * @throws {Problem}
   */
  async take(type) {
    return this.tickets.fresh(type) ?? this.print(type)
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
    else ticket.tear('The ride broke off. The next try takes a fresh ticket.')
    throw problem
  }
}
