// Runs a PostgreSQL of our own: a real server, started as our child on a data directory of ours, watched, restarted when it
// dies, and found again when it was we who died.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, fstatSync, openSync, readFileSync, realpathSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { Logger } from './log.ts'
import { claimDirectory, type DirectoryOwner } from './directory-owner.ts'
import { messageOf } from './error.ts'
import type { PostgresBinaries } from './postgres-binaries.ts'
import {
  binariesFor,
  clusterFiles,
  DATABASE,
  DATABASE_USER,
  hasData,
  initialiseCluster,
  locateCluster,
  newPassword,
  postgresEnvironment,
  prepareDataDirectory,
  readLogin,
  setPassword,
  writeClusterFiles,
  writeLogin,
  type Cluster,
  type ClusterFiles,
  type Durability,
  type Login,
} from './postgres-cluster.ts'
import { identifyProcess, isAlive, processesIn, workingDirectory, type ProcessIdentity } from './process.ts'

export type PostgresOptions = {
  /** Holdfast's data directory; PostgreSQL's own is made inside it. */
  dataDir: string
  log: Pick<Logger, 'info' | 'warn' | 'error'>
  /** 'none' is for tests: a crash of the machine then loses everything. */
  durability?: Durability
  /** PostgreSQL settings that go before ours. */
  settings?: Readonly<Record<string, string>>
}

export type Postgres = {
  url: string
  /** As the server names it, such as "18.4". */
  version: string
  source: 'embedded' | 'machine'
  /** The number of the server's process; undefined while it is being started again. */
  processId(): number | undefined
  /** Ends it in good order. Asked again, it is the same ending. */
  stop(): Promise<void>
  /** Ends it at once, as a crash would, and does not start it again. */
  kill(): void
  /** Tells of every end nobody asked for. */
  onExit(listener: (exit: PostgresExit) => void): void
}

export type PostgresExit = { reason: string; isRestarting: boolean }

/** There is no PostgreSQL on this machine that could be started. */
export class NoPostgresError extends Error {}

// Recovery after a crash reads up to max_wal_size of log; on a slow disk that takes minutes, and ending it only starts it anew.
const START_LIMIT_MS = 10 * 60_000
const START_NOTICE_INTERVAL_MS = 10_000
const FIRST_LOOK_AFTER_MS = 10
const LOOK_INTERVAL_GROWTH = 1.5
const LONGEST_LOOK_INTERVAL_MS = 500
const CONNECT_LIMIT_MS = 5_000
// A server we find running either answers soon or is on its way out.
const ATTACH_LIMIT_MS = 30_000
// The last checkpoint writes at most the shared buffers (256 MB).
const FAST_STOP_LIMIT_MS = 30_000
const IMMEDIATE_STOP_LIMIT_MS = 10_000
const KILLED_LIMIT_MS = 5_000
// Sessions whose server died and that are told to end do so as soon as the system lets them.
const ORPHANS_LIMIT_MS = 5_000
const ORPHANS_LOOK_INTERVAL_MS = 20
const RESTART_WAITS_MS = [100, 300, 1_000, 3_000, 10_000]
// At the very start somebody is waiting for the answer.
const START_WAITS_MS = [100, 500, 1_500]
// A server that lived this long was well; its next end begins a new count.
const HEALTHY_AFTER_MS = 60_000
const ADOPTED_LOOK_INTERVAL_MS = 100
const LARGEST_LOG_BYTES = 16 * 1024 * 1024
const SHOWN_LOG_CHARACTERS = 2_000

type Server = {
  pid: number
  startedAtMs: number
  /** Comes true once, with the words for how it ended. */
  ended: Promise<string>
  hasEnded(): boolean
  signal(name: 'SIGINT' | 'SIGQUIT' | 'SIGKILL' | 'SIGHUP'): void
}

type Started = { server: Server; login: Login; version: string }

/** What every step of starting and watching one server needs to know. */
type Site = { cluster: Cluster; binaries: PostgresBinaries; logFile: string; log: PostgresOptions['log'] }

export async function startPostgres({ dataDir, log, durability = 'full', settings = {} }: PostgresOptions): Promise<Postgres> {
  const home = prepareDataDirectory(dataDir)
  const owner = await claimDirectory(home)
  try {
    const cluster = locateCluster(home, log)
    const binaries = binariesFor(cluster, log)
    if (binaries === undefined) throw new NoPostgresError('There is no PostgreSQL among the packages or on this machine.')

    const site: Site = { cluster, binaries, logFile: join(home, 'postgres.log'), log }
    const files = clusterFiles(binaries, { durability, settings })
    rotate(site.logFile)

    const adopted = await adoptRunning(site)
    if (adopted) {
      if (writeClusterFiles(cluster, files)) adopted.server.signal('SIGHUP')
      return supervise(adopted, site, owner)
    }

    const password = hasData(cluster) ? await knownPassword(site, files) : await makeDatabase(site, { durability, files })
    writeClusterFiles(cluster, files)
    return supervise(await startWithPatience(site, password), site, owner)
  } catch (error) {
    owner.release()
    throw error
  }
}

function supervise({ server, login, version }: Started, site: Site, owner: DirectoryOwner): Postgres {
  const { log, logFile } = site
  const listeners: ((exit: PostgresExit) => void)[] = []
  const ending = new AbortController()
  let current: Server | undefined = server
  let restarting = Promise.resolve()
  let stopping: Promise<void> | undefined
  let endsInARow = 0

  watch(server)
  // When this process ends without having stopped the server, the server is asked to end as well.
  const onProcessExit = () => current?.signal('SIGINT')
  process.once('exit', onProcessExit)

  return {
    url: urlFor(login),
    version,
    source: site.binaries.source,
    processId: () => current?.pid,
    stop,
    kill,
    onExit: (listener) => void listeners.push(listener),
  }

  function watch(watched: Server): void {
    void watched.ended.then((reason) => {
      if (ending.signal.aborted) return
      current = undefined
      if (Date.now() - watched.startedAtMs > HEALTHY_AFTER_MS) endsInARow = 0
      restarting = restart(reason)
    })
  }

  async function restart(firstReason: string): Promise<void> {
    let reason = firstReason
    for (const waitMs of RESTART_WAITS_MS.slice(endsInARow)) {
      endsInARow += 1
      log.warn({ reason, waitMs, log: logFile }, 'PostgreSQL ended unexpectedly and is started again')
      tell({ reason, isRestarting: true })
      try {
        await sleep(waitMs, undefined, { signal: ending.signal })
        // The port stays: everybody who was connected comes back to the address they know.
        current = await launch(site, login.port)
        await untilItAnswers(current, login, { limitMs: START_LIMIT_MS, log, signal: ending.signal })
        watch(current)
        log.info({ pid: current.pid }, 'PostgreSQL answers again')
        return
      } catch (error) {
        if (current) await end(current)
        current = undefined
        if (ending.signal.aborted) return
        reason = messageOf(error)
      }
    }
    log.error({ reason, log: logFile }, 'PostgreSQL keeps ending; it is not started again')
    tell({ reason, isRestarting: false })
  }

  function tell(exit: PostgresExit): void {
    for (const listener of listeners) listener(exit)
  }

  function stop(): Promise<void> {
    stopping ??= stopOnce()
    return stopping
  }

  async function stopOnce(): Promise<void> {
    ending.abort()
    try {
      // A restart that is under way ends its own server; it may have made one while we waited.
      if (current) await end(current)
      await restarting
      if (current) await end(current)
    } finally {
      retire()
    }
  }

  function kill(): void {
    ending.abort()
    current?.signal('SIGKILL')
    stopping ??= Promise.all([current?.ended, restarting]).then(() => {})
    retire()
  }

  function retire(): void {
    process.off('exit', onProcessExit)
    owner.release()
  }
}

// A server that was running when its Holdfast was killed is as good as a new one, and everything in its memory is still warm.
async function adoptRunning({ cluster, log }: Site): Promise<Started | undefined> {
  const note = readNote(cluster)
  if (note?.identity === undefined) return undefined

  const server = runningServer(note.identity)
  const login = readLogin(cluster)
  if (login?.port === note.port) {
    try {
      const version = await untilItAnswers(server, login, { limitMs: ATTACH_LIMIT_MS, log })
      log.info({ version, pid: server.pid, port: login.port }, 'PostgreSQL is still running from before and is taken over')
      return { server, login, version }
    } catch (error) {
      log.warn({ pid: server.pid, reason: messageOf(error) }, 'PostgreSQL is still running from before but cannot be used')
    }
  }
  await end(server)
  return undefined
}

type Note = { path: string; lines: string[]; port: number; identity: ProcessIdentity | undefined }

// What a server notes about itself in its data directory; without an identity when that server is gone.
function readNote({ directory }: Cluster): Note | undefined {
  const path = join(directory, 'postmaster.pid')
  if (!existsSync(path)) return undefined
  const lines = readFileSync(path, 'utf8').split('\n')
  // PostgreSQL writes a negative number while one of its programs works on the data alone.
  const found = identifyProcess(Math.abs(Number(lines[0])))
  return { path, lines, port: Number(lines[3]), identity: found && worksIn(found, directory) ? found : undefined }
}

// PostgreSQL believes a note when any process has that number, be it a stranger or a zombie that nobody has buried yet; its own
// parent's number it knows to be stale. The note itself stays, because the rest of it is how PostgreSQL finds out whether
// sessions of the dead server still hold its memory.
async function disarmStaleNote(cluster: Cluster): Promise<void> {
  const note = readNote(cluster)
  if (note === undefined || note.identity !== undefined) return
  await endOrphans(cluster)
  writeFileSync(note.path, [String(process.pid), ...note.lines.slice(1)].join('\n'))
}

// A session that was busy when its server died goes on until it looks up, and no new server starts before.
async function endOrphans(cluster: Cluster): Promise<void> {
  const directory = realpathSync(cluster.directory)
  for (const pid of processesIn(directory, 'postgres')) signalIfThere(pid, 'SIGQUIT')
  const deadline = performance.now() + ORPHANS_LIMIT_MS
  while (processesIn(directory, 'postgres').length > 0 && performance.now() < deadline) await sleep(ORPHANS_LOOK_INTERVAL_MS)
}

// A lost password is replaced: whoever may do so can read all the data anyway.
async function knownPassword({ cluster, binaries, log }: Site, files: ClusterFiles): Promise<string> {
  const login = readLogin(cluster)
  if (login) return login.password

  log.warn({ directory: cluster.directory }, 'the password of the database is lost; a new one is set')
  writeClusterFiles(cluster, files)
  await disarmStaleNote(cluster)
  const password = newPassword()
  await setPassword(cluster, { binaries, password })
  return password
}

async function makeDatabase({ cluster, binaries, log }: Site, { durability, files }: { durability: Durability; files: ClusterFiles }): Promise<string> {
  log.info({ directory: cluster.directory, postgres: binaries.major }, 'making a new database')
  const password = newPassword()
  // Kept before the database exists, so that there is never a database whose password nobody knows.
  writeLogin(cluster, { port: 0, password })
  await initialiseCluster(cluster, { binaries, durability, files, password })
  return password
}

async function startWithPatience(site: Site, password: string): Promise<Started> {
  const beganAtMs = performance.now()
  let preferredPort = readLogin(site.cluster)?.port ?? 0
  let failure: unknown
  for (const waitMs of [0, ...START_WAITS_MS]) {
    await sleep(waitMs)
    const login: Login = { port: await freePort(preferredPort), password }
    const server = await launch(site, login.port)
    try {
      const version = await untilItAnswers(server, login, { limitMs: START_LIMIT_MS, log: site.log })
      writeLogin(site.cluster, login)
      const tookMs = Math.round(performance.now() - beganAtMs)
      site.log.info({ version, pid: server.pid, port: login.port, directory: site.cluster.directory, tookMs }, 'PostgreSQL answers')
      return { server, login, version }
    } catch (error) {
      failure = error
      // What runs and does not let us in will not do so a second time either.
      if (!server.hasEnded()) {
        await end(server)
        break
      }
      // Somebody may have taken the port, or sessions of a crashed server may still be about to end.
      preferredPort = 0
    }
  }
  throw failure
}

async function launch({ cluster, binaries, logFile }: Site, port: number): Promise<Server> {
  await disarmStaleNote(cluster)
  const output = openSync(logFile, 'a', 0o600)
  try {
    const logStart = fstatSync(output).size
    const child = spawn(join(binaries.directory, 'postgres'), ['-D', cluster.directory, '-p', String(port)], {
      ...cluster.account,
      cwd: cluster.directory,
      env: postgresEnvironment,
      // A session of its own: Ctrl-C in the terminal is for Holdfast, which ends its work first and the server last.
      detached: true,
      stdio: ['ignore', output, output],
    })
    child.unref()

    let hasEnded = false
    const ended = new Promise<string>((resolve) => {
      child.once('exit', (code, signal) => {
        hasEnded = true
        resolve(`it ended with ${code ?? signal}: ${newestLines(logFile, logStart)}`)
      })
    })
    if (child.pid === undefined) {
      const [error] = await once(child, 'error')
      throw new Error(`PostgreSQL (${join(binaries.directory, 'postgres')}) could not be started: ${messageOf(error)}`)
    }
    return { pid: child.pid, startedAtMs: Date.now(), ended, hasEnded: () => hasEnded, signal: (name) => void child.kill(name) }
  } finally {
    closeSync(output)
  }
}

// A server that is not our child sends us no word of its end; it has to be looked at.
function runningServer(identity: ProcessIdentity): Server {
  const ended = new Promise<string>((resolve) => {
    const look = setInterval(() => {
      if (isAlive(identity)) return
      clearInterval(look)
      resolve('it was taken over from an earlier Holdfast and is gone')
    }, ADOPTED_LOOK_INTERVAL_MS)
    look.unref()
  })
  const hasEnded = () => !isAlive(identity)
  return {
    pid: identity.pid,
    startedAtMs: Date.now(),
    ended,
    hasEnded,
    signal: (name) => {
      if (!hasEnded()) signalIfThere(identity.pid, name)
    },
  }
}

function signalIfThere(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    // It ended between the look and the signal.
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
  }
}

function worksIn({ pid }: ProcessIdentity, directory: string): boolean {
  const place = workingDirectory(pid)
  // Where it cannot be seen, the server's own word in postmaster.pid is believed.
  return place === undefined || place === realpathSync(directory)
}

async function untilItAnswers(
  server: Server,
  login: Login,
  { limitMs, log, signal }: { limitMs: number; log: PostgresOptions['log']; signal?: AbortSignal },
): Promise<string> {
  const beganAtMs = performance.now()
  let noticeAfterMs = START_NOTICE_INTERVAL_MS
  let lookIntervalMs = FIRST_LOOK_AFTER_MS
  let answer: Answer = { isFinal: false, problem: 'it was not asked' }

  while (performance.now() - beganAtMs < limitMs) {
    signal?.throwIfAborted()
    if (server.hasEnded()) throw new Error(`PostgreSQL did not start: ${await server.ended}`)
    answer = await ask(login)
    if ('version' in answer) return answer.version
    if (answer.isFinal) throw new Error(`PostgreSQL runs but does not let us in: ${answer.problem}`)

    if (performance.now() - beganAtMs > noticeAfterMs) {
      noticeAfterMs += START_NOTICE_INTERVAL_MS
      log.info({ pid: server.pid, problem: answer.problem }, 'waiting for PostgreSQL; after a crash it first reads its log, which may take minutes')
    }
    await Promise.race([sleep(lookIntervalMs), server.ended])
    lookIntervalMs = Math.min(lookIntervalMs * LOOK_INTERVAL_GROWTH, LONGEST_LOOK_INTERVAL_MS)
  }
  throw new Error(`PostgreSQL (process ${server.pid}) did not answer within ${limitMs / 1_000} seconds: ${answer.problem}`)
}

type Answer = { version: string } | { problem: string; isFinal: boolean }

async function ask({ port, password }: Login): Promise<Answer> {
  const client = new pg.Client({
    host: '127.0.0.1',
    port,
    user: DATABASE_USER,
    password,
    database: DATABASE,
    ssl: false,
    connectionTimeoutMillis: CONNECT_LIMIT_MS,
  })
  // A connection that breaks while it is being closed has told us what we wanted to know.
  client.on('error', () => {})
  try {
    await client.connect()
    const { rows } = await client.query<{ server_version: string }>('show server_version')
    return { version: rows[0]?.server_version.split(' ')[0] ?? 'unknown' }
  } catch (error) {
    // 28: the password is wrong; 3D: the database is not there. Everything else passes while a server comes up.
    const code = error instanceof pg.DatabaseError ? (error.code ?? '') : ''
    return { problem: messageOf(error), isFinal: code.startsWith('28') || code.startsWith('3D') }
  } finally {
    await client.end().catch(() => {})
  }
}

async function end(server: Server): Promise<void> {
  // Sessions are ended and everything is written; failing that, sessions are cut off and the next start recovers.
  const ways = [
    { signal: 'SIGINT', limitMs: FAST_STOP_LIMIT_MS },
    { signal: 'SIGQUIT', limitMs: IMMEDIATE_STOP_LIMIT_MS },
    { signal: 'SIGKILL', limitMs: KILLED_LIMIT_MS },
  ] as const
  for (const { signal, limitMs } of ways) {
    if (server.hasEnded()) return
    server.signal(signal)
    if (await endsWithin(server, limitMs)) return
  }
  throw new Error(`PostgreSQL (process ${server.pid}) could not be ended.`)
}

async function endsWithin(server: Server, limitMs: number): Promise<boolean> {
  const enough = new AbortController()
  const tooLate = sleep(limitMs, false, { signal: enough.signal }).catch(() => false)
  const inTime = await Promise.race([server.ended.then(() => true), tooLate])
  enough.abort()
  return inTime
}

async function freePort(preferred: number): Promise<number> {
  return (await probePort(preferred)) ?? (await probePort(0)) ?? 0
}

async function probePort(port: number): Promise<number | undefined> {
  const probe = createServer()
  try {
    probe.listen({ host: '127.0.0.1', port, exclusive: true })
    await once(probe, 'listening')
    const address = probe.address()
    return address !== null && typeof address === 'object' ? address.port : undefined
  } catch {
    return undefined
  } finally {
    probe.close()
  }
}

function rotate(logFile: string): void {
  const size = statSync(logFile, { throwIfNoEntry: false })?.size ?? 0
  if (size > LARGEST_LOG_BYTES) renameSync(logFile, `${logFile}.1`)
}

function newestLines(logFile: string, from: number): string {
  try {
    return readFileSync(logFile).subarray(from).toString('utf8').trim().slice(-SHOWN_LOG_CHARACTERS) || 'its log says nothing'
  } catch {
    return 'its log cannot be read'
  }
}

function urlFor({ port, password }: Login): string {
  return `postgres://${DATABASE_USER}:${password}@127.0.0.1:${port}/${DATABASE}`
}
