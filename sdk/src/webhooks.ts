// For receivers: is this from Holdfast, is it as it was sent, and is it from now? By the Standard Webhooks specification, with the
// platform's own cryptography, so that it runs in Node, in browsers' workers and at the edge.
import { fromWire } from './wire.ts'
import type { StockEvent, WebhookEndpoint } from './words.ts'

/** What is sent to try an endpoint out. It stands in no ledger, so its `sequence` is 0. */
export type TestEvent = Omit<StockEvent, 'type' | 'data'> & {
  type: 'webhook_endpoint.test'
  data: Pick<WebhookEndpoint, 'id' | 'events' | 'status'>
}
export type WebhookEvent = StockEvent | TestEvent

export type ReceivedWebhook = {
  /** The endpoint's secret, `whsec_…`. While it is being rotated, both: one that fits is enough. */
  readonly secret: string | readonly string[]
  /** As they came: a `Headers`, or what Node's `request.headers` is. */
  readonly headers: Headers | Readonly<Record<string, string | readonly string[] | undefined>>
  /** The body's very bytes, or their text: not what a JSON parser has made of them. */
  readonly body: string | Uint8Array
  /** How old, or how far ahead, its time may be, in seconds. Default: 300. */
  readonly toleranceSeconds?: number | undefined
  /** The time, in milliseconds. Default: now. */
  readonly nowMs?: number | undefined
}

/** What was received is not to be believed. Answer it with 400; it says nothing of secrets. */
export class WebhookVerificationError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'WebhookVerificationError'
  }
}

const DEFAULT_TOLERANCE_SECONDS = 300
/** More than any sender has reason for, and few enough that nobody is kept busy by them. */
const MAX_SIGNATURES = 16

/**
 * The event that was received. Throws `WebhookVerificationError` when it was not signed with the secret, was changed, or is too
 * old. An event may come more than once: its `id` is the same each time.
 *
 *     const event = await verifyWebhook({ secret, headers: request.headers, body })
 */
export async function verifyWebhook({ secret, headers, body, toleranceSeconds, nowMs = Date.now() }: ReceivedWebhook): Promise<WebhookEvent> {
  const id = headerOf(headers, 'webhook-id')
  const timestamp = headerOf(headers, 'webhook-timestamp')
  const signatures = headerOf(headers, 'webhook-signature')
    .split(' ')
    .slice(0, MAX_SIGNATURES)
    .flatMap((one) => (one.startsWith('v1,') ? [bytesOf(one.slice('v1,'.length))] : []))

  const skew = Math.abs(nowMs / 1_000 - (/^\d{1,12}$/.test(timestamp) ? Number(timestamp) : Number.NaN))
  // Not a number compares as false, and is refused.
  if (!(skew <= (toleranceSeconds ?? DEFAULT_TOLERANCE_SECONDS)))
    throw new WebhookVerificationError(`webhook-timestamp ${timestamp} is too far from now; are both clocks right?`)

  const bytes = typeof body === 'string' ? new TextEncoder().encode(body) : body
  const signed = joined(new TextEncoder().encode(`${id}.${timestamp}.`), bytes)
  for (const one of typeof secret === 'string' ? [secret] : secret) if (await fits(one, signatures, signed)) return eventOf(bytes)
  throw new WebhookVerificationError('no signature fits: another secret, or a body that is not the one that was sent')
}

/** Compared by the platform in a time that tells nothing. */
async function fits(secret: string, signatures: readonly Bytes[], signed: Bytes): Promise<boolean> {
  const raw = secret.startsWith('whsec_') ? bytesOf(secret.slice('whsec_'.length)) : new Uint8Array()
  if (raw.length === 0) throw new TypeError('a secret must be whsec_ and then base 64, as it was shown when the endpoint was made')
  const key = await crypto.subtle.importKey('raw', raw, { name: 'HMAC', hash: 'SHA-256' }, false, ['verify'])
  for (const signature of signatures) if (await crypto.subtle.verify('HMAC', key, signature, signed)) return true
  return false
}

function eventOf(bytes: Uint8Array): WebhookEvent {
  // Signed by Holdfast, so it is what the contract says.
  return fromWire(JSON.parse(new TextDecoder().decode(bytes))) as WebhookEvent
}

function headerOf(headers: ReceivedWebhook['headers'], name: string): string {
  const found = headers instanceof Headers ? headers.get(name) : Object.entries(headers).find(([given]) => given.toLowerCase() === name)?.[1]
  const value = typeof found === 'string' ? found : found?.[0]
  if (value === undefined || value === '') throw new WebhookVerificationError(`the header ${name} is missing`)
  return value
}

type Bytes = Uint8Array<ArrayBuffer>

/** Nothing when it is not base 64, and nothing never fits. */
function bytesOf(base64: string): Bytes {
  try {
    return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))
  } catch {
    return new Uint8Array()
  }
}

function joined(before: Uint8Array, after: Uint8Array): Bytes {
  const all = new Uint8Array(before.length + after.length)
  all.set(before)
  all.set(after, before.length)
  return all
}
