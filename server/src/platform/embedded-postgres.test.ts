import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import pg from 'pg'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { startPostgres, type Postgres, type PostgresOptions } from './embedded-postgres.ts'
import { openLog } from './log.ts'
import { canEnter, embeddedBinaries, machineBinaries, runnableBinaries } from './postgres-binaries.ts'
import { clusterFiles, initialiseCluster, locateCluster, newPassword, writeLogin } from './postgres-cluster.ts'
import { identifyProcess } from './process.ts'

const NOBODY = 65_534
const isRoot = process.geteuid?.() === 0
const nobody = { uid: NOBODY, gid: NOBODY }
const here = import.meta.dirname

let lines: { level: string; message: string; directory?: string }[]
let dataDir: string
const running: Postgres[] = []
const children: ChildProcess[] = []
const servers: number[] = []
const places: string[] = []

beforeEach(() => {
  lines = []
  dataDir = freshPlace(0o711)
})

afterEach(async () => {
  // Asked to end, they take their servers with them; those that were killed have been taken over.
  for (const child of children.splice(0)) child.kill('SIGTERM')
  for (const postgres of running.splice(0)) await postgres.stop()
  for (const pid of servers.splice(0)) await vi.waitFor(() => expect(identifyProcess(pid)).toBeUndefined(), { timeout: 10_000 })
  for (const place of places.splice(0)) rmSync(place, { recursive: true, force: true })
})

test('the first start makes a database, and what was written is there after a stop', async () => {
  const first = await start()
  expect(Number.parseInt(first.version, 10)).toBeGreaterThanOrEqual(15)
  await query(first, 'create table shelves (name text)')
  await query(first, "insert into shelves (name) values ('Eichenbrett, größer')")
  await first.stop()
  await expect(query(first, 'select 1')).rejects.toThrow('ECONNREFUSED')

  const second = await start()
  expect(await query(second, 'select name from shelves')).toEqual([{ name: 'Eichenbrett, größer' }])
  expect(second.url).toBe(first.url)
})

test('a commit is on the disk before it is answered, unless a test says otherwise', async () => {
  const settings = `
    select current_setting('fsync') as fsync, current_setting('synchronous_commit') as commit, current_setting('full_page_writes') as pages,
           current_setting('server_encoding') as encoding, current_setting('data_checksums') as checksums`
  const safe = await start({ durability: 'full' })
  expect(await query(safe, settings)).toEqual([{ fsync: 'on', commit: 'on', pages: 'on', encoding: 'UTF8', checksums: 'on' }])
  await safe.stop()

  const quick = await start({ durability: 'none', settings: { work_mem: '7MB' } })
  expect(await query(quick, settings)).toMatchObject([{ fsync: 'off', commit: 'off', pages: 'off' }])
  expect(await query(quick, 'show work_mem')).toEqual([{ work_mem: '7MB' }])
})

test('nobody gets in without the password, and only we can read it', async () => {
  const { url } = await start()
  const guess = new URL(url)
  guess.password = 'guess'
  await expect(ask(guess.href, 'select 1')).rejects.toThrow('password authentication failed')
  expect(statSync(join(dataDir, 'postgres.json')).mode & 0o777).toBe(0o600)
  expect(lines.map((line) => JSON.stringify(line)).join()).not.toContain(new URL(url).password)
})

test('the server outlives a killed Holdfast, and the next one takes it over', async () => {
  const killed = await holdfast(dataDir)
  await ask(killed.url, 'create table shelves (name text)')
  await killed.kill('SIGKILL')
  expect(identifyProcess(killed.serverPid)).toBeDefined()

  const next = await start()
  expect(next.processId()).toBe(killed.serverPid)
  expect(await query(next, 'select name from shelves')).toEqual([])
  await next.stop()
  expect(identifyProcess(killed.serverPid)).toBeUndefined()
  expect(existsSync(join(dataDir, 'postgres/postmaster.pid'))).toBe(false)
})

test('a server that was taken over is restarted when it dies', async () => {
  const killed = await holdfast(dataDir)
  await killed.kill('SIGKILL')
  const next = await start()
  process.kill(killed.serverPid, 'SIGKILL')
  await vi.waitFor(() => expect(next.processId()).toSatisfy((pid) => pid !== undefined && pid !== killed.serverPid), { timeout: 20_000 })
  await vi.waitFor(async () => expect(await query(next, 'select 1 as one')).toEqual([{ one: 1 }]), { timeout: 20_000 })
})

test('a Holdfast that ends without a goodbye takes its server with it', async () => {
  const careless = await holdfast(dataDir)
  await careless.kill('SIGTERM')
  await vi.waitFor(() => expect(identifyProcess(careless.serverPid)).toBeUndefined(), { timeout: 10_000 })
})

test('a second Holdfast on the same directory is refused', async () => {
  const other = await holdfast(dataDir)
  await expect(start()).rejects.toThrow(`Another Holdfast (process ${other.pid} on`)
  expect(await ask(other.url, 'select 1 as one')).toEqual([{ one: 1 }])
})

test('a server that dies is restarted at the same address, with all that was committed', async () => {
  const postgres = await start({ durability: 'full' })
  await query(postgres, 'create table shelves (name text)')
  await query(postgres, "insert into shelves (name) values ('oak')")
  const exits: boolean[] = []
  postgres.onExit(({ isRestarting }) => exits.push(isRestarting))

  process.kill(postgres.processId() ?? 0, 'SIGKILL')
  await vi.waitFor(() => expect(exits).not.toEqual([]), { timeout: 10_000 })
  await vi.waitFor(async () => expect(await query(postgres, 'select name from shelves')).toEqual([{ name: 'oak' }]), { timeout: 20_000 })
  expect(exits).toSatisfy((all: boolean[]) => all.every((isRestarting) => isRestarting))
})

test('a session that was busy when the server died does not keep the next one from starting', async () => {
  const postgres = await start()
  const busy = query(postgres, 'select count(*) from generate_series(1, 1000000000)').catch(() => 'cut off')
  await vi.waitFor(async () =>
    expect(
      await query(postgres, "select 1 from pg_stat_activity where query like '%generate_series%' and state = 'active' and pid <> pg_backend_pid()"),
    ).toHaveLength(1),
  )
  const died = new Promise((resolve) => postgres.onExit(resolve))
  process.kill(postgres.processId() ?? 0, 'SIGKILL')
  await died
  expect(await busy).toBe('cut off')
  await vi.waitFor(async () => expect(await query(postgres, 'select 1 as one')).toEqual([{ one: 1 }]), { timeout: 10_000 })
})

test('a server that is killed on purpose is not restarted, and its leftovers are no obstacle', async () => {
  const first = await start({ durability: 'full' })
  await query(first, 'create table shelves (name text)')
  first.kill()
  await first.stop()
  expect(existsSync(join(dataDir, 'postgres/postmaster.pid'))).toBe(true)

  const second = await start()
  expect(await query(second, 'select name from shelves')).toEqual([])
})

test('a number that belongs to some other process now is not mistaken for the server', async () => {
  await (await start()).stop()
  const stranger = spawn('sleep', ['60'], isRoot ? nobody : {})
  children.push(stranger)
  writeFileSync(join(dataDir, 'postgres/postmaster.pid'), `${stranger.pid}\n${join(dataDir, 'postgres')}\n1\n5432\n\n127.0.0.1\n`)
  const postgres = await start()
  expect(postgres.processId()).not.toBe(stranger.pid)
  expect(stranger.exitCode).toBeNull()
})

test('stopping while the server is being restarted stops that as well', async () => {
  const postgres = await start()
  process.kill(postgres.processId() ?? 0, 'SIGKILL')
  await vi.waitFor(() => expect(postgres.processId()).toBeUndefined(), { timeout: 10_000, interval: 5 })
  await postgres.stop()
  await expect(query(postgres, 'select 1')).rejects.toThrow('ECONNREFUSED')
  await (await start()).stop()
})

test('a lost password is replaced, and the data is kept', async () => {
  const first = await start()
  await query(first, 'create table shelves (name text)')
  await first.stop()
  rmSync(join(dataDir, 'postgres.json'))
  const second = await start()
  expect(await query(second, 'select name from shelves')).toEqual([])
})

test('an initialisation that was cut short is begun again', async () => {
  const draft = join(dataDir, 'postgres.new-cut-short')
  mkdirSync(draft)
  writeFileSync(join(draft, 'PG_VERSION'), '18\n')
  await start()
  expect(existsSync(draft)).toBe(false)
})

test('a setting the server refuses is reported with the server’s own words', async () => {
  await (await start()).stop()
  await expect(start({ settings: { shared_buffers: 'plenty' } })).rejects.toThrow(/did not start: .*invalid value for parameter "shared_buffers": "plenty"/s)
  await start()
})

test('data of a version that nothing here can read is refused, and left alone', async () => {
  mkdirSync(join(dataDir, 'postgres'))
  writeFileSync(join(dataDir, 'postgres/PG_VERSION'), '9\n')
  await expect(start()).rejects.toThrow('was written by PostgreSQL 9, which only PostgreSQL 9 can read')
  expect(readdirSync(join(dataDir, 'postgres'))).toEqual(['PG_VERSION'])
})

test.skipIf(machineBinaries().length === 0)('data of another version is run with the programs this machine has for it', async () => {
  const binaries = machineBinaries()[0]
  if (binaries === undefined) return
  const cluster = locateCluster(realpathSync(dataDir), openLog({ level: 'silent' }))
  const password = newPassword()
  await initialiseCluster(cluster, { binaries, durability: 'none', files: clusterFiles(binaries, { durability: 'none', settings: {} }), password })
  writeLogin(cluster, { port: 0, password })

  const postgres = await start()
  expect(postgres.source).toBe(embeddedBinaries()?.major === binaries.major ? 'embedded' : 'machine')
  expect(Number.parseInt(postgres.version, 10)).toBe(binaries.major)
  expect(await query(postgres, "select upper('größe') as text")).toEqual([{ text: 'GRÖSSE'.replace('SS', 'ß') }])
})

test.skipIf(embeddedBinaries() === undefined)('programs without their links, or where their account cannot read them, are copied once', async () => {
  const binaries = embeddedBinaries()
  if (binaries === undefined) return
  const cache = join(dataDir, 'cache')
  // What npm leaves with --ignore-scripts, under a directory that lets nobody else in.
  const unpacked = join(freshPlace(0o700), 'package')
  cpSync(dirname(dirname(binaries.directory)), unpacked, { recursive: true, filter: (path) => !lstatSync(path).isSymbolicLink() })
  const bare = { ...binaries, directory: join(unpacked, 'native/bin') }
  const log = openLog({ level: 'silent' })

  const account = isRoot ? nobody : undefined
  const copy = runnableBinaries(bare, { account, caches: ['/dev/null/cannot-be', cache], log })
  expect(copy.directory.startsWith(cache)).toBe(true)
  const madeAt = statSync(copy.directory).ctimeMs
  expect(runnableBinaries(bare, { account, caches: [cache], log })).toEqual(copy)
  expect(statSync(copy.directory).ctimeMs).toBe(madeAt)
  expect(readdirSync(cache)).toHaveLength(1)

  const asked = spawn(join(copy.directory, 'postgres'), ['--version'], { ...account, cwd: '/', stdio: 'ignore' })
  expect(await once(asked, 'exit')).toEqual([0, null])
})

test.skipIf(!isRoot)('as root, the server runs as nobody', async () => {
  const postgres = await start()
  expect(readFileSync(`/proc/${postgres.processId()}/status`, 'utf8')).toMatch(new RegExp(`^Uid:\\s+${NOBODY}\\s+${NOBODY}`, 'm'))
  expect(statSync(join(dataDir, 'postgres')).uid).toBe(NOBODY)
})

test.skipIf(!isRoot || !canEnter(here, nobody))('without root, the server runs as whoever started it', async () => {
  chownSync(dataDir, NOBODY, NOBODY)
  const other = await holdfast(dataDir, nobody)
  expect(readFileSync(`/proc/${other.serverPid}/status`, 'utf8')).toMatch(new RegExp(`^Uid:\\s+${NOBODY}`, 'm'))
  await ask(other.url, 'create table shelves (name text)')
  await other.kill('SIGKILL')

  const next = await holdfast(dataDir, nobody)
  expect(next.serverPid).toBe(other.serverPid)
  expect(await ask(next.url, 'select name from shelves')).toEqual([])
})

test.skipIf(!isRoot || !canEnter(here, nobody))('data that belongs to somebody else is refused with the reason', async () => {
  await (await start()).stop()
  chownSync(join(dataDir, 'postgres'), 1, 1)
  chownSync(dataDir, NOBODY, NOBODY)
  rmSync(join(dataDir, 'postgres.log'))
  await expect(holdfast(dataDir, nobody)).rejects.toThrow('belongs to the account with number 1')
})

test.skipIf(!isRoot)('under a directory that nobody can enter, the database is kept in /var/lib/holdfast, and found again', async () => {
  dataDir = join(freshPlace(0o700), 'data')
  const first = await start()
  const kept = dirname(lines.find(({ level }) => level === 'warn')?.directory ?? '')
  places.push(kept)
  expect(kept).toMatch(/^\/var\/lib\/holdfast\/data-[0-9a-f]{12}$/)
  await query(first, 'create table shelves (name text)')
  await first.stop()

  // Even when the directory could be entered later: what was begun there is gone on with there.
  chmodSync(dirname(dataDir), 0o711)
  const second = await start()
  expect(await query(second, 'select name from shelves')).toEqual([])
})

test.skipIf(!isRoot)('a database that can no longer be reached is not replaced by an empty one', async () => {
  const outer = freshPlace(0o711)
  dataDir = join(outer, 'data')
  await (await start()).stop()
  chmodSync(outer, 0o700)
  await expect(start()).rejects.toThrow('can no longer be reached')
})

async function start(options: Partial<PostgresOptions> = {}): Promise<Postgres> {
  const log = openLog({ level: 'info', to: { write: (line: string) => void lines.push(JSON.parse(line) as (typeof lines)[number]) } })
  const postgres = await startPostgres({ dataDir, log, durability: 'none', ...options })
  running.push(postgres)
  return postgres
}

type Holdfast = { pid: number; serverPid: number; url: string; kill(signal: NodeJS.Signals): Promise<void> }

// A process of its own that starts a server, says so and stays; on SIGTERM it ends without stopping it.
async function holdfast(directory: string, account?: { uid: number; gid: number }): Promise<Holdfast> {
  const script = `
    const { startPostgres } = await import(${JSON.stringify(join(here, 'embedded-postgres.ts'))})
    const { openLog } = await import(${JSON.stringify(join(here, 'log.ts'))})
    setInterval(() => {}, 1_000)
    process.on('SIGTERM', () => process.exit(0))
    const postgres = await startPostgres({ dataDir: ${JSON.stringify(directory)}, log: openLog({ level: 'silent' }), durability: 'none' })
    console.log(JSON.stringify({ url: postgres.url, serverPid: postgres.processId() }))`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    ...account,
    cwd: '/',
    env: { PATH: '/usr/bin:/bin', HOME: homedir() },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  children.push(child)
  const exited = once(child, 'exit')
  let complaints = ''
  child.stderr.on('data', (chunk: Buffer) => (complaints += chunk.toString()))
  const line = await Promise.race([once(createInterface(child.stdout), 'line'), exited.then(() => undefined)])
  if (line === undefined) throw new Error(complaints)
  // What the script above prints.
  const { url, serverPid } = JSON.parse(String(line[0])) as { url: string; serverPid: number }
  servers.push(serverPid)
  return {
    pid: child.pid ?? 0,
    serverPid,
    url,
    kill: async (signal) => {
      child.kill(signal)
      await exited
    },
  }
}

function query(postgres: Postgres, sql: string): Promise<unknown[]> {
  return ask(postgres.url, sql)
}

async function ask(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  try {
    await client.connect()
    const { rows } = await client.query<Record<string, unknown>>(sql)
    return rows
  } finally {
    await client.end().catch(() => {})
  }
}

function freshPlace(mode: number): string {
  const place = mkdtempSync(join(tmpdir(), 'holdfast-postgres-'))
  chmodSync(place, mode)
  places.push(place)
  return place
}
