// Every "no" on the wire: RFC 9457, one shape for all of them, from the table of codes.
import { problem as problemSchema, problems, type RejectionCode } from '@holdfast/contract'
import type { Refusal } from '../services/service.ts'

export const PROBLEM_TYPE = 'application/problem+json'

/** A refusal of the gateway itself, thrown from wherever it is found. */
export class Refused extends Error {
  readonly refusal: Refusal
  readonly headers: Readonly<Record<string, string>>
  constructor(refusal: Refusal, headers: Readonly<Record<string, string>> = {}) {
    super(refusal.detail)
    this.name = 'Refused'
    this.refusal = refusal
    this.headers = headers
  }
}

export const statusOf = (code: RejectionCode): number => problems[code].status

/** The body of a problem. Only the facts that the contract names get out, whatever a refusal carries. */
export const problemBody = (refusal: Refusal, requestId: string): string => {
  const { status, title, retryable } = problems[refusal.code]
  const body: Record<string, unknown> = {
    type: `/docs/problems/${refusal.code}`,
    title,
    status,
    code: refusal.code,
    detail: refusal.detail,
    retryable,
    request_id: requestId,
  }
  const facts: Readonly<Record<string, unknown>> = { ...refusal }
  for (const fact of factNames) if (facts[fact] !== undefined) body[fact] = facts[fact]
  return JSON.stringify(body)
}

const always = new Set(['type', 'title', 'status', 'code', 'detail', 'retryable', 'request_id'])
const factNames = Object.keys(problemSchema.properties).filter((name) => !always.has(name))

/** What an error that reached the edge means for the caller. Nothing of an error that is ours gets out. */
export const refusalOf = (error: unknown, { bodyBytes }: { readonly bodyBytes: number }): Refusal => {
  if (error instanceof Refused) return error.refusal
  switch (codeOf(error)) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return { code: 'payload_too_large', detail: `The body is larger than ${bodyBytes} bytes.` }
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
    case 'FST_ERR_ROUTE_MISSING_CONTENT_TYPE':
      return {
        code: 'unsupported_media_type',
        detail: 'Bodies are JSON: send Content-Type: application/json. A file to import is text/csv or application/x-ndjson, in UTF-8.',
      }
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return { code: 'invalid_request', detail: 'The body is not as long as Content-Length says.' }
    case 'FST_ERR_BAD_URL':
    case 'FST_ERR_MAX_PARAM_LENGTH':
      return { code: 'invalid_request', detail: 'The path cannot be read: a percent sign is followed by something else than the code of a character.' }
    default:
      return {
        code: 'internal_error',
        detail: 'The request could not be finished. It is safe to send it again with the same Idempotency-Key; if it goes on, quote the request id.',
      }
  }
}

const codeOf = (error: unknown): string | undefined =>
  typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string' ? error.code : undefined
