// Where sound comes from: the microphone, or the sample. Both give chunks of a
// tenth of a second, in real time.
import { Problem } from './problem.js'
import { sample } from './sample.js'

/**
 * @typedef {object} Source
 * @property {(onChunk: (samples: Int16Array) => void, onEnd: () => void) => void} start
 * @property {() => void} stop safe to call more than once
 */

/**
 * Asks for the microphone. It is not listened to before start.
 * @param {number} rate samples a second
 * @returns {Promise<Source>}
 * @throws {Problem}
 */
export async function microphone(rate) {
  if (!navigator.mediaDevices || !window.AudioWorkletNode) throw new Problem('microphone_needs_https')
  const context = new AudioContext() // while the click still counts as one
  let stream
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } })
    await context.audioWorklet.addModule('assets/recorder.worklet.js')
    await context.resume()
  } catch (error) {
    stream?.getTracks().forEach((track) => track.stop())
    context.close()
    const refused = error instanceof DOMException && error.name === 'NotAllowedError'
    throw new Problem(refused ? 'microphone_refused' : 'microphone_missing', { detail: String(error) })
  }
  /** @type {AudioWorkletNode | undefined} */
  let recorder
  const stop = () => {
    recorder?.port.close()
    stream.getTracks().forEach((track) => track.stop())
    if (context.state !== 'closed') context.close()
  }
  return {
    start(onChunk, onEnd) {
      recorder = new AudioWorkletNode(context, 'recorder', { numberOfOutputs: 0, processorOptions: { rate } })
      recorder.port.onmessage = ({ data }) => onChunk(data)
      context.createMediaStreamSource(stream).connect(recorder)
      stream.getAudioTracks()[0].onended = onEnd
    },
    stop,
  }
}

/**
 * @param {number} rate samples a second
 * @returns {Source}
 */
export function recorded(rate) {
  const samples = sample(rate)
  const size = rate / 10
  let at = 0
  let timer = 0
  return {
    start(onChunk, onEnd) {
      timer = window.setInterval(() => {
        if (at >= samples.length) {
          clearInterval(timer)
          onEnd()
          return
        }
        onChunk(samples.slice(at, at += size))
      }, 100)
    },
    stop: () => clearInterval(timer),
  }
}
