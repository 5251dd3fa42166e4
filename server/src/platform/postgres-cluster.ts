// The data directory of our own PostgreSQL: where it is, whom it belongs to, how it is made, and how one logs in to it.

import { spawn } from 'node:child_process'
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { messageOf } from './error.ts'
import type { Logger } from './log.ts'
import {
  canEnter,
  embeddedBinaries,
  machineBinaries,
  preferredCache,
  runnableBinaries,
  OLDEST_POSTGRES_MAJOR,
  type Account,
  type PostgresBinaries,
} from './postgres-binaries.ts'

export type Durability = 'full' | 'none'

export type Cluster = {
  /** PostgreSQL's data directory (PGDATA). */
  directory: string
  /** The directory around it, where what belongs to it is kept. */
  base: string
  account: Account
}

/** What is needed to log in; kept in a file that only we can read. */
export type Login = { port: number; password: string }

export const DATABASE = 'holdfast'
export const DATABASE_USER = 'holdfast'

// PostgreSQL refuses to run as root, and refuses an account without a name; this one has had this number everywhere for decades.
const NOBODY = 65_534
const MACHINE_WIDE_DATA = '/var/lib/holdfast'
const PASSWORD_BYTES = 32
const DRAFT_PREFIX = 'postgres.new-'
const SHOWN_OUTPUT_CHARACTERS = 2_000

/** Finds or chooses the place of the data. Nothing is created there but directories. */
export function locateCluster(dataDir: string, log: Pick<Logger, 'info' | 'warn'>): Cluster {
  const isRoot = process.geteuid?.() === 0
  const cluster = (base: string): Cluster => {
    const directory = join(base, 'postgres')
    return { directory, base, account: isRoot ? accountFor(directory) : undefined }
  }

  const inside = cluster(dataDir)
  if (!isRoot) {
    refuseForeignData(inside.directory)
    return inside
  }

  const nameHash = createHash('sha256').update(dataDir).digest('hex').slice(0, 12)
  const outside = cluster(join(MACHINE_WIDE_DATA, `${basename(dataDir).replace(/^\.+/, '')}-${nameHash}`))
  const isReachable = canEnter(dataDir, inside.account)

  // Data that exists decides: starting empty beside it would look as if all stock were lost.
  if (hasData(inside) && !isReachable) {
    throw new Error(
      `The database in ${inside.directory} can no longer be reached by the account that runs it (number ${inside.account?.uid}, because PostgreSQL ` +
        `refuses to run as root): one of the directories above it does not let others in. Give back that right with chmod o+x.`,
    )
  }
  if (hasData(inside) || (isReachable && !hasData(outside))) return inside

  log.warn(
    { dataDir, directory: outside.directory },
    hasData(outside)
      ? 'the database of this data directory is kept elsewhere, where it was begun'
      : 'PostgreSQL refuses to run as root, and the account "nobody" cannot enter this data directory: the database is kept elsewhere',
  )
  const isNew = mkdirSync(outside.base, { recursive: true }) !== undefined
  if (isNew) for (const directory of [dirname(outside.base), outside.base]) chmodSync(directory, 0o711)
  return outside
}

export function hasData({ directory }: Cluster): boolean {
  return existsSync(join(directory, 'PG_VERSION'))
}

/** The programs for this data: of its own major version when there is data, else the newest we have. */
export function binariesFor(cluster: Cluster, log: Pick<Logger, 'info' | 'warn'>): PostgresBinaries | undefined {
  const found = [embeddedBinaries(), ...machineBinaries()].filter((binaries) => binaries !== undefined)
  const runnable = (binaries: PostgresBinaries) => runnableBinaries(binaries, { account: cluster.account, caches: [preferredCache(), cluster.base], log })
  if (!hasData(cluster)) return found[0] && runnable(found[0])

  const version = readFileSync(join(cluster.directory, 'PG_VERSION'), 'utf8').trim()
  const match = found.find((binaries) => String(binaries.major) === version)
  if (match) return runnable(match)
  const choice = found.length > 0 ? found.map((binaries) => `${binaries.major} (${binaries.directory})`).join(', ') : `none from ${OLDEST_POSTGRES_MAJOR} on`
  throw new Error(
    `The database in ${cluster.directory} was written by PostgreSQL ${version}, which only PostgreSQL ${version} can read. Found here: ${choice}. ` +
      `Install it (apt-get install postgresql-${version}), or start with the Holdfast that wrote it.`,
  )
}

/** Makes an empty database. Killed half-way it leaves nothing that counts, and can be tried again. */
export async function initialiseCluster(
  cluster: Cluster,
  { binaries, durability, files, password }: { binaries: PostgresBinaries; durability: Durability; files: ClusterFiles; password: string },
): Promise<void> {
  // A name of its own: an initdb whose Holdfast was killed may still be writing, or clearing away, its own draft.
  for (const name of readdirSync(cluster.base)) if (name.startsWith(DRAFT_PREFIX)) rmSync(join(cluster.base, name), { recursive: true, force: true })
  const draft: Cluster = { ...cluster, directory: join(cluster.base, `${DRAFT_PREFIX}${randomUUID()}`) }
  mkdirSync(draft.directory, { mode: 0o700 })
  if (cluster.account) chownSync(draft.directory, cluster.account.uid, cluster.account.gid)

  const options = [
    `--pgdata=${draft.directory}`,
    `--username=${DATABASE_USER}`,
    '--encoding=UTF8',
    '--data-checksums',
    // Nobody can log in until a password is set.
    '--auth=reject',
    '--no-instructions',
    ...(durability === 'none' ? ['--no-sync'] : []),
  ]
  const initdb = (locale: string[]) => run('initdb', [...options, ...locale], { binaries, account: cluster.account })
  // Text is ordered by code point: the same on every machine, whatever languages it knows.
  if (binaries.major >= 17) await initdb(['--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C'])
  else await initdb(['--locale=C.UTF-8']).catch(() => initdb(['--locale=C']))
  writeClusterFiles(draft, files)
  await setPassword(draft, { binaries, password, statements: [`create database ${DATABASE};`] })

  // From here on the data exists. Without the sync of the directory above, a power failure could undo the renaming.
  renameSync(draft.directory, cluster.directory)
  syncPath(cluster.base)
}

/** Sets a password without knowing the old one. The server must not be running. */
export async function setPassword(
  cluster: Cluster,
  { binaries, password, statements = [] }: { binaries: PostgresBinaries; password: string; statements?: string[] },
): Promise<void> {
  const input = [`alter role ${DATABASE_USER} password '${password}';`, ...statements].join('\n')
  const output = await run('postgres', ['--single', '-D', cluster.directory, 'postgres'], { binaries, account: cluster.account, input })
  if (/\b(ERROR|FATAL|PANIC):/.test(output))
    throw new Error(`The password of the database in ${cluster.directory} could not be set: ${output.slice(-SHOWN_OUTPUT_CHARACTERS)}`)
}

export function newPassword(): string {
  return randomBytes(PASSWORD_BYTES).toString('hex')
}

export function readLogin(cluster: Cluster): Login | undefined {
  const path = loginPath(cluster)
  if (!existsSync(path)) return undefined
  try {
    // Written by writeLogin() only; a damaged file is caught by the checks below and made anew.
    const login = JSON.parse(readFileSync(path, 'utf8')) as Partial<Login>
    if (typeof login.port !== 'number' || typeof login.password !== 'string') return undefined
    return { port: login.port, password: login.password }
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

export function writeLogin(cluster: Cluster, login: Login): void {
  replaceFile(loginPath(cluster), `${JSON.stringify(login)}\n`, { mode: 0o600, account: undefined })
}

export type ClusterFiles = { 'postgresql.conf': string; 'pg_hba.conf': string }

/** Settings are ours and are written again at each start; what an operator changes with ALTER SYSTEM is kept apart and wins. */
export function clusterFiles(
  binaries: PostgresBinaries,
  { durability, settings }: { durability: Durability; settings: Readonly<Record<string, string>> },
): ClusterFiles {
  const all = { ...smallMachine(binaries), ...durabilitySettings(durability), ...settings }
  const lines = Object.entries(all).map(([name, value]) => `${name} = '${value.replaceAll("'", "''")}'`)
  return {
    'postgresql.conf': `# Written by Holdfast at each start. Change settings with ALTER SYSTEM.\n${lines.join('\n')}\n`,
    'pg_hba.conf': [
      '# Written by Holdfast at each start.',
      'host all all 127.0.0.1/32 scram-sha-256',
      'host replication all 127.0.0.1/32 scram-sha-256',
      '',
    ].join('\n'),
  }
}

/** Says whether anything changed. */
export function writeClusterFiles(cluster: Cluster, files: ClusterFiles): boolean {
  const changed = Object.entries(files).filter(([name, content]) => {
    const path = join(cluster.directory, name)
    return !existsSync(path) || readFileSync(path, 'utf8') !== content
  })
  for (const [name, content] of changed) replaceFile(join(cluster.directory, name), content, { mode: 0o600, account: cluster.account })
  return changed.length > 0
}

function smallMachine(binaries: PostgresBinaries): Record<string, string> {
  return {
    listen_addresses: '127.0.0.1',
    // A path in a deep directory would be longer than a socket's name may be.
    unix_socket_directories: '',
    max_connections: '100',
    shared_buffers: '256MB',
    wal_buffers: '16MB',
    wal_compression: knowsLz4(binaries) ? 'lz4' : 'on',
    max_wal_size: '4GB',
    checkpoint_timeout: '15min',
    random_page_cost: '1.1',
    jit: 'off',
    // Three processes less, and with data that fits into memory a little faster: 2,419 instead of 2,229 pgbench transactions/s on two cores.
    ...(binaries.major >= 18 ? { io_method: 'sync' } : {}),
    password_encryption: 'scram-sha-256',
    timezone: 'UTC',
    log_timezone: 'UTC',
    log_line_prefix: '%m [%p] ',
    lc_messages: 'C',
  }
}

function durabilitySettings(durability: Durability): Record<string, string> {
  const isFull = durability === 'full'
  return { fsync: isFull ? 'on' : 'off', synchronous_commit: isFull ? 'on' : 'off', full_page_writes: isFull ? 'on' : 'off' }
}

// A server that was built without it refuses to start with it. Built with it, it names this function of the library.
function knowsLz4({ directory }: PostgresBinaries): boolean {
  return readFileSync(join(directory, 'postgres')).includes('LZ4_compress_default')
}

// The data may have been begun by an account other than nobody; whoever owns it goes on with it.
function accountFor(directory: string): Account {
  const owner = statSync(directory, { throwIfNoEntry: false })
  if (owner === undefined || owner.uid === 0) return { uid: NOBODY, gid: NOBODY }
  return { uid: owner.uid, gid: owner.gid }
}

function refuseForeignData(directory: string): void {
  const owner = statSync(directory, { throwIfNoEntry: false })
  if (owner === undefined || owner.uid === process.geteuid?.()) return
  throw new Error(
    `The database in ${directory} belongs to the account with number ${owner.uid}, and Holdfast runs as number ${process.geteuid?.()}. ` +
      `Start Holdfast as root or as that account, or give it another directory with HOLDFAST_DATA_DIR.`,
  )
}

function loginPath({ base }: Cluster): string {
  return join(base, 'postgres.json')
}

function replaceFile(path: string, content: string, { mode, account }: { mode: number; account: Account }): void {
  const draft = `${path}.new`
  rmSync(draft, { force: true })
  // Made anew and exclusively, so that nobody has it open and the mode holds from the first byte.
  const file = openSync(draft, 'wx', mode)
  try {
    writeSync(file, content)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  if (account) chownSync(draft, account.uid, account.gid)
  renameSync(draft, path)
}

function syncPath(directory: string): void {
  const handle = openSync(directory, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}

/** What PostgreSQL's programs see of our surroundings: nothing that could change what they do. */
export const postgresEnvironment = { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' }

async function run(
  program: 'initdb' | 'postgres',
  options: string[],
  { binaries, account, input = '' }: { binaries: PostgresBinaries; account: Account; input?: string },
): Promise<string> {
  const path = join(binaries.directory, program)
  const child = spawn(path, options, { ...account, cwd: '/', env: postgresEnvironment, stdio: 'pipe' })
  const ended = new Promise<string | undefined>((resolve) => {
    child.once('error', (error) => resolve(error.message))
    child.once('close', (code, signal) => resolve(code === 0 ? undefined : `it ended with ${code ?? signal}`))
  })
  // The program may end before it has read everything; why it did is in its output.
  child.stdin.on('error', () => {})
  child.stdin.end(`${input}\n`)
  const [failure, out, complaints] = await Promise.all([ended, text(child.stdout), text(child.stderr)])
  if (failure === undefined) return out + complaints
  throw new Error(`${path} failed: ${failure}. ${complaints.trim().slice(-SHOWN_OUTPUT_CHARACTERS)}`)
}

/** Makes the data directory if need be and gives its real path. */
export function prepareDataDirectory(dataDir: string): string {
  const isNew = makeDirectory(dataDir)
  // Others may pass through, which PostgreSQL's account must, but not look around.
  if (isNew) chmodSync(dataDir, 0o711)
  return realpathSync(dataDir)
}

function makeDirectory(directory: string): boolean {
  try {
    return mkdirSync(directory, { recursive: true }) !== undefined
  } catch (error) {
    const why = messageOf(error)
    throw new Error(`The data directory ${directory} cannot be used: ${why}. Name another one with HOLDFAST_DATA_DIR.`, { cause: error })
  }
}
