// One look at everything, all at once. Whoever is not heard of in time is down, and nobody waits for them.
import type { PartState } from '../service.ts'
import { down, reasonOf, type Found } from './component.ts'

/** A process that should run a role. It answers for all its roles. */
export type Probe = {
  readonly role: string
  readonly where: string
  ask(signal: AbortSignal): Promise<readonly (PartState & { readonly name: string })[]>
}

/** Something else that is watched. `absent`: there is no such thing here, which is no fault. */
export type Look = {
  readonly component: string
  readonly where: string
  ask(signal: AbortSignal): Promise<readonly Found[] | PartState | 'absent'>
  /** What is known of it when it could not be asked. Without this it is down: who does not answer is what was asked for. */
  unanswered?(why: string): PartState | 'not known'
}

/** By component. What nothing is known of is not in it. */
export type Round = (stopped: AbortSignal) => Promise<ReadonlyMap<string, readonly Found[] | 'absent'>>

export const round = ({
  probes,
  looks,
  askMs,
  onNotKnown,
}: {
  readonly probes: readonly Probe[]
  readonly looks: readonly Look[]
  readonly askMs: number
  readonly onNotKnown: (error: unknown) => void
}): Round => {
  const asked = async ({ role, where, ask }: Probe, stopped: AbortSignal): Promise<Found> => {
    try {
      const mine = (await inTime(ask, askMs, stopped)).find(({ name }) => name === role)
      if (mine === undefined) return { where, ...down('the process does not run this role') }
      return { where, state: mine.state, why: mine.why }
    } catch (error) {
      return { where, ...down(reasonOf(error)) }
    }
  }
  const looked = async ({ where, ask, unanswered = down }: Look, stopped: AbortSignal): Promise<readonly Found[] | 'absent' | 'not known'> => {
    try {
      const found = await inTime(ask, askMs, stopped)
      return found === 'absent' || !('state' in found) ? found : [{ where, ...found }]
    } catch (error) {
      const known = unanswered(reasonOf(error))
      if (known !== 'not known') return [{ where, ...known }]
      if (!stopped.aborted) onNotKnown(error)
      return known
    }
  }

  return async (stopped) => {
    const [ofRoles, ofOthers] = await Promise.all([
      Promise.all(probes.map(async (probe) => [probe.role, await asked(probe, stopped)] as const)),
      Promise.all(looks.map(async (look) => [look.component, await looked(look, stopped)] as const)),
    ])
    const found = new Map<string, readonly Found[] | 'absent'>()
    for (const [role, processes] of Map.groupBy(ofRoles, ([name]) => name))
      found.set(
        role,
        processes.map(([, process]) => process),
      )
    for (const [component, processes] of ofOthers) if (processes !== 'not known') found.set(component, processes)
    return found
  }
}

/** Whether what is asked heeds the signal or not. */
const inTime = async <Answer>(ask: (signal: AbortSignal) => Promise<Answer>, askMs: number, stopped: AbortSignal): Promise<Answer> => {
  const late = Promise.withResolvers<never>()
  const over = new AbortController()
  const give = (why: string) => () => {
    over.abort()
    late.reject(new Error(why))
  }
  const stop = give('the monitor was stopped')
  stopped.addEventListener('abort', stop)
  const timer = setTimeout(give(`no answer within ${askMs} ms`), askMs)
  try {
    return await Promise.race([ask(over.signal), late.promise])
  } finally {
    clearTimeout(timer)
    stopped.removeEventListener('abort', stop)
  }
}
