// Facts that happened to stock, and the documents they are about.
import type { Hold } from './hold.ts'
import type { Adjustment, Receipt, Return, Shipment } from './document.ts'

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

/** The document that a command made or changed: what is answered, and what its event tells. */
export type DocumentAnswer =
  | { readonly kind: 'hold'; readonly hold: Hold }
  | { readonly kind: 'receipt'; readonly receipt: Receipt }
  | { readonly kind: 'adjustment'; readonly adjustment: Adjustment }
  | { readonly kind: 'shipment'; readonly shipment: Shipment }
  | { readonly kind: 'return'; readonly return: Return }

/** An event before the ledger has given it its place and time. */
export type EventDraft = {
  readonly type: StockEventType
  /** The document whose version this event made: a shipment is an event of its hold. */
  readonly subject: { readonly kind: 'hold' | 'receipt' | 'adjustment' | 'return'; readonly id: string; readonly version: number }
  readonly data: DocumentAnswer
}

/** An event as the ledger has it. `data` is a DocumentAnswer, or for items and locations what is told as it is. */
export type WrittenEvent = {
  readonly sequence: number
  readonly type: string
  readonly subject: { readonly kind: string; readonly id: string; readonly version: number }
  readonly actor: string
  readonly requestId: string
  readonly data: unknown
  readonly occurredAt: number
}
