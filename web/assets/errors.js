// Shows what went wrong where it went wrong, one problem at a time.
import { byId, make } from './dom.js'
import { Problem, later, wordsFor } from './problem.js'

/** @type {(() => void) | null} */
let clear = null

/** Takes away the problem that is shown, if one is. */
export function clearProblem() {
  clear?.()
  clear = null
}

/**
 * @param {HTMLElement} place
 * @param {unknown} error
 */
export function showProblem(place, error) {
  clearProblem()
  const problem = Problem.from(error)
  const { happened, todo } = wordsFor(problem.code)
  const facts = [problem.status || '', problem.code].join(' ').trim()
  const said = make('div', { role: 'alert' })
  const wait = make('p', { 'data-testid': 'error-wait' })
  const box = make('div', { class: 'problem', 'data-testid': 'error', 'data-code': problem.code }, said, wait)
  if (problem.signIn) box.append(...wayIn())
  box.append(make('p', {}, make('code', {}, facts + (problem.requestId ? `, request ${problem.requestId}` : ''))))
  place.append(box)
  // An alert is read out when something comes into it, not when it comes. The
  // countdown says to the eye when "later" is.
  said.append(make('p', {}, make('b', {}, happened)), make('p', { class: problem.retryAfter && todo === later ? 'unseen' : '' }, todo))
  // What the service says stands in full among what just happened.
  if (problem.detail && !problem.requestId) said.append(make('p', { class: 'small' }, `It says: ${problem.detail}`))
  box.scrollIntoView({ block: 'nearest' })

  const stop = countDown(wait, problem.retryAfter)
  clear = () => {
    stop()
    box.remove()
  }
}

/** @returns {HTMLElement[]} the way to the login or to the sign-in above, where there is one */
function wayIn() {
  const link = byId('login-link')
  const name = byId('name')
  if (link) return [make('a', { class: 'button', href: link.href, 'data-testid': 'error-sign-in' }, 'Sign in')]
  if (!name) return []
  const button = make('button', { type: 'button', 'data-testid': 'error-sign-in' }, 'Sign in')
  button.onclick = () => {
    byId('sign-in').hidden = false
    name.select()
  }
  return [button]
}

/**
 * Says in place when to try again, until it may be.
 * @param {HTMLElement} place
 * @param {number} seconds 0 for not known
 * @returns {() => void} ends it
 */
function countDown(place, seconds) {
  place.hidden = !seconds
  if (!seconds) return () => {}
  const due = Date.now() + seconds * 1000
  const tell = () => {
    const left = Math.ceil((due - Date.now()) / 1000)
    place.textContent = left > 0 ? `Try again in ${left} s.` : 'You can try again now.'
    if (left <= 0) clearInterval(timer)
  }
  const timer = setInterval(tell, 250)
  tell()
  return () => clearInterval(timer)
}
