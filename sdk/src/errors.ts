// What a call can end in besides an answer. Each error says whether the outcome is known, because that is the question
// after a failed promise of stock: did it happen?
import type { RejectionCode } from '@holdfast/contract'
import { fromWire } from './wire.ts'
import type { Hold } from './words.ts'

/** Characters shown of an answer that is not from Holdfast, for instance a proxy's error page. */
const SHOWN_TEXT_LENGTH = 200

/** One line that could not be had, and why. */
export type Shortage = Hold['shortages'][number]
/** What is wrong with one field of a request: `{ param: 'lines[0].quantity', message: … }`. */
export type InvalidParam = { readonly param: string; readonly message: string }

/**
 * - `refused`: nothing was changed.
 * - `not_sent`: the request never reached the server; nothing was changed.
 * - `unknown`: it may have been done. Ask again with the error's `idempotencyKey`: what was done is answered, not done twice.
 */
export type Outcome = 'refused' | 'not_sent' | 'unknown'

/** `unexpected_answer`: the answer was no problem document of Holdfast's; something in between spoke. */
export type ErrorCode = RejectionCode | 'unexpected_answer'

type Told = {
  readonly code: ErrorCode
  readonly status: number
  readonly retryable: boolean
  readonly detail: string
  readonly requestId: string | undefined
  readonly errors: readonly InvalidParam[]
  readonly shortages: readonly Shortage[]
  readonly remaining: number | undefined
  readonly currentVersion: number | undefined
  readonly retryAfterSeconds: number | undefined
}

/** The server said no. */
export class HoldfastError extends Error implements Told {
  override readonly name = 'HoldfastError'
  readonly code: ErrorCode
  readonly status: number
  /** Whether the same request may succeed later. */
  readonly retryable: boolean
  readonly detail: string
  /** What to give to whoever runs the server: it stands in the log lines of this request. */
  readonly requestId: string | undefined
  /** With `invalid_request`: every fault of the request at once. */
  readonly errors: readonly InvalidParam[]
  /** With `insufficient_stock`: every line that was short. */
  readonly shortages: readonly Shortage[]
  /** With `quantity_exceeds_remaining`: how many are left. */
  readonly remaining: number | undefined
  /** With `version_conflict`: the version there is. */
  readonly currentVersion: number | undefined
  readonly retryAfterSeconds: number | undefined
  readonly outcome: Outcome
  readonly idempotencyKey: string | undefined

  constructor(told: Told, { outcome, idempotencyKey }: { outcome: Outcome; idempotencyKey: string | undefined }) {
    super(`${told.detail} [${[told.code, told.requestId].filter(Boolean).join(', ')}]`)
    this.code = told.code
    this.status = told.status
    this.retryable = told.retryable
    this.detail = told.detail
    this.requestId = told.requestId
    this.errors = told.errors
    this.shortages = told.shortages
    this.remaining = told.remaining
    this.currentVersion = told.currentVersion
    this.retryAfterSeconds = told.retryAfterSeconds
    this.outcome = outcome
    this.idempotencyKey = idempotencyKey
  }
}

/**
 * The server has taken it and will do it, but has not done it yet: its database is away, and a broker keeps what was told. It is done
 * once; the same call with the same `idempotencyKey` answers its document then. Thrown, because there is no document to answer.
 */
export class AcceptedForLater extends Error {
  override readonly name = 'AcceptedForLater'
  readonly operation: string
  readonly idempotencyKey: string
  constructor({ detail, operation, idempotencyKey }: { readonly detail: string; readonly operation: string; readonly idempotencyKey: string }) {
    super(detail)
    this.operation = operation
    this.idempotencyKey = idempotencyKey
  }
}

type Unanswered = { readonly message: string; readonly outcome: Outcome; readonly idempotencyKey: string | undefined; readonly cause?: unknown }

/** No answer came. Unless `outcome` is `not_sent`, the request may have been done all the same. */
export class ConnectionError extends Error {
  override readonly name: string = 'ConnectionError'
  readonly retryable = true
  readonly outcome: Outcome
  readonly idempotencyKey: string | undefined

  constructor({ message, outcome, idempotencyKey, cause }: Unanswered) {
    super(message, { cause })
    this.outcome = outcome
    this.idempotencyKey = idempotencyKey
  }
}

/** No answer came in time. The request may have been done all the same. */
export class TimeoutError extends ConnectionError {
  override readonly name = 'TimeoutError'
}

export type InsufficientStock = HoldfastError & { readonly code: 'insufficient_stock' }

/**
 * Whether an error is the server's "not enough stock".
 * @example
 * try {
 *   await stock.holds.place({ lines: [{ sku: 'TEA-1', quantity: 3 }] })
 * } catch (error) {
 *   if (!isInsufficientStock(error)) throw error
 *   for (const { sku, requested, available } of error.shortages) console.log(`${sku}: ${requested} asked, ${available} left`)
 * }
 */
export const isInsufficientStock = (error: unknown): error is InsufficientStock => isRefusal(error, 'insufficient_stock')

/**
 * Whether an error is the server's "no" with this code.
 * @example
 * const hold = await stock.holds.execute('hold_01jd8w2k5v7x9n3q4r6t8y0z1b').catch((error) => {
 *   if (isRefusal(error, 'hold_expired')) return undefined // too late: ask the buyer to try again
 *   throw error
 * })
 */
export const isRefusal = <Code extends ErrorCode>(error: unknown, code: Code): error is HoldfastError & { readonly code: Code } =>
  error instanceof HoldfastError && error.code === code

/** What an answer that is not a success tells, whoever wrote it. */
export function readRefusal(response: { readonly status: number; readonly headers: Headers }, text: string): Told {
  const problem = isProblem(response.headers) ? parse(text) : {}
  const isOurs = typeof problem['code'] === 'string'
  const { status } = response

  return {
    // A newer server may know codes that this SDK's types do not.
    code: isOurs ? (problem['code'] as RejectionCode) : 'unexpected_answer',
    status,
    retryable: isOurs ? problem['retryable'] === true : PASSING_STATUSES.has(status),
    detail: isOurs && typeof problem['detail'] === 'string' ? problem['detail'] : unexpected(response, text),
    requestId: response.headers.get('request-id') ?? (typeof problem['requestId'] === 'string' ? problem['requestId'] : undefined),
    errors: Array.isArray(problem['errors']) ? (problem['errors'] as InvalidParam[]) : [], // as the contract's problem says
    shortages: Array.isArray(problem['shortages']) ? (problem['shortages'] as Shortage[]) : [], // as the contract's problem says
    remaining: typeof problem['remaining'] === 'number' ? problem['remaining'] : undefined,
    currentVersion: typeof problem['currentVersion'] === 'number' ? problem['currentVersion'] : undefined,
    retryAfterSeconds: retryAfter(response.headers.get('retry-after')),
  }
}

/** Statuses that pass by themselves when a proxy, which knows nothing of `retryable`, says them. */
const PASSING_STATUSES: ReadonlySet<number> = new Set([408, 429, 500, 502, 503, 504])

const isProblem = (headers: Headers) => /^application\/(problem\+)?json\b/i.test(headers.get('content-type') ?? '')

function parse(text: string): Record<string, unknown> {
  try {
    const value = fromWire(JSON.parse(text))
    return typeof value === 'object' && value !== null ? { ...value } : {}
  } catch {
    return {}
  }
}

function unexpected({ status, headers }: { readonly status: number; readonly headers: Headers }, text: string): string {
  const elsewhere = headers.get('location')
  if (elsewhere !== null) return `answered ${status}, moved to ${elsewhere}; is the client's url right?`
  const shown = text.replace(/\s+/g, ' ').trim().slice(0, SHOWN_TEXT_LENGTH)
  return `answered ${status} without a problem document${shown === '' ? '' : `: ${shown}`}`
}

/** `Retry-After` is a number of seconds or a date. */
function retryAfter(header: string | null): number | undefined {
  if (header === null) return undefined
  if (/^\d{1,9}$/.test(header.trim())) return Number(header)
  const at = Date.parse(header)
  return Number.isNaN(at) ? undefined : Math.max(0, (at - Date.now()) / 1_000)
}
