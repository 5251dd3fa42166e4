// Imports: how far each one is, what it must remember until it is done, and the rows that failed.
import type { ItemNumber, LocationNumber, Uuid } from '../domain/ids.ts'
import { ms } from './codec.ts'
import { Fault, UNIQUE_VIOLATION } from './fault.ts'
import { rememberKey, type Key } from './idempotency.ts'
import type { ItemFields } from './items.ts'
import { transaction, type Connection, type Pool } from './pool.ts'

export type ImportRequest = {
  readonly format: 'csv' | 'ndjson'
  readonly dryRun: boolean
  readonly onExisting: 'refuse' | 'skip' | 'update'
  readonly location: string | null
}

/** Stock that the rows of one chunk brought to one location. */
export type PendingReceipt = {
  readonly id: Uuid
  readonly location: LocationNumber
  readonly lines: readonly { readonly item: ItemNumber; readonly quantity: number }[]
}

export type ImportCounts = {
  readonly rowsRead: number
  readonly itemsCreated: number
  readonly itemsUpdated: number
  readonly itemsUnchanged: number
  readonly unitsReceived: number
  readonly rowsSkipped: number
  readonly rowsFailed: number
  readonly bytes: number
}
export type ImportFailure = { readonly line: number; readonly code: string; readonly message: string }

/** How far an import is: everything that one chunk leaves to the next. */
export type ImportProgress = ImportCounts & {
  /** Of the rows read, as hex; null while there are none. */
  readonly digest: string | null
  /** Not yet known to be received, and not yet in `unitsReceived`. */
  readonly receipts: readonly PendingReceipt[]
}

export type Import = ImportRequest &
  ImportProgress & {
    readonly id: Uuid
    readonly status: 'running' | 'completed' | 'failed'
    readonly failure: ImportFailure | null
    readonly createdAt: number
    readonly updatedAt: number
    readonly completedAt: number | null
  }

export type ImportError = {
  readonly row: number
  readonly line: number
  readonly sku: string | null
  readonly code: string
  readonly message: string
  readonly errors: readonly { readonly param: string; readonly message: string }[]
  readonly raw: string
}

const columns = `p.id, p.format, p.dry_run as "dryRun", p.on_existing as "onExisting", p.location, p.status, p.failure, p.rows_read as "rowsRead",
       encode(p.digest, 'hex') as digest, p.items_created as "itemsCreated", p.items_updated as "itemsUpdated", p.items_unchanged as "itemsUnchanged",
       p.units_received as "unitsReceived", p.rows_skipped as "rowsSkipped", p.rows_failed as "rowsFailed", p.bytes, p.receipts,
       ${ms('p.created_at')} as "createdAt", ${ms('p.updated_at')} as "updatedAt", ${ms('p.completed_at')} as "completedAt"`

export type Opened =
  | { readonly is: 'mine'; readonly import: Import }
  /** Done before: there is nothing left to do but to see that it was this file. */
  | { readonly is: 'done'; readonly import: Import }
  | { readonly is: 'reused' }
  | { readonly is: 'in use'; readonly freeInMs: number }

export type Opening = {
  readonly id: Uuid
  readonly key: Key | undefined
  /** Told from other workers by it. */
  readonly worker: Uuid
  readonly leaseMs: number
  readonly request: ImportRequest
}

/** Begins the import that the key names, or goes on with it, as the only one who works on it. */
export const openImport = async (pool: Pool, opening: Opening): Promise<Opened> => {
  try {
    return await attempt(pool, opening)
  } catch (error) {
    // Somebody with the same key was first, and is found now.
    if (error instanceof Fault && error.sqlState === UNIQUE_VIOLATION) return attempt(pool, opening)
    throw error
  }
}

const attempt = (pool: Pool, { id, key, worker, leaseMs, request }: Opening): Promise<Opened> =>
  transaction(pool, async (connection): Promise<Opened> => {
    if (key) {
      let found = await lockByKey(connection, key)
      if (found === undefined && (await isRemembered(connection, key))) {
        // It means something else; or this, to somebody who was first, between the two statements.
        found = await lockByKey(connection, key)
        if (found === undefined) return { is: 'reused' }
      }
      if (found !== undefined && found.fingerprint !== key.fingerprint) return { is: 'reused' }
      if (found?.import.status === 'completed') return { is: 'done', import: found.import }
      if (found !== undefined && found.freeInMs > 0) return { is: 'in use', freeInMs: found.freeInMs }
      if (found !== undefined) {
        await connection.query(`update imports as p set status = 'running', failure = null, worker = $2, working_until = ${until('$3')} where p.id = $1`, [
          found.import.id,
          worker,
          leaseMs,
        ])
        return { is: 'mine', import: { ...found.import, status: 'running', failure: null } }
      }
    }
    const { rows } = await connection.query(
      `
insert into imports as p (id, key, fingerprint, format, dry_run, on_existing, location, worker, working_until, created_at, updated_at)
select $1, $2, $3, $4, $5, $6, $7, $8, ${until('$9')}, clock.now, clock.now
  from (select date_trunc('milliseconds', clock_timestamp()) as now) as clock
returning ${columns}`,
      [id, key?.key ?? null, key?.fingerprint ?? id, request.format, request.dryRun, request.onExisting, request.location, worker, leaseMs],
    )
    // So that the key means this to every other operation, too.
    if (key) await rememberKey(connection, key, { import: id })
    return { is: 'mine', import: rows[0] as Import } // the columns are named as its fields
  })

const until = (parameter: string) => `clock_timestamp() + make_interval(secs => ${parameter}::float8 / 1000)`

const isRemembered = async (connection: Connection, { key }: Key): Promise<boolean> =>
  (await connection.query('select from idempotency_keys as k where k.key = $1', [key])).rows.length > 0

const lockByKey = async (
  connection: Connection,
  { key }: Key,
): Promise<{ readonly import: Import; readonly fingerprint: Uuid; readonly freeInMs: number } | undefined> => {
  const { rows } = await connection.query(`select ${columns}, p.fingerprint from imports as p where p.key = $1 for update`, [key])
  if (rows[0] === undefined) return undefined
  const { fingerprint, ...found } = rows[0]
  // The clock is read once the lock is held, and not in the statement that waited for it.
  const clock = await connection.query(
    'select coalesce(ceil(extract(epoch from p.working_until - clock_timestamp()) * 1000), 0)::int as free from imports as p where p.id = $1',
    [found.id],
  )
  return { import: found as Import, fingerprint, freeInMs: clock.rows[0].free } // the columns are named as its fields
}

/** Says that the worker is alive. False: another one has taken over. */
export const renewImport = async (pool: Pool, id: Uuid, worker: Uuid, leaseMs: number): Promise<boolean> => {
  const { rowCount } = await pool.query(`update imports as p set working_until = ${until('$3')} where p.id = $1 and p.worker = $2`, [id, worker, leaseMs])
  return rowCount === 1
}

/** Lets another one go on at once. */
export const leaveImport = async (pool: Pool, id: Uuid, worker: Uuid): Promise<void> => {
  await pool.query('update imports as p set worker = null, working_until = null where p.id = $1 and p.worker = $2', [id, worker])
}

/** The first thing in a chunk's transaction. False: another worker has it, or it is not as far as this one believes. */
export const lockImport = async (connection: Connection, { id, rowsRead }: Import, worker: Uuid): Promise<boolean> => {
  const { rows } = await connection.query(
    "select from imports as p where p.id = $1 and p.worker = $2 and p.rows_read = $3 and p.status = 'running' for update",
    [id, worker, rowsRead],
  )
  return rows.length === 1
}

/** Writes how far a locked import is. */
export const saveProgress = async (
  connection: Connection,
  id: Uuid,
  progress: ImportProgress,
  end: { readonly status: 'running' } | { readonly status: 'completed' } | { readonly status: 'failed'; readonly failure: ImportFailure },
): Promise<Import> => {
  const { rows } = await connection.query(
    `
update imports as p
   set rows_read = $2, digest = decode($3, 'hex'), items_created = $4, items_updated = $5, items_unchanged = $6, units_received = $7, rows_skipped = $8,
       rows_failed = $9, bytes = $10, receipts = $11, status = $12, failure = $13, updated_at = greatest(p.updated_at, clock.now),
       completed_at = case when $12 = 'completed' then greatest(p.updated_at, clock.now) end,
       worker = case when $12 = 'running' then p.worker end, working_until = case when $12 = 'running' then p.working_until end
  from (select date_trunc('milliseconds', clock_timestamp()) as now) as clock
 where p.id = $1
returning ${columns}`,
    [
      id,
      progress.rowsRead,
      progress.digest,
      progress.itemsCreated,
      progress.itemsUpdated,
      progress.itemsUnchanged,
      progress.unitsReceived,
      progress.rowsSkipped,
      progress.rowsFailed,
      progress.bytes,
      JSON.stringify(progress.receipts),
      end.status,
      end.status === 'failed' ? JSON.stringify(end.failure) : null,
    ],
  )
  return rows[0] as Import // the columns are named as its fields
}

/** What an import has done about a sku: where it received stock of it (0: nowhere), and in a dry run what the item would be. */
export type Dealt = { readonly sku: string; readonly location: number; readonly fields: ItemFields | null }

export const dealtWith = async (connection: Connection, id: Uuid, skus: readonly string[]): Promise<Dealt[]> => {
  const { rows } = await connection.query(
    `
select d.sku, d.location_id as location, d.fields
  from import_items as d
 where d.import_id = $1 and d.sku = any($2)
 order by d.sku, d.location_id`,
    [id, skus],
  )
  return rows
}

export const noteDealtWith = async (connection: Connection, id: Uuid, dealt: readonly Dealt[]): Promise<void> => {
  if (dealt.length === 0) return
  await connection.query(
    `
insert into import_items as d (import_id, sku, location_id, fields)
select $1, n.sku, n.location_id, n.fields
  from unnest($2::text[], $3::int[], $4::json[]) as n (sku, location_id, fields)
on conflict (import_id, sku, location_id) do update set fields = coalesce(excluded.fields, d.fields)`,
    [id, dealt.map(({ sku }) => sku), dealt.map(({ location }) => location), dealt.map(({ fields }) => (fields === null ? null : JSON.stringify(fields)))],
  )
}

/** Throws away what a completed import need not remember any more, a part of it at a time. */
export const forgetDealtWith = async (pool: Pool, id: Uuid, limit: number): Promise<void> => {
  for (let gone = limit; gone === limit;) {
    const { rowCount } = await pool.query(
      'delete from import_items as d where d.ctid = any(array(select old.ctid from import_items as old where old.import_id = $1 limit $2))',
      [id, limit],
    )
    gone = rowCount ?? 0
  }
}

export const insertImportErrors = async (connection: Connection, id: Uuid, errors: readonly ImportError[]): Promise<void> => {
  if (errors.length === 0) return
  await connection.query(
    `
insert into import_errors (import_id, row_number, line_number, sku, code, message, errors, raw)
select $1, n.row_number, n.line_number, n.sku, n.code, n.message, n.errors, n.raw
  from unnest($2::int[], $3::int[], $4::text[], $5::text[], $6::text[], $7::json[], $8::text[])
       as n (row_number, line_number, sku, code, message, errors, raw)`,
    [
      id,
      errors.map(({ row }) => row),
      errors.map(({ line }) => line),
      errors.map(({ sku }) => sku),
      errors.map(({ code }) => code),
      errors.map(({ message }) => message),
      errors.map((error) => JSON.stringify(error.errors)),
      errors.map(({ raw }) => raw),
    ],
  )
}

export const getImport = async (pool: Pool, id: Uuid): Promise<Import | undefined> => {
  const { rows } = await pool.query(`select ${columns} from imports as p where p.id = $1`, [id])
  return rows[0] as Import | undefined // the columns are named as its fields
}

/** Newest first. */
export const listImports = async (
  pool: Pool,
  { key, before, limit }: { readonly key: Uuid | null; readonly before: Uuid | null; readonly limit: number },
): Promise<Import[]> => {
  const { rows } = await pool.query(
    `
select ${columns}
  from imports as p
 where ($1::uuid is null or p.key = $1)
   and ($2::uuid is null or p.id < $2)
 order by p.id desc
 limit $3`,
    [key, before, limit],
  )
  return rows as Import[] // the columns are named as its fields
}

/** In the order of the file. */
export const listImportErrors = async (pool: Pool, id: Uuid, { after, limit }: { readonly after: number; readonly limit: number }): Promise<ImportError[]> => {
  const { rows } = await pool.query(
    `
select e.row_number as row, e.line_number as line, e.sku, e.code, e.message, e.errors, e.raw
  from import_errors as e
 where e.import_id = $1 and e.row_number > $2
 order by e.row_number
 limit $3`,
    [id, after, limit],
  )
  return rows
}
