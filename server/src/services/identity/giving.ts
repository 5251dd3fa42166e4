// Nobody gives what they do not have: what a caller makes, changes or takes over can do no more than the caller.
import { withIncluded, type Scope } from '@holdfast/contract'
import { knownLocations } from '../../storage/locations.ts'
import type { Pool } from '../../storage/pool.ts'
import { Refused } from '../answer.ts'
import type { Caller } from '../service.ts'
import type { RateLimit } from './store.ts'

export type Powers = { readonly scopes: readonly string[]; readonly locations: readonly string[] | null }

/** Throws `permission_denied` when these powers are not all the caller's own. */
export const checkGiving = (caller: Caller, { scopes, locations }: Powers): void => {
  const more = withIncluded(scopes).filter((scope) => !caller.scopes.has(scope))
  if (more.length > 0) throw new Refused('permission_denied', `this takes ${more.join(', ')}, which the caller does not have`)
  const elsewhere = locationsBeyond(caller, locations)
  if (elsewhere !== undefined) throw new Refused('permission_denied', `this takes ${elsewhere}, and the caller is restricted to ${ownLocations(caller)}`)
}

/** Whether somebody with these locations works where the caller does. Of all others a restricted caller hears nothing. */
export const isWithin = (caller: Caller, locations: readonly string[] | null): boolean => locationsBeyond(caller, locations) === undefined

/** The only locations of a caller, for a list; null: all of them. */
export const withinOf = (caller: Caller): string[] | null => (caller.locations === null ? null : [...caller.locations])

/** A caller whose key has a limit of its own makes none that has more. Not asked for, the limit is the caller's. */
export const givenRate = ({ rate }: Caller, wanted: RateLimit | undefined): RateLimit => {
  if (rate === undefined || rate === 'unlimited') return wanted ?? null
  if (wanted === undefined) return { limit: rate.limit, window_seconds: rate.windowSeconds }
  if (wanted === null || wanted === 'unlimited' || wanted.limit / wanted.window_seconds > rate.limit / rate.windowSeconds)
    throw new Refused('permission_denied', `the caller may ask ${rate.limit} times in ${rate.windowSeconds} seconds, and gives no more than that`)
  return wanted
}

/** Throws `not_found` for a location that is none: a slip of the pen would otherwise restrict somebody to nothing. */
export const checkLocations = async (pool: Pool, locations: readonly string[] | null | undefined): Promise<void> => {
  if (!locations) return
  const known = new Set(await knownLocations(pool, locations))
  const errors = locations.flatMap((code, index) => (known.has(code) ? [] : [{ param: `locations[${index}]`, message: `there is no location ${code}` }]))
  if (errors.length > 0) throw new Refused('not_found', errors.map(({ message }) => message).join('; '), { errors })
}

/** Each once, in the order of the table. */
export const orderedScopes = (scopes: readonly Scope[]): Scope[] => withIncluded(scopes).filter((scope) => scopes.includes(scope))
export const orderedLocations = (locations: readonly string[] | null | undefined): string[] | null => (locations ? [...new Set(locations)].toSorted() : null)

const locationsBeyond = ({ locations: own }: Caller, wanted: readonly string[] | null): string | undefined => {
  if (own === null) return undefined
  if (wanted === null) return 'all locations'
  const beyond = wanted.filter((code) => !own.has(code))
  return beyond.length === 0 ? undefined : beyond.join(', ')
}
const ownLocations = ({ locations }: Caller): string => [...(locations ?? [])].join(', ')
