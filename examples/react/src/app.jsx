import { createFarebox } from '@farebox/sdk'
import { useState } from 'react'
import { Captions } from './captions.jsx'

const baseUrl = import.meta.env.FAREBOX_URL ?? 'http://localhost:8080'

export function App() {
  const [user, setUser] = useState(null)
  return (
    <>
      <h1>Live captions</h1>
      {user ? (
        <>
          <p>{user.name} <button onClick={() => setUser(null)}>Sign out</button></p>
          <Captions farebox={user.farebox} />
        </>
      ) : <SignIn onSignedIn={setUser} />}
    </>
  )
}

function SignIn({ onSignedIn }) {
  const [error, setError] = useState('')
  async function submit(form) {
    const name = form.get('name')
    try {
      // In memory alone: what is in no storage cannot be read from there.
      let session = await signIn(name)
      const getSession = async ({ renew }) => renew ? session = await signIn(name) : session
      onSignedIn({ name, farebox: createFarebox({ baseUrl, getSession }) })
    } catch (error) {
      setError(`You could not be signed in. ${error.message}`)
    }
  }
  return (
    <form action={submit}>
      <label>Name <input name="name" autoComplete="username" required maxLength={200} /></label>
      <button>Sign in</button>
      <p role="alert">{error}</p>
    </form>
  )
}

// The demo sign-in of `farebox dev` stands for yours, which gives the app a
// session JWT that farebox knows how to verify.
async function signIn(name) {
  const response = await fetch(baseUrl + '/dev/session', { method: 'POST', body: new URLSearchParams({ sub: name }) })
  if (!response.ok) throw new Error((await response.json()).detail)
  return (await response.json()).session
}
