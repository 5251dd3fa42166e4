// It goes on: while things break, somebody is always answered within a bounded time; and when nothing breaks any more, it is soon quiet.
import type { History } from '../history.ts'
import type { Violation } from './evidence.ts'

/** The longest time without any answer, and the longest until it is quiet. */
export type Patience = { readonly silenceMs: number; readonly unrestMs: number }

const CHECKS = { silence: 'somebody is always answered', quiet: 'it becomes quiet' } as const

/** The longest time in which nothing was done, between two instants. */
export const longestSilenceMs = (operations: History['operations'], fromNs: number, toNs: number): number => {
  const ends = operations.flatMap(({ attempts }) => attempts.flatMap(({ outcome, compNs }) => (outcome === 'ok' && compNs !== null ? [compNs] : [])))
  const within = [fromNs, ...ends.filter((ns) => ns > fromNs && ns < toNs).toSorted((a, b) => a - b), toNs]
  return within.reduce((longest, ns, index) => Math.max(longest, (ns - (within[index - 1] ?? ns)) / 1e6), 0)
}

export type Lived = { readonly silenceMs: number; readonly quietAfterMs: number | null; readonly unrest: string }

export const checkLiveness = ({ silenceMs, quietAfterMs, unrest }: Lived, patience: Patience): Violation[] => [
  ...(silenceMs > patience.silenceMs ? [{ check: CHECKS.silence, what: `nobody was for ${(silenceMs / 1_000).toFixed(1)} s` }] : []),
  ...(quietAfterMs === null ? [{ check: CHECKS.quiet, what: `it did not within ${patience.unrestMs / 1_000} s: ${unrest}` }] : []),
]
