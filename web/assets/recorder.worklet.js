// Runs on the audio thread: takes what the microphone hears and passes it on as
// 16-bit samples at the asked rate, a tenth of a second at a time.
import { Resampler } from './resample.js'

class Recorder extends AudioWorkletProcessor {
  /** @param {{processorOptions: {rate: number}}} options */
  constructor({ processorOptions: { rate } }) {
    super()
    this.resampler = new Resampler(sampleRate, rate)
    this.chunk = new Int16Array(rate / 10)
    this.filled = 0
  }

  /** @param {Float32Array[][]} inputs */
  process([channels]) {
    if (!channels?.length) return true
    for (const value of this.resampler.push(channels[0])) {
      this.chunk[this.filled++] = Math.max(-32768, Math.min(32767, Math.round(value * 32767)))
      if (this.filled === this.chunk.length) {
        this.port.postMessage(this.chunk.slice())
        this.filled = 0
      }
    }
    return true
  }
}

registerProcessor('recorder', Recorder)
