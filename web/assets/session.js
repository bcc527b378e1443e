// Who is signed in. A demo session is kept in memory alone; a reload finds the
// cookie, which scripts cannot read.
import { Problem } from './problem.js'

export class Session {
  #jwt = ''

  /** @param {string} subject who the service says is signed in by cookie, or '' */
  constructor(subject) {
    this.subject = subject
    this.onChange = () => {}
  }

  /** @returns {string} the JWT, or '' where only a cookie speaks */
  get jwt() { return this.#jwt }

  /** @returns {Record<string, string>} what a request needs beyond the cookie */
  headers() {
    return this.#jwt ? { Authorization: `Bearer ${this.#jwt}` } : {}
  }

  /**
   * Signs in at the demo sign-in.
   * @param {string} subject
   * @param {typeof fetch} fetcher
   * @throws {Problem}
   */
  async signIn(subject, fetcher) {
    const { session } = await demoSession({ sub: subject }, fetcher)
    this.#become(subject, session)
  }

  /** The service does not take the session any more. */
  end() { this.#become('', '') }

  /** @param {string} subject @param {string} jwt */
  #become(subject, jwt) {
    this.subject = subject
    this.#jwt = jwt
    this.onChange()
  }
}

/**
 * Asks the demo sign-in for a session.
 * @param {Record<string, unknown>} claims
 * @param {typeof fetch} fetcher
 * @param {RequestCredentials} [credentials] 'omit' leaves the cookie as it is
 * @returns {Promise<{session: string}>}
 * @throws {Problem}
 */
export async function demoSession(claims, fetcher, credentials = 'same-origin') {
  const response = await fetcher('dev/session', {
    method: 'POST', credentials, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(claims),
  })
  const body = await response.json().catch(() => ({}))
  if (!response.ok || typeof body.session !== 'string') {
    throw new Problem('sign_in_failed', { status: response.status, detail: body.error ?? body.detail ?? '' })
  }
  return body
}
