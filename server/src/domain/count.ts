// Counting what is on the shelf. Each counted line remembers what the books said at the moment of counting, so what was sold or
// received between counting and approval is not lost: approval corrects by the difference that was found then.
import { acceptWork, already, movements, reject, type Decision, type StockView } from './decision.ts'
import type { Noted } from './document.ts'
import type { Instant } from './instant.ts'
import type { ItemNumber, LocationNumber, Uuid } from './ids.ts'
import type { Level } from './level.ts'
import type { Shortage } from './rejection.ts'

export type CountLine = {
  readonly item: ItemNumber
  /** What was found on the shelf. */
  readonly counted: number
  /** What the books said was on the shelf at that moment. */
  readonly expected: number
  readonly countedAt: Instant
  /** The sequence of the ledger that the counter had seen; null: it was counted as it was told. */
  readonly asOf: number | null
  /** The version of the level: as it was judged, and after approval as the correction made it. */
  readonly levelVersion: number
}

export type Count = Noted & {
  readonly kind: 'count'
  readonly id: Uuid
  readonly version: number
  readonly status: 'open' | 'approved' | 'canceled'
  readonly location: LocationNumber
  /** The items that are to be counted; null: whatever is found. */
  readonly items: readonly ItemNumber[] | null
  readonly lines: readonly CountLine[]
  readonly createdAt: Instant
  readonly endedAt: Instant | null
}

export type OpenCount = Noted & {
  readonly type: 'OpenCount'
  readonly id: Uuid
  readonly location: LocationNumber
  readonly items: readonly ItemNumber[] | null
}
export type CountItems = {
  readonly type: 'CountItems'
  readonly id: Uuid
  /** That of the count, which never changes. */
  readonly location: LocationNumber
  readonly lines: readonly { readonly item: ItemNumber; readonly quantity: number; readonly asOf: number | null }[]
}
export type ApproveCount = { readonly type: 'ApproveCount'; readonly id: Uuid }
export type CancelCount = { readonly type: 'CancelCount'; readonly id: Uuid }

/** Units that somebody who stands before the shelf finds there. Damaged ones and those in quality control are kept elsewhere. */
export const onShelf = (level: Level): number => level.available + level.held + level.committed

export const openCount = (command: OpenCount, view: StockView, now: Instant): Decision => {
  const { id, location, items, reference, metadata } = command
  return acceptWork(
    { kind: 'count', id, version: 1, status: 'open', location, items, lines: [], createdAt: now, endedAt: null, reference, metadata },
    'count.opened',
    movements(view),
  )
}

/** Counted again, an item's line is replaced. The same item twice in one command was found in two places: it is added up. */
export const countItems = (command: CountItems, view: StockView, now: Instant): Decision => {
  const count = view.work('count', command.id)
  if (count === undefined) return reject({ code: 'work_not_found', kind: 'count', id: command.id })
  if (count.status !== 'open') return reject({ code: 'not_in_state', kind: 'count', id: count.id, status: count.status, asked: 'counted' })
  const { location, items } = count
  const foreign = items === null ? undefined : command.lines.find((line) => !items.includes(line.item))
  if (foreign !== undefined) return reject({ code: 'not_in_count', id: count.id, item: foreign.item })

  // From here it is counted.
  const lines = new Map(count.lines.map((line) => [line.item, line]))
  for (const { item, quantity, asOf } of summed(command.lines)) {
    const level = view.level(item, location)
    const expected = asOf === null ? onShelf(level) : view.shelfAsOf(item, location, asOf)
    lines.set(item, { item, counted: quantity, expected, countedAt: now, asOf, levelVersion: level.version })
  }
  return acceptWork({ ...count, version: count.version + 1, lines: [...lines.values()] }, 'count.counted', movements(view))
}

/** Corrects by what was found missing or too many. What is missing is taken from what is for sale: promised units are not broken here. */
export const approveCount = (command: ApproveCount, view: StockView, now: Instant): Decision => {
  const count = view.work('count', command.id)
  if (count === undefined) return reject({ code: 'work_not_found', kind: 'count', id: command.id })
  if (count.status === 'approved') return already({ kind: 'count', count })
  if (count.status === 'canceled') return reject({ code: 'not_in_state', kind: 'count', id: count.id, status: count.status, asked: 'approved' })
  const shortages = count.lines.flatMap(({ item, counted, expected }): Shortage[] => {
    const { available, held, incoming, version } = view.level(item, count.location)
    const missing = expected - counted
    return missing <= available ? [] : [{ item, location: count.location, requested: missing, available, held, incoming, levelVersion: version }]
  })
  if (shortages.length > 0) return reject({ code: 'insufficient_stock', shortages })

  // From here the count stands.
  const stock = movements(view)
  const lines = count.lines.map((line) => {
    const found = line.counted - line.expected
    if (found === 0) return line
    const levelVersion =
      found > 0
        ? stock.move(line.item, count.location, 'shrinkage', 'available', found)
        : stock.move(line.item, count.location, 'available', 'shrinkage', -found)
    return { ...line, levelVersion }
  })
  return acceptWork({ ...count, version: count.version + 1, status: 'approved', lines, endedAt: now }, 'count.approved', stock)
}

export const cancelCount = (command: CancelCount, view: StockView, now: Instant): Decision => {
  const count = view.work('count', command.id)
  if (count === undefined) return reject({ code: 'work_not_found', kind: 'count', id: command.id })
  if (count.status === 'canceled') return already({ kind: 'count', count })
  if (count.status === 'approved') return reject({ code: 'not_in_state', kind: 'count', id: count.id, status: count.status, asked: 'canceled' })

  // From here it is canceled.
  return acceptWork({ ...count, version: count.version + 1, status: 'canceled', endedAt: now }, 'count.canceled', movements(view))
}

const summed = (lines: CountItems['lines']): CountItems['lines'] => {
  const sums = new Map<ItemNumber, CountItems['lines'][number]>()
  for (const line of lines) {
    const sum = sums.get(line.item)
    // Both halves are held against the books of the later moment: the earlier one was still being counted.
    const asOf = sum === undefined || sum.asOf === null || line.asOf === null ? (sum === undefined ? line.asOf : null) : Math.max(sum.asOf, line.asOf)
    sums.set(line.item, { item: line.item, quantity: (sum?.quantity ?? 0) + line.quantity, asOf })
  }
  return [...sums.values()]
}
