// Facts that happened to stock, and the documents they are about.
import type { Hold } from './hold.ts'
import type { Count } from './count.ts'
import type { Adjustment, Receipt, Return, Shipment } from './document.ts'
import type { InboundShipment } from './inbound-shipment.ts'
import type { ItemNumber, LocationNumber, Uuid } from './ids.ts'
import type { Level } from './level.ts'
import type { SignalEventType } from './signal.ts'
import type { Transfer } from './transfer.ts'

export type StockEventType =
  | 'stock.received'
  | 'stock.adjusted'
  | 'stock.moved'
  | 'stock.shipped'
  | 'stock.returned'
  | 'hold.placed'
  | 'hold.executed'
  | 'hold.released'
  | 'hold.extended'
  | 'hold.expired'
  | 'hold.canceled'
  | 'transfer.created'
  | 'transfer.dispatched'
  | 'transfer.received'
  | 'transfer.canceled'
  | 'inbound.announced'
  | 'inbound.received'
  | 'inbound.canceled'
  | 'count.opened'
  | 'count.counted'
  | 'count.approved'
  | 'count.canceled'
  | SignalEventType

/** The document that a command made or changed: what is answered, and what its event tells. */
export type DocumentAnswer =
  | { readonly kind: 'hold'; readonly hold: Hold }
  | { readonly kind: 'receipt'; readonly receipt: Receipt }
  | { readonly kind: 'adjustment'; readonly adjustment: Adjustment }
  | { readonly kind: 'shipment'; readonly shipment: Shipment }
  | { readonly kind: 'return'; readonly return: Return }
  | { readonly kind: 'transfer'; readonly transfer: Transfer }
  | { readonly kind: 'inbound_shipment'; readonly inbound: InboundShipment }
  | { readonly kind: 'count'; readonly count: Count }

/** Which document an answer is: what its movements belong to. */
export const documentOf = (answer: DocumentAnswer): { readonly kind: DocumentAnswer['kind']; readonly id: Uuid } => {
  switch (answer.kind) {
    case 'hold':
      return { kind: 'hold', id: answer.hold.id }
    case 'receipt':
      return { kind: 'receipt', id: answer.receipt.id }
    case 'adjustment':
      return { kind: 'adjustment', id: answer.adjustment.id }
    case 'shipment':
      return { kind: 'shipment', id: answer.shipment.id }
    case 'return':
      return { kind: 'return', id: answer.return.id }
    case 'transfer':
      return { kind: 'transfer', id: answer.transfer.id }
    case 'inbound_shipment':
      return { kind: 'inbound_shipment', id: answer.inbound.id }
    case 'count':
      return { kind: 'count', id: answer.count.id }
  }
}

/** The documents that are written once, and never change. */
export type WrittenOnce = Extract<DocumentAnswer, { kind: 'receipt' | 'adjustment' | 'shipment' | 'return' }>
export const isWrittenOnce = (answer: DocumentAnswer): answer is WrittenOnce =>
  answer.kind === 'receipt' || answer.kind === 'adjustment' || answer.kind === 'shipment' || answer.kind === 'return'

/** How a level stands, told because it crossed a line. */
export type LevelTold = { readonly kind: 'stock_level'; readonly level: Level }
/** What a stock event tells. */
export type EventData = DocumentAnswer | LevelTold

/** An event before the ledger has given it its place and time. */
export type EventDraft = {
  readonly type: StockEventType
  /** The document whose version this event made: a shipment is an event of its hold. */
  readonly subject: { readonly kind: SubjectKind; readonly id: string; readonly version: number }
  readonly data: EventData
}
export type SubjectKind = Exclude<DocumentAnswer['kind'], 'shipment'> | 'stock_level'

/** A level as the subject of events. */
export const levelSubject = (item: ItemNumber, location: LocationNumber): string => `${item}@${location}`

/** An event as the ledger has it. `data` is an EventData, or for items and locations what is told as it is. */
export type WrittenEvent = {
  readonly sequence: number
  readonly type: string
  readonly subject: { readonly kind: string; readonly id: string; readonly version: number }
  readonly actor: string
  readonly requestId: string
  readonly data: unknown
  readonly occurredAt: number
}
