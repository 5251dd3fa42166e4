// The simulated database is worth as much as it is like PostgreSQL. So here both do the same, and must say the same.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Hold } from '../../src/domain/hold.ts'
import { itemNumber, locationNumber, type Uuid } from '../../src/domain/ids.ts'
import { instant } from '../../src/domain/instant.ts'
import type { Transfer } from '../../src/domain/transfer.ts'
import type { Work } from '../../src/domain/work.ts'
import { emptyLevel, noThresholds, type Level } from '../../src/domain/level.ts'
import { runBatch, type Request } from '../../src/ledger/batch.ts'
import { Fault } from '../../src/storage/fault.ts'
import { postgresStore, type Batch, type LedgerStore } from '../../src/storage/ledger-store.ts'
import { openPool } from '../../src/storage/pool.ts'
import { freshDatabase } from '../support/database.ts'
import { simulatedClock } from './clock.ts'
import { database as simulatedDatabase, faithful, type Host } from './database.ts'
import { noFaults } from './faults.ts'
import { random as randomOf } from './random.ts'
import { tally, trace } from './tally.ts'
import { noChanges, wantedOf } from '../support/batch.ts'

type Variant = {
  readonly store: LedgerStore
  /** Lets it happen, in real or in simulated time. */
  run<Result>(work: () => Promise<Result>): Promise<Result>
  pause(ms: number): Promise<void>
  close(): Promise<void>
}

const onPostgres = async (): Promise<Variant> => {
  const fresh = await freshDatabase()
  const pool = openPool({ url: fresh.url, size: 4, pipeline: true, statementTimeoutMs: 5_000, lockTimeoutMs: 1_500, applicationName: 'simulation-test' })
  return {
    store: postgresStore({ pool, prepare: true }),
    run: (work) => work(),
    pause: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    close: async () => {
      await pool.end()
      await fresh.drop()
    },
  }
}

const simulated = async (): Promise<Variant> => {
  const clock = simulatedClock()
  const host: Host = {
    isAlive: () => true,
    clock: () => 0,
    deliver: (ms, happen) => clock.after(ms, happen),
    crash: () => undefined,
    pause: () => undefined,
    drain: () => undefined,
  }
  const pace = { hopMs: 1, stepMs: 1, networkMs: 0, skewMs: 0 }
  const imitation = simulatedDatabase({
    clock,
    random: randomOf(1),
    faults: () => noFaults,
    pace,
    rules: faithful,
    tally: tally(),
    trace: trace(() => clock.now()),
  })
  return {
    store: imitation.storeFor(host),
    run: async (work) => {
      let over = false
      const result = work().finally(() => (over = true))
      await clock.runUntil(() => over, clock.now() + 60_000)
      return result
    },
    pause: (ms) => clock.sleep(ms),
    close: async () => undefined,
  }
}

const variants = [
  ['PostgreSQL', onPostgres],
  ['the simulated database', simulated],
] as const

const tea = itemNumber(1)
const cup = itemNumber(2)
const london = locationNumber(1)
const paris = locationNumber(2)
const uuid = (n: number): Uuid => `00000000-0000-7000-8000-${n.toString(16).padStart(12, '0')}` as Uuid // made of 32 hex digits
const plain = { reference: null, metadata: {} } as const

let uuids = 0
const request = (command: Request['command'], key = uuid((uuids += 1))): Request => ({
  command,
  key: { key, fingerprint: uuid(1) },
  actor: 'test',
  requestId: 'test',
})
const received = (item = tea, quantity = 5, key?: Uuid) =>
  request({ type: 'ReceiveStock', id: uuid((uuids += 1)), location: london, lines: [{ item, quantity }], ...plain }, key)
const placed = (quantity: number, ttlMs = 60_000) =>
  request({
    type: 'PlaceHold',
    id: uuid((uuids += 1)),
    lines: [{ item: tea, location: london, quantity }],
    mode: 'all_or_nothing',
    ttlMs,
    candidates: [],
    strategy: 'priority',
    destination: null,
    customer: null,
    purchaseLimits: [],
    ...plain,
  })

describe.each(variants)('on %s', (_, open) => {
  let variant: Variant
  beforeAll(async () => {
    variant = await open()
  })
  afterAll(() => variant.close())
  const batch = (...requests: Request[]) => runBatch(requests, { store: variant.store, thresholdsOf: () => noThresholds, dueLimit: 5 })
  const level = { item: tea, location: london }
  const wanted = wantedOf({ levels: [level] })
  const nobody = wantedOf({})
  const kindOf = (error: unknown) => (error instanceof Fault ? `${error.kind} ${error.sqlState}` : String(error))

  test('of two who make the same level at once one stands and the other is refused', async () => {
    const outcomes = await variant.run(async () => {
      const both = await Promise.all([variant.store.open(wanted), variant.store.open(wanted)])
      expect(both.map(({ levels }) => levels)).toEqual([[], []])
      return Promise.all(both.map((one) => one.commit({ ...noChanges, newLevels: [{ ...emptyLevel(tea, london), version: 1 }] }).then(() => 'stands', kindOf)))
    })
    expect(outcomes.toSorted()).toEqual(['refused 23505', 'stands'])
  })

  test('who wants a locked level waits for it, and then sees what the other made of it', async () => {
    const { before, waited, seen } = await variant.run(async () => {
      await batch(received())
      const holder = await variant.store.open(wanted)
      const stood = levelOf(holder)
      let over = false
      const next = variant.store.open(wanted).finally(() => (over = true))
      await variant.pause(80)
      const isWaiting = !over
      await holder.commit({ ...noChanges, changedLevels: [{ before: stood, after: { ...stood, available: stood.available + 2, version: stood.version + 1 } }] })
      const other = await next
      await other.abandon()
      return { before: stood, waited: isWaiting, seen: levelOf(other) }
    })
    expect(waited).toBe(true)
    expect(seen).toEqual({ ...before, available: before.available + 2, version: before.version + 1 })
  })

  test('who waits too long for a lock is told that the database is busy', async () => {
    const fault = await variant.run(async () => {
      const holder = await variant.store.open(wanted)
      const told = await variant.store.open(wanted).then(() => 'had it', kindOf)
      await holder.abandon()
      return told
    })
    expect(fault).toBe('busy 55P03')
  })

  test('of two who use the same key at once one stands and the other is refused', async () => {
    const key = uuid((uuids += 1))
    const outcome = { ok: false, rejection: { code: 'hold_not_found', hold: uuid(1) } } as const
    const changes = { ...noChanges, newKeys: [{ key, fingerprint: uuid(1), remembers: { outcome } }] }
    const [outcomes, found] = await variant.run(async () => {
      const both = await Promise.all([variant.store.open(nobody), variant.store.open(nobody)])
      const ends = await Promise.all(both.map((one) => one.commit(changes).then(() => 'stands', kindOf)))
      const after = await variant.store.open({ ...nobody, keys: [key] })
      await after.abandon()
      return [ends, after.keys.get(key)]
    })
    expect(outcomes.toSorted()).toEqual(['refused 23505', 'stands'])
    expect(found).toEqual({ fingerprint: uuid(1), sequence: null, outcome })
  })

  test('who writes what is no longer as it was read is refused', async () => {
    const fault = await variant.run(async () => {
      const holder = await variant.store.open(wanted)
      const before = levelOf(holder)
      const stale = { ...before, version: before.version - 1 }
      return holder.commit({ ...noChanges, changedLevels: [{ before: stale, after: { ...before, available: 0 } }] }).then(() => 'stands', kindOf)
    })
    expect(fault).toBe('refused 40001')
  })

  test('a level that would fall below zero is refused', async () => {
    const fault = await variant.run(async () => {
      const holder = await variant.store.open(wanted)
      const before = levelOf(holder)
      return holder
        .commit({ ...noChanges, changedLevels: [{ before, after: { ...before, available: -1, version: before.version + 1 } }] })
        .then(() => 'stands', kindOf)
    })
    expect(fault).toBe('refused 23514')
  })

  const plan: Transfer = {
    kind: 'transfer',
    id: uuid(90),
    version: 1,
    status: 'open',
    from: london,
    to: paris,
    lines: [{ item: tea, quantity: 1, received: 0, missing: 0, withdrawn: 0, excess: 0, levelVersion: null, sourceVersion: null }],
    createdAt: instant(0),
    dispatchedAt: null,
    endedAt: null,
    ...plain,
  }

  test('of two who give a document the same name at once one stands and the other, who has waited, is refused', async () => {
    const name = uuid(91)
    const write = (one: Batch, work: Transfer) => one.commit({ ...noChanges, newWorks: [{ work, unique: name }] }).then(() => 'stands', kindOf)
    const [outcomes, found] = await variant.run(async () => {
      const both = await Promise.all([variant.store.open({ ...nobody, uniques: [name] }), variant.store.open({ ...nobody, uniques: [name] })])
      expect(both.map(({ named }) => [...named])).toEqual([[], []])
      const ends = await Promise.all(both.map((one, n) => write(one, { ...plan, id: uuid(92 + n) })))
      const after = await variant.store.open({ ...nobody, uniques: [name] })
      await after.abandon()
      return [ends, after.named.get(name)]
    })
    expect(outcomes.toSorted()).toEqual(['refused 23505', 'stands'])
    expect(found).toBe(outcomes[0] === 'stands' ? uuid(92) : uuid(93))
  })

  test('who wants a locked document waits for it, and has its levels locked as the other one left it', async () => {
    const { waited, seen } = await variant.run(async () => {
      const maker = await variant.store.open(nobody)
      await maker.commit({ ...noChanges, newWorks: [{ work: plan, unique: null }] })
      const wantsIt = wantedOf({ works: [plan.id] })
      const holder = await variant.store.open(wantsIt)
      let over = false
      const next = variant.store.open(wantsIt).finally(() => (over = true))
      await variant.pause(80)
      const isWaiting = !over
      await holder.commit({ ...noChanges, changedWorks: [{ ...plan, version: 2, status: 'canceled' }] })
      const other = await next
      await other.abandon()
      return { waited: isWaiting, seen: other }
    })
    expect(waited).toBe(true)
    expect(seen.works).toMatchObject([{ id: plan.id, version: 2, status: 'canceled' }])
    expect(seen.levels).toMatchObject([level])
  })

  test('who writes a document that is no longer as it was read is refused', async () => {
    const fault = await variant.run(async () => {
      const holder = await variant.store.open(wantedOf({ works: [plan.id] }))
      return holder.commit({ ...noChanges, changedWorks: [{ ...plan, version: 2 }] }).then(() => 'stands', kindOf)
    })
    expect(fault).toBe('refused 40001')
  })

  test('one customer is looked at by one at a time, and who has waited sees what the other bought', async () => {
    const purchases = [{ customer: 'ada', item: tea, windowMs: 3_600_000 }]
    const { alone, waited, seen } = await variant.run(async () => {
      await batch(received(tea, 50))
      const holder = await variant.store.open({ ...nobody, purchases })
      let over = false
      const next = variant.store.open({ ...nobody, purchases }).finally(() => (over = true))
      const stranger = await variant.store.open({ ...nobody, purchases: [{ customer: 'bob', item: tea, windowMs: 3_600_000 }] })
      await stranger.abandon()
      await variant.pause(80)
      const isWaiting = !over
      const hold: Hold = {
        id: uuid((uuids += 1)),
        version: 1,
        status: 'active',
        mode: 'all_or_nothing',
        allocations: [
          { item: tea, location: london, quantity: 3, held: 2, committed: 1, shipped: 0, released: 0, returned: 0, levelVersion: 1 },
          { item: cup, location: london, quantity: 9, held: 9, committed: 0, shipped: 0, released: 0, returned: 0, levelVersion: 1 },
        ],
        shortages: [],
        createdAt: holder.now,
        expiresAt: instant(holder.now + 3_600_000),
        endedAt: null,
        customer: 'ada',
        ...plain,
      }
      await holder.commit({ ...noChanges, newHolds: [hold] })
      const other = await next
      await other.abandon()
      return { alone: holder.bought, waited: isWaiting, seen: other.bought.map(({ customer, item, held, taken }) => ({ customer, item, held, taken })) }
    })
    expect(alone).toEqual([])
    expect(waited).toBe(true)
    expect(seen).toEqual([{ customer: 'ada', item: tea, held: 2, taken: 1 }])
  })

  test('a shelf is what has moved since, and nothing of another place or before', async () => {
    const shelves = await variant.run(async () => {
      const item = itemNumber(7)
      const before = await variant.store.open(nobody)
      await before.abandon()
      await batch(received(item, 4))
      await batch(received(item, 3), received(itemNumber(8), 9))
      const [, second, third] = [0, 1, 2].map((n) => ({ item, location: london, asOf: before.sequence + n }))
      const look = await variant.store.open({
        ...nobody,
        shelves: [
          { item, location: london, asOf: before.sequence },
          ...(second ? [second] : []),
          ...(third ? [third] : []),
          { item, location: paris, asOf: 0 },
        ],
      })
      await look.abandon()
      return look.shelves.map(({ moved }) => moved)
    })
    expect(shelves).toEqual([7, 3, 0, 0])
  })

  test('an expired hold is due from its instant on, and until it is ended', async () => {
    const due = await variant.run(async () => {
      const [hold] = await batch(placed(1, 30))
      await variant.pause(100)
      const look = await variant.store.open(wanted)
      const ids = await look.due([tea], 5)
      const others = await look.due([cup], 5)
      await look.abandon()
      return { hold: hold && 'ok' in hold && hold.ok && hold.answer.kind === 'hold' ? hold.answer.hold.id : undefined, ids, others }
    })
    expect(due.ids).toEqual([due.hold])
    expect(due.others).toEqual([])
  })
})

test('the same thousand commands are answered alike by PostgreSQL and by the simulated database', async () => {
  const [real, imitation] = await Promise.all([onPostgres(), simulated()])
  try {
    const told = []
    for (const variant of [real, imitation]) {
      const random = randomOf(7)
      const holds: Uuid[] = []
      const works: Work[] = []
      const answers: unknown[] = []
      await variant.run(async () => {
        for (let round = 0; round < ROUNDS; round += 1) {
          const requests = Array.from({ length: random.between(1, 6) }, () => anyRequest(random, holds, works))
          const outcomes = await runBatch(requests, {
            store: variant.store,
            thresholdsOf: (item) => ({ reorderPoint: item === tea ? 12 : null, safetyStock: item === cup ? 2 : 0 }),
            dueLimit: 5,
          })
          for (const outcome of outcomes) {
            if (!('ok' in outcome) || !outcome.ok) continue
            const { answer } = outcome
            if (answer.kind === 'hold') holds.push(answer.hold.id)
            const work =
              answer.kind === 'transfer'
                ? answer.transfer
                : answer.kind === 'inbound_shipment'
                  ? answer.inbound
                  : answer.kind === 'count'
                    ? answer.count
                    : undefined
            if (work?.version === 1) works.push(work)
          }
          answers.push(...outcomes)
        }
      })
      told.push(answers.map(timeless))
    }
    expect(told[0]?.length).toBeGreaterThan(900)
    const happened = new Set((told[0] ?? []).map((answer) => codeOf(answer)))
    for (const code of [
      'yes',
      'already_announced',
      'not_in_state',
      'not_in_count',
      'purchase_limit_exceeded',
      'quantity_exceeds_outstanding',
      'work_not_found',
    ])
      expect(happened).toContain(code)
    expect(told[1]).toEqual(told[0])
  } finally {
    await real.close()
    await imitation.close()
  }
}, 60_000)

const ROUNDS = 400

const codeOf = (answer: unknown): string => {
  const { ok, rejection } = answer as { ok?: boolean; rejection?: { code: string } } // as JSON gives it back
  return ok === true ? 'yes' : (rejection?.code ?? 'deferred')
}

const anyRequest = (random: ReturnType<typeof randomOf>, holds: readonly Uuid[], works: readonly Work[]): Request => {
  const id = uuid(1_000_000 + random.below(1_000_000_000))
  const line = () => ({ item: random.pick([tea, cup]), quantity: random.between(1, 3) })
  const location = random.pick([london, paris])
  const hold = holds.length > 0 ? random.pick(holds.slice(-12)) : uuid(2)
  const lines = random.chance(0.5) ? null : [line()]
  const customer = random.pick([null, 'ada', 'bob'])
  const work = works.length > 0 ? random.pick(works.slice(-9)) : undefined
  const of = (kind: Work['kind']) =>
    work?.kind === kind || random.chance(0.05) ? (work?.id ?? uuid(3)) : (works.findLast((one) => one.kind === kind)?.id ?? uuid(3))
  const arrival = () => ({
    lines: random.chance(0.5) ? null : [{ ...line(), to: random.pick(['available', 'damaged'] as const) }],
    close: random.chance(0.2),
    acceptExcess: random.chance(0.3),
  })
  const key = uuid(2_000_000_000 + random.below(700))
  const fingerprint = uuid(random.pick([1, 1, 1, 2]))
  const command = random.pick<() => Request['command']>([
    () => ({ type: 'ReceiveStock', id, location, lines: [line(), line()], ...plain }),
    () => ({
      type: 'PlaceHold',
      id,
      ttlMs: 3_600_000,
      mode: random.pick(['all_or_nothing', 'best_effort']),
      destination: null,
      customer,
      purchaseLimits: [tea, cup].map((item) => ({ item, quantity: 4, windowMs: 3_600_000 })),
      ...plain,
      lines: [{ ...line(), location }, ...(random.chance(0.5) ? [{ ...line(), location: null }] : [])],
      candidates: [london, paris].map((one) => ({ location: one, point: null })),
      strategy: random.pick(['priority', 'most_stock', 'fewest_splits']),
    }),
    () => ({ type: 'ExecuteHold', id: hold, lines, final: random.chance(0.5) }),
    () => ({ type: 'ReleaseHold', id: hold }),
    () => ({ type: 'CancelHold', id: hold }),
    () => ({ type: 'ExtendHold', id: hold, ttlMs: 7_200_000, longestMs: 36_000_000 }),
    () => ({ type: 'ShipHold', id, hold, lines, ...plain }),
    () => ({ type: 'ReturnStock', id, hold: random.chance(0.5) ? hold : null, location, lines: [{ ...line(), to: 'damaged' }], ...plain }),
    () => ({
      type: 'AdjustStock',
      id,
      location,
      reason: 'counted',
      lines: [{ ...line(), from: 'available', to: random.pick(['shrinkage', 'quality_control']), ifVersion: null }],
      ...plain,
    }),
    () => ({ type: 'PlanTransfer', id, from: location, to: location === london ? paris : london, lines: [line(), line()], ...plain }),
    () => ({ type: 'DispatchTransfer', id: of('transfer') }),
    () => ({ type: 'ReceiveTransfer', id: of('transfer'), ...arrival() }),
    () => ({ type: random.chance(0.3) ? 'CancelTransfer' : 'DispatchTransfer', id: of('transfer') }),
    () => ({
      type: 'AnnounceInbound',
      id,
      supplier: 'acme',
      location,
      expectedAt: null,
      lines: [line()],
      unique: random.chance(0.5) ? uuid(4_000_000_000 + random.below(30)) : null,
      ...plain,
    }),
    () => ({ type: 'ReceiveInbound', id: of('inbound_shipment'), ...arrival() }),
    () => (random.chance(0.3) ? { type: 'CancelInbound', id: of('inbound_shipment') } : { type: 'ReceiveInbound', id: of('inbound_shipment'), ...arrival() }),
    () => ({ type: 'OpenCount', id, location, items: random.chance(0.3) ? [tea] : null, ...plain }),
    () => {
      const count = works.findLast((one) => one.kind === 'count')
      return {
        type: 'CountItems',
        id: count?.id ?? uuid(3),
        location: count?.kind === 'count' ? count.location : location,
        lines: [{ ...line(), asOf: random.chance(0.5) ? null : random.below(200) }],
      }
    },
    () => ({ type: random.chance(0.8) ? 'ApproveCount' : 'CancelCount', id: of('count') }),
  ])()
  return { command, key: { key, fingerprint }, actor: 'test', requestId: 'test' }
}

const INSTANTS: ReadonlySet<string> = new Set(['createdAt', 'expiresAt', 'endedAt', 'countedAt', 'dispatchedAt'])

/** An answer without its instants, which are each database's own. */
const timeless = (answer: unknown): unknown =>
  JSON.parse(JSON.stringify(answer, (name, value: unknown) => (INSTANTS.has(name) && value !== null ? 'then' : value)))

const levelOf = ({ levels }: Batch): Level => {
  const [level] = levels
  if (level === undefined) throw new Error('the level is not there')
  return level
}
