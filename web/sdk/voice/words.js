// What <farebox-voice> says to people; a page may say it in its own words.

export const english = {
  speak: 'Speak', hear: 'Say it', stop: 'Stop',
  name: 'Voice', text: 'What should be said', level: 'Level', transcript: 'Transcript', wave: 'The wave of what is said',
  idle: '', starting: 'Asking for the microphone.', connecting: 'Connecting.', listening: 'Listening.', speaking: 'Speaking.',
  reconnecting: 'Connecting again.', stopping: 'Waiting for the last words.',
  required: 'Say something first.',
  session: 'Sign in, then try again.',
  denied: 'You may not use this here.',
  busy: 'Too much at once. Wait a little, then try again.',
  network: 'There is no connection. Try again.',
  quota_exhausted: 'You have had all of today.',
  microphone_refused: 'Allow the microphone in the browser, then try again.',
  microphone_missing: 'There is no microphone.',
  microphone_needs_https: 'The microphone needs a page on https.',
  failed: 'Something went wrong. Try again.',
}

// Codes that mean the same to a person.
const kinds = Object.entries({
  session: /^session_(?!keys)/,
  denied: /_not_allowed$/,
  busy: /^(rate_limited|overloaded|vendor_unavailable|session_keys_unavailable)$/,
  network: /^(network|timeout)$/,
})

/**
 * @param {Record<string, string>} words
 * @param {string} code a FareboxError's
 * @returns {string} what it means to a person
 */
export const explain = (words, code) => words[code] ?? words[kinds.find(([, codes]) => codes.test(code))?.[0] ?? 'failed']
