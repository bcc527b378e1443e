// What went wrong, in one shape, whoever said so: the service, the vendor, the
// network or this browser.

export class Problem extends Error {
  /**
   * @param {string} code the service's own, or one that words.js knows
   * @param {{detail?: string, status?: number, retryAfter?: number, requestId?: string}} [more]
   *   retryAfter is in seconds, 0 for not known
   */
  constructor(code, { detail = '', status = 0, retryAfter = 0, requestId = '' } = {}) {
    super(detail || code)
    this.code = code
    this.detail = detail
    this.status = status
    this.retryAfter = retryAfter
    this.requestId = requestId
  }

  /**
   * @param {unknown} error anything that was thrown
   * @returns {Problem}
   */
  static from(error) {
    return error instanceof Problem ? error : new Problem('page_fault', { detail: String(error) })
  }
}
