// The page's own wire, watched: every request and every socket, whether the page
// or the SDK makes it. What the page shows of them is what went over it.

/**
 * @typedef {object} Watcher what is told, each as it happens
 * @property {(call: Call) => void} [asked]
 * @property {(call: Call, response: Response | null, body: any, text: string) => void} [answered]
 *   response is null where no answer came, and text then says why; body is the
 *   JSON, or null
 * @property {(url: URL) => void} [opened]
 * @property {(url: URL, frame: any) => void} [sent]
 * @property {(url: URL, frame: any) => void} [received]
 * @property {(url: URL, code: number) => void} [closed]
 */

/**
 * @typedef {object} Call
 * @property {URL} url
 * @property {RequestInit} init
 * @property {number} milliseconds until the answer was there
 */

/** fetch, unwatched: for what is no doing of the visitor's. */
export const quietly = window.fetch.bind(window)

/**
 * From now on watchers are told, in their order.
 * @param {...Watcher} watchers
 */
export function watchWire(...watchers) {
  /** @type {(what: keyof Watcher, ...facts: any[]) => void} */
  const tell = (what, ...facts) => watchers.forEach((/** @type {any} */ watcher) => watcher[what]?.(...facts))

  window.fetch = async (input, init = {}) => {
    const call = { url: new URL(String(input), document.baseURI), init, milliseconds: 0 }
    const began = performance.now()
    tell('asked', call)
    try {
      const response = await quietly(call.url, init)
      const text = await response.clone().text()
      call.milliseconds = performance.now() - began
      tell('answered', call, response, parsed(text), text)
      return response
    } catch (error) {
      call.milliseconds = performance.now() - began
      tell('answered', call, null, null, String(error))
      throw error
    }
  }

  window.WebSocket = class extends window.WebSocket {
    #url

    /** @param {string | URL} url @param {string | string[]} [protocols] */
    constructor(url, protocols) {
      super(url, protocols)
      this.#url = new URL(url)
      tell('opened', this.#url)
      this.addEventListener('message', ({ data }) => tell('received', this.#url, parsed(data)))
      this.addEventListener('close', ({ code }) => tell('closed', this.#url, code))
    }

    /** @param {any} data */
    send(data) {
      super.send(data)
      if (this.readyState === WebSocket.OPEN) tell('sent', this.#url, parsed(data))
    }
  }
}

/** @param {any} text @returns {any} */
function parsed(text) {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
