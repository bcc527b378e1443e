// The state of the service as a visitor may see it: the status of /health/ready,
// and whether this browser is online at all.
import { announce, byId } from './dom.js'
import { quietly } from './wire.js'

const every = 15_000 // milliseconds between two looks while the page is seen
const goodNews = 10_000 // milliseconds that it is told

/** @type {Record<string, [word: string, note: string]>} */
const states = {
  open: ['In service', ''],
  closed: ['Out of service', 'The service answers, and takes nobody just now. This page keeps looking.'],
  away: ['Out of reach', 'The service does not answer. This page keeps looking.'],
  offline: ['You are offline', 'Nothing can be printed until you are back. Tickets that lie here run out all the same.'],
}

/** Shows the state from now on. */
export function watchService() {
  const lamp = byId('lamp')
  const note = byId('service-note')
  let shown = ''

  const show = (/** @type {string} */ state) => {
    if (state === shown) return
    const [word, text] = states[state]
    lamp.dataset.state = state
    lamp.textContent = word
    const isBack = shown && state === 'open'
    note.textContent = isBack ? 'Back in service. Press again what did not work.' : text
    if (isBack) setTimeout(() => shown === 'open' && note.replaceChildren(), goodNews)
    if (shown || text) announce(`${word}. ${note.textContent}`)
    shown = state
  }
  const look = async () => {
    if (!navigator.onLine) return show('offline')
    if (document.hidden) return
    try {
      const { ok } = await quietly('health/ready', { cache: 'no-store', signal: AbortSignal.timeout(5000) })
      show(ok ? 'open' : 'closed')
    } catch {
      show(navigator.onLine ? 'away' : 'offline')
    }
  }
  window.addEventListener('offline', look)
  window.addEventListener('online', look)
  document.addEventListener('visibilitychange', look)
  setInterval(look, every)
  look()
}
