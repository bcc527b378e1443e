// One turn at a time: a part of the page that is busy cannot be started again,
// and can be stopped.
import { Problem } from './problem.js'

export class Turn {
  /** @type {AbortController | null} */
  #now = null

  /**
   * @param {HTMLElement[]} starts the buttons that begin a turn
   * @param {HTMLElement} stop the button that ends it
   */
  constructor(starts, stop) {
    this.starts = starts
    this.stop = stop
    stop.onclick = () => {
      this.#now?.abort(new Problem('stopped'))
      this.#mark()
    }
    this.#mark()
  }

  get busy() { return this.#now !== null }

  /** @returns {AbortSignal} aborted with a problem when Stop is pressed */
  begin() {
    this.#now = new AbortController()
    this.#mark()
    return this.#now.signal
  }

  end() {
    this.#now = null
    this.#mark()
  }

  // A button that is disabled would take the focus with it.
  #mark() {
    for (const start of this.starts) start.setAttribute('aria-disabled', String(this.busy))
    this.stop.setAttribute('aria-disabled', String(!this.#now || this.#now.signal.aborted))
  }
}
