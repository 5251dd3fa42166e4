// Stock that goes from one location of ours to another: it leaves, is on its way, and arrives.
import { arrive, expectedLines, isComplete, outstanding, type Arrival, type ExpectedLine } from './arrival.ts'
import { acceptWork, already, movements, reject, type Decision, type StockView } from './decision.ts'
import type { Noted } from './document.ts'
import type { Line } from './hold.ts'
import type { Instant } from './instant.ts'
import type { LocationNumber, Uuid } from './ids.ts'
import type { Shortage } from './rejection.ts'

export type TransferLine = ExpectedLine & {
  /** The version of the level at the source that the line's last movement there made; null before it left. */
  readonly sourceVersion: number | null
}

export type Transfer = Noted & {
  readonly kind: 'transfer'
  readonly id: Uuid
  readonly version: number
  readonly status: 'open' | 'dispatched' | 'received' | 'canceled'
  readonly from: LocationNumber
  readonly to: LocationNumber
  readonly lines: readonly TransferLine[]
  readonly createdAt: Instant
  readonly dispatchedAt: Instant | null
  readonly endedAt: Instant | null
}

export type PlanTransfer = Noted & {
  readonly type: 'PlanTransfer'
  readonly id: Uuid
  readonly from: LocationNumber
  readonly to: LocationNumber
  readonly lines: readonly Line[]
}
export type DispatchTransfer = { readonly type: 'DispatchTransfer'; readonly id: Uuid }
export type ReceiveTransfer = { readonly type: 'ReceiveTransfer'; readonly id: Uuid } & Arrival
export type CancelTransfer = { readonly type: 'CancelTransfer'; readonly id: Uuid }

/** Plans it: nothing moves yet. */
export const planTransfer = (command: PlanTransfer, view: StockView, now: Instant): Decision => {
  const { id, from, to, reference, metadata } = command
  const lines = expectedLines(command.lines).map((line) => ({ ...line, sourceVersion: null }))
  return acceptWork(
    { kind: 'transfer', id, version: 1, status: 'open', from, to, lines, createdAt: now, dispatchedAt: null, endedAt: null, reference, metadata },
    'transfer.created',
    movements(view),
  )
}

/** All of it leaves at once, or none of it: what is for sale at the source is on its way from then on. */
export const dispatchTransfer = (command: DispatchTransfer, view: StockView, now: Instant): Decision => {
  const transfer = view.work('transfer', command.id)
  if (transfer === undefined) return reject({ code: 'work_not_found', kind: 'transfer', id: command.id })
  if (transfer.status === 'dispatched') return already({ kind: 'transfer', transfer })
  if (transfer.status !== 'open') return reject({ code: 'not_in_state', kind: 'transfer', id: transfer.id, status: transfer.status, asked: 'dispatched' })
  const shortages = transfer.lines.flatMap(({ item, quantity }): Shortage[] => {
    const level = view.level(item, transfer.from)
    if (level.available >= quantity) return []
    const { available, held, incoming, version } = level
    return [{ item, location: transfer.from, requested: quantity, available, held, incoming, levelVersion: version }]
  })
  if (shortages.length > 0) return reject({ code: 'insufficient_stock', shortages })

  // From here it is on its way.
  const stock = movements(view)
  const lines = transfer.lines.map((line) => ({
    ...line,
    sourceVersion: stock.move(line.item, transfer.from, 'available', 'transit', line.quantity),
    levelVersion: stock.move(line.item, transfer.to, 'transit', 'incoming', line.quantity),
  }))
  return acceptWork({ ...transfer, version: transfer.version + 1, status: 'dispatched', lines, dispatchedAt: now }, 'transfer.dispatched', stock)
}

export const receiveTransfer = (command: ReceiveTransfer, view: StockView, now: Instant): Decision => {
  const transfer = view.work('transfer', command.id)
  if (transfer === undefined) return reject({ code: 'work_not_found', kind: 'transfer', id: command.id })
  if (transfer.status === 'received' && command.lines === null) return already({ kind: 'transfer', transfer })
  if (transfer.status !== 'dispatched') return reject({ code: 'not_in_state', kind: 'transfer', id: transfer.id, status: transfer.status, asked: 'received' })
  const stock = movements(view)
  const arrived = arrive(transfer.lines, command, 'shrinkage', (item, from, to, quantity) => stock.move(item, transfer.to, from, to, quantity))
  if (!arrived.ok) {
    const { item, requested, remaining } = arrived
    return reject({ code: 'quantity_exceeds_outstanding', kind: 'transfer', id: transfer.id, item, requested, remaining })
  }
  if (arrived.nothing) return already({ kind: 'transfer', transfer })
  const lines = arrived.lines.map((line, index) => ({ ...line, sourceVersion: transfer.lines[index]?.sourceVersion ?? null }))
  const ends = isComplete(lines)
  return acceptWork(
    { ...transfer, version: transfer.version + 1, lines, status: ends ? 'received' : 'dispatched', endedAt: ends ? now : null },
    'transfer.received',
    stock,
  )
}

/** Before it left, the plan is dropped. On its way, what has not arrived goes back to where it came from. */
export const cancelTransfer = (command: CancelTransfer, view: StockView, now: Instant): Decision => {
  const transfer = view.work('transfer', command.id)
  if (transfer === undefined) return reject({ code: 'work_not_found', kind: 'transfer', id: command.id })
  if (transfer.status === 'canceled') return already({ kind: 'transfer', transfer })
  if (transfer.status === 'received') return reject({ code: 'not_in_state', kind: 'transfer', id: transfer.id, status: transfer.status, asked: 'canceled' })

  // From here it is canceled.
  const stock = movements(view)
  const lines = transfer.lines.map((line) => {
    const back = outstanding(line)
    if (transfer.status === 'open' || back === 0) return line
    return {
      ...line,
      withdrawn: back,
      levelVersion: stock.move(line.item, transfer.to, 'incoming', 'transit', back),
      sourceVersion: stock.move(line.item, transfer.from, 'transit', 'available', back),
    }
  })
  return acceptWork({ ...transfer, version: transfer.version + 1, status: 'canceled', lines, endedAt: now }, 'transfer.canceled', stock)
}
