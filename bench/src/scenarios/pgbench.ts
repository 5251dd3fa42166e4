// The baselines in PostgreSQL: one transaction a hold, as an application would write it, driven by pgbench.
import { availableParallelism } from 'node:os'
import type { Database, Postgres } from '../postgres.ts'
import { run } from '../processes.ts'
import { fromRoot } from '../root.ts'
import { ITEMS, UNITS, type Measured, type Pace } from './measured.ts'

export type PlainHold = { readonly script: 'for-update' | 'guarded'; readonly hot: boolean; readonly clients: number }

/** A database with stock and nothing else, to be copied for every measurement. */
export const makePlainStock = async (postgres: Postgres): Promise<Database> => {
  const database = await postgres.make('plain')
  await database.file(fromRoot('bench/src/baselines/plain-stock.sql'), { items: ITEMS, units: UNITS })
  return database
}

export const measurePlain = async (
  postgres: Postgres,
  stocked: Database,
  { script, hot, clients }: PlainHold,
  { seconds, warmUpSeconds }: Pace,
): Promise<Measured> => {
  const database = await postgres.make('run', stocked)
  try {
    const drive = (forSeconds: number) =>
      run({
        program: 'pgbench',
        package: 'postgresql-contrib',
        env: database.env,
        args: [
          '--no-vacuum',
          '--protocol',
          'prepared',
          '--client',
          String(clients),
          '--jobs',
          String(Math.min(clients, availableParallelism())),
          '--time',
          String(forSeconds),
          '--define',
          `items=${hot ? 1 : ITEMS}`,
          '--file',
          fromRoot(`bench/src/baselines/${script}.sql`),
        ],
      })
    await postgres.settle()
    await drive(warmUpSeconds)
    const out = await drive(seconds)
    await addsUp(database)
    const perSecond = Number(/^tps = ([\d.]+)/m.exec(out)?.[1])
    const failed = Number(/^number of failed transactions: (\d+)/m.exec(out)?.[1] ?? 0)
    if (!(perSecond > 0) || failed > 0) throw new Error(`pgbench did not do its work: ${out}`)
    return { perSecond, facts: { meanMs: Number(/^latency average = ([\d.]+)/m.exec(out)?.[1]) } }
  } finally {
    await database.drop()
  }
}

/** A baseline that loses count would be no baseline. */
const addsUp = async (database: Database): Promise<void> => {
  const wrong = await database.sql(`
select (select sum(l.held) from levels as l) - (select count(*) from holds) || ' ' || count(*) filter (where l.available + l.held <> ${UNITS})
  from levels as l`)
  if (wrong.trim() !== '0 0') throw new Error(`the baseline's books do not agree: ${wrong}`)
}
