// Simulated callers: they place holds and do everything else to them, their own and each other's, ask again with the same key
// while they do not know, and meet on purpose at the instant at which a hold expires.
import type { AdjustmentLine } from '../../src/domain/adjustment.ts'
import type { Hold, Line, WantedLine } from '../../src/domain/hold.ts'
import { itemNumber, locationNumber, type ItemNumber, type LocationNumber, type Uuid } from '../../src/domain/ids.ts'
import { levelKey } from '../../src/domain/level.ts'
import type { Strategy } from '../../src/domain/sourcing.ts'
import type { LedgerOutcome } from '../../src/ledger/ledger.ts'
import type { Clock } from './clock.ts'
import type { Database } from './database.ts'
import type { Faults, Pace } from './faults.ts'
import { isDefinite, type Asked, type Attempt, type History, type Operation } from './history.ts'
import type { Random } from './random.ts'
import type { Server } from './server.ts'
import type { Tally, Trace } from './tally.ts'

export type Traffic = {
  /** Sends all of its operations, in its own time. */
  start(): void
  isDone(): boolean
  /** Asks once more for whatever nobody knows the end of. */
  settle(): void
}

export type TrafficDeps = {
  readonly clock: Clock
  readonly random: Random
  readonly faults: () => Faults
  readonly pace: Pace
  /** Only to tell which holds are worth a call, and to aim at the instant of an expiry. */
  readonly database: Pick<Database, 'timeOf'>
  readonly servers: readonly Server[]
  readonly history: History
  readonly tally: Tally
  readonly trace: Trace
  /** What a mutant client does when it does not know. */
  readonly keyForRetry: (key: Uuid, another: () => Uuid) => Uuid
}

const OPERATIONS = { least: 30, most: 70 }
const TRIES = 12
/** A client that has heard nothing for so long does not know. */
const PATIENCE_MS = 600
const LONGEST_BACKOFF_MS = 60
const LONGEST_LIFE_MS = 20_000

export const traffic = ({ clock, random, faults, pace, database, servers, history, tally, trace, keyForRetry }: TrafficDeps): Traffic => {
  const items = Array.from({ length: random.between(1, 4) }, (_, index) => itemNumber(index + 1))
  const locations = Array.from({ length: random.between(1, 3) }, (_, index) => locationNumber(index + 1))
  const clients = random.between(2, 8)
  const thinkMs = random.pick([5, 20, 60, 150])
  const plenty = random.pick([3, 8, 20])
  const shortestTtlMs = random.pick([20, 60, 300])
  const raceChance = random.pick([0, 0.2, 0.5])
  const holds = new Map<Uuid, Hold>()
  const versions = new Map<number, number>()
  let left = random.between(OPERATIONS.least, OPERATIONS.most)
  let underWay = 0
  let uuids = 0

  const uuid = (of: number): Uuid => `${of.toString(16).padStart(8, '0')}-0000-7000-8000-${(uuids += 1).toString(16).padStart(12, '0')}` as Uuid // made of 32 hex digits
  const newKey = () => uuid(1)

  // Sending

  const perform = async (operation: Operation, key: Uuid): Promise<LedgerOutcome | null> => {
    let own = key
    let retriesWhenShort = random.pick([0, 0, 1])
    for (let attempt = 1; attempt <= TRIES; attempt += 1) {
      const twice = random.chance(faults().sentTwice)
      if (twice) {
        tally.add('request sent twice')
        void send(operation, own)
      }
      const outcome = await send(operation, own)
      if (isDefinite(outcome)) {
        if (outcome.ok || outcome.rejection.code !== 'insufficient_stock' || retriesWhenShort === 0) return outcome
        retriesWhenShort -= 1
      } else own = keyForRetry(own, newKey)
      await clock.sleep(random.below(LONGEST_BACKOFF_MS))
    }
    return null
  }

  const send = (operation: Operation, key: Uuid): Promise<LedgerOutcome | null> => {
    const attempt: Attempt = {
      requestId: `${operation.number}.${operation.attempts.length + 1}`,
      key,
      invokedAt: clock.now(),
      completedAt: null,
      outcome: null,
    }
    operation.attempts.push(attempt)
    tally.add('attempts')
    return new Promise((resolve) => {
      let waits = true
      const answer = (outcome: LedgerOutcome | null) => {
        if (!waits) return
        waits = false
        attempt.outcome = outcome
        if (outcome !== null) attempt.completedAt = clock.now()
        note(operation, attempt)
        resolve(outcome)
      }
      clock.after(PATIENCE_MS, () => answer(null))
      const { requestLost, replyLost } = faults()
      if (random.chance(requestLost)) {
        tally.add('request lost')
        return
      }
      const replyIsLost = random.chance(replyLost)
      const server = random.pick(servers)
      clock.after(random.between(0, pace.networkMs), () => {
        if (!server.isUp()) return answer(null)
        server.request(
          {
            command: withId(operation.command),
            key: { key, fingerprint: operation.fingerprint },
            actor: CLIENT,
            requestId: attempt.requestId,
            ...(operation.dryRun ? { dryRun: true } : {}),
          },
          (outcome) => {
            if (replyIsLost) tally.add('reply lost')
            else clock.after(random.between(0, pace.networkMs), () => answer(outcome ?? null))
          },
        )
      })
    })
  }

  /** The server makes a new document's id each time that it is asked; whoever asks with the same key gets the first. */
  const withId = (command: Asked): Asked => ('lines' in command && command.type !== 'ExecuteHold' ? { ...command, id: uuid(2) } : command)

  const note = ({ number, command, dryRun }: Operation, { requestId, outcome, key }: Attempt) => {
    trace.mark(number, outcome === null ? 0 : outcome.sequence + 1)
    trace.say(() => `client heard ${requestId} ${command.type} key ${key.slice(-4)}: ${said(outcome)}`)
    if (outcome === null) return tally.add('not known')
    if (outcome.replayed) tally.add('replayed')
    if (outcome.ok) {
      tally.add(dryRun ? 'dry runs' : 'acknowledged')
      if (outcome.answer.kind === 'hold' && !dryRun) learn(outcome.answer.hold)
    } else if (outcome.rejection.code === 'insufficient_stock') tally.add('refused for stock')
    else if (outcome.rejection.code === 'idempotency_key_reused') tally.add('key reused')
    else if (outcome.rejection.code === 'overloaded' || outcome.rejection.code === 'unavailable') tally.add('not taken')
    else tally.add('refused otherwise')
  }

  const learn = (hold: Hold) => {
    if ((holds.get(hold.id)?.version ?? 0) < hold.version) holds.set(hold.id, hold)
    for (const { item, location, levelVersion } of hold.allocations)
      versions.set(levelKey(item, location), Math.max(versions.get(levelKey(item, location)) ?? 0, levelVersion))
  }

  // Asking

  const operationOf = (command: Asked, more: { dryRun?: boolean; atExpiry?: boolean } = {}): Operation => {
    const operation: Operation = {
      number: history.operations.length + 1,
      command,
      fingerprint: uuid(3),
      dryRun: more.dryRun ?? false,
      atExpiry: more.atExpiry ?? false,
      attempts: [],
    }
    history.operations.push(operation)
    tally.add('operations')
    return operation
  }

  const client = async () => {
    while (left > 0) {
      left -= 1
      await clock.sleep(random.below(thinkMs + 1))
      const kind = random.fraction()
      if (kind < 0.08) await look()
      else if (kind < 0.13 && history.operations.length > 0) await again()
      else await ask(commandFor(random.fraction()))
    }
  }

  const ask = async (command: Asked) => {
    const dryRun = random.chance(0.04)
    const key = newKey()
    if (random.chance(faults().otherBody)) sendOther(key)
    const outcome = await perform(operationOf(command, { dryRun }), key)
    if (outcome?.ok && outcome.answer.kind === 'hold' && outcome.answer.hold.status === 'active' && !dryRun && left > 0 && random.chance(raceChance))
      begin(() => race(outcome.answer.kind === 'hold' ? outcome.answer.hold : undefined))
  }

  /** What was asked once is asked again, long after; or something else with its key. */
  const again = async () => {
    const earlier = random.pick(history.operations)
    const key = earlier.attempts[0]?.key
    if (key === undefined || earlier.dryRun) return
    if (random.chance(faults().otherBody)) sendOther(key)
    else await perform(earlier, key)
  }

  const sendOther = (key: Uuid) => {
    tally.add('key with another body')
    begin(async () => void (await perform(operationOf(commandFor(random.fraction())), key)))
  }

  const look = async () => {
    const item = random.pick(items)
    const location = random.pick(locations)
    const server = random.pick(servers)
    const invokedAt = clock.now()
    tally.add('reads')
    await new Promise<void>((resolve) => {
      clock.after(PATIENCE_MS, resolve)
      server.read(
        (rows) => rows.levels.get(levelKey(item, location)) ?? null,
        (level) => {
          history.looks.push({ item, location, level, invokedAt, completedAt: clock.now() })
          if (level !== null) versions.set(levelKey(item, location), level.version)
          resolve()
        },
      )
    })
  }

  /** Several ask at once for what only one of them can have, so that the clock is read within a few ms of the expiry. */
  const race = async (hold: Hold | undefined) => {
    if (hold === undefined) return
    const runners = random.between(2, 4)
    const { id } = hold
    const rivals: readonly (() => Asked)[] = [
      () => ({ type: 'ExecuteHold', id, lines: null, final: true }),
      () => ({ type: 'ExecuteHold', id, lines: null, final: true }),
      () => ({ type: 'ReleaseHold', id }),
      () => ({ type: 'ExtendHold', id, ttlMs: random.between(shortestTtlMs, 400), longestMs: LONGEST_LIFE_MS }),
      () => ({ type: 'CancelHold', id }),
      () => placement(hold.allocations.map(({ item, location, quantity }) => ({ item, location, quantity }))),
    ]
    const aimAt = database.timeOf(hold.expiresAt) - pace.networkMs - random.between(0, 4 * (pace.hopMs + pace.stepMs) + 2)
    await clock.sleep(Math.max(0, aimAt - clock.now()))
    for (let runner = 0; runner < runners && left > 0; runner += 1) {
      left -= 1
      const operation = operationOf(random.pick(rivals)(), { atExpiry: true })
      begin(async () => {
        await clock.sleep(random.between(0, 2))
        const outcome = await perform(operation, newKey())
        if (operation.command.type !== 'ExecuteHold' || outcome === null) return
        if (outcome.ok) tally.add('race won by the buyer')
        else if (outcome.rejection.code === 'hold_expired') tally.add('race won by the clock')
      })
    }
  }

  const commandFor = (draw: number): Asked => {
    if (draw < 0.34) return placement(lines())
    if (draw < 0.46)
      return { type: 'ReceiveStock', id: UNMADE, ...plain, location: random.pick(locations), lines: [{ item: item(), quantity: quantity(plenty) }] }
    if (draw < 0.53) return adjustment()
    const known = [...holds.values()]
    const live = known.filter(({ status, expiresAt }) => status === 'active' && database.timeOf(expiresAt) > clock.now())
    const hold = live.length > 0 && random.chance(0.7) ? random.pick(live) : known.length > 0 ? random.pick(known) : undefined
    if (hold === undefined) return placement(lines())
    const { id } = hold
    if (draw < 0.72) return { type: 'ExecuteHold', id, lines: partOf(hold, 'held'), final: random.chance(0.6) }
    if (draw < 0.79) return { type: 'ReleaseHold', id }
    if (draw < 0.85) return { type: 'ExtendHold', id, ttlMs: random.pick([shortestTtlMs, 200, 3_000, LONGEST_LIFE_MS + 1]), longestMs: LONGEST_LIFE_MS }
    if (draw < 0.89) return { type: 'CancelHold', id }
    if (draw < 0.96) return { type: 'ShipHold', id: UNMADE, hold: id, ...plain, lines: partOf(hold, 'committed') }
    const returned = hold.allocations[0]
    if (returned === undefined) return { type: 'ReleaseHold', id }
    return {
      type: 'ReturnStock',
      id: UNMADE,
      hold: random.chance(0.8) ? id : null,
      ...plain,
      location: random.pick(locations),
      lines: [{ item: returned.item, quantity: quantity(3), to: random.pick(['available', 'quality_control', 'damaged'] as const) }],
    }
  }

  const placement = (wanted: readonly WantedLine[]): Asked => ({
    type: 'PlaceHold',
    id: UNMADE,
    ...plain,
    lines: wanted,
    mode: random.chance(0.7) ? 'all_or_nothing' : 'best_effort',
    ttlMs: random.chance(0.75) ? random.between(shortestTtlMs, 4 * shortestTtlMs) : random.between(1_000, 5_000),
    candidates: (random.chance(0.8) ? locations : [random.pick(locations)]).map((location) => ({ location, point: null })),
    strategy: random.pick<Strategy>(['priority', 'most_stock', 'nearest', 'fewest_splits']),
    destination: null,
    customer: null,
    purchaseLimits: [],
  })

  const lines = (): WantedLine[] =>
    Array.from({ length: random.pick([1, 1, 1, 2, 2, 3, 4]) }, () => ({
      item: item(),
      location: random.chance(0.7) ? random.pick(locations) : null,
      quantity: quantity(4),
    }))

  const adjustment = (): Asked => {
    const location = random.pick(locations)
    const line = (): AdjustmentLine => {
      const places = ['shrinkage', 'available', 'available', 'quality_control', 'damaged'] as const
      const one = item()
      const from = random.pick(places)
      const to = random.pick(places.filter((place) => place !== from))
      const ifVersion = random.chance(0.2) ? (versions.get(levelKey(one, location)) ?? 0) : null
      return { item: one, from, to, quantity: quantity(3), ifVersion }
    }
    // Two lines of one item could feed each other, and nobody could then tell from outside which of them was short.
    const first = line()
    const second = line()
    return { type: 'AdjustStock', id: UNMADE, ...plain, location, reason: 'counted', lines: first.item === second.item ? [first] : [first, second] }
  }

  /** Everything, or some of it; now and then more than there is. */
  const partOf = (hold: Hold, count: 'held' | 'committed'): Line[] | null => {
    if (random.chance(0.6)) return null
    const allocation = random.pick(hold.allocations)
    return [{ item: allocation.item, quantity: Math.max(1, random.between(1, allocation[count] + 1)) }]
  }

  /** The first item is everybody's favourite. */
  const item = (): ItemNumber => (random.chance(0.4) ? itemNumber(1) : random.pick(items))
  const quantity = (most: number) => random.between(1, most)

  const firstDelivery = (location: LocationNumber): Asked => ({
    type: 'ReceiveStock',
    id: UNMADE,
    ...plain,
    location,
    lines: items.map((one) => ({ item: one, quantity: quantity(plenty) })),
  })

  const begin = (task: () => Promise<void>) => {
    underWay += 1
    void task().finally(() => {
      underWay -= 1
    })
  }

  return {
    start: () => {
      for (const location of locations) if (random.chance(0.8)) begin(async () => void (await perform(operationOf(firstDelivery(location)), newKey())))
      for (let number = 0; number < clients; number += 1) begin(client)
    },
    isDone: () => underWay === 0,
    settle: () => {
      for (const operation of history.operations) {
        const key = operation.attempts.at(-1)?.key
        if (key !== undefined && !operation.attempts.some(({ outcome }) => isDefinite(outcome))) begin(async () => void (await perform(operation, key)))
      }
    },
  }
}

const CLIENT = 'client'
/** Where the server puts the id of the document that it makes. */
const UNMADE = '00000000-0000-0000-0000-000000000000' as Uuid // 32 hex digits
const plain = { reference: null, metadata: {} } as const

const said = (outcome: LedgerOutcome | null): string => {
  if (outcome === null) return 'nothing'
  const what = outcome.ok
    ? `yes, ${outcome.answer.kind === 'hold' ? `hold ${outcome.answer.hold.id.slice(-4)} ${outcome.answer.hold.status} v${outcome.answer.hold.version}` : outcome.answer.kind}`
    : `no, ${JSON.stringify(outcome.rejection)}`
  return `${what} #${outcome.sequence}${outcome.replayed ? ' replayed' : ''}`
}
