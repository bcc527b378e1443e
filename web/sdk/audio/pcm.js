// Sound as numbers: 16-bit samples, their level, and the form in which they
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
