// One call: its key is made once and kept over every try, so that what was done in a try whose answer was lost is
// answered by the next one and never done twice.
import { remember } from './answer.ts'
import { AcceptedForLater, ConnectionError, HoldfastError, type Outcome, readRefusal, TimeoutError } from './errors.ts'
import { fromWire, toWire } from './wire.ts'

/** Tries after the first. With the waits below, a server that restarts within ten seconds or so is not noticed. */
const DEFAULT_RETRIES = 5
/** One try. Longer than any answer of a healthy server takes, short enough to ask another one. */
const DEFAULT_TIMEOUT_MS = 10_000
/** All tries and waits of one call together, unless one try alone may take longer. */
const DEFAULT_TOTAL_TIMEOUT_MS = 60_000
/** The longest wait before the second try; it doubles with each try. */
export const FIRST_WAIT_MS = 200
export const MAX_WAIT_MS = 8_000
/** The longest that a timer can wait: for a try whose end somebody else watches for. */
const LONGEST_TIMER_MS = 2_147_483_647
/** What a header of ours may hold. The server refuses more. */
const MAX_HEADER_LENGTH = 255

/** Causes with which Node says that nothing was sent. Browsers do not say. */
const NOT_SENT: ReadonlySet<unknown> = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'UND_ERR_CONNECT_TIMEOUT'])

export type ClientOptions = {
  /** Where the server is, for instance `http://127.0.0.1:4000`. */
  readonly url: string
  /** A key of the server's, `hf_…`. Without one, a browser asks as whoever is signed in there: with the session's cookie. */
  readonly apiKey?: string | undefined
  /** How long one try may take, in milliseconds. Default: 10,000. */
  readonly timeoutMs?: number | undefined
  /** How long a call may take with all its tries and waits. Default: 60,000, or `timeoutMs` if that is longer. */
  readonly totalTimeoutMs?: number | undefined
  /** Tries after the first one. Default: 5. */
  readonly retries?: number | undefined
  /** Used instead of the global `fetch`. */
  readonly fetch?: typeof fetch | undefined
  /** Handed to every `fetch` as `dispatcher`: in Node an undici `Agent` with, for instance, more connections. */
  readonly dispatcher?: Dispatcher | undefined
}

/** What this platform's fetch takes as one: undici's in Node; browsers have none, and ignore it. */
type Dispatcher = RequestInit extends { dispatcher?: infer D } ? D : unknown

export type CallOptions = {
  /** Stands in the server's log and in its answer: 8 to 128 letters, digits or `_ . -`. The server makes one otherwise. */
  readonly requestId?: string | undefined
  /** Gives the call up. The outcome of what was being written is then not known. */
  readonly signal?: AbortSignal | undefined
  /** How long one try of this call may take, in milliseconds. */
  readonly timeoutMs?: number | undefined
}

/** For reads of stock. */
export type StockReadOptions = CallOptions & {
  /** Read at least this new: the `sequence` of an earlier answer (see `responseOf`). */
  readonly minSequence?: number | undefined
}

/** For what makes or changes something. */
export type WriteOptions = CallOptions & {
  /** The name of this very wish, for instance a cart's id: under one key it is done once, however often it is asked. A random one otherwise. */
  readonly idempotencyKey?: string | undefined
}

/** For what moves stock. */
export type MoveOptions = WriteOptions & {
  /** Decide and answer, but change nothing. */
  readonly dryRun?: boolean | undefined
}

export type Call = {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  readonly path: string
  readonly query?: object | undefined
  readonly body?: object | undefined
  /** True: goes out under an Idempotency-Key. */
  readonly keyed?: boolean
  /** True: done twice it is not what it was done once, and there is no key: it is not sent again when it may have been done. */
  readonly once?: boolean
}

type AnyOptions = StockReadOptions & MoveOptions

export type Transport = {
  /** Sends until there is an answer or no hope, and answers it in the caller's spelling. */
  readonly send: <Answer extends object>(call: Call, options?: AnyOptions) => Promise<Answer>
  /** Sends once; answers with the body unread. */
  readonly open: (call: Call, options: CallOptions, headers: Record<string, string>) => Promise<Response>
  /** Sends a file, once. Whoever calls it knows when it has taken too long, and ends it by its signal. */
  readonly upload: (call: Call, options: AnyOptions, file: Upload) => Promise<{ readonly answer: object } | Failed>
  /** Tries after the first one. */
  readonly retries: number
  readonly surroundings: Surroundings
}

export type Upload = {
  readonly mediaType: string
  readonly body: ReadableStream<Uint8Array>
  readonly attempt: number
  /** By an earlier try. */
  readonly mayHaveBeenDone: boolean
}
export type Failed = { readonly error: HoldfastError | ConnectionError; readonly retryAfterMs: number }

/** What a client needs of the world: time and chance. Tests bring their own. */
export type Surroundings = {
  readonly nowMs: () => number
  /** From 0 up to but not 1. */
  readonly random: () => number
  readonly wait: (ms: number, signal: AbortSignal | undefined) => Promise<void>
}

export function createTransport(options: ClientOptions, surroundings: Surroundings): Transport {
  const { retries = DEFAULT_RETRIES, timeoutMs: usualTimeoutMs = DEFAULT_TIMEOUT_MS, dispatcher } = options
  const totalTimeoutMs = options.totalTimeoutMs ?? Math.max(DEFAULT_TOTAL_TIMEOUT_MS, usualTimeoutMs)
  const base = baseOf(options.url)
  const authorization = options.apiKey === undefined ? {} : { authorization: `Bearer ${printable('apiKey', options.apiKey)}` }
  // Looked up at each call: in a browser fetch must be called on its window, and tools replace the global one.
  const doFetch = options.fetch ?? ((...args: Parameters<typeof fetch>) => globalThis.fetch(...args))
  const { nowMs, random, wait } = surroundings

  const prepare = (call: Call, given: AnyOptions, headers: Record<string, string>) => {
    const idempotencyKey = call.keyed === true ? printable('idempotencyKey', given.idempotencyKey ?? randomKey()) : undefined
    const url = base + call.path + queryOf({ ...call.query, minSequence: given.minSequence, dryRun: given.dryRun })
    const init = {
      method: call.method,
      headers: {
        ...authorization,
        accept: 'application/json',
        ...(call.body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }),
        ...(given.requestId === undefined ? {} : { 'request-id': printable('requestId', given.requestId) }),
        ...headers,
      },
      ...(call.body === undefined ? {} : { body: JSON.stringify(toWire(call.body)) }),
      ...(dispatcher === undefined ? {} : { dispatcher }),
      // A redirected POST would become a GET; and a server that has moved must be known, not guessed.
      redirect: 'manual',
    } satisfies RequestInit
    return { url, init, title: `${call.method} ${call.path}`, idempotencyKey }
  }
  type Prepared = Omit<ReturnType<typeof prepare>, 'init'> & { readonly init: RequestInit }

  const fetchWithin = async <T>(
    { url, init, title, idempotencyKey }: Prepared,
    timeoutMs: number,
    signal: AbortSignal | undefined,
    read: (response: Response) => Promise<T>,
  ): Promise<T> => {
    const controller = new AbortController()
    const giveUp = () => controller.abort(signal?.reason)
    const timer = setTimeout(() => controller.abort(), timeoutMs)
    signal?.addEventListener('abort', giveUp, { once: true })
    try {
      return await read(await doFetch(url, { ...init, signal: controller.signal }))
    } catch (cause) {
      signal?.throwIfAborted()
      if (controller.signal.aborted) {
        throw new TimeoutError({
          message: `${title} at ${base} was not answered within ${Math.round(timeoutMs)} ms`,
          outcome: 'unknown',
          idempotencyKey,
          cause,
        })
      }
      const outcome = NOT_SENT.has(codeOf(cause)) ? 'not_sent' : 'unknown'
      throw new ConnectionError({ message: `${title} got no answer from ${base}: ${reasonOf(cause)}`, outcome, idempotencyKey, cause })
    } finally {
      clearTimeout(timer)
      signal?.removeEventListener('abort', giveUp)
    }
  }

  const send = async <Answer extends object>(call: Call, given: AnyOptions = {}): Promise<Answer> => {
    const { signal } = given
    signal?.throwIfAborted()
    const request = prepare(call, given, {})
    const giveUpAtMs = nowMs() + totalTimeoutMs
    let mayHaveBeenDone = false

    for (let attempt = 1; ; attempt += 1) {
      const timeoutMs = Math.min(given.timeoutMs ?? usualTimeoutMs, giveUpAtMs - nowMs())
      const result = await tryOnce(request, timeoutMs, signal, mayHaveBeenDone)
      // The contract says what a success of this path answers.
      if ('text' in result) {
        const answer = answerOf(result, request, attempt) as Answer
        if (result.response.status === 202) throw new AcceptedForLater(answer as unknown as ConstructorParameters<typeof AcceptedForLater>[0])
        return answer
      }

      const { error, retryAfterMs } = result
      mayHaveBeenDone ||= error.outcome === 'unknown'
      if (!passes(error) || attempt > retries || (call.once === true && mayHaveBeenDone)) throw error

      // Full jitter: callers that failed together do not come back together.
      const waitMs = retryAfterMs + random() * Math.min(MAX_WAIT_MS, FIRST_WAIT_MS * 2 ** (attempt - 1))
      if (nowMs() + waitMs >= giveUpAtMs) throw error
      await wait(waitMs, signal)
    }
  }

  type Answered = { readonly response: Response; readonly text: string }
  const answerOf = ({ response, text }: Answered, request: Prepared, attempts: number): object =>
    // An object in, an object out.
    remember(fromWire(parse(text, response, request)) as object, { ...factsOf(response), idempotencyKey: request.idempotencyKey, attempts })

  const tryOnce = async (request: Prepared, timeoutMs: number, signal: AbortSignal | undefined, mayHaveBeenDone: boolean): Promise<Answered | Failed> => {
    try {
      const { response, text } = await fetchWithin(request, timeoutMs, signal, async (response) => ({ response, text: await response.text() }))
      if (response.ok) return { response, text }
      const error = refusal(response, text, request, mayHaveBeenDone)
      return { error, retryAfterMs: (error.retryAfterSeconds ?? 0) * 1_000 }
    } catch (error) {
      // Also the reason that whoever watches over an upload ends it with.
      if (!(error instanceof ConnectionError)) throw error
      const { message, outcome, idempotencyKey, cause } = error
      // An earlier try may have arrived although this one was not even sent.
      if (mayHaveBeenDone && outcome === 'not_sent')
        return { error: new ConnectionError({ message, outcome: 'unknown', idempotencyKey, cause }), retryAfterMs: 0 }
      return { error, retryAfterMs: 0 }
    }
  }

  const open = async (call: Call, given: CallOptions, headers: Record<string, string>): Promise<Response> => {
    given.signal?.throwIfAborted()
    const request = prepare(call, given, headers)
    // The time is for the headers, and for the body of a refusal; any other body is its reader's, and so is ending it.
    const timeoutMs = given.timeoutMs ?? usualTimeoutMs
    const { response, text } = await fetchWithin(request, timeoutMs, given.signal, async (response) => ({
      response,
      text: response.ok ? '' : await response.text(),
    }))
    if (response.ok) return response
    throw refusal(response, text, request, false)
  }

  const upload: Transport['upload'] = async (call, given, { mediaType, body, attempt, mayHaveBeenDone }) => {
    given.signal?.throwIfAborted()
    const request = prepare(call, given, { 'content-type': mediaType })
    // A stream goes out while the answer is not there yet, which fetch wants to be told.
    const init = { ...request.init, body, duplex: 'half' } as RequestInit
    const result = await tryOnce({ ...request, init }, LONGEST_TIMER_MS, given.signal, mayHaveBeenDone)
    return 'error' in result ? result : { answer: answerOf(result, request, attempt) }
  }

  return { send, open, upload, retries, surroundings }
}

export const realSurroundings: Surroundings = {
  nowMs: () => performance.now(),
  random: Math.random,
  wait: (ms, signal) =>
    new Promise((resolve, reject) => {
      const giveUp = () => {
        clearTimeout(timer)
        reject(signal?.reason)
      }
      const timer = setTimeout(() => {
        signal?.removeEventListener('abort', giveUp)
        resolve()
      }, ms)
      if (signal?.aborted === true) return giveUp()
      signal?.addEventListener('abort', giveUp, { once: true })
    }),
}

/** A path with what the caller named in its place: path`/v1/items/${sku}`. */
export function path(parts: TemplateStringsArray, ...names: readonly string[]): string {
  return parts.reduce((before, part, index) => before + segment(names[index - 1] ?? '') + part)
}

function segment(name: string): string {
  // Sent as they are, these would name another resource: the list, or the folder above.
  if (typeof name !== 'string' || name === '' || name === '.' || name === '..')
    throw new TypeError(`${JSON.stringify(name)} cannot be the name of anything here`)
  return encodeURIComponent(name)
}

/** Whether the same request may succeed by itself in a moment. Stock does not come by itself: that is the caller's to decide. */
const passes = (error: HoldfastError | ConnectionError) => error.retryable && !(error instanceof HoldfastError && error.code === 'insufficient_stock')

function refusal(
  response: Response,
  text: string,
  { idempotencyKey, title }: { idempotencyKey: string | undefined; title: string },
  mayHaveBeenDone: boolean,
): HoldfastError {
  const told = readRefusal(response, text)
  // Too little stock is not remembered under the key: an earlier try that is still on its way may find more, and be done after all.
  const outcome: Outcome = told.retryable && (told.status >= 500 || mayHaveBeenDone) ? 'unknown' : 'refused'
  const detail = told.code === 'unexpected_answer' ? `${title} ${told.detail}` : told.detail
  return new HoldfastError({ ...told, detail }, { outcome, idempotencyKey })
}

function parse(text: string, response: Response, request: { title: string; idempotencyKey: string | undefined }): object {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null) return value
  } catch {
    // Told below, as for any other answer that is not ours.
  }
  const told = readRefusal(response, text)
  const detail = `${request.title} ${told.detail}`
  throw new HoldfastError({ ...told, code: 'unexpected_answer', detail, retryable: false }, { outcome: 'unknown', idempotencyKey: request.idempotencyKey })
}

function factsOf({ status, headers }: Response) {
  const sequence = headers.get('stock-sequence')
  return {
    status,
    requestId: headers.get('request-id') ?? undefined,
    sequence: sequence === null ? undefined : Number(sequence),
    replayed: headers.get('idempotent-replayed') === 'true',
    stale: headers.get('warning')?.startsWith('110') ?? false,
  }
}

function baseOf(url: string): string {
  const isAddress = URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)
  if (!isAddress) throw new TypeError(`url must begin with http:// or https://, and ${JSON.stringify(url)} does not lead to a server`)
  return url.replace(/\/+$/, '')
}

function queryOf(query: object): string {
  const wire = new URLSearchParams()
  // An object in, an object out.
  for (const [name, value] of Object.entries(toWire(query) as object)) {
    if (value === undefined || value === null) continue
    for (const each of Array.isArray(value) ? value : [value]) wire.append(name, String(each))
  }
  const text = wire.toString()
  return text === '' ? '' : `?${text}`
}

function printable(name: string, value: string): string {
  if (typeof value === 'string' && value.length <= MAX_HEADER_LENGTH && /^[\x20-\x7e]+$/.test(value) && value.trim() === value) return value
  throw new TypeError(`${name} must be 1 to ${MAX_HEADER_LENGTH} printable ASCII characters, without spaces around them`)
}

/** Not randomUUID: browsers have that on secure pages only. */
const randomKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('')

function codeOf(cause: unknown): unknown {
  const inner: unknown = cause instanceof Error ? cause.cause : undefined
  return inner instanceof Error && 'code' in inner ? inner.code : undefined
}

function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause)
  const inner: unknown = cause.cause
  if (!(inner instanceof Error)) return cause.message
  // Several addresses that all failed carry their reason in the code alone.
  return inner.message !== '' ? inner.message : 'code' in inner ? String(inner.code) : cause.message
}
