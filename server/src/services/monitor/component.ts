// What is watched: a component is a role, with its processes, or something that all of them need.
import type { OutputOf, Operations } from '@holdfast/contract'
import type { PartState } from '../service.ts'

export type WireComponent = OutputOf<Operations['status']['get']>['components'][number]
export type Kind = WireComponent['kind']
export type State = PartState['state']

/** One process of a component, or one server, as it was found just now. */
export type Found = PartState & { readonly where: string }

/** A component as it stands: what was found twice in a row. */
export type Standing = PartState & { readonly name: string; readonly since: number; readonly processes: readonly Found[] }

/** From here on it is down, or no longer. Told once. */
export type Change = Pick<Standing, 'name' | 'state' | 'since' | 'why'>

export const up: PartState = { state: 'up', why: null }
export const degraded = (why: string): PartState => ({ state: 'degraded', why })
export const down = (why: string): PartState => ({ state: 'down', why })

const order: readonly State[] = ['up', 'degraded', 'down']
/** The one in the middle of three. */
export const middle = (...states: readonly [State, State, State]): State =>
  states.toSorted((one, other) => order.indexOf(one) - order.indexOf(other))[1] ?? 'up'
export const worst = (states: readonly State[]): State => order[Math.max(0, ...states.map((state) => order.indexOf(state)))] ?? 'up'

/** The state of all together: down when nobody is left, degraded when somebody is not well. */
export const together = (found: readonly Found[]): PartState => {
  const unwell = found.filter(({ state }) => state !== 'up')
  if (unwell.length === 0) return up
  const state = found.every((one) => one.state === 'down') ? 'down' : 'degraded'
  return { state, why: found.length === 1 ? whyOf(unwell) : `${unwell.length} of ${found.length}: ${whyOf(unwell)}` }
}
const whyOf = (unwell: readonly Found[]): string => unwell.map(({ where, why }) => `${where}: ${why ?? 'it does not say why'}`).join('; ')

/** An error in one line, for whoever reads the status. Node's own, of several addresses that were tried, have only a code. */
export const reasonOf = (error: unknown): string => {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  if (!(cause instanceof Error)) return String(cause)
  const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : cause.name
  return (cause.message === '' ? code : cause.message).slice(0, REASON_CHARACTERS)
}
const REASON_CHARACTERS = 200
