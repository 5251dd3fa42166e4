// One batch: many commands, one transaction. Lock and load, decide each in turn, append, commit.
import { onShelf } from '../domain/count.ts'
import { decide, needsOf, type Command } from '../domain/decide.ts'
import type { Accepted, Purchase, StockView } from '../domain/decision.ts'
import { levelSubject, type DocumentAnswer } from '../domain/event.ts'
import { total, type Hold } from '../domain/hold.ts'
import type { ItemNumber, LocationNumber, Uuid } from '../domain/ids.ts'
import { emptyLevel, levelKey, type Level, type Thresholds } from '../domain/level.ts'
import { isRetryable, type Rejection } from '../domain/rejection.ts'
import { signalOf } from '../domain/signal.ts'
import type { Work, WorkKind } from '../domain/work.ts'
import type { Batch, Bought, Changes, LedgerStore, NewKey, Remembered, ShelfAsked, Told, Wanted } from '../storage/ledger-store.ts'

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
  /** What an item asks for wherever it is, for a level that is made. */
  readonly thresholdsOf: (item: ItemNumber) => Thresholds
  /** Due holds expired at most for one command that is short, before it is decided again. */
  readonly dueLimit: number
  readonly onStood?: OnStood | undefined
}

/** Told once a batch stands, before anybody is answered: the items whose levels it changed, and its last sequence. */
export type OnStood = (items: ReadonlySet<ItemNumber>, sequence: number) => void

/** Runs the requests as one transaction, in their order. Throws a Fault when it did not, or may not, stand. */
export const runBatch = async (requests: readonly Request[], { store, thresholdsOf, dueLimit, onStood }: BatchDeps): Promise<(Outcome | Deferred)[]> => {
  const batch = await store.open(wantedBy(requests))
  try {
    const state = stateOf(batch, thresholdsOf)
    const writing = changesOf(batch, state)
    const outcomes: (Pending | Deferred)[] = []
    const dueOf = dueLookup(batch, state, dueLimit)
    for (const request of requests) outcomes.push(await decideOne(request, batch, state, writing, dueOf))
    const first = await end(batch, writing, { requests, onStood })
    return outcomes.map((outcome) => ('deferred' in outcome ? outcome : finished(outcome, first, batch.sequence)))
  } catch (error) {
    await batch.abandon()
    throw error
  }
}

/** Answers the first sequence that was given. */
const end = async (
  batch: Batch,
  writing: Writing,
  { requests, onStood }: { readonly requests: readonly Request[]; readonly onStood: OnStood | undefined },
): Promise<number> => {
  if (!writing.isEmpty()) return stand(writing.changes(), batch, onStood)
  // What was only tried promises nothing.
  await (requests.every(({ dryRun }) => dryRun) ? batch.abandon() : batch.confirm())
  return 0
}

const stand = async (changes: Changes, batch: Batch, onStood: OnStood | undefined): Promise<number> => {
  const first = await batch.commit(changes)
  if (onStood === undefined) return first
  const items = new Set<ItemNumber>()
  for (const level of changes.newLevels) items.add(level.item)
  for (const { after } of changes.changedLevels) items.add(after.item)
  if (items.size > 0) onStood(items, first + changes.told.length - 1)
  return first
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
  // Somebody may be buying a due hold at this moment, decided before its end: only who has locked it knows that it is over.
  const due =
    short.length > 0
      ? await dueOf.items(short)
      : !decision.ok && decision.rejection.code === 'purchase_limit_exceeded'
        ? dueOf.customer(decision.rejection)
        : []
  if (due.length > 0) return { deferred: true, due }
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

const wantedBy = (requests: readonly Request[]): Wanted => {
  const holds = new Set<Uuid>()
  const levels = new Map<number, { item: ItemNumber; location: LocationNumber }>()
  const keys = new Set<Uuid>()
  const works = new Set<Uuid>()
  const uniques = new Set<Uuid>()
  const purchases: Purchase[] = []
  const shelves: ShelfAsked[] = []
  for (const { command, key } of requests) {
    const needs = needsOf(command)
    if (needs.hold !== null) holds.add(needs.hold)
    if (needs.work !== null) works.add(needs.work)
    if (needs.unique !== null) uniques.add(needs.unique)
    purchases.push(...needs.purchases)
    shelves.push(...needs.shelves)
    for (const level of needs.levels) levels.set(levelKey(level.item, level.location), level)
    if (key) keys.add(key.key)
  }
  return { holds: [...holds], levels: [...levels.values()], keys: [...keys], works: [...works], uniques: [...uniques], purchases, shelves }
}

type DueLookup = {
  items(items: readonly ItemNumber[]): Promise<Uuid[]>
  customer(of: Pick<Purchase, 'customer' | 'item'>): Uuid[]
}

/** Due holds, of items or of a customer, that have not ended in this batch. Asked once for the same items: when everybody is short of one item, that is one question. */
const dueLookup = (batch: Batch, state: State, limit: number): DueLookup => {
  const asked = new Map<string, { readonly ids: readonly Uuid[]; readonly complete: boolean }>()
  return {
    items: async (items) => {
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
    },
    customer: (of) => state.dueOf(of).slice(0, limit),
  }
}

type State = ReturnType<typeof stateOf>

/** The locked state, and what the commands so far have made of it. */
const stateOf = (batch: Batch, thresholdsOf: (item: ItemNumber) => Thresholds) => {
  const holds = new Map(batch.holds.map((hold) => [hold.id, hold]))
  const levels = new Map(batch.levels.map((level) => [levelKey(level.item, level.location), level]))
  const loaded = new Map(levels)
  const works = new Map<Uuid, Work>(batch.works.map((work) => [work.id, work]))
  const named = new Map(batch.named)
  const bought = boughtIn(batch)
  const view: StockView = {
    hold: (id) => holds.get(id),
    level: (item, location) => {
      const key = levelKey(item, location)
      const level = levels.get(key)
      if (level !== undefined) return level
      const empty = emptyLevel(item, location, thresholdsOf(item))
      levels.set(key, empty)
      return empty
    },
    work: <Kind extends WorkKind>(kind: Kind, id: Uuid) => {
      const work = works.get(id)
      return work?.kind === kind ? (work as Extract<Work, { kind: Kind }>) : undefined // just asked
    },
    workNamed: (unique) => named.get(unique),
    shelfAsOf: (item, location, asOf) => {
      const shelf = batch.shelves.find((one) => one.item === item && one.location === location && one.asOf === asOf)
      if (shelf === undefined) throw new Error(`nobody asked for the shelf of item ${item} at location ${location} as of ${asOf}`)
      // From what was loaded, and not from what this batch has made of it: all of that came later. And a level that was not there
      // could not be locked, so that what has moved may be what somebody brought after we had looked.
      const level = loaded.get(levelKey(item, location))
      return level === undefined ? 0 : onShelf(level) - shelf.moved
    },
    bought: bought.sum,
  }
  return {
    view,
    apply: ({ hold, work }: Accepted, after: readonly Level[], unique: Uuid | null) => {
      for (const level of after) levels.set(levelKey(level.item, level.location), level)
      if (hold) {
        holds.set(hold.id, hold)
        bought.note(hold)
      }
      if (work) works.set(work.id, work)
      if (work && unique !== null) named.set(unique, work.id)
    },
    ended: () => [...holds.values()].filter((hold) => hold.status !== 'active').length,
    dueOf: bought.due,
    hasEnded: (id: Uuid) => (holds.get(id)?.status ?? 'active') !== 'active',
    /** The level as it was locked; nothing when there was none. */
    loaded: (level: Level) => loaded.get(levelKey(level.item, level.location)),
    current: (level: Level) => view.level(level.item, level.location),
  }
}

/** What customers with limits have bought: as it stood, and as this batch goes on. */
const boughtIn = (batch: Batch) => {
  const rows = new Map<string, Bought>(batch.bought.map((row) => [`${row.hold} ${row.item}`, row]))
  return {
    note: (hold: Hold) => {
      if (hold.customer === null) return
      for (const [item, allocations] of Map.groupBy(hold.allocations, (allocation) => allocation.item))
        rows.set(`${hold.id} ${item}`, {
          hold: hold.id,
          customer: hold.customer,
          item,
          placedAt: hold.createdAt,
          expiresAt: hold.expiresAt,
          held: total(allocations, 'held'),
          taken: total(allocations, 'committed') + total(allocations, 'shipped'),
        })
    },
    sum: ({ customer, item, windowMs }: Purchase): number => {
      let sum = 0
      for (const row of rows.values()) if (row.customer === customer && row.item === item && row.placedAt > batch.now - windowMs) sum += row.taken + row.held
      return sum
    },
    /** Holds that still count, though they are due. */
    due: ({ customer, item }: Pick<Purchase, 'customer' | 'item'>): Uuid[] =>
      [...rows.values()].filter((row) => row.customer === customer && row.item === item && row.held > 0 && row.expiresAt <= batch.now).map(({ hold }) => hold),
  }
}

type Writing = ReturnType<typeof changesOf>
type Known = Remembered & { readonly told: number | null }

/** Collects what the batch will write. */
const changesOf = (batch: Batch, state: State) => {
  const told: Told[] = []
  const holds = new Map<Uuid, Hold>()
  const levels = new Map<number, Level>()
  const signaled = new Set<number>()
  const works = new Map<Uuid, { readonly work: Work; readonly unique: Uuid | null }>()
  const keys = new Map<Uuid, NewKey>()
  const knownHere = new Map<Uuid, Known>()
  const replayed = new Set<Uuid>()
  const stood = new Set(batch.holds.map((hold) => hold.id))
  const stoodWorks = new Set(batch.works.map((work) => work.id))
  return {
    /** @returns the place of its event among those told */
    tell: (accepted: Accepted, { actor, requestId, command }: Pick<Request, 'actor' | 'requestId' | 'command'>): number => {
      const { answer, event, entries, hold, work } = accepted
      if (event === undefined) throw new Error(`nothing to tell of ${answer.kind}`)
      const place = told.push({ event, entries, answer, actor, requestId }) - 1
      const after = accepted.levels.map((level) => {
        const signal = signalOf(state.current(level), level)
        if (signal === undefined) return level
        const signalled = { ...level, signal: signal.signal, signals: level.signals + (signal.type === null ? 0 : 1) }
        signaled.add(levelKey(level.item, level.location))
        if (signal.type !== null) {
          const subject = { kind: 'stock_level', id: levelSubject(level.item, level.location), version: signalled.signals } as const
          told.push({
            event: { type: signal.type, subject, data: { kind: 'stock_level', level: signalled } },
            entries: [],
            answer: null,
            actor: 'system',
            requestId,
          })
        }
        return signalled
      })
      const unique = command.type === 'AnnounceInbound' ? command.unique : null
      state.apply(accepted, after, unique)
      if (hold) holds.set(hold.id, hold)
      if (work) works.set(work.id, { work, unique })
      for (const level of after) levels.set(levelKey(level.item, level.location), level)
      return place
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
        signaledLevels: all.filter((level) => signaled.has(levelKey(level.item, level.location))),
        newWorks: [...works.values()].filter(({ work }) => !stoodWorks.has(work.id)),
        changedWorks: [...works.values()].flatMap(({ work }) => (stoodWorks.has(work.id) ? [work] : [])),
        newKeys: [...keys.values()],
        replayedKeys: [...replayed],
      }
    },
  }
}
