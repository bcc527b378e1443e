// Where sound comes from: the microphone, or the sample. Both give chunks of a
// tenth of a second, in real time.
import { openMicrophone } from '../sdk/audio/microphone.js'
import { Problem } from './problem.js'

/** @typedef {import('../sdk/audio/microphone.js').Source} Source */

const worklet = new URL('../sdk/audio/recorder.worklet.js', import.meta.url)

/**
 * Asks for the microphone. It is not listened to before start.
 * @param {number} rate samples a second
 * @returns {Promise<Source>}
 * @throws {Problem}
 */
export const microphone = (rate) => openMicrophone(rate, worklet)
  .catch((error) => { throw new Problem(error.code, { detail: error.message }) })

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

/**
 * Wraps samples in the header of a WAV file (RIFF, PCM, mono).
 * @param {Int16Array} samples
 * @param {number} rate samples a second
 * @returns {Blob}
 */
function wav(samples, rate) {
  const header = new DataView(new ArrayBuffer(44))
  const text = (/** @type {number} */ at, /** @type {string} */ word) =>
    [...word].forEach((char, i) => header.setUint8(at + i, char.charCodeAt(0)))
  text(0, 'RIFF')
  header.setUint32(4, 36 + samples.byteLength, true)
  text(8, 'WAVEfmt ')
  header.setUint32(16, 16, true)
  header.setUint16(20, 1, true) // PCM
  header.setUint16(22, 1, true) // mono
  header.setUint32(24, rate, true)
  header.setUint32(28, rate * 2, true)
  header.setUint16(32, 2, true)
  header.setUint16(34, 16, true)
  text(36, 'data')
  header.setUint32(40, samples.byteLength, true)
  return new Blob([header, /** @type {any} */ (samples)], { type: 'audio/wav' })
}

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
