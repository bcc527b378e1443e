// Runs on the audio thread: takes what the microphone hears and passes it on as
// 16-bit samples at the asked rate, a tenth of a second at a time.

const reach = 16 // zero crossings on each side

// Changes the rate of a stream of samples: a polyphase windowed-sinc filter,
// which keeps what is too high for the new rate from folding back as noise.
class Resampler {
  #history = new Float32Array(0)
  #time = 0 // of the next output, in 1/up of an input sample, from the history's start

  /**
   * @param {number} from samples a second
   * @param {number} to samples a second
   */
  constructor(from, to) {
    const common = divisor(from, to)
    this.up = to / common
    this.down = from / common
    const cutoff = Math.min(1, to / from) * 0.94 // a little below, for the slope
    this.half = Math.ceil(reach / cutoff)
    this.phases = Array.from({ length: this.up }, (_, phase) => kernel(phase / this.up, this.half, cutoff))
    this.#history = new Float32Array(this.half)
  }

  /**
   * @param {Float32Array} input any number of samples
   * @returns {Float32Array} as many as are due by now
   */
  push(input) {
    const all = new Float32Array(this.#history.length + input.length)
    all.set(this.#history)
    all.set(input, this.#history.length)
    const taps = 2 * this.half
    const output = []
    for (let start; (start = Math.floor(this.#time / this.up)) + taps <= all.length; this.#time += this.down) {
      const weights = this.phases[this.#time % this.up]
      let sum = 0
      for (let i = 0; i < taps; i++) sum += weights[i] * all[start + i]
      output.push(sum)
    }
    const done = Math.min(Math.floor(this.#time / this.up), all.length)
    this.#history = all.slice(done)
    this.#time -= done * this.up
    return Float32Array.from(output)
  }
}

/**
 * The filter for an output that lies fraction of a sample after the tap half - 1.
 * @param {number} fraction
 * @param {number} half
 * @param {number} cutoff 1 for half the input's rate
 */
function kernel(fraction, half, cutoff) {
  const weights = Float32Array.from({ length: 2 * half }, (_, i) => {
    const x = i - half + 1 - fraction
    const window = 0.42 + 0.5 * Math.cos(Math.PI * x / half) + 0.08 * Math.cos(2 * Math.PI * x / half) // Blackman
    const sinc = x === 0 ? 1 : Math.sin(Math.PI * x * cutoff) / (Math.PI * x * cutoff)
    return cutoff * sinc * window
  })
  const sum = weights.reduce((a, b) => a + b)
  return weights.map((weight) => weight / sum)
}

/** @type {(a: number, b: number) => number} */
const divisor = (a, b) => (b ? divisor(b, a % b) : a)

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
