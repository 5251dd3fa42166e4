// Servers that Patroni keeps, with the configuration that deploy/postgres has for machines: only addresses and directories are
// this machine's. One etcd instead of three.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { machineBinaries } from '../../src/platform/postgres-binaries.ts'
import { processesIn } from '../../src/platform/process.ts'
import { freePort } from '../support/free-port.ts'
import { until } from '../support/until.ts'

/** What is killed: PostgreSQL alone, which its Patroni notices; or everything, as when a machine is gone. */
export type Killed = 'server' | 'machine'

export type PatroniCluster = {
  readonly url: string
  kill(what: Killed): Promise<void>
  /** Waits until another one leads and what was killed follows it. */
  recover(): Promise<void>
  stop(): Promise<void>
}

/** What is missing of the programs, or nothing. */
export const missingForPatroni = (): string | undefined => {
  if (spawnSync('patroni', ['--version']).status !== 0) return 'patroni'
  if (spawnSync('etcd', ['--version']).status !== 0) return 'etcd'
  return machineBinaries().length === 0 ? 'a PostgreSQL of this machine' : undefined
}

const SUPERUSER = 'postgres'
const PASSWORD = 'for-tests-only'
const SETTLE = { withinMs: 180_000 }
const shipped = (name: string) => readFileSync(fileURLToPath(new URL(`../../../deploy/postgres/${name}`, import.meta.url)), 'utf8')

export const startPatroni = async (nodeCount: number): Promise<PatroniCluster> => {
  const [programs] = machineBinaries()
  if (programs === undefined) throw new Error('there is no PostgreSQL on this machine')
  const base = mkdtempSync(join(tmpdir(), 'holdfast-patroni-'))
  chmodSync(base, 0o711)
  const account = accountOf(SUPERUSER)
  const directory = (name: string) => {
    const path = join(base, name)
    mkdirSync(path, { mode: 0o700 })
    if (account) chownSync(path, account.uid, account.gid)
    return path
  }
  const start = (name: string, command: string, args: readonly string[], cwd: string, env: Readonly<Record<string, string>>): ChildProcess => {
    const output = openSync(join(base, `${name}.log`), 'a')
    const child = spawn(command, args, {
      ...account,
      cwd,
      env: { PATH: process.env['PATH'] ?? '', LC_ALL: 'C.UTF-8', HOME: cwd, ...env },
      stdio: ['ignore', output, output],
    })
    closeSync(output)
    return child
  }

  const [clients, peers] = [await freePort(), await freePort()]
  const etcdHome = directory('etcd')
  const etcd = start('etcd', 'etcd', [], etcdHome, {
    ETCD_NAME: 'db-1',
    ETCD_DATA_DIR: join(etcdHome, 'data'),
    ETCD_LISTEN_PEER_URLS: `http://127.0.0.1:${peers}`,
    ETCD_LISTEN_CLIENT_URLS: `http://127.0.0.1:${clients}`,
    ETCD_INITIAL_ADVERTISE_PEER_URLS: `http://127.0.0.1:${peers}`,
    ETCD_ADVERTISE_CLIENT_URLS: `http://127.0.0.1:${clients}`,
    ETCD_INITIAL_CLUSTER: `db-1=http://127.0.0.1:${peers}`,
    ETCD_UNSUPPORTED_ARCH: process.arch,
  })
  await until('etcd is well', () => isOk(`http://127.0.0.1:${clients}/health`))

  const makeNode = async (number: number) => {
    const name = `db-${number}`
    const home = directory(name)
    const data = join(home, 'data')
    const [port, rest] = [await freePort(), await freePort()]
    const configuration = join(home, 'patroni.yml')
    const own = shipped('patroni.yml')
      .replaceAll('10.0.0.0/24', '127.0.0.1/32')
      .replace(/^( *)parameters:$/m, `$&\n$1  unix_socket_directories: ${home}`)
    writeFileSync(configuration, own, { mode: 0o644 })
    let patroni: ChildProcess | undefined
    return {
      name,
      port,
      start: () => {
        patroni = start(name, 'patroni', [configuration], home, {
          ...settingsIn(shipped('patroni.env')),
          PATRONI_NAME: name,
          PATRONI_ETCD3_HOSTS: `127.0.0.1:${clients}`,
          PATRONI_RESTAPI_LISTEN: `127.0.0.1:${rest}`,
          PATRONI_RESTAPI_CONNECT_ADDRESS: `127.0.0.1:${rest}`,
          PATRONI_POSTGRESQL_LISTEN: `127.0.0.1:${port}`,
          PATRONI_POSTGRESQL_CONNECT_ADDRESS: `127.0.0.1:${port}`,
          PATRONI_POSTGRESQL_DATA_DIR: data,
          PATRONI_POSTGRESQL_BIN_DIR: programs.directory,
          PATRONI_POSTGRESQL_PGPASS: join(home, 'pgpass'),
          PATRONI_SUPERUSER_PASSWORD: PASSWORD,
          PATRONI_REPLICATION_PASSWORD: PASSWORD,
        })
      },
      leads: () => isOk(`http://127.0.0.1:${rest}/primary`),
      isSynchronous: () => isOk(`http://127.0.0.1:${rest}/synchronous`),
      follows: () => isOk(`http://127.0.0.1:${rest}/replica`),
      killServer: () => killAll(data),
      killPatroni: async () => {
        const ending = patroni
        patroni = undefined
        if (ending === undefined || ending.exitCode !== null || ending.signalCode !== null) return
        const gone = once(ending, 'exit')
        ending.kill('SIGKILL')
        await gone
      },
      isRunning: () => patroni !== undefined,
    }
  }

  const nodes: Awaited<ReturnType<typeof makeNode>>[] = []
  for (let number = 1; number <= nodeCount; number += 1) nodes.push(await makeNode(number))
  const leaderOf = async () => {
    for (const node of nodes) if (await node.leads()) return node
    return undefined
  }
  /** One leads and all others follow, one of them synchronously. */
  const isWell = async () => {
    const leads = await Promise.all(nodes.map((node) => node.leads()))
    const follows = await Promise.all(nodes.map((node) => node.follows()))
    const synchronous = await Promise.all(nodes.map((node) => node.isSynchronous()))
    return leads.filter(Boolean).length === 1 && follows.filter(Boolean).length === nodeCount - 1 && synchronous.some(Boolean)
  }
  /** What does not come true is told with what Patroni has said about it; its logs go with everything else. */
  const settled = (what: string, isSo: () => Promise<boolean>) =>
    until(what, isSo, SETTLE).catch((error: unknown) => {
      const said = nodes.map(({ name }) => `${name}:\n${wordsOf(readFileSync(join(base, `${name}.log`), 'utf8'))}`)
      throw new Error(`${String(error)}\n${said.join('\n')}`)
    })
  for (const node of nodes) node.start()
  await settled('all servers are up', isWell)
  const leader = await leaderOf()
  if (leader === undefined) throw new Error('nobody leads')
  const admin = new pg.Client({ host: '127.0.0.1', port: leader.port, user: SUPERUSER, password: PASSWORD, database: 'postgres' })
  await admin.connect()
  await admin.query(`create role holdfast login password '${PASSWORD}'`)
  await admin.query('create database holdfast owner holdfast')
  await admin.end()

  let killed: (typeof nodes)[number] | undefined
  return {
    url: `postgres://holdfast:${PASSWORD}@${nodes.map(({ port }) => `127.0.0.1:${port}`).join(',')}/holdfast`,
    kill: async (what) => {
      // Where no standby is synchronous at this moment nothing is acknowledged either, and nobody may take over.
      await settled('one standby is synchronous', isWell)
      killed = await leaderOf()
      if (killed === undefined) throw new Error('nobody leads')
      if (what === 'machine') await killed.killPatroni()
      killed.killServer()
    },
    recover: async () => {
      await settled('another one leads', async () => ((await leaderOf()) ?? killed) !== killed)
      // It comes back only now: a machine that is gone stays gone for a while.
      if (killed && !killed.isRunning()) killed.start()
      await settled('all servers are up', isWell)
    },
    stop: async () => {
      await Promise.all(nodes.map((node) => node.killPatroni()))
      for (const node of nodes) node.killServer()
      etcd.kill('SIGKILL')
      await until('everything has ended', () => nodes.every(({ name }) => processesIn(join(base, name, 'data'), 'postgres').length === 0))
      rmSync(base, { recursive: true, force: true })
    },
  }
}

const wordsOf = (log: string): string =>
  log
    .split('\n')
    .filter((line) => / (INFO|WARNING|ERROR): /.test(line) && !line.includes('no action'))
    .slice(-SHOWN_LINES)
    .join('\n')
const SHOWN_LINES = 15

const settingsIn = (text: string): Record<string, string> =>
  Object.fromEntries(Array.from(text.matchAll(/^([A-Z0-9_]+)=(.*)$/gm), ([, name, value]) => [name, value]))

const isOk = async (url: string): Promise<boolean> => {
  try {
    return (await fetch(url, { signal: AbortSignal.timeout(1_000) })).ok
  } catch {
    return false
  }
}

/** As root, the servers run as Debian's own account for them. */
const accountOf = (name: string): { uid: number; gid: number } | undefined => {
  if (process.geteuid?.() !== 0) return undefined
  const number = (flag: string) => Number(spawnSync('id', [flag, name], { encoding: 'utf8' }).stdout)
  return { uid: number('-u'), gid: number('-g') }
}

const killAll = (directory: string): void => {
  for (const pid of processesIn(directory, 'postgres'))
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // It has ended by itself.
    }
}
