// In dev alone: makes each thing go wrong once, so that one can see what a
// caller gets.
import { after, byId, make } from './dom.js'
import { clearProblem, showProblem } from './errors.js'
import { fareboxFor } from './machine.js'
import { Problem } from './problem.js'
import { demoSession } from './session.js'
import { quietly } from './wire.js'

const type = 'realtime_scribe'
const path = `v1/single-use-token/${type}`
const tries = 8 // until a vendor that fails shows: tickets may have been ready before

// A key that the vendor refused is set aside for a while.
let usable = Promise.resolve()

/** @typedef {import('./exchange.js').Exchange} Exchange */

/** @type {[name: string, label: string, code: string, run: (exchange: Exchange) => Promise<unknown>][]} */
const provocations = [
  ['too-many', 'Ask too often', '429 rate_limited', tooMany],
  ['session-over', 'Let the session run out', '401 session_expired', sessionOver],
  ['session-damaged', 'Damage the session', '401 session_invalid', () => ask('not.a.session')],
  ['session-missing', 'Come without a session', '401 session_missing', () => ask('')],
  ['vendor-away', 'Send the vendor away', '503 vendor_unavailable', (exchange) => withFault('server_error', exchange)],
  ['vendor-refuses', 'Use up the credits', '503 vendor_refused', (exchange) => withFault('credits_exhausted', exchange)],
  ['vendor-odd', 'Answer without a token', '502 vendor_error', (exchange) => withFault('no_token', exchange)],
  ['agent', 'Ask for an unknown agent', '403 agent_not_allowed', async () => stranger(await strangersSession()).signedUrl('agent_nobody_named')],
  ['key-reused', 'Use one key twice', '422 idempotency_key_reused', keyReused],
  ['malformed', 'Send a bad key', '400 invalid_request', async () => ask(await strangersSession(), type, 'two words')],
  ['unknown-type', 'Ask for another ticket', '404 unknown_token_type', async () => ask(await strangersSession(), 'paper')],
  ['not-found', 'Go to a wrong address', '404 not_found', () => send('v1/tickets')],
  ['too-large', 'Send too much', '413 request_too_large', () => send(path, { method: 'POST', body: new Blob([new Uint8Array(17_000)]) })],
  ['wrong-method', 'Use the wrong method', '405 method_not_allowed', () => send(path)],
]

/** @param {Exchange} exchange */
export function offerProvocations(exchange) {
  let busy = false
  for (const [name, label, code, run] of provocations) {
    const place = make('li')
    const button = make('button', { type: 'button', 'data-testid': `provoke-${name}` }, label, make('code', {}, code))
    button.onclick = async () => {
      if (busy) return
      busy = true
      button.setAttribute('aria-busy', 'true')
      clearProblem()
      try {
        await run(exchange)
        throw new Problem('nothing_wrong')
      } catch (error) {
        showProblem(place, error)
      }
      button.removeAttribute('aria-busy')
      busy = false
    }
    place.append(button)
    byId('provoke').append(place)
  }
}

// All of it is done as somebody else, so that the visitor keeps their session,
// their limits and their tickets.

/**
 * @param {Record<string, unknown>} [claims]
 * @returns {Promise<string>} somebody else's session
 */
const strangersSession = (claims) => demoSession({ sub: `stranger-${Math.random().toString(36).slice(2, 8)}`, ...claims }, 'omit')

/** @param {string} session '' for none */
const stranger = (session) => fareboxFor({ getSession: () => session, credentials: 'omit' })

/** @param {string} session @param {string} [wanted] @param {string} [idempotencyKey] */
const ask = (session, wanted = type, idempotencyKey) => stranger(session).token(/** @type {any} */ (wanted), { idempotencyKey })

async function tooMany() {
  const session = await strangersSession()
  // Faster than one could press, and within what the SDK waits.
  for (let i = 0; i < 60; i++) await ask(session)
}

async function sessionOver() {
  const hour = 3600
  const now = Math.floor(Date.now() / 1000)
  await ask(await strangersSession({ iat: now - 2 * hour, exp: now - hour }))
}

async function keyReused() {
  const session = await strangersSession()
  const key = Math.random().toString(36)
  await ask(session, type, key)
  await ask(session, 'tts_websocket', key)
}

/**
 * What the SDK would never do.
 * @param {string} address
 * @param {RequestInit} [init]
 */
async function send(address, init) {
  const headers = { Authorization: `Bearer ${await strangersSession()}` }
  const response = await fetch(address, { method: 'GET', credentials: 'omit', headers, ...init })
  const body = await response.json()
  if (!response.ok) throw new Problem(body.code, { status: response.status, detail: body.detail, requestId: body.request_id })
}

/**
 * Has the sandbox fail until that shows.
 * @param {string} fault
 * @param {Exchange} exchange
 */
async function withFault(fault, exchange) {
  await usable
  const session = await strangersSession()
  const told = await quietly('_sandbox/faults', {
    method: 'POST', headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ operation: 'mint', fault, times: 60 }),
  })
  if (!told.ok) throw new Problem('page_fault', { detail: 'The sandbox does not know this fault.' })
  exchange.remark = `The vendor was told to fail before this: ${fault}`
  try {
    for (let i = 0; i < tries; i++) {
      try {
        await ask(session)
      } catch (error) {
        const { code, retryAfter } = Problem.from(error)
        // A vendor that was away a moment ago is left alone for a while.
        if (code !== 'vendor_unavailable' || fault === 'server_error') throw error
        await after(retryAfter * 1000)
      }
    }
  } finally {
    exchange.remark = ''
    await quietly('_sandbox/faults', { method: 'DELETE' })
    if (fault === 'credits_exhausted') usable = untilUsable(session)
  }
}

/**
 * Asks, unseen, until a token comes.
 * @param {string} session
 */
async function untilUsable(session) {
  for (let i = 0; i < tries; i++) {
    await after(1000)
    const answer = await quietly(path, { method: 'POST', credentials: 'omit', headers: { Authorization: `Bearer ${session}` } })
    if (answer.ok) return
  }
}
