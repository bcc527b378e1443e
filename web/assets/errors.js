// Shows what went wrong where it went wrong, one problem at a time.
import { make } from './dom.js'
import { wordsFor } from './words.js'

/** @type {(() => void) | null} */
let clear = null

/** Takes away the problem that is shown, if one is. */
export function clearProblem() {
  clear?.()
  clear = null
}

/**
 * @param {HTMLElement} place
 * @param {import('./problem.js').Problem} problem
 */
export function showProblem(place, problem) {
  clearProblem()
  const { happened, todo } = wordsFor(problem.code)
  const facts = [problem.status || '', problem.code].join(' ').trim()
  const said = make('div', { role: 'alert' })
  const wait = make('p', { 'data-testid': 'error-wait' })
  const box = make('div', { class: 'problem', 'data-testid': 'error', 'data-code': problem.code }, said, wait)
  box.append(make('p', {}, make('code', {}, facts + (problem.requestId ? `, request ${problem.requestId}` : ''))))
  place.append(box)
  // An alert is read out when something comes into it, not when it comes.
  said.append(make('p', {}, make('b', {}, happened)), make('p', {}, todo))
  // What the service says stands in full among what just happened.
  if (problem.detail && !problem.requestId) said.append(make('p', { class: 'small' }, `It says: ${problem.detail}`))

  const stop = countDown(wait, problem.retryAfter)
  clear = () => {
    stop()
    box.remove()
  }
}

/**
 * Says in place when to try again, until it may be.
 * @param {HTMLElement} place
 * @param {number} seconds 0 for not known
 * @returns {() => void} ends it
 */
function countDown(place, seconds) {
  if (!seconds) {
    place.hidden = true
    return () => {}
  }
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
