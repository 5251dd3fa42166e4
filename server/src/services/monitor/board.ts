// How everything stands, from one look to the next. What was found once may be a hiccup: only what a second look finds, too, stands;
// of two looks that found different things, as much as both have seen.
import { middle, together, type Change, type Found, type Standing } from './component.ts'
import type { PartState } from '../service.ts'

export type Board = {
  /** Takes what a look found, by component. Answers whether something is to be looked at again soon. */
  note(found: ReadonlyMap<string, readonly Found[] | 'absent'>): boolean
  standing(): readonly Standing[]
  /** What the last look found not to be here, and since when: whatever was told of it before, it is missed no longer. */
  absent(): readonly Pick<Standing, 'name' | 'since'>[]
  /** What went down or came back, in its order, and was not told yet. */
  changes(): readonly Change[]
  /** These need not be told any more. */
  forget(changes: readonly Change[]): void
}

/** @param most  changes that are kept while they cannot be told; the oldest go first */
export const board = ({ now, most }: { readonly now: () => number; readonly most: number }): Board => {
  const stands = new Map<string, Standing>()
  /** What the last look found that does not stand yet, and when. */
  const suspected = new Map<string, PartState & { readonly since: number }>()
  const absences = new Map<string, number>()
  let changes: readonly Change[] = []

  const noteOne = (name: string, processes: readonly Found[] | 'absent'): boolean => {
    if (processes === 'absent') {
      stands.delete(name)
      suspected.delete(name)
      if (!absences.has(name)) absences.set(name, now())
      return false
    }
    absences.delete(name)
    const found = together(processes)
    // Whatever is seen for the first time is taken for well, so that it is told when it is not.
    const before: Standing = stands.get(name) ?? { name, state: 'up', why: null, since: now(), processes }
    const suspicion = suspected.get(name)
    const state = middle(before.state, suspicion?.state ?? before.state, found.state)
    // Of the two looks, the one that found just this says why.
    const why = found.state === state ? found.why : suspicion?.state === state ? suspicion.why : before.why
    const since = state === before.state ? before.since : (suspicion?.since ?? now())
    stands.set(name, { name, state, why, since, processes })
    if ((state === 'down') !== (before.state === 'down')) changes = [...changes, { name, state, why, since }].slice(-most)
    if (found.state === state) suspected.delete(name)
    else suspected.set(name, { ...found, since: suspicion?.state === found.state ? suspicion.since : now() })
    return found.state !== state
  }

  return {
    note: (found) => Array.from(found, ([name, processes]) => noteOne(name, processes)).some((again) => again),
    standing: () => [...stands.values()],
    absent: () => Array.from(absences, ([name, since]) => ({ name, since })),
    changes: () => changes,
    forget: (told) => void (changes = changes.filter((change) => !told.includes(change))),
  }
}
