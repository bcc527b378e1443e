// farebox.d.ts says what each promises.
export class FareboxError extends Error {
  constructor(fields, cause) {
    super(fields.detail ?? fields.code, { cause })
    Object.assign(this, { name: 'FareboxError', status: 0, retryAfter: 0 }, fields)
  }
}

const passes = ({ code, status }) => /(network0|timeout0|4(08|09|29)|[25]..)$/.test(code + status)
const curable = /^(error|auth_|rate_|resource_|queue_|transcriber_|session_)/

const until = (signal, promise) => new Promise((resolve, reject) => {
  const stop = () => reject(signal.reason)
  if (signal.aborted) stop()
  signal.addEventListener('abort', stop)
  promise.then(resolve, reject).then(() => signal.removeEventListener('abort', stop))
})
const backoff = (turn) => Math.random() * Math.min(8000, 400 * 2 ** turn)
const pause = (signal, time) => until(signal, new Promise((resolve) => setTimeout(resolve, time))).catch(() => {})

// A key is before a colon.
const rename = (object, pattern, name) => JSON.stringify(object).replace(/"\w+":/g, (key) => key.replace(pattern, name))
const toWire = (object) => rename(object, /[A-Z]|\d+/g, (part) => '_' + part.toLowerCase())

const isGood = (grant) => grant?.expiresAt - Date.now() > 30_000

export function createFarebox({ baseUrl = '', getSession, credentials, timeout = 30_000 }) {
  const shelf = {}
  let renewal

  const request = async (method, path, { signal = AbortSignal.any([]), idempotencyKey = crypto.getRandomValues(new Uint32Array(4)).join('-') } = {}) => {
    const end = performance.now() + timeout * 0.6
    const limit = AbortSignal.timeout(timeout)
    let renewed
    for (let turn = 0; ; turn++) {
      const asked = Date.now()
      const before = renewal
      const halt = AbortSignal.any([signal, limit, AbortSignal.timeout(timeout * 0.4)])
      let error
      try {
        halt.throwIfAborted()
        const session = await until(halt, renewed ? renewal : Promise.allSettled([renewal]).then(() => getSession?.({ renew: false })))
        const response = await fetch(baseUrl.replace(/\/$/, '') + '/v1/' + path, {
          method, credentials, signal: halt,
          headers: { 'Idempotency-Key': idempotencyKey, ...(session && { Authorization: 'Bearer ' + session }) },
        })
        const body = JSON.parse(rename(await response.json().catch(() => ({})), /_(.)/g, (_, letter) => letter.toUpperCase()))
        if (response.ok && (body.token || body.signedUrl)) {
          if (body.expiresIn) body.expiresAt = new Date(asked + body.expiresIn * 1000)
          return body
        }
        error = new FareboxError({ code: 'network', ...body, status: response.status, retryAfter: +response.headers.get('Retry-After') || 0 })
      } catch (cause) {
        // fetch throws TypeErrors.
        error = new FareboxError({ code: halt.aborted ? 'timeout' : cause instanceof TypeError ? 'network' : 'session_missing' }, cause)
      }
      if (signal.aborted) throw new FareboxError({ code: 'aborted' }, signal.reason)
      if (error.code === 'session_expired' && getSession && !renewed) {
        renewed = true
        if (renewal === before) renewal = until(limit, Promise.resolve({ renew: true }).then(getSession))
        continue
      }
      const wait = error.retryAfter * 1000 + backoff(turn)
      if (!passes(error) || performance.now() + wait > end) throw error
      await pause(signal, wait)
    }
  }
  const mint = (type, options) => request('POST', 'single-use-token/' + type, options)

  const prefetch = async (type) => {
    const kept = shelf[type]
    if (kept && isGood(await kept)) return
    if (shelf[type] === kept) shelf[type] = mint(type).catch(() => {})
    await shelf[type]
  }
  const token = async (type, options = {}) => {
    const kept = shelf[type]
    if (kept && !options.idempotencyKey) {
      delete shelf[type]
      const { signal = AbortSignal.any([]) } = options
      const grant = await until(signal, kept).catch(() => {})
      if (isGood(grant)) return grant
      if (signal.aborted) shelf[type] ??= kept
    }
    return mint(type, options)
  }

  // One connection on many sockets.
  const live = (type, path, { connect, ...parameters }, every, first) => {
    const over = new AbortController()
    const { signal } = over
    const listeners = []
    const emit = (name, detail) => listeners.forEach(([on, listener]) => on === name && queueMicrotask(() => listener(detail)))
    let queue = []
    let turn = 0
    let socket, put, accepted

    const open = ({ token, websocketBaseUrl, tokenParameter }) => {
      if (connect) return connect({ ...parameters, token, baseUri: websocketBaseUrl })
      const url = new URL(websocketBaseUrl + '/v1/' + path)
      const query = JSON.parse(toWire({ ...parameters, [tokenParameter]: token, sampleRate: undefined }))
      for (const key in query) [query[key]].flat().forEach((value) => url.searchParams.append(key, value))
      return new WebSocket(url)
    }
    const ride = async (grant) => {
      const own = socket = await open(grant)
      let failure
      return new Promise((resolve) => {
        const write = (frame) => own.send(connect ? frame : toWire({ ...every, ...frame }))
        const finish = (error) => {
          if (own !== socket) return
          if (Date.now() - accepted > 30_000) turn = 0
          socket = put = accepted = undefined
          own.close()
          resolve(error)
        }
        setTimeout(() => put || finish(new FareboxError({ code: 'timeout' })), 10_000)
        const accept = (frame) => {
          if (accepted) return
          accepted = Date.now()
          put = write
          if (!first) queue.forEach(put)
          queue = []
          emit('accepted', frame)
        }
        const closed = ({ code }) => finish(failure
          ? new FareboxError({ code: 'vendor_error', status: curable.test(failure.message_type ?? failure.error) ? 502 : 0, detail: failure.error }, failure)
          : accepted && code === 1000 ? null : new FareboxError({ code: 'network' }))
        until(signal, new Promise(() => {})).catch(finish)
        if (connect) {
          own.on('session_started', accept)
          own.on('error', (frame) => { failure = frame })
          own.on('close', closed)
          listeners.forEach((pair) => own.on(...pair))
          return
        }
        own.onclose = closed
        own.onopen = () => first && [first, ...queue].forEach(put = write)
        own.onmessage = ({ data }) => {
          if (own !== socket) return
          const frame = JSON.parse(data)
          failure = frame.error && frame
          if (!failure) accept(frame)
          emit(frame.message_type ?? frame.error ?? 'audio', frame)
        }
      })
    }
    const run = async () => {
      await null // for StrictMode
      for (; ; turn++) {
        const error = await token(type, { signal }).then(ride).catch((error) => error)
        if (signal.aborted) return new FareboxError({ code: 'aborted' })
        if (!error || !passes(error) || error.retryAfter || turn > 4) return error
        emit('reconnecting', error)
        await pause(signal, backoff(turn))
      }
    }
    run().then((error) => emit('ended', error))

    const ready = new Promise((resolve, reject) => listeners.push(['accepted', resolve], ['ended', reject]))
    ready.catch(() => {})
    return {
      ready,
      on(...pair) {
        listeners.push(pair)
        socket?.on?.(...pair)
      },
      send(frame) {
        put?.(frame)
        if (!accepted && queue.push(frame) > 500) queue.shift()
      },
      close: () => over.abort(),
    }
  }

  const agent = (what) => (id, options) => request('GET', `convai/conversation/${what}?agent_id=` + encodeURIComponent(id), options)
  return {
    token,
    prefetch,
    signedUrl: agent('get-signed-url'),
    conversationToken: agent('token'),
    connectScribe: (options) => live('realtime_scribe', 'speech-to-text/realtime', options,
      { messageType: 'input_audio_chunk', commit: false, sampleRate: options.sampleRate }),
    connectSpeech: ({ voiceId, voiceSettings, ...options }) => live('tts_websocket', `text-to-speech/${encodeURIComponent(voiceId)}/stream-input`, options,
      {}, { text: ' ', voiceSettings }),
  }
}
