// What every measurement of holds, or reads, a second answers.

export type Measured = {
  readonly perSecond: number
  readonly p50Ms?: number
  readonly p99Ms?: number
  /** What else is worth keeping, for who reads the JSON. */
  readonly facts?: Readonly<Record<string, number | string>>
}

export type Pace = { readonly seconds: number; readonly warmUpSeconds: number }

/** So many that no measurement comes near the end of it. */
export const UNITS = 1_000_000
export const ITEMS = 10_000
