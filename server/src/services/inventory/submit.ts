// From a handler to the ledger and back: the caller's key, the outcome in the caller's words.
import { hash } from 'node:crypto'
import type { RejectionCode } from '@holdfast/contract'
import type { Command } from '../../domain/decide.ts'
import type { DocumentAnswer } from '../../domain/event.ts'
import { encodeId, type Uuid } from '../../domain/ids.ts'
import type { Shortage } from '../../domain/rejection.ts'
import type { Ledger, LedgerRejection } from '../../ledger/ledger.ts'
import { rememberedOutcome, type Key } from '../../storage/idempotency.ts'
import type { Pool } from '../../storage/pool.ts'
import type { Answer, Call, Refusal } from '../service.ts'
import type { Catalog } from './catalog.ts'
import type { NextExpiry } from './next-expiry.ts'
import { iso, itemsOf, renderAnswer, renderShortage, type WireShortage } from './render.ts'

export type SubmitDeps = { readonly ledger: Ledger; readonly pool: Pool; readonly catalog: Catalog; readonly nextExpiry: NextExpiry }
export type Asked = { readonly operation: string; readonly input: unknown; readonly call: Call; readonly dryRun: boolean }

/** A refusal that a handler throws, so that it can be found wrong by a key that remembers better. */
export class Refused extends Error {
  readonly refusal: Refusal
  constructor(code: RejectionCode, detail: string, facts: Omit<Refusal, 'code' | 'detail'> = {}) {
    super(detail)
    this.name = 'Refused'
    this.refusal = { code, detail, ...facts }
  }
}

export const refused = (refusal: Refusal): Answer<never> => ({ ok: false, refusal })

/** The key of a caller: two callers may use the same words for their keys. */
export const keyOf = ({ operation, input, call }: Pick<Asked, 'operation' | 'input' | 'call'>): Key | undefined =>
  call.idempotencyKey === undefined
    ? undefined
    : { key: digest(`${call.caller.principal}\n${call.idempotencyKey}`), fingerprint: digest(`${operation}\n${canonical(input)}`) }

/**
 * Submits a command and answers its document. What cannot even become a command (an unknown sku, an archived item) is
 * refused, unless the key remembers that the same request was answered when it still could.
 */
export const submitter =
  ({ ledger, pool, catalog, nextExpiry }: SubmitDeps) =>
  async <Kind extends DocumentAnswer['kind']>(
    asked: Asked,
    kind: Kind,
    makeCommand: () => Promise<Command>,
  ): Promise<Answer<ReturnType<typeof renderAnswer<Extract<DocumentAnswer, { kind: Kind }>>>>> => {
    const key = keyOf(asked)
    const { call, dryRun } = asked
    let command: Command
    try {
      command = await makeCommand()
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      const before = key && !dryRun && (await rememberedOutcome(pool, key))
      if (!before) return refused(error.refusal)
      if (!before.outcome.ok) return { ok: false, refusal: await refusalOf(before.outcome.rejection, catalog, nextExpiry), replayed: true }
      const answer = before.outcome.answer as Extract<DocumentAnswer, { kind: Kind }> // a key's fingerprint holds the operation, so its answer is of that kind
      await catalog.remember(itemsOf(answer))
      return { ok: true, body: renderAnswer(answer, before.sequence, catalog), sequence: before.sequence, replayed: true }
    }
    const outcome = await ledger.submit({ command, actor: call.caller.principal, requestId: call.requestId, dryRun, ...(key ? { key } : {}) })
    if (!outcome.ok) {
      const refusal = await refusalOf(outcome.rejection, catalog, nextExpiry)
      return { ok: false, refusal, replayed: outcome.replayed }
    }
    const answer = outcome.answer as Extract<DocumentAnswer, { kind: Kind }> // a key's fingerprint holds the operation, so its answer is of that kind
    await catalog.remember(itemsOf(answer))
    return { ok: true, body: renderAnswer(answer, outcome.sequence, catalog), sequence: outcome.sequence, replayed: outcome.replayed }
  }

export type Submit = ReturnType<typeof submitter>

const refusalOf = async (
  rejection: LedgerRejection | { readonly code: 'overloaded' | 'unavailable' },
  catalog: Catalog,
  nextExpiry: NextExpiry,
): Promise<Refusal> => {
  switch (rejection.code) {
    case 'insufficient_stock': {
      await catalog.remember(rejection.shortages.map((shortage) => shortage.item))
      const shortages = await Promise.all(
        rejection.shortages.map((shortage, index) => withExpiry(shortage, catalog, index < EXPIRIES_TOLD ? nextExpiry : nobodyAsks)),
      )
      return { code: rejection.code, detail: shortages.map(inWords).join('; '), shortages }
    }
    case 'hold_not_found':
      return { code: 'not_found', detail: `there is no hold ${encodeId('hold', rejection.hold)}` }
    case 'hold_expired':
      return { code: rejection.code, detail: `${encodeId('hold', rejection.hold)} expired at ${iso(rejection.expiresAt)}` }
    case 'hold_already_executed':
      return { code: rejection.code, detail: `${encodeId('hold', rejection.hold)} was executed; what is not shipped can be canceled` }
    case 'hold_already_released':
      return { code: rejection.code, detail: `${encodeId('hold', rejection.hold)} gave its stock back; place a new hold` }
    case 'quantity_exceeds_remaining': {
      if (rejection.item !== null) await catalog.remember([rejection.item])
      const what = rejection.item === null ? 'units' : `of ${catalog.sku(rejection.item)}`
      return {
        code: rejection.code,
        detail: `${encodeId('hold', rejection.hold)}: ${rejection.requested} ${what} asked, ${rejection.remaining} left`,
        remaining: rejection.remaining,
      }
    }
    case 'purchase_limit_exceeded': {
      await catalog.remember([rejection.item])
      return {
        code: rejection.code,
        detail: `${rejection.customer} may have ${rejection.remaining} more of ${catalog.sku(rejection.item)} for now; ${rejection.requested} were asked`,
        remaining: rejection.remaining,
      }
    }
    case 'work_not_found':
      return { code: 'not_found', detail: `there is no ${rejection.kind.replace('_', ' ')} ${encodeId(rejection.kind, rejection.id)}` }
    case 'not_in_state':
      return {
        code: 'invalid_state',
        detail: `${encodeId(rejection.kind, rejection.id)} is ${rejection.status}, and can no longer, or not yet, be ${rejection.asked}`,
      }
    case 'quantity_exceeds_outstanding': {
      await catalog.remember([rejection.item])
      return {
        code: 'quantity_exceeds_remaining',
        detail: `${encodeId(rejection.kind, rejection.id)}: ${rejection.requested} of ${catalog.sku(rejection.item)} came, ${rejection.remaining} are outstanding`,
        remaining: rejection.remaining,
      }
    }
    case 'already_announced':
      return { code: 'already_exists', detail: `the supplier announced this before, as ${encodeId('inbound_shipment', rejection.id)}` }
    case 'not_in_count': {
      await catalog.remember([rejection.item])
      const message = `${catalog.sku(rejection.item)} is not among what ${encodeId('count', rejection.id)} counts`
      return { code: 'invalid_request', detail: message, errors: [{ param: 'lines', message }] }
    }
    case 'ttl_out_of_range':
      return {
        code: rejection.code,
        detail: `${encodeId('hold', rejection.hold)} may live ${rejection.longestMs / 1000} seconds from when it was placed, and no longer`,
      }
    case 'version_conflict': {
      await catalog.remember([rejection.item])
      return {
        code: rejection.code,
        current_version: rejection.current,
        detail: `${catalog.sku(rejection.item)} at ${catalog.code(rejection.location)} has version ${rejection.current}, not ${rejection.expected}`,
      }
    }
    case 'idempotency_key_reused':
      return { code: rejection.code, detail: 'this Idempotency-Key was used for another request; use a new key for a new request' }
    case 'overloaded':
      return { code: rejection.code, detail: 'the ledger has more work than it can take; nothing was done, try again with the same key', retryAfterSeconds: 1 }
    case 'unavailable':
      return {
        code: rejection.code,
        detail: 'the database cannot be reached, and whether this was done is not known; the same request with the same key finds out',
        retryAfterSeconds: 1,
      }
  }
}

/** Of a long document, only the first shortages say when the next hold expires: each is a question to the database. */
const EXPIRIES_TOLD = 10
const nobodyAsks: NextExpiry = () => Promise.resolve(null)

const withExpiry = async (shortage: Shortage, catalog: Catalog, nextExpiry: NextExpiry): Promise<WireShortage> =>
  renderShortage(shortage, catalog, shortage.held === 0 ? null : await nextExpiry(shortage.item, shortage.location))

const inWords = ({ requested, sku, location, available }: WireShortage) =>
  `${requested} of ${sku} asked${location === null ? '' : ` at ${location}`}: ${available} available`

/** 128 bits of SHA-256, as a uuid: long enough that nobody finds two requests with one. */
export const digest = (text: string): Uuid => {
  const hex = hash('sha256', text, 'hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20, 32)}` as Uuid // made of 32 hex digits
}

/** JSON with sorted keys: the same request written in another order is the same request. */
const canonical = (value: unknown): string => {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  const fields = Object.entries(value).filter(([, field]) => field !== undefined)
  fields.sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${fields.map(([name, field]) => `${JSON.stringify(name)}:${canonical(field)}`).join(',')}}`
}
