// What a customer brings back: to be sold again, to be looked at, or damaged.
import { movements, reject, type Decision, type StockView } from './decision.ts'
import type { Adjustable, Noted, Return } from './document.ts'
import { summedByItem, total, type Hold } from './hold.ts'
import type { Instant } from './instant.ts'
import type { ItemNumber, LocationNumber, Uuid } from './ids.ts'

export type ReturnStock = Noted & {
  readonly type: 'ReturnStock'
  readonly id: Uuid
  /** The hold that it was shipped for, if that is known: no more comes back for it than was shipped. */
  readonly hold: Uuid | null
  readonly location: LocationNumber
  readonly lines: readonly { readonly item: ItemNumber; readonly quantity: number; readonly to: Adjustable }[]
}

export const returnStock = (command: ReturnStock, view: StockView, now: Instant): Decision => {
  const hold = command.hold === null ? undefined : view.hold(command.hold)
  if (command.hold !== null && hold === undefined) return reject({ code: 'hold_not_found', hold: command.hold })
  for (const { item, quantity } of hold ? summedByItem(command.lines) : []) {
    const remaining = hold ? total(hold.allocations, 'shipped', item) - total(hold.allocations, 'returned', item) : 0
    if (hold && quantity > remaining) return reject({ code: 'quantity_exceeds_remaining', hold: hold.id, item, requested: quantity, remaining })
  }

  // From here the return stands.
  const stock = movements(view)
  const lines = summed(command.lines).map(({ item, quantity, to }) => ({
    item,
    quantity,
    to,
    levelVersion: stock.move(item, command.location, 'customer', to, quantity),
  }))
  const after = hold ? withReturned(hold, command) : undefined
  const document: Return = {
    id: command.id,
    hold: command.hold,
    location: command.location,
    lines,
    createdAt: now,
    reference: command.reference,
    metadata: command.metadata,
  }
  const answer = { kind: 'return', return: document } as const
  return {
    ok: true,
    answer,
    entries: stock.entries,
    levels: stock.levels(),
    ...(after ? { hold: after } : {}),
    event: {
      type: 'stock.returned',
      data: answer,
      subject: after ? { kind: 'hold', id: after.id, version: after.version } : { kind: 'return', id: document.id, version: 1 },
    },
  }
}

const withReturned = (hold: Hold, command: ReturnStock): Hold => {
  const open = new Map(summedByItem(command.lines).map((line) => [line.item, line.quantity]))
  const allocations = hold.allocations.map((allocation) => {
    const returned = Math.min(open.get(allocation.item) ?? 0, allocation.shipped - allocation.returned)
    open.set(allocation.item, (open.get(allocation.item) ?? 0) - returned)
    return returned === 0 ? allocation : { ...allocation, returned: allocation.returned + returned }
  })
  return { ...hold, version: hold.version + 1, allocations }
}

const summed = (lines: ReturnStock['lines']): ReturnStock['lines'] => {
  const sums = new Map<string, ReturnStock['lines'][number]>()
  for (const line of lines) {
    const key = `${line.item}:${line.to}`
    sums.set(key, { ...line, quantity: (sums.get(key)?.quantity ?? 0) + line.quantity })
  }
  return [...sums.values()]
}
