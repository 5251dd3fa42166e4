// One attempt: a message is signed, sent, and what came of it is put into words.
import { request, type Dispatcher } from 'undici'
import type { WebhookLimits } from '../../platform/limits.ts'
import { NotCallable } from './address.ts'
import { retryAfterMsOf } from './schedule.ts'
import { signedHeaders } from './sign.ts'
import type { Attempt } from './store.ts'

export type Sending = {
  readonly url: string
  /** What it goes out as: the id of its event, the same for every attempt. */
  readonly id: string
  readonly payload: unknown
  readonly secrets: readonly string[]
  readonly number: number
  /** Gives it up. */
  readonly signal: AbortSignal
}
export type Sent = {
  readonly attempt: Attempt
  readonly delivered: boolean
  /** The receiver wants no more. */
  readonly gone: boolean
  readonly retryAfterMs: number | null
}

export type DeliverDeps = {
  readonly agent: Dispatcher
  readonly limits: Pick<WebhookLimits, 'attemptMs' | 'answerBytes' | 'answerBytesKept'>
}

/** Answers what came of it, whatever that is. Rejects only when it was given up. */
export const deliverer =
  ({ agent, limits }: DeliverDeps) =>
  async ({ url, id, payload, secrets, number, signal }: Sending): Promise<Sent> => {
    const startedAt = Date.now()
    const started = performance.now()
    // These very bytes are signed, and sent.
    const body = Buffer.from(JSON.stringify(payload), 'utf8')
    const attemptOf = (rest: Pick<Attempt, 'response_status' | 'response_body' | 'error'>): Attempt => ({
      number,
      started_at: new Date(startedAt).toISOString(),
      duration_ms: Math.round(performance.now() - started),
      ...rest,
    })
    const late = AbortSignal.timeout(limits.attemptMs)
    try {
      const response = await request(url, {
        dispatcher: agent,
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'user-agent': 'Holdfast-Webhooks/1',
          ...signedHeaders({ id, timestampSeconds: Math.floor(startedAt / 1_000), body }, secrets),
        },
        body,
        signal: AbortSignal.any([late, signal]),
      })
      const { statusCode } = response
      // The status says whether it was taken; the rest is for whoever looks into the log.
      const text = await beginningOf(response.body, limits)
      const delivered = statusCode >= 200 && statusCode < 300
      const error = delivered ? null : statusCode >= 300 && statusCode < 400 ? 'redirects are not followed' : `the receiver answered ${statusCode}`
      return {
        attempt: attemptOf({ response_status: statusCode, response_body: text, error }),
        delivered,
        gone: statusCode === 410,
        retryAfterMs: delivered ? null : retryAfterMsOf(one(response.headers['retry-after']), startedAt),
      }
    } catch (error) {
      if (signal.aborted) throw error
      const said = late.aborted ? `there was no answer within ${limits.attemptMs / 1_000} seconds` : inWords(error)
      return { attempt: attemptOf({ response_status: null, response_body: null, error: said }), delivered: false, gone: false, retryAfterMs: null }
    }
  }

/** As much as is kept. What comes after so much is not even read, and a body that breaks off was still answered by its status. */
const beginningOf = async (
  body: AsyncIterable<Buffer>,
  { answerBytes, answerBytesKept }: Pick<WebhookLimits, 'answerBytes' | 'answerBytesKept'>,
): Promise<string> => {
  const kept: Buffer[] = []
  let keptBytes = 0
  let read = 0
  try {
    for await (const chunk of body) {
      read += chunk.length
      if (keptBytes < answerBytesKept) {
        const piece = chunk.subarray(0, answerBytesKept - keptBytes)
        kept.push(Buffer.from(piece))
        keptBytes += piece.length
      }
      if (read > answerBytes) break
    }
  } catch {
    // Told above.
  }
  // JSON in the database has no NUL.
  return Buffer.concat(kept).toString('utf8').replaceAll('\0', '�')
}

const one = (header: string | string[] | undefined): string | undefined => (Array.isArray(header) ? header[0] : header)

/** For whoever looks after the endpoint. Addresses are left out: they would tell of networks that are none of the caller's business. */
const inWords = (error: unknown): string => {
  if (error instanceof NotCallable) return error.message
  const code = codeOf(error)
  return (code !== undefined && known[code]) || `the connection failed${code === undefined ? '' : `: ${code}`}`
}

const known: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'the connection was refused',
  ECONNRESET: 'the connection was cut',
  UND_ERR_SOCKET: 'the connection was cut',
  UND_ERR_CONNECT_TIMEOUT: 'no connection could be made in time',
  ENOTFOUND: 'the name is not known',
  ENODATA: 'the name is not known',
  ETIMEOUT: 'the name could not be looked up in time',
  ESERVFAIL: 'the name could not be looked up',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'the certificate is not trusted: it signs itself',
  CERT_HAS_EXPIRED: 'the certificate has expired',
  ERR_TLS_CERT_ALTNAME_INVALID: 'the certificate is for another name',
}

const codeOf = (error: unknown): string | undefined =>
  typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string' ? error.code : undefined
