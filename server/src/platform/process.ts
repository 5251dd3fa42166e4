// Says whether a process that was written down earlier is still the same living process. A number alone does not: after a
// restart of the machine or the container, the old number often belongs to somebody else.

import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

export type ProcessIdentity = { pid: number; startedAt: string }

/** Who has this number now; undefined when nobody does. */
export function identifyProcess(pid: number): ProcessIdentity | undefined {
  if (process.platform !== 'linux') return isSignalable(pid) ? { pid, startedAt: '' } : undefined

  try {
    // The name in brackets may itself hold brackets and blanks; the fields that count follow the last bracket.
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const state = fields[0]
    const startTicks = fields[19]
    // A zombie has ended; only its parent has not looked yet.
    if (state === 'Z' || state === 'X' || startTicks === undefined) return undefined
    return { pid, startedAt: `${bootId()}/${startTicks}` }
  } catch {
    return undefined
  }
}

export function isAlive(identity: ProcessIdentity): boolean {
  return identifyProcess(identity.pid)?.startedAt === identity.startedAt
}

/** The directory a process works in; undefined when that cannot be seen. */
export function workingDirectory(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/cwd`)
  } catch {
    return undefined
  }
}

/** All processes of that name that work in the directory. */
export function processesIn(directory: string, name: string): number[] {
  if (process.platform !== 'linux') return []
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((pid) => workingDirectory(pid) === directory && commandName(pid) === name)
}

function commandName(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim()
  } catch {
    return undefined
  }
}

function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
}

function isSignalable(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // Not allowed to signal it means that it is there.
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}
