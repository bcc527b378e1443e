// Puts the page together.
import { tryAgain } from './again.js'
import { announce, byId } from './dom.js'
import { clearProblem, showProblem } from './errors.js'
import { Exchange } from './exchange.js'
import { Machine } from './machine.js'
import { FilePanel } from './panel-file.js'
import { HearPanel } from './panel-hear.js'
import { SpeakPanel } from './panel-speak.js'
import { Problem } from './problem.js'
import { offerProvocations } from './provoke.js'
import { Session } from './session.js'
import { Tickets } from './tickets.js'

const { dev, subject = '' } = document.body.dataset
const isDev = dev !== undefined
const session = new Session(subject)
const exchange = new Exchange(session, isDev)
const machine = new Machine({ session, exchange, tickets: new Tickets() })

/** @type {Record<string, {runWith(ticket: import('./tickets.js').Ticket): Promise<void>}>} */
const panels = { realtime_scribe: new SpeakPanel(machine), tts_websocket: new HearPanel(machine), batch_scribe: new FilePanel(machine) }

machine.onTry = async (ticket) => {
  clearProblem()
  if (ticket.state === 'fresh') return panels[ticket.grant.tokenType]?.runWith(ticket)
  try {
    await tryAgain(ticket, machine)
  } catch (error) {
    showProblem(byId('machine-problems'), Problem.from(error))
  }
}

for (const button of document.querySelectorAll('[data-print]')) {
  const { dataset } = /** @type {HTMLButtonElement} */ (button)
  button.addEventListener('click', async () => {
    if (dataset.busy) return
    dataset.busy = 'true'
    clearProblem()
    announce('Printing a ticket.')
    try {
      await machine.print(dataset.print ?? '')
    } catch (error) {
      showProblem(byId('machine-problems'), Problem.from(error))
    } finally {
      delete dataset.busy
    }
  })
}

/** Shows who is signed in, or where to. */
function showWho() {
  byId('subject').textContent = session.subject
  byId('who').hidden = !session.subject
  byId('sign-in').hidden = Boolean(session.subject)
}

if (isDev) {
  byId('sign-in').onsubmit = async (/** @type {Event} */ event) => {
    event.preventDefault()
    clearProblem()
    try {
      await session.signIn(byId('name').value.trim(), machine.fetch)
      showWho()
      announce(`Signed in as ${session.subject}.`)
      byId('machine').focus()
    } catch (error) {
      showProblem(byId('sign-in-problems'), Problem.from(error))
    }
  }
  byId('sign-in-again').onclick = () => {
    byId('sign-in').hidden = false
    byId('name').select()
  }
  offerProvocations(machine)
}

const link = byId('login-link')
if (link) {
  const url = new URL(link.href)
  url.searchParams.set('return_to', link.dataset.returnTo || location.href)
  link.href = url.href
}
