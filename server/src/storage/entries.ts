// Reading the ledger: every movement there ever was, newest first.
import type { ItemNumber, LocationNumber, Uuid } from '../domain/ids.ts'
import type { Instant } from '../domain/instant.ts'
import type { Place } from '../domain/level.ts'
import { documentOf, ms, placeNumber, placeOf, type EntryDocument } from './codec.ts'
import type { Pool } from './pool.ts'

export type WrittenEntry = {
  readonly sequence: number
  readonly item: ItemNumber
  readonly location: LocationNumber
  readonly levelVersion: number
  readonly quantity: number
  readonly from: Place
  readonly to: Place
  readonly document: { readonly kind: EntryDocument; readonly id: Uuid }
  readonly occurredAt: number
}

/** The place of an entry in the list: newest first, and within one sequence by the rest. */
export type EntryPlace = { readonly sequence: number; readonly item: number; readonly location: number; readonly from: number; readonly to: number }

export type EntryFilter = {
  readonly item: ItemNumber | null
  readonly location: LocationNumber | null
  /** The only locations that the reader may see; null: all. */
  readonly locations: readonly LocationNumber[] | null
  /** The documents whose movements are wanted: a hold, and its shipments and returns. */
  readonly documents: readonly Uuid[] | null
  readonly from: Place | null
  readonly to: Place | null
  readonly since: Instant | null
  readonly until: Instant | null
  readonly before: EntryPlace | null
  readonly limit: number
}

/** The first window of sequences that is looked through, and how it grows while too little is found. */
const FIRST_WINDOW = 4_096
const WINDOW_GROWTH = 8

/** Entries, and the ledger's sequence up to which they were looked for. */
export type EntriesRead = { readonly entries: WrittenEntry[]; readonly sequence: number }

export const listEntries = async (pool: Pool, filter: EntryFilter): Promise<EntriesRead> => {
  const head = await pool.query<{ sequence: number }>('select h.sequence from ledger_head as h')
  const sequence = head.rows[0]?.sequence ?? 0
  const top = Math.min(sequence, filter.before?.sequence ?? Number.MAX_SAFE_INTEGER)
  if (filter.item !== null) return { entries: await read(pool, filter, 0, top), sequence }

  // Without an item there is no index but the order in which entries were written. Sequences have no gaps, so a window of
  // them is a bounded piece of work.
  const found: WrittenEntry[] = []
  for (let upper = top, window = FIRST_WINDOW; upper > 0 && found.length < filter.limit; upper -= window, window *= WINDOW_GROWTH)
    found.push(...(await read(pool, { ...filter, limit: filter.limit - found.length }, Math.max(0, upper - window), upper)))
  return { entries: found, sequence }
}

/** Entries of sequences above `lower` up to and with `upper`. */
const read = async (pool: Pool, filter: EntryFilter, lower: number, upper: number): Promise<WrittenEntry[]> => {
  const { item, location, locations, documents, from, to, since, until, before, limit } = filter
  const { rows } = await pool.query(
    `
select ${entryColumns}
  from ledger_entries as e
 where e.sequence > $1 and e.sequence <= $2
   and ($3::int is null or e.item_id = $3)
   and ($4::int is null or e.location_id = $4)
   and ($16::int[] is null or e.location_id = any($16))
   and ($5::uuid[] is null or e.document_id = any($5))
   and ($6::int is null or e.from_state = $6)
   and ($7::int is null or e.to_state = $7)
   and ($8::float8 is null or e.occurred_at >= to_timestamp($8 / 1000))
   and ($9::float8 is null or e.occurred_at < to_timestamp($9 / 1000))
   and ($10::bigint is null or (e.sequence, e.item_id, e.location_id, e.from_state, e.to_state) < ($10, $11::int, $12::int, $13::int, $14::int))
 order by e.sequence desc, e.item_id desc, e.location_id desc, e.from_state desc, e.to_state desc
 limit $15`,
    [
      lower,
      upper,
      item,
      location,
      documents,
      from === null ? null : placeNumber(from),
      to === null ? null : placeNumber(to),
      since,
      until,
      before?.sequence ?? null,
      before?.item ?? null,
      before?.location ?? null,
      before?.from ?? null,
      before?.to ?? null,
      limit,
      locations,
    ],
  )
  return rows.map(entryOf)
}

const entryColumns = `e.sequence, e.item_id, e.location_id, e.level_version, e.quantity, e.from_state, e.to_state, e.document_kind, e.document_id, ${ms('e.occurred_at')} as occurred_at`

type EntryRow = {
  sequence: number
  item_id: ItemNumber
  location_id: LocationNumber
  level_version: number
  quantity: number
  from_state: number
  to_state: number
  document_kind: number
  document_id: Uuid
  occurred_at: number
}

const entryOf = (row: EntryRow): WrittenEntry => ({
  sequence: row.sequence,
  item: row.item_id,
  location: row.location_id,
  levelVersion: row.level_version,
  quantity: row.quantity,
  from: placeOf(row.from_state),
  to: placeOf(row.to_state),
  document: { kind: documentOf(row.document_kind), id: row.document_id },
  occurredAt: row.occurred_at,
})
