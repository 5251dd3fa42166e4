// How long, how hard, and what is the least that counts as having tried.
import type { Least } from './check/enough.ts'
import type { Patience } from './check/liveness.ts'

export type Profile = {
  readonly seconds: number
  readonly rate: number
  readonly everyMs: number
  /** Of every kind of fault, for each minute. */
  readonly faultsPerMinute: number
  readonly patience: Patience
}

const patience: Patience = { silenceMs: 15_000, unrestMs: 60_000 }

export const profiles = {
  /** With every test: a machine that is busy with other tests must manage it, too. */
  smoke: { seconds: 35, rate: 80, everyMs: 4_000, faultsPerMinute: 2, patience: { silenceMs: 30_000, unrestMs: 120_000 } },
  run: { seconds: 120, rate: 150, everyMs: 4_000, faultsPerMinute: 8, patience },
  nightly: { seconds: 900, rate: 150, everyMs: 3_800, faultsPerMinute: 13.4, patience },
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
