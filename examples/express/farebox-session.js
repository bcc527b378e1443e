// What farebox gets to know of a session of this back end: JWTs that it accepts
// for five minutes, and that the session has ended.
import { randomUUID } from 'node:crypto'
import { SignJWT } from 'jose'
import { sessionKey } from './session-key.js'

const { FAREBOX_URL, FAREBOX_SESSION_ISSUER, FAREBOX_SESSION_AUDIENCE, FAREBOX_LOGOUT_AUDIENCE } = process.env

// The JWT with which the browser asks farebox for tokens. Its sid is not the
// cookie's value: the page's scripts can read it.
export const sessionJwt = ({ id, userId }) => sign({ sid: id }, {
  type: 'JWT', audience: FAREBOX_SESSION_AUDIENCE, subject: userId, lifetime: '5m',
})

// Has farebox refuse the session's JWTs from now on (OpenID Connect Back-Channel
// Logout 1.0). It throws where farebox did not take it.
export async function endAtFarebox({ id, userId }) {
  const event = 'http://schemas.openid.net/event/backchannel-logout'
  const token = await sign({ sid: id, events: { [event]: {} } }, {
    type: 'logout+jwt', audience: FAREBOX_LOGOUT_AUDIENCE, subject: userId, lifetime: '2m',
  })
  const response = await fetch(FAREBOX_URL + '/backchannel-logout', {
    method: 'POST', body: new URLSearchParams({ logout_token: token }), signal: AbortSignal.timeout(5000),
  })
  if (!response.ok) throw new Error(`farebox answered ${response.status} to the logout`)
}

async function sign(claims, { type, audience, subject, lifetime }) {
  const { kid, privateKey } = await sessionKey()
  return new SignJWT(claims)
    .setProtectedHeader({ alg: 'ES256', kid, typ: type })
    .setIssuer(FAREBOX_SESSION_ISSUER).setAudience(audience).setSubject(subject)
    .setIssuedAt().setExpirationTime(lifetime).setJti(randomUUID())
    .sign(privateKey)
}
