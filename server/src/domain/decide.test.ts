// The rules together: any commands in any order, by a clock that moves as it likes, and what must be true whatever happens.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  adjustStock,
  afterOpening,
  announceInbound,
  anywhere,
  approveCount,
  back,
  cancelCount,
  cancelHold,
  cancelInbound,
  cancelTransfer,
  countItems,
  counted,
  cup,
  dispatchTransfer,
  emptyStock,
  executeHold,
  expireHold,
  extendHold,
  found,
  given,
  holdPlaced,
  laws,
  levelIn,
  line,
  lineAt,
  london,
  lost,
  minutes,
  named,
  openCount,
  paris,
  placeHold,
  planTransfer,
  played,
  pot,
  received,
  receiveInbound,
  receiveStock,
  receiveTransfer,
  releaseHold,
  reorderPointSet,
  returnStock,
  rome,
  safetyStockKept,
  shifted,
  shipHold,
  tea,
  timePassed,
  viewOf,
  type Step,
  type Stock,
} from '../../test/support/given.ts'
import { decide, needsOf, type Command, type Needs } from './decide.ts'
import { total, type Line, type PlaceHold } from './hold.ts'
import { itemNumber, type ItemNumber, type LocationNumber } from './ids.ts'
import { instant } from './instant.ts'
import { availableToSell, levelKey, type Level } from './level.ts'
import { isRetryable } from './rejection.ts'
import type { Strategy } from './sourcing.ts'
import { levelsOfWork } from './work.ts'

const runs = { numRuns: 1000 }
const locations = [london, paris, rome] as const
/** The first is asked for most often, so that much becomes of it. */
const names = ['h1', 'h1', 'h1', 'h2', 'h2', 'h3'] as const
const workNames = ['1', '1', '1', '2'] as const

/** Small numbers on purpose: so that stock runs short, holds run out and versions meet by chance. */
const quantity = fc.integer({ min: 1, max: 6 })
const ttlMs = fc.integer({ min: 1, max: 30 })
const location = fc.constantFrom(...locations)
const point = fc.record({ latitude: fc.integer({ min: -90, max: 90 }), longitude: fc.integer({ min: -180, max: 180 }) })
const state = fc.constantFrom('available', 'quality_control', 'damaged')
const strategy = fc.constantFrom<Strategy>('priority', 'most_stock', 'nearest', 'fewest_splits')

const someOf = <Thing>(thing: fc.Arbitrary<Thing>) => fc.array(thing, { minLength: 1, maxLength: 3 })
const orNull = <Thing>(thing: fc.Arbitrary<Thing>) => fc.oneof(fc.constant(null), thing)
const wantedLines = (items: readonly ItemNumber[]) => someOf(fc.record({ item: fc.constantFrom(...items), quantity, location: orNull(location) }))

const placing = (items: readonly ItemNumber[], holds: readonly string[]): fc.Arbitrary<PlaceHold> =>
  fc
    .record({
      name: fc.constantFrom(...holds),
      lines: wantedLines(items),
      mode: fc.constantFrom('all_or_nothing', 'best_effort'),
      ttlMs,
      strategy,
      destination: orNull(point),
      candidates: fc.uniqueArray(fc.record({ location, point: orNull(point) }), { selector: (candidate) => candidate.location, minLength: 1 }),
      customer: fc.constantFrom(null, null, 'ada', 'ada', 'bob'),
      purchaseLimits: fc.uniqueArray(
        fc.record({ item: fc.constantFrom(...items), quantity: fc.integer({ min: 1, max: 8 }), windowMs: fc.constantFrom(10, 1000) }),
        { selector: (limit) => limit.item, maxLength: 2 },
      ),
    })
    .map(({ name, lines, ...rest }) => placeHold(name, lines, rest))

const commandOn = (items: readonly ItemNumber[], holds: readonly string[]): fc.Arbitrary<Command> => {
  const item = fc.constantFrom(...items)
  const hold = fc.constantFrom(...holds)
  const lines = someOf(fc.record({ item, quantity }))
  const parts = orNull(fc.array(fc.record({ item, quantity: fc.integer({ min: 1, max: 2 }) }), { minLength: 1, maxLength: 2 }))
  const ifVersion = fc.oneof({ weight: 7, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: fc.nat(5) })
  const place = fc.oneof(state, state, fc.constant('shrinkage'))
  const adjustment = fc.record({ item, from: place, to: place, quantity, ifVersion }).filter(({ from, to }) => from !== to)
  return fc.oneof(
    { weight: 2, arbitrary: fc.tuple(lines, location).map(([all, where]) => receiveStock(all, { location: where })) },
    { weight: 8, arbitrary: placing(items, holds) },
    { weight: 6, arbitrary: fc.tuple(hold, parts, fc.boolean()).map(([name, all, isFinal]) => executeHold(name, all, isFinal)) },
    { weight: 2, arbitrary: hold.map(releaseHold) },
    { weight: 3, arbitrary: fc.tuple(hold, ttlMs).map(([name, ms]) => extendHold(name, ms, 35)) },
    { weight: 2, arbitrary: hold.map(cancelHold) },
    { weight: 3, arbitrary: hold.map(expireHold) },
    { weight: 5, arbitrary: fc.tuple(hold, parts).map(([name, all]) => shipHold(name, all)) },
    {
      weight: 4,
      arbitrary: fc
        .tuple(fc.oneof(fc.constant(null), hold, hold, hold), someOf(fc.record({ item, quantity: fc.integer({ min: 1, max: 2 }), to: state })), location)
        .map(([name, all, where]) => returnStock(name, all, { location: where })),
    },
    { weight: 4, arbitrary: fc.tuple(someOf(adjustment), location).map(([all, where]) => adjustStock(all, { location: where })) },
  )
}

/** Documents with a life of their own. A count may be asked for as of any sequence that there has been, and of some that there has not. */
const workOn = (
  items: readonly ItemNumber[],
  works: readonly string[],
  asOf: fc.Arbitrary<number | null> = fc.oneof(fc.constant(null), fc.nat(12)),
): fc.Arbitrary<Command> => {
  const item = fc.constantFrom(...items)
  const work = fc.constantFrom(...works)
  const lines = someOf(fc.record({ item, quantity: fc.integer({ min: 1, max: 4 }) }))
  const arriving = orNull(someOf(fc.record({ item, quantity: fc.integer({ min: 1, max: 3 }), to: state })))
  const rest = fc.record({ close: fc.boolean(), acceptExcess: fc.boolean() })
  const unique = fc.constantFrom(null, named('u1'), named('u2'))
  const shelf = someOf(fc.record({ item, quantity: fc.nat(9), asOf }))
  return fc.oneof(
    {
      weight: 3,
      arbitrary: fc
        .tuple(work, lines, fc.shuffledSubarray([...locations], { minLength: 2, maxLength: 2 }))
        .map(([name, all, [from = london, to = paris]]) => planTransfer(`t${name}`, all, { from, to })),
    },
    { weight: 4, arbitrary: work.map((name) => dispatchTransfer(`t${name}`)) },
    { weight: 5, arbitrary: fc.tuple(work, arriving, rest).map(([name, all, more]) => receiveTransfer(`t${name}`, all, more)) },
    { weight: 1, arbitrary: work.map((name) => cancelTransfer(`t${name}`)) },
    {
      weight: 3,
      arbitrary: fc.tuple(work, lines, location, unique).map(([name, all, where, one]) => announceInbound(`i${name}`, all, { location: where, unique: one })),
    },
    { weight: 4, arbitrary: fc.tuple(work, arriving, rest).map(([name, all, more]) => receiveInbound(`i${name}`, all, more)) },
    { weight: 1, arbitrary: work.map((name) => cancelInbound(`i${name}`)) },
    {
      weight: 2,
      arbitrary: fc
        .tuple(work, orNull(fc.uniqueArray(item, { minLength: 1 })), location)
        .map(([name, some, where]) => openCount(`c${name}`, { items: some, location: where })),
    },
    {
      weight: 5,
      arbitrary: fc.tuple(work, shelf).map(([name, all]) =>
        countItems(
          `c${name}`,
          all.map((one) => counted(one.item, one.quantity, one.asOf)),
        ),
      ),
    },
    { weight: 3, arbitrary: work.map((name) => approveCount(`c${name}`)) },
    { weight: 1, arbitrary: work.map((name) => cancelCount(`c${name}`)) },
  )
}

const safetyStock = fc.tuple(fc.nat(3), fc.constantFrom(tea, cup), location).map(([kept, item, where]) => safetyStockKept(kept, item, where))
const reorderPoint = fc.tuple(orNull(fc.nat(12)), fc.constantFrom(tea, cup), location).map(([point, item, where]) => reorderPointSet(point, item, where))
const wait = fc.nat(8).map(timePassed)

const opens = fc.integer({ min: 1, max: 12 })

/** A day in the shop: what was there when it opened, and then anything. */
const day: fc.Arbitrary<Step[]> = fc
  .tuple(
    fc.tuple(...locations.map((where) => fc.tuple(opens, opens).map(([teas, cups]) => receiveStock([line(tea, teas), line(cup, cups)], { location: where })))),
    fc.tuple(placing([tea, cup], ['h1']), placing([tea, cup], ['h2'])),
    fc.constantFrom<readonly Step[]>([], [], [executeHold('h1')], [executeHold('h1'), shipHold('h1')]),
    fc.array(
      fc.oneof(
        { weight: 8, arbitrary: commandOn([tea, cup], names) },
        { weight: 7, arbitrary: workOn([tea, cup], workNames) },
        { weight: 3, arbitrary: wait },
        { weight: 1, arbitrary: safetyStock },
        { weight: 1, arbitrary: reorderPoint },
      ),
      { minLength: 5, maxLength: 45, size: 'max' },
    ),
  )
  .map((parts) => parts.flat())

/** The ledger gives every hold and every document a new id: who would make one under an id that is taken does not get that far. */
const playedOnce = (stock: Stock, step: Step): Stock => {
  switch (step.type) {
    case 'PlaceHold':
      return stock.holds.has(step.id) ? stock : played(stock, step)
    case 'PlanTransfer':
    case 'AnnounceInbound':
    case 'OpenCount':
      return stock.works.has(step.id) ? stock : played(stock, step)
    case 'CountItems': {
      // Whoever counts says at which count, and the count says where.
      const count = stock.works.get(step.id)
      return played(stock, count?.kind === 'count' ? { ...step, location: count.location } : step)
    }
    default:
      return played(stock, step)
  }
}
const playedAll = (steps: readonly Step[]): Stock => steps.reduce(playedOnce, emptyStock)

describe('whatever is done in whatever order', () => {
  for (const [law, faults] of Object.entries(laws))
    test(law, () => {
      fc.assert(
        fc.property(day, (steps) => {
          expect(faults(playedAll(steps))).toEqual([])
        }),
        runs,
      )
    })

  test('these days are lively: each event and each refusal happens in some of them', () => {
    const seen = new Set<string>()
    for (const steps of fc.sample(day, { seed: 1, numRuns: 500 }))
      for (const { decision, signals } of playedAll(steps).history) {
        if (decision) seen.add(decision.ok ? (decision.event?.type ?? 'already so') : decision.rejection.code)
        for (const { type } of signals) seen.add(type)
      }
    expect([...seen].toSorted()).toEqual([
      'already so',
      'already_announced',
      'count.approved',
      'count.canceled',
      'count.counted',
      'count.opened',
      'hold.canceled',
      'hold.executed',
      'hold.expired',
      'hold.extended',
      'hold.placed',
      'hold.released',
      'hold_already_executed',
      'hold_already_released',
      'hold_expired',
      'hold_not_found',
      'inbound.announced',
      'inbound.canceled',
      'inbound.received',
      'insufficient_stock',
      'not_in_count',
      'not_in_state',
      'purchase_limit_exceeded',
      'quantity_exceeds_outstanding',
      'quantity_exceeds_remaining',
      'stock.adjusted',
      'stock.back',
      'stock.low',
      'stock.moved',
      'stock.out',
      'stock.received',
      'stock.returned',
      'stock.shipped',
      'transfer.canceled',
      'transfer.created',
      'transfer.dispatched',
      'transfer.received',
      'ttl_out_of_range',
      'version_conflict',
      'work_not_found',
    ])
  })
})

describe('a refusal', () => {
  test('changes nothing: everybody else fares as if the refused had never come', () => {
    fc.assert(
      fc.property(day, (steps) => {
        const all = playedAll(steps)
        const accepted = all.history.filter(({ decision }) => decision === null || decision.ok)
        const without = playedAll(accepted.map(({ step }) => step))
        expect(without.history).toEqual(accepted)
        expect(without.levels).toEqual(all.levels)
        expect(without.holds).toEqual(all.holds)
        expect(without.works).toEqual(all.works)
      }),
      runs,
    )
  })

  test('and an answer leave what the rule was shown as it was', () => {
    fc.assert(
      fc.property(day, fc.oneof(commandOn([tea, cup], [...names, 'h5']), workOn([tea, cup], ['1', '2', '3'])), (steps, command) => {
        const stock = playedAll(steps)
        const seen = () => ({ levels: stock.levels, holds: stock.holds, works: stock.works, command })
        const before = structuredClone(seen())
        decide(command, viewOf(stock), stock.now)
        expect(seen()).toEqual(before)
      }),
      runs,
    )
  })

  test('for want of stock may become a yes by itself, and no other refusal', () => {
    const refusal = (command: Command, ...facts: Step[]) => {
      const { decision } = given(...facts).when(command)
      return decision?.ok === false && isRetryable(decision.rejection)
    }
    expect(refusal(placeHold('h1', 1))).toBe(true)
    expect(refusal(adjustStock([lost(tea, 1)]))).toBe(true)
    expect(refusal(adjustStock([lost(tea, 1, 7)]))).toBe(false)
    expect(refusal(executeHold('h1'))).toBe(false)
    expect(refusal(executeHold('h1'), received(1), holdPlaced('h1', 1), timePassed(minutes(15)))).toBe(false)
    expect(refusal(shipHold('h1'), received(1), holdPlaced('h1', 1))).toBe(false)
    expect(refusal(dispatchTransfer('t1'), planTransfer('t1', 1))).toBe(true)
    expect(refusal(receiveTransfer('t1'), planTransfer('t1', 1))).toBe(false)
    const purchaseLimits = [{ item: tea, quantity: 1, windowMs: minutes(60) }]
    expect(refusal(placeHold('h1', 2, { customer: 'ada', purchaseLimits }), received(5))).toBe(false)
  })
})

test('asking twice for a step of a document is asking once', () => {
  const asked = fc.constantFrom<(name: string) => Command>(
    (name) => dispatchTransfer(`t${name}`),
    (name) => receiveTransfer(`t${name}`),
    (name) => cancelTransfer(`t${name}`),
    (name) => receiveInbound(`i${name}`),
    (name) => cancelInbound(`i${name}`),
    (name) => approveCount(`c${name}`),
    (name) => cancelCount(`c${name}`),
  )
  fc.assert(
    fc.property(day, asked, fc.constantFrom(...workNames), (steps, ask, name) => {
      const once = played(playedAll(steps), ask(name))
      const twice = played(once, ask(name))
      const [first, second] = twice.history.slice(-2)
      expect(twice.levels).toEqual(once.levels)
      expect(twice.works).toEqual(once.works)
      expect(second?.decision?.ok).toBe(first?.decision?.ok)
      expect(second?.decision).not.toHaveProperty('event')
    }),
    runs,
  )
})

test('asking twice to release, cancel, expire or finally execute a hold is asking once', () => {
  const asked = fc.constantFrom(releaseHold, cancelHold, expireHold, (name: string) => executeHold(name))
  fc.assert(
    fc.property(day, asked, fc.constantFrom(...names), (steps, ask, name) => {
      const once = played(playedAll(steps), ask(name))
      const twice = played(once, ask(name))
      const [first, second] = twice.history.slice(-2)
      expect(twice.levels).toEqual(once.levels)
      expect(twice.holds).toEqual(once.holds)
      expect(second?.decision?.ok).toBe(first?.decision?.ok)
      expect(second?.decision).not.toHaveProperty('event')
    }),
    runs,
  )
})

describe('lines', () => {
  /** Each line in two parts, the second parts after all the first. */
  const split = <Some extends { readonly quantity: number }>(lines: readonly Some[]): Some[] => [
    ...lines.map((one) => ({ ...one, quantity: Math.ceil(one.quantity / 2) })),
    ...lines.filter((one) => one.quantity > 1).map((one) => ({ ...one, quantity: Math.floor(one.quantity / 2) })),
  ]
  const withSplitLines = (command: Command): Command => {
    switch (command.type) {
      case 'PlaceHold':
        return { ...command, lines: split(command.lines) }
      case 'ExecuteHold':
        return { ...command, lines: command.lines && split(command.lines) }
      case 'ShipHold':
        return { ...command, lines: command.lines && split(command.lines) }
      case 'ReceiveStock':
        return { ...command, lines: split(command.lines) }
      case 'AdjustStock':
        return { ...command, lines: split(command.lines) }
      case 'ReturnStock':
        return { ...command, lines: split(command.lines) }
      case 'PlanTransfer':
        return { ...command, lines: split(command.lines) }
      case 'AnnounceInbound':
        return { ...command, lines: split(command.lines) }
      case 'CountItems':
        return { ...command, lines: split(command.lines) }
      default:
        return command
    }
  }

  test('of one item that are split in two are decided as the one line they were', () => {
    const command = fc.oneof(commandOn([tea, cup], [...names, 'h5']), workOn([tea, cup], ['1', '2', '3']))
    const withLines = command.filter((one) => 'lines' in one && one.lines !== null)
    fc.assert(
      fc.property(day, withLines, (steps, command) => {
        const stock = playedAll(steps)
        expect(decide(withSplitLines(command), viewOf(stock), stock.now)).toEqual(decide(command, viewOf(stock), stock.now))
      }),
      runs,
    )
  })

  /** What each item can have, by hand: first where it must come from, and then from what is left anywhere. */
  const reckoned = (stock: Stock, { lines, candidates }: PlaceHold) => {
    const got = new Map<ItemNumber, number>()
    const asked = new Map<ItemNumber, number>()
    for (const item of new Set(lines.map((one) => one.item))) {
      const wanted = (where: LocationNumber | null) =>
        lines.filter((one) => one.item === item && one.location === where).reduce((sum, one) => sum + one.quantity, 0)
      const there = (where: LocationNumber) => availableToSell(levelIn(stock, item, where))
      const fixed = new Map(locations.map((where) => [where, Math.min(wanted(where), there(where))]))
      const left = candidates.reduce((sum, candidate) => sum + there(candidate.location) - (fixed.get(candidate.location) ?? 0), 0)
      got.set(item, [...fixed.values()].reduce((sum, count) => sum + count, 0) + Math.min(wanted(anywhere), left))
      asked.set(
        item,
        lines.filter((one) => one.item === item).reduce((sum, one) => sum + one.quantity, 0),
      )
    }
    return { got, asked }
  }

  test('a buyer who wants all or nothing is refused exactly when something is short', () => {
    fc.assert(
      fc.property(day, placing([tea, cup], ['h5']), (steps, command) => {
        const stock = playedAll(steps)
        const { got, asked } = reckoned(stock, command)
        const decision = decide({ ...command, customer: null, mode: 'all_or_nothing' }, viewOf(stock), stock.now)
        expect(decision.ok).toBe([...asked].every(([item, count]) => got.get(item) === count))
      }),
      runs,
    )
  })

  test('a buyer who takes what he can get gets exactly what there is, and is refused when there is nothing', () => {
    fc.assert(
      fc.property(day, placing([tea, cup], ['h5']), (steps, command) => {
        const stock = playedAll(steps)
        const { got, asked } = reckoned(stock, command)
        const decision = decide({ ...command, customer: null, mode: 'best_effort' }, viewOf(stock), stock.now)
        const isNothing = [...got.values()].every((count) => count === 0)
        expect(decision.ok).toBe(!isNothing)
        const shortages = decision.ok ? (decision.hold?.shortages ?? []) : decision.rejection.code === 'insufficient_stock' ? decision.rejection.shortages : []
        for (const [item, count] of asked) {
          if (decision.ok) expect(total(decision.hold?.allocations ?? [], 'held', item)).toBe(got.get(item))
          const missing = shortages.filter((shortage) => shortage.item === item).reduce((sum, shortage) => sum + shortage.requested - shortage.available, 0)
          expect(missing).toBe(count - (got.get(item) ?? 0))
        }
      }),
      runs,
    )
  })

  test('what a refusal says of a level is what stands there', () => {
    fc.assert(
      fc.property(day, placing([tea, cup], ['h5']), (steps, command) => {
        const stock = playedAll(steps)
        const decision = decide({ ...command, customer: null, mode: 'all_or_nothing' }, viewOf(stock), stock.now)
        if (decision.ok || decision.rejection.code !== 'insufficient_stock') return
        for (const { item, location: where, held, incoming, levelVersion } of decision.rejection.shortages) {
          const judged = where === null ? command.candidates.map((candidate) => levelIn(stock, item, candidate.location)) : [levelIn(stock, item, where)]
          const sum = (count: (level: Level) => number) => judged.reduce((all, level) => all + count(level), 0)
          expect({ held, incoming }).toEqual({ held: sum((level) => level.held), incoming: sum((level) => level.incoming) })
          expect(levelVersion).toBe(judged.length === 1 ? judged[0]?.version : null)
        }
      }),
      runs,
    )
  })
})

test("commands on different items do not care about each other's order", () => {
  const pan = itemNumber(4)
  const at = fc.nat(60).map(afterOpening)
  const commands = (items: readonly ItemNumber[], holds: readonly string[], works: readonly string[]) =>
    fc.array(
      fc.record({
        command: fc.oneof(
          { weight: 1, arbitrary: fc.tuple(fc.constantFrom(...items), location).map(([item, where]) => receiveStock([line(item, 4)], { location: where })) },
          { weight: 3, arbitrary: commandOn(items, holds) },
          { weight: 3, arbitrary: workOn(items, works, fc.constant(null)).map(unnamed) },
        ),
        at,
      }),
      { maxLength: 12, size: 'max' },
    )
  // Names are of no item: two who want one name do care about their order.
  const unnamed = (command: Command): Command => (command.type === 'AnnounceInbound' ? { ...command, unique: null } : command)
  const playedAt = (stock: Stock, step: { command: Command; at: ReturnType<typeof instant> }) => playedOnce({ ...stock, now: step.at }, step.command)
  fc.assert(
    fc.property(
      commands([tea, cup], ['h1', 'h2'], ['1', '2']),
      commands([pot, pan], ['h3', 'h4'], ['3', '4']),
      fc.array(fc.boolean(), { maxLength: 24, size: 'max' }),
      (some, others, turns) => {
        const one = [...some, ...others].reduce(playedAt, emptyStock)
        const waiting: [typeof some, typeof some] = [[...some], [...others]]
        const mixed = turns.flatMap((turn) => waiting[turn ? 0 : 1].splice(0, 1))
        const other = [...mixed, ...waiting[0], ...waiting[1]].reduce(playedAt, emptyStock)
        expect(other.levels).toEqual(one.levels)
        expect(other.holds).toEqual(one.holds)
        expect(other.works).toEqual(one.works)
        expect(new Set(other.history)).toEqual(new Set(one.history))
      },
    ),
    runs,
  )
})

describe('what must be locked before a command can be decided', () => {
  const none: Needs = { hold: null, levels: [], work: null, unique: null, purchases: [], shelves: [] }

  test('a hold needs the levels that its lines name, and for the others those of all its candidates', () => {
    const candidates = [paris, rome].map((where) => ({ location: where, point: null }))
    expect(needsOf(placeHold('h1', [lineAt(london, tea, 1), lineAt(anywhere, cup, 1)], { candidates }))).toEqual({
      ...none,
      levels: [
        { item: tea, location: london },
        { item: cup, location: paris },
        { item: cup, location: rome },
      ],
    })
    expect(needsOf(placeHold('h1', [lineAt(anywhere, cup, 1)], { candidates: [] }))).toEqual(none)
  })

  test('what becomes of a hold needs the hold', () => {
    for (const command of [executeHold('h1'), releaseHold('h1'), extendHold('h1', 1), cancelHold('h1'), expireHold('h1'), shipHold('h1')])
      expect(needsOf(command), command.type).toEqual({ ...none, hold: named('h1') })
  })

  test('a document needs the levels of its lines, and a return its hold, too', () => {
    const levels = [
      { item: tea, location: paris },
      { item: cup, location: paris },
    ]
    expect(needsOf(receiveStock([line(tea, 1), line(cup, 1)], { location: paris }))).toEqual({ ...none, levels })
    expect(needsOf(adjustStock([found(tea, 1), shifted(cup, 1, 'available', 'damaged')], { location: paris }))).toEqual({ ...none, levels })
    expect(needsOf(returnStock(null, [back(tea, 1), back(cup, 1)], { location: paris }))).toEqual({ ...none, levels })
    expect(needsOf(returnStock('h1', [back(tea, 1), back(cup, 1)], { location: paris }))).toEqual({ ...none, hold: named('h1'), levels })
  })

  test('a hold for a customer needs what the customer has bought of items that have a limit', () => {
    const purchaseLimits = [{ item: cup, quantity: 2, windowMs: 7 }]
    expect(needsOf(placeHold('h1', 1, { customer: 'ada', purchaseLimits })).purchases).toEqual([{ customer: 'ada', item: cup, windowMs: 7 }])
    expect(needsOf(placeHold('h1', 1, { customer: null, purchaseLimits })).purchases).toEqual([])
  })

  test('what is planned needs nothing, and what becomes of a document needs the document', () => {
    for (const command of [planTransfer('t1', 1), openCount('c1')]) expect(needsOf(command), command.type).toEqual(none)
    const steps = [dispatchTransfer, receiveTransfer, cancelTransfer, receiveInbound, cancelInbound, approveCount, cancelCount]
    for (const step of steps) expect(needsOf(step('w1')), step.name).toEqual({ ...none, work: named('w1') })
  })

  test('an announcement needs its name, and the levels where it will come to', () => {
    expect(needsOf(announceInbound('i1', 1, { location: paris, unique: named('u1') }))).toEqual({
      ...none,
      unique: named('u1'),
      levels: [{ item: tea, location: paris }],
    })
  })

  test('a counted item needs its level, and its shelf as it was when that is said', () => {
    expect(needsOf(countItems('c1', [counted(tea, 1), counted(cup, 2, 7)], paris))).toEqual({
      ...none,
      work: named('c1'),
      levels: [
        { item: tea, location: paris },
        { item: cup, location: paris },
      ],
      shelves: [{ item: cup, location: paris, asOf: 7 }],
    })
  })

  test('no rule looks at anything else', () => {
    fc.assert(
      fc.property(day, fc.oneof(commandOn([tea, cup], names), workOn([tea, cup], workNames)), (steps, asked) => {
        const stock = playedAll(steps)
        const work = 'id' in asked ? stock.works.get(asked.id) : undefined
        const command = asked.type === 'CountItems' && work?.kind === 'count' ? { ...asked, location: work.location } : asked
        const needs = needsOf(command)
        const allocated = needs.hold === null ? [] : (stock.holds.get(needs.hold)?.allocations ?? [])
        const written = needs.work === null ? undefined : stock.works.get(needs.work)
        const of = written === undefined ? [] : levelsOfWork(written)
        const locked = new Set([...needs.levels, ...allocated, ...of].map((level) => levelKey(level.item, level.location)))
        const view = viewOf(stock)
        decide(
          command,
          {
            level: (item, where) => {
              expect(locked).toContain(levelKey(item, where))
              return view.level(item, where)
            },
            hold: (id) => {
              expect(id).toBe(needs.hold)
              return view.hold(id)
            },
            work: (kind, id) => {
              expect(id).toBe(needs.work)
              return view.work(kind, id)
            },
            workNamed: (unique) => {
              expect(unique).toBe(needs.unique)
              return view.workNamed(unique)
            },
            shelfAsOf: (item, where, asOf) => {
              expect(needs.shelves).toContainEqual({ item, location: where, asOf })
              return view.shelfAsOf(item, where, asOf)
            },
            bought: (purchase) => {
              expect(needs.purchases).toContainEqual(purchase)
              return view.bought(purchase)
            },
          },
          stock.now,
        )
      }),
      runs,
    )
  })
})

test('a command that nobody knows is a defect', () => {
  const unknown = { type: 'Teleport' } as unknown as Command // on purpose no command
  expect(() => decide(unknown, viewOf(emptyStock), emptyStock.now)).toThrow('no rule for command {"type":"Teleport"}')
  expect(() => needsOf(unknown)).toThrow('no rule for command')
})

test('an instant is a whole number of milliseconds', () => {
  expect(instant(7)).toBe(7)
  for (const ms of [0.5, Number.NaN, Number.POSITIVE_INFINITY]) expect(() => instant(ms)).toThrow('is not a whole number of milliseconds')
})

test("all of a shop's day can be told as one story", () => {
  const lines: readonly Line[] = [line(tea, 6), line(cup, 2)]
  given(received(lines))
    .when(placeHold('h1', [lineAt(london, tea, 4), lineAt(anywhere, cup, 2)]))
    .thenAccepted('hold.placed')
    .when(placeHold('h2', 3))
    .thenRejected('insufficient_stock')
    .when(executeHold('h1', [line(tea, 3), line(cup, 2)]))
    .thenAccepted('hold.executed')
    .thenLevel({ available: 3, committed: 3 })
    .when(placeHold('h2', 3))
    .thenAccepted('hold.placed')
    .when(shipHold('h1', [line(tea, 3)]))
    .thenAccepted('stock.shipped')
    .when(returnStock('h1', [back(tea, 1, 'quality_control')]))
    .thenAccepted('stock.returned')
    .when(adjustStock([shifted(tea, 1, 'quality_control', 'available')]))
    .thenAccepted('stock.moved')
    .and(timePassed(minutes(15)))
    .when(expireHold('h2'))
    .thenAccepted('hold.expired')
    .when(cancelHold('h1'))
    .thenAccepted('hold.canceled')
    .thenLevel({ available: 4, held: 0, committed: 0, damaged: 0, quality_control: 0 })
    .thenLevel({ item: cup, available: 2, committed: 0 })
})
