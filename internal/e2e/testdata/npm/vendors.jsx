// The vendor's own clients, on tokens of farebox. The test sees what is put on
// window.
import { AudioFormat, Scribe } from '@elevenlabs/client'
import { useScribe } from '@elevenlabs/react'
import { createFarebox } from '@farebox/sdk'
import '@farebox/sdk/voice'
import { StrictMode, useEffect, useRef, useState } from 'react'
import { createRoot } from 'react-dom/client'

const parameters = { modelId: 'scribe_v2_realtime', audioFormat: AudioFormat.PCM_16000, sampleRate: 16000 }

/** @param {{baseUrl: string, getSession: () => string}} service */
export function connectClient(service) {
  return createFarebox(service).connectScribe({ ...parameters, connect: (options) => Scribe.connect(options) })
}

/** Mounts a component with a connection in an effect. */
export function mount(service) {
  const root = createRoot(document.body.appendChild(document.createElement('main')))
  const farebox = createFarebox(service)
  root.render(<StrictMode><Live farebox={farebox} /></StrictMode>)
  return root
}

function Live({ farebox }) {
  const scribe = useScribe(parameters)
  const [mounts, count] = useState(0)
  useEffect(() => {
    count((mounts) => mounts + 1)
    const live = farebox.connectScribe({
      ...parameters,
      async connect(options) {
        await scribe.connect(options)
        return scribe.getConnection()
      },
    })
    window.live = live
    return () => live.close()
  }, [])
  return <p data-mounts={mounts} data-status={scribe.status}>{scribe.committedTranscripts.map(({ text }) => text).join(' ')}</p>
}

/** Mounts the element, which an effect starts. */
export function mountVoice(service) {
  const root = createRoot(document.body.appendChild(document.createElement('main')))
  root.render(<StrictMode><Voice service={service} /></StrictMode>)
  return root
}

function Voice({ service }) {
  const voice = useRef()
  const [mounts, count] = useState(0)
  const [state, become] = useState('idle')
  const [text, say] = useState('')
  useEffect(() => {
    count((mounts) => mounts + 1)
    const element = voice.current
    element.start()
    return () => element.stop()
  }, [])
  return <>
    <farebox-voice ref={voice} base-url={service.baseUrl} mode="speak" getSession={service.getSession}
      onstate={({ detail }) => become(detail.state)} ontranscript={({ detail }) => say(detail.text)} />
    <output data-mounts={mounts} data-state={state}>{text}</output>
  </>
}
