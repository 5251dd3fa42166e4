// Each level by itself: what everybody saw of it stood there at the version that they name, and versions follow the clock on the
// wall. Since every answer names its version, this is a sort and no search, and it is exact.
import type { Evidence, Violation } from './evidence.ts'
import type { Observation, Observer } from './observations.ts'
import { states } from './snapshot.ts'

const VALUES = 'what was seen of a level stood there at that version'
const REFUSALS = 'who was refused was refused for what was so'
const TIME = 'what ended before something began, came before it'
const SNAPSHOT = 'one answer is of one moment'
const FRESH = 'a reader gets nothing older than asked for'

/** @param staleNs  by how much reads may be behind that may be answered from a cache */
export const checkLevels = (evidence: Evidence, observers: readonly Observer[], { staleNs }: { readonly staleNs: number }): Violation[] => {
  const violations: Violation[] = []
  const all = observers.flatMap(({ seen }) => seen)
  for (const one of all) violations.push(...checkValue(evidence, one), ...checkSnapshot(evidence, one))
  for (const ofLevel of Map.groupBy(all, ({ level }) => level).values()) violations.push(...checkTime(ofLevel, staleNs))
  // The ledger as a whole has one order, too: that of its sequences.
  const asLedger = observers.flatMap(({ who, invNs, compNs, seen }): Observation[] => {
    const [first] = seen
    return first === undefined || first.sequence === null ? [] : [{ ...first, who, invNs, compNs, level: 'the ledger', version: first.sequence }]
  })
  violations.push(...checkTime(asLedger, staleNs), ...checkFresh(evidence))
  return violations
}

const checkValue = ({ levels }: Evidence, { level, version, said, requested, who, isWrite }: Observation): Violation[] => {
  if (isWrite) return []
  const history = levels.get(level)
  const stood = version === 0 ? { available: 0, held: 0, committed: 0, damaged: 0, quality_control: 0, incoming: 0 } : history?.counts[version]
  if (stood === undefined) return [{ check: VALUES, what: `${who}: ${level} never had version ${version}` }]
  const wrong = states.filter((state) => said?.[state] !== undefined && said[state] !== stood[state])
  if (wrong.length > 0)
    return [
      {
        check: requested === undefined ? VALUES : REFUSALS,
        what: `${who}: ${level} at version ${version} was said to have ${JSON.stringify(said)}, and had ${JSON.stringify(stood)}`,
      },
    ]
  if (requested !== undefined && stood.available >= requested)
    return [{ check: REFUSALS, what: `${who}: ${requested} of ${level} were refused at version ${version}, which had ${stood.available}` }]
  return []
}

/** All that one answer says is of the moment of its sequence: of each level the version that stood then. */
const checkSnapshot = ({ levels }: Evidence, { level, version, sequence, who, isWrite }: Observation): Violation[] => {
  if (isWrite || sequence === null) return []
  const made = levels.get(level)?.made ?? []
  const [before, after] = [made[version]?.[0]?.sequence ?? 0, made[version + 1]?.[0]?.sequence ?? Infinity]
  if (before <= sequence && sequence < after) return []
  return [{ check: SNAPSHOT, what: `${who}: of sequence ${sequence}, with ${level} at version ${version}, which stood from ${before} to ${after}` }]
}

/** If one had ended before another began, its version is not the later one. */
export const checkTime = (observations: readonly Observation[], staleNs: number): Violation[] => {
  const inOrder = observations.toSorted((a, b) => a.version - b.version || Number(b.isWrite) - Number(a.isWrite) || a.invNs - b.invNs)
  const violations: Violation[] = []
  let earliest: Observation | undefined
  for (const one of inOrder.toReversed()) {
    const invNs = one.isCached ? one.invNs - staleNs : one.invNs
    if (earliest !== undefined && invNs > earliest.compNs)
      violations.push({
        check: TIME,
        what: `${one.level}: ${one.who} began ${inMs(one.invNs - earliest.compNs)} after ${earliest.who} had ended, and has version ${one.version}, that one ${earliest.version}`,
      })
    if (earliest === undefined || one.compNs < earliest.compNs) earliest = one
  }
  return violations
}

const checkFresh = ({ history }: Evidence): Violation[] =>
  history.operations.flatMap(({ i, args, attempts }) => {
    const asked = Number(/min_sequence=(\d+)/.exec(args.path)?.[1] ?? 0)
    return attempts.flatMap(({ outcome, sequence }) =>
      outcome === 'ok' && asked > 0 && (sequence ?? 0) < asked ? [{ check: FRESH, what: `operation ${i} asked for ${asked} and got ${sequence}` }] : [],
    )
  })

const inMs = (ns: number) => `${(ns / 1e6).toFixed(1)} ms`
