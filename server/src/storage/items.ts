// Items: what is stocked.
import type { ItemNumber } from '../domain/ids.ts'
import { ms } from './codec.ts'
import { taken } from './fault.ts'
import type { Connection, Pool } from './pool.ts'

export type ItemStatus = 'active' | 'archived'
export type ItemFields = {
  readonly sku: string
  readonly name: string
  readonly description: string | null
  readonly brand: string | null
  readonly category: string | null
  readonly price: { readonly amount: number; readonly currency: string } | null
  readonly barcode: string | null
  readonly attributes: Readonly<Record<string, string>>
  readonly metadata: Readonly<Record<string, string>>
  readonly safetyStock: number
  readonly reorderPoint: number | null
  /** How many units one customer may buy within a time. */
  readonly purchaseLimit: { readonly quantity: number; readonly windowSeconds: number } | null
  readonly status: ItemStatus
}
export type Item = ItemFields & {
  readonly number: ItemNumber
  readonly version: number
  readonly sequence: number
  readonly createdAt: number
  readonly updatedAt: number
}

const columns = `i.id, i.sku, i.name, i.description, i.brand, i.category, i.price_amount, i.price_currency, i.barcode, i.attributes, i.metadata,
       i.safety_stock, i.reorder_point, i.purchase_limit_quantity, i.purchase_limit_seconds, i.status, i.version, i.sequence, ${ms('i.created_at')} as created_at, ${ms('i.updated_at')} as updated_at`

/** Throws a Fault of kind `refused` when there is one with this sku. The sequence is set when its event has one. */
export const insertItem = async (connection: Connection, item: ItemFields): Promise<Item> => {
  const { rows } = await connection.query(
    `
insert into items as i (sku, name, description, brand, category, price_amount, price_currency, barcode, attributes, metadata, safety_stock, reorder_point,
                        status, purchase_limit_quantity, purchase_limit_seconds, sequence, created_at, updated_at)
select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 0, clock.now, clock.now
  from (select date_trunc('milliseconds', clock_timestamp()) as now) as clock
 where not exists (select from items as other where other.sku = $1)
returning ${columns}`,
    valuesOf(item),
  )
  if (rows[0] === undefined) throw taken(item.sku)
  return itemOf(rows[0])
}

/** Writes all fields of an item that was locked, and makes its next version. */
export const updateItem = async (connection: Connection, number: ItemNumber, item: ItemFields): Promise<Item> => {
  const { rows } = await connection.query(
    `
update items as i
   set name = $2, description = $3, brand = $4, category = $5, price_amount = $6, price_currency = $7, barcode = $8, attributes = $9, metadata = $10,
       safety_stock = $11, reorder_point = $12, status = $13, purchase_limit_quantity = $14, purchase_limit_seconds = $15, version = i.version + 1,
       updated_at = greatest(i.updated_at, date_trunc('milliseconds', clock_timestamp()))
 where i.id = $16 and i.sku = $1
returning ${columns}`,
    [...valuesOf(item), number],
  )
  return itemOf(rows[0])
}

/** Makes many items. Throws a Fault of kind `refused` when there is one with one of these skus. */
export const insertItems = async (connection: Connection, items: readonly ItemFields[]): Promise<Item[]> => {
  if (items.length === 0) return []
  const { rows } = await connection.query(
    `
insert into items as i (sku, name, description, brand, category, price_amount, price_currency, barcode, attributes, metadata, safety_stock, reorder_point,
                        status, purchase_limit_quantity, purchase_limit_seconds, sequence, created_at, updated_at)
select n.sku, n.name, n.description, n.brand, n.category, n.price_amount, n.price_currency, n.barcode, n.attributes, n.metadata, n.safety_stock,
       n.reorder_point, n.status, n.purchase_limit_quantity, n.purchase_limit_seconds, 0, clock.now, clock.now
  from (select date_trunc('milliseconds', clock_timestamp()) as now) as clock, ${manyItems}
 order by n.place
returning ${columns}`,
    columnsOf(items),
  )
  return rows.map(itemOf)
}

/** Writes all fields of items that were locked, and makes the next version of each. */
export const updateItems = async (connection: Connection, items: readonly ItemFields[]): Promise<Item[]> => {
  if (items.length === 0) return []
  const { rows } = await connection.query(
    `
update items as i
   set name = n.name, description = n.description, brand = n.brand, category = n.category, price_amount = n.price_amount, price_currency = n.price_currency,
       barcode = n.barcode, attributes = n.attributes, metadata = n.metadata, safety_stock = n.safety_stock, reorder_point = n.reorder_point,
       status = n.status, purchase_limit_quantity = n.purchase_limit_quantity, purchase_limit_seconds = n.purchase_limit_seconds,
       version = i.version + 1, updated_at = greatest(i.updated_at, clock.now)
  from (select date_trunc('milliseconds', clock_timestamp()) as now) as clock, ${manyItems}
 where i.sku = n.sku
returning ${columns}`,
    columnsOf(items),
  )
  return rows.map(itemOf)
}

/** The sequences of the events that told of them: `first` is that of the first item, and so on. */
export const setItemSequences = async (connection: Connection, numbers: readonly ItemNumber[], first: number): Promise<void> => {
  await connection.query(
    `
update items as i
   set sequence = $2::bigint + n.place - 1
  from unnest($1::int[]) with ordinality as n (id, place)
 where i.id = n.id`,
    [numbers, first],
  )
}

/** In one order, so that two who lock the same items wait for each other in a queue and not in a ring. */
export const lockItems = async (connection: Connection, skus: readonly string[]): Promise<Item[]> => {
  const { rows } = await connection.query(`select ${columns} from items as i where i.sku = any($1) order by i.id for update`, [skus])
  return rows.map(itemOf)
}

const manyItems = `unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::text[], $9::json[], $10::json[], $11::bigint[],
              $12::bigint[], $13::text[], $14::bigint[], $15::bigint[])
       with ordinality as n (sku, name, description, brand, category, price_amount, price_currency, barcode, attributes, metadata, safety_stock, reorder_point,
                             status, purchase_limit_quantity, purchase_limit_seconds, place)`

/** The values of many items, column by column. */
const columnsOf = (items: readonly ItemFields[]): unknown[][] => {
  const all = items.map(valuesOf)
  return (all[0] ?? []).map((_, column) => all.map((values) => values[column]))
}

export const setItemSequence = async (connection: Connection, number: ItemNumber, sequence: number): Promise<void> => {
  await connection.query('update items as i set sequence = $2 where i.id = $1', [number, sequence])
}

export const lockItem = async (connection: Connection, sku: string): Promise<Item | undefined> => {
  const { rows } = await connection.query(`select ${columns} from items as i where i.sku = $1 for update`, [sku])
  return rows[0] ? itemOf(rows[0]) : undefined
}

export const itemsBySku = async (pool: Pool | Connection, skus: readonly string[]): Promise<Item[]> => {
  const { rows } = await pool.query({ name: 'items-by-sku', text: `select ${columns} from items as i where i.sku = any($1)`, values: [skus] })
  return rows.map(itemOf)
}

export const itemsByNumber = async (pool: Pool, numbers: readonly ItemNumber[]): Promise<Item[]> => {
  const { rows } = await pool.query({ name: 'items-by-number', text: `select ${columns} from items as i where i.id = any($1)`, values: [numbers] })
  return rows.map(itemOf)
}

/** Items changed after a sequence, oldest change first. */
export const itemsChangedAfter = async (pool: Pool, sequence: number, limit: number): Promise<Item[]> => {
  const { rows } = await pool.query({
    name: 'items-changed',
    text: `select ${columns} from items as i where i.sequence > $1 order by i.sequence limit $2`,
    values: [sequence, limit],
  })
  return rows.map(itemOf)
}

export type ItemFilter = {
  readonly q: string | null
  readonly brand: string | null
  readonly category: string | null
  readonly status: ItemStatus | null
  readonly before: number | null
  readonly limit: number
}

/** Newest first. `q` is looked for in sku, name and barcode. */
export const listItems = async (pool: Pool, { q, brand, category, status, before, limit }: ItemFilter): Promise<Item[]> => {
  const { rows } = await pool.query(
    `
select ${columns}
  from items as i
 where ($1::text is null or i.sku ilike $1 or i.name ilike $1 or i.barcode ilike $1)
   and ($2::text is null or i.brand = $2)
   and ($3::text is null or i.category = $3)
   and ($4::text is null or i.status = $4)
   and ($5::int is null or i.id < $5)
 order by i.id desc
 limit $6`,
    [q === null ? null : `%${q.replaceAll(/[\\%_]/g, '\\$&')}%`, brand, category, status, before, limit],
  )
  return rows.map(itemOf)
}

const valuesOf = (item: ItemFields): unknown[] => [
  item.sku,
  item.name,
  item.description,
  item.brand,
  item.category,
  item.price?.amount ?? null,
  item.price?.currency ?? null,
  item.barcode,
  JSON.stringify(item.attributes),
  JSON.stringify(item.metadata),
  item.safetyStock,
  item.reorderPoint,
  item.status,
  item.purchaseLimit?.quantity ?? null,
  item.purchaseLimit?.windowSeconds ?? null,
]

type ItemRow = {
  id: ItemNumber
  sku: string
  name: string
  description: string | null
  brand: string | null
  category: string | null
  price_amount: number | null
  price_currency: string | null
  barcode: string | null
  attributes: Record<string, string>
  metadata: Record<string, string>
  safety_stock: number
  reorder_point: number | null
  purchase_limit_quantity: number | null
  purchase_limit_seconds: number | null
  status: ItemStatus
  version: number
  sequence: number
  created_at: number
  updated_at: number
}

const itemOf = (row: ItemRow): Item => ({
  number: row.id,
  sku: row.sku,
  name: row.name,
  description: row.description,
  brand: row.brand,
  category: row.category,
  price: row.price_amount === null || row.price_currency === null ? null : { amount: row.price_amount, currency: row.price_currency },
  barcode: row.barcode,
  attributes: row.attributes,
  metadata: row.metadata,
  safetyStock: row.safety_stock,
  reorderPoint: row.reorder_point,
  purchaseLimit:
    row.purchase_limit_quantity === null || row.purchase_limit_seconds === null
      ? null
      : { quantity: row.purchase_limit_quantity, windowSeconds: row.purchase_limit_seconds },
  status: row.status,
  version: row.version,
  sequence: row.sequence,
  createdAt: row.created_at,
  updatedAt: row.updated_at,
})
