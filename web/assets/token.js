// Asks the service for a single-use token.
import { Problem } from './problem.js'

/**
 * @typedef {object} Grant what a token comes with
 * @property {string} token
 * @property {string} tokenType
 * @property {number} expiresIn seconds, from the answer on
 * @property {string} baseUrl
 * @property {string} websocketBaseUrl
 * @property {string} tokenParameter where the token goes on redeeming
 * @property {boolean} replayed the same answer as before, to the same key
 */

/**
 * @param {string} type
 * @param {{headers: Record<string, string>, fetcher: typeof fetch, idempotencyKey?: string, signal?: AbortSignal}} options
 * @returns {Promise<Grant>}
 * @throws {Problem}
 */
export async function requestToken(type, { headers, fetcher, idempotencyKey = newKey(), signal }) {
  const response = await fetcher(`v1/single-use-token/${type}`, {
    method: 'POST', headers: { ...headers, 'Idempotency-Key': idempotencyKey }, signal,
  })
  if (!response.ok) throw await problemOf(response)
  const body = await response.json()
  return {
    token: body.token, tokenType: body.token_type, expiresIn: body.expires_in,
    baseUrl: body.base_url, websocketBaseUrl: body.websocket_base_url, tokenParameter: body.token_parameter,
    replayed: response.headers.get('Idempotent-Replayed') === 'true',
  }
}

/**
 * @param {Response} response one that is not ok
 * @returns {Promise<Problem>}
 */
export async function problemOf(response) {
  const body = await response.json().catch(() => ({}))
  return new Problem(typeof body.code === 'string' ? body.code : 'network', {
    status: response.status, detail: body.detail,
    retryAfter: Number(response.headers.get('Retry-After')) || 0,
    requestId: body.request_id ?? response.headers.get('X-Request-Id') ?? '',
  })
}

/** @returns {string} a key for one attempt; works without https too */
export function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('')
}
