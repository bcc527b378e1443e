// Shows the last request and its answer, and what was said on a socket after
// it. Sessions and tokens are shortened before they are shown or copied.
import { announce, byId, shorten } from './dom.js'

const shownHeaders = ['Content-Type', 'Cache-Control', 'Retry-After', 'RateLimit', 'RateLimit-Policy',
  'Idempotent-Replayed', 'WWW-Authenticate', 'X-Request-Id']
const secretFields = new Set(['token', 'session', 'single_use_token'])
const socketLines = 14

export class Exchange {
  /** @type {Map<string, string>} what each demo session was asked for with */
  #askedWith = new Map()
  /** @type {{kind: string, text: string, times: number}[]} */
  #lines = []

  /** @param {{jwt: string, subject: string}} session @param {boolean} isDev */
  constructor(session, isDev) {
    this.session = session
    this.isDev = isDev
    byId('copy-curl').onclick = () => copy(byId('curl'))
  }

  /** fetch, seen. @type {typeof fetch} */
  fetch = async (input, init = {}) => {
    const url = new URL(String(input), document.baseURI)
    const began = performance.now()
    const response = await fetch(url, init)
    const text = await response.clone().text()
    const took = performance.now() - began
    if (url.pathname.endsWith('/dev/session') && response.ok) {
      this.#askedWith.set(JSON.parse(text).session, String(init.body))
    }
    byId('request').textContent = this.#request(url, init)
    byId('response').textContent = answer(response, text, took)
    byId('curl').textContent = this.#curl(url, init, response.ok)
    byId('copy-curl').disabled = false
    byId('socket-part').hidden = true
    this.#lines = []
    return response
  }

  /** @type {import('./socket.js').Watch} */
  watch = {
    opened: (address) => {
      this.#lines = []
      const url = new URL(address)
      for (const name of secretFields) {
        const secret = url.searchParams.get(name)
        if (secret) url.searchParams.set(name, shorten(secret))
      }
      this.#say('open', decodeURIComponent(url.href))
      byId('socket-part').hidden = false
    },
    sent: (frame) => this.#say(`→ ${frame.message_type ?? Object.keys(frame)} ${frame.commit ?? ''}`, `→ ${brief(frame)}`),
    received: (frame) => this.#say(`← ${frame.message_type ?? Object.keys(frame)}`, `← ${brief(frame)}`),
    closed: (code) => this.#say('closed', `closed, ${code}`),
  }

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
    const lines = [`${init.method ?? 'GET'} ${url.origin === location.origin ? url.pathname : url.href}`]
    for (const [name, value] of Object.entries(init.headers ?? {})) {
      lines.push(`${name}: ${name === 'Authorization' ? value.replace(/\S+$/, shorten) : value}`)
    }
    const isCookie = init.credentials !== 'omit' && !new Headers(init.headers).has('Authorization')
    if (isCookie && this.session.subject) lines.push('Cookie: the session, which scripts cannot read')
    if (init.body instanceof FormData) {
      lines.push('', ...Array.from(init.body, ([name, value]) => `${name}: ${field(name, value)}`))
    } else if (init.body) {
      lines.push('', String(init.body))
    }
    return lines.join('\n')
  }

  /**
   * A command that does the same. It has no secret in it: it gets its own session.
   * @param {URL} url
   * @param {RequestInit} init
   * @param {boolean} worked
   */
  #curl(url, init, worked) {
    const parts = [`curl ${init.method === 'GET' ? '' : `-X ${init.method} `}${quote(url.href)}`]
    const headers = new Headers(init.headers)
    const authorization = headers.get('Authorization')
    const jwt = authorization?.replace('Bearer ', '') ?? ''
    let before = ''
    if (this.#askedWith.has(jwt) || (!authorization && init.credentials !== 'omit' && !init.body)) {
      before = this.#getSession(this.#askedWith.get(jwt) ?? JSON.stringify({ sub: this.session.subject }))
      parts.push('-H "Authorization: Bearer $SESSION"')
    } else if (authorization) {
      parts.push(`-H ${quote(`Authorization: ${authorization}`)}`)
    }
    // The key of one that worked would only give the same ticket once more.
    const key = headers.get('Idempotency-Key')
    if (key && !worked) parts.push(`-H ${quote(`Idempotency-Key: ${key}`)}`)
    if (init.body instanceof FormData) {
      for (const [name, value] of init.body) {
        parts.push(`-F ${value instanceof File ? quote(`${name}=@${value.name}`) : secretFields.has(name) ? `${name}="$TOKEN"` : `${name}=${value}`}`)
      }
    } else if (init.body) {
      parts.push("-H 'Content-Type: application/json'", `-d ${quote(String(init.body))}`)
    }
    return before + parts.join(' \\\n  ')
  }

  /** @param {string} claims */
  #getSession(claims) {
    if (!this.isDev) return 'SESSION=   # the session JWT of who asks\n'
    const url = quote(new URL('dev/session', document.baseURI).href)
    return `SESSION=$(curl -s ${url} \\\n  -H 'Content-Type: application/json' -d ${quote(claims)} \\\n  | sed 's/.*"session":"\\([^"]*\\)".*/\\1/')\n`
  }
}

/** @param {Response} response @param {string} text @param {number} took */
function answer(response, text, took) {
  const lines = [`${response.status} ${response.statusText}`.trim() + `, ${Math.round(took)} ms`]
  for (const name of shownHeaders) {
    const value = response.headers.get(name)
    if (value) lines.push(`${name}: ${value}`)
  }
  try {
    const hide = (/** @type {string} */ name, /** @type {any} */ value) => (secretFields.has(name) ? shorten(String(value)) : value)
    text = JSON.stringify(JSON.parse(text), hide, 2)
  } catch {
    text = text.slice(0, 500)
  }
  return [...lines, '', text].join('\n')
}

/** @param {string} name @param {FormDataEntryValue} value */
const field = (name, value) => (value instanceof File ? `${value.name}, ${value.size} bytes` : secretFields.has(name) ? shorten(value) : value)

/** @param {Record<string, unknown>} frame */
const brief = (frame) => JSON.stringify(frame, (name, value) => {
  if (/alignment$/i.test(name)) return value && '…'
  return typeof value === 'string' && value.length > 160 ? `${value.length} characters` : value
})

/** @param {string} text as one word of a shell */
const quote = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`)

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
