// The figures that Holdfast is to reach: what is compared with what, what it must reach at least, and what it aims for.

export type RowName =
  | 'ledger-spread'
  | 'ledger-hot'
  | 'redis-spread'
  | 'redis-hot'
  | 'http-spread'
  | 'http-hot'
  | 'cached'
  | 'mixed'
  | 'mixed-two'
  | 'oversold'
  | 'growth'
  | 'memory'

/** Something whose holds, or reads, a second are measured, round by round. */
export type ContenderName =
  | 'ledger-spread'
  | 'ledger-hot'
  | 'http-spread'
  | 'http-hot'
  | 'redis-spread'
  | 'redis-hot'
  | 'for-update-spread-16'
  | 'for-update-hot-16'
  | 'reads-cached'
  | 'reads-uncached'
  | ExtraName

/** Measured beside the rows, because a reader will ask. */
export type ExtraName =
  | 'redis-full-spread'
  | 'redis-full-hot'
  | 'for-update-spread-64'
  | 'for-update-hot-64'
  | 'guarded-spread-16'
  | 'guarded-hot-16'
  | 'guarded-spread-64'
  | 'guarded-hot-64'
  | 'ledger-spread-64'
  | 'ledger-hot-64'

export type Goal = {
  readonly atLeast: number
  readonly aim: number
  /** Which side of them is better. */
  readonly better: 'more' | 'less'
  readonly unit: '×' | 'ms' | 'units' | 'MiB'
}

export type Row = {
  readonly name: RowName
  readonly title: string
  readonly goal: Goal
  /** For a row that is a ratio of two contenders' rates. */
  readonly compares?: { readonly ours: ContenderName; readonly baseline: ContenderName }
}

const times = (atLeast: number, aim: number): Goal => ({ atLeast, aim, better: 'more', unit: '×' })
const held: Goal = { atLeast: 250, aim: 100, better: 'less', unit: 'ms' }

export const rows: readonly Row[] = [
  {
    name: 'ledger-spread',
    title: 'ledger, 10,000 items, against pgbench `for update`, 16 clients',
    goal: times(3, 6),
    compares: { ours: 'ledger-spread', baseline: 'for-update-spread-16' },
  },
  {
    name: 'ledger-hot',
    title: 'ledger, one hot item, against pgbench `for update`, 16 clients',
    goal: times(8, 20),
    compares: { ours: 'ledger-hot', baseline: 'for-update-hot-16' },
  },
  {
    name: 'redis-spread',
    title: 'ledger, 10,000 items, against Redis with a script, fsync every second',
    goal: times(0.4, 1),
    compares: { ours: 'ledger-spread', baseline: 'redis-spread' },
  },
  {
    name: 'redis-hot',
    title: 'ledger, one hot item, against Redis with a script, fsync every second',
    goal: times(0.4, 1),
    compares: { ours: 'ledger-hot', baseline: 'redis-hot' },
  },
  {
    name: 'http-spread',
    title: 'over HTTP, 10,000 items, against pgbench `for update`, 16 clients',
    goal: times(1.5, 2.5),
    compares: { ours: 'http-spread', baseline: 'for-update-spread-16' },
  },
  {
    name: 'http-hot',
    title: 'over HTTP, one hot item, against pgbench `for update`, 16 clients',
    goal: times(4, 6),
    compares: { ours: 'http-hot', baseline: 'for-update-hot-16' },
  },
  {
    name: 'cached',
    title: 'over HTTP, reads of what can be sold of 100 items, against the same with HOLDFAST_CACHE=off',
    goal: times(1, 1.25),
    compares: { ours: 'reads-cached', baseline: 'reads-uncached' },
  },
  { name: 'mixed', title: 'over HTTP, 10,000 reads/s and 2,000 holds/s together, p99 of a hold', goal: held },
  { name: 'mixed-two', title: 'the same with `serve --workers 2`, p99 of a hold', goal: held },
  { name: 'oversold', title: 'oversold units in all runs together', goal: { atLeast: 0, aim: 0, better: 'less', unit: 'units' } },
  {
    name: 'growth',
    title: 'cost of a hold in an old ledger, against a young one of 100,000 entries',
    goal: { atLeast: 1.3, aim: 1.05, better: 'less', unit: '×' },
  },
  { name: 'memory', title: 'memory of the server after a million holds over HTTP', goal: { atLeast: 400, aim: 250, better: 'less', unit: 'MiB' } },
]

export const extras: readonly ExtraName[] = [
  'redis-full-spread',
  'redis-full-hot',
  'for-update-spread-64',
  'guarded-spread-16',
  'guarded-spread-64',
  'ledger-spread-64',
  'for-update-hot-64',
  'guarded-hot-16',
  'guarded-hot-64',
  'ledger-hot-64',
]

export type Verdict = 'aim reached' | 'reached' | 'missed'

export const verdictOn = (figure: number, { atLeast, aim, better }: Goal): Verdict => {
  const reaches = (mark: number) => (better === 'more' ? figure >= mark : figure <= mark)
  return reaches(aim) ? 'aim reached' : reaches(atLeast) ? 'reached' : 'missed'
}
