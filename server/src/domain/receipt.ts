// Stock that a supplier brought.
import { movements, type Decision, type StockView } from './decision.ts'
import type { Noted, Receipt } from './document.ts'
import { summedByItem, type Line } from './hold.ts'
import type { Instant } from './instant.ts'
import type { LocationNumber, Uuid } from './ids.ts'

export type ReceiveStock = Noted & { readonly type: 'ReceiveStock'; readonly id: Uuid; readonly location: LocationNumber; readonly lines: readonly Line[] }

export const receiveStock = (command: ReceiveStock, view: StockView, now: Instant): Decision => {
  const stock = movements(view)
  const lines = summedByItem(command.lines).map(({ item, quantity }) => ({
    item,
    quantity,
    levelVersion: stock.move(item, command.location, 'supplier', 'available', quantity),
  }))
  const receipt: Receipt = { id: command.id, location: command.location, lines, createdAt: now, reference: command.reference, metadata: command.metadata }
  const answer = { kind: 'receipt', receipt } as const
  return {
    ok: true,
    answer,
    entries: stock.entries,
    levels: stock.levels(),
    event: { type: 'stock.received', subject: { kind: 'receipt', id: receipt.id, version: 1 }, data: answer },
  }
}
