'use server'
// Next.js refuses actions that other sites have caused.
import { refresh } from 'next/cache'
import { cookies } from 'next/headers'
import { endAtFarebox } from '../lib/farebox-session.js'
import { authenticate, begin, cookieName, cookieOptions, end } from '../lib/sessions.js'

export async function signIn(_, form) {
  const user = authenticate(form.get('name'), form.get('password'))
  if (!user) return 'Name and password do not go together.'
  const jar = await cookies()
  end(jar.get(cookieName)?.value)
  jar.set(cookieName, begin(user), cookieOptions)
  refresh()
}

export async function signOut() {
  const jar = await cookies()
  const session = end(jar.get(cookieName)?.value)
  jar.set(cookieName, '', { ...cookieOptions, maxAge: 0 })
  // The user is signed out here whatever farebox says; there, the JWT has five
  // minutes at most.
  if (session) await endAtFarebox(session).catch((error) => console.error(error))
  refresh()
}
