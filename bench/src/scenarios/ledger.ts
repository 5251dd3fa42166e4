// The ledger by itself, in a process of its own: everything that a hold writes, without HTTP around it.
import type { Auditor } from '../audit.ts'
import type { Database, Postgres } from '../postgres.ts'
import { run } from '../processes.ts'
import { fromRoot } from '../root.ts'
import { ITEMS, type Measured, type Pace } from './measured.ts'

/** Two full batches: one is on its way while the other gathers. */
export const LEDGER_CALLERS = 512

export type LedgerDeps = { readonly postgres: Postgres; readonly audit: Auditor }

export const measureLedger = async (
  { postgres, audit }: LedgerDeps,
  stocked: Database,
  { hot, callers = LEDGER_CALLERS }: { readonly hot: boolean; readonly callers?: number },
  pace: Pace,
): Promise<Measured> => {
  const database = await postgres.make('run', stocked)
  try {
    await postgres.settle()
    const { measured, placed } = await driveLedger(database, { items: hot ? 1 : ITEMS, callers }, pace)
    const { wrong } = await audit.check(`ledger, ${hot ? 'hot' : 'spread'}`, database, placed)
    return { ...measured, facts: { ...measured.facts, wrong: wrong.length } }
  } finally {
    await database.drop()
  }
}

/** Drives the ledger on a database as it is. `placed` counts the holds of the warm-up, too. */
export const driveLedger = async (
  database: Database,
  { items, callers }: { readonly items: number; readonly callers: number },
  { seconds, warmUpSeconds }: Pace,
): Promise<{ readonly measured: Measured; readonly placed: number }> => {
  const out = await run({
    program: process.execPath,
    args: [
      fromRoot('server/test/load/ledger.ts'),
      '--url',
      database.url,
      '--items',
      String(items),
      '--callers',
      String(callers),
      '--seconds',
      String(seconds),
      '--warm-up',
      String(warmUpSeconds),
    ],
  })
  const said = JSON.parse(out) as Said
  if (said.faults.length > 0) throw new Error(`the ledger met with faults: ${said.faults.slice(0, 3).join('; ')}`)
  return {
    placed: said.placed + said.warmUp,
    measured: {
      perSecond: said.perSecond,
      p50Ms: said.p50Ms,
      p99Ms: said.p99Ms,
      facts: { holdsInABatch: said.holdsInABatch, cpuShare: said.cpuShare, memoryMiB: said.rssMiB },
    },
  }
}

/** As server/test/load/ledger.ts prints it. */
type Said = {
  readonly placed: number
  readonly warmUp: number
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly holdsInABatch: number
  readonly cpuShare: number
  readonly rssMiB: number
  readonly faults: readonly string[]
}
