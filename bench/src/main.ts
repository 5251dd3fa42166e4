// `npm run bench`: measures what Holdfast is to reach against its baselines, in one run, on one PostgreSQL. README.md says how.
import { auditor } from './audit.ts'
import { removeAllDirectories } from './directories.ts'
import { thisMachine } from './machine.ts'
import { readOptions, usage, UsageError, type Options } from './options.ts'
import { openPostgres, type Database } from './postgres.ts'
import { killAll } from './processes.ts'
import { measureRedis } from './redis.ts'
import { pageOf, writeResults } from './report.ts'
import { besideOf, rowsOf, type Found, type Results } from './results.ts'
import { fromRoot } from './root.ts'
import { inRounds } from './rounds.ts'
import { extras, rows, type ContenderName, type RowName } from './rows.ts'
import { measureGrowth } from './scenarios/growth.ts'
import { makeStock, measureHttp } from './scenarios/http.ts'
import { measureLedger } from './scenarios/ledger.ts'
import { ITEMS, UNITS, type Measured, type Pace } from './scenarios/measured.ts'
import { measureMemory } from './scenarios/memory.ts'
import { measureMixed } from './scenarios/mixed.ts'
import { makePlainStock, measurePlain, type PlainHold } from './scenarios/pgbench.ts'
import { measureReads } from './scenarios/reads.ts'
import { sellOut } from './scenarios/sell-out.ts'

const say = (words: string) => process.stderr.write(`${words}\n`)

const bench = async (options: Options, stack: AsyncDisposableStack): Promise<Results> => {
  const machine = thisMachine()
  const date = new Date().toISOString()
  const wanted: readonly RowName[] = options.only ?? rows.map(({ name }) => name)
  say('starting PostgreSQL and making stock')
  const postgres = await openPostgres(stack, options.databaseUrl)
  const audit = auditor()
  const deps = { postgres, audit, say }
  const plain = once(() => makePlainStock(postgres))
  const stocked = once(() => makeStock(postgres))
  const pace: Pace = { seconds: options.seconds, warmUpSeconds: options.warmUpSeconds }
  let redis: string | undefined

  const measurePlainHold = async (hold: PlainHold): Promise<Measured> => measurePlain(postgres, await plain(), hold, pace)
  const measureOneRedis = async ({ hot, inFull }: { readonly hot: boolean; readonly inFull: boolean }): Promise<Measured> => {
    const { version, ...measured } = await measureRedis({ items: ITEMS, hot, inFull, units: UNITS, ...pace })
    redis = version
    return measured
  }
  const contenders: Record<ContenderName, () => Promise<Measured>> = {
    'for-update-spread-16': () => measurePlainHold({ script: 'for-update', hot: false, clients: 16 }),
    'ledger-spread': async () => measureLedger(deps, await stocked(), { hot: false }, pace),
    'http-spread': async () => measureHttp(deps, await stocked(), { hot: false }, pace),
    'redis-spread': () => measureOneRedis({ hot: false, inFull: false }),
    'for-update-hot-16': () => measurePlainHold({ script: 'for-update', hot: true, clients: 16 }),
    'ledger-hot': async () => measureLedger(deps, await stocked(), { hot: true }, pace),
    'http-hot': async () => measureHttp(deps, await stocked(), { hot: true }, pace),
    'redis-hot': () => measureOneRedis({ hot: true, inFull: false }),
    'reads-cached': async () => measureReads(deps, await stocked(), { cache: 'on' }, pace),
    'reads-uncached': async () => measureReads(deps, await stocked(), { cache: 'off' }, pace),
    'redis-full-spread': () => measureOneRedis({ hot: false, inFull: true }),
    'redis-full-hot': () => measureOneRedis({ hot: true, inFull: true }),
    'for-update-spread-64': () => measurePlainHold({ script: 'for-update', hot: false, clients: 64 }),
    'for-update-hot-64': () => measurePlainHold({ script: 'for-update', hot: true, clients: 64 }),
    'guarded-spread-16': () => measurePlainHold({ script: 'guarded', hot: false, clients: 16 }),
    'guarded-hot-16': () => measurePlainHold({ script: 'guarded', hot: true, clients: 16 }),
    'guarded-spread-64': () => measurePlainHold({ script: 'guarded', hot: false, clients: 64 }),
    'guarded-hot-64': () => measurePlainHold({ script: 'guarded', hot: true, clients: 64 }),
    'ledger-spread-64': async () => measureLedger(deps, await stocked(), { hot: false, callers: 64 }, pace),
    'ledger-hot-64': async () => measureLedger(deps, await stocked(), { hot: true, callers: 64 }, pace),
  }

  const compared = new Set(rows.flatMap(({ name, compares }) => (compares && wanted.includes(name) ? [compares.baseline, compares.ours] : [])))
  const names = Object.keys(contenders) as ContenderName[] // the keys of that record
  const rates = await inRounds({
    contenders: names.flatMap((name) => {
      if (compared.has(name)) return [{ name, rounds: options.rounds }]
      return options.only === undefined && extras.some((extra) => extra === name) ? [{ name, rounds: options.extraRounds }] : []
    }),
    rounds: options.rounds,
    measure: (name) => contenders[name](),
    say,
  })

  const when = async <Result>(row: RowName, measure: () => Promise<Result>): Promise<Result | undefined> => {
    if (!wanted.includes(row)) return undefined
    say(row)
    return measure()
  }
  const mixedWith = async (workers: number) =>
    measureMixed(deps, await stocked(), { workers, seconds: options.mixedSeconds, warmUpSeconds: options.warmUpSeconds })
  const found: Found = {
    rates,
    soldOut: await when('oversold', async () => sellOut(deps, await stocked(), pace)),
    mixed: await when('mixed', () => mixedWith(1)),
    mixedTwo: await when('mixed-two', () => mixedWith(2)),
    memory: await when('memory', async () => measureMemory(deps, await stocked(), options.memoryHolds)),
    growth: await when('growth', () => measureGrowth(deps, options)),
    audits: audit.sum(),
  }
  return {
    date,
    quick: options.quick,
    machine,
    postgres: { version: postgres.version, source: postgres.source, settings: postgres.settings },
    redis,
    rounds: options.rounds,
    seconds: options.seconds,
    rows: rowsOf(found, wanted),
    beside: besideOf(rates),
    found: { ...found, rates: Object.fromEntries(rates) },
  }
}

const once = (make: () => Promise<Database>): (() => Promise<Database>) => {
  let made: Promise<Database> | undefined
  return () => (made ??= make())
}

const main = async (): Promise<number> => {
  const options = readOptions(process.argv.slice(2))
  if (options === 'help') {
    process.stdout.write(usage)
    return 0
  }
  const stack = new AsyncDisposableStack()
  // Asked twice to end, it ends at once.
  const onSignal = (signal: NodeJS.Signals) => {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal)
    say(`${signal}: stopping what runs and clearing away`)
    void stack
      .disposeAsync()
      .catch(() => undefined)
      .finally(() => process.exit(signal === 'SIGINT' ? 130 : 143))
  }
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal).on('exit', killAll).on('exit', removeAllDirectories)
  try {
    const results = await bench(options, stack)
    const { page, json } = writeResults(results, options.output ?? fromRoot('bench/results'))
    process.stdout.write(pageOf(results))
    say(`written to ${page} and ${json}`)
    return results.rows.some(({ verdict }) => verdict === 'missed') ? 1 : 0
  } finally {
    if (!stack.disposed) await stack.disposeAsync()
  }
}

try {
  process.exitCode = await main()
} catch (error) {
  say(error instanceof UsageError ? `${error.message}\n\n${usage}` : error instanceof Error ? (error.stack ?? error.message) : String(error))
  process.exitCode = 2
}
