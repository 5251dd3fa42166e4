// Given facts, when a command, then facts: the stock rules played out in memory, with a clock that only the story moves.
// The state is a plain fold of decisions. After every step it is audited by laws that know the entries and nothing of the rules.
import { expect } from 'vitest'
import type { AdjustmentLine, AdjustStock } from '../../src/domain/adjustment.ts'
import { decide, type Command } from '../../src/domain/decide.ts'
import type { Decision, StockView } from '../../src/domain/decision.ts'
import type { Adjustable } from '../../src/domain/document.ts'
import type { StockEventType } from '../../src/domain/event.ts'
import {
  total,
  type Allocation,
  type CancelHold,
  type ExecuteHold,
  type ExpireHold,
  type ExtendHold,
  type Hold,
  type Line,
  type PlaceHold,
  type ReleaseHold,
  type ShipHold,
  type WantedLine,
} from '../../src/domain/hold.ts'
import { itemNumber, locationNumber, type ItemNumber, type LocationNumber, type Uuid } from '../../src/domain/ids.ts'
import { instant, later, type Instant } from '../../src/domain/instant.ts'
import { emptyLevel, levelKey, places, stockStates, type Entry, type Level, type Place } from '../../src/domain/level.ts'
import type { ReceiveStock } from '../../src/domain/receipt.ts'
import type { Rejection } from '../../src/domain/rejection.ts'
import type { ReturnStock } from '../../src/domain/return.ts'
import { unasked } from './batch.ts'

/** What happened so far, then one command, then what became of it; and on from there. */
export type Story = {
  readonly stock: Stock
  /** What the last command was answered. */
  readonly decision: Decision | null
  /** More facts. Each must be accepted, or the story is not what its author thinks it is. */
  and(...facts: readonly Step[]): Story
  when(command: Command): Story
  thenAccepted(event: StockEventType): Story
  /** Accepted, for what was asked is so already: nothing is written and nothing is told. */
  thenAlreadySo(): Story
  /** Refused. The facts are all that the refusal says. */
  thenRejected<Code extends Rejection['code']>(code: Code, facts?: Omit<Extract<Rejection, { code: Code }>, 'code'>): Story
  /** Tea in London, unless it is said where. */
  thenLevel(facts: Partial<Level>): Story
  thenHold(name: string, facts: Partial<Hold>): Story
  /** All allocations of a hold, in their order. */
  thenAllocations(name: string, ...allocations: readonly Partial<Allocation>[]): Story
  /** All movements of the last command, in their order: `3 tea in london: available to held`. */
  thenMoved(...movements: readonly string[]): Story
}

export const given = (...facts: readonly Step[]): Story => story(emptyStock, null).and(...facts)

const story = (stock: Stock, decision: Decision | null): Story => {
  const then = (check: () => void): Story => {
    check()
    return story(stock, decision)
  }
  return {
    stock,
    decision,
    and: (...facts) => story(facts.reduce(factPlayed, stock), decision),
    when: (command) => {
      const after = played(stock, command)
      expect(faultsOf(after)).toEqual([])
      return story(after, after.history.at(-1)?.decision ?? null)
    },
    thenAccepted: (event) => then(() => expect(decision).toMatchObject({ ok: true, event: { type: event } })),
    thenAlreadySo: () =>
      then(() => {
        expect(decision).toMatchObject({ ok: true, entries: [], levels: [] })
        expect(decision).not.toHaveProperty('event')
        expect(decision).not.toHaveProperty('hold')
      }),
    thenRejected: (code, facts) =>
      then(() => {
        if (facts === undefined) expect(decision).toMatchObject({ ok: false, rejection: { code } })
        else expect(decision).toEqual({ ok: false, rejection: { code, ...facts } })
      }),
    thenLevel: (facts) => then(() => expect(levelIn(stock, facts.item ?? tea, facts.location ?? london)).toMatchObject(facts)),
    thenHold: (name, facts) => then(() => expect(holdIn(stock, name)).toMatchObject(facts)),
    thenAllocations: (name, ...allocations) => then(() => expect(holdIn(stock, name).allocations).toMatchObject(allocations)),
    thenMoved: (...movements) => then(() => expect(decision?.ok ? decision.entries.map(spoken) : decision).toEqual(movements)),
  }
}

const factPlayed = (stock: Stock, fact: Step): Stock => {
  const after = played(stock, fact)
  const decision = after.history.at(-1)?.decision
  if (decision?.ok === false) throw new Error(`not a fact: ${JSON.stringify(fact)} was refused: ${JSON.stringify(decision.rejection)}`)
  expect(faultsOf(after)).toEqual([])
  return after
}

// ---- The people and things of the stories.

export const tea = itemNumber(1)
export const cup = itemNumber(2)
export const pot = itemNumber(3)
export const london = locationNumber(1)
export const paris = locationNumber(2)
export const rome = locationNumber(3)
/** In place of a location: wherever there is some. */
export const anywhere = null

const itemNames = new Map([
  [tea, 'tea'],
  [cup, 'cup'],
  [pot, 'pot'],
])
const locationNames = new Map([
  [london, 'london'],
  [paris, 'paris'],
  [rome, 'rome'],
])
const spoken = ({ item, location, from, to, quantity }: Entry): string =>
  `${quantity} ${itemNames.get(item) ?? item} in ${locationNames.get(location) ?? location}: ${from} to ${to}`

/** When every story begins. */
export const opening = instant(Date.UTC(2026, 0, 5, 9))
export const minutes = (count: number): number => count * 60_000
export const afterOpening = (ms: number): Instant => later(opening, ms)

/** The same uuid for the same name, in every story. */
export const named = (name: string): Uuid => {
  const hex = [...name]
    .map((letter) => (letter.codePointAt(0) ?? 0).toString(16).padStart(2, '0'))
    .join('')
    .padStart(32, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}` as Uuid // made of 32 hex digits
}

// ---- Commands, with what a story does not care about filled in.

export const line = (item: ItemNumber, quantity: number): Line => ({ item, quantity })
export const lineAt = (location: LocationNumber | null, item: ItemNumber, quantity: number): WantedLine => ({ location, item, quantity })
export const found = (item: ItemNumber, quantity: number, ifVersion: number | null = null): AdjustmentLine => ({
  item,
  from: 'shrinkage',
  to: 'available',
  quantity,
  ifVersion,
})
export const lost = (item: ItemNumber, quantity: number, ifVersion: number | null = null): AdjustmentLine => ({
  item,
  from: 'available',
  to: 'shrinkage',
  quantity,
  ifVersion,
})
export const shifted = (item: ItemNumber, quantity: number, from: Adjustable, to: Adjustable): AdjustmentLine => ({ item, from, to, quantity, ifVersion: null })
export const back = (item: ItemNumber, quantity: number, to: Adjustable = 'available'): ReturnStock['lines'][number] => ({ item, quantity, to })

const unnoted = { reference: null, metadata: {} }
/** A number is that many teas. */
const teas = (lines: number | readonly Line[]): readonly Line[] => (typeof lines === 'number' ? [line(tea, lines)] : lines)

export const receiveStock = (lines: number | readonly Line[], rest: Partial<ReceiveStock> = {}): ReceiveStock => ({
  type: 'ReceiveStock',
  id: named('receipt'),
  location: london,
  ...unnoted,
  ...rest,
  lines: teas(lines),
})

export const placeHold = (name: string, lines: number | readonly WantedLine[], rest: Partial<PlaceHold> = {}): PlaceHold => ({
  type: 'PlaceHold',
  id: named(name),
  lines: typeof lines === 'number' ? [lineAt(london, tea, lines)] : lines,
  mode: 'all_or_nothing',
  ttlMs: minutes(15),
  candidates: [london, paris, rome].map((location) => ({ location, point: null })),
  strategy: 'priority',
  destination: null,
  customer: null,
  purchaseLimits: [],
  ...unnoted,
  ...rest,
})
export const executeHold = (name: string, lines: readonly Line[] | null = null, final = true): ExecuteHold => ({
  type: 'ExecuteHold',
  id: named(name),
  lines,
  final,
})
export const releaseHold = (name: string): ReleaseHold => ({ type: 'ReleaseHold', id: named(name) })
export const extendHold = (name: string, ttlMs: number, longestMs = minutes(7 * 24 * 60)): ExtendHold => ({
  type: 'ExtendHold',
  id: named(name),
  ttlMs,
  longestMs,
})
export const cancelHold = (name: string): CancelHold => ({ type: 'CancelHold', id: named(name) })
export const expireHold = (name: string): ExpireHold => ({ type: 'ExpireHold', id: named(name) })
export const shipHold = (name: string, lines: number | readonly Line[] | null = null, rest: Partial<ShipHold> = {}): ShipHold => ({
  type: 'ShipHold',
  id: named('shipment'),
  hold: named(name),
  ...unnoted,
  ...rest,
  lines: lines === null ? null : teas(lines),
})
export const adjustStock = (lines: readonly AdjustmentLine[], rest: Partial<AdjustStock> = {}): AdjustStock => ({
  type: 'AdjustStock',
  id: named('adjustment'),
  location: london,
  reason: 'correction',
  ...unnoted,
  ...rest,
  lines,
})
export const returnStock = (hold: string | null, lines: ReturnStock['lines'], rest: Partial<ReturnStock> = {}): ReturnStock => ({
  type: 'ReturnStock',
  id: named('return'),
  hold: hold === null ? null : named(hold),
  location: london,
  ...unnoted,
  ...rest,
  lines,
})

// The same commands, told as facts.
const toldOf =
  <Told extends readonly unknown[], Some extends Command>(command: (...told: Told) => Some) =>
  (...told: Told): Some =>
    command(...told)
export const received = toldOf(receiveStock)
export const holdPlaced = toldOf(placeHold)
export const holdExecuted = toldOf(executeHold)
export const holdReleased = toldOf(releaseHold)
export const holdExtended = toldOf(extendHold)
export const holdCanceled = toldOf(cancelHold)
export const holdExpired = toldOf(expireHold)
export const holdShipped = toldOf(shipHold)
export const adjusted = toldOf(adjustStock)
export const returned = toldOf(returnStock)

export type TimePassed = { readonly type: 'TimePassed'; readonly ms: number }
export type SafetyStockKept = { readonly type: 'SafetyStockKept'; readonly item: ItemNumber; readonly location: LocationNumber; readonly quantity: number }
export const timePassed = (ms: number): TimePassed => ({ type: 'TimePassed', ms })
export const safetyStockKept = (quantity: number, item = tea, location = london): SafetyStockKept => ({ type: 'SafetyStockKept', item, location, quantity })

// ---- The fold.

export type Step = Command | TimePassed | SafetyStockKept
export type Stock = {
  readonly now: Instant
  readonly levels: ReadonlyMap<number, Level>
  readonly holds: ReadonlyMap<Uuid, Hold>
  readonly history: readonly { readonly step: Step; readonly at: Instant; readonly decision: Decision | null }[]
}

export const emptyStock: Stock = { now: opening, levels: new Map(), holds: new Map(), history: [] }

export const played = (stock: Stock, step: Step): Stock => {
  const told = (decision: Decision | null) => [...stock.history, { step, at: stock.now, decision }]
  if (step.type === 'TimePassed') return { ...stock, now: later(stock.now, step.ms), history: told(null) }
  if (step.type === 'SafetyStockKept') {
    const level = frozen({ ...levelIn(stock, step.item, step.location), safetyStock: step.quantity })
    return { ...stock, levels: new Map(stock.levels).set(levelKey(step.item, step.location), level), history: told(null) }
  }
  const decision = frozen(decide(frozen(step), viewOf(stock), stock.now))
  if (!decision.ok) return { ...stock, history: told(decision) }
  const levels = new Map(stock.levels)
  for (const level of decision.levels) levels.set(levelKey(level.item, level.location), level)
  const holds = new Map(stock.holds)
  if (decision.hold) holds.set(decision.hold.id, decision.hold)
  return { ...stock, levels, holds, history: told(decision) }
}

/** A level that is not there yet is the same empty level however often it is asked for. */
export const viewOf = (stock: Stock): StockView => {
  const empty = new Map<number, Level>()
  return {
    level: (item, location) => {
      const key = levelKey(item, location)
      const level = stock.levels.get(key) ?? empty.get(key) ?? frozen(emptyLevel(item, location))
      if (!stock.levels.has(key)) empty.set(key, level)
      return level
    },
    hold: (id) => stock.holds.get(id),
    ...unasked,
  }
}

export const levelIn = (stock: Stock, item: ItemNumber, location: LocationNumber): Level => viewOf(stock).level(item, location)

export const holdIn = (stock: Stock, name: string): Hold => {
  const hold = stock.holds.get(named(name))
  if (hold === undefined) throw new Error(`there is no hold ${name}`)
  return hold
}

/** A rule that writes into what it was shown throws. */
const frozen = <Thing>(thing: Thing): Thing => {
  if (typeof thing !== 'object' || thing === null || Object.isFrozen(thing)) return thing
  Object.freeze(thing)
  for (const part of Object.values(thing)) frozen(part)
  return thing
}

// ---- The laws. They add up what was written down, and trust nothing else.

export const laws: Readonly<Record<string, (stock: Stock) => string[]>> = {
  'every movement takes whole units from one place to another': (stock) =>
    written(stock)
      .filter(({ from, to, quantity }) => from === to || !places.includes(from) || !places.includes(to) || !Number.isSafeInteger(quantity) || quantity < 1)
      .map(spoken),

  'a command moves units from one state to another of a level once': (stock) =>
    stock.history.flatMap(({ step, decision }) => {
      const movements = decision?.ok ? decision.entries.map(({ item, location, from, to }) => `${item}@${location}: ${from} to ${to}`) : []
      return new Set(movements).size === movements.length ? [] : [`${step.type}: ${movements.join(', ')}`]
    }),

  'no unit is ever made or lost': (stock) => {
    const sums = new Map<ItemNumber, number>()
    const add = (item: ItemNumber, quantity: number) => sums.set(item, (sums.get(item) ?? 0) + quantity)
    for (const level of stock.levels.values()) for (const state of stockStates) add(level.item, level[state])
    for (const { item, from, to, quantity } of written(stock)) {
      if (isOutside(from)) add(item, -quantity)
      if (isOutside(to)) add(item, quantity)
    }
    return Array.from(sums)
      .filter(([, sum]) => sum !== 0)
      .map(([item, sum]) => `${sum} of ${item} too many`)
  },

  'no count of stock was below zero at any time': (stock) => {
    const faults: string[] = []
    const counts = countsOf()
    for (const entry of written(stock)) {
      counts.add(entry)
      if (!isOutside(entry.from) && counts.at(entry, entry.from) < 0) faults.push(`below zero after ${spoken(entry)}`)
    }
    for (const level of stock.levels.values()) for (const state of stockStates) if (level[state] < 0) faults.push(`${state} ${level[state]}`)
    return faults
  },

  'a level is the sum of its movements': (stock) => {
    const counts = countsOf()
    for (const entry of written(stock)) counts.add(entry)
    return [...stock.levels.values()].flatMap((level) =>
      stockStates
        .filter((state) => counts.at(level, state) !== level[state])
        .map((state) => `${state} is ${level[state]}, the movements say ${counts.at(level, state)}`),
    )
  },

  'a level has one version for each command that moved its stock, from 1 without a gap': (stock) => {
    const versions = new Map<number, number>()
    const faults: string[] = []
    for (const { decision } of stock.history) {
      if (!decision?.ok) continue
      const touched = new Set(decision.entries.map(({ item, location }) => levelKey(item, location)))
      for (const key of touched) versions.set(key, (versions.get(key) ?? 0) + 1)
      for (const entry of decision.entries)
        if (entry.levelVersion !== versions.get(levelKey(entry.item, entry.location))) faults.push(`version ${entry.levelVersion} after ${spoken(entry)}`)
      const shown = decision.levels.map(({ item, location }) => levelKey(item, location))
      if (shown.length !== touched.size || shown.some((key) => !touched.has(key)))
        faults.push(`${shown.length} levels were written, ${touched.size} were touched`)
    }
    for (const [key, level] of stock.levels) if (level.version !== (versions.get(key) ?? 0)) faults.push(`version ${level.version} is not ${versions.get(key)}`)
    return faults
  },

  'what is held and committed at a level is what its holds hold and have committed': (stock) => {
    const sums = new Map<number, { held: number; committed: number }>()
    for (const hold of stock.holds.values())
      for (const { item, location, held, committed } of hold.allocations) {
        const sum = sums.get(levelKey(item, location)) ?? { held: 0, committed: 0 }
        sums.set(levelKey(item, location), { held: sum.held + held, committed: sum.committed + committed })
      }
    return Array.from(stock.levels).flatMap(([key, level]) => {
      const { held, committed } = sums.get(key) ?? { held: 0, committed: 0 }
      return level.held === held && level.committed === committed
        ? []
        : [`held ${level.held} is not ${held}, or committed ${level.committed} is not ${committed}`]
    })
  },

  'every unit of a hold is held, committed, shipped or released': (stock) =>
    [...stock.holds.values()]
      .flatMap((hold) => hold.allocations)
      .flatMap((allocation) => {
        const { quantity, held, committed, shipped, released, returned: broughtBack } = allocation
        const isWhole = [held, committed, shipped, released, broughtBack].every((count) => Number.isSafeInteger(count) && count >= 0)
        return isWhole && quantity > 0 && quantity === held + committed + shipped + released && broughtBack <= shipped ? [] : [JSON.stringify(allocation)]
      }),

  'a hold has what its buyer asked for, except what it says is short': (stock) =>
    stock.history.flatMap(({ step, decision }) => {
      if (step.type !== 'PlaceHold' || !decision?.ok || decision.hold === undefined) return []
      const { allocations, shortages } = decision.hold
      return step.lines.flatMap(({ item }) => {
        const asked = step.lines.filter((wanted) => wanted.item === item).reduce((sum, wanted) => sum + wanted.quantity, 0)
        const short = shortages.filter((shortage) => shortage.item === item).reduce((sum, shortage) => sum + shortage.requested - shortage.available, 0)
        const got = total(allocations, 'quantity', item)
        return asked === got + short && (short === 0 || step.mode === 'best_effort') ? [] : [`asked ${asked}, got ${got}, short ${short}`]
      })
    }),

  'as many units move as the lines of a command say, and in the way it says': (stock) =>
    stock.history.flatMap(({ step, decision }) => {
      if (!decision?.ok || decision.event === undefined) return []
      return asked(step).flatMap(({ item, from, to, quantity }) => {
        const isThis = (other: { item: ItemNumber; from: Place; to: Place }) => other.item === item && other.from === from && other.to === to
        const wanted = asked(step)
          .filter(isThis)
          .reduce((sum, other) => sum + other.quantity, 0)
        const moved = decision.entries.filter(isThis).reduce((sum, entry) => sum + entry.quantity, 0)
        return moved === wanted ? [] : [`${step.type} moved ${moved} of ${item} from ${from} to ${to}, asked was ${quantity} of ${wanted}`]
      })
    }),

  'what was executed, shipped and brought back for a hold is what its hold has counted': (stock) =>
    [...stock.holds.values()].flatMap((hold) => {
      const sums = { executed: 0, shipped: 0, broughtBack: 0 }
      for (const { step, decision } of stock.history) {
        if (!decision?.ok || decision.event?.subject.id !== hold.id) continue
        for (const { from, to, quantity } of decision.entries) {
          if (from === 'held' && to === 'committed') sums.executed += quantity
          if (from === 'committed' && to === 'available') sums.executed -= quantity
          if (from === 'committed' && to === 'customer') sums.shipped += quantity
          if (from === 'customer' && step.type === 'ReturnStock') sums.broughtBack += quantity
        }
      }
      const { allocations } = hold
      const counted = {
        executed: total(allocations, 'committed') + total(allocations, 'shipped'),
        shipped: total(allocations, 'shipped'),
        broughtBack: total(allocations, 'returned'),
      }
      return JSON.stringify(sums) === JSON.stringify(counted) ? [] : [`${JSON.stringify(sums)} is not ${JSON.stringify(counted)}`]
    }),

  'a hold that has ended holds nothing': (stock) =>
    [...stock.holds.values()]
      .filter((hold) => (hold.status === 'active') !== (hold.endedAt === null) || (hold.status !== 'active' && total(hold.allocations, 'held') > 0))
      .map((hold) => JSON.stringify(hold)),

  'a hold ends once, and only a cancellation may follow': (stock) =>
    changesOf(stock)
      .filter(
        ({ before, after }) =>
          before !== undefined && before.status !== 'active' && before.status !== after.status && (after.status !== 'canceled' || before.status === 'canceled'),
      )
      .map(({ before, after }) => `${before?.status} became ${after.status}`),

  'a hold has one version for each of its events, from 1 without a gap': (stock) =>
    changesOf(stock)
      .filter(({ before, after, event }) => after.version !== (before?.version ?? 0) + 1 || event?.version !== after.version || event.id !== after.id)
      .map(({ before, after }) => `version ${after.version} follows ${before?.version}`),

  'no hold is executed, released or extended too late, and none expires too early': (stock) =>
    changesOf(stock).flatMap(({ before, after, at, event }) => {
      if (before === undefined) return after.expiresAt > at && after.createdAt === at ? [] : ['placed dead']
      const isLate = before.expiresAt <= at
      if (event?.type === 'hold.expired') return isLate && after.endedAt === at ? [] : [`expired at ${at}, due at ${before.expiresAt}`]
      if (event?.type === 'hold.extended')
        return !isLate && after.expiresAt > before.expiresAt ? [] : [`extended at ${at} from ${before.expiresAt} to ${after.expiresAt}`]
      if (event?.type === 'hold.executed' || event?.type === 'hold.released') return isLate ? [`${event.type} at ${at}, due at ${before.expiresAt}`] : []
      return []
    }),

  'safety stock is promised to nobody': (stock) => {
    const faults: string[] = []
    const counts = countsOf()
    const kept = new Map<number, number>()
    for (const { step, decision } of stock.history) {
      if (step.type === 'SafetyStockKept') kept.set(levelKey(step.item, step.location), step.quantity)
      if (!decision?.ok) continue
      for (const entry of decision.entries) {
        counts.add(entry)
        if (entry.to === 'held' && counts.at(entry, 'available') < (kept.get(levelKey(entry.item, entry.location)) ?? 0)) faults.push(spoken(entry))
      }
    }
    return faults
  },

  'what is told is what was written, and who is refused or has what he asks for already writes nothing': (stock) =>
    stock.history.flatMap(({ step, decision }) => {
      if (!decision?.ok) return []
      if (decision.event === undefined)
        return decision.entries.length + decision.levels.length === 0 && !decision.hold ? [] : [`${step.type} wrote and did not tell`]
      const toldHold = decision.answer.kind === 'hold' ? decision.answer.hold : decision.hold
      return decision.event.data === decision.answer && toldHold === decision.hold ? [] : [`${step.type} told something else`]
    }),
}

const faultsOf = (stock: Stock): string[] => Object.entries(laws).flatMap(([law, faults]) => faults(stock).map((fault) => `${law}: ${fault}`))

/** What a command with lines asks to be moved. What says no lines asks for whatever is there. */
const asked = (step: Step): readonly { readonly item: ItemNumber; readonly from: Place; readonly to: Place; readonly quantity: number }[] => {
  switch (step.type) {
    case 'ReceiveStock':
      return step.lines.map((one) => ({ ...one, from: 'supplier', to: 'available' }))
    case 'ExecuteHold':
      return step.lines?.map((one) => ({ ...one, from: 'held', to: 'committed' })) ?? []
    case 'ShipHold':
      return step.lines?.map((one) => ({ ...one, from: 'committed', to: 'customer' })) ?? []
    case 'ReturnStock':
      return step.lines.map((one) => ({ ...one, from: 'customer' }))
    case 'AdjustStock':
      return step.lines
    default:
      return []
  }
}

const isOutside = (place: Place): boolean => place === 'supplier' || place === 'customer' || place === 'shrinkage'

const written = (stock: Stock): Entry[] => stock.history.flatMap(({ decision }) => (decision?.ok ? decision.entries : []))

const countsOf = () => {
  const counts = new Map<string, number>()
  const keyOf = ({ item, location }: Pick<Entry, 'item' | 'location'>, place: Place) => `${item}@${location}:${place}`
  const at = (where: Pick<Entry, 'item' | 'location'>, place: Place): number => counts.get(keyOf(where, place)) ?? 0
  return {
    at,
    add: (entry: Entry): void => {
      counts.set(keyOf(entry, entry.from), at(entry, entry.from) - entry.quantity)
      counts.set(keyOf(entry, entry.to), at(entry, entry.to) + entry.quantity)
    },
  }
}

/** Each hold as it was and as it became, change by change. */
const changesOf = (stock: Stock) => {
  const holds = new Map<Uuid, Hold>()
  return stock.history.flatMap(({ decision, at }) => {
    if (!decision?.ok || decision.hold === undefined) return []
    const after = decision.hold
    const before = holds.get(after.id)
    holds.set(after.id, after)
    return [{ before, after, at, event: decision.event && { type: decision.event.type, ...decision.event.subject } }]
  })
}
