// The few things that every part of the page does with elements. Text is always
// set as text, never as markup.

/**
 * @param {string} id of an element that index.html has
 * @returns {any}
 */
export const byId = (id) => document.getElementById(id)

/**
 * Makes an element.
 * @param {string} tag
 * @param {Record<string, string>} [attributes]
 * @param {...(Node | string)} children
 * @returns {any}
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value)
  element.append(...children)
  return element
}

/**
 * Says something to those who do not see the page change.
 * @param {string} text
 */
export const announce = (text) => { byId('news').textContent = text }

/**
 * @param {number} seconds
 * @returns {string} such as "2.4 seconds"
 */
export const inSeconds = (seconds) => `${seconds.toFixed(1)} seconds`

/**
 * A token or session as it may be shown: its ends, never the whole.
 * @param {string} secret
 */
export function shorten(secret) {
  const ends = secret.length > 24 ? 6 : 2
  return secret.length > 8 ? `${secret.slice(0, ends)}…${secret.slice(-ends)}` : '…'
}

/** @param {number} milliseconds */
export const after = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds))
