// In dev alone: makes each thing go wrong once, so that one can see what a
// caller gets.
import { after, byId, make } from './dom.js'
import { clearProblem, showProblem } from './errors.js'
import { newKey, problemOf, requestToken } from './machine.js'
import { Problem } from './problem.js'
import { demoSession } from './session.js'

const type = 'realtime_scribe'
const path = `v1/single-use-token/${type}`
const tries = 8 // until a vendor that fails shows: tickets may have been ready before

/** @typedef {import('./machine.js').Machine} Machine */

/** @type {[name: string, label: string, code: string, run: (machine: Machine) => Promise<unknown>][]} */
const provocations = [
  ['too-many', 'Ask too often', '429 rate_limited', tooMany],
  ['session-over', 'Let the session run out', '401 session_expired', sessionOver],
  ['session-damaged', 'Damage the session', '401 session_invalid', (machine) => machine.ask(type, { headers: { Authorization: 'Bearer not.a.session' } })],
  ['session-missing', 'Come without a session', '401 session_missing', nobody],
  ['vendor-away', 'Send the vendor away', '503 vendor_unavailable', (machine) => withFault('server_error', machine)],
  ['vendor-refuses', 'Use up the credits', '503 vendor_refused', (machine) => withFault('credits_exhausted', machine)],
  ['vendor-odd', 'Answer without a token', '502 vendor_error', (machine) => withFault('no_token', machine)],
  ['key-reused', 'Use one key twice', '422 idempotency_key_reused', keyReused],
  ['malformed', 'Send a bad key', '400 invalid_request', async (machine) => machine.ask(type, { ...await stranger(machine), idempotencyKey: 'two words' })],
  ['unknown-type', 'Ask for another ticket', '404 unknown_token_type', async (machine) => machine.ask('paper', await stranger(machine))],
  ['not-found', 'Go to a wrong address', '404 not_found', (machine) => send('v1/tickets', {}, machine)],
  ['too-large', 'Send too much', '413 request_too_large', (machine) => send(path, { method: 'POST', body: new Blob([new Uint8Array(17_000)]) }, machine)],
  ['wrong-method', 'Use the wrong method', '405 method_not_allowed', (machine) => send(path, {}, machine)],
]

/** @param {Machine} machine */
export function offerProvocations(machine) {
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
        await run(machine)
        throw new Problem('nothing_wrong')
      } catch (error) {
        showProblem(place, Problem.from(error))
      }
      button.removeAttribute('aria-busy')
      busy = false
    }
    place.append(button)
    byId('provoke').append(place)
  }
}

/**
 * Somebody else's session, so that the visitor keeps their own tickets.
 * @param {Machine} machine
 * @param {Record<string, unknown>} [claims]
 */
async function stranger(machine, claims = {}) {
  const { session } = await demoSession({ sub: `stranger-${newKey().slice(0, 8)}`, ...claims }, machine.fetch, 'omit')
  return { headers: { Authorization: `Bearer ${session}` } }
}

/** @param {Machine} machine */
async function tooMany(machine) {
  const asStranger = await stranger(machine)
  for (let i = 0; i < 60; i++) await machine.ask(type, asStranger)
}

/** @param {Machine} machine */
async function sessionOver(machine) {
  const hour = 3600
  const now = Math.floor(Date.now() / 1000)
  await machine.ask(type, await stranger(machine, { iat: now - 2 * hour, exp: now - hour }))
}

/** @param {Machine} machine */
function nobody(machine) {
  /** @type {typeof fetch} */
  const fetcher = (input, init) => machine.fetch(input, { ...init, credentials: 'omit' })
  return requestToken(type, { headers: {}, fetcher })
}

/** @param {Machine} machine */
async function keyReused(machine) {
  const options = { ...await stranger(machine), idempotencyKey: newKey() }
  await machine.ask(type, options)
  await machine.ask('tts_websocket', options)
}

/**
 * @param {string} address
 * @param {RequestInit} init
 * @param {Machine} machine
 */
async function send(address, init, machine) {
  const response = await machine.fetch(address, { method: 'GET', ...init, ...await stranger(machine) })
  if (!response.ok) throw await problemOf(response)
}

/**
 * Has the sandbox fail until that shows.
 * @param {string} fault
 * @param {Machine} machine
 */
async function withFault(fault, machine) {
  const asStranger = await stranger(machine)
  const told = await fetch('_sandbox/faults', {
    method: 'POST', headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ operation: 'mint', fault, times: 60 }),
  })
  if (!told.ok) throw new Problem('page_fault', { detail: 'The sandbox does not know this fault.' })
  machine.exchange.remark = `The vendor was told to fail before this: ${fault}`
  try {
    for (let i = 0; i < tries; i++) {
      try {
        await machine.ask(type, asStranger)
      } catch (error) {
        // A vendor that was away a moment ago is left alone for a while.
        if (Problem.from(error).code !== 'vendor_unavailable' || fault === 'server_error') throw error
        await after(Problem.from(error).retryAfter * 1000)
      }
    }
  } finally {
    machine.exchange.remark = ''
    await fetch('_sandbox/faults', { method: 'DELETE' })
  }
}
