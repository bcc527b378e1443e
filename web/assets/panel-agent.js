// Talk to an agent: the address of one conversation, which comes out as a ticket.
import { byId } from './dom.js'
import { Problem } from './problem.js'
import { Turn } from './turn.js'

export class AgentPanel {
  /** @param {import('./machine.js').Machine} machine */
  constructor(machine) {
    const turn = new Turn([byId('agent-get')], byId('agent-stop'), byId('agent-problems'))
    const say = (/** @type {string} */ text) => { byId('agent-status').textContent = text }
    byId('agent-form').onsubmit = async (/** @type {Event} */ event) => {
      event.preventDefault()
      const id = byId('agent-id').value.trim()
      let isRefused = false
      await turn.run((text) => say(isRefused ? `What names it in the policy file: agents: {"${id}": {}}` : text), async (signal) => {
        say('Asking for the address.')
        try {
          const { signedUrl } = await machine.own(() => machine.farebox.signedUrl(id, { signal }))
          say(`Ticket ${machine.tickets.of(signedUrl).number} is the address of one conversation with ${id}. Your app opens it.`)
        } catch (error) {
          isRefused = Problem.from(error).code === 'agent_not_allowed'
          throw error
        }
      })
    }
  }
}
