// How handlers answer, whatever they are asked about: a "no" is thrown where it is found, and a list is a page.
import type { RejectionCode } from '@holdfast/contract'
import { decodeId, type IdKind, type Uuid } from '../domain/ids.ts'
import { faultOf, type Fault } from '../storage/fault.ts'
import type { Answer, Refusal } from './service.ts'

/** A refusal on its way out: of a transaction, which is rolled back by it, or to a key that remembers better. */
export class Refused extends Error {
  readonly refusal: Refusal
  constructor(code: RejectionCode, detail: string, facts: Omit<Refusal, 'code' | 'detail'> = {}) {
    super(detail)
    this.name = 'Refused'
    this.refusal = { code, detail, ...facts }
  }
}

export const refused = (refusal: Refusal): Answer<never> => ({ ok: false, refusal })

/** One thing that is wrong with a request, by the name of its place. */
export const invalid = (param: string, message: string): Refused => new Refused('invalid_request', `${param} ${message}`, { errors: [{ param, message }] })

export const keyReused = (): Refused =>
  new Refused('idempotency_key_reused', 'this Idempotency-Key was used for another request; use a new key for a new request')

type AnyHandler = (input: never, call: never) => Promise<unknown>
type Named<Own> = { readonly [Name in keyof Own]: AnyHandler }

/**
 * The handlers of a resource, guarded: a refusal that was thrown becomes an answer, and so does a database that is away. Defects go on.
 * @param run  runs the handler, for a service that has something of its own to do about it
 */
export const guarded = <Own extends Named<Own>>(handlers: Own, run: (handle: () => Promise<unknown>) => Promise<unknown> = (handle) => handle()): Own => {
  const guard =
    (handler: AnyHandler): AnyHandler =>
    async (input, call) => {
      try {
        return await run(() => handler(input, call))
      } catch (error) {
        if (error instanceof Refused) return refused(error.refusal)
        const fault = faultOf(error)
        if (fault) return refused(away(fault))
        throw error
      }
    }
  return Object.fromEntries(Object.entries<AnyHandler>(handlers).map(([name, handler]) => [name, guard(handler)])) as Own // the same names, guarded
}

const away = ({ kind }: Fault): Refusal =>
  kind === 'busy' || kind === 'refused'
    ? { code: 'overloaded', detail: 'the database is busy; nothing was done, try again', retryAfterSeconds: 1 }
    : { code: 'unavailable', detail: 'the database cannot be reached; try again', retryAfterSeconds: 1 }

/** A kind of document as people say it. */
export const wordOf = (kind: IdKind): string => kind.replaceAll('_', ' ')

export const noSuch = (kind: IdKind, id: string): Refused => new Refused('not_found', `there is no ${wordOf(kind)} ${id}`)

/** The uuid behind an id whose shape the gateway has checked. */
export const namedId = (kind: IdKind, id: string): Uuid => {
  const uuid = decodeId(kind, id)
  if (uuid === undefined) throw noSuch(kind, id)
  return uuid
}

/** The uuid behind a cursor of a list whose places are ids. */
export const cursorId = (kind: IdKind, cursor: string): Uuid => {
  const uuid = decodeId(kind, cursor)
  if (uuid === undefined) throw invalidCursor(cursor)
  return uuid
}

/** The same, for a query that may name none. */
export const placeOf = (kind: IdKind, cursor: string | undefined): Uuid | null => (cursor === undefined ? null : cursorId(kind, cursor))

/** A cursor that is no place in its list. */
export const invalidCursor = (cursor: string): Refused =>
  new Refused('invalid_request', 'starting_after is no place in this list', {
    errors: [{ param: 'starting_after', message: `${cursor} is neither an id nor a next_cursor of this list` }],
  })

const DEFAULT_LIMIT = 20

export type Page<Wire> = { object: 'list'; data: Wire[]; has_more: boolean; next_cursor: string | null }

export type Rows<Row, Wire> = {
  readonly read: (limit: number) => Promise<readonly Row[]>
  readonly render: (row: Row) => Wire
  /** Names the place of a row, for `starting_after`. */
  readonly cursorOf: (row: Row) => string
}

/** One page of a list: one row more is asked for than is shown, to know whether there is more. */
export const pageOf = async <Row, Wire>(query: { readonly limit?: number }, { read, render, cursorOf }: Rows<Row, Wire>): Promise<Answer<Page<Wire>>> => {
  const limit = query.limit ?? DEFAULT_LIMIT
  const rows = await read(limit + 1)
  const shown = rows.slice(0, limit)
  const last = shown.at(-1)
  const more = rows.length > limit && last !== undefined
  return { ok: true, body: { object: 'list', data: shown.map(render), has_more: more, next_cursor: more ? cursorOf(last) : null } }
}

/** Rows that are shown as they are read, each in its place by its id. */
export const byId = <Wire extends { readonly id: string }>(read: (limit: number) => Promise<readonly Wire[]>): Rows<Wire, Wire> => ({
  read,
  render: (wire) => wire,
  cursorOf: ({ id }) => id,
})

export const iso = (at: number | Date): string => new Date(at).toISOString()
