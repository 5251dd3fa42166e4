// How much memory the server has after a million holds, all over HTTP and all remembered by the database alone.
import type { Auditor } from '../audit.ts'
import { startHoldfast } from '../holdfast.ts'
import { memoryOf } from '../machine.ts'
import type { Database, Postgres } from '../postgres.ts'
import { driveHolds } from '../wrk.ts'
import { ITEMS } from './measured.ts'

export type Memory = { readonly holds: number; readonly atStartMiB: number; readonly afterMiB: number; readonly highestMiB: number }

/** wrk counts seconds and not requests, so it is asked again until there are enough. */
const STEP_SECONDS = 10

export const measureMemory = async (
  { postgres, audit, say }: { readonly postgres: Postgres; readonly audit: Auditor; readonly say: (words: string) => void },
  stocked: Database,
  wantedHolds: number,
): Promise<Memory> => {
  const database = await postgres.make('run', stocked)
  try {
    const server = await startHoldfast(database)
    let holds = 0
    let memory: Memory
    try {
      const atStartMiB = memoryOf(server.pid).nowMiB
      for (let step = 1; holds < wantedHolds; step += 1) {
        const { accepted, refused, failed } = await driveHolds({ url: server.url, wanted: { items: ITEMS }, seconds: STEP_SECONDS, name: `memory-${step}` })
        if (accepted === 0 || refused + failed > 0) throw new Error(`${refused} holds were refused and ${failed} failed, of ${accepted} that were placed`)
        holds += accepted
        say(`${holds.toLocaleString('en')} holds: ${Math.round(memoryOf(server.pid).nowMiB)} MiB`)
      }
      const { nowMiB, highestMiB } = memoryOf(server.pid)
      memory = { holds, atStartMiB, afterMiB: nowMiB, highestMiB }
    } finally {
      await server.stop()
    }
    await audit.check('memory', database, holds)
    return memory
  } finally {
    await database.drop()
  }
}
