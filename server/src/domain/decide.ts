// One switch: each command to its rule. Commands are decided in their order, each seeing what those before it did.
import { adjustStock, type AdjustStock } from './adjustment.ts'
import { approveCount, cancelCount, countItems, openCount, type ApproveCount, type CancelCount, type CountItems, type OpenCount } from './count.ts'
import type { Decision, Purchase, StockView } from './decision.ts'
import {
  cancelHold,
  executeHold,
  expireHold,
  extendHold,
  placeHold,
  releaseHold,
  shipHold,
  type CancelHold,
  type ExecuteHold,
  type ExpireHold,
  type ExtendHold,
  type PlaceHold,
  type ReleaseHold,
  type ShipHold,
} from './hold.ts'
import { announceInbound, cancelInbound, receiveInbound, type AnnounceInbound, type CancelInbound, type ReceiveInbound } from './inbound-shipment.ts'
import type { Instant } from './instant.ts'
import type { ItemNumber, LocationNumber, Uuid } from './ids.ts'
import { receiveStock, type ReceiveStock } from './receipt.ts'
import { returnStock, type ReturnStock } from './return.ts'
import {
  cancelTransfer,
  dispatchTransfer,
  planTransfer,
  receiveTransfer,
  type CancelTransfer,
  type DispatchTransfer,
  type PlanTransfer,
  type ReceiveTransfer,
} from './transfer.ts'

export type Command =
  | PlaceHold
  | ExecuteHold
  | ReleaseHold
  | ExtendHold
  | CancelHold
  | ExpireHold
  | ShipHold
  | ReceiveStock
  | AdjustStock
  | ReturnStock
  | PlanTransfer
  | DispatchTransfer
  | ReceiveTransfer
  | CancelTransfer
  | AnnounceInbound
  | ReceiveInbound
  | CancelInbound
  | OpenCount
  | CountItems
  | ApproveCount
  | CancelCount

export const decide = (command: Command, view: StockView, now: Instant): Decision => {
  switch (command.type) {
    case 'PlaceHold':
      return placeHold(command, view, now)
    case 'ExecuteHold':
      return executeHold(command, view, now)
    case 'ReleaseHold':
      return releaseHold(command, view, now)
    case 'ExtendHold':
      return extendHold(command, view, now)
    case 'CancelHold':
      return cancelHold(command, view, now)
    case 'ExpireHold':
      return expireHold(command, view, now)
    case 'ShipHold':
      return shipHold(command, view, now)
    case 'ReceiveStock':
      return receiveStock(command, view, now)
    case 'AdjustStock':
      return adjustStock(command, view, now)
    case 'ReturnStock':
      return returnStock(command, view, now)
    case 'PlanTransfer':
      return planTransfer(command, view, now)
    case 'DispatchTransfer':
      return dispatchTransfer(command, view, now)
    case 'ReceiveTransfer':
      return receiveTransfer(command, view, now)
    case 'CancelTransfer':
      return cancelTransfer(command, view, now)
    case 'AnnounceInbound':
      return announceInbound(command, view, now)
    case 'ReceiveInbound':
      return receiveInbound(command, view, now)
    case 'CancelInbound':
      return cancelInbound(command, view, now)
    case 'OpenCount':
      return openCount(command, view, now)
    case 'CountItems':
      return countItems(command, view, now)
    case 'ApproveCount':
      return approveCount(command, view, now)
    case 'CancelCount':
      return cancelCount(command, view, now)
    default:
      return unreachable(command)
  }
}

/** What must be locked before a command can be decided. The levels of a hold's allocations, and those of a document's lines, go with it. */
export type Needs = {
  readonly hold: Uuid | null
  readonly levels: readonly LevelName[]
  readonly work: Uuid | null
  /** A name that only one document may have. */
  readonly unique: Uuid | null
  /** What a customer has bought, where there is a limit. */
  readonly purchases: readonly Purchase[]
  /** Shelves as they were at a sequence of the ledger. */
  readonly shelves: readonly (LevelName & { readonly asOf: number })[]
}
export type LevelName = { readonly item: ItemNumber; readonly location: LocationNumber }

const nothing: Needs = { hold: null, levels: [], work: null, unique: null, purchases: [], shelves: [] }

export const needsOf = (command: Command): Needs => {
  switch (command.type) {
    case 'PlaceHold': {
      const { customer, purchaseLimits } = command
      return {
        ...nothing,
        levels: command.lines.flatMap(({ item, location }) =>
          location === null ? command.candidates.map((candidate) => ({ item, location: candidate.location })) : [{ item, location }],
        ),
        purchases: customer === null ? [] : purchaseLimits.map(({ item, windowMs }) => ({ customer, item, windowMs })),
      }
    }
    case 'ExecuteHold':
    case 'ReleaseHold':
    case 'ExtendHold':
    case 'CancelHold':
    case 'ExpireHold':
      return { ...nothing, hold: command.id }
    case 'ShipHold':
      return { ...nothing, hold: command.hold }
    case 'ReceiveStock':
    case 'AdjustStock':
      return { ...nothing, levels: command.lines.map(({ item }) => ({ item, location: command.location })) }
    case 'ReturnStock':
      return { ...nothing, hold: command.hold, levels: command.lines.map(({ item }) => ({ item, location: command.location })) }
    case 'AnnounceInbound':
      return { ...nothing, unique: command.unique, levels: command.lines.map(({ item }) => ({ item, location: command.location })) }
    case 'PlanTransfer':
    case 'OpenCount':
      return nothing
    case 'CountItems': {
      const levels = command.lines.map(({ item }) => ({ item, location: command.location }))
      return {
        ...nothing,
        work: command.id,
        levels,
        shelves: command.lines.flatMap(({ item, asOf }) => (asOf === null ? [] : [{ item, location: command.location, asOf }])),
      }
    }
    case 'DispatchTransfer':
    case 'ReceiveTransfer':
    case 'CancelTransfer':
    case 'ReceiveInbound':
    case 'CancelInbound':
    case 'ApproveCount':
    case 'CancelCount':
      return { ...nothing, work: command.id }
    default:
      return unreachable(command)
  }
}

const unreachable = (command: never): never => {
  throw new Error(`no rule for command ${JSON.stringify(command)}`)
}
