// Who is signed in, as the page shows it, and the way in.
import { announce, byId } from './dom.js'
import { clearProblem, showProblem } from './errors.js'
import { Problem } from './problem.js'

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
