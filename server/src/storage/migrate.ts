// Brings the tables to the form this code was written for: the files in migrations/, in order, each once, each whole. There is
// no way back; what was applied is never edited.

import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { databaseServers } from '../platform/database-servers.ts'
import type { Logger } from '../platform/log.ts'
import { faultOf } from './fault.ts'

export type MigrateOptions = ({ url: string } | { client: pg.ClientBase }) & {
  log: Pick<Logger, 'info'>
  /** Where the .sql files are. */
  directory?: string
}

// The longest migration of a large ledger should be over by then; whoever waits in vain can simply be started again.
const LOCK_LIMIT_MS = 15 * 60_000
const LOCK_LOOK_INTERVAL_MS = 250
const CONNECT_LIMIT_MS = 5_000
const FILE_NAME = /^(?<version>\d{4})-(?<name>[a-z0-9-]+)\.sql$/
const ownMigrations = fileURLToPath(new URL('./migrations', import.meta.url))

type Migration = { version: number; file: string; name: string; sql: string; checksum: string }
type Applied = { version: number; name: string; checksum: string }

/** Tells the files that were applied now. Works in the first schema of the connection's search_path. */
export async function migrate({ log, directory = ownMigrations, ...where }: MigrateOptions): Promise<{ applied: string[] }> {
  const migrations = await readMigrations(directory)
  if ('client' in where) return migrateWith(where.client, { migrations, log })

  const servers = databaseServers(where.url)
  const client = new servers.Client({ connectionString: servers.url, connectionTimeoutMillis: CONNECT_LIMIT_MS, keepAlive: true })
  // A connection that breaks between two statements makes the next one fail, and that is where it is noticed.
  client.on('error', () => {})
  await client.connect()
  try {
    return await migrateWith(client, { migrations, log })
  } finally {
    await client.end().catch(() => {})
  }
}

async function migrateWith(client: pg.ClientBase, { migrations, log }: { migrations: Migration[]; log: Pick<Logger, 'info'> }): Promise<{ applied: string[] }> {
  const key = await lock(client, log)
  try {
    await client.query(`
      create table if not exists schema_migrations (
        version    integer     not null constraint schema_migrations_version_is_applied_once primary key,
        name       text        not null,
        checksum   text        not null,
        applied_at timestamptz not null default now()
      )`)
    const { rows: applied } = await client.query<Applied>(`
      select m.version, m.name, m.checksum
        from schema_migrations as m
       order by m.version`)
    const due = dueMigrations(migrations, applied)

    for (const migration of due) {
      await apply(client, migration)
      log.info({ migration: migration.file }, 'migration applied')
    }
    return { applied: due.map(({ file }) => file) }
  } finally {
    // When the connection is gone, so is the lock.
    await client.query('select pg_advisory_unlock($1)', [key]).catch(() => {})
  }
}

// Cells in one database migrate independently of each other, so the lock carries the schema's name.
async function lock(client: pg.ClientBase, log: Pick<Logger, 'info'>): Promise<string> {
  const { rows } = await client.query<{ schema: string | null; key: string }>(`
    select current_schema() as schema, hashtextextended('holdfast migrations of ' || coalesce(current_schema(), ''), 0)::text as key`)
  const { schema, key } = rows[0] ?? { schema: null, key: '' }
  if (schema === null) throw new Error('The tables cannot be made: no schema in the search_path exists.')

  const deadline = Date.now() + LOCK_LIMIT_MS
  for (let attempt = 1; ; attempt += 1) {
    const { rows: tries } = await client.query<{ locked: boolean }>('select pg_try_advisory_lock($1) as locked', [key])
    if (tries[0]?.locked) return key
    if (Date.now() > deadline)
      throw new Error(`Another Holdfast has been migrating the schema ${schema} for more than ${LOCK_LIMIT_MS / 60_000} minutes; see what it waits for.`)
    if (attempt === 1) log.info({ schema }, 'another Holdfast is migrating; waiting for it')
    await sleep(LOCK_LOOK_INTERVAL_MS)
  }
}

function dueMigrations(migrations: Migration[], applied: Applied[]): Migration[] {
  const newest = migrations.at(-1)?.version ?? 0
  for (const { version, name, checksum } of applied) {
    const migration = migrations.find((candidate) => candidate.version === version)
    const what = `${String(version).padStart(4, '0')}-${name}.sql`
    if (migration === undefined && version > newest) {
      throw new Error(
        `The database is newer than this Holdfast: ${what} was applied to it, and the newest migration here is number ${newest}. Start the newer Holdfast.`,
      )
    }
    if (migration === undefined) throw new Error(`The migration ${what} was applied to the database, and its file is missing here.`)
    if (migration.checksum !== checksum) {
      throw new Error(
        `The migration ${migration.file} was changed after it was applied to the database. Put it back as it was, and write the change as a new migration.`,
      )
    }
  }

  const lastApplied = applied.at(-1)?.version ?? 0
  const due = migrations.filter(({ version }) => !applied.some((done) => done.version === version))
  const late = due.find(({ version }) => version < lastApplied)
  if (late) throw new Error(`The migration ${late.file} comes before number ${lastApplied}, which is applied already. Give it the next number.`)
  return due
}

async function apply(client: pg.ClientBase, { version, name, file, sql, checksum }: Migration): Promise<void> {
  await client.query('begin')
  try {
    // What is a stuck statement on a request's path is a large table here.
    await client.query('set local statement_timeout = 0')
    // Several statements in one string give an array of results, which the types of pg do not say.
    const results = [await client.query(sql)].flat() as pg.QueryResult[]
    const ending = results.find(({ command }) => ['BEGIN', 'COMMIT', 'ROLLBACK', 'PREPARE TRANSACTION'].includes(command))
    if (ending) throw new Error(`it says "${ending.command.toLowerCase()}", and a migration must not begin or end its transaction`)
    await client.query('insert into schema_migrations (version, name, checksum) values ($1, $2, $3)', [version, name, checksum])
    const { command } = await client.query('commit')
    // After a failed statement the server answers a commit with a rollback, and no error.
    if (command !== 'COMMIT') throw new Error(`the database answered ${command} to the commit`)
  } catch (error) {
    await client.query('rollback').catch(() => {})
    // What says nothing of the migration is told as it is.
    if (faultOf(error) !== undefined) throw error
    throw new Error(`The migration ${file} failed: ${describe(error, sql)}`, { cause: error })
  }
}

function describe(error: unknown, sql: string): string {
  if (!(error instanceof Error)) return String(error)
  const position = error instanceof pg.DatabaseError && error.position !== undefined ? Number(error.position) : undefined
  return position === undefined ? error.message : `${error.message} (line ${sql.slice(0, position).split('\n').length})`
}

async function readMigrations(directory: string): Promise<Migration[]> {
  const files = (await readdir(directory)).filter((file) => file.endsWith('.sql')).toSorted()
  const migrations = await Promise.all(files.map((file) => readMigration(directory, file)))
  for (const [index, { version, file }] of migrations.entries()) {
    const before = migrations[index - 1]
    if (before?.version === version) throw new Error(`The migrations ${before.file} and ${file} have the same number.`)
  }
  return migrations
}

async function readMigration(directory: string, file: string): Promise<Migration> {
  const { version, name } = FILE_NAME.exec(file)?.groups ?? {}
  if (version === undefined || name === undefined) throw new Error(`The migration ${file} is not named like 0001-what-it-does.sql.`)
  // Line ends may be changed by version control; they do not change what the migration does.
  const sql = (await readFile(join(directory, file), 'utf8')).replaceAll('\r\n', '\n')
  return { version: Number(version), name, file, sql, checksum: createHash('sha256').update(sql).digest('hex') }
}
