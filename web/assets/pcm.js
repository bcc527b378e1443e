// Sound as numbers: 16-bit samples, their level, and the forms in which they
// travel.

/** @param {Int16Array} samples */
export function base64(samples) {
  const bytes = new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength)
  let text = ''
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192))
  return btoa(text)
}

/**
 * @param {string} text
 * @returns {Int16Array}
 */
export function fromBase64(text) {
  const bytes = Uint8Array.from(atob(text), (char) => char.charCodeAt(0))
  return new Int16Array(bytes.buffer, 0, bytes.length >> 1)
}

/**
 * @param {Int16Array} samples
 * @returns {number} the root mean square in dBFS, -60 or more
 */
export function level(samples) {
  let sum = 0
  for (const sample of samples) sum += sample * sample
  return Math.max(-60, 10 * Math.log10(sum / (samples.length || 1) / 32768 ** 2))
}

/**
 * Wraps samples in the header of a WAV file (RIFF, PCM, mono).
 * @param {Int16Array} samples
 * @param {number} rate samples a second
 * @returns {Blob}
 */
export function wav(samples, rate) {
  const header = new DataView(new ArrayBuffer(44))
  const text = (/** @type {number} */ at, /** @type {string} */ word) =>
    [...word].forEach((char, i) => header.setUint8(at + i, char.charCodeAt(0)))
  text(0, 'RIFF')
  header.setUint32(4, 36 + samples.byteLength, true)
  text(8, 'WAVEfmt ')
  header.setUint32(16, 16, true)
  header.setUint16(20, 1, true) // PCM
  header.setUint16(22, 1, true) // mono
  header.setUint32(24, rate, true)
  header.setUint32(28, rate * 2, true)
  header.setUint16(32, 2, true)
  header.setUint16(34, 16, true)
  text(36, 'data')
  header.setUint32(40, samples.byteLength, true)
  return new Blob([header, /** @type {any} */ (samples)], { type: 'audio/wav' })
}
