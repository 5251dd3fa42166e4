// What it was measured on, in words that do not tell whose machine it was.
import { readFileSync } from 'node:fs'
import { cpus, loadavg, release, totalmem, type } from 'node:os'

export type Machine = {
  readonly cpu: string
  readonly cores: number
  readonly memoryGiB: number
  readonly kernel: string
  readonly node: string
  /** Of the minute before: what else the machine was busy with when this began. */
  readonly loadBefore: number
}

export const thisMachine = (): Machine => ({
  cpu: cpus()[0]?.model.trim() ?? 'unknown',
  cores: cpus().length,
  memoryGiB: Math.round((totalmem() / 2 ** 30) * 10) / 10,
  // The version alone: what stands behind it names who built the kernel.
  kernel: `${type()} ${release().split('-')[0]}`,
  node: process.versions.node,
  loadBefore: Math.round((loadavg()[0] ?? 0) * 100) / 100,
})

/** Processor time that a process and the workers it has started have used so far, in seconds. */
export const cpuSecondsOf = (pid: number): number => {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  // After the name, which may hold anything, in its brackets.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const workers = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ').filter(Boolean).map(Number)
  return workers.reduce((sum, worker) => sum + cpuSecondsOf(worker), (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND)
}
const TICKS_A_SECOND = 100

/** Memory of a process that is in RAM: now, and the most there ever was. */
export const memoryOf = (pid: number): { readonly nowMiB: number; readonly highestMiB: number } => {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1')
  const mebibytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? Number.NaN) / 1024
  return { nowMiB: mebibytes('VmRSS'), highestMiB: mebibytes('VmHWM') }
}

/** How much of all processors' time was spent on anything, since `before`. */
export const busyShare = (before: CpuTimes, after: CpuTimes): number => (after.busy - before.busy) / (after.all - before.all)

export type CpuTimes = { readonly busy: number; readonly all: number }
export const cpuTimes = (): CpuTimes => {
  let idle = 0
  let all = 0
  for (const { times } of cpus()) {
    idle += times.idle
    all += times.idle + times.user + times.sys + times.irq + times.nice
  }
  return { busy: all - idle, all }
}
