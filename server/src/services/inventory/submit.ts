// From a handler to the ledger and back: the caller's key, the outcome in the caller's words.
import type { Command } from '../../domain/decide.ts'
import type { DocumentAnswer } from '../../domain/event.ts'
import { encodeId } from '../../domain/ids.ts'
import type { Shortage } from '../../domain/rejection.ts'
import type { Ledger, LedgerRejection } from '../../ledger/ledger.ts'
import { keyOf, rememberedOutcome } from '../../storage/idempotency.ts'
import type { Pool } from '../../storage/pool.ts'
import { Refused, iso, refused, wordOf } from '../answer.ts'
import type { Answer, Call, Caller, Refusal } from '../service.ts'
import { named, type Catalog } from './catalog.ts'
import type { NextExpiry } from './next-expiry.ts'
import { itemsOf, renderAnswer, renderShortage, type WireShortage } from './render.ts'

export type SubmitDeps = {
  readonly ledger: Ledger
  readonly pool: Pool
  readonly catalog: Catalog
  readonly nextExpiry: NextExpiry
  /** Whether a caller who is restricted may hear of all of a document: what they were answered once may have become another's. */
  readonly mayHear: (caller: Caller, answer: DocumentAnswer) => Promise<boolean>
}
export type Asked = { readonly operation: string; readonly input: unknown; readonly call: Call; readonly dryRun: boolean }

/**
 * Submits a command and answers its document. What cannot even become a command (an unknown sku, an archived item) is
 * refused, unless the key remembers that the same request was answered when it still could.
 */
export const submitter =
  ({ ledger, pool, catalog, nextExpiry, mayHear }: SubmitDeps) =>
  async <Kind extends DocumentAnswer['kind']>(
    asked: Asked,
    kind: Kind,
    makeCommand: () => Promise<Command>,
  ): Promise<Answer<ReturnType<typeof renderAnswer<Extract<DocumentAnswer, { kind: Kind }>>>>> => {
    const key = keyOf(asked)
    const { call, dryRun } = asked
    const isRestricted = call.caller.locations !== null
    // When the next hold elsewhere ends is nothing to tell somebody who works here.
    const tellExpiry: NextExpiry = (item, location) => (isRestricted && location === null ? nobodyAsks(item, location) : nextExpiry(item, location))
    const inWire = async (given: DocumentAnswer, sequence: number) => {
      const answer = given as Extract<DocumentAnswer, { kind: Kind }> // a key's fingerprint holds the operation, so its answer is of that kind
      await catalog.remember(itemsOf(answer))
      return named(catalog, () => renderAnswer(answer, sequence, catalog))
    }
    let command: Command
    try {
      command = await makeCommand()
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      const before = key && !dryRun && (await rememberedOutcome(pool, key))
      if (!before) return refused(error.refusal)
      const { outcome, sequence } = before
      if (!outcome.ok) return { ok: false, refusal: await named(catalog, () => refusalOf(outcome.rejection, catalog, tellExpiry)), replayed: true }
      if (isRestricted && !(await mayHear(call.caller, outcome.answer))) return refused(error.refusal)
      return { ok: true, body: await inWire(outcome.answer, sequence), sequence, replayed: true }
    }
    const outcome = await ledger.submit({ command, actor: call.caller.principal, requestId: call.requestId, dryRun, ...(key ? { key } : {}) })
    if (!outcome.ok) {
      const refusal = await named(catalog, () => refusalOf(outcome.rejection, catalog, tellExpiry))
      return { ok: false, refusal, replayed: outcome.replayed }
    }
    if (isRestricted && outcome.replayed && !(await mayHear(call.caller, outcome.answer)))
      return refused({ code: 'permission_denied', detail: 'this was done when the caller might still work with more locations than now' })
    return { ok: true, body: await inWire(outcome.answer, outcome.sequence), sequence: outcome.sequence, replayed: outcome.replayed }
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
      return { code: rejection.code, detail: inShort(shortages.map(inWords)), shortages }
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
        detail: `${rejection.requested} of ${catalog.sku(rejection.item)} asked for ${rejection.customer}, who may have ${rejection.remaining} more for now`,
        remaining: rejection.remaining,
      }
    }
    case 'work_not_found':
      return { code: 'not_found', detail: `there is no ${wordOf(rejection.kind)} ${encodeId(rejection.kind, rejection.id)}` }
    case 'not_in_state':
      return { code: 'invalid_state', detail: `${encodeId(rejection.kind, rejection.id)} is ${stateInWords(rejection)}` }
    case 'quantity_exceeds_outstanding': {
      await catalog.remember([rejection.item])
      return {
        code: 'quantity_exceeds_remaining',
        detail: `${encodeId(rejection.kind, rejection.id)}: ${rejection.requested} of ${catalog.sku(rejection.item)} came, ${rejection.remaining} are outstanding; accept_excess takes more`,
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

const stateInWords = ({ status, asked }: Extract<LedgerRejection, { code: 'not_in_state' }>) => {
  if (status === asked) return `${status} already`
  return status === 'open' ? `still open, and cannot be ${asked} before it is dispatched` : `${status}, and can no longer be ${asked}`
}

/** Of a long document, the first few of what is wrong, and how many more there are. */
export const inShort = (faults: readonly string[]): string => {
  const more = faults.length - FAULTS_IN_WORDS
  return more <= 0 ? faults.join('; ') : `${faults.slice(0, FAULTS_IN_WORDS).join('; ')}; and ${more} more`
}
const FAULTS_IN_WORDS = 10

const inWords = ({ requested, sku, location, available }: WireShortage) =>
  `${requested} of ${sku} asked${location === null ? '' : ` at ${location}`}: ${available} available`
