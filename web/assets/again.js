// Tries a ticket that can be no good any more, to see it refused.
import { Problem } from './problem.js'
import { connectScribe } from './scribe.js'
import { speak } from './speech.js'
import { recording } from './panel-file.js'
import { transcribe } from './transcribe.js'

/**
 * @param {import('./tickets.js').Ticket} ticket
 * @param {import('./machine.js').Machine} machine
 * @throws {Problem} where nobody could say whether it is taken
 */
export async function tryAgain(ticket, machine) {
  ticket.use()
  try {
    await show(ticket.grant, machine)
    ticket.breakPromise()
  } catch (error) {
    const problem = Problem.from(error)
    if (problem.code === 'auth_error') {
      ticket.refuse(problem.detail)
      return
    }
    ticket.tear('The vendor could not be asked.')
    throw problem
  }
}

/**
 * @param {import('./token.js').Grant} grant
 * @param {import('./machine.js').Machine} machine
 */
async function show(grant, { exchange: { watch }, fetch }) {
  const ignore = () => {}
  switch (grant.tokenType) {
    case 'realtime_scribe':
      (await connectScribe(grant, { watch, onPartial: ignore, onCommitted: ignore, onEnd: ignore })).close()
      break
    case 'tts_websocket':
      await speak(grant, 'Once more', { watch, onAudio: ignore })
      break
    default:
      await transcribe(grant, recording(), 'sample.wav', fetch)
  }
}
