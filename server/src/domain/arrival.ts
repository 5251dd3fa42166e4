// Units that were on their way arrive: in parts, damaged, more than was said, or never. Shared by transfers and inbound shipments.
import type { Adjustable } from './document.ts'
import { summedByItem } from './hold.ts'
import type { ItemNumber } from './ids.ts'
import type { Place } from './level.ts'

/** quantity = outstanding + received + missing + withdrawn, once it is on its way. Excess came on top of it. */
export type ExpectedLine = {
  readonly item: ItemNumber
  readonly quantity: number
  readonly received: number
  /** Written off when the document was closed: it never came. */
  readonly missing: number
  /** Taken back when the document was canceled. */
  readonly withdrawn: number
  /** Came though nobody had said so. */
  readonly excess: number
  /** The version of the destination's level that the line's last movement made; null before the first. */
  readonly levelVersion: number | null
}

export type ArrivedLine = { readonly item: ItemNumber; readonly quantity: number; readonly to: Adjustable }

export type Arrival = {
  /** Null: all that is outstanding, to available. */
  readonly lines: readonly ArrivedLine[] | null
  /** Nothing more will come: what is still outstanding is written off. */
  readonly close: boolean
  /** More may come than was said; otherwise that is refused. */
  readonly acceptExcess: boolean
}

/** Where units go that never came, and where those come from that nobody announced. */
export type Beyond = Extract<Place, 'supplier' | 'shrinkage'>

export type Arrived =
  | { readonly ok: true; readonly lines: ExpectedLine[]; readonly nothing: boolean }
  | { readonly ok: false; readonly item: ItemNumber; readonly requested: number; readonly remaining: number }

export const expectedLines = (lines: readonly { readonly item: ItemNumber; readonly quantity: number }[]): ExpectedLine[] =>
  summedByItem(lines).map(({ item, quantity }) => ({ item, quantity, received: 0, missing: 0, withdrawn: 0, excess: 0, levelVersion: null }))

export const outstanding = (line: ExpectedLine): number => line.quantity - line.received - line.missing - line.withdrawn

export const isComplete = (lines: readonly ExpectedLine[]): boolean => lines.every((line) => outstanding(line) === 0)

/**
 * Lets units arrive.
 * @param move  moves units at the destination and says which version of the level that made
 */
export const arrive = (
  expected: readonly ExpectedLine[],
  arrival: Arrival,
  beyond: Beyond,
  move: (item: ItemNumber, from: Place, to: Place, quantity: number) => number,
): Arrived => {
  const arrived = arrival.lines ?? expected.map((line) => ({ item: line.item, quantity: outstanding(line), to: 'available' as const }))
  for (const { item, quantity } of summedByItem(arrived)) {
    const line = expected.find((one) => one.item === item)
    const remaining = line ? outstanding(line) : 0
    // What was never on the document is not its business, however generous the receiver is.
    if (line === undefined || (quantity > remaining && !arrival.acceptExcess)) return { ok: false, item, requested: quantity, remaining }
  }

  // From here the arrival stands.
  let nothing = true
  const lines = expected.map((line) => {
    let after = line
    const moved = (from: Place, to: Place, quantity: number, counts: Partial<ExpectedLine>) => {
      if (quantity === 0) return
      nothing = false
      after = { ...after, ...counts, levelVersion: move(line.item, from, to, quantity) }
    }
    for (const { item, quantity, to } of arrived) {
      if (item !== line.item) continue
      const expectedUnits = Math.min(quantity, outstanding(after))
      moved('incoming', to, expectedUnits, { received: after.received + expectedUnits })
      moved(beyond, to, quantity - expectedUnits, { excess: after.excess + quantity - expectedUnits })
    }
    if (arrival.close) moved('incoming', beyond, outstanding(after), { missing: after.missing + outstanding(after) })
    return after
  })
  return { ok: true, lines, nothing }
}
