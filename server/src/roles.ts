// The roles of the program. One process runs all of them, or each its own, or anything between.
import type { Operation } from '@holdfast/contract'

export const allRoles = [
  'gateway',
  'identity',
  'inventory',
  'webhooks',
  'relay',
  'timers',
  'item-commands',
  'stock-commands',
  'order-commands',
  'monitor',
] as const
export type Role = (typeof allRoles)[number]

/** Those that take what comes by message. Without a broker there is nothing for them to do. */
export const commandRoles = ['item-commands', 'stock-commands', 'order-commands'] as const satisfies readonly Role[]

/** The roles that `serve` was given, with commas or blanks between them; nothing means all. Throws a sentence when one is none. */
export const rolesOf = (words: readonly string[]): ReadonlySet<Role> => {
  const named = words.flatMap((word) => word.split(',')).filter((word) => word !== '')
  if (named.length === 0 || (named.length === 1 && named[0] === 'all')) return new Set(allRoles)
  const unknown = named.filter((name) => !allRoles.some((role) => role === name))
  if (unknown.length > 0) throw new Error(`there is no role ${unknown.join(', ')}; there are ${allRoles.join(', ')}, and all`)
  return new Set(allRoles.filter((role) => named.includes(role)))
}

/** Whom a role asks, besides itself. */
const asks: Readonly<Record<Role, readonly Operation['service'][]>> = {
  gateway: ['identity', 'inventory', 'webhooks', 'monitor'],
  identity: [],
  inventory: [],
  webhooks: ['inventory'],
  relay: [],
  timers: [],
  // It asks everybody how they do, and needs nobody for that.
  monitor: [],
  'item-commands': ['inventory'],
  'stock-commands': ['inventory'],
  'order-commands': ['inventory'],
}

/** The roles that must be reached elsewhere, because these ask them and do not run here. */
export const rolesElsewhere = (here: ReadonlySet<Role>): ReadonlySet<Operation['service']> =>
  new Set([...here].flatMap((role) => asks[role]).filter((role) => !here.has(role)))

/** HOLDFAST_INVENTORY_URL: where the processes of a role are. */
const urlVariables = {
  gateway: 'HOLDFAST_GATEWAY_URL',
  identity: 'HOLDFAST_IDENTITY_URL',
  inventory: 'HOLDFAST_INVENTORY_URL',
  webhooks: 'HOLDFAST_WEBHOOKS_URL',
  relay: 'HOLDFAST_RELAY_URL',
  timers: 'HOLDFAST_TIMERS_URL',
  monitor: 'HOLDFAST_MONITOR_URL',
  'item-commands': 'HOLDFAST_ITEM_COMMANDS_URL',
  'stock-commands': 'HOLDFAST_STOCK_COMMANDS_URL',
  'order-commands': 'HOLDFAST_ORDER_COMMANDS_URL',
} as const satisfies Record<Role, string>
export const urlVariable = <R extends Role>(role: R): (typeof urlVariables)[R] => urlVariables[role]
