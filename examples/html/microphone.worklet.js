// Runs on the audio thread: passes on what the microphone hears as 16-bit
// samples, a tenth of a second at a time.
class Microphone extends AudioWorkletProcessor {
  chunk = new Int16Array(Math.round(sampleRate / 10))
  filled = 0

  process([[samples = []]]) {
    for (const sample of samples) {
      this.chunk[this.filled++] = Math.max(-1, Math.min(1, sample)) * 32767
      if (this.filled === this.chunk.length) {
        this.port.postMessage(this.chunk.slice())
        this.filled = 0
      }
    }
    return true
  }
}

registerProcessor('microphone', Microphone)
