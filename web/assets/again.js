// Tries a ticket that can be no good any more, to see it refused.
import { transcribe } from './panel-file.js'
import { Problem } from './problem.js'
import { connectScribe, scribeRate } from './scribe.js'
import { recording } from './sources.js'
import { speak } from './speech.js'

const patience = 30_000 // milliseconds

/**
 * @param {import('./tickets.js').Ticket} ticket
 * @param {import('./machine.js').Machine} machine
 * @throws {Problem} where nobody could say whether it is taken
 */
export async function tryAgain(ticket, machine) {
  ticket.use()
  try {
    await show(ticket, machine)
    ticket.taken()
  } catch (error) {
    const problem = Problem.from(error)
    if (problem.code === 'auth_error') {
      ticket.refuse(problem.detail)
      return
    }
    ticket.unanswered()
    throw problem
  }
}

/**
 * @param {import('./tickets.js').Ticket} ticket
 * @param {import('./machine.js').Machine} machine
 */
async function show(ticket, { exchange, fetch }) {
  const ignore = () => {}
  const { grant } = ticket
  const watch = exchange.watch(ticket)
  switch (grant.tokenType) {
    case 'realtime_scribe':
      (await connectScribe(grant, { watch, onPartial: ignore, onCommitted: ignore, onEnd: ignore })).close()
      break
    case 'tts_websocket':
      await speak(grant, 'Once more', { watch, onAudio: ignore })
      break
    default:
      await transcribe(grant, recording(scribeRate), fetch, AbortSignal.timeout(patience))
  }
}
