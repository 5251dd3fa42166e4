// Reads and holds together at a fixed rate, as a shop would have them: does the server keep up, and how long does a hold take?
import type { Auditor } from '../audit.ts'
import { API_KEY, LOCATION, startHoldfast } from '../holdfast.ts'
import { busyShare, cpuSecondsOf, cpuTimes } from '../machine.ts'
import type { OpenLoopMeasured, OpenLoopTask } from '../open-loop.ts'
import type { Database, Postgres } from '../postgres.ts'
import { run } from '../processes.ts'
import { fromRoot } from '../root.ts'
import { ITEMS } from './measured.ts'

const READS_PER_SECOND = 10_000
const HOLDS_PER_SECOND = 2_000
/** The rate that counts as kept up with: all answered, and the last answer not long after the last request. */
const HELD_SHARE = 0.99

export type Mixed = OpenLoopMeasured & {
  readonly held: boolean
  readonly serverCpuShare: number
  readonly machineBusyShare: number
  readonly wrong: readonly string[]
}

export const measureMixed = async (
  { postgres, audit }: { readonly postgres: Postgres; readonly audit: Auditor },
  stocked: Database,
  { workers, seconds, warmUpSeconds }: { readonly workers: number; readonly seconds: number; readonly warmUpSeconds: number },
): Promise<Mixed> => {
  const database = await postgres.make('run', stocked)
  try {
    const server = await startHoldfast(database, {}, workers)
    let mixed: Omit<Mixed, 'wrong'>
    let warm: OpenLoopMeasured
    try {
      const drive = async (name: string, forSeconds: number): Promise<OpenLoopMeasured> => {
        const task: OpenLoopTask = {
          url: server.url,
          apiKey: API_KEY,
          location: LOCATION,
          items: ITEMS,
          seconds: forSeconds,
          readsPerSecond: READS_PER_SECOND,
          holdsPerSecond: HOLDS_PER_SECOND,
          name: `${name}-${process.pid}-${Date.now()}`,
        }
        return JSON.parse(await run({ program: process.execPath, args: [fromRoot('bench/src/open-loop.ts'), JSON.stringify(task)] })) as OpenLoopMeasured // what it prints
      }
      await postgres.settle()
      warm = await drive('warm', warmUpSeconds)
      const serverBefore = cpuSecondsOf(server.pid)
      const before = cpuTimes()
      const startedAt = performance.now()
      const measured = await drive('mixed', seconds)
      const elapsedSeconds = (performance.now() - startedAt) / 1000
      const keptUp = ({ asked, answered, refused, perSecond }: OpenLoopMeasured['reads'], wanted: number) =>
        answered === asked && refused === 0 && perSecond >= wanted * HELD_SHARE
      mixed = {
        ...measured,
        held: keptUp(measured.reads, READS_PER_SECOND) && keptUp(measured.holds, HOLDS_PER_SECOND),
        serverCpuShare: (cpuSecondsOf(server.pid) - serverBefore) / elapsedSeconds,
        machineBusyShare: busyShare(before, cpuTimes()),
      }
    } finally {
      await server.stop()
    }
    const { wrong } = await audit.check('mixed', database, mixed.holds.answered - mixed.holds.refused + warm.holds.answered - warm.holds.refused)
    return { ...mixed, wrong }
  } finally {
    await database.drop()
  }
}
