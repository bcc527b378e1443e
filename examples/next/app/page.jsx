import { cookies } from 'next/headers'
import { cookieName, find } from '../lib/sessions.js'
import { signOut } from './actions.js'
import { SignIn } from './sign-in.jsx'
import { Voice } from './voice.jsx'

export default async function Page() {
  const session = find((await cookies()).get(cookieName)?.value)
  if (!session) return <SignIn />
  return (
    <>
      <form action={signOut}><button>Sign out</button></form>
      <Voice baseUrl={process.env.FAREBOX_URL} />
    </>
  )
}
