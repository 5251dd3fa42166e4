// A PostgreSQL of the run's own, with everything on that makes it durable. It is a direct child: after `kill -9` it can be started
// again as soon as the dead one was buried and its sessions are gone.
import { readdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { processesIn } from '../../src/platform/process.ts'
import {
  binariesFor,
  clusterFiles,
  DATABASE,
  DATABASE_USER,
  initialiseCluster,
  locateCluster,
  newPassword,
  postgresEnvironment,
  writeClusterFiles,
} from '../../src/platform/postgres-cluster.ts'
import { freePort } from '../support/free-port.ts'
import { until } from '../support/until.ts'
import { child, type Child } from './child.ts'

export type Postgres = {
  readonly port: number
  readonly child: Child
  /** By way of a port that may be a proxy's. */
  url(port?: number): string
  start(): Promise<void>
  /** Every process of it, at once. */
  killAll(): Promise<void>
  /** The sessions of clients, by the number of their processes; and the server's own helpers. */
  sessions(): number[]
  helpers(): number[]
  /** By how much its clock is off, when clocks can be set (see `clock`). */
  setClock(offsetMs: number): void
  /** Ended in good order. */
  stop(): Promise<void>
}

export type PostgresOptions = {
  readonly directory: string
  readonly logFile: string
  /** The library that lies about the time, when it is to. */
  readonly faketime: string | undefined
}

const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined }
/** Recovery after a crash, on a machine that is busy with everything else. */
const READY_MS = 60_000
const GONE_MS = 30_000

export const startOwnPostgres = async ({ directory, logFile, faketime }: PostgresOptions): Promise<Postgres> => {
  const cluster = locateCluster(directory, quiet)
  const binaries = binariesFor(cluster, quiet)
  if (binaries === undefined) throw new Error('there is no PostgreSQL among the packages or on this machine')
  const port = await freePort()
  const password = newPassword()
  const files = clusterFiles(binaries, {
    durability: 'full',
    settings: {
      port: String(port),
      max_connections: '200',
      shared_buffers: '64MB',
      // Who commits waits for the disk and not for this. Whoever does not wait loses up to ten seconds, which must be found.
      wal_writer_delay: '10s',
      max_wal_size: '1GB',
    },
  })
  await initialiseCluster(cluster, { binaries, durability: 'full', files, password })
  writeClusterFiles(cluster, files)
  const clockFile = join(cluster.base, 'clock')
  const setClock = (offsetMs: number) => writeFileSync(clockFile, `${offsetMs < 0 ? '-' : '+'}${Math.abs(offsetMs) / 1_000}\n`, { mode: 0o644 })
  setClock(0)

  const server = child({
    name: 'postgres',
    command: join(binaries.directory, 'postgres'),
    args: ['-D', cluster.directory],
    env: {
      ...postgresEnvironment,
      ...(faketime === undefined
        ? {}
        : { LD_PRELOAD: faketime, FAKETIME_TIMESTAMP_FILE: clockFile, FAKETIME_CACHE_DURATION: '1', FAKETIME_DONT_FAKE_MONOTONIC: '1' }),
    },
    logFile,
    account: cluster.account,
  })
  const own = realpathSync(cluster.directory)
  const url = (at = port) => `postgres://${DATABASE_USER}:${password}@127.0.0.1:${at}/${DATABASE}`
  const answers = async (): Promise<boolean> => {
    const client = new pg.Client({ connectionString: url(), connectionTimeoutMillis: 2_000, query_timeout: 2_000 })
    client.on('error', () => undefined)
    try {
      await client.connect()
      await client.query('select 1')
      return true
    } catch {
      return false
    } finally {
      await client.end().catch(() => undefined)
    }
  }
  const ofServer = () => {
    const parent = server.pid()
    return parent === undefined ? [] : childrenOf(parent)
  }

  return {
    port,
    child: server,
    url,
    start: async () => {
      await until('the sessions of the dead server are gone', () => processesIn(own, 'postgres').length === 0, { withinMs: GONE_MS })
      server.start()
      await until('PostgreSQL answers', answers, { withinMs: READY_MS })
    },
    killAll: async () => {
      const [first, ...others] = [server.pid(), ...ofServer().map(({ pid }) => pid)]
      if (first === undefined) return
      const gone = server.gone()
      for (const pid of [first, ...others]) if (pid !== undefined) kill(pid)
      await gone
      // A session that was just being made is not among those.
      for (const pid of processesIn(own, 'postgres')) kill(pid)
    },
    sessions: () => ofServer().flatMap(({ pid, title }) => (/127\.0\.0\.1/.test(title) ? [pid] : [])),
    helpers: () => ofServer().flatMap(({ pid, title }) => (/(walwriter|checkpointer|background writer)/.test(title) ? [pid] : [])),
    setClock,
    stop: async () => {
      for (const { pid } of ofServer()) wake(pid)
      await server.end('SIGINT', GONE_MS)
    },
  }
}

const kill = (pid: number) => signalIfThere(pid, 'SIGKILL')
const wake = (pid: number) => signalIfThere(pid, 'SIGCONT')
const signalIfThere = (pid: number, signal: 'SIGKILL' | 'SIGCONT') => {
  try {
    process.kill(pid, signal)
  } catch {
    // It has ended meanwhile.
  }
}

const childrenOf = (parent: number): { readonly pid: number; readonly title: string }[] =>
  readdirSync('/proc').flatMap((entry) => {
    if (!/^\d+$/.test(entry)) return []
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, 'latin1')
      if (Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) !== parent) return []
      return [{ pid: Number(entry), title: readFileSync(`/proc/${entry}/cmdline`, 'latin1').replaceAll('\0', ' ') }]
    } catch {
      return []
    }
  })
