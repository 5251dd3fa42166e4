// The PostgreSQL that everything is measured on: one of our own with the settings of `npm start`, or one that was named.
import { join } from 'node:path'
import { makeDirectory, removeDirectory } from './directories.ts'
import { keep, run } from './processes.ts'
import { fromRoot } from './root.ts'

export type Database = {
  readonly name: string
  readonly url: string
  /** Runs statements and answers what they answer: a line a row, fields with | between them. */
  sql(text: string): Promise<string>
  /** Runs a file of statements with psql's variables. */
  file(path: string, variables?: Readonly<Record<string, string | number>>): Promise<string>
  /** What PostgreSQL's own programs read from the environment to connect here. */
  readonly env: Readonly<Record<string, string>>
  drop(): Promise<void>
}

export type Postgres = {
  readonly version: string
  /** Settings that matter for what is measured. */
  readonly settings: Readonly<Record<string, string>>
  readonly source: 'own' | 'named'
  /** Makes a database, empty or as a copy of another one that nobody uses now. */
  make(name: string, template?: Database): Promise<Database>
  /** Writes out what waits to be written, so that every measurement begins alike. */
  settle(): Promise<void>
}

/** Started by the caller's stack, and gone with it. */
export const openPostgres = async (stack: AsyncDisposableStack, namedUrl: string | undefined): Promise<Postgres> => {
  const url = namedUrl ?? (await startOwn(stack))
  const admin = database(url)
  const made = new Set<Database>()
  stack.defer(async () => {
    for (const left of made) await left.drop()
  })
  const prefix = `holdfast_bench_${process.pid}_`
  return {
    version: (await admin.sql('show server_version')).trim(),
    settings: settingsOf(
      await admin.sql(
        `select s.name, current_setting(s.name) from pg_settings as s where s.name in (${worthKnowing.map((name) => `'${name}'`).join(', ')}) order by s.name`,
      ),
    ),
    source: namedUrl === undefined ? 'own' : 'named',
    make: async (name, template) => {
      const fullName = prefix + name
      await admin.sql(`create database ${fullName} template ${template?.name ?? 'template0'}`)
      const other = new URL(url)
      other.pathname = `/${fullName}`
      const one: Database = {
        ...database(other.href),
        drop: async () => {
          if (!made.delete(one)) return
          await admin.sql(`drop database if exists ${fullName} with (force)`)
        },
      }
      made.add(one)
      return one
    },
    settle: async () => void (await admin.sql('checkpoint')),
  }
}

const worthKnowing = [
  'fsync',
  'synchronous_commit',
  'full_page_writes',
  'wal_compression',
  'wal_level',
  'data_checksums',
  'shared_buffers',
  'wal_buffers',
  'max_wal_size',
  'checkpoint_timeout',
  'max_connections',
  'work_mem',
  'effective_cache_size',
  'random_page_cost',
  'autovacuum',
  'jit',
  'huge_pages',
  'io_method',
]

const settingsOf = (rows: string): Record<string, string> =>
  Object.fromEntries(
    rows
      .trim()
      .split('\n')
      .map((row) => [row.slice(0, row.indexOf('|')), row.slice(row.indexOf('|') + 1)]),
  )

const startOwn = async (stack: AsyncDisposableStack): Promise<string> => {
  const directory = makeDirectory('postgres')
  stack.defer(() => removeDirectory(directory))
  const server = keep({ program: process.execPath, args: [fromRoot('server/test/load/postgres.ts'), join(directory, 'data')] })
  stack.defer(() => server.stop())
  const said = JSON.parse(await server.line((line) => line.startsWith('{'))) as { url: string } // written by postgres.ts
  return said.url
}

const database = (url: string): Omit<Database, 'drop'> => {
  const env = environmentOf(url)
  const psql = (args: readonly string[], input?: string) =>
    run({
      program: 'psql',
      args: ['--no-psqlrc', '--quiet', '--no-align', '--tuples-only', '--set', 'ON_ERROR_STOP=1', ...args],
      env,
      package: 'postgresql-client',
      ...(input === undefined ? {} : { input }),
    })
  return {
    name: env['PGDATABASE'] ?? '',
    url,
    env,
    sql: (text) => psql(['--file', '-'], text),
    file: (path, variables = {}) => psql([...Object.entries(variables).flatMap(([name, value]) => ['--set', `${name}=${value}`]), '--file', path]),
  }
}

const environmentOf = (url: string): Record<string, string> => {
  const { hostname, port, username, password, pathname, searchParams } = new URL(url)
  const sslMode = searchParams.get('sslmode')
  return {
    PGHOST: hostname,
    PGPORT: port || '5432',
    PGUSER: decodeURIComponent(username),
    PGPASSWORD: decodeURIComponent(password),
    PGDATABASE: pathname.slice(1),
    ...(sslMode === null ? {} : { PGSSLMODE: sslMode }),
  }
}
