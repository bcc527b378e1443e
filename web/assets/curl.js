// A command that does the same as a request of the page. It has no secret in
// it: it gets its own session, and its own token.

/**
 * @param {URL} url
 * @param {RequestInit} init
 * @param {{worked: boolean, claims: string, isDev: boolean}} how
 *   claims are what a session is asked for with, '' for none
 */
export function command(url, init, { worked, claims, isDev }) {
  const parts = [`curl ${init.method === 'GET' ? '' : `-X ${init.method} `}${quote(url.href)}`]
  const headers = new Headers(init.headers)
  const authorization = headers.get('Authorization')
  const { body } = init
  let before = claims && (isDev ? session(claims) : 'SESSION=   # the session JWT of who asks\n')
  if (body instanceof FormData) {
    before += `${token()}# your-recording.wav is a recording that you have\n`
    for (const [name, value] of body) {
      parts.push(value instanceof File ? '-F file=@your-recording.wav' : /token$/.test(name) ? `-F ${name}="$TOKEN"` : `-F ${name}=${value}`)
    }
  } else if (claims) {
    parts.push(bearer)
  } else if (authorization) {
    parts.push(`-H ${quote(`Authorization: ${authorization}`)}`)
  }
  // The key of one that worked would only give the same ticket once more.
  const key = headers.get('Idempotency-Key')
  if (key && !worked) parts.push(`-H ${quote(`Idempotency-Key: ${key}`)}`)
  if (body instanceof Blob) {
    before += `head -c ${body.size} /dev/zero | `
    parts.push('--data-binary @-')
  } else if (typeof body === 'string') {
    parts.push("-H 'Content-Type: application/json'", `-d ${quote(body)}`)
  }
  return before + parts.join(' \\\n  ')
}

const bearer = '-H "Authorization: Bearer $SESSION"'

/** @param {string} claims */
const session = (claims) => `SESSION=$(curl -s ${here('dev/session')} \\
  -H 'Content-Type: application/json' -d ${quote(claims)} \\
  | ${pick('session')})\n`

const token = () => `TOKEN=$(curl -s -X POST ${here('v1/single-use-token/batch_scribe')} \\
  ${bearer} \\
  | ${pick('token')})\n`

/** @param {string} path */
const here = (path) => quote(new URL(path, document.baseURI).href)

/** @param {string} name of the field that is taken out of an answer */
const pick = (name) => `sed 's/.*"${name}":"\\([^"]*\\)".*/\\1/'`

/** @param {string} text as one word of a shell */
const quote = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`)
