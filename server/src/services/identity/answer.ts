// How the handlers of identity answer: a "no" is thrown where it is found, and a list is a page.
import { decodeId, type IdKind, type Uuid } from '../../domain/ids.ts'
import { faultOf } from '../../storage/fault.ts'
import type { RejectionCode } from '@holdfast/contract'
import type { Answer, Refusal } from '../service.ts'

/** A refusal on its way out of a transaction, which is rolled back by it. */
export class Refused extends Error {
  readonly refusal: Refusal
  constructor(code: RejectionCode, detail: string, facts: Omit<Refusal, 'code' | 'detail'> = {}) {
    super(detail)
    this.name = 'Refused'
    this.refusal = { code, detail, ...facts }
  }
}

type AnyHandler = (input: never, call: never) => Promise<unknown>

/** A refusal that was thrown becomes an answer, and so does a database that is away. Defects go on. */
export const guarded = <Named extends { readonly [Name in keyof Named]: AnyHandler }>(handlers: Named): Named => {
  const guard =
    (handler: AnyHandler): AnyHandler =>
    async (input, call) => {
      try {
        return await handler(input, call)
      } catch (error) {
        if (error instanceof Refused) return { ok: false, refusal: error.refusal }
        const fault = faultOf(error)
        if (fault === undefined) throw error
        const isBusy = fault.kind === 'busy' || fault.kind === 'refused'
        const detail = isBusy ? 'the database is busy; nothing was done, try again' : 'the database cannot be reached; try again'
        return { ok: false, refusal: { code: isBusy ? 'overloaded' : 'unavailable', detail, retryAfterSeconds: 1 } }
      }
    }
  return Object.fromEntries(Object.entries<AnyHandler>(handlers).map(([name, handler]) => [name, guard(handler)])) as Named // the same names, guarded
}

export const invalid = (param: string, message: string): Refused => new Refused('invalid_request', `${param} ${message}`, { errors: [{ param, message }] })

/** The uuid behind an id whose shape the gateway has checked. */
export const namedId = (kind: IdKind, id: string): Uuid => {
  const uuid = decodeId(kind, id)
  if (uuid === undefined) throw noSuch(kind, id)
  return uuid
}
export const noSuch = (kind: IdKind, id: string): Refused => new Refused('not_found', `there is no ${kind.replace('_', ' ')} ${id}`)

/** The place in a list that a cursor names. */
export const placeOf = (kind: IdKind, cursor: string | undefined): Uuid | null => {
  if (cursor === undefined) return null
  const uuid = decodeId(kind, cursor)
  if (uuid !== undefined) return uuid
  throw new Refused('invalid_request', 'starting_after is no place in this list', {
    errors: [{ param: 'starting_after', message: `${cursor} is neither an id nor a next_cursor of this list` }],
  })
}

const DEFAULT_LIMIT = 20

export type Page<Wire> = { object: 'list'; data: Wire[]; has_more: boolean; next_cursor: string | null }

/** One row more is asked for than is shown, to know whether there is more. */
export const pageOf = async <Wire extends { readonly id: string }>(
  { limit = DEFAULT_LIMIT }: { readonly limit?: number },
  read: (limit: number) => Promise<readonly Wire[]>,
): Promise<Answer<Page<Wire>>> => {
  const rows = await read(limit + 1)
  const data = rows.slice(0, limit)
  const more = rows.length > limit
  return { ok: true, body: { object: 'list', data, has_more: more, next_cursor: more ? (data.at(-1)?.id ?? null) : null } }
}

export const iso = (at: Date): string => at.toISOString()
