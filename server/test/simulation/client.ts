// Simulated callers: they place holds and do everything else to them, their own and each other's, ask again with the same key
// while they do not know, and meet on purpose at the instant at which a hold expires.
import type { AdjustmentLine } from '../../src/domain/adjustment.ts'
import type { DocumentAnswer } from '../../src/domain/event.ts'
import type { Hold, Line, PlaceHold, WantedLine } from '../../src/domain/hold.ts'
import { itemNumber, locationNumber, type ItemNumber, type LocationNumber, type Uuid } from '../../src/domain/ids.ts'
import { levelKey } from '../../src/domain/level.ts'
import type { Transfer } from '../../src/domain/transfer.ts'
import type { InboundShipment } from '../../src/domain/inbound-shipment.ts'
import type { Count } from '../../src/domain/count.ts'
import type { ArrivedLine } from '../../src/domain/arrival.ts'
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
  // In some histories a customer may have only so much, and in some of those soon again.
  const limit = random.pick([null, null, 2, 3, 6])
  const windowMs = random.pick([200, 2_000, 60_000])
  const workChance = random.pick([0.1, 0.25, 0.5])
  const holds = new Map<Uuid, Hold>()
  const transfers = new Map<Uuid, Transfer>()
  const inbounds = new Map<Uuid, InboundShipment>()
  const counts = new Map<Uuid, Count>()
  /** The latest sequence that anybody was answered: what a counter writes down before he goes to the shelf. */
  let seen = 0
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
  const withId = (command: Asked): Asked => (command.id === UNMADE ? { ...command, id: uuid(2) } : command)

  const note = ({ number, command, dryRun }: Operation, { requestId, outcome, key }: Attempt) => {
    trace.mark(number, outcome === null ? 0 : outcome.sequence + 1)
    trace.say(() => `client heard ${requestId} ${command.type} key ${key.slice(-4)}: ${said(outcome)}`)
    if (outcome === null) return tally.add('not known')
    if (outcome.replayed) tally.add('replayed')
    seen = Math.max(seen, outcome.sequence)
    if (outcome.ok) {
      tally.add(dryRun ? 'dry runs' : 'acknowledged')
      if (!dryRun) learnOf(outcome.answer)
    } else if (outcome.rejection.code === 'insufficient_stock') tally.add('refused for stock')
    else if (outcome.rejection.code === 'idempotency_key_reused') tally.add('key reused')
    else if (outcome.rejection.code === 'purchase_limit_exceeded') tally.add('refused for a limit')
    else if (outcome.rejection.code === 'already_announced') tally.add('refused for a name')
    else if (outcome.rejection.code === 'quantity_exceeds_outstanding') tally.add('refused for too much')
    else if (outcome.rejection.code === 'not_in_state') tally.add('refused for a state')
    else if (outcome.rejection.code === 'overloaded' || outcome.rejection.code === 'unavailable') tally.add('not taken')
    else tally.add('refused otherwise')
  }

  const learnOf = (answer: DocumentAnswer) => {
    if (answer.kind === 'hold') learn(answer.hold)
    if (answer.kind === 'transfer') learnWork(transfers, answer.transfer)
    if (answer.kind === 'inbound_shipment') learnWork(inbounds, answer.inbound)
    if (answer.kind === 'count') learnWork(counts, answer.count)
  }

  const learnWork = <Some extends { readonly id: Uuid; readonly version: number }>(works: Map<Uuid, Some>, work: Some) => {
    if ((works.get(work.id)?.version ?? 0) < work.version) works.set(work.id, work)
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
      else await ask(random.chance(workChance) ? workCommandFor(random.fraction()) : commandFor(random.fraction()))
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
    const execution = (): Asked => ({ type: 'ExecuteHold', id, lines: null, final: true })
    const rivals: readonly (() => Asked)[] = [
      execution,
      execution,
      () => ({ type: 'ReleaseHold', id }),
      () => ({ type: 'ExtendHold', id, ttlMs: random.between(shortestTtlMs, 400), longestMs: LONGEST_LIFE_MS }),
      () => ({ type: 'CancelHold', id }),
      () => placement(hold.allocations.map(({ item, location, quantity }) => ({ item, location, quantity }))),
    ]
    // Who has all that he may have asks for more, elsewhere, while what he has is bought or extended in its last moment.
    const others = locations.filter((location) => hold.allocations.every((allocation) => allocation.location !== location))
    const more = (): Asked => ({
      ...placement(
        hold.allocations.map(({ item }) => ({ item, location: random.pick(others), quantity: limit ?? 1 })),
        hold.customer,
      ),
      mode: 'best_effort',
    })
    const isForMore = limit !== null && hold.customer !== null && others.length > 0 && random.chance(0.7)
    const aimAt = database.timeOf(hold.expiresAt) - pace.networkMs - random.between(0, 4 * (pace.hopMs + pace.stepMs) + 2)
    await clock.sleep(Math.max(0, aimAt - clock.now()))
    for (let runner = 0; runner < runners && left > 0; runner += 1) {
      left -= 1
      const operation = operationOf(isForMore && runner > 0 ? more() : (isForMore ? execution : random.pick(rivals))(), { atExpiry: true })
      begin(async () => {
        await clock.sleep(isForMore && runner > 0 ? random.between(0, 3 * (pace.hopMs + pace.stepMs) + 8) : random.between(0, 2))
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

  /** Documents with a life of their own: mostly those that have not ended. */
  const workCommandFor = (draw: number): Asked => {
    const one = <Some extends Transfer | InboundShipment | Count>(works: ReadonlyMap<Uuid, Some>): Some | undefined => {
      const known = [...works.values()]
      const open = known.filter(({ endedAt }) => endedAt === null)
      return open.length > 0 && random.chance(0.85) ? random.pick(open) : known.length > 0 ? random.pick(known) : undefined
    }
    if (draw < 0.45) {
      const transfer = one(transfers)
      const [from, to] = shuffled()
      if (from !== undefined && to !== undefined && (transfer === undefined || draw < 0.1))
        return { type: 'PlanTransfer', id: UNMADE, ...plain, from, to, lines: parcel() }
      if (transfer === undefined) return announcement()
      if (random.chance(0.06)) return { type: 'CancelTransfer', id: transfer.id }
      if (transfer.status === 'open' ? random.chance(0.9) : random.chance(0.1)) return { type: 'DispatchTransfer', id: transfer.id }
      return { type: 'ReceiveTransfer', id: transfer.id, ...arrival(transfer) }
    }
    if (draw < 0.72) {
      const inbound = one(inbounds)
      if (inbound === undefined || draw < 0.55) return announcement()
      if (random.chance(0.1)) return { type: 'CancelInbound', id: inbound.id }
      return { type: 'ReceiveInbound', id: inbound.id, ...arrival(inbound) }
    }
    const count = one(counts)
    if (count === undefined || draw < 0.78)
      return { type: 'OpenCount', id: UNMADE, ...plain, location: random.pick(locations), items: random.chance(0.4) ? [item()] : null }
    if (random.chance(0.05)) return { type: 'CancelCount', id: count.id }
    if (count.lines.length > 0 && random.chance(0.5)) return { type: 'ApproveCount', id: count.id }
    return {
      type: 'CountItems',
      id: count.id,
      location: count.location,
      lines: Array.from({ length: random.pick([1, 1, 2]) }, () => ({
        item: count.items === null || random.chance(0.25) ? item() : random.pick(count.items),
        quantity: random.below(plenty),
        asOf: random.chance(0.5) ? null : random.chance(0.5) ? seen : random.below(seen + 1),
      })),
    }
  }

  const announcement = (): Asked => ({
    type: 'AnnounceInbound',
    id: UNMADE,
    ...plain,
    supplier: 'acme',
    location: random.pick(locations),
    expectedAt: null,
    lines: parcel(),
    unique: random.chance(0.6) ? nameOf(random.below(NAMES)) : null,
  })

  const parcel = (): Line[] => Array.from({ length: random.pick([1, 1, 2, 3]) }, () => ({ item: item(), quantity: quantity(4) }))

  /** All of it, or some of it; now and then more than there is, or something else. */
  const arrival = ({ lines: expected }: Transfer | InboundShipment) => {
    const arrived = (): ArrivedLine => {
      const one = random.pick(expected)
      const left = one.quantity - one.received
      return {
        item: random.chance(0.05) ? item() : one.item,
        quantity: random.between(1, Math.max(1, left + (random.chance(0.2) ? 1 : 0))),
        to: random.pick(['available', 'available', 'quality_control', 'damaged'] as const),
      }
    }
    return {
      lines: random.chance(0.5) ? null : Array.from({ length: random.pick([1, 1, 2]) }, arrived),
      close: random.chance(0.15),
      acceptExcess: random.chance(0.2),
    }
  }

  /** Two locations, where there are two. */
  const shuffled = (): LocationNumber[] => {
    const from = random.pick(locations)
    const others = locations.filter((location) => location !== from)
    return others.length === 0 ? [from] : [from, random.pick(others)]
  }

  const placement = (wanted: readonly WantedLine[], customer: string | null = random.pick([null, 'ada', 'ada', 'bob'])): PlaceHold => ({
    type: 'PlaceHold',
    id: UNMADE,
    ...plain,
    lines: wanted,
    mode: random.chance(0.7) ? 'all_or_nothing' : 'best_effort',
    ttlMs: random.chance(0.75) ? random.between(shortestTtlMs, 4 * shortestTtlMs) : random.between(1_000, 5_000),
    candidates: (random.chance(0.8) ? locations : [random.pick(locations)]).map((location) => ({ location, point: null })),
    strategy: random.pick<Strategy>(['priority', 'most_stock', 'nearest', 'fewest_splits']),
    destination: null,
    customer,
    purchaseLimits: limit === null ? [] : Array.from(new Set(wanted.map((line) => line.item)), (one) => ({ item: one, quantity: limit, windowMs })),
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
/** Names that suppliers give: so few that two shipments meet in one. */
const NAMES = 6
const nameOf = (number: number): Uuid => `00000004-0000-7000-8000-${number.toString(16).padStart(12, '0')}` as Uuid // made of 32 hex digits
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
