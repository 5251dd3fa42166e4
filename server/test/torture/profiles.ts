// How long, how hard, and what is the least that counts as having tried.
import type { Least } from './check/enough.ts'
import type { Patience } from './check/liveness.ts'

export type Profile = {
  readonly seconds: number
  readonly rate: number
  readonly everyMs: number
  /** That do everything: the more there are, the more often one can be spared. */
  readonly processes: number
  /** Of every kind of fault, for each minute. */
  readonly faultsPerMinute: number
  readonly patience: Patience
}

const patience: Patience = { silenceMs: 15_000, unrestMs: 60_000 }

export const profiles = {
  /** With every test: a machine that is busy with other tests must manage it, too. */
  smoke: { seconds: 35, rate: 80, everyMs: 4_000, processes: 2, faultsPerMinute: 2, patience: { silenceMs: 30_000, unrestMs: 120_000 } },
  run: { seconds: 120, rate: 150, everyMs: 4_000, processes: 2, faultsPerMinute: 8, patience },
  nightly: { seconds: 900, rate: 100, everyMs: 4_000, processes: 5, faultsPerMinute: 13.4, patience },
} as const satisfies Record<string, Profile>

/** Half of what comes is enough: the rest may have found the door shut. */
export const leastOf = (profile: Profile, { seconds, rate }: { readonly seconds: number; readonly rate: number }): Least => ({
  operations: seconds * rate * 0.4,
  acknowledged: seconds * rate * 0.2,
  faults: Math.floor((seconds / 60) * profile.faultsPerMinute),
  races: Math.floor(seconds / 20),
  refusedShare: { least: 0.05, most: 0.6 },
  webhooks: seconds * rate * 0.1,
})

/**
 * By how much availability may be behind. By itself, a value is fresh for a second; where a broker tells of every change, for a minute:
 * then it is as old as that when the broker is away. Whoever reads may take as long as the slowest statement.
 */
export const staleMsOf = (amqp: boolean): number => (amqp ? 75_000 : 15_000)
