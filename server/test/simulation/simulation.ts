// One history: a few server processes that run the real ledger over one simulated database, clients, faults, and then quiet and
// an audit. Everything is drawn from the seed, so a seed is a history.
import type { ItemNumber } from '../../src/domain/ids.ts'
import type { LedgerLimits } from '../../src/ledger/ledger.ts'
import { audit, type Evidence, type Rule } from './audit.ts'
import { traffic } from './client.ts'
import { simulatedClock } from './clock.ts'
import { database as simulatedDatabase, faithful, type Rules } from './database.ts'
import { drawFaults, drawPace, noFaults } from './faults.ts'
import { isDefinite, type History } from './history.ts'
import { random as randomOf, type Random } from './random.ts'
import { server, type Wiring } from './server.ts'
import { tally as newTally, trace as newTrace, workFacts, type Tally } from './tally.ts'

/** What a mutant does otherwise. */
export type Variant = Wiring & { readonly rules?: Partial<Rules>; readonly newKeyWhenUnknown?: true }

export type Failure = { readonly rule: Rule | 'it becomes quiet' | 'who asks when nothing fails is answered' | 'nothing is thrown'; readonly what: string }
export type Report = {
  readonly seed: number
  readonly failures: readonly Failure[]
  /** What the auditor was given. */
  readonly evidence: Evidence
  readonly tally: Tally
  /** Differs when anything was done in another order. */
  readonly hash: string
  readonly events: number
  readonly simulatedMs: number
}
export type Options = { readonly variant?: Variant; readonly listen?: (line: string) => void }

/** Longest that a history may go on with its faults: twelve tries of every client fit. */
const LOAD_BOUND_MS = 120_000
/** From when nothing fails any more: clients finish, sweepers sweep, processes stop. */
const QUIET_BOUND_MS = 20_000
/** From the last request on: what a stopped process or a broken connection still keeps is free by then, and all that was due has been swept. */
const SETTLING_MS = 1_300
const SWEPT_WITHIN_MS = 1_200
const READER_EVERY_MS = 20

export const run = async (seed: number, { variant = {}, listen }: Options = {}): Promise<Report> => {
  const random = randomOf(seed)
  const clock = simulatedClock()
  const tally = newTally()
  const trace = newTrace(() => clock.now(), listen)
  const pace = drawPace(random)
  const history: History = { operations: [], looks: [], told: [] }
  const failures: Failure[] = []
  let faults = drawFaults(random)
  listen?.(`seed ${seed}: ${JSON.stringify({ ...pace, ...Object.fromEntries(Object.entries(faults).filter(([, probability]) => probability > 0)) })}`)

  const database = simulatedDatabase({ clock, random, faults: () => faults, pace, rules: { ...faithful, ...variant.rules }, tally, trace })
  const limits = drawLimits(random)
  const safetyStock = random.pick([0, 0, 1, 3])
  const reorderPoint = random.pick([null, null, 2, 12])
  const thresholdsOf = (item: ItemNumber) => ({ safetyStock: item % 2 === 0 ? safetyStock : 0, reorderPoint })
  const servers = Array.from({ length: random.between(2, 3) }, (_, index) =>
    server({
      number: index + 1,
      clock,
      random,
      pace,
      database,
      limits,
      thresholdsOf,
      wiring: variant,
      tally,
      trace,
      onDefect: (error) => failures.push({ rule: 'nothing is thrown', what: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
    }),
  )
  const clients = traffic({
    clock,
    random,
    faults: () => faults,
    pace,
    database,
    servers,
    history,
    tally,
    trace,
    keyForRetry: (key, another) => (variant.newKeyWhenUnknown ? another() : key),
  })

  // A reader goes on from the last sequence that it has seen, as whoever follows the events does.
  let read = 0
  const follow = () => {
    clock.after(READER_EVERY_MS, follow)
    if (database.rows.events.size === history.told.length) return
    const fresh = [...database.rows.events.keys()].filter((sequence) => sequence > read).toSorted((a, b) => a - b)
    history.told.push(...fresh)
    read = fresh.at(-1) ?? read
  }
  follow()

  const becomesQuiet = async (what: string, done: () => boolean, boundMs: number) => {
    if (!(await clock.runUntil(done, clock.now() + boundMs))) failures.push({ rule: 'it becomes quiet', what: `after ${boundMs} ms ${what}` })
  }
  clients.start()
  // The faults end at a moment of their own, in half of the histories while clients still ask.
  const healAt = random.chance(0.5) ? random.between(100, 2_000) : LOAD_BOUND_MS
  await clock.runUntil(() => clients.isDone() || clock.now() >= healAt, healAt)
  faults = noFaults
  trace.say(() => 'nothing fails from here on')
  await becomesQuiet('clients still ask', () => clients.isDone(), QUIET_BOUND_MS)
  clients.settle()
  await becomesQuiet('clients still ask for what they do not know', () => clients.isDone(), QUIET_BOUND_MS)
  for (const { number, command, attempts } of history.operations)
    if (!attempts.some(({ outcome }) => isDefinite(outcome)))
      failures.push({
        rule: 'who asks when nothing fails is answered',
        what: `operation ${number}, asked ${attempts.length} times: ${JSON.stringify(command)}`,
      })
  await clock.runUntil(() => false, clock.now() + SETTLING_MS)
  const quietSince = database.now() - SWEPT_WITHIN_MS
  for (const { id, status, expiresAt } of database.rows.holds.values())
    if (status === 'active' && expiresAt <= quietSince)
      failures.push({ rule: 'it becomes quiet', what: `hold ${id} is still active, and expired ${database.now() - expiresAt} ms ago` })
  let stopped = 0
  for (const one of servers) one.stop(() => (stopped += 1))
  await becomesQuiet('processes have not stopped', () => stopped === servers.length && servers.every((one) => one.isIdle()), QUIET_BOUND_MS)
  await clock.runUntil(() => false, clock.now() + READER_EVERY_MS)

  const evidence = { rows: database.rows, history, readings: database.readings, thresholdsOf }
  failures.push(...audit(evidence))
  for (const { type, data, occurredAt } of database.rows.events.values()) {
    const fact = workFacts.find((one) => one === type)
    if (fact !== undefined) tally.add(fact)
    if (data.kind !== 'hold') continue
    const early = data.hold.expiresAt - occurredAt
    if (type === 'hold.expired' && early === 0) tally.add('expired at the instant')
    if (type === 'hold.executed' && early <= 1) tally.add('executed 1 ms before')
  }
  for (const work of database.rows.works.values()) {
    if (work.kind === 'count') {
      if (work.lines.some(({ asOf }) => asOf !== null)) tally.add('counted as of before')
      if (work.status === 'approved' && work.lines.some(({ counted, expected }) => counted !== expected)) tally.add('count found a difference')
      continue
    }
    if (work.version > 3 && work.lines.some(({ received }) => received > 0)) tally.add('received in part')
    if (work.lines.some(({ missing }) => missing > 0)) tally.add('closed short')
    if (work.lines.some(({ excess }) => excess > 0)) tally.add('more came than was said')
  }
  for (const { command, attempts } of history.operations)
    if (command.type === 'PlaceHold' && command.customer !== null && command.purchaseLimits.length > 0 && attempts.some(({ outcome }) => outcome?.ok))
      tally.add('held under a limit')
  tally.add('histories')
  trace.mark(database.rows.head.sequence, history.operations.length)
  return { seed, failures, evidence, tally, hash: trace.hash(), events: clock.events(), simulatedMs: clock.now() }
}

/** Small ones, so that every bound is met. */
const drawLimits = (random: Random): LedgerLimits => ({
  queue: random.pick([3, 8, 64]),
  batch: random.pick([1, 2, 4, 16]),
  batchLines: random.pick([2, 6, 40]),
  inFlight: random.pick([1, 2, 2, 3]),
  due: random.pick([1, 2, 5]),
  deferrals: random.pick([1, 3, 8]),
  attempts: random.pick([2, 4, 6]),
  patienceMs: 3_000,
})
