// What each code means to a person: what happened, and what to do.

const later = 'Wait a little, then try again.'
const operators = 'Tell whoever runs this service. They have to mend it.'
const again = 'Try again. Each try takes a fresh ticket.'
const signIn = 'Sign in, then press again.'
const caller = 'The program that asks has to be mended.'

/** @type {Record<string, [string, string]>} */
const words = {
  invalid_request: ['The request was malformed.', caller],
  session_missing: ['Nobody is signed in.', signIn],
  session_invalid: ['The session is not one of this service.', signIn],
  session_expired: ['The session is over.', 'Sign in again, then press again.'],
  session_revoked: ['The session was ended.', 'Sign in again, then press again.'],
  token_type_not_allowed: ['You may not have tickets of this kind.', 'Ask whoever runs this service.'],
  agent_not_allowed: ['You may not talk to this agent.', 'Ask whoever runs this service.'],
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
  sign_in_failed: ['You could not be signed in.', 'Try another name.'],
  auth_error: ['The vendor did not take the ticket.', again],
  socket_closed: ['The connection to the vendor broke.', again],
  socket_silent: ['The vendor did not answer in time.', again],
  rate_limited_vendor: ['The vendor says: too many at once.', later],
  quota_exceeded: ['The credits at the vendor are used up.', operators],
  session_time_limit_exceeded: ['The vendor ended the connection: it was open for as long as it may be.', again],
  insufficient_audio_activity: ['The vendor heard nothing that it could work with.', 'Speak a little longer or louder.'],
  transcription_failed: ['The file was not transcribed.', 'Try another recording.'],
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
  const [happened, todo] = words[code] ?? ['It did not work.', again]
  return { happened, todo }
}
