// How everything stands, from one look to the next. What was found once may be a hiccup: only what a second look finds, too, stands.
import { together, type Change, type Found, type Standing, type State } from './component.ts'

export type Board = {
  /** Takes what a look found, by component. Answers whether something is to be looked at again soon. */
  note(found: ReadonlyMap<string, readonly Found[]>): boolean
  standing(): readonly Standing[]
  /** What went down or came back, in its order, and was not told yet. */
  changes(): readonly Change[]
  /** These need not be told any more. */
  forget(changes: readonly Change[]): void
}

/** @param most  changes that are kept while they cannot be told; the oldest go first */
export const board = ({ now, most }: { readonly now: () => number; readonly most: number }): Board => {
  const stands = new Map<string, Standing>()
  /** What the last look found that does not stand yet, and when. */
  const suspected = new Map<string, { readonly state: State; readonly since: number }>()
  let changes: readonly Change[] = []

  const noteOne = (name: string, processes: readonly Found[]): boolean => {
    const { state, why } = together(processes)
    // Whatever is seen for the first time is taken for well, so that it is told when it is not.
    const before: Standing = stands.get(name) ?? { name, state: 'up', why: null, since: now(), processes }
    if (state === before.state) {
      suspected.delete(name)
      stands.set(name, { ...before, why, processes })
      return false
    }
    const suspicion = suspected.get(name)
    if (suspicion?.state !== state) {
      suspected.set(name, { state, since: now() })
      stands.set(name, { ...before, processes })
      return true
    }
    suspected.delete(name)
    const after: Standing = { name, state, why, since: suspicion.since, processes }
    stands.set(name, after)
    if ((state === 'down') !== (before.state === 'down')) changes = [...changes, { name, state, why, since: after.since }].slice(-most)
    return false
  }

  return {
    note: (found) => Array.from(found, ([name, processes]) => noteOne(name, processes)).some((again) => again),
    standing: () => [...stands.values()],
    changes: () => changes,
    forget: (told) => void (changes = changes.filter((change) => !told.includes(change))),
  }
}
