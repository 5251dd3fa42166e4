// How domain values stand in columns: instants, holds, and the small numbers that stand for places and document kinds.
import { instant } from '../domain/instant.ts'
import type { Allocation, Hold } from '../domain/hold.ts'
import type { Uuid } from '../domain/ids.ts'
import type { Place } from '../domain/level.ts'
import type { Shortage } from '../domain/rejection.ts'

/** Fixed for ever: entries are never rewritten. */
const placeNumbers: Readonly<Record<Place, number>> = {
  available: 1,
  held: 2,
  committed: 3,
  damaged: 4,
  quality_control: 5,
  incoming: 6,
  supplier: 20,
  customer: 21,
  shrinkage: 22,
}
const placesByNumber = new Map(Object.entries(placeNumbers).map(([place, number]) => [number, place as Place])) // the keys are places
export const placeNumber = (place: Place): number => placeNumbers[place]
export const placeOf = (number: number): Place => {
  const place = placesByNumber.get(number)
  if (place === undefined) throw new RangeError(`no place has number ${number}`)
  return place
}

/** What a ledger entry belongs to. Fixed for ever, too. */
export type EntryDocument = 'hold' | 'receipt' | 'adjustment' | 'shipment' | 'return'
const documentNumbers: Readonly<Record<EntryDocument, number>> = { hold: 1, receipt: 2, adjustment: 3, shipment: 4, return: 5 }
const documentsByNumber = new Map(Object.entries(documentNumbers).map(([kind, number]) => [number, kind as EntryDocument])) // the keys are kinds
export const documentNumber = (kind: EntryDocument): number => documentNumbers[kind]
export const documentOf = (number: number): EntryDocument => {
  const kind = documentsByNumber.get(number)
  if (kind === undefined) throw new RangeError(`no kind of document has number ${number}`)
  return kind
}

/** SQL that reads a timestamptz as whole milliseconds. */
export const ms = (column: string): string => `trunc(extract(epoch from ${column}) * 1000)::bigint`

export const holdColumns = `h.id, h.version, h.status, h.mode, ${ms('h.expires_at')} as expires_at, ${ms('h.created_at')} as created_at,
  ${ms('h.ended_at')} as ended_at, h.reference, h.metadata, h.allocations, h.shortages`

export type HoldRow = {
  id: Uuid
  version: number
  status: Hold['status']
  mode: Hold['mode']
  expires_at: number
  created_at: number
  ended_at: number | null
  reference: string | null
  metadata: Record<string, string> | null
  allocations: Allocation[]
  shortages: Shortage[] | null
}

export const holdOf = (row: HoldRow): Hold =>
  ({
    id: row.id,
    version: row.version,
    status: row.status,
    mode: row.mode,
    allocations: row.allocations,
    shortages: row.shortages ?? [],
    createdAt: instant(row.created_at),
    expiresAt: instant(row.expires_at),
    endedAt: row.ended_at === null ? null : instant(row.ended_at),
    reference: row.reference,
    metadata: row.metadata ?? {},
  }) as Hold // the constraint holds_ended_when_not_active ties status and ended_at together

/** null for what is empty: most holds have neither metadata nor shortages. */
export const jsonOrNull = (value: object): string | null => {
  for (const _ in value) return JSON.stringify(value)
  return null
}

/** An array parameter of numbers, as PostgreSQL writes it: much cheaper than to have the driver look at each value. */
export const numbers = (values: readonly (number | null)[]): string => `{${values.map((value) => value ?? 'null').join(',')}}`
/** An array parameter of words that need no quoting: uuids and enums. */
export const words = (values: readonly (string | null)[]): string => `{${values.map((value) => value ?? 'null').join(',')}}`
