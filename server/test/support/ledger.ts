// A cell for one test: a fresh database, connections to it, and as many ledgers on it as there are processes in the story.
// All of it is gone when the test has finished.
import { hash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, vi } from 'vitest'
import type { Command } from '../../src/domain/decide.ts'
import type { ExecuteHold, Hold, Line, PlaceHold, WantedLine } from '../../src/domain/hold.ts'
import type { LocationNumber, Uuid } from '../../src/domain/ids.ts'
import type { ReceiveStock } from '../../src/domain/receipt.ts'
import { noThresholds } from '../../src/domain/level.ts'
import { ledger, type Ledger, type LedgerDeps, type LedgerLimits, type LedgerOutcome, type Request } from '../../src/ledger/ledger.ts'
import { verify } from '../../src/ledger/verify.ts'
import { uuidV7 } from '../../src/platform/random.ts'
import { Fault } from '../../src/storage/fault.ts'
import { postgresStore, type LedgerStore } from '../../src/storage/ledger-store.ts'
import { openPool, type Pool, type PoolOptions } from '../../src/storage/pool.ts'
import { freshDatabase } from './database.ts'
import { random } from '../simulation/random.ts'
import { cup, line, london, paris, placeHold, pot, receiveStock, tea } from './given.ts'

export type LedgerOptions = {
  readonly limits?: Partial<LedgerLimits>
  /** What stands between the ledger and its database. */
  readonly between?: (store: LedgerStore) => LedgerStore
  readonly prepare?: boolean
  /** Another way to the same database. */
  readonly way?: (url: string) => string
  readonly statementTimeoutMs?: number
  /** Who is told of what the ledger has done. */
  readonly told?: Pick<LedgerDeps, 'onStood' | 'onUnsure'>
}

export type Cell = {
  readonly url: string
  /** For reading, and for what a test does behind the ledger's back. */
  readonly pool: Pool
  readonly stock: Ledger
  /** The ledger of another process, with connections of its own. */
  readonly another: (options?: LedgerOptions) => Ledger
  /** What the ledgers met that was not an answer. */
  readonly faults: unknown[]
}

/** Ample: a test that is about a limit names it. */
const ample: LedgerLimits = { queue: 10_000, batch: 256, batchLines: 4_000, inFlight: 2, due: 1_000, deferrals: 100, attempts: 6, patienceMs: 60_000 }

export const freshCell = async (options: LedgerOptions = {}): Promise<Cell> => {
  const database = await freshDatabase()
  const { url } = database
  const pools: Pool[] = []
  const ledgers: Ledger[] = []
  const faults: unknown[] = []
  onTestFinished(async () => {
    await Promise.all(ledgers.map((one) => one.stop()))
    await Promise.all(pools.map((pool) => pool.end()))
    await database.drop()
  })

  const open = (options: Pick<PoolOptions, 'url' | 'size' | 'applicationName'> & Partial<PoolOptions>): Pool => {
    const pool = openPool({ statementTimeoutMs: 20_000, lockTimeoutMs: 10_000, onBroken: () => undefined, ...options })
    pools.push(pool)
    return pool
  }
  const another = ({
    limits = {},
    between = (store) => store,
    prepare = true,
    way = (url) => url,
    statementTimeoutMs = 20_000,
    told = {},
  }: LedgerOptions = {}): Ledger => {
    const pool = open({ url: way(url), size: 3, applicationName: LEDGER, pipeline: true, statementTimeoutMs })
    const stock = ledger({
      store: between(postgresStore({ pool, prepare })),
      thresholdsOf: () => noThresholds,
      limits: { ...ample, ...limits },
      wait: sleep,
      soon: setImmediate,
      onFault: (fault) => faults.push(fault),
      ...told,
    })
    ledgers.push(stock)
    return stock
  }
  return { url, pool: open({ url, size: 8, applicationName: 'test' }), stock: another(options), another, faults }
}

/** The name that a ledger's connections have in pg_stat_activity. */
export const LEDGER = 'test ledger'

export const newId = (): Uuid => uuidV7() as Uuid // it makes nothing else

/** The same uuid for the same words, as the service digests keys and requests. */
export const digest = (words: string): Uuid => {
  const hex = hash('sha256', words, 'hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20, 32)}` as Uuid // made of 32 hex digits
}

// ---- Requests, with what a story does not care about filled in. As in the service, each has an id of its own, also a repeated one.

export const ask = (
  command: Command,
  { key, request = 'the same request', ...rest }: Partial<Omit<Request, 'key'>> & { key?: string; request?: string } = {},
): Request => ({
  command,
  actor: 'key_shop',
  requestId: 'req_test',
  ...(key === undefined ? {} : { key: { key: digest(key), fingerprint: digest(request) } }),
  ...rest,
})
export const hold = (lines: number | readonly WantedLine[], rest: Partial<PlaceHold> = {}): PlaceHold => placeHold('', lines, { id: newId(), ...rest })
export const receipt = (lines: Parameters<typeof receiveStock>[0], rest: Partial<ReceiveStock> = {}): ReceiveStock =>
  receiveStock(lines, { id: newId(), ...rest })
export const execution = ({ id }: Pick<Hold, 'id'>, rest: Partial<ExecuteHold> = {}): ExecuteHold => ({
  type: 'ExecuteHold',
  id,
  lines: null,
  final: true,
  ...rest,
})

// ---- Answers.

export const accepted = (outcome: LedgerOutcome): Extract<LedgerOutcome, { ok: true }> => {
  if (!outcome.ok) throw new Error(`refused: ${JSON.stringify(outcome.rejection)}`)
  return outcome
}
export const holdIn = (outcome: LedgerOutcome): Hold => {
  const { answer } = accepted(outcome)
  if (answer.kind !== 'hold') throw new Error(`a ${answer.kind} and not a hold`)
  return answer.hold
}
/** The code of a refusal; `yes` when it was none. */
export const codeOf = (outcome: LedgerOutcome): string => (outcome.ok ? 'yes' : outcome.rejection.code)

export const place = async (stock: Ledger, lines: number | readonly WantedLine[], rest: Partial<PlaceHold> = {}): Promise<Hold> =>
  holdIn(await stock.submit(ask(hold(lines, rest))))

/** Every caller asks for its next one as soon as it was answered. */
export const byCallers = async <Answer>(callers: number, requests: number, submit: (request: number) => Promise<Answer>): Promise<Answer[]> => {
  const answers: Answer[] = []
  let next = 0
  const caller = async () => {
    for (let mine = next++; mine < requests; mine = next++) answers[mine] = await submit(mine)
  }
  await Promise.all(Array.from({ length: callers }, caller))
  return answers
}

// ---- A shop's day.

/** Commands of all kinds, a few at a time, as chance will have it. Answers what each was answered. */
export const shopsDay = async (stock: Ledger, { seed, commands }: { readonly seed: number; readonly commands: number }): Promise<LedgerOutcome[]> => {
  const chance = random(seed)
  const items = [tea, cup, pot]
  const locations = [london, paris]
  const adjustable = ['available', 'quality_control', 'damaged'] as const
  const holds: Uuid[] = []
  const works: { readonly id: Uuid; readonly type: Command['type'] }[] = []
  const lines = (most: number): Line[] => Array.from({ length: chance.between(1, 2) }, () => line(chance.pick(items), chance.between(1, most)))
  const noted = { reference: null, metadata: {} }

  const next = (): Command => {
    const location = chance.pick(locations)
    const work = chance.chance(0.25) ? workCommand(location) : undefined
    if (work !== undefined) return work
    const what = chance.below(100)
    if (what < 15) return receipt(lines(20), { location })
    if (what < 50 || holds.length === 0) {
      const wanted = lines(4).map((one) => ({ ...one, location: chance.chance(0.3) ? null : location }))
      return hold(wanted, {
        mode: chance.chance(0.3) ? 'best_effort' : 'all_or_nothing',
        ttlMs: chance.chance(0.2) ? chance.between(1, 30) : 3_600_000,
        strategy: chance.pick(['priority', 'most_stock', 'fewest_splits']),
      })
    }
    const id = chance.pick(holds)
    const parts = chance.chance(0.5) ? null : lines(2)
    if (what < 65) return { type: 'ExecuteHold', id, lines: parts, final: chance.chance(0.7) }
    if (what < 72) return { type: 'ReleaseHold', id }
    if (what < 75) return { type: 'CancelHold', id }
    if (what < 78) return { type: 'ExtendHold', id, ttlMs: 7_200_000, longestMs: chance.pick([60_000, 86_400_000]) }
    if (what < 86) return { type: 'ShipHold', id: newId(), hold: id, lines: parts, ...noted }
    const backs = lines(2).map((one) => ({ ...one, to: chance.pick(adjustable) }))
    if (what < 92) return { type: 'ReturnStock', id: newId(), hold: chance.chance(0.7) ? id : null, location, lines: backs, ...noted }
    const moves = lines(3)
      .map((one) => ({ ...one, from: chance.pick([...adjustable, 'shrinkage'] as const), to: chance.pick(adjustable), ifVersion: null }))
      .filter((move) => move.from !== move.to)
    return moves.length === 0 ? receipt(lines(9), { location }) : { type: 'AdjustStock', id: newId(), location, reason: 'count', lines: moves, ...noted }
  }

  const workCommand = (location: LocationNumber): Command => {
    const open = works.length > 0 && chance.chance(0.75) ? chance.pick(works.slice(-6)) : undefined
    const arrival = {
      lines: chance.chance(0.5) ? null : lines(3).map((one) => ({ ...one, to: chance.pick(adjustable) })),
      close: chance.chance(0.2),
      acceptExcess: chance.chance(0.3),
    }
    if (open === undefined) {
      const to = location === london ? paris : london
      return chance.pick<() => Command>([
        () => ({ type: 'PlanTransfer', id: newId(), from: location, to, lines: lines(2), ...noted }),
        () => ({
          type: 'AnnounceInbound',
          id: newId(),
          supplier: 'acme',
          location,
          expectedAt: null,
          lines: lines(9),
          unique: digest(`${chance.below(30)}`),
          ...noted,
        }),
        () => ({ type: 'OpenCount', id: newId(), location: london, items: null, ...noted }),
      ])()
    }
    const { id, type } = open
    if (type === 'PlanTransfer')
      return chance.pick<() => Command>([
        () => ({ type: 'DispatchTransfer', id }),
        () => ({ type: 'DispatchTransfer', id }),
        () => ({ type: 'ReceiveTransfer', id, ...arrival }),
        () => ({ type: 'ReceiveTransfer', id, ...arrival }),
        () => ({ type: 'CancelTransfer', id }),
      ])()
    if (type === 'AnnounceInbound') return chance.chance(0.8) ? { type: 'ReceiveInbound', id, ...arrival } : { type: 'CancelInbound', id }
    return chance.pick<() => Command>([
      () => ({ type: 'CountItems', id, location: london, lines: lines(9).map((one) => ({ ...one, asOf: chance.chance(0.5) ? null : chance.below(50) })) }),
      () => ({ type: 'ApproveCount', id }),
      () => ({ type: 'CancelCount', id }),
    ])()
  }

  return byCallers(8, commands, async (n) => {
    const command = next()
    const outcome = await stock.submit(ask(command, chance.chance(0.8) ? { key: `${seed}: ${n}` } : {}))
    if (outcome.ok && command.type === 'PlaceHold') holds.push(command.id)
    if (outcome.ok && (command.type === 'PlanTransfer' || command.type === 'AnnounceInbound' || command.type === 'OpenCount')) works.push(command)
    return outcome
  })
}

// ---- The database.

/** Waits until the database's clock has reached an instant. */
export const untilClockIs = (pool: Pool, ms: number): Promise<void> =>
  until(async () => {
    const [row] = await rowsOf<{ reached: boolean }>(pool, 'select clock_timestamp() >= to_timestamp($1::float8 / 1000) as reached', [ms])
    return row?.reached === true
  })

export const until = (isSo: () => Promise<boolean> | boolean): Promise<void> =>
  vi.waitFor(
    async () => {
      if (!(await isSo())) throw new Error('it has not come to be')
    },
    { timeout: 15_000, interval: 5 },
  )

export const rowsOf = async <Row = Record<string, unknown>>(pool: Pool, sql: string, values: unknown[] = []): Promise<Row[]> => {
  const { rows } = await pool.query(sql, values)
  return rows
}

/** What every story ends with: the books agree. */
export const expectBooksAgree = async ({ pool }: Pick<Cell, 'pool'>): Promise<void> => {
  const { violations } = await verify(pool)
  expect(violations).toEqual([])
}

export const sqlStatesOf = (faults: readonly unknown[]): (string | undefined)[] =>
  faults.map((fault) => (fault instanceof Fault ? fault.sqlState : String(fault)))
