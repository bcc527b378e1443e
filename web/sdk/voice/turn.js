// One turn of speaking or hearing. It is asked to end, with its last words, or
// made to end at once.

/** @type {(signal: AbortSignal) => Promise<never>} */
const abortOf = (signal) => new Promise((_, reject) => {
  const stop = () => reject(signal.reason)
  if (signal.aborted) stop()
  signal.addEventListener('abort', stop)
})

export class Turn {
  #asked = new AbortController()
  #made = new AbortController()

  /** @param {'speak' | 'hear'} kind */
  constructor(kind) { this.kind = kind }

  /** Whether it was asked to end. */
  get isEnding() { return this.#asked.signal.aborted }

  /** @throws where it was asked to end */
  check() { this.#asked.signal.throwIfAborted() }

  /**
   * @template T
   * @param {Promise<T>} promise
   * @returns {Promise<T>} rejects when it is asked to end
   */
  until(promise) { return Promise.race([promise, abortOf(this.#asked.signal)]) }

  /**
   * @template T
   * @param {Promise<T>} promise
   * @returns {Promise<T>} rejects when it is made to end
   */
  atLast(promise) { return Promise.race([promise, abortOf(this.#made.signal)]) }

  /** Asks it to end; asked twice, it is made to. */
  ask() { (this.isEnding ? this.#made : this.#asked).abort() }

  /** Makes it end. */
  end() {
    this.#asked.abort()
    this.#made.abort()
  }
}
