import { openMicrophone } from './microphone.js'

const find = (id) => document.getElementById(id)
const [start, stop] = [find('start'), find('stop')]

// Live captions of the microphone, on tokens of farebox.
export function showCaptions(farebox) {
  find('captions').hidden = false
  start.onclick = async () => {
    start.disabled = true
    find('error').textContent = ''
    let scribe
    try {
      // The microphone first, so that somebody who says no costs no token.
      const microphone = await openMicrophone((audioBase64) => scribe.send({ audioBase64 }))
      scribe = connect(farebox, microphone)
      await microphone.start()
    } catch (error) {
      scribe?.close()
      show(error)
      start.disabled = false
    }
  }
}

function connect(farebox, microphone) {
  const scribe = farebox.connectScribe({
    modelId: 'scribe_v2_realtime', audioFormat: `pcm_${microphone.sampleRate}`, sampleRate: microphone.sampleRate,
    commitStrategy: 'vad',
  })
  find('status').textContent = 'Connecting …'
  scribe.on('accepted', () => {
    find('status').textContent = 'Listening.'
    stop.disabled = false
  })
  // What is said meanwhile is kept, and sent on the next socket.
  scribe.on('reconnecting', () => find('status').textContent = 'Connecting again …')
  scribe.on('partial_transcript', ({ text }) => find('partial').textContent = text)
  scribe.on('committed_transcript', ({ text }) => {
    find('committed').append(Object.assign(document.createElement('li'), { textContent: text }))
    find('partial').textContent = ''
  })
  scribe.on('ended', (error) => {
    microphone.stop()
    find('status').textContent = ''
    start.disabled = false
    stop.disabled = true
    if (error && error.code !== 'aborted') show(error)
  })
  stop.onclick = () => {
    stop.disabled = true
    microphone.stop()
    // The last words come with the commit, if there are any.
    if (!find('partial').textContent) return scribe.close()
    for (const event of ['committed_transcript', 'commit_throttled', 'reconnecting']) scribe.on(event, () => scribe.close())
    scribe.send({ audioBase64: '', commit: true })
  }
  return scribe
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
const show = (error) => {
  find('error').textContent = words[error.code] ?? words[error.name] ?? `That did not work. ${error.message}`
}
