// Two PostgreSQL servers of one's own, of which one is the primary and the other its synchronous standby: children of this
// process, so that it is known when they have ended.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, chmodSync, chownSync, closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { openLog } from '../../src/platform/log.ts'
import { embeddedBinaries, machineBinaries, preferredCache, runnableBinaries, type PostgresBinaries } from '../../src/platform/postgres-binaries.ts'
import { postgresEnvironment } from '../../src/platform/postgres-cluster.ts'
import { processesIn } from '../../src/platform/process.ts'
import { freePort } from '../support/free-port.ts'
import { until } from '../support/until.ts'

export type Node = {
  readonly name: string
  readonly port: number
  /** Asks it, and only it: about itself, or what is in the database of that name. */
  sql(text: string, database?: string): Promise<readonly Record<string, unknown>[]>
  /** `kill -9` of everything that belongs to it. */
  kill(): Promise<void>
  /** It hangs, with all that belongs to it: connections stay open, and nothing is answered. */
  pause(): void
  resume(): void
  /** What was killed comes back as it was. */
  start(): Promise<void>
}

export type Pair = {
  /** Both, as DATABASE_URL names them. */
  readonly url: string
  urlOf(node: Node): string
  primary(): Node
  standby(): Node
  /** The standby becomes the primary. What was the primary stays as it is, dead or alive. */
  promote(): Promise<void>
  /** What was the primary becomes the standby of what is the primary now. */
  rebuild(): Promise<void>
  /** Nothing more arrives at the standby; it stays connected. */
  cutStandby(): Promise<void>
  restoreStandby(): void
  stop(): Promise<void>
}

const USER = 'holdfast'
const DATABASE = 'holdfast'
/** As root, PostgreSQL runs as nobody: it refuses root. */
const account = process.geteuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : undefined

/** Where there are none, what needs them is left out, and says so. */
export const postgresPrograms = (): PostgresBinaries | undefined => embeddedBinaries() ?? machineBinaries()[0]

/** @param env  for one of the nodes: another clock, say */
export const startPair = async ({ env = {} }: { readonly env?: { readonly standby?: Readonly<Record<string, string>> } } = {}): Promise<Pair> => {
  const found = postgresPrograms()
  if (found === undefined) throw new Error('there is no PostgreSQL')
  const base = mkdtempSync(join(tmpdir(), 'holdfast-failover-'))
  chmodSync(base, 0o711)
  const programs = runnableBinaries(found, { account, caches: [preferredCache(), base], log: openLog({ level: 'warn' }) })

  const make = async (name: string, environment: Readonly<Record<string, string>>) => {
    const directory = join(base, name)
    const port = await freePort()
    let child: ChildProcess | undefined
    const sql = (text: string, database?: string) => ask(port, text, database)
    const ownProcesses = () => processesIn(directory, 'postgres')
    const kill = async () => {
      const ending = child
      child = undefined
      if (ending === undefined || ending.exitCode !== null || ending.signalCode !== null) return
      const gone = once(ending, 'exit')
      for (const pid of ownProcesses()) signalTo(pid, 'SIGKILL')
      await gone
      // Those that it had made end by themselves when they look up; before that, no new one can start there.
      await until(`everything of ${name} has ended`, () => ownProcesses().length === 0)
    }
    return {
      name,
      port,
      directory,
      sql,
      kill,
      pause: () => ownProcesses().forEach((pid) => signalTo(pid, 'SIGSTOP')),
      resume: () => ownProcesses().forEach((pid) => signalTo(pid, 'SIGCONT')),
      start: async () => {
        const output = openSync(join(base, `${name}.log`), 'a')
        const started = spawn(join(programs.directory, 'postgres'), ['-D', directory, '-p', String(port)], {
          ...account,
          cwd: directory,
          env: { ...postgresEnvironment, ...environment },
          stdio: ['ignore', output, output],
        })
        closeSync(output)
        child = started
        await until(`${name} answers (${join(base, `${name}.log`)})`, () => {
          if (started.exitCode !== null) throw new Error(`${name} ended with ${started.exitCode}`)
          return sql('select 1').then(
            () => true,
            () => false,
          )
        })
      },
    }
  }
  type OwnNode = Awaited<ReturnType<typeof make>>

  let primary = await make('a', {})
  let standby = await make('b', env.standby ?? {})
  let receiver: number | undefined

  const copy = async (from: OwnNode, to: OwnNode) => {
    rmSync(to.directory, { recursive: true, force: true })
    emptyDirectory(to.directory)
    const client = await connect(from.port)
    try {
      await client.query("select pg_backup_start('standby', true)")
      // Files that go while they are copied are mended from the log.
      spawnSync('cp', ['-a', `${from.directory}/.`, to.directory], { stdio: 'ignore' })
      const { rows } = await client.query('select labelfile from pg_backup_stop(false)')
      for (const name of ['postmaster.pid', 'postmaster.opts', 'standby.signal', 'tablespace_map']) rmSync(join(to.directory, name), { force: true })
      writeFileSync(join(to.directory, 'backup_label'), String(rows[0]?.labelfile))
      writeFileSync(join(to.directory, 'standby.signal'), '')
    } finally {
      await client.end()
    }
    const follows = `primary_conninfo = 'host=127.0.0.1 port=${from.port} user=${USER} application_name=${to.name}'\n`
    appendFileSync(join(to.directory, 'postgresql.conf'), follows)
    if (account) for (const name of ['backup_label', 'standby.signal']) chownSync(join(to.directory, name), account.uid, account.gid)
    await to.start()
    await until(`${to.name} is the synchronous standby of ${from.name}`, async () => {
      const rows = await from.sql('select from pg_stat_replication where sync_state = $$sync$$')
      return rows.length === 1
    })
  }

  const { directory } = primary
  emptyDirectory(directory)
  const made = spawnSync(
    join(programs.directory, 'initdb'),
    ['-D', directory, `--username=${USER}`, '--auth=trust', '--encoding=UTF8', '--locale=C', '--no-sync', '--no-instructions'],
    { ...account, cwd: base, env: postgresEnvironment, encoding: 'utf8' },
  )
  if (made.status !== 0) throw new Error(`initdb ended with ${made.status}: ${made.stdout}${made.stderr}`)
  appendFileSync(join(directory, 'postgresql.conf'), settings)
  await primary.start()
  await primary.sql(`create database ${DATABASE}`)
  // From here on whoever is the primary waits for the other one, or for ever.
  appendFileSync(join(directory, 'postgresql.conf'), "synchronous_standby_names = '*'\n")
  await primary.sql('select pg_reload_conf()')
  await copy(primary, standby)

  const both = [primary, standby] as const
  const address = (...nodes: readonly Node[]) => `postgres://${USER}@${nodes.map(({ port }) => `127.0.0.1:${port}`).join(',')}/${DATABASE}`
  return {
    url: address(...both),
    urlOf: (node) => address(node),
    primary: () => primary,
    standby: () => standby,
    promote: async () => {
      if (receiver !== undefined) {
        // What was on its way to it has not arrived, and does not when it looks up again.
        receiver = undefined
        await standby.kill()
        await standby.start()
      }
      await standby.sql('select pg_promote()')
      ;[primary, standby] = [standby, primary]
    },
    rebuild: async () => {
      await standby.kill()
      await copy(primary, standby)
    },
    cutStandby: async () => {
      const [row] = await standby.sql('select pid from pg_stat_wal_receiver')
      receiver = Number(row?.['pid'])
      signalTo(receiver, 'SIGSTOP')
    },
    restoreStandby: () => {
      if (receiver !== undefined) signalTo(receiver, 'SIGCONT')
      receiver = undefined
    },
    stop: async () => {
      await Promise.all(both.map((node) => node.kill()))
      rmSync(base, { recursive: true, force: true })
    },
  }
}

/** For PostgreSQL's account, which cannot make it beside the others. */
const emptyDirectory = (directory: string): void => {
  mkdirSync(directory, { mode: 0o700 })
  if (account) chownSync(directory, account.uid, account.gid)
}

// A process that is killed loses nothing of what it has given to the kernel: syncing would only cost time.
const settings = `
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
fsync = off
full_page_writes = on
wal_keep_size = '256MB'
max_wal_senders = 5
shared_buffers = '64MB'
max_connections = 100
hot_standby = on
wal_retrieve_retry_interval = '200ms'
lc_messages = 'C'
`

const connect = async (port: number, database = 'postgres'): Promise<pg.Client> => {
  const client = new pg.Client({ host: '127.0.0.1', port, user: USER, database, connectionTimeoutMillis: 2_000, query_timeout: 20_000 })
  client.on('error', () => undefined)
  await client.connect()
  return client
}

const ask = async (port: number, text: string, database?: string): Promise<readonly Record<string, unknown>[]> => {
  const client = await connect(port, database)
  try {
    return (await client.query(text)).rows
  } finally {
    await client.end()
  }
}

const signalTo = (pid: number, signal: NodeJS.Signals): void => {
  try {
    process.kill(pid, signal)
  } catch (error) {
    // It ended between the look and the signal.
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
  }
}
