// Given facts, when a command, then facts: the stock rules played out in memory, with a clock that only the story moves.
// The state is a plain fold of decisions. After every step it is audited by laws that know the entries and nothing of the rules.
import { expect } from 'vitest'
import type { AdjustmentLine, AdjustStock } from '../../src/domain/adjustment.ts'
import type { Arrival, ArrivedLine } from '../../src/domain/arrival.ts'
import type { ApproveCount, CancelCount, CountItems, OpenCount } from '../../src/domain/count.ts'
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
import type { AnnounceInbound, CancelInbound, ReceiveInbound } from '../../src/domain/inbound-shipment.ts'
import { instant, later, type Instant } from '../../src/domain/instant.ts'
import { emptyLevel, levelKey, places, stockStates, type Entry, type Level, type Place } from '../../src/domain/level.ts'
import type { ReceiveStock } from '../../src/domain/receipt.ts'
import type { Rejection } from '../../src/domain/rejection.ts'
import type { ReturnStock } from '../../src/domain/return.ts'
import { signalOf, type SignalEventType } from '../../src/domain/signal.ts'
import type { CancelTransfer, DispatchTransfer, PlanTransfer, ReceiveTransfer } from '../../src/domain/transfer.ts'
import type { Work, WorkKind } from '../../src/domain/work.ts'
import { lawsOfWork } from './laws-of-work.ts'

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
  /** A transfer, an inbound shipment or a count. */
  thenWork(name: string, facts: { readonly [Fact in keyof Work]?: unknown } & Readonly<Record<string, unknown>>): Story
  /** All that was told of levels after the last command, in its order: `stock.low of 3 tea in london`. */
  thenSignaled(...signals: readonly string[]): Story
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
    thenWork: (name, facts) => then(() => expect(workIn(stock, name)).toMatchObject(facts)),
    thenSignaled: (...signals) => then(() => expect((stock.history.at(-1)?.signals ?? []).map(spokenSignal)).toEqual(signals)),
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

const spokenSignal = ({ type, level: { item, location, available } }: Signaled): string =>
  `${type} of ${available} ${itemNames.get(item) ?? item} in ${locationNames.get(location) ?? location}`

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

export const planTransfer = (name: string, lines: number | readonly Line[], rest: Partial<PlanTransfer> = {}): PlanTransfer => ({
  type: 'PlanTransfer',
  id: named(name),
  from: london,
  to: paris,
  ...unnoted,
  ...rest,
  lines: teas(lines),
})
export const dispatchTransfer = (name: string): DispatchTransfer => ({ type: 'DispatchTransfer', id: named(name) })
export const cancelTransfer = (name: string): CancelTransfer => ({ type: 'CancelTransfer', id: named(name) })
/** A number is that many teas, for sale. Nothing is all that is outstanding. */
const arrivalOf = (lines: number | readonly ArrivedLine[] | null, rest: Partial<Arrival>): Arrival => ({
  close: false,
  acceptExcess: false,
  ...rest,
  lines: typeof lines === 'number' ? [back(tea, lines)] : lines,
})
export const receiveTransfer = (name: string, lines: number | readonly ArrivedLine[] | null = null, rest: Partial<Arrival> = {}): ReceiveTransfer => ({
  type: 'ReceiveTransfer',
  id: named(name),
  ...arrivalOf(lines, rest),
})
export const announceInbound = (name: string, lines: number | readonly Line[], rest: Partial<AnnounceInbound> = {}): AnnounceInbound => ({
  type: 'AnnounceInbound',
  id: named(name),
  supplier: 'acme',
  location: london,
  expectedAt: null,
  unique: null,
  ...unnoted,
  ...rest,
  lines: teas(lines),
})
export const receiveInbound = (name: string, lines: number | readonly ArrivedLine[] | null = null, rest: Partial<Arrival> = {}): ReceiveInbound => ({
  type: 'ReceiveInbound',
  id: named(name),
  ...arrivalOf(lines, rest),
})
export const cancelInbound = (name: string): CancelInbound => ({ type: 'CancelInbound', id: named(name) })
export const openCount = (name: string, rest: Partial<OpenCount> = {}): OpenCount => ({
  type: 'OpenCount',
  id: named(name),
  location: london,
  items: null,
  ...unnoted,
  ...rest,
})
export const counted = (item: ItemNumber, quantity: number, asOf: number | null = null): CountItems['lines'][number] => ({ item, quantity, asOf })
/** A number is that many teas, counted now. */
export const countItems = (name: string, lines: number | CountItems['lines'], location = london): CountItems => ({
  type: 'CountItems',
  id: named(name),
  location,
  lines: typeof lines === 'number' ? [counted(tea, lines)] : lines,
})
export const approveCount = (name: string): ApproveCount => ({ type: 'ApproveCount', id: named(name) })
export const cancelCount = (name: string): CancelCount => ({ type: 'CancelCount', id: named(name) })

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
export const transferPlanned = toldOf(planTransfer)
export const transferDispatched = toldOf(dispatchTransfer)
export const transferReceived = toldOf(receiveTransfer)
export const transferCanceled = toldOf(cancelTransfer)
export const inboundAnnounced = toldOf(announceInbound)
export const inboundReceived = toldOf(receiveInbound)
export const inboundCanceled = toldOf(cancelInbound)
export const countOpened = toldOf(openCount)
export const itemsCounted = toldOf(countItems)
export const countApproved = toldOf(approveCount)
export const countCanceled = toldOf(cancelCount)

export type TimePassed = { readonly type: 'TimePassed'; readonly ms: number }
export type SafetyStockKept = { readonly type: 'SafetyStockKept'; readonly item: ItemNumber; readonly location: LocationNumber; readonly quantity: number }
export type ReorderPointSet = {
  readonly type: 'ReorderPointSet'
  readonly item: ItemNumber
  readonly location: LocationNumber
  readonly quantity: number | null
}
export const timePassed = (ms: number): TimePassed => ({ type: 'TimePassed', ms })
export const safetyStockKept = (quantity: number, item = tea, location = london): SafetyStockKept => ({ type: 'SafetyStockKept', item, location, quantity })
export const reorderPointSet = (quantity: number | null, item = tea, location = london): ReorderPointSet => ({
  type: 'ReorderPointSet',
  item,
  location,
  quantity,
})

// ---- The fold.

export type Step = Command | TimePassed | SafetyStockKept | ReorderPointSet
/** What was told of a level because it crossed a line, with the level as it is from then on. */
export type Signaled = { readonly type: SignalEventType; readonly level: Level }
export type Stock = {
  readonly now: Instant
  readonly levels: ReadonlyMap<number, Level>
  readonly holds: ReadonlyMap<Uuid, Hold>
  readonly works: ReadonlyMap<Uuid, Work>
  /** Documents by the names that only one may have. */
  readonly names: ReadonlyMap<Uuid, Uuid>
  readonly history: readonly { readonly step: Step; readonly at: Instant; readonly decision: Decision | null; readonly signals: readonly Signaled[] }[]
}

export const emptyStock: Stock = { now: opening, levels: new Map(), holds: new Map(), works: new Map(), names: new Map(), history: [] }

export const played = (stock: Stock, step: Step): Stock => {
  const told = (decision: Decision | null, signals: readonly Signaled[] = []) => [...stock.history, { step, at: stock.now, decision, signals }]
  if (step.type === 'TimePassed') return { ...stock, now: later(stock.now, step.ms), history: told(null) }
  if (step.type === 'SafetyStockKept') {
    const level = frozen({ ...levelIn(stock, step.item, step.location), safetyStock: step.quantity })
    return { ...stock, levels: new Map(stock.levels).set(levelKey(step.item, step.location), level), history: told(null) }
  }
  if (step.type === 'ReorderPointSet') {
    const level = frozen({ ...levelIn(stock, step.item, step.location), reorderPoint: step.quantity })
    return { ...stock, levels: new Map(stock.levels).set(levelKey(step.item, step.location), level), history: told(null) }
  }
  const decision = frozen(decide(frozen(step), viewOf(stock), stock.now))
  if (!decision.ok) return { ...stock, history: told(decision) }
  const levels = new Map(stock.levels)
  const signals: Signaled[] = []
  for (const level of decision.levels) {
    const signal = signalOf(levelIn(stock, level.item, level.location), level)
    const after = frozen(signal ? { ...level, signal: signal.signal, signals: level.signals + (signal.type === null ? 0 : 1) } : level)
    levels.set(levelKey(level.item, level.location), after)
    if (signal && signal.type !== null) signals.push({ type: signal.type, level: after })
  }
  const holds = new Map(stock.holds)
  if (decision.hold) holds.set(decision.hold.id, decision.hold)
  const works = new Map(stock.works)
  if (decision.work) works.set(decision.work.id, decision.work)
  const names = new Map(stock.names)
  if (step.type === 'AnnounceInbound' && step.unique !== null) names.set(step.unique, step.id)
  return { ...stock, levels, holds, works, names, history: told(decision, signals) }
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
    work: <Kind extends WorkKind>(kind: Kind, id: Uuid) => {
      const work = stock.works.get(id)
      return work?.kind === kind ? (work as Extract<Work, { kind: Kind }>) : undefined // just asked
    },
    workNamed: (unique) => stock.names.get(unique),
    shelfAsOf: (item, location, asOf) => shelfAfter(stock, asOf, { item, location }),
    bought: ({ customer, item, windowMs }) => {
      let sum = 0
      for (const hold of stock.holds.values()) {
        if (hold.customer !== customer || hold.createdAt <= stock.now - windowMs) continue
        sum += total(hold.allocations, 'committed', item) + total(hold.allocations, 'shipped', item)
        // A hold that is due is dead: whoever needs what it holds has it expired first.
        if (hold.expiresAt > stock.now) sum += total(hold.allocations, 'held', item)
      }
      return sum
    },
  }
}

/** A story's sequence counts what its commands have told. */
export const sequenceIn = (stock: Stock): number => stock.history.filter(({ decision }) => decision?.ok && decision.event !== undefined).length

/** Units on a shelf after so many commands have told something: nothing but the movements until then. */
const shelfAfter = (stock: Stock, sequence: number, { item, location }: Pick<Level, 'item' | 'location'>): number => {
  const isOnShelf = (place: Place) => place === 'available' || place === 'held' || place === 'committed'
  let told = 0
  let units = 0
  for (const { decision } of stock.history) {
    if (!decision?.ok || decision.event === undefined || (told += 1) > sequence) continue
    for (const entry of decision.entries)
      if (entry.item === item && entry.location === location) units += (isOnShelf(entry.to) ? entry.quantity : 0) - (isOnShelf(entry.from) ? entry.quantity : 0)
  }
  return units
}

export const levelIn = (stock: Stock, item: ItemNumber, location: LocationNumber): Level => viewOf(stock).level(item, location)

export const holdIn = (stock: Stock, name: string): Hold => {
  const hold = stock.holds.get(named(name))
  if (hold === undefined) throw new Error(`there is no hold ${name}`)
  return hold
}

export const workIn = (stock: Stock, name: string): Work => {
  const work = stock.works.get(named(name))
  if (work === undefined) throw new Error(`there is no document ${name}`)
  return work
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
      // Units in transit are ours, though at none of our locations: what leaves one comes to another.
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
        return decision.entries.length + decision.levels.length === 0 && !decision.hold && !decision.work ? [] : [`${step.type} wrote and did not tell`]
      const { answer } = decision
      const toldHold = answer.kind === 'hold' ? answer.hold : decision.hold
      const toldWork =
        answer.kind === 'transfer' ? answer.transfer : answer.kind === 'inbound_shipment' ? answer.inbound : answer.kind === 'count' ? answer.count : undefined
      return decision.event.data === answer && toldHold === decision.hold && toldWork === decision.work ? [] : [`${step.type} told something else`]
    }),

  ...lawsOfWork,
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

const isOutside = (place: Place): boolean => place === 'supplier' || place === 'customer' || place === 'shrinkage' || place === 'transit'

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
