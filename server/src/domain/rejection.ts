// The stock rules' "no": a closed list of values with the facts that the caller can act on.
import type { Instant } from './instant.ts'
import type { ItemNumber, LocationNumber, Uuid } from './ids.ts'
import type { WorkKind } from './work.ts'

/** Why a line could not be had. With several locations in question the numbers are their sums and there is no one version. */
export type Shortage = {
  readonly item: ItemNumber
  readonly location: LocationNumber | null
  readonly requested: number
  readonly available: number
  readonly held: number
  readonly incoming: number
  readonly levelVersion: number | null
}

export type Rejection =
  | { readonly code: 'insufficient_stock'; readonly shortages: readonly Shortage[] }
  | { readonly code: 'hold_not_found'; readonly hold: Uuid }
  | { readonly code: 'hold_expired'; readonly hold: Uuid; readonly expiresAt: Instant }
  | { readonly code: 'hold_already_executed'; readonly hold: Uuid }
  | { readonly code: 'hold_already_released'; readonly hold: Uuid }
  | {
      readonly code: 'quantity_exceeds_remaining'
      readonly hold: Uuid
      readonly item: ItemNumber | null
      readonly requested: number
      readonly remaining: number
    }
  | { readonly code: 'ttl_out_of_range'; readonly hold: Uuid; readonly longestMs: number }
  | { readonly code: 'purchase_limit_exceeded'; readonly customer: string; readonly item: ItemNumber; readonly requested: number; readonly remaining: number }
  | { readonly code: 'work_not_found'; readonly kind: WorkKind; readonly id: Uuid }
  | { readonly code: 'not_in_state'; readonly kind: WorkKind; readonly id: Uuid; readonly status: string; readonly asked: string }
  | {
      readonly code: 'quantity_exceeds_outstanding'
      readonly kind: WorkKind
      readonly id: Uuid
      readonly item: ItemNumber
      readonly requested: number
      readonly remaining: number
    }
  | { readonly code: 'already_announced'; readonly id: Uuid }
  | { readonly code: 'not_in_count'; readonly id: Uuid; readonly item: ItemNumber }
  | { readonly code: 'version_conflict'; readonly item: ItemNumber; readonly location: LocationNumber; readonly expected: number; readonly current: number }

/** A retryable "no" may become a "yes" by itself, so it is not remembered under its key. */
export const isRetryable = ({ code }: Rejection): boolean => code === 'insufficient_stock'
