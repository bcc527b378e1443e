'use client'
import { useActionState } from 'react'
import { signIn } from './actions.js'

export function SignIn() {
  const [error, submit, isPending] = useActionState(signIn, '')
  return (
    <form action={submit}>
      <label>Name <input name="name" autoComplete="username" required maxLength={32} /></label>
      <label>Password <input name="password" type="password" autoComplete="current-password" required /></label>
      <button disabled={isPending}>Sign in</button>
      <p role="alert">{error}</p>
    </form>
  )
}
