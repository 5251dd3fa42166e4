// One batch: many commands, one transaction. Lock and load, decide each in turn, append, commit.
import { decide, needsOf, type Command } from '../domain/decide.ts'
import type { Accepted, StockView } from '../domain/decision.ts'
import type { DocumentAnswer } from '../domain/event.ts'
import type { Hold } from '../domain/hold.ts'
import type { ItemNumber, LocationNumber, Uuid } from '../domain/ids.ts'
import { emptyLevel, levelKey, type Level } from '../domain/level.ts'
import { isRetryable, type Rejection } from '../domain/rejection.ts'
import type { Batch, Changes, LedgerStore, NewKey, Remembered, Told } from '../storage/ledger-store.ts'

export type Request = {
  readonly command: Command
  /** The caller's idempotency key with its owner, and the request it stands for, each as a digest. */
  readonly key?: { readonly key: Uuid; readonly fingerprint: Uuid }
  readonly actor: string
  readonly requestId: string
  /** Decide and answer, write nothing. */
  readonly dryRun?: boolean
}

export type LedgerRejection = Rejection | { readonly code: 'idempotency_key_reused' }

export type Outcome =
  | { readonly ok: true; readonly answer: DocumentAnswer; readonly sequence: number; readonly replayed: boolean }
  | { readonly ok: false; readonly rejection: LedgerRejection; readonly sequence: number; readonly replayed: boolean }

/** A command that is short while holds of its items are due: to be decided again after these have expired. */
export type Deferred = { readonly deferred: true; readonly due: readonly Uuid[] }

export type BatchDeps = {
  readonly store: LedgerStore
  /** Kept back from sale, for a level that is made. */
  readonly safetyStockOf: (item: ItemNumber) => number
  /** Due holds expired at most for one command that is short, before it is decided again. */
  readonly dueLimit: number
}

/** Runs the requests as one transaction, in their order. Throws a Fault when it did not, or may not, stand. */
export const runBatch = async (requests: readonly Request[], { store, safetyStockOf, dueLimit }: BatchDeps): Promise<(Outcome | Deferred)[]> => {
  const batch = await store.open(wantedBy(requests))
  try {
    const state = stateOf(batch, safetyStockOf)
    const writing = changesOf(batch, state)
    const outcomes: (Pending | Deferred)[] = []
    const dueOf = dueLookup(batch, state, dueLimit)
    for (const request of requests) outcomes.push(await decideOne(request, batch, state, writing, dueOf))
    const first = writing.isEmpty() ? (await batch.abandon(), 0) : await batch.commit(writing.changes())
    return outcomes.map((outcome) => ('deferred' in outcome ? outcome : finished(outcome, first, batch.sequence)))
  } catch (error) {
    await batch.abandon()
    throw error
  }
}

type Verdict = { readonly ok: true; readonly answer: DocumentAnswer } | { readonly ok: false; readonly rejection: LedgerRejection }
/** An outcome whose sequence is known only after the commit: `told` is the place of its event in the batch. */
type Pending = { readonly verdict: Verdict; readonly told: number | null; readonly sequence: number | null; readonly replayed: boolean }

const finished = ({ verdict, told, sequence, replayed }: Pending, first: number, seen: number): Outcome => ({
  ...verdict,
  replayed,
  sequence: told === null ? (sequence ?? seen) : first + told,
})

const decideOne = async (request: Request, batch: Batch, state: State, writing: Writing, dueOf: DueLookup): Promise<Pending | Deferred> => {
  const { command, key } = request
  if (key && !request.dryRun) {
    const known = writing.remembered(key.key)
    if (known !== undefined) {
      if (known.fingerprint !== key.fingerprint) return no({ code: 'idempotency_key_reused' })
      writing.replay(key.key)
      return { verdict: known.outcome, told: known.told, sequence: known.sequence, replayed: true }
    }
  }

  // A hold that is due is dead, whoever asks for it: it gives its stock back before anything is decided about it.
  const named = needsOf(command).hold
  if (named !== null && command.type !== 'ExpireHold' && !request.dryRun) {
    const expiry = decide({ type: 'ExpireHold', id: named }, state.view, batch.now)
    if (expiry.ok && expiry.event) writing.tell(expiry, { ...request, actor: 'system' })
  }

  const decision = decide(command, state.view, batch.now)
  const short = decision.ok
    ? shortItemsOf(decision.answer)
    : decision.rejection.code === 'insufficient_stock'
      ? decision.rejection.shortages.map((shortage) => shortage.item)
      : []
  if (short.length > 0) {
    const due = await dueOf(short)
    if (due.length > 0) return { deferred: true, due }
  }
  if (request.dryRun) return { verdict: decision.ok ? { ok: true, answer: decision.answer } : decision, told: null, sequence: null, replayed: false }

  if (!decision.ok) {
    if (key && !isRetryable(decision.rejection)) writing.remember({ ...key, remembers: { outcome: decision } })
    return no(decision.rejection)
  }
  const verdict = { ok: true, answer: decision.answer } as const
  const told = decision.event ? writing.tell(decision, request) : null
  if (key) writing.remember({ ...key, remembers: told === null ? { outcome: verdict } : { told } }, verdict)
  return { verdict, told, sequence: null, replayed: false }
}

const no = (rejection: LedgerRejection): Pending => ({ verdict: { ok: false, rejection }, told: null, sequence: null, replayed: false })

/** A hold that took what there was may be short, too. */
const shortItemsOf = (answer: DocumentAnswer): ItemNumber[] =>
  answer.kind === 'hold' && answer.hold.version === 1 ? answer.hold.shortages.map((shortage) => shortage.item) : []

const wantedBy = (requests: readonly Request[]) => {
  const holds = new Set<Uuid>()
  const levels = new Map<number, { item: ItemNumber; location: LocationNumber }>()
  const keys = new Set<Uuid>()
  for (const { command, key } of requests) {
    const needs = needsOf(command)
    if (needs.hold !== null) holds.add(needs.hold)
    for (const level of needs.levels) levels.set(levelKey(level.item, level.location), level)
    if (key) keys.add(key.key)
  }
  return { holds: [...holds], levels: [...levels.values()], keys: [...keys] }
}

type DueLookup = (items: readonly ItemNumber[]) => Promise<Uuid[]>

/** Due holds of items that have not ended in this batch. Asked once for the same items: when everybody is short of one item, that is one question. */
const dueLookup = (batch: Batch, state: State, limit: number): DueLookup => {
  const asked = new Map<string, { readonly ids: readonly Uuid[]; readonly complete: boolean }>()
  return async (items) => {
    const key = items.join()
    let found = asked.get(key)
    if (found === undefined || (!found.complete && found.ids.every(state.hasEnded))) {
      // The database still counts the holds that have ended in this batch among the due ones: as many more are asked for.
      const most = limit + state.ended()
      const ids = await batch.due(items, most)
      found = { ids, complete: ids.length < most }
      asked.set(key, found)
    }
    return found.ids.filter((id) => !state.hasEnded(id)).slice(0, limit)
  }
}

type State = ReturnType<typeof stateOf>

/** The locked state, and what the commands so far have made of it. */
const stateOf = (batch: Batch, safetyStockOf: (item: ItemNumber) => number) => {
  const holds = new Map(batch.holds.map((hold) => [hold.id, hold]))
  const levels = new Map(batch.levels.map((level) => [levelKey(level.item, level.location), level]))
  const loaded = new Map(levels)
  const view: StockView = {
    hold: (id) => holds.get(id),
    level: (item, location) => {
      const key = levelKey(item, location)
      const level = levels.get(key)
      if (level !== undefined) return level
      const empty = emptyLevel(item, location, safetyStockOf(item))
      levels.set(key, empty)
      return empty
    },
  }
  return {
    view,
    apply: ({ levels: after, hold }: Accepted) => {
      for (const level of after) levels.set(levelKey(level.item, level.location), level)
      if (hold) holds.set(hold.id, hold)
    },
    ended: () => [...holds.values()].filter((hold) => hold.status !== 'active').length,
    hasEnded: (id: Uuid) => (holds.get(id)?.status ?? 'active') !== 'active',
    /** The level as it was locked; nothing when there was none. */
    loaded: (level: Level) => loaded.get(levelKey(level.item, level.location)),
    current: (level: Level) => view.level(level.item, level.location),
  }
}

type Writing = ReturnType<typeof changesOf>
type Known = Remembered & { readonly told: number | null }

/** Collects what the batch will write. */
const changesOf = (batch: Batch, state: State) => {
  const told: Told[] = []
  const holds = new Map<Uuid, Hold>()
  const levels = new Map<number, Level>()
  const keys = new Map<Uuid, NewKey>()
  const knownHere = new Map<Uuid, Known>()
  const replayed = new Set<Uuid>()
  const stood = new Set(batch.holds.map((hold) => hold.id))
  return {
    tell: (accepted: Accepted, { actor, requestId }: Pick<Request, 'actor' | 'requestId'>): number => {
      if (accepted.event === undefined) throw new Error(`nothing to tell of ${accepted.answer.kind}`)
      state.apply(accepted)
      if (accepted.hold) holds.set(accepted.hold.id, accepted.hold)
      for (const level of accepted.levels) levels.set(levelKey(level.item, level.location), level)
      return told.push({ accepted: { ...accepted, event: accepted.event }, actor, requestId }) - 1
    },
    remember: (key: NewKey, verdict?: { readonly ok: true; readonly answer: DocumentAnswer }) => {
      keys.set(key.key, key)
      const outcome = 'outcome' in key.remembers ? key.remembers.outcome : verdict
      if (outcome === undefined) throw new Error(`key ${key.key} has no outcome`)
      knownHere.set(key.key, { fingerprint: key.fingerprint, sequence: null, outcome, told: 'told' in key.remembers ? key.remembers.told : null })
    },
    remembered: (key: Uuid): Known | undefined => {
      const before = batch.keys.get(key)
      return before ? { ...before, told: null } : knownHere.get(key)
    },
    replay: (key: Uuid) => {
      if (batch.keys.has(key)) replayed.add(key)
    },
    isEmpty: () => told.length === 0 && keys.size === 0 && replayed.size === 0,
    changes: (): Changes => {
      const all = [...levels.values()]
      return {
        told,
        newHolds: [...holds.values()].filter((hold) => !stood.has(hold.id)),
        changedHolds: [...holds.values()].filter((hold) => stood.has(hold.id)),
        newLevels: all.filter((level) => state.loaded(level) === undefined),
        changedLevels: all.flatMap((after) => {
          const before = state.loaded(after)
          return before ? [{ before, after }] : []
        }),
        newKeys: [...keys.values()],
        replayedKeys: [...replayed],
      }
    },
  }
}
