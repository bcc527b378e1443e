import { cookies } from 'next/headers'
import { sessionJwt } from '../../../lib/farebox-session.js'
import { cookieName, find } from '../../../lib/sessions.js'

export async function POST(request) {
  // The cookie alone does not tell who has caused a request.
  if (request.headers.get('Sec-Fetch-Site') !== 'same-origin') return answer(403, { error: 'Requests from other sites are refused.' })
  const session = find((await cookies()).get(cookieName)?.value)
  if (!session) return answer(401, { error: 'You are not signed in.' })
  return answer(200, { session: await sessionJwt(session) })
}

const answer = (status, body) => Response.json(body, { status, headers: { 'Cache-Control': 'no-store' } })
