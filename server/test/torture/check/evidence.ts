// What the checker is given, and what it makes of it once for all of its steps: levels as the entries say they became, and the
// effect of every operation.
import { hash } from 'node:crypto'
import { operationOf, type Attempt, type History, type Operation } from '../history.ts'
import { stateNumbers, type EntryRow, type EventRow, type Snapshot, type State } from './snapshot.ts'

export type Violation = { readonly check: string; readonly what: string }

export type Counts = Record<State, number>
export type LevelHistory = {
  readonly name: string
  /** What stood at each version, from 0 on. */
  readonly counts: readonly Counts[]
  /** The entries that made each version; nothing at 0. */
  readonly made: readonly (readonly EntryRow[])[]
}

/** A wish with everything that was ever asked under its key, and what the database has of it. */
export type Wish = {
  readonly operation: Operation
  /** In the order in which they began: its own attempts, and those of later repetitions of the same request. */
  readonly attempts: readonly Attempt[]
  /** When it could have happened at the earliest: when the attempt began that its event names. */
  readonly invNs: number
  /** When it was known for certain to have happened: the first ok. Infinity when nobody ever knew. */
  readonly compNs: number
  readonly events: readonly EventRow[]
  readonly outcome: 'ok' | 'refused' | 'unknown'
  /** The first definite answer. */
  readonly answer: Attempt | undefined
}

export type Evidence = {
  readonly history: Pick<History, 'operations' | 'startedAtMs'>
  readonly snapshot: Snapshot
  readonly levels: ReadonlyMap<string, LevelHistory>
  readonly wishes: readonly Wish[]
  /** By sequence. */
  readonly entriesOf: ReadonlyMap<number, readonly EntryRow[]>
  readonly levelName: (at: { readonly item: number; readonly location: number }) => string
  /** The wish that made an event; nothing for what time itself has brought. */
  readonly wishOf: ReadonlyMap<number, Wish>
  /** Who asked for what an event tells: by its request, or, when the broker had kept it meanwhile, by its key. */
  readonly askedFor: (event: EventRow) => Operation | undefined
  /** Whether the clock of the database was set while it ran: then it says nothing of when something happened. */
  readonly clockWasSet: boolean
}

export const evidenceOf = (history: Evidence['history'], snapshot: Snapshot, { clockWasSet }: { readonly clockWasSet: boolean }): Evidence => {
  const levelName: Evidence['levelName'] = ({ item, location }) => `${snapshot.skus.get(item) ?? item}@${snapshot.codes.get(location) ?? location}`
  const entriesOf = Map.groupBy(snapshot.entries, ({ sequence }) => sequence)
  const askedFor = askersOf(history.operations, snapshot)
  const eventsOf = new Map<number, EventRow[]>()
  for (const event of snapshot.events) {
    const first = firstOf(askedFor(event), history.operations)
    if (first !== undefined) eventsOf.set(first.i, [...(eventsOf.get(first.i) ?? []), event])
  }
  const repeated = Map.groupBy(
    history.operations.filter(({ again }) => again !== null && !again.changed),
    ({ again }) => again?.of ?? -1,
  )
  const wishes = history.operations
    .filter(({ key, again }) => key !== null && again?.changed !== false)
    .map((operation) => wishOfOperation(operation, repeated.get(operation.i) ?? [], eventsOf.get(operation.i) ?? []))
  return {
    history,
    snapshot,
    levels: levelsOf(snapshot, levelName),
    wishes,
    entriesOf,
    levelName,
    wishOf: new Map(wishes.flatMap((wish) => wish.events.map(({ sequence }) => [sequence, wish] as const))),
    askedFor,
    clockWasSet,
  }
}

/** As the database knows a key: under its owner's name, and never as it was sent. */
export const digestOfKey = (owner: string, key: string): string =>
  hash('sha256', `${owner}\n${key}`, 'hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*$/, '$1-$2-$3-$4-$5')

/** What was kept is done by another request than the one that was answered with 202. But it is done under the key of that one. */
const askersOf = (operations: readonly Operation[], { keys }: Snapshot): Evidence['askedFor'] => {
  const keyOf = new Map(keys.map(({ sequence, key }) => [sequence, key]))
  const byOwner = new Map<string, Map<string, Operation>>()
  const keysOf = (owner: string): Map<string, Operation> => {
    const known = byOwner.get(owner)
    if (known !== undefined) return known
    const made = new Map(operations.flatMap((one) => (one.key === null || one.again !== null ? [] : [[digestOfKey(owner, one.key), one] as const])))
    byOwner.set(owner, made)
    return made
  }
  return ({ actor, requestId, sequence }) => {
    if (actor === 'system') return undefined
    const asked = operationOf(requestId)
    if (asked !== undefined) {
      const operation = operations[asked.i]
      return operation?.attempts.some((attempt) => attempt.requestId === requestId) === true ? operation : undefined
    }
    const kept = keysOf(actor).get(keyOf.get(sequence) ?? '')
    // Only what was not known to be done can have been kept.
    return kept?.attempts.some(({ outcome }) => outcome === 'unknown') === true ? kept : undefined
  }
}

/** A repetition belongs to the wish that it repeats; a changed one is a wish of its own, which must come to nothing. */
const firstOf = (operation: Operation | undefined, operations: readonly Operation[]): Operation | undefined =>
  operation?.again === null || operation?.again.changed === true ? operation : operation === undefined ? undefined : operations[operation.again.of]

const wishOfOperation = (operation: Operation, repetitions: readonly Operation[], events: readonly EventRow[]): Wish => {
  const attempts = [operation, ...repetitions].flatMap((one) => one.attempts).toSorted((a, b) => a.invNs - b.invNs)
  const definite = attempts.filter(({ outcome }) => outcome !== 'unknown').toSorted((a, b) => (a.compNs ?? Infinity) - (b.compNs ?? Infinity))
  const ok = definite.find(({ outcome }) => outcome === 'ok')
  const maker = attempts.find(({ requestId }) => events.some((event) => event.requestId === requestId))
  return {
    operation,
    attempts,
    invNs: (maker ?? attempts[0])?.invNs ?? 0,
    compNs: ok?.compNs ?? Infinity,
    events,
    outcome: ok !== undefined ? 'ok' : definite.length > 0 ? 'refused' : 'unknown',
    answer: ok ?? definite[0],
  }
}

const levelsOf = (snapshot: Snapshot, levelName: Evidence['levelName']): Map<string, LevelHistory> => {
  const levels = new Map<string, LevelHistory>()
  for (const [name, entries] of Map.groupBy(snapshot.entries, levelName)) {
    const counts: Counts[] = [noCounts()]
    const made: (readonly EntryRow[])[] = [[]]
    const byVersion = Map.groupBy(entries, ({ version }) => version)
    const versions = [...byVersion.keys()].toSorted((a, b) => a - b)
    const stands = noCounts()
    for (const version of versions) {
      const moved = byVersion.get(version) ?? []
      for (const { from, to, quantity } of moved) {
        const [left, came] = [stateNumbers[from], stateNumbers[to]]
        if (left !== undefined) stands[left] -= quantity
        if (came !== undefined) stands[came] += quantity
      }
      counts[version] = { ...stands }
      made[version] = moved
    }
    levels.set(name, { name, counts, made })
  }
  return levels
}

const noCounts = (): Counts => ({ available: 0, held: 0, committed: 0, damaged: 0, quality_control: 0, incoming: 0 })
