// Who is signed in. Yours are a user table, or a login provider, and a store that
// all instances share.
import { randomBytes, randomUUID } from 'node:crypto'

const lifetime = 8 * 60 * 60 * 1000
const secure = process.env.NODE_ENV === 'production'
// Next.js loads this module more than once.
const sessions = globalThis.sessions ??= new Map()

// __Host- keeps other hosts of the domain from setting it; it needs https.
export const cookieName = secure ? '__Host-session' : 'session'
// httpOnly keeps scripts from reading it, lax keeps it out of other sites' posts.
export const cookieOptions = { httpOnly: true, sameSite: 'lax', secure, path: '/' }

// Gives the user, or nothing.
export function authenticate(name, password) {
  if (/^\w{1,32}$/.test(name) && password === 'demo') return { id: `user-${name}` }
}

// Begins a session of the user, and gives the value of its cookie.
export function begin(user) {
  const secret = randomBytes(32).toString('base64url')
  sessions.set(secret, { id: randomUUID(), userId: user.id, expires: Date.now() + lifetime })
  return secret
}

// Gives the session of a cookie, or nothing.
export function find(secret) {
  const session = sessions.get(secret)
  if (session?.expires > Date.now()) return session
  sessions.delete(secret)
}

// Ends the session of a cookie, and gives it, or nothing where there is none.
export function end(secret) {
  const session = find(secret)
  sessions.delete(secret)
  return session
}
