// Plays sound as it comes, and draws the wave of it: played in the accent,
// still to come in grey.

const grace = 1000 // milliseconds after the sound should be over

export class Player {
  #context = new AudioContext()
  #due = 0 // when the next chunk begins, on the context's clock
  #begin = 0
  /** @type {Int16Array[]} */
  #chunks = []
  #total = 0
  /** @type {Promise<void>} */
  #last = Promise.resolve()
  #drawing = 0
  #stopped = () => {}
  /** @type {Promise<boolean>} */
  #stop = new Promise((resolve) => { this.#stopped = () => resolve(false) })

  /**
   * To be made in the visitor's click: browsers play nothing before one.
   * @param {HTMLCanvasElement} canvas
   * @param {number} rate samples a second
   */
  constructor(canvas, rate) {
    this.canvas = canvas
    this.rate = rate
    this.still = matchMedia('(prefers-reduced-motion: reduce)').matches
    this.#context.resume()
    this.#draw()
  }

  /** @returns {number} how much sound has come */
  get seconds() { return this.#total / this.rate }

  /** @param {Int16Array} samples */
  play(samples) {
    if (!samples.length || this.#context.state === 'closed') return
    const buffer = this.#context.createBuffer(1, samples.length, this.rate)
    buffer.copyToChannel(Float32Array.from(samples, (value) => value / 32768), 0)
    const source = this.#context.createBufferSource()
    source.buffer = buffer
    source.connect(this.#context.destination)
    if (!this.#chunks.length) this.#due = this.#begin = this.#context.currentTime + 0.1
    this.#due = Math.max(this.#due, this.#context.currentTime)
    source.start(this.#due)
    this.#due += buffer.duration
    this.#chunks.push(samples)
    this.#total += samples.length
    this.#last = new Promise((resolve) => { source.onended = () => resolve() })
    if (this.still) this.#draw()
    else this.#drawing ||= requestAnimationFrame(() => this.#follow())
  }

  /** @returns {Promise<boolean>} whether all that has come was heard; a browser may keep silent, and then it would have been */
  async heard() {
    const wait = (this.#due - this.#context.currentTime) * 1000 + grace
    const heard = await Promise.race([this.#last.then(() => true), this.#stop, new Promise((resolve) => setTimeout(resolve, wait, false))])
    this.stop()
    return heard
  }

  /** Ends it, and leaves the wave. */
  stop() {
    cancelAnimationFrame(this.#drawing)
    this.#drawing = 0
    this.#stopped()
    this.#draw()
    if (this.#context.state !== 'closed') this.#context.close()
  }

  #follow() {
    this.#draw()
    this.#drawing = requestAnimationFrame(() => this.#follow())
  }

  #draw() {
    const { canvas } = this
    const width = canvas.width = Math.round(canvas.clientWidth * devicePixelRatio)
    const height = canvas.height = Math.round(canvas.clientHeight * devicePixelRatio)
    const pen = canvas.getContext('2d')
    if (!pen) return
    const style = getComputedStyle(canvas)
    const [accent, grey] = ['--accent', '--edge'].map((name) => style.getPropertyValue(name))
    const heard = this.still ? 1 : (this.#context.currentTime - this.#begin) / (this.seconds || 1)
    const bar = 3 * devicePixelRatio
    const bars = Math.floor(width / bar)
    const loudness = this.#loudness(bars)
    for (let i = 0; i < bars; i++) {
      const tall = Math.max(devicePixelRatio, Math.min(1, loudness[i] * 2) * height)
      pen.fillStyle = this.#total && i / bars < heard ? accent : grey
      pen.fillRect(i * bar, (height - tall) / 2, bar * 0.66, tall)
    }
  }

  /**
   * @param {number} count
   * @returns {Float32Array} the root mean square of each part, 0 to 1: peaks
   *   would all be as tall as each other
   */
  #loudness(count) {
    const sums = new Float32Array(count)
    let at = 0
    for (const chunk of this.#chunks) {
      for (const value of chunk) sums[Math.floor(at++ * count / this.#total)] += (value / 32768) ** 2
    }
    return sums.map((sum) => Math.sqrt(sum * count / this.#total))
  }
}
