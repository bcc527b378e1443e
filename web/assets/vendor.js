// The vendor's errors. It answers with the same status, and closes with the
// same code, for a used ticket and for used-up credits; only the error's name
// tells which, and only the first is the ticket's.
import { Problem } from './problem.js'
import { isKnown } from './words.js'

const notTaken = new Set(['auth_error', 'authentication_error', 'needs_authorization', 'unauthorized', 'unauthenticated',
  'invalid_api_key', 'invalid_token', 'invalid_authorization_header', 'token_expired'])
const tooMany = new Set(['rate_limited', 'rate_limit_exceeded', 'concurrent_limit_exceeded', 'too_many_concurrent_requests', 'system_busy'])

/**
 * @param {unknown} name the error's, as the vendor calls it
 * @param {{detail?: unknown, status?: number}} [said]
 * @returns {Problem} with code auth_error where the ticket was not taken
 */
export function vendorProblem(name, { detail, status = 0 } = {}) {
  return new Problem(codeOf(String(name ?? ''), status), { detail: String(detail ?? ''), status })
}

/** @param {string} name @param {number} status */
function codeOf(name, status) {
  if (notTaken.has(name)) return 'auth_error'
  // The service has a code of this name for its own limit.
  if (tooMany.has(name) || status === 429) return 'rate_limited_vendor'
  if (isKnown(name)) return name
  if (status >= 500 || status === 408) return 'vendor_away'
  return [400, 413, 415, 422].includes(status) ? 'transcription_failed' : 'vendor_odd'
}
