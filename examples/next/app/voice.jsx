'use client'
import { createFarebox } from '@farebox/sdk'
import { useMemo } from 'react'
import { Captions } from './captions.jsx'

export function Voice({ baseUrl }) {
  const farebox = useMemo(() => {
    // In memory alone: what is in no storage cannot be read from there.
    let session
    const getSession = async ({ renew }) => renew ? session = await fetchSession() : session ??= await fetchSession()
    return createFarebox({ baseUrl, getSession })
  }, [baseUrl])
  return <Captions farebox={farebox} />
}

// Gives nothing where the user is not signed in any more.
async function fetchSession() {
  const response = await fetch('/api/voice-session', { method: 'POST' })
  return response.ok ? (await response.json()).session : null
}
