// One data directory, one Holdfast. The owner writes itself into a file and keeps that file fresh; whoever comes second is
// refused, and a file left behind by a crash is taken over.

import { linkSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { identifyProcess, isAlive, type ProcessIdentity } from './process.ts'

export type DirectoryOwner = { release(): void }

// An owner on another machine or in another container (a shared volume) cannot be asked whether it lives; its file tells. It is
// given up after several missed refreshes, so that a busy machine is not taken for a dead one.
const REFRESH_INTERVAL_MS = 3_000
const FOREIGN_OWNER_GIVEN_UP_AFTER_MS = 15_000
const FOREIGN_OWNER_LOOK_INTERVAL_MS = 1_000
// Two that take over the same old file at once get in each other's way at most once each.
const TAKE_OVER_ATTEMPTS = 5

type Claim = ProcessIdentity & { host: string }

export async function claimDirectory(directory: string, { foreignOwnerGivenUpAfterMs = FOREIGN_OWNER_GIVEN_UP_AFTER_MS } = {}): Promise<DirectoryOwner> {
  const path = join(directory, 'holdfast.pid')
  const self = identifyProcess(process.pid) ?? { pid: process.pid, startedAt: '' }
  const mine = JSON.stringify({ ...self, host: hostname() } satisfies Claim)

  for (let attempt = 1; attempt <= TAKE_OVER_ATTEMPTS; attempt += 1) {
    if (place(path, mine)) return ownerOf(path, mine)

    const found = read(path)
    if (found === undefined) continue
    if (await lives(path, found, foreignOwnerGivenUpAfterMs)) {
      throw new Error(
        `Another Holdfast (process ${found.claim?.pid ?? 'unknown'} on ${found.claim?.host ?? 'an unknown machine'}) is running on the data directory ` +
          `${directory}. Stop that one first, or give this one a directory of its own with HOLDFAST_DATA_DIR.`,
      )
    }
    discard(path, found.text)
  }
  throw new Error(`The data directory ${directory} could not be claimed: ${path} keeps changing. Is another Holdfast starting on it right now?`)
}

function ownerOf(path: string, mine: string): DirectoryOwner {
  const refresh = setInterval(() => {
    const now = new Date()
    try {
      utimesSync(path, now, now)
    } catch {
      // The directory was removed under us (tests do so); there is nothing left to guard.
    }
  }, REFRESH_INTERVAL_MS)
  refresh.unref()

  const release = () => {
    clearInterval(refresh)
    process.off('exit', release)
    if (read(path)?.text === mine) rmSync(path, { force: true })
  }
  process.once('exit', release)
  return { release }
}

// The file appears with its content or not at all: a link, unlike a write, cannot be seen half done.
function place(path: string, text: string): boolean {
  const draft = `${path}.${process.pid}`
  writeFileSync(draft, text, { mode: 0o644 })
  try {
    linkSync(draft, path)
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false
    throw error
  } finally {
    rmSync(draft, { force: true })
  }
}

type Found = { text: string; claim: Claim | undefined }

function read(path: string): Found | undefined {
  try {
    const text = readFileSync(path, 'utf8')
    return { text, claim: parse(text) }
  } catch {
    return undefined
  }
}

function parse(text: string): Claim | undefined {
  try {
    // Written by place() only; whatever else stands there fails the checks below and counts as a crash's leftover.
    const claim = JSON.parse(text) as Partial<Claim>
    if (typeof claim.pid !== 'number' || typeof claim.startedAt !== 'string' || typeof claim.host !== 'string') return undefined
    return { pid: claim.pid, startedAt: claim.startedAt, host: claim.host }
  } catch {
    return undefined
  }
}

async function lives(path: string, { text, claim }: Found, foreignOwnerGivenUpAfterMs: number): Promise<boolean> {
  if (claim === undefined) return false
  if (claim.host === hostname()) return isAlive(claim)

  const firstSeen = modifiedAt(path)
  const deadline = Date.now() + foreignOwnerGivenUpAfterMs
  while (Date.now() < deadline) {
    await sleep(FOREIGN_OWNER_LOOK_INTERVAL_MS)
    if (read(path)?.text !== text) return false
    // Compared with itself and not with our clock: the other machine's clock may differ.
    if (modifiedAt(path) !== firstSeen) return true
  }
  return false
}

function modifiedAt(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs
}

// Takes away exactly the file that was judged dead. Someone quicker may have put theirs in its place; then that is put back.
function discard(path: string, judged: string): void {
  const aside = `${path}.old.${process.pid}`
  try {
    renameSync(path, aside)
  } catch {
    return
  }
  const taken = readFileSync(aside, 'utf8')
  if (taken !== judged) place(path, taken)
  rmSync(aside, { force: true })
}
