// Nothing goes wrong where nothing is tried: a run that did too little has shown nothing, and fails.
import { isKept } from '../history.ts'
import type { Fault, FaultKind } from '../nemesis.ts'
import type { Evidence, Violation } from './evidence.ts'

export type Least = {
  readonly operations: number
  readonly acknowledged: number
  /** Of every kind that was asked for. */
  readonly faults: number
  /** Races that ended one way, and that ended the other. */
  readonly races: number
  readonly refusedShare: { readonly least: number; readonly most: number }
  readonly webhooks: number
}

export type Tally = {
  readonly operations: number
  readonly acknowledged: number
  readonly refused: number
  readonly resolved: number
  readonly unresolved: number
  /** Promised for later, and believed by whoever heard it. */
  readonly kept: number
  readonly replays: number
  readonly refusedShare: number
  readonly races: { readonly executed: number; readonly released: number; readonly expired: number }
  readonly faults: Readonly<Partial<Record<FaultKind, number>>>
}

export const tallyOf = ({ history, wishes, snapshot }: Evidence, faults: readonly Fault[]): Tally => {
  const holds = wishes.filter(({ operation }) => operation.action === 'hold')
  const refused = wishes.filter(({ outcome }) => outcome === 'refused')
  const status = new Map(snapshot.holds.map((hold) => [hold.id, hold.status]))
  const raced = holds.flatMap(({ operation, events }) => (operation.race === null ? [] : [status.get(events[0]?.subject ?? '')]))
  const refusedHolds = holds.filter(({ outcome }) => outcome === 'refused').length
  const definiteHolds = holds.filter(({ outcome }) => outcome !== 'unknown').length
  return {
    operations: history.operations.length,
    acknowledged: history.operations.filter(({ attempts }) => attempts.some(({ outcome }) => outcome === 'ok')).length,
    refused: refused.length,
    resolved: wishes.filter(({ attempts, outcome }) => outcome !== 'unknown' && attempts.some((attempt) => attempt.outcome === 'unknown')).length,
    unresolved: wishes.filter(({ outcome, attempts }) => outcome === 'unknown' && !attempts.some(isKept)).length,
    kept: wishes.filter(({ outcome, attempts }) => outcome === 'unknown' && attempts.some(isKept)).length,
    replays: history.operations.filter(({ again }) => again !== null).length,
    refusedShare: definiteHolds === 0 ? 0 : refusedHolds / definiteHolds,
    races: {
      executed: raced.filter((one) => one === 'executed').length,
      released: raced.filter((one) => one === 'released').length,
      expired: raced.filter((one) => one === 'expired').length,
    },
    faults: Object.fromEntries([...Map.groupBy(faults, ({ kind }) => kind)].map(([kind, of]) => [kind, of.length])),
  }
}

const CHECK = 'enough was tried'

export const checkEnough = (tally: Tally, least: Least, kinds: readonly FaultKind[], webhooks: number): Violation[] => {
  const short: string[] = []
  const need = (what: string, is: number, atLeast: number) => {
    if (is < atLeast) short.push(`${what}: ${is}, and ${atLeast} are needed`)
  }
  need('operations', tally.operations, least.operations)
  need('acknowledged', tally.acknowledged, least.acknowledged)
  need('webhooks taken', webhooks, least.webhooks)
  for (const kind of kinds) need(`faults of kind ${kind}`, tally.faults[kind] ?? 0, least.faults)
  need('races that a caller won', tally.races.executed + tally.races.released, least.races)
  need('races that the clock won', tally.races.expired, least.races)
  if (tally.refusedShare < least.refusedShare.least || tally.refusedShare > least.refusedShare.most)
    short.push(`holds that were refused: ${(tally.refusedShare * 100).toFixed(1)} %`)
  return short.map((what) => ({ check: CHECK, what }))
}
