// The machine prints tickets: one press, one ticket, which is one token that the
// SDK gets.
import { createFarebox } from '../sdk/farebox.js'
import { Problem } from './problem.js'

// Milliseconds. Short, so that a visitor hears soon that there are too many,
// rather than that the SDK waits until there are not.
const patience = 8_000

/**
 * The SDK, for this page's own service.
 * @param {Partial<import('../sdk/farebox.js').FareboxOptions>} [options]
 */
export const fareboxFor = (options) => createFarebox({ baseUrl: new URL('.', document.baseURI).href, timeout: patience, ...options })

export class Machine {
  /**
   * @param {{session: import('./session.js').Session, tickets: import('./tickets.js').Tickets}} parts
   */
  constructor({ session, tickets }) {
    this.session = session
    this.tickets = tickets
    this.farebox = fareboxFor({ getSession: () => session.jwt })
  }

  /**
   * Prints a ticket for who is signed in.
   * @param {string} type
   * @param {AbortSignal} [signal]
   * @returns {Promise<import('./tickets.js').Ticket>}
   * @throws {Problem}
   */
  print(type, signal) {
    return this.own(async () => {
      const { token } = await this.farebox.token(/** @type {any} */ (type), { signal })
      return this.tickets.of(token)
    })
  }

  /**
   * Does what needs the visitor's session, and signs them out where the service
   * says that it is over.
   * @template T
   * @param {() => Promise<T>} action
   * @returns {Promise<T>}
   * @throws {Problem}
   */
  async own(action) {
    const owner = this.session.subject
    try {
      return await action()
    } catch (error) {
      const problem = Problem.from(error)
      if (problem.status === 401) { // which only ever means the session
        problem.signIn = true
        if (this.session.subject === owner) this.session.end()
      }
      throw problem
    }
  }
}
