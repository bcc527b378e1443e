// One turn at a time: a part of the page that is busy cannot be started again,
// and can be stopped.
import { clearProblem, showProblem } from './errors.js'
import { Problem } from './problem.js'

export class Turn {
  /** @type {AbortController | null} */
  #now = null

  /**
   * @param {HTMLElement[]} starts the buttons that begin a turn
   * @param {HTMLElement} stop the button that ends it
   * @param {HTMLElement} problems where it is shown what went wrong
   */
  constructor(starts, stop, problems) {
    this.starts = starts
    this.stop = stop
    this.problems = problems
    stop.onclick = () => {
      this.#now?.abort(new Problem('stopped'))
      this.#mark()
    }
    this.#mark()
  }

  get busy() { return this.#now !== null }

  /**
   * @param {(text: string) => void} say tells how it ended, if not well
   * @param {(stop: AbortSignal) => Promise<void>} work stop is aborted, with a
   *   problem, when Stop is pressed
   */
  async run(say, work) {
    if (this.#now) return
    clearProblem()
    this.#now = new AbortController()
    this.#mark()
    try {
      await work(this.#now.signal)
    } catch (error) {
      const isStopped = Problem.from(error).code === 'stopped'
      say(isStopped ? 'Stopped.' : '')
      if (!isStopped) showProblem(this.problems, error)
    } finally {
      this.#now = null
      this.#mark()
    }
  }

  // A button that is disabled would take the focus with it.
  #mark() {
    for (const start of this.starts) start.setAttribute('aria-disabled', String(this.busy))
    this.stop.setAttribute('aria-disabled', String(!this.#now || this.#now.signal.aborted))
  }
}
