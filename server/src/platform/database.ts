// Finds the database to work on: the one that was named, else a PostgreSQL that we run ourselves, else one that already runs
// on this machine.

import { userInfo } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { Logger } from './log.ts'
import { NoPostgresError, startPostgres, type Postgres } from './embedded-postgres.ts'
import { databaseServers, NoPrimaryError, StandbyError, withoutPassword } from './database-servers.ts'
import { messageOf } from './error.ts'
import { OLDEST_POSTGRES_MAJOR } from './postgres-binaries.ts'

export type DatabaseOptions = {
  /** DATABASE_URL; undefined or empty when none is configured. */
  databaseUrl: string | undefined
  dataDir: string
  log: Pick<Logger, 'info' | 'warn' | 'error'>
}

export type OpenDatabase = {
  url: string
  /** The server of our own ('embedded', or the machine's programs run by us) or a server of somebody else. */
  source: 'configured' | 'embedded' | 'machine'
  /** Our own server; undefined when somebody else runs it. */
  postgres: Postgres | undefined
  stop(): Promise<void>
}

// Started together with its database (a compose file, a reboot), Holdfast is usually the quicker of the two.
const CONFIGURED_DATABASE_LIMIT_MS = 60_000
const LOOK_INTERVAL_MS = 500
const CONNECT_LIMIT_MS = 5_000
const STANDARD_PORT = 5432
const DEBIAN_SOCKETS = '/var/run/postgresql'

export async function openDatabase({ databaseUrl, dataDir, log }: DatabaseOptions): Promise<OpenDatabase> {
  if (databaseUrl) {
    await untilUsable(databaseUrl, log)
    return { url: databaseUrl, source: 'configured', postgres: undefined, stop: async () => {} }
  }

  try {
    const postgres = await startPostgres({ dataDir, log })
    return { url: postgres.url, source: postgres.source, postgres, stop: () => postgres.stop() }
  } catch (error) {
    if (!(error instanceof NoPostgresError)) throw error
  }

  const url = await databaseOnStandardPort()
  if (url === undefined) {
    throw new Error(
      `Holdfast found no PostgreSQL: none was named with DATABASE_URL, none came with the packages for this kind of machine ` +
        `(${process.platform} ${process.arch}), none is installed, and none answers on port ${STANDARD_PORT}. Install it with: apt-get install postgresql`,
    )
  }
  log.info({ database: withoutPassword(url) }, 'using the PostgreSQL that runs on this machine')
  return { url, source: 'machine', postgres: undefined, stop: async () => {} }
}

async function untilUsable(url: string, log: DatabaseOptions['log']): Promise<void> {
  const deadline = Date.now() + CONFIGURED_DATABASE_LIMIT_MS
  for (let attempt = 1; ; attempt += 1) {
    try {
      await checkVersion(url)
      return
    } catch (error) {
      const problem = messageOf(error)
      if (!isPassing(error) || Date.now() > deadline) {
        throw new Error(`The database named by DATABASE_URL (${withoutPassword(url)}) cannot be used: ${problem}`, { cause: error })
      }
      if (attempt === 1) log.warn({ database: withoutPassword(url), problem }, 'the database does not answer yet; waiting for it')
      await sleep(LOOK_INTERVAL_MS)
    }
  }
}

async function checkVersion(url: string): Promise<void> {
  await withClient(url, async (client) => {
    const { rows } = await client.query<{ number: number }>(`select current_setting('server_version_num')::int as number`)
    const number = rows[0]?.number ?? 0
    if (number >= OLDEST_POSTGRES_MAJOR * 10_000) return
    throw new Error(`it is PostgreSQL ${Math.trunc(number / 10_000)}, and Holdfast needs ${OLDEST_POSTGRES_MAJOR} or newer`)
  })
}

// What is over once the server or the network is up; a wrong password or an old server is not.
function isPassing(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  if (error instanceof NoPrimaryError) return error.causes.some(isPassing)
  if (error instanceof StandbyError) return true
  if (error instanceof pg.DatabaseError) return ['57P01', '57P02', '57P03', '53300', '55000'].includes(error.code ?? '')
  const code = 'code' in error ? error.code : undefined
  return (
    ['ECONNREFUSED', 'ECONNRESET', 'ENOENT', 'ENOTFOUND', 'EAI_AGAIN', 'ETIMEDOUT', 'EHOSTUNREACH'].includes(String(code)) ||
    /timeout|terminated/i.test(error.message)
  )
}

// A server that trusts us, through Debian's socket as the account we run as or as "postgres" on the loopback address. Our data
// goes into a database of its own name, never into one that is there for something else.
async function databaseOnStandardPort(): Promise<string | undefined> {
  const addresses = [
    (database: string) => `postgres://${encodeURIComponent(userInfo().username)}@${encodeURIComponent(DEBIAN_SOCKETS)}:${STANDARD_PORT}/${database}`,
    (database: string) => `postgres://postgres@127.0.0.1:${STANDARD_PORT}/${database}`,
  ]
  for (const address of addresses) {
    try {
      await withClient(address('postgres'), async (client) => {
        const { rowCount } = await client.query(`select 1 from pg_database where datname = 'holdfast'`)
        if (rowCount === 0) await client.query('create database holdfast')
      })
      await checkVersion(address('holdfast'))
      return address('holdfast')
    } catch {
      // Not there, not for us, or too old: the next address, and in the end the error that names them all.
    }
  }
  return undefined
}

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const servers = databaseServers(url)
  const client = new servers.Client({ connectionString: servers.url, connectionTimeoutMillis: CONNECT_LIMIT_MS })
  // A connection that breaks between two statements makes the next one fail, and that is where it is noticed.
  client.on('error', () => {})
  try {
    await client.connect()
    return await work(client)
  } finally {
    await client.end().catch(() => {})
  }
}
