// How domain values stand in columns: instants, holds, and the small numbers that stand for places and document kinds.
import { instant } from '../domain/instant.ts'
import type { DocumentAnswer } from '../domain/event.ts'
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
  transit: 23,
}
const placesByNumber = new Map(Object.entries(placeNumbers).map(([place, number]) => [number, place as Place])) // the keys are places
export const placeNumber = (place: Place): number => placeNumbers[place]
export const placeOf = (number: number): Place => {
  const place = placesByNumber.get(number)
  if (place === undefined) throw new RangeError(`no place has number ${number}`)
  return place
}

/** What a ledger entry belongs to. Fixed for ever, too. */
export type EntryDocument = DocumentAnswer['kind']
const documentNumbers: Readonly<Record<EntryDocument, number>> = {
  hold: 1,
  receipt: 2,
  adjustment: 3,
  shipment: 4,
  return: 5,
  transfer: 6,
  inbound_shipment: 7,
  count: 8,
}
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
  ${ms('h.ended_at')} as ended_at, h.customer, h.reference, h.metadata, h.allocations, h.shortages`

export type HoldRow = {
  id: Uuid
  version: number
  status: Hold['status']
  mode: Hold['mode']
  expires_at: number
  created_at: number
  ended_at: number | null
  customer: string | null
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
    customer: row.customer,
    reference: row.reference,
    metadata: row.metadata ?? {},
  }) as Hold // the constraint holds_ended_when_not_active ties status and ended_at together

/** null for what is empty: most holds have neither metadata nor shortages. */
export const jsonOrNull = (value: object): string | null => {
  for (const _ in value) return JSON.stringify(value)
  return null
}

/**
 * Array parameters as PostgreSQL itself keeps them. As text each value would be written out, quoted and read again, which was a
 * tenth of what a hold costs both sides.
 */
export const int2s = (values: readonly number[]): Buffer => numbers(values, INT2, 2)
export const int4s = (values: readonly (number | null)[]): Buffer => numbers(values, INT4, 4)
export const int8s = (values: readonly (number | null)[]): Buffer => numbers(values, INT8, 8)
export const texts = (values: readonly (string | null)[]): Buffer => strings(values, TEXT)
export const jsons = (values: readonly (string | null)[]): Buffer => strings(values, JSON_TYPE)

export const uuids = (values: readonly (Uuid | null)[]): Buffer => {
  const { bytes, view } = arrayOf(values.length, UUID, values.length * (LENGTH_BYTES + UUID_BYTES), values.includes(null))
  let at = HEADER_BYTES
  for (const uuid of values) {
    view.setInt32(at, uuid === null ? NULL_LENGTH : UUID_BYTES)
    at += LENGTH_BYTES
    if (uuid === null) continue
    const end = at + UUID_BYTES
    for (let n = 0; n < uuid.length; n += 2) {
      if (uuid.charCodeAt(n) === DASH) n += 1
      bytes[at] = (digitOf(uuid.charCodeAt(n)) << 4) | digitOf(uuid.charCodeAt(n + 1))
      at += 1
    }
    if (at !== end) throw new RangeError(`${uuid} is no uuid`)
  }
  return bytes.subarray(0, at)
}

/** Words of ours that need no quoting are cheaper as text: they are short, and joining them is one step. */
export const words = (values: readonly string[]): string => `{${values.join(',')}}`

const numbers = (values: readonly (number | null)[], type: number, size: 2 | 4 | 8): Buffer => {
  const { bytes, view } = arrayOf(values.length, type, values.length * (LENGTH_BYTES + size), values.includes(null))
  let at = HEADER_BYTES
  for (const value of values) {
    view.setInt32(at, value === null ? NULL_LENGTH : size)
    at += LENGTH_BYTES
    if (value === null) continue
    if (size === 2) view.setInt16(at, inRange(value, 2 ** 15))
    else if (size === 4) view.setInt32(at, inRange(value, 2 ** 31))
    else {
      const high = Math.floor(inRange(value, 2 ** 53) / 2 ** 32)
      view.setInt32(at, high)
      view.setUint32(at + 4, value - high * 2 ** 32)
    }
    at += size
  }
  return bytes.subarray(0, at)
}

const strings = (values: readonly (string | null)[], type: number): Buffer => {
  let length = 0
  for (const value of values) length += LENGTH_BYTES + (value === null ? 0 : Buffer.byteLength(value))
  const { bytes, view } = arrayOf(values.length, type, length, values.includes(null))
  let at = HEADER_BYTES
  for (const value of values) {
    const written = value === null ? NULL_LENGTH : bytes.write(value, at + LENGTH_BYTES)
    view.setInt32(at, written)
    at += LENGTH_BYTES + Math.max(0, written)
  }
  return bytes
}

const INT2 = 21
const INT4 = 23
const INT8 = 20
const TEXT = 25
const JSON_TYPE = 114
const UUID = 2950
const UUID_BYTES = 16
const DASH = 0x2d
/** How many dimensions, whether any is null, of which type, how many, and the number of the first. */
const HEADER_BYTES = 20
const LENGTH_BYTES = 4
const NULL_LENGTH = -1

const arrayOf = (count: number, type: number, length: number, hasNull: boolean): { bytes: Buffer; view: DataView } => {
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + length)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  view.setInt32(0, 1)
  view.setInt32(4, hasNull ? 1 : 0)
  view.setInt32(8, type)
  view.setInt32(12, count)
  view.setInt32(16, 1)
  return { bytes, view }
}

/** A number that does not fit is refused here as PostgreSQL would refuse it, and never cut off. */
const inRange = (value: number, end: number): number => {
  if (!Number.isSafeInteger(value) || value < -end || value >= end) throw new RangeError(`${value} does not fit its column`)
  return value
}

const digits = new Int8Array(128).fill(-1)
for (const [value, digit] of [...'0123456789abcdef'].entries()) {
  digits[digit.charCodeAt(0)] = value
  digits[digit.toUpperCase().charCodeAt(0)] = value
}
const digitOf = (code: number): number => {
  const value = digits[code] ?? -1
  if (value < 0) throw new RangeError('this is no uuid')
  return value
}
