// Puts the page together.
import { announce, byId } from './dom.js'
import { clearProblem, showProblem } from './errors.js'
import { Exchange } from './exchange.js'
import { Machine } from './machine.js'
import { AgentPanel } from './panel-agent.js'
import { FilePanel } from './panel-file.js'
import { HearPanel } from './panel-hear.js'
import { SpeakPanel } from './panel-speak.js'
import { Problem } from './problem.js'
import { offerProvocations } from './provoke.js'
import { ride } from './ride.js'
import { watchService } from './service.js'
import { Session, showVisitor } from './session.js'
import { Tickets } from './tickets.js'
import { watchWire } from './wire.js'

const { dev, subject = '' } = document.body.dataset
const isDev = dev !== undefined
const session = new Session(subject)
const tickets = new Tickets(session)
const exchange = new Exchange(session, { isDev, numberOf: (token) => tickets.of(token)?.number })
watchWire(tickets, exchange)
const machine = new Machine({ session, tickets })

tickets.onTry = (ticket) => shown(async () => {
  if (ticket.state === 'fresh' && ticket.owner !== session.subject) throw new Problem(session.subject ? 'not_yours' : 'session_missing', { signIn: !session.subject })
  await ride(ticket)
})

const slot = byId('slot')
for (const button of document.querySelectorAll('[data-print]')) {
  const { dataset } = /** @type {HTMLButtonElement} */ (button)
  button.addEventListener('click', () => shown(async () => {
    if (slot.dataset.busy) return
    slot.dataset.busy = 'true'
    announce('Printing a ticket.')
    try {
      const { element } = await machine.print(dataset.print ?? '')
      element.scrollIntoView({ block: 'nearest' })
    } finally {
      delete slot.dataset.busy
    }
  }))
}

showVisitor(session)
for (const Panel of [SpeakPanel, HearPanel, FilePanel, AgentPanel]) new Panel(machine)
if (isDev) offerProvocations(exchange)
watchService()

/**
 * Does something, and shows at the machine what went wrong with it.
 * @param {() => Promise<void>} action
 */
async function shown(action) {
  clearProblem()
  try {
    await action()
  } catch (error) {
    showProblem(byId('machine-problems'), error)
  }
}
