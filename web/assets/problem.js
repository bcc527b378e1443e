// What went wrong, in one shape, whoever said so: the service, the vendor, the
// network or this browser.

export class Problem extends Error {
  /**
   * @param {string} code the service's own, or one that words.js knows
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
    return error instanceof Problem ? error : new Problem(code, { detail: String(error) })
  }
}
