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

  /**
   * Signs in at the demo sign-in.
   * @param {string} subject
   * @throws {Problem}
   */
  async signIn(subject) {
    const session = await demoSession({ sub: subject })
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
 * @param {RequestCredentials} [credentials] 'omit' leaves the cookie as it is
 * @returns {Promise<string>} the JWT
 * @throws {Problem}
 */
export async function demoSession(claims, credentials = 'same-origin') {
  const response = await fetch('dev/session', {
    method: 'POST', credentials, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(claims),
  }).catch((error) => { throw Problem.from(error, 'network') })
  const body = await response.json().catch(() => ({}))
  if (response.ok && typeof body.session === 'string') return body.session
  throw new Problem('sign_in_failed', { status: response.status, detail: body.detail })
}

/** @param {Session} session */
export function showVisitor(session) {
  const form = byId('sign-in')
  session.onChange = () => {
    byId('subject').textContent = session.subject
    byId('who').hidden = !session.subject
    const way = form ?? byId('login')
    way.hidden = Boolean(session.subject)
  }
  if (form) demoSignIn(form, session)

  const link = byId('login-link')
  if (!link) return
  const url = new URL(link.href)
  url.searchParams.set('return_to', link.dataset.returnTo || location.href)
  link.href = url.href
}

/**
 * @param {HTMLFormElement} form
 * @param {Session} session
 */
function demoSignIn(form, session) {
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
      await session.signIn(name.value.trim())
      cancel.hidden = true
      announce(`Signed in as ${session.subject}.`)
      byId('machine').focus({ preventScroll: true })
    } catch (error) {
      showProblem(byId('sign-in-problems'), error)
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
