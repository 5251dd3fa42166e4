// Corrections by hand: units found or lost, and units moved between available, quality control and damaged.
import { movements, reject, type Decision, type StockView } from './decision.ts'
import type { Adjustable, Adjustment, Noted } from './document.ts'
import type { Instant } from './instant.ts'
import type { ItemNumber, LocationNumber, Uuid } from './ids.ts'
import type { Rejection, Shortage } from './rejection.ts'

export type AdjustmentLine = {
  readonly item: ItemNumber
  readonly from: Adjustable | 'shrinkage'
  readonly to: Adjustable | 'shrinkage'
  readonly quantity: number
  /** The version that the level must have. */
  readonly ifVersion: number | null
}
export type AdjustStock = Noted & {
  readonly type: 'AdjustStock'
  readonly id: Uuid
  readonly location: LocationNumber
  readonly reason: string
  readonly lines: readonly AdjustmentLine[]
}

export const adjustStock = (command: AdjustStock, view: StockView, now: Instant): Decision => {
  const { location } = command
  const conflict = firstConflict(command, view)
  if (conflict) return reject(conflict)

  const stock = movements(view)
  const shortages: Shortage[] = []
  const lines = summed(command.lines).map(({ item, from, to, quantity }) => {
    const level = stock.level(item, location)
    const available = from === 'shrinkage' ? quantity : level[from]
    if (available >= quantity) return { item, from, to, quantity, levelVersion: stock.move(item, location, from, to, quantity) }
    shortages.push({
      item,
      location,
      requested: quantity,
      available,
      held: level.held,
      incoming: level.incoming,
      levelVersion: view.level(item, location).version,
    })
    return { item, from, to, quantity, levelVersion: level.version }
  })
  if (shortages.length > 0) return reject({ code: 'insufficient_stock', shortages })

  // From here the adjustment stands.
  const adjustment: Adjustment = {
    id: command.id,
    location,
    reason: command.reason,
    lines,
    createdAt: now,
    reference: command.reference,
    metadata: command.metadata,
  }
  const answer = { kind: 'adjustment', adjustment } as const
  const onlyMoves = lines.every((line) => line.from !== 'shrinkage' && line.to !== 'shrinkage')
  return {
    ok: true,
    answer,
    entries: stock.entries,
    levels: stock.levels(),
    event: { type: onlyMoves ? 'stock.moved' : 'stock.adjusted', subject: { kind: 'adjustment', id: adjustment.id, version: 1 }, data: answer },
  }
}

const firstConflict = (command: AdjustStock, view: StockView): Rejection | undefined => {
  for (const { item, ifVersion } of command.lines) {
    if (ifVersion === null) continue
    const current = view.level(item, command.location).version
    if (current !== ifVersion) return { code: 'version_conflict', item, location: command.location, expected: ifVersion, current }
  }
  return undefined
}

/** Lines with the same item and the same movement are one line; what comes in is counted before what goes out. */
const summed = (lines: readonly AdjustmentLine[]): AdjustmentLine[] => {
  const sums = new Map<string, AdjustmentLine>()
  for (const line of lines) {
    const key = `${line.item}:${line.from}:${line.to}`
    sums.set(key, { ...line, quantity: (sums.get(key)?.quantity ?? 0) + line.quantity })
  }
  return [...sums.values()].toSorted((a, b) => Number(b.from === 'shrinkage') - Number(a.from === 'shrinkage'))
}
