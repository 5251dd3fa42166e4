// Reading stock levels: as they stand, and as they were.
import type { ItemNumber, LocationNumber } from '../domain/ids.ts'
import type { Level, Thresholds } from '../domain/level.ts'
import type { Instant } from '../domain/instant.ts'
import { int4s, int8s, ms } from './codec.ts'
import type { Connection, Pool } from './pool.ts'

export type StoodLevel = Level & { readonly updatedAt: number | null }
/** Rows, and the ledger's sequence in the same snapshot. */
export type LevelsRead = { readonly levels: StoodLevel[]; readonly sequence: number; readonly now: number }

const columns = `
       l.item_id as item, l.location_id as location, l.available, l.held, l.committed, l.damaged, l.quality_control, l.incoming,
       l.safety_stock as "safetyStock", l.reorder_point as "reorderPoint", l.signal, l.signals, l.version, ${ms('l.updated_at')} as "updatedAt"`

/** All levels of some items. Items without any have no row. */
export const levelsOfItems = async (pool: Pool, items: readonly ItemNumber[]): Promise<LevelsRead> => {
  const { rows } = await pool.query({
    name: 'levels-of-items',
    text: `
with head as materialized (select h.sequence, ${ms('clock_timestamp()')} as now from ledger_head as h)
select head.sequence, head.now, ${columns}
  from head
  left join stock_levels as l on l.item_id = any($1::int[])
 order by l.item_id, l.location_id`,
    values: [int4s(items)],
  })
  return { levels: rows.filter((row) => row.item !== null), sequence: rows[0].sequence, now: rows[0].now }
}

export type LevelFilter = {
  readonly item: ItemNumber | null
  readonly location: LocationNumber | null
  /** The only locations that the reader may see; null: all. */
  readonly locations: readonly LocationNumber[] | null
  readonly low: boolean
  /** The place of the last row of the page before. */
  readonly after: { readonly item: number; readonly location: number } | null
  readonly limit: number
}

/** By item, then location, in the order in which they were numbered. */
export const listLevels = async (pool: Pool, { item, location, locations, low, after, limit }: LevelFilter): Promise<LevelsRead> => {
  const { rows } = await pool.query(
    `
with head as materialized (select h.sequence, ${ms('clock_timestamp()')} as now from ledger_head as h),
page as (
  select ${columns}
    from stock_levels as l
   where ($1::int is null or l.item_id = $1)
     and ($2::int is null or l.location_id = $2)
     and ($7::int[] is null or l.location_id = any($7))
     and ($3::int is null or (l.item_id, l.location_id) > ($3, $4::int))
     and (not $5 or greatest(0, l.available - l.safety_stock) <= l.reorder_point)
   order by l.item_id, l.location_id
   limit $6)
select head.sequence, head.now, page.*
  from head
  left join page on true
 order by page.item, page.location`,
    [item, location, after?.item ?? null, after?.location ?? null, low, limit, locations],
  )
  return { levels: rows.filter((row) => row.item !== null), sequence: rows[0].sequence, now: rows[0].now }
}

/** What the ledger entries alone add up to at an instant: the levels as they were then. */
export const levelsAsOf = async (pool: Pool, at: Instant, { item, location, locations, after, limit }: LevelFilter): Promise<LevelsRead> => {
  const { rows } = await pool.query(
    `
with head as materialized (select h.sequence, ${ms('clock_timestamp()')} as now from ledger_head as h),
page as (
  select ${folded}
    from ledger_entries as e
   where e.occurred_at <= to_timestamp($1::float8 / 1000)
     and ($2::int is null or e.item_id = $2)
     and ($3::int is null or e.location_id = $3)
     and ($7::int[] is null or e.location_id = any($7))
     and ($4::int is null or (e.item_id, e.location_id) > ($4, $5::int))
   group by e.item_id, e.location_id
   order by e.item_id, e.location_id
   limit $6)
select head.sequence, head.now, page.*, coalesce(l.safety_stock, 0) as "safetyStock", l.reorder_point as "reorderPoint", null as signal, 0 as signals
  from head
  left join page on true
  left join stock_levels as l on (l.item_id, l.location_id) = (page.item, page.location)
 order by page.item, page.location`,
    [at, item, location, after?.item ?? null, after?.location ?? null, limit, locations],
  )
  return { levels: rows.filter((row) => row.item !== null), sequence: rows[0].sequence, now: rows[0].now }
}

const state = (number: number) =>
  `sum(case when e.to_state = ${number} then e.quantity else 0 end - case when e.from_state = ${number} then e.quantity else 0 end)::bigint`

/** A level as the sum of its entries. The int4s of the states are those of codec.ts. */
export const folded = `e.item_id as item, e.location_id as location, ${state(1)} as available, ${state(2)} as held, ${state(3)} as committed,
         ${state(4)} as damaged, ${state(5)} as quality_control, ${state(6)} as incoming,
         max(e.level_version) as version, ${ms('max(e.occurred_at)')} as "updatedAt"`

/**
 * All locks first, in the order of batches. What was told of a level stays as it was until the level moves again; where nothing
 * was, it is noted that it was in stock by the old numbers, so that being low or out by the new ones is told then.
 */
export const setThresholds = async (connection: Connection, items: readonly (Thresholds & { readonly number: ItemNumber })[]): Promise<void> => {
  const numbers = int4s(items.map(({ number }) => number))
  await connection.query('select from stock_levels as l where l.item_id = any($1::int[]) order by l.item_id, l.location_id for update', [numbers])
  await connection.query(
    `
update stock_levels as l
   set safety_stock = n.safety_stock, reorder_point = n.reorder_point,
       signal = coalesce(l.signal, case when greatest(0, l.available - l.safety_stock) > coalesce(l.reorder_point, 0) then 'in_stock' end)
  from unnest($1::int[], $2::bigint[], $3::bigint[]) as n (item_id, safety_stock, reorder_point)
 where l.item_id = n.item_id`,
    [numbers, int8s(items.map(({ safetyStock }) => safetyStock)), int8s(items.map(({ reorderPoint }) => reorderPoint))],
  )
}

/** Whether any unit is at, or on its way to, a location. */
export const hasStock = async (connection: Connection, location: LocationNumber): Promise<boolean> => {
  const { rows } = await connection.query(
    `
select exists (select from stock_levels as l
                where l.location_id = $1
                  and l.available + l.held + l.committed + l.damaged + l.quality_control + l.incoming > 0) as has`,
    [location],
  )
  return rows[0].has
}
