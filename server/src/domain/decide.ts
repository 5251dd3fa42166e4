// One switch: each command to its rule. Commands are decided in their order, each seeing what those before it did.
import { adjustStock, type AdjustStock } from './adjustment.ts'
import type { Decision, StockView } from './decision.ts'
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
import type { Instant } from './instant.ts'
import type { ItemNumber, LocationNumber, Uuid } from './ids.ts'
import { receiveStock, type ReceiveStock } from './receipt.ts'
import { returnStock, type ReturnStock } from './return.ts'

export type Command = PlaceHold | ExecuteHold | ReleaseHold | ExtendHold | CancelHold | ExpireHold | ShipHold | ReceiveStock | AdjustStock | ReturnStock

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
    default:
      return unreachable(command)
  }
}

/** What must be locked before a command can be decided. The levels of a hold's allocations go with the hold. */
export type Needs = {
  readonly hold: Uuid | null
  readonly levels: readonly { readonly item: ItemNumber; readonly location: LocationNumber }[]
}

export const needsOf = (command: Command): Needs => {
  switch (command.type) {
    case 'PlaceHold':
      return {
        hold: null,
        levels: command.lines.flatMap(({ item, location }) =>
          location === null ? command.candidates.map((candidate) => ({ item, location: candidate.location })) : [{ item, location }],
        ),
      }
    case 'ExecuteHold':
    case 'ReleaseHold':
    case 'ExtendHold':
    case 'CancelHold':
    case 'ExpireHold':
      return { hold: command.id, levels: [] }
    case 'ShipHold':
      return { hold: command.hold, levels: [] }
    case 'ReceiveStock':
    case 'AdjustStock':
      return { hold: null, levels: command.lines.map(({ item }) => ({ item, location: command.location })) }
    case 'ReturnStock':
      return { hold: command.hold, levels: command.lines.map(({ item }) => ({ item, location: command.location })) }
    default:
      return unreachable(command)
  }
}

const unreachable = (command: never): never => {
  throw new Error(`no rule for command ${JSON.stringify(command)}`)
}
