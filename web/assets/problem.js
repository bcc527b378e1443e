// What went wrong, in one shape, whoever said so: the service, the vendor, the
// network or this browser; and what it means to a person.
import { FareboxError } from '../sdk/farebox.js'

export class Problem extends Error {
  /**
   * @param {string} code the service's own, or another of those below
   * @param {{detail?: string, status?: number, retryAfter?: number, requestId?: string, signIn?: boolean}} [more]
   *   retryAfter is in seconds, 0 for not known; signIn says that the visitor
   *   has to sign in
   */
  constructor(code, { detail = '', status = 0, retryAfter = 0, requestId = '', signIn = false } = {}) {
    super(detail || code)
    this.code = code
    this.detail = detail
    this.status = status
    this.retryAfter = retryAfter
    this.requestId = requestId
    this.signIn = signIn
  }

  /**
   * @param {unknown} error anything that was thrown
   * @param {string} [code] what it is if it is no problem yet
   * @returns {Problem}
   */
  static from(error, code = 'page_fault') {
    if (error instanceof Problem) return error
    if (!(error instanceof FareboxError)) return new Problem(code, { detail: String(error) })
    const { cause } = /** @type {any} */ (error)
    if (cause instanceof Problem) return cause // why it was called off
    // The vendor's own word, on a socket.
    if (cause?.error) return vendorProblem(cause.message_type ?? cause.error, { detail: cause.message ?? cause.error })
    return new Problem(error.code, error)
  }
}

/**
 * @param {FareboxError} error
 * @returns {boolean} whether the service said so, rather than the line or the vendor
 */
export const isAnswer = (error) => error.status > 0 && !error.cause

// The vendor's errors. It answers with the same status, and closes with the
// same code, for a used ticket and for used-up credits; only the error's name
// tells which, and only the first is the ticket's.
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
  if (Object.hasOwn(vendorWords, name)) return name
  if (status >= 500 || status === 408) return 'vendor_away'
  return [400, 413, 415, 422].includes(status) ? 'transcription_failed' : 'vendor_odd'
}

// What each code means to a person: what happened, and what to do.
export const later = 'Wait a little, then try again.'
const operators = 'Tell whoever runs this service. They have to mend it.'
const again = 'Try again. Each try takes a fresh ticket.'
const signIn = 'Sign in, then press again.'
const caller = 'The program that asks has to be mended.'

/** @type {Record<string, [string, string]>} by the vendor's own names */
const vendorWords = {
  quota_exceeded: ['The credits at the vendor are used up.', operators],
  session_time_limit_exceeded: ['The vendor ended the connection: it was open for as long as it may be.', again],
  unaccepted_terms: ['The vendor’s terms were not accepted yet.', operators],
  queue_overflow: ['The vendor gets more than it can work off.', later],
  resource_exhausted: ['The vendor has no room just now.', later],
  transcriber_error: ['The vendor’s transcriber failed.', again],
  input_error: ['The vendor could not read what was sent.', caller],
  input_timeout_exceeded: ['The vendor waited for text and got none.', again],
  chunk_size_exceeded: ['The vendor got too much at once.', caller],
  commit_throttled: ['Passages ended too fast for the vendor.', later],
  missing_permissions: ['The key of this service may not do this at the vendor.', operators],
  payment_required: ['The plan at the vendor does not cover this.', operators],
  insufficient_audio_activity: ['The vendor heard nothing that it could work with.', 'Speak a little longer or louder.'],
}

/** @type {Record<string, [string, string]>} */
const words = {
  ...vendorWords,
  invalid_request: ['The request was malformed.', caller],
  session_missing: ['Nobody is signed in.', signIn],
  session_invalid: ['The session is not one of this service.', signIn],
  session_expired: ['The session is over.', 'Sign in again, then press again.'],
  session_revoked: ['The session was ended.', 'Sign in again, then press again.'],
  token_type_not_allowed: ['You may not have tickets of this kind.', 'Ask whoever runs this service.'],
  agent_not_allowed: ['This agent is not open to you.', 'Only agents that the policy of this service names are open, and to begin with it names none. Whoever runs the service can add it.'],
  origin_not_allowed: ['The request came from a site that is not allowed.', 'Whoever runs this service can allow its address.'],
  unknown_token_type: ['There is no ticket of this kind.', caller],
  not_found: ['There is nothing at this address.', caller],
  method_not_allowed: ['The address is right, the method is not.', caller],
  request_in_progress: ['This ticket is still being made.', 'Ask again with the same key, and get this very ticket.'],
  idempotency_key_reused: ['The same key came with two different requests.', 'Take a new key for each try.'],
  request_too_large: ['The request was too large.', caller],
  rate_limited: ['Too many tickets in a short time.', later],
  quota_exhausted: ['You have had all tickets of today.', 'A new day begins at midnight UTC.'],
  internal_error: ['Something broke in this service.', 'Try again. If it stays, tell whoever runs it, with the request id.'],
  vendor_error: ['The vendor answered, but not with a ticket.', 'Try again. No ticket was lost.'],
  vendor_unavailable: ['The vendor is away or busy.', later],
  vendor_refused: ['The vendor turned this service away. It is nothing that you did.', operators],
  session_keys_unavailable: ['The service cannot check sessions just now.', later],
  overloaded: ['More is asked of the service than it can do.', later],

  network: ['The service cannot be reached.', 'Look at your connection, then try again.'],
  timeout: ['The service did not answer in time.', later],
  aborted: ['It was called off.', again],
  sign_in_failed: ['You could not be signed in.', 'Try another name.'],
  auth_error: ['The vendor did not take the ticket.', again],
  socket_closed: ['The connection to the vendor broke.', again],
  socket_silent: ['The vendor did not answer in time.', again],
  vendor_away: ['The vendor is away or busy. It is not the recording’s fault.', later],
  vendor_odd: ['The vendor answered with something else than was asked for.', again],
  rate_limited_vendor: ['The vendor says: too many at once.', later],
  transcription_failed: ['The file was not transcribed.', 'Try another recording.'],
  stopped: ['You stopped it.', again],
  not_yours: ['This ticket was printed for someone else.', 'Print one of your own.'],
  file_missing: ['No file was chosen.', 'Choose a recording, or use the sample.'],
  microphone_refused: ['The browser did not give the microphone.', 'Allow it in the address bar, or play the sample.'],
  microphone_missing: ['There is no microphone.', 'Plug one in, or play the sample.'],
  microphone_needs_https: ['Browsers give the microphone only over https or on localhost.', 'Open this page that way, or play the sample.'],
  nothing_wrong: ['Nothing went wrong this time.', 'Press it again.'],
  page_fault: ['This page made a mistake.', 'Load it again.'],
}

/**
 * @param {string} code
 * @returns {{happened: string, todo: string}} words for every code, known or not
 */
export function wordsFor(code) {
  const [happened, todo] = Object.hasOwn(words, code) ? words[code] : ['It did not work.', again]
  return { happened, todo }
}
