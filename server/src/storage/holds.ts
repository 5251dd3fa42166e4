// Reading holds. They are written by the ledger alone.
import type { Hold, HoldStatus } from '../domain/hold.ts'
import type { ItemNumber, LocationNumber, Uuid } from '../domain/ids.ts'
import { holdColumns, holdOf, ms } from './codec.ts'
import type { Pool } from './pool.ts'

export const getHold = async (pool: Pool, id: Uuid): Promise<Hold | undefined> => {
  const { rows } = await pool.query({ name: 'get-hold', text: `select ${holdColumns} from holds as h where h.id = $1`, values: [id] })
  return rows[0] ? holdOf(rows[0]) : undefined
}

export const getHolds = async (pool: Pool, ids: readonly Uuid[]): Promise<Hold[]> => {
  const { rows } = await pool.query(`select ${holdColumns} from holds as h where h.id = any($1::uuid[])`, [ids])
  return rows.map(holdOf)
}

export type HoldFilter = {
  readonly status: HoldStatus | null
  readonly reference: string | null
  readonly customer: string | null
  readonly item: ItemNumber | null
  /** The only locations that the reader may see: holds that lie wholly elsewhere are left out; null: none are. */
  readonly locations: readonly LocationNumber[] | null
  readonly before: Uuid | null
  readonly limit: number
}

/** Newest first. By item, the holds are found through the ledger entries that made them. */
export const listHolds = async (pool: Pool, { status, reference, customer, item, locations, before, limit }: HoldFilter): Promise<Hold[]> => {
  const { rows } = await pool.query(
    `
select ${holdColumns}
  from holds as h
 where ($1::text is null or h.status = $1)
   and ($2::text is null or h.reference = $2)
   and ($3::uuid is null or h.id < $3)
   and ($6::text is null or h.customer = $6)
   ${locations === null ? 'and $7::int[] is null' : 'and exists (select from json_to_recordset(h.allocations) as a (location int) where a.location = any($7::int[]))'}
   ${item === null ? 'and $4::int is null' : 'and h.id in (select e.document_id from ledger_entries as e where e.item_id = $4::int and e.from_state = 1 and e.to_state = 2)'}
 order by h.id desc
 limit $5`,
    [status, reference, before, item, limit, customer, locations],
  )
  return rows.map(holdOf)
}

/**
 * Active holds past their time, earliest first: by the time that decides, which never runs back, though the clock may. It is read by a
 * subquery, once: read for each row, it would keep the index from being searched.
 */
export const dueHolds = async (pool: Pool, limit: number): Promise<Uuid[]> => {
  const { rows } = await pool.query({
    name: 'sweep-due-holds',
    text: `
select h.id
  from holds as h
 where h.status = 'active'
   and h.expires_at <= (select greatest(clock_timestamp(), head.latest_at) from ledger_head as head)
 order by h.expires_at, h.id
 limit $1`,
    values: [limit],
  })
  return rows.map((row) => row.id)
}

/**
 * When the next active hold of an item at a location (or anywhere) expires. Holds are looked through in the order in which
 * they expire, `depth` of them at most: beyond that nothing is said.
 */
export const nextExpiry = async (pool: Pool, item: ItemNumber, location: LocationNumber | null, depth: number): Promise<number | null> => {
  const { rows } = await pool.query({
    name: 'next-expiry',
    text: `
select ${ms('h.expires_at')} as at
  from (select due.expires_at, due.allocations
          from holds as due
         where due.status = 'active'
           and due.expires_at > (select clock_timestamp())
         order by due.expires_at
         limit $3) as h
 where exists (select from json_to_recordset(h.allocations) as a (item int, location int, held bigint)
                where a.item = $1 and ($2::int is null or a.location = $2) and a.held > 0)
 order by h.expires_at
 limit 1`,
    values: [item, location, depth],
  })
  return rows[0]?.at ?? null
}
