// The board as it is told: components with what depends on them, and functions with what is the matter with them.
import type { OutputOf, Operations } from '@holdfast/contract'
import { iso } from '../answer.ts'
import { worst, type Standing, type State, type WireComponent } from './component.ts'
import { effectsOf } from './functions.ts'

export type WireStatus = OutputOf<Operations['status']['get']>

export const renderStatus = (standing: readonly Standing[], checkedAt: number): WireStatus => {
  const functions = functionsOf(standing)
  return {
    object: 'status',
    state: worst(functions.map(({ state }) => state)),
    checked_at: iso(checkedAt),
    components: standing.map(renderComponent),
    functions,
  }
}

const renderComponent = ({ name, state, since, why, processes }: Standing): WireComponent => ({
  object: 'component',
  name,
  state,
  since: iso(since),
  why,
  ...about(name),
  processes: processes.map((process) => ({ where: process.where, state: process.state, why: process.why })),
})

/** What is so of a component whether it is up or down. */
export const about = (name: string): Pick<WireComponent, 'kind' | 'affects'> => {
  const { kind, whenDown } = effectsOf(name)
  return { kind, affects: whenDown.map(({ function: affected, means }) => ({ function: affected, means })) }
}

const functionsOf = (standing: readonly Standing[]): WireStatus['functions'] => {
  const effects = standing.flatMap((component) => effectsOf(component.name).whenDown.map((effect) => ({ component, ...effect })))
  return Array.from(
    Map.groupBy(effects, (effect) => effect.function),
    ([name, all]) => {
      const felt = all.flatMap(({ component, state, means }): { because: string; state: State; means: string }[] => {
        if (component.state === 'up') return []
        const isDown = component.state === 'down'
        return [{ because: component.name, state: isDown ? state : 'degraded', means: isDown ? means : effectsOf(component.name).whenDegraded }]
      })
      const state = worst(felt.map((one) => one.state))
      // What is worst says it all.
      const means = [...new Set(felt.filter((one) => one.state === state).map((one) => one.means))].join(' ')
      return { name, state, means: means === '' ? null : means, because: felt.map(({ because }) => because) }
    },
  )
}
