import { sessionKey } from '../../../lib/session-key.js'

export const dynamic = 'force-dynamic' // the key is this machine's, not the build's

// Farebox reads it to verify the JWTs; a new key is published here before it signs.
export async function GET() {
  return Response.json({ keys: [(await sessionKey()).publicJwk] }, { headers: { 'Cache-Control': 'public, max-age=300' } })
}
