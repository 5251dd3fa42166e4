// What may be asked of `npm run bench`.
import { parseArgs } from 'node:util'
import { rows, type RowName } from './rows.ts'

export type Options = {
  readonly only: readonly RowName[] | undefined
  readonly quick: boolean
  readonly rounds: number
  readonly seconds: number
  readonly warmUpSeconds: number
  /** Rounds of what is shown beside the rows. */
  readonly extraRounds: number
  readonly mixedSeconds: number
  /** Entries of the old ledger that a young one is compared with. */
  readonly entries: number
  /** Holds that are placed before the server's memory is looked at. */
  readonly memoryHolds: number
  readonly databaseUrl: string | undefined
  readonly output: string | undefined
}

export const usage = `npm run bench -- [options]

  --quick             short rounds and a smaller past, to see that all of it works; not for figures that are quoted
  --only ROW          only this row (again for more): ${rows.map(({ name }) => name).join(', ')}
  --rounds N          times that each contender is measured (default 5)
  --seconds S         how long each time, after warming up (default 10)
  --database-url URL  a PostgreSQL to measure on, where databases may be made; without it, one of our own is started
  --output DIRECTORY  where the results are written (default bench/results)
  --help
`

export class UsageError extends Error {}

export const readOptions = (args: readonly string[]): Options | 'help' => {
  const values = parse(args)
  if (values.help) return 'help'
  const only = values.only?.map((name) => {
    const row = rows.find((known) => known.name === name)
    if (row === undefined) throw new UsageError(`there is no row ${name}; there are ${rows.map((known) => known.name).join(', ')}`)
    return row.name
  })
  const quick = values.quick === true
  return {
    only,
    quick,
    rounds: whole('rounds', values.rounds, quick ? 3 : 5),
    seconds: whole('seconds', values.seconds, quick ? 3 : 10),
    warmUpSeconds: quick ? 2 : 3,
    extraRounds: quick ? 1 : 2,
    mixedSeconds: quick ? 10 : 60,
    entries: quick ? 1_000_000 : 10_000_000,
    memoryHolds: quick ? 100_000 : 1_000_000,
    databaseUrl: values['database-url'],
    output: values.output,
  }
}

const parse = (args: readonly string[]) => {
  try {
    return parseArgs({
      args: [...args],
      options: {
        quick: { type: 'boolean' },
        only: { type: 'string', multiple: true },
        rounds: { type: 'string' },
        seconds: { type: 'string' },
        'database-url': { type: 'string' },
        output: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

const whole = (name: string, given: string | undefined, otherwise: number): number => {
  if (given === undefined) return otherwise
  if (!/^[1-9]\d{0,4}$/.test(given)) throw new UsageError(`--${name} takes a whole number, not ${given}`)
  return Number(given)
}
