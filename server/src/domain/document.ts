// The documents that move stock in one step. They are written once and never change.
import type { Instant } from './instant.ts'
import type { ItemNumber, LocationNumber, Uuid } from './ids.ts'
import type { StockState } from './level.ts'

export type Noted = { readonly reference: string | null; readonly metadata: Readonly<Record<string, string>> }

export type Receipt = Noted & {
  readonly id: Uuid
  readonly location: LocationNumber
  readonly lines: readonly { readonly item: ItemNumber; readonly quantity: number; readonly levelVersion: number }[]
  readonly createdAt: Instant
}

/** States that a person may move units between by hand, and the world they can be lost to or found in. */
export type Adjustable = Extract<StockState, 'available' | 'quality_control' | 'damaged'>

export type Adjustment = Noted & {
  readonly id: Uuid
  readonly location: LocationNumber
  readonly reason: string
  readonly lines: readonly {
    readonly item: ItemNumber
    readonly from: Adjustable | 'shrinkage'
    readonly to: Adjustable | 'shrinkage'
    readonly quantity: number
    readonly levelVersion: number
  }[]
  readonly createdAt: Instant
}

export type Shipment = Noted & {
  readonly id: Uuid
  readonly hold: Uuid
  readonly lines: readonly {
    readonly item: ItemNumber
    readonly quantity: number
    readonly allocations: readonly { readonly location: LocationNumber; readonly quantity: number; readonly levelVersion: number }[]
  }[]
  readonly createdAt: Instant
}

export type Return = Noted & {
  readonly id: Uuid
  readonly hold: Uuid | null
  readonly location: LocationNumber
  readonly lines: readonly { readonly item: ItemNumber; readonly quantity: number; readonly to: Adjustable; readonly levelVersion: number }[]
  readonly createdAt: Instant
}
