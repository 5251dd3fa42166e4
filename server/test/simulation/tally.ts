// What happened in histories, counted: so that a run in which nothing went wrong because nothing was tried is noticed.

/** Faults that the simulation brings about. A run over many seeds must have seen every one of them. */
export const faultFacts = [
  'crash before commit',
  'crash in commit',
  'crash after commit',
  'commit lost, did not stand',
  'answer lost, stood',
  'connection cut in commit',
  'connection lost',
  'refused',
  'statement timeout',
  'lock timeout',
  'commit stalled',
  'process paused',
  'process drained',
  'idle transaction ended',
  'database restarted',
  'clock stepped',
  'request lost',
  'reply lost',
  'request sent twice',
  'key with another body',
] as const

/** What becomes of documents, and what is told of levels. A run over many seeds must have seen all of it, too. */
export const workFacts = [
  'transfer.created',
  'transfer.dispatched',
  'transfer.received',
  'transfer.canceled',
  'inbound.announced',
  'inbound.received',
  'inbound.canceled',
  'count.opened',
  'count.counted',
  'count.approved',
  'count.canceled',
  'stock.low',
  'stock.out',
  'stock.back',
  'received in part',
  'closed short',
  'more came than was said',
  'counted as of before',
  'count found a difference',
  'held under a limit',
] as const

const otherFacts = [
  'histories',
  'operations',
  'attempts',
  'acknowledged',
  'refused for stock',
  'refused for a limit',
  'refused for a name',
  'refused for a state',
  'refused for too much',
  'refused otherwise',
  'key reused',
  'not taken',
  'not known',
  'replayed',
  'dry runs',
  'reads',
  'batches',
  'commits',
  'deadlock',
  'expired by the sweeper',
  'expired on the way',
  'race won by the buyer',
  'race won by the clock',
  'expired at the instant',
  'executed 1 ms before',
  'due holds in the way',
  'level made twice',
  'key inserted twice',
  'name inserted twice',
  ...workFacts,
] as const

export type Fact = (typeof faultFacts)[number] | (typeof otherFacts)[number]
export type Tally = { add(fact: Fact, times?: number): void; count(fact: Fact): number; join(other: Tally): void; lines(): string[] }

export const tally = (): Tally => {
  const counts = new Map<Fact, number>()
  const add = (fact: Fact, times = 1) => {
    counts.set(fact, (counts.get(fact) ?? 0) + times)
  }
  return {
    add,
    count: (fact) => counts.get(fact) ?? 0,
    join: (other) => {
      for (const fact of [...faultFacts, ...otherFacts]) if (other.count(fact) > 0) add(fact, other.count(fact))
    },
    lines: () => [...otherFacts, ...faultFacts].map((fact) => `${fact.padEnd(28)} ${String(counts.get(fact) ?? 0).padStart(10)}`),
  }
}

/** What a history did, as a number that differs when anything was done in another order; and in words, when somebody listens. */
export type Trace = { mark(...facts: readonly number[]): void; say(words: () => string): void; hash(): string }

export const trace = (now: () => number, listen?: (line: string) => void): Trace => {
  let first = 0x811c9dc5
  let second = 0x1b873593
  return {
    mark: (...facts) => {
      for (const fact of [now(), ...facts]) {
        first = Math.imul(first ^ fact, 0x01000193)
        second = Math.imul(((second ^ fact) << 13) | ((second ^ fact) >>> 19), 5) + 0x6546b64
      }
    },
    say: (words) => listen?.(`${String(now()).padStart(6)} ms  ${words()}`),
    hash: () => (first >>> 0).toString(16).padStart(8, '0') + (second >>> 0).toString(16).padStart(8, '0'),
  }
}
