'use client'
import { useScribe } from '@elevenlabs/react'
import { useEffect, useRef, useState } from 'react'

const parameters = { modelId: 'scribe_v2_realtime', commitStrategy: 'vad', microphone: { echoCancellation: true } }

// Live captions of the microphone, on tokens of farebox. Each start is a take with
// a connection of its own.
export function Captions({ farebox }) {
  const [take, setTake] = useState(0)
  const [error, setError] = useState(null)
  async function start() {
    try {
      // Asked for ahead, so that somebody who says no costs no token.
      const stream = await navigator.mediaDevices.getUserMedia({ audio: true })
      stream.getTracks().forEach((track) => track.stop())
      setError(null)
      setTake(take + 1)
    } catch (error) {
      setError(error)
    }
  }
  return (
    <>
      <button onClick={start}>Start</button>
      {take > 0 && <Take key={take} farebox={farebox} onFailed={setError} />}
      <p role="alert">{error && describe(error)}</p>
    </>
  )
}

function Take({ farebox, onFailed }) {
  const { connect, getConnection, commit, partialTranscript, committedTranscripts } = useScribe(parameters)
  const [state, setState] = useState('Connecting …')
  const live = useRef(null)

  useEffect(() => {
    // On each socket, the first and those after a drop, is a new token.
    const connection = live.current = farebox.connectScribe({
      ...parameters,
      async connect(options) {
        await connect(options)
        return getConnection()
      },
    })
    connection.on('accepted', () => setState('Listening.'))
    connection.on('reconnecting', () => setState('Connecting again …'))
    connection.on('ended', (error) => {
      if (error?.code === 'aborted') return // by close(), which StrictMode calls too
      setState('Stopped.')
      if (error) onFailed(error)
    })
    return () => connection.close()
  }, [farebox, connect, getConnection, onFailed])

  function stop() {
    const close = () => {
      live.current.close()
      setState('Stopped.')
    }
    if (state !== 'Listening.' || !partialTranscript) return close()
    // The last words come with the commit, if there are any.
    setState('Stopping …')
    for (const event of ['committed_transcript', 'commit_throttled', 'reconnecting']) live.current.on(event, close)
    commit()
  }

  return (
    <>
      <button onClick={stop} disabled={state.startsWith('Stop')}>Stop</button>
      <p role="status">{state}</p>
      <ol>{committedTranscripts.map(({ id, text }) => <li key={id}>{text}</li>)}</ol>
      <p className="partial">{partialTranscript}</p>
    </>
  )
}

const words = {
  NotAllowedError: 'The microphone is not allowed.',
  NotFoundError: 'There is no microphone.',
  session_missing: 'You are not signed in any more. Load the page again.',
  session_revoked: 'You are not signed in any more. Load the page again.',
  rate_limited: 'That was too often. Try again in a minute.',
  quota_exhausted: 'That was all for today.',
  network: 'There is no connection.',
}
const describe = (error) => words[error.code] ?? words[error.name] ?? `That did not work. ${error.message}`
