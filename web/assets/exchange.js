// Shows the last request and its answer, and what was said on a socket.
// Sessions and tokens are shortened before they are shown or copied.
import { command } from './curl.js'
import { announce, byId, shorten } from './dom.js'

const shownHeaders = ['Content-Type', 'Cache-Control', 'Retry-After', 'RateLimit', 'RateLimit-Policy',
  'Idempotent-Replayed', 'WWW-Authenticate', 'X-Request-Id']
const secretFields = new Set(['token', 'session', 'single_use_token', 'signed_url'])
const socketLines = 14

/** @typedef {import('./wire.js').Watcher} Watcher */

/** @implements {Watcher} */
export class Exchange {
  /** Said above the command, such as what else has to be so. */
  remark = ''
  /** @type {Map<string, string>} what each demo session was asked for with */
  #askedWith = new Map()
  /** @type {{kind: string, text: string, times: number}[]} */
  #lines = []
  #token = '' // that the shown answer brought

  /**
   * @param {{jwt: string, subject: string}} session
   * @param {{isDev: boolean, numberOf: (token: string) => number | undefined}} options
   *   numberOf tells a token's ticket
   */
  constructor(session, { isDev, numberOf }) {
    this.session = session
    this.isDev = isDev
    this.numberOf = numberOf
    byId('copy-curl').onclick = () => copy(byId('curl'))
  }

  /**
   * @param {import('./wire.js').Call} call
   * @param {Response | null} response
   * @param {any} body
   * @param {string} text
   */
  answered({ url, init, milliseconds }, response, body, text) {
    const took = `${Math.round(milliseconds)} ms`
    if (url.pathname.endsWith('/dev/session') && response?.ok) this.#askedWith.set(body.session, String(init.body))
    this.#token = body?.token ?? ''
    byId('request').textContent = this.#request(url, init)
    byId('response').textContent = response ? answer(response, body ?? text, took) : `No answer, ${took}\n\n${text}`
    byId('curl').textContent = (this.remark && `# ${this.remark}\n`) +
      command(url, init, { worked: Boolean(response?.ok), claims: this.#claims(init), isDev: this.isDev })
    part('request-part', true)
    part('socket-part', false)
  }

  /**
   * Shows the socket below the request that printed its ticket, if that is still
   * there, else alone.
   * @param {URL} url
   */
  opened(url) {
    this.#lines = []
    const shown = new URL(url)
    const secret = tokenOf(url)
    for (const name of secretFields) if (shown.searchParams.has(name)) shown.searchParams.set(name, shorten(secret))
    byId('socket-title').textContent = `On the socket, with ticket ${this.numberOf(secret) ?? '…'}`
    part('request-part', secret === this.#token)
    part('socket-part', true)
    this.#say('open', decodeURIComponent(shown.href))
  }

  /** @param {URL} _ @param {any} frame */
  sent(_, frame) { this.#say(`→ ${frame.message_type ?? Object.keys(frame)} ${frame.commit ?? ''}`, `→ ${brief(frame)}`) }

  /** @param {URL} _ @param {any} frame */
  received(_, frame) { this.#say(`← ${frame?.message_type ?? Object.keys(frame ?? {})}`, `← ${brief(frame)}`) }

  /** @param {URL} _ @param {number} code */
  closed(_, code) { this.#say('closed', `closed, ${code}`) }

  /**
   * Adds a line, or counts it where one of the last two is of its kind: sound
   * goes out and text comes in by turns.
   * @param {string} kind
   * @param {string} text
   */
  #say(kind, text) {
    const like = this.#lines.slice(-2).find((line) => line.kind === kind)
    if (like) Object.assign(like, { text, times: like.times + 1 })
    else this.#lines.push({ kind, text, times: 1 })
    // The first line is the address.
    if (this.#lines.length > socketLines) this.#lines.splice(1, 1)
    byId('socket').textContent = this.#lines.map((line) => line.text + (line.times > 1 ? `  (${line.times} of these)` : '')).join('\n')
  }

  /** @param {URL} url @param {RequestInit} init */
  #request(url, init) {
    const lines = [`${init.method ?? 'GET'} ${url.origin === location.origin ? url.pathname + url.search : url.href}`]
    for (const [name, value] of Object.entries(init.headers ?? {})) {
      lines.push(`${name}: ${value.replace(/\S{40,}$/, shorten)}`)
    }
    const isCookie = init.credentials !== 'omit' && !new Headers(init.headers).has('Authorization')
    if (isCookie && this.session.subject) lines.push('Cookie: the session, which scripts cannot read')
    if (init.body instanceof FormData) {
      lines.push('', ...Array.from(init.body, ([name, value]) => `${name}: ${field(name, value)}`))
    } else if (init.body) {
      lines.push('', init.body instanceof Blob ? `${init.body.size} bytes` : String(init.body))
    }
    return lines.join('\n')
  }

  /**
   * @param {RequestInit} init
   * @returns {string} what a session like the request's is asked for with; '' for none
   */
  #claims(init) {
    const jwt = new Headers(init.headers).get('Authorization')?.replace('Bearer ', '') ?? ''
    const own = this.session.subject && JSON.stringify({ sub: this.session.subject })
    if (init.body instanceof FormData) return own // the token that is in it was asked for so
    return jwt ? this.#askedWith.get(jwt) ?? '' : init.credentials === 'omit' || init.body ? '' : own
  }
}

/** @param {URL} url of a socket */
const tokenOf = ({ searchParams }) => searchParams.get('token') ?? searchParams.get('single_use_token') ?? ''

/** @param {string} id @param {boolean} isShown */
function part(id, isShown) {
  byId('nothing-yet').hidden = true
  byId(id).hidden = !isShown
}

/** @param {string} text @returns {any} */
function parsed(text) {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

/** @param {Response} response @param {any} body @param {string} took */
function answer(response, body, took) {
  const lines = [`${response.status} ${response.statusText}`.trim() + `, ${took}`]
  for (const name of shownHeaders) {
    const value = response.headers.get(name)
    if (value) lines.push(`${name}: ${value}`)
  }
  const hide = (/** @type {string} */ name, /** @type {any} */ value) => (secretFields.has(name) ? shorten(String(value)) : value)
  return [...lines, '', typeof body === 'string' ? body.slice(0, 500) : JSON.stringify(body, hide, 2)].join('\n')
}

/** @param {string} name @param {FormDataEntryValue} value */
const field = (name, value) => (value instanceof File ? `${value.name}, ${value.size} bytes` : secretFields.has(name) ? shorten(value) : value)

/** @param {Record<string, unknown>} frame */
const brief = (frame) => JSON.stringify(frame, (name, value) => {
  if (/alignment$/i.test(name)) return value && '…'
  return typeof value === 'string' && value.length > 160 ? `${value.length} characters` : value
})

/** @param {HTMLElement} element */
async function copy(element) {
  try {
    await navigator.clipboard.writeText(element.textContent ?? '')
    announce('Copied.')
    byId('copy-curl').textContent = 'Copied'
    setTimeout(() => { byId('copy-curl').textContent = 'Copy' }, 2000)
  } catch {
    // Without https a page may not write the clipboard; the visitor may.
    getSelection()?.selectAllChildren(element)
    announce('Selected. Copy it with the keyboard.')
  }
}
