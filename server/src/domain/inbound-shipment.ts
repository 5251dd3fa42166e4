// Stock that a supplier says is coming: announced, received in parts, closed short, or canceled.
import { arrive, expectedLines, isComplete, outstanding, type Arrival, type ExpectedLine } from './arrival.ts'
import { acceptWork, already, movements, reject, type Decision, type StockView } from './decision.ts'
import type { Noted } from './document.ts'
import type { Line } from './hold.ts'
import type { Instant } from './instant.ts'
import type { LocationNumber, Uuid } from './ids.ts'

export type InboundShipment = Noted & {
  readonly kind: 'inbound_shipment'
  readonly id: Uuid
  readonly version: number
  readonly status: 'announced' | 'received' | 'canceled'
  readonly supplier: string
  readonly location: LocationNumber
  /** When the supplier says that it comes. */
  readonly expectedAt: Instant | null
  readonly lines: readonly ExpectedLine[]
  readonly createdAt: Instant
  readonly endedAt: Instant | null
}

export type AnnounceInbound = Noted & {
  readonly type: 'AnnounceInbound'
  readonly id: Uuid
  readonly supplier: string
  readonly location: LocationNumber
  readonly expectedAt: Instant | null
  readonly lines: readonly Line[]
  /** What a supplier calls a shipment belongs to one shipment, for ever: a digest of both; null when it has no name. */
  readonly unique: Uuid | null
}
export type ReceiveInbound = { readonly type: 'ReceiveInbound'; readonly id: Uuid } & Arrival
export type CancelInbound = { readonly type: 'CancelInbound'; readonly id: Uuid }

export const announceInbound = (command: AnnounceInbound, view: StockView, now: Instant): Decision => {
  const { id, supplier, location, expectedAt, reference, metadata, unique } = command
  const other = unique === null ? undefined : view.workNamed(unique)
  if (other !== undefined) return reject({ code: 'already_announced', id: other })

  // From here it is announced.
  const stock = movements(view)
  const lines = expectedLines(command.lines).map((line) => ({ ...line, levelVersion: stock.move(line.item, location, 'supplier', 'incoming', line.quantity) }))
  return acceptWork(
    {
      kind: 'inbound_shipment',
      id,
      version: 1,
      status: 'announced',
      supplier,
      location,
      expectedAt,
      lines,
      createdAt: now,
      endedAt: null,
      reference,
      metadata,
    },
    'inbound.announced',
    stock,
  )
}

export const receiveInbound = (command: ReceiveInbound, view: StockView, now: Instant): Decision => {
  const inbound = view.work('inbound_shipment', command.id)
  if (inbound === undefined) return reject({ code: 'work_not_found', kind: 'inbound_shipment', id: command.id })
  const { id, status, location } = inbound
  if (status === 'received' && command.lines === null) return already({ kind: 'inbound_shipment', inbound })
  if (status !== 'announced') return reject({ code: 'not_in_state', kind: 'inbound_shipment', id, status, asked: 'received' })
  const stock = movements(view)
  const arrived = arrive(inbound.lines, command, 'supplier', (item, from, to, quantity) => stock.move(item, location, from, to, quantity))
  if (!arrived.ok) {
    const { item, requested, remaining } = arrived
    return reject({ code: 'quantity_exceeds_outstanding', kind: 'inbound_shipment', id, item, requested, remaining })
  }
  if (arrived.nothing) return already({ kind: 'inbound_shipment', inbound })
  const ends = isComplete(arrived.lines)
  return acceptWork(
    { ...inbound, version: inbound.version + 1, lines: arrived.lines, status: ends ? 'received' : 'announced', endedAt: ends ? now : null },
    'inbound.received',
    stock,
  )
}

/** What has not come yet is no longer expected; what has come stays. */
export const cancelInbound = (command: CancelInbound, view: StockView, now: Instant): Decision => {
  const inbound = view.work('inbound_shipment', command.id)
  if (inbound === undefined) return reject({ code: 'work_not_found', kind: 'inbound_shipment', id: command.id })
  const { id, status, location } = inbound
  if (status === 'canceled') return already({ kind: 'inbound_shipment', inbound })
  if (status === 'received') return reject({ code: 'not_in_state', kind: 'inbound_shipment', id, status, asked: 'canceled' })

  // From here it is canceled.
  const stock = movements(view)
  const lines = inbound.lines.map((line) => {
    const open = outstanding(line)
    if (open === 0) return line
    return { ...line, withdrawn: open, levelVersion: stock.move(line.item, location, 'incoming', 'supplier', open) }
  })
  return acceptWork({ ...inbound, version: inbound.version + 1, status: 'canceled', lines, endedAt: now }, 'inbound.canceled', stock)
}
