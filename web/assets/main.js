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
import { Session, showVisitor } from './session.js'
import { Tickets } from './tickets.js'

const { dev, subject = '' } = document.body.dataset
const isDev = dev !== undefined
const session = new Session(subject)
const exchange = new Exchange(session, isDev)
const machine = new Machine({ session, exchange, tickets: new Tickets() })

/** @type {Record<string, {turn: import('./turn.js').Turn, runWith(ticket: import('./tickets.js').Ticket): Promise<void>}>} */
const panels = { realtime_scribe: new SpeakPanel(machine), tts_websocket: new HearPanel(machine), batch_scribe: new FilePanel(machine) }

/** @param {import('./tickets.js').Ticket} ticket */
machine.onTry = (ticket) => shown(async () => {
  if (ticket.state !== 'fresh') return tryAgain(ticket, machine)
  if (ticket.owner !== session.subject) throw new Problem(session.subject ? 'not_yours' : 'session_missing', { signIn: true })
  const panel = panels[ticket.grant.tokenType]
  if (panel?.turn.busy) throw new Problem('panel_busy')
  return panel?.runWith(ticket)
})

const slot = byId('slot')
for (const button of document.querySelectorAll('[data-print]')) {
  const { dataset } = /** @type {HTMLButtonElement} */ (button)
  button.addEventListener('click', () => shown(async () => {
    if (slot.dataset.busy) return
    slot.dataset.busy = 'true'
    announce('Printing a ticket.')
    try {
      const ticket = await machine.print(dataset.print ?? '')
      ticket.element.scrollIntoView({ block: 'nearest' })
    } finally {
      delete slot.dataset.busy
    }
  }))
}

showVisitor(machine)
if (isDev) offerProvocations(machine)

/**
 * Does something, and shows at the machine what went wrong with it.
 * @param {() => Promise<void>} action
 */
async function shown(action) {
  clearProblem()
  try {
    await action()
  } catch (error) {
    showProblem(byId('machine-problems'), Problem.from(error))
  }
}
