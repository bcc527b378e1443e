// Where sound comes from: the microphone, or the sample. Both give chunks of a
// tenth of a second, in real time.
import { wav } from './pcm.js'
import { Problem } from './problem.js'

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

/**
 * @param {number} rate samples a second
 * @returns {File} the sample, as a recording
 */
export const recording = (rate) => new File([wav(sample(rate), rate)], 'sample.wav', { type: 'audio/wav' })

// The sample: three sung vowels, made here. They are like a voice in pitch and
// formants, and say nothing.
const pitch = 130 // Hz
const vowels = [[730, 1090], [270, 2290], [570, 840]] // the first two formants of ah, ee, oh, in Hz
const vowelSeconds = 0.7
const pauseSeconds = 0.2

/**
 * @param {number} rate samples a second
 * @returns {Int16Array} 2.7 seconds, mono
 */
function sample(rate) {
  const each = Math.round((vowelSeconds + pauseSeconds) * rate)
  const samples = new Int16Array(each * vowels.length)
  vowels.forEach((formants, i) => sing(samples.subarray(i * each, (i + 1) * each), formants, rate))
  return samples
}

/**
 * Adds up the harmonics of the pitch, each as strong as the formants make it.
 * @param {Int16Array} into
 * @param {number[]} formants
 * @param {number} rate
 */
function sing(into, formants, rate) {
  const length = Math.round(vowelSeconds * rate)
  for (let harmonic = 1; harmonic * pitch < 3500; harmonic++) {
    const hertz = harmonic * pitch
    const strength = formants.reduce((sum, formant) => sum + 1 / (1 + ((hertz - formant) / 120) ** 2), 0) / harmonic ** 0.5
    for (let i = 0; i < length; i++) {
      const swell = Math.sin(Math.PI * i / length) ** 0.5
      into[i] += 5500 * strength * swell * Math.sin(2 * Math.PI * hertz * i / rate)
    }
  }
}
