// Every way in which Holdfast says no. The list is closed: a code that is missing here does not compile anywhere.
import { Type } from 'typebox'
import { instant, nullable, oneOf } from './schema.ts'

type ProblemKind = { readonly status: number; readonly retryable: boolean; readonly title: string }

export const problems = {
  invalid_request: { status: 400, retryable: false, title: 'The request is not well formed' },
  idempotency_key_required: { status: 400, retryable: false, title: 'An Idempotency-Key is required' },
  unauthenticated: { status: 401, retryable: false, title: 'Who is asking is not known' },
  permission_denied: { status: 403, retryable: false, title: 'The caller may not do this' },
  not_found: { status: 404, retryable: false, title: 'There is no such thing' },
  method_not_allowed: { status: 405, retryable: false, title: 'This path does not take that method' },
  insufficient_stock: { status: 409, retryable: true, title: 'Not enough stock' },
  hold_expired: { status: 409, retryable: false, title: 'The hold has expired' },
  hold_already_executed: { status: 409, retryable: false, title: 'The hold was executed' },
  hold_already_released: { status: 409, retryable: false, title: 'The hold gave its stock back' },
  quantity_exceeds_remaining: { status: 409, retryable: false, title: 'More was asked than is left' },
  version_conflict: { status: 409, retryable: false, title: 'The version has moved on' },
  already_exists: { status: 409, retryable: false, title: 'It exists already' },
  invalid_state: { status: 409, retryable: false, title: 'The document is past this step, or not there yet' },
  location_not_empty: { status: 409, retryable: false, title: 'The location still has stock' },
  last_administrator: { status: 409, retryable: false, title: 'The last administrator must stay' },
  idempotency_key_in_use: { status: 409, retryable: true, title: 'A request with this key is under way' },
  payload_too_large: { status: 413, retryable: false, title: 'The request is too large' },
  unsupported_media_type: { status: 415, retryable: false, title: 'The content type is not one that is taken here' },
  idempotency_key_reused: { status: 422, retryable: false, title: 'The key belongs to another request' },
  ttl_out_of_range: { status: 422, retryable: false, title: 'The time to live is out of range' },
  item_archived: { status: 422, retryable: false, title: 'The item is archived' },
  location_inactive: { status: 422, retryable: false, title: 'The location is inactive' },
  purchase_limit_exceeded: { status: 422, retryable: false, title: 'The limit for one customer is reached' },
  rate_limited: { status: 429, retryable: true, title: 'Too many requests' },
  internal_error: { status: 500, retryable: true, title: 'Something went wrong on our side' },
  overloaded: { status: 503, retryable: true, title: 'More work than can be taken now' },
  unavailable: { status: 503, retryable: true, title: 'Not available for the moment' },
} as const satisfies Record<string, ProblemKind>

export type RejectionCode = keyof typeof problems
export const rejectionCodes = Object.keys(problems) as RejectionCode[] // the keys of a constant

/** What any operation may answer, whatever it is. */
export const everywhere: readonly RejectionCode[] = [
  'invalid_request',
  'unauthenticated',
  'permission_denied',
  'rate_limited',
  'payload_too_large',
  'unsupported_media_type',
  'internal_error',
  'overloaded',
  'unavailable',
]

/** What every operation that moves stock may answer besides. */
export const whenMovingStock: readonly RejectionCode[] = ['idempotency_key_required', 'idempotency_key_reused', 'idempotency_key_in_use']

export const shortage = Type.Object({
  sku: Type.String(),
  location: nullable(Type.String({ description: 'Null when the line named no location: the numbers are of all that were asked.' })),
  requested: Type.Integer(),
  available: Type.Integer({ description: 'What could be held: available less safety stock.' }),
  held: Type.Integer(),
  next_expiry_at: nullable(instant),
  incoming: Type.Integer(),
  level_version: nullable(Type.Integer({ description: 'The version of the level that was judged; null when it was several.' })),
})

/** RFC 9457, with what a program needs to go on. */
export const problem = Type.Object({
  type: Type.String(),
  title: Type.String(),
  status: Type.Integer(),
  code: oneOf(rejectionCodes),
  detail: Type.String(),
  retryable: Type.Boolean(),
  request_id: Type.String(),
  errors: Type.Optional(Type.Array(Type.Object({ param: Type.String(), message: Type.String() }))),
  shortages: Type.Optional(Type.Array(shortage)),
  remaining: Type.Optional(Type.Integer()),
  current_version: Type.Optional(Type.Integer()),
})
