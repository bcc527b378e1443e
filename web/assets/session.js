// Who is signed in, as the page shows it, and the way in. A demo session is kept
// in memory alone; a reload finds the cookie, which scripts cannot read.
import { announce, byId } from './dom.js'
import { clearProblem, showProblem } from './errors.js'
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

/** @param {import('./machine.js').Machine} machine */
export function showVisitor({ session, fetch }) {
  const form = byId('sign-in')
  session.onChange = () => {
    byId('subject').textContent = session.subject
    byId('who').hidden = !session.subject
    const way = form ?? byId('login')
    way.hidden = Boolean(session.subject)
  }
  if (form) demoSignIn(form, session, fetch)

  const link = byId('login-link')
  if (!link) return
  const url = new URL(link.href)
  url.searchParams.set('return_to', link.dataset.returnTo || location.href)
  link.href = url.href
}

/**
 * @param {HTMLFormElement} form
 * @param {import('./session.js').Session} session
 * @param {typeof fetch} fetcher
 */
function demoSignIn(form, session, fetcher) {
  const name = byId('name')
  const another = byId('sign-in-again')
  const cancel = byId('sign-in-cancel')
  const back = () => {
    form.hidden = true
    another.focus()
  }
  form.onsubmit = async (event) => {
    event.preventDefault()
    clearProblem()
    try {
      await session.signIn(name.value.trim(), fetcher)
      cancel.hidden = true
      announce(`Signed in as ${session.subject}.`)
      byId('machine').focus({ preventScroll: true })
    } catch (error) {
      showProblem(byId('sign-in-problems'), Problem.from(error))
    }
  }
  another.onclick = () => {
    name.value = session.subject
    form.hidden = cancel.hidden = false
    name.select()
  }
  cancel.onclick = back
  form.onkeydown = ({ key }) => {
    if (key === 'Escape' && session.subject) back()
  }
  if (session.subject) name.value = session.subject
}
