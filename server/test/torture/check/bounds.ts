// Reads once more, without their versions: what is said to be held lies between what must have been held and what may have been,
// by when the calls that hold and give back began and ended. It knows less than the versions do, and depends on nothing they say.
import type { Evidence, Violation } from './evidence.ts'
import { stateNumbers } from './snapshot.ts'
import type { Observer } from './observations.ts'

const CHECK = 'what is held lies between what must and what may have been'

type Change = { readonly by: number; readonly invNs: number; readonly compNs: number }

export const checkBounds = (evidence: Evidence, observers: readonly Observer[]): Violation[] => {
  const changes = new Map<string, Change[]>()
  for (const event of evidence.snapshot.events) {
    const wish = evidence.wishOf.get(event.sequence)
    const sums = new Map<string, number>()
    for (const entry of evidence.entriesOf.get(event.sequence) ?? []) {
      const by = (stateNumbers[entry.to] === 'held' ? entry.quantity : 0) - (stateNumbers[entry.from] === 'held' ? entry.quantity : 0)
      if (by !== 0) sums.set(evidence.levelName(entry), (sums.get(evidence.levelName(entry)) ?? 0) + by)
    }
    for (const [level, by] of sums) {
      const change = { by, invNs: wish?.invNs ?? -Infinity, compNs: wish?.compNs ?? Infinity }
      const list = changes.get(level)
      if (list === undefined) changes.set(level, [change])
      else list.push(change)
    }
  }
  const sums = new Map(Array.from(changes, ([level, list]) => [level, prefixes(list)]))
  return observers.flatMap(({ who, invNs, compNs, seen }) =>
    seen.flatMap(({ level, said, isWrite }): Violation[] => {
      const held = said?.held
      const of = sums.get(level)
      if (isWrite || held === undefined || of === undefined) return []
      const least = of.moreEnded(invNs) + of.lessBegun(compNs)
      const most = of.moreBegun(compNs) + of.lessEnded(invNs)
      if (Math.max(0, least) <= held && held <= most) return []
      return [{ check: CHECK, what: `${who}: ${held} of ${level} are said to be held, and it must be ${Math.max(0, least)} to ${most}` }]
    }),
  )
}

/** Sums of changes that had begun, or ended, by an instant: sorted once, and searched by halving. */
const prefixes = (changes: readonly Change[]) => {
  const more = changes.filter(({ by }) => by > 0)
  const less = changes.filter(({ by }) => by < 0)
  return {
    moreBegun: sumsOf(more, ({ invNs }) => invNs, true),
    moreEnded: sumsOf(more, ({ compNs }) => compNs, false),
    lessBegun: sumsOf(less, ({ invNs }) => invNs, true),
    lessEnded: sumsOf(less, ({ compNs }) => compNs, false),
  }
}

/** @param included  whether what is at the very instant counts */
const sumsOf = (changes: readonly Change[], when: (change: Change) => number, included: boolean): ((atNs: number) => number) => {
  const sorted = changes.toSorted((a, b) => when(a) - when(b))
  const instants = sorted.map(when)
  const sums = [0]
  for (const { by } of sorted) sums.push((sums.at(-1) ?? 0) + by)
  return (atNs) => {
    let [low, high] = [0, instants.length]
    while (low < high) {
      const middle = (low + high) >> 1
      const instant = instants[middle] ?? Infinity
      if (included ? instant <= atNs : instant < atNs) low = middle + 1
      else high = middle
    }
    return sums[low] ?? 0
  }
}
