// What the two kinds of socket have in common: JSON frames, and an end that
// comes once.
import { Problem } from './problem.js'

const patience = 10_000 // milliseconds until a silent vendor is given up

/**
 * @typedef {object} Watch where a socket's doings are shown
 * @property {(url: string) => void} opened
 * @property {(frame: Record<string, unknown>) => void} sent
 * @property {(frame: Record<string, unknown>) => void} received
 * @property {(code: number) => void} closed
 */

/**
 * Builds the address at which a token is redeemed.
 * @param {import('./machine.js').Grant} grant
 * @param {string} path
 * @param {Record<string, string>} parameters
 */
export function redeemingUrl(grant, path, parameters) {
  const url = new URL(grant.websocketBaseUrl.replace(/\/$/, '') + path)
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
  url.searchParams.set(grant.tokenParameter, grant.token)
  return url
}

/**
 * Opens a socket. An open socket is not yet an accepted one: only what the
 * vendor says on it tells.
 * @param {URL} url
 * @param {Watch} watch
 * @param {{onOpen?: (send: (frame: object) => void) => void, onFrame: (frame: any) => void, onEnd: (code: number) => void}} handlers
 *   onEnd is called once, whatever ended it
 */
export function openSocket(url, watch, { onOpen, onFrame, onEnd }) {
  const socket = new WebSocket(url)
  watch.opened(url.href)
  const send = (/** @type {any} */ frame) => {
    if (socket.readyState !== WebSocket.OPEN) return
    socket.send(JSON.stringify(frame))
    watch.sent(frame)
  }
  socket.onopen = () => onOpen?.(send)
  socket.onmessage = ({ data }) => {
    let frame
    try {
      frame = JSON.parse(data)
    } catch {
      return // not one of the vendor's; what follows will tell
    }
    watch.received(frame)
    onFrame(frame)
  }
  socket.onclose = ({ code }) => {
    watch.closed(code)
    onEnd(code)
  }
  return { send, close: () => socket.close(1000) }
}

/**
 * A promise that is settled from outside, and fails where nobody does and
 * nothing is heard for too long.
 * @param {number} [milliseconds]
 */
export function verdict(milliseconds = patience) {
  let resolve = () => {}
  let reject = (/** @type {unknown} */ _) => {}
  let timer = 0
  const promise = /** @type {Promise<void>} */ (new Promise((yes, no) => {
    resolve = yes
    reject = no
  }))
  const stop = () => clearTimeout(timer)
  const wait = () => {
    stop()
    timer = window.setTimeout(() => reject(new Problem('socket_silent')), milliseconds)
  }
  wait()
  promise.then(stop, stop)
  return { promise, resolve, reject, /** Something was heard. */ wait }
}
