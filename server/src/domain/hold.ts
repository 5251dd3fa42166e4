// The promise of stock to one buyer for a limited time, and everything that may become of it.
import { already, movements, reject, type Decision, type StockView } from './decision.ts'
import type { Noted, Shipment } from './document.ts'
import type { EventDraft, StockEventType } from './event.ts'
import { later, type Instant } from './instant.ts'
import type { ItemNumber, LocationNumber, Uuid } from './ids.ts'
import { availableToSell } from './level.ts'
import type { Rejection, Shortage } from './rejection.ts'
import { source, type Candidate, type Demand, type Point, type Strategy } from './sourcing.ts'

export type HoldStatus = 'active' | 'executed' | 'released' | 'expired' | 'canceled'
export type HoldMode = 'all_or_nothing' | 'best_effort'

/** quantity = held + committed + shipped + released, at all times. `returned` counts what came back of what was shipped. */
export type Allocation = {
  readonly item: ItemNumber
  readonly location: LocationNumber
  readonly quantity: number
  readonly held: number
  readonly committed: number
  readonly shipped: number
  readonly released: number
  readonly returned: number
  /** The version of the level that the hold's last movement there made. */
  readonly levelVersion: number
}

export type Hold = Noted & {
  readonly id: Uuid
  /** Who buys, in the caller's words; null when that was not said. */
  readonly customer: string | null
  readonly version: number
  readonly mode: HoldMode
  /** By line: all allocations of one item stand together, in the order in which the lines were asked. */
  readonly allocations: readonly Allocation[]
  /** What best effort could not take, as it was when the hold was placed. */
  readonly shortages: readonly Shortage[]
  readonly createdAt: Instant
  readonly expiresAt: Instant
} & ({ readonly status: 'active'; readonly endedAt: null } | { readonly status: Exclude<HoldStatus, 'active'>; readonly endedAt: Instant })

export type Line = { readonly item: ItemNumber; readonly quantity: number }
export type WantedLine = Line & { readonly location: LocationNumber | null }

export type PlaceHold = Noted & {
  readonly type: 'PlaceHold'
  readonly id: Uuid
  readonly lines: readonly WantedLine[]
  readonly mode: HoldMode
  readonly ttlMs: number
  /** Where lines that name no location may be taken from, in the locations' own order. */
  readonly candidates: readonly Candidate[]
  readonly strategy: Strategy
  readonly destination: Point | null
  readonly customer: string | null
  /** Items of which a customer may buy only so many within a time. */
  readonly purchaseLimits: readonly PurchaseLimit[]
}
export type PurchaseLimit = { readonly item: ItemNumber; readonly quantity: number; readonly windowMs: number }
export type ExecuteHold = { readonly type: 'ExecuteHold'; readonly id: Uuid; readonly lines: readonly Line[] | null; readonly final: boolean }
export type ReleaseHold = { readonly type: 'ReleaseHold'; readonly id: Uuid }
export type ExtendHold = { readonly type: 'ExtendHold'; readonly id: Uuid; readonly ttlMs: number; readonly longestMs: number }
export type CancelHold = { readonly type: 'CancelHold'; readonly id: Uuid }
export type ExpireHold = { readonly type: 'ExpireHold'; readonly id: Uuid }
export type ShipHold = Noted & { readonly type: 'ShipHold'; readonly id: Uuid; readonly hold: Uuid; readonly lines: readonly Line[] | null }

/** From `expiresAt` on a hold is dead, whether or not anybody has cleaned it up yet. */
export const isDue = (hold: Hold, now: Instant): boolean => hold.status === 'active' && hold.expiresAt <= now

export const placeHold = (command: PlaceHold, view: StockView, now: Instant): Decision => {
  const beyond = beyondLimit(command, view)
  if (beyond) return reject(beyond)
  const stock = movements(view)
  const shortages: Shortage[] = []
  const taken = new Map<ItemNumber, Map<LocationNumber, { quantity: number; levelVersion: number }>>()
  const supply = (item: ItemNumber, location: LocationNumber) => availableToSell(stock.level(item, location))
  const take = (item: ItemNumber, location: LocationNumber, quantity: number) => {
    const levelVersion = stock.move(item, location, 'available', 'held', quantity)
    const places = taken.get(item) ?? new Map<LocationNumber, { quantity: number; levelVersion: number }>()
    taken.set(item, places)
    places.set(location, { quantity: (places.get(location)?.quantity ?? 0) + quantity, levelVersion })
  }

  // Lines that say where come first: what they ask for can be had nowhere else.
  for (const { item, location, quantity } of summed(command.lines)) {
    const available = supply(item, location)
    if (available < quantity) shortages.push(shortageAt(view, item, location, quantity, available))
    const got = Math.min(available, quantity)
    if (got > 0) take(item, location, got)
  }
  const unplaced = summedByItem(command.lines.filter((line) => line.location === null))
  if (unplaced.length > 0) {
    const plan = source(unplaced, command.candidates, supply, command.strategy, command.destination)
    for (const { item, quantity } of plan.missing) shortages.push(shortageAnywhere(view, command, item, quantity, unplaced))
    for (const { item, location, quantity } of plan.allocations) take(item, location, quantity)
  }

  if (shortages.length > 0 && (command.mode === 'all_or_nothing' || taken.size === 0)) return reject({ code: 'insufficient_stock', shortages })

  // From here the hold stands.
  const allocations: Allocation[] = []
  for (const item of new Set(command.lines.map((line) => line.item)))
    for (const [location, { quantity, levelVersion }] of taken.get(item) ?? [])
      allocations.push({ item, location, quantity, held: quantity, committed: 0, shipped: 0, released: 0, returned: 0, levelVersion })
  const hold: Hold = {
    id: command.id,
    version: 1,
    status: 'active',
    mode: command.mode,
    allocations,
    shortages,
    createdAt: now,
    expiresAt: later(now, command.ttlMs),
    endedAt: null,
    customer: command.customer,
    reference: command.reference,
    metadata: command.metadata,
  }
  return accepted(hold, 'hold.placed', stock)
}

export const executeHold = (command: ExecuteHold, view: StockView, now: Instant): Decision => {
  const hold = view.hold(command.id)
  if (hold === undefined) return reject({ code: 'hold_not_found', hold: command.id })
  if (hold.status === 'executed') return already({ kind: 'hold', hold })
  if (hold.status === 'released' || hold.status === 'canceled') return reject({ code: 'hold_already_released', hold: hold.id })
  if (hold.status === 'expired' || isDue(hold, now)) return reject({ code: 'hold_expired', hold: hold.id, expiresAt: hold.expiresAt })
  const excess = tooMuch(hold, command.lines, 'held')
  if (excess) return reject(excess)

  // From here the execution stands.
  const stock = movements(view)
  const wanted = command.lines === null ? null : new Map(summedByItem(command.lines).map((line) => [line.item, line.quantity]))
  let rest = 0
  const allocations = hold.allocations.map((allocation) => {
    const executed = wanted === null ? allocation.held : Math.min(allocation.held, wanted.get(allocation.item) ?? 0)
    wanted?.set(allocation.item, (wanted.get(allocation.item) ?? 0) - executed)
    const released = command.final ? allocation.held - executed : 0
    rest += allocation.held - executed - released
    if (executed === 0 && released === 0) return allocation
    let { levelVersion } = allocation
    if (executed > 0) levelVersion = stock.move(allocation.item, allocation.location, 'held', 'committed', executed)
    if (released > 0) levelVersion = stock.move(allocation.item, allocation.location, 'held', 'available', released)
    return {
      ...allocation,
      held: allocation.held - executed - released,
      committed: allocation.committed + executed,
      released: allocation.released + released,
      levelVersion,
    }
  })
  const after: Hold = rest === 0 ? ended(hold, 'executed', allocations, now) : { ...hold, version: hold.version + 1, allocations }
  return accepted(after, 'hold.executed', stock)
}

export const releaseHold = (command: ReleaseHold, view: StockView, now: Instant): Decision => {
  const hold = view.hold(command.id)
  if (hold === undefined) return reject({ code: 'hold_not_found', hold: command.id })
  if (hold.status === 'released') return already({ kind: 'hold', hold })
  if (hold.status === 'executed') return reject({ code: 'hold_already_executed', hold: hold.id })
  if (hold.status === 'canceled') return reject({ code: 'hold_already_released', hold: hold.id })
  if (hold.status === 'expired' || isDue(hold, now)) return reject({ code: 'hold_expired', hold: hold.id, expiresAt: hold.expiresAt })

  // From here the release stands.
  const stock = movements(view)
  return accepted(ended(hold, 'released', givenBack(hold, stock, ['held']), now), 'hold.released', stock)
}

/** Only a due hold expires; for any other this is a question answered by the hold as it is. */
export const expireHold = (command: ExpireHold, view: StockView, now: Instant): Decision => {
  const hold = view.hold(command.id)
  if (hold === undefined) return reject({ code: 'hold_not_found', hold: command.id })
  if (!isDue(hold, now)) return already({ kind: 'hold', hold })

  // From here the expiry stands.
  const stock = movements(view)
  return accepted(ended(hold, 'expired', givenBack(hold, stock, ['held']), now), 'hold.expired', stock)
}

export const extendHold = (command: ExtendHold, view: StockView, now: Instant): Decision => {
  const hold = view.hold(command.id)
  if (hold === undefined) return reject({ code: 'hold_not_found', hold: command.id })
  if (hold.status === 'executed') return reject({ code: 'hold_already_executed', hold: hold.id })
  if (hold.status === 'released' || hold.status === 'canceled') return reject({ code: 'hold_already_released', hold: hold.id })
  if (hold.status === 'expired' || isDue(hold, now)) return reject({ code: 'hold_expired', hold: hold.id, expiresAt: hold.expiresAt })
  const expiresAt = later(now, command.ttlMs)
  if (expiresAt > later(hold.createdAt, command.longestMs)) return reject({ code: 'ttl_out_of_range', hold: hold.id, longestMs: command.longestMs })
  if (expiresAt <= hold.expiresAt) return already({ kind: 'hold', hold })

  // From here the hold lives longer.
  return accepted({ ...hold, version: hold.version + 1, expiresAt }, 'hold.extended', movements(view))
}

export const cancelHold = (command: CancelHold, view: StockView, now: Instant): Decision => {
  const hold = view.hold(command.id)
  if (hold === undefined) return reject({ code: 'hold_not_found', hold: command.id })
  if (hold.status === 'canceled') return already({ kind: 'hold', hold })
  const committed = total(hold.allocations, 'committed')
  if (committed === 0 && (hold.status === 'expired' || isDue(hold, now))) return reject({ code: 'hold_expired', hold: hold.id, expiresAt: hold.expiresAt })
  if (committed === 0 && hold.status === 'released') return reject({ code: 'hold_already_released', hold: hold.id })
  if (committed === 0 && hold.status === 'executed')
    return reject({ code: 'quantity_exceeds_remaining', hold: hold.id, item: null, requested: total(hold.allocations, 'quantity'), remaining: 0 })

  // From here the cancellation stands.
  const stock = movements(view)
  return accepted(ended(hold, 'canceled', givenBack(hold, stock, ['held', 'committed']), now), 'hold.canceled', stock)
}

export const shipHold = (command: ShipHold, view: StockView, now: Instant): Decision => {
  const hold = view.hold(command.hold)
  if (hold === undefined) return reject({ code: 'hold_not_found', hold: command.hold })
  const excess = tooMuch(hold, command.lines, 'committed')
  if (excess) return reject(excess)
  const committed = total(hold.allocations, 'committed')
  if (committed === 0)
    return reject({ code: 'quantity_exceeds_remaining', hold: hold.id, item: null, requested: total(hold.allocations, 'quantity'), remaining: 0 })

  // From here the shipment stands.
  const stock = movements(view)
  const wanted = command.lines === null ? null : new Map(summedByItem(command.lines).map((line) => [line.item, line.quantity]))
  const shippedLines = new Map<
    ItemNumber,
    { item: ItemNumber; quantity: number; allocations: { location: LocationNumber; quantity: number; levelVersion: number }[] }
  >()
  const allocations = hold.allocations.map((allocation) => {
    const { item, location } = allocation
    const shipped = wanted === null ? allocation.committed : Math.min(allocation.committed, wanted.get(item) ?? 0)
    if (shipped === 0) return allocation
    wanted?.set(item, (wanted.get(item) ?? 0) - shipped)
    const levelVersion = stock.move(item, location, 'committed', 'customer', shipped)
    const line = shippedLines.get(item) ?? { item, quantity: 0, allocations: [] }
    shippedLines.set(item, line)
    line.quantity += shipped
    line.allocations.push({ location, quantity: shipped, levelVersion })
    return { ...allocation, committed: allocation.committed - shipped, shipped: allocation.shipped + shipped, levelVersion }
  })
  const after: Hold = { ...hold, version: hold.version + 1, allocations }
  const shipment: Shipment = {
    id: command.id,
    hold: hold.id,
    lines: [...shippedLines.values()],
    createdAt: now,
    reference: command.reference,
    metadata: command.metadata,
  }
  const answer = { kind: 'shipment', shipment } as const
  return {
    ok: true,
    answer,
    hold: after,
    entries: stock.entries,
    levels: stock.levels(),
    event: { type: 'stock.shipped', subject: { kind: 'hold', id: hold.id, version: after.version }, data: answer },
  }
}

/** Lines of one command that name the same item are one line. */
export const summedByItem = (lines: readonly Line[]): Demand[] => {
  const sums = new Map<ItemNumber, number>()
  for (const { item, quantity } of lines) sums.set(item, (sums.get(item) ?? 0) + quantity)
  return Array.from(sums, ([item, quantity]) => ({ item, quantity }))
}

/** The sum of one count over a hold's allocations. */
export const total = (
  allocations: readonly Allocation[],
  count: 'quantity' | 'held' | 'committed' | 'shipped' | 'released' | 'returned',
  item?: ItemNumber,
): number => {
  let sum = 0
  for (const allocation of allocations) if (item === undefined || allocation.item === item) sum += allocation[count]
  return sum
}

/** Limits are of people: who does not say for whom he buys is refused before it comes to this. */
const beyondLimit = ({ customer, purchaseLimits, lines }: PlaceHold, view: StockView): Rejection | undefined => {
  if (customer === null) return undefined
  for (const { item, quantity, windowMs } of purchaseLimits) {
    const requested = lines.reduce((sum, line) => sum + (line.item === item ? line.quantity : 0), 0)
    const remaining = Math.max(0, quantity - view.bought({ customer, item, windowMs }))
    if (requested > remaining) return { code: 'purchase_limit_exceeded', customer, item, requested, remaining }
  }
  return undefined
}

const summed = (lines: readonly WantedLine[]): { item: ItemNumber; location: LocationNumber; quantity: number }[] => {
  const sums = new Map<string, { item: ItemNumber; location: LocationNumber; quantity: number }>()
  for (const { item, location, quantity } of lines) {
    if (location === null) continue
    const key = `${item}@${location}`
    const sum = sums.get(key)
    if (sum) sum.quantity += quantity
    else sums.set(key, { item, location, quantity })
  }
  return [...sums.values()]
}

const shortageAt = (view: StockView, item: ItemNumber, location: LocationNumber, requested: number, available: number): Shortage => {
  const level = view.level(item, location)
  return { item, location, requested, available, held: level.held, incoming: level.incoming, levelVersion: level.version }
}

const shortageAnywhere = (view: StockView, command: PlaceHold, item: ItemNumber, missing: number, demands: readonly Demand[]): Shortage => {
  const requested = demands.find((demand) => demand.item === item)?.quantity ?? missing
  let held = 0
  let incoming = 0
  for (const { location } of command.candidates) {
    const level = view.level(item, location)
    held += level.held
    incoming += level.incoming
  }
  const only = command.candidates.length === 1 ? command.candidates[0] : undefined
  return {
    item,
    location: null,
    requested,
    available: requested - missing,
    held,
    incoming,
    levelVersion: only ? view.level(item, only.location).version : null,
  }
}

const tooMuch = (hold: Hold, lines: readonly Line[] | null, count: 'held' | 'committed') => {
  for (const { item, quantity } of summedByItem(lines ?? [])) {
    const remaining = total(hold.allocations, count, item)
    if (quantity > remaining) return { code: 'quantity_exceeds_remaining', hold: hold.id, item, requested: quantity, remaining } as const
  }
  return undefined
}

const givenBack = (hold: Hold, stock: ReturnType<typeof movements>, from: readonly ('held' | 'committed')[]): Allocation[] =>
  hold.allocations.map((allocation) => {
    const after = { ...allocation }
    for (const state of from) {
      const quantity = allocation[state]
      if (quantity === 0) continue
      after.levelVersion = stock.move(allocation.item, allocation.location, state, 'available', quantity)
      after[state] = 0
      after.released += quantity
    }
    return after
  })

const ended = (hold: Hold, status: Exclude<HoldStatus, 'active'>, allocations: readonly Allocation[], now: Instant): Hold => ({
  ...hold,
  version: hold.version + 1,
  status,
  allocations,
  endedAt: now,
})

const accepted = (hold: Hold, type: StockEventType, stock: ReturnType<typeof movements>): Decision => {
  const answer = { kind: 'hold', hold } as const
  const event: EventDraft = { type, subject: { kind: 'hold', id: hold.id, version: hold.version }, data: answer }
  return { ok: true, answer, event, hold, entries: stock.entries, levels: stock.levels() }
}
