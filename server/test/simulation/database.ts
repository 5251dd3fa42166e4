// One database in memory, as far as the ledger can tell it from PostgreSQL: rows that are visible once they are committed, row
// locks and unique indexes that are waited for, one clock, and connections that break. Statements run in the order of
// storage/ledger-store.ts and see what that one's would see at "read committed"; each of them takes simulated time.
import { documentOf, isWrittenOnce, type DocumentAnswer, type EventData } from '../../src/domain/event.ts'
import type { Hold } from '../../src/domain/hold.ts'
import type { ItemNumber, Uuid } from '../../src/domain/ids.ts'
import { instant, type Instant } from '../../src/domain/instant.ts'
import { levelKey, stockStates, type Level, type Place } from '../../src/domain/level.ts'
import { Fault } from '../../src/storage/fault.ts'
import { levelsOfWork, type Work } from '../../src/domain/work.ts'
import type { Batch, Bought, Changes, LedgerStore, Remembered, ShelfMoved, Wanted } from '../../src/storage/ledger-store.ts'
import type { Clock } from './clock.ts'
import type { Faults, Pace } from './faults.ts'
import type { Random } from './random.ts'
import type { Tally, Trace } from './tally.ts'

export type EventRow = {
  readonly sequence: number
  readonly type: string
  readonly subject: { readonly kind: string; readonly id: string; readonly version: number }
  readonly data: EventData
  readonly actor: string
  readonly requestId: string
  readonly occurredAt: number
}
export type EntryRow = {
  readonly sequence: number
  readonly item: number
  readonly location: number
  readonly levelVersion: number
  readonly quantity: number
  readonly from: Place
  readonly to: Place
  readonly document: { readonly kind: DocumentAnswer['kind']; readonly id: Uuid }
  readonly occurredAt: number
}
export type KeyRow = {
  readonly key: Uuid
  readonly fingerprint: Uuid
  readonly sequence: number | null
  readonly outcome: Remembered['outcome'] | null
  readonly replays: number
}
/** What has been committed. The auditor is given nothing else of the database. */
export type Rows = {
  readonly levels: Map<number, Level>
  readonly holds: Map<Uuid, Hold>
  readonly keys: Map<Uuid, KeyRow>
  readonly events: Map<number, EventRow>
  readonly entries: EntryRow[]
  readonly documents: Map<string, number>
  readonly works: Map<Uuid, Work>
  /** Unique names of documents. */
  readonly names: Map<Uuid, Uuid>
  readonly outbox: { readonly first: number; readonly last: number }[]
  readonly head: { sequence: number; latestAt: number }
}

/** What was to be read off the database's clock: it says `offset` more than simulated time, from `from` on. */
export type Reading = { readonly from: number; readonly offset: number }

/** The process at the other end of a connection. */
export type Host = {
  isAlive(): boolean
  /** Its own clock, which is nobody's business but a mutant's. */
  clock(): number
  /** Tells it something, unless it is dead by then; later when it is paused. */
  deliver(ms: number, happen: () => void): void
  crash(): void
  pause(): void
  /** Stops as it is meant to: takes nothing more, finishes what it has taken, and is started again. */
  drain(): void
}

/** How the database is used. The mutants break one of these each. */
export type Rules = {
  readonly readsLevels: 'after the locks' | 'before the locks'
  readonly guardsLevels: boolean
  readonly locksLevels: 'in one order' | 'as asked'
  readonly clock: 'after the locks' | 'before the locks' | 'of the process'
  readonly sequence: 'under the head' | 'taken early'
  readonly readsBought: 'after the locks' | 'before the locks'
  readonly documents: 'read after the locks' | 'read before the locks, without guard'
}
export const faithful: Rules = {
  readsLevels: 'after the locks',
  guardsLevels: true,
  locksLevels: 'in one order',
  clock: 'after the locks',
  sequence: 'under the head',
  readsBought: 'after the locks',
  documents: 'read after the locks',
}

export type Database = {
  storeFor(host: Host): LedgerStore
  /** One statement outside of any transaction. */
  read<Answer>(host: Host, statement: (rows: Rows, now: Instant) => Answer): Promise<Answer>
  /** One statement that writes, in a transaction of its own. For mutants. */
  write(host: Host, statement: (rows: Rows) => void): Promise<void>
  /** The process died, and its connections with it. */
  forget(host: Host): void
  now(): Instant
  /** Simulated time at which the clock will show this, unless it is set meanwhile. */
  timeOf(at: Instant): number
  readonly rows: Rows
  readonly readings: readonly Reading[]
}

export type DatabaseDeps = {
  readonly clock: Clock
  readonly random: Random
  /** Asked each time, because they end before the history does. */
  readonly faults: () => Faults
  readonly pace: Pace
  readonly rules: Rules
  readonly tally: Tally
  readonly trace: Trace
}

type Transaction = {
  readonly number: number
  readonly host: Host
  readonly locks: string[]
  committing: boolean
  /** The process has been told, or will be, that the connection is lost: nothing it says arrives any more. */
  cutOff: boolean
  waiting: Waiter | null
  /** Why it ended, if it did not commit. */
  ended: Fault | 'committed' | 'rolled back' | null
}
type Waiter = { readonly transaction: Transaction; readonly lock: string; readonly granted: () => void; readonly refused: (fault: Fault) => void }

const EPOCH_MS = 1_800_000_000_000
const LOCK_TIMEOUT_MS = 250
const IDLE_IN_TRANSACTION_MS = 400
/** How long the server keeps a transaction whose connection broke without a word. */
const LONGEST_HALF_OPEN_MS = 600
const LONGEST_STALL_MS = 400
const LONGEST_RESTART_MS = 120
const CLOCK_STEP_MS = { back: 1_500, forth: 300 }
const HEAD = 'head'
/** The request id of expiries that no request asked for. */
export const SWEEPER = 'sweeper'

export const database = ({ clock, random, faults, pace, rules, tally, trace }: DatabaseDeps): Database => {
  const rows: Rows = {
    levels: new Map(),
    holds: new Map(),
    keys: new Map(),
    events: new Map(),
    entries: [],
    documents: new Map(),
    works: new Map(),
    names: new Map(),
    outbox: [],
    head: { sequence: 0, latestAt: 0 },
  }
  const movesSeen = new Set<string>()
  const locks = new Map<string, { holder: Transaction; readonly queue: Waiter[] }>()
  const open = new Set<Transaction>()
  const readings: Reading[] = [{ from: 0, offset: EPOCH_MS }]
  let offset = EPOCH_MS
  let downUntil = 0
  let numbered = 0
  let sequencesTaken = 0

  const now = () => instant(clock.now() + offset)
  const hop = () => random.between(0, pace.hopMs)
  const step = () => clock.sleep(random.between(0, pace.stepMs))

  // Locks

  const lock = (transaction: Transaction, name: string): Promise<void> | undefined => {
    const taken = locks.get(name)
    if (taken === undefined) {
      locks.set(name, { holder: transaction, queue: [] })
      transaction.locks.push(name)
      return undefined
    }
    if (taken.holder === transaction) return undefined
    if (waitsFor(taken.holder, transaction)) {
      tally.add('deadlock')
      trace.say(() => `tx ${transaction.number} would wait in a ring for ${name}`)
      throw new Fault('refused', false, '40P01', new Error('deadlock detected'))
    }
    return new Promise((granted, refused) => {
      const waiter = { transaction, lock: name, granted, refused }
      transaction.waiting = waiter
      taken.queue.push(waiter)
      clock.after(LOCK_TIMEOUT_MS, () => {
        if (transaction.waiting !== waiter) return
        stopWaiting(waiter)
        tally.add('lock timeout')
        refused(new Fault('busy', false, '55P03', new Error('canceling statement due to lock timeout')))
      })
    })
  }

  const waitsFor = (transaction: Transaction, other: Transaction): boolean => {
    for (let at: Transaction | undefined = transaction; at?.waiting; at = locks.get(at.waiting.lock)?.holder)
      if (locks.get(at.waiting.lock)?.holder === other) return true
    return false
  }

  const stopWaiting = (waiter: Waiter) => {
    waiter.transaction.waiting = null
    const queue = locks.get(waiter.lock)?.queue
    queue?.splice(queue.indexOf(waiter), 1)
  }

  const unlock = (name: string) => {
    const taken = locks.get(name)
    const next = taken?.queue.shift()
    if (taken === undefined || next === undefined) {
      locks.delete(name)
      return
    }
    taken.holder = next.transaction
    next.transaction.locks.push(name)
    next.transaction.waiting = null
    clock.after(random.between(0, pace.stepMs), next.granted)
  }

  const take = async (transaction: Transaction, names: readonly string[]) => {
    goOn(transaction)
    for (const name of names) {
      const wait = lock(transaction, name)
      if (wait === undefined) continue
      await wait
      goOn(transaction)
    }
  }

  /** A transaction that was ended from outside learns of it with its next statement. */
  const goOn = (transaction: Transaction) => {
    if (transaction.ended instanceof Fault) throw transaction.ended
  }

  const end = (transaction: Transaction, why: Fault | 'committed' | 'rolled back') => {
    if (transaction.ended !== null) return
    transaction.ended = why
    open.delete(transaction)
    const { waiting } = transaction
    if (waiting !== null) {
      stopWaiting(waiting)
      if (why instanceof Fault) waiting.refused(why)
    }
    for (const name of transaction.locks) unlock(name)
  }

  // Connections

  const gone = (during: 'statement' | 'commit', why: string) => new Fault(during === 'commit' ? 'unknown' : 'unavailable', true, '08006', new Error(why))

  /** The server still has a transaction whose client is gone, until it notices. */
  const endUnnoticed = (transaction: Transaction) => {
    const noticedAfterMs = random.chance(0.8) ? random.below(5) : random.below(LONGEST_HALF_OPEN_MS)
    clock.after(noticedAfterMs, () => end(transaction, gone('statement', 'the client is gone')))
  }

  const call = <Answer>(transaction: Transaction, during: 'statement' | 'commit', body: () => Promise<Answer>): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const { host } = transaction
      const lose = (afterMs: number) =>
        host.deliver(afterMs, () => {
          transaction.cutOff = true
          reject(gone(during, 'connection lost'))
        })
      const f = faults()
      const way =
        during === 'commit'
          ? random.chance(f.commitLost)
            ? 'request lost'
            : random.chance(f.answerLost)
              ? 'answer lost'
              : random.chance(f.cutInCommit)
                ? 'cut'
                : 'whole'
          : random.chance(f.lostWhileLoading)
            ? random.pick(['request lost', 'answer lost'] as const)
            : 'whole'
      if (during === 'statement' && way !== 'whole') tally.add('connection lost')
      if (during === 'commit' && way === 'request lost') tally.add('commit lost, did not stand')
      if (way === 'request lost') {
        trace.say(() => `tx ${transaction.number} lost its connection before a ${during}`)
        endUnnoticed(transaction)
        lose(hop())
        return
      }
      if (way === 'cut') {
        tally.add('connection cut in commit')
        lose(hop() + random.below(20))
      }
      clock.after(hop(), () => {
        void body().then(
          (answer) => {
            if (way === 'whole' && host.isAlive()) return host.deliver(hop(), () => resolve(answer))
            trace.say(() => `tx ${transaction.number} has nobody to answer after a ${during}`)
            if (way === 'answer lost') lose(hop())
            if (way === 'answer lost' && during === 'commit') tally.add('answer lost, stood')
            if (during === 'statement') endUnnoticed(transaction)
          },
          (error: unknown) => {
            end(transaction, error instanceof Fault ? error : gone(during, 'failed'))
            trace.say(() => `tx ${transaction.number} failed: ${String(error)}`)
            if (error instanceof Fault && error.connectionLost) lose(hop())
            else host.deliver(hop(), () => reject(error))
          },
        )
      })
    })

  const mayFail = () => {
    const f = faults()
    if (random.chance(f.refused)) {
      tally.add('refused')
      throw new Fault('refused', false, '40001', new Error('could not serialize access'))
    }
    if (random.chance(f.statementTimeout)) {
      tally.add('statement timeout')
      throw new Fault('busy', false, '57014', new Error('canceling statement due to statement timeout'))
    }
    if (random.chance(f.restart)) restart()
  }

  const restart = () => {
    tally.add('database restarted')
    downUntil = clock.now() + random.between(1, LONGEST_RESTART_MS)
    for (const transaction of open) end(transaction, gone('statement', 'terminating connection due to administrator command'))
    if (!random.chance(faults().clockStep)) return
    tally.add('clock stepped')
    offset += random.between(-CLOCK_STEP_MS.back, CLOCK_STEP_MS.forth)
    readings.push({ from: clock.now(), offset })
    trace.say(() => `the database's clock now differs by ${offset - EPOCH_MS} ms`)
  }

  const isUp = () => clock.now() >= downUntil

  // Statements

  /** The later of the clock and of what was decided before. */
  const readClock = () => instant(Math.max(now(), rows.head.latestAt))

  const load = async (transaction: Transaction, wanted: Wanted): Promise<Batch> => {
    if (!isUp()) throw gone('statement', 'the database system is starting up')
    open.add(transaction)
    mayFail()
    goOn(transaction)
    const began = readClock()

    // Each statement sees the rows that were committed when it began, waits for their locks in order, and gives them as they are then.
    const holdIds = [...new Set(wanted.holds)].filter((id) => rows.holds.has(id)).toSorted()
    await take(transaction, holdIds.map(holdLock))
    const holds = holdIds.flatMap((id) => rows.holds.get(id) ?? [])
    await step()
    goOn(transaction)

    const workIds = [...new Set(wanted.works)].filter((id) => rows.works.has(id)).toSorted()
    const readWorks = () => workIds.flatMap((id) => rows.works.get(id) ?? [])
    const worksBefore = readWorks()
    const boughtBefore = boughtOf(wanted)
    await take(transaction, workIds.map(workLock))
    const works = rules.documents === 'read after the locks' ? readWorks() : worksBefore
    await take(transaction, [...new Set(wanted.purchases.map(({ customer }) => customerLock(customer)))].toSorted())
    await step()
    goOn(transaction)

    const places = new Map(wanted.levels.map(({ item, location }) => [levelKey(item, location), true]))
    for (const id of wanted.holds) for (const { item, location } of rows.holds.get(id)?.allocations ?? []) places.set(levelKey(item, location), true)
    for (const id of workIds) for (const { item, location } of levelsOfStood(id)) places.set(levelKey(item, location), true)
    const standing = [...places.keys()].filter((key) => rows.levels.has(key))
    if (rules.locksLevels === 'in one order') standing.sort((a, b) => a - b)
    const before = standing.flatMap((key) => rows.levels.get(key) ?? [])
    if (rules.readsLevels === 'before the locks') await step()
    await take(transaction, standing.map(levelLock))
    const levels = rules.readsLevels === 'before the locks' ? before : standing.flatMap((key) => rows.levels.get(key) ?? [])
    await step()
    goOn(transaction)

    const keys = remembered(rows, wanted.keys)
    const named = new Map(wanted.uniques.flatMap((name): [Uuid, Uuid][] => (rows.names.has(name) ? [[name, rows.names.get(name) ?? name]] : [])))
    const bought = rules.readsBought === 'after the locks' ? boughtOf(wanted) : boughtBefore
    const shelves = shelvesOf(wanted)
    await step()
    goOn(transaction)

    const decidedAt = rules.clock === 'of the process' ? instant(transaction.host.clock()) : rules.clock === 'before the locks' ? began : readClock()
    const { sequence } = rows.head
    trace.say(() => `tx ${transaction.number} loaded ${holdIds.length} holds, ${standing.length} levels, ${keys.size} keys at ${decidedAt - EPOCH_MS}`)
    mayFail()
    goOn(transaction)
    return {
      holds,
      levels,
      keys,
      works,
      named,
      bought,
      shelves,
      now: decidedAt,
      sequence,
      due: (items, limit) => call(transaction, 'statement', () => due(transaction, items, limit, decidedAt)),
      commit: (changes) => {
        transaction.committing = true
        const f = faults()
        if (random.chance(f.crashInCommit)) {
          tally.add('crash in commit')
          clock.after(hop(), () => transaction.host.crash())
        }
        return call(transaction, 'commit', async () => {
          const first = await write(transaction, changes, decidedAt)
          if (random.chance(faults().crashAfterCommit)) {
            tally.add('crash after commit')
            transaction.host.crash()
          }
          return first
        })
      },
      // There is one server, and what it has committed stays.
      confirm: abandon,
      abandon,
    }

    function abandon(): Promise<void> {
      if (transaction.ended !== null || transaction.cutOff) return Promise.resolve()
      return new Promise((resolve) => {
        clock.after(hop(), () => {
          end(transaction, 'rolled back')
          transaction.host.deliver(hop(), resolve)
        })
      })
    }
  }

  const levelsOfStood = (id: Uuid) => {
    const work = rows.works.get(id)
    return work === undefined ? [] : levelsOfWork(work)
  }

  const boughtOf = ({ purchases }: Wanted): Bought[] => {
    const found: Bought[] = []
    for (const hold of rows.holds.values())
      for (const item of new Set(hold.allocations.map((allocation) => allocation.item))) {
        if (hold.customer === null || !purchases.some((purchase) => purchase.customer === hold.customer && purchase.item === item)) continue
        let held = 0
        let taken = 0
        for (const allocation of hold.allocations)
          if (allocation.item === item) {
            held += allocation.held
            taken += allocation.committed + allocation.shipped
          }
        found.push({ hold: hold.id, customer: hold.customer, item, placedAt: hold.createdAt, expiresAt: hold.expiresAt, held, taken })
      }
    return found
  }

  const shelvesOf = ({ shelves }: Wanted): ShelfMoved[] =>
    shelves.map((asked) => {
      let moved = 0
      for (const entry of rows.entries)
        if (entry.item === asked.item && entry.location === asked.location && entry.sequence > asked.asOf)
          moved += (shelf.has(entry.to) ? entry.quantity : 0) - (shelf.has(entry.from) ? entry.quantity : 0)
      return { ...asked, moved }
    })

  const due = async (transaction: Transaction, items: readonly ItemNumber[], limit: number, at: Instant): Promise<Uuid[]> => {
    goOn(transaction)
    await step()
    goOn(transaction)
    const found: Hold[] = []
    for (const hold of rows.holds.values())
      if (hold.status === 'active' && hold.expiresAt <= at && hold.allocations.some(({ item }) => items.includes(item))) found.push(hold)
    found.sort((a, b) => a.expiresAt - b.expiresAt || (a.id < b.id ? -1 : 1))
    if (found.length > 0) tally.add('due holds in the way')
    return found.slice(0, limit).map(({ id }) => id)
  }

  const write = async (transaction: Transaction, changes: Changes, at: Instant): Promise<number> => {
    goOn(transaction)
    mayFail()
    goOn(transaction)
    const { told, newHolds, changedHolds, newLevels, changedLevels, signaledLevels, newWorks, changedWorks, newKeys, replayedKeys } = changes
    const early = sequencesTaken + 1
    sequencesTaken += told.length

    for (const { id } of newHolds) await insert(transaction, holdLock(id), 'holds_pk', () => rows.holds.has(id))
    for (const hold of changedHolds) {
      if ((rows.holds.get(hold.id)?.version ?? hold.version) >= hold.version) throw changed('holds')
      check('holds_never_expire_early', hold.status !== 'expired' || hold.endedAt >= hold.expiresAt)
    }
    for (const level of newLevels.toSorted((a, b) => keyOf(a) - keyOf(b))) {
      await insert(transaction, levelLock(keyOf(level)), 'stock_levels_pk', () => rows.levels.has(keyOf(level)))
      for (const state of stockStates) check(`stock_levels_${state}_not_negative`, level[state] >= 0)
    }
    const updated = changedLevels.map(({ before, after }) => {
      const stands = rows.levels.get(keyOf(before))
      if (!rules.guardsLevels) return after
      if (stands?.version !== before.version) throw changed('stock levels')
      const level = { ...stands, version: stands.version + after.version - before.version }
      for (const state of stockStates) {
        level[state] += after[state] - before[state]
        check(`stock_levels_${state}_not_negative`, level[state] >= 0)
      }
      return level
    })
    for (const { work, unique: name } of newWorks.toSorted((a, b) => ((a.unique ?? '') < (b.unique ?? '') ? -1 : 1))) {
      await insert(transaction, workLock(work.id), 'work_documents_pk', () => rows.works.has(work.id))
      if (name !== null) await insert(transaction, nameLock(name), 'work_documents_unique_name', () => rows.names.has(name))
    }
    for (const work of changedWorks)
      if (rules.documents === 'read after the locks' && (rows.works.get(work.id)?.version ?? work.version) >= work.version) throw changed('documents')
    await take(transaction, replayedKeys.toSorted().map(keyLock))
    await step()
    goOn(transaction)

    if (told.length > 0 && rules.sequence === 'under the head') await take(transaction, [HEAD])
    const first = told.length === 0 ? 0 : rules.sequence === 'under the head' ? rows.head.sequence + 1 : early
    const moves: EntryRow[] = told.flatMap(({ entries, answer }, index) =>
      answer === null ? [] : entries.map((entry) => ({ ...entry, sequence: first + index, document: documentOf(answer), occurredAt: at })),
    )
    const newMoves = new Set<string>()
    for (const move of moves) {
      const name = `${move.item}@${move.location} ${move.levelVersion} ${move.from}>${move.to}`
      if (rules.guardsLevels && (movesSeen.has(name) || newMoves.has(name))) throw unique('ledger_entries_by_level')
      newMoves.add(name)
    }
    for (const { key } of newKeys.toSorted((a, b) => (a.key < b.key ? -1 : 1))) {
      await insert(transaction, keyLock(key), 'idempotency_keys_pk', () => rows.keys.has(key))
    }
    if (random.chance(faults().stall)) {
      tally.add('commit stalled')
      await clock.sleep(random.below(LONGEST_STALL_MS))
    } else await step()
    goOn(transaction)

    // From here it stands: nothing below waits.
    for (const hold of newHolds) rows.holds.set(hold.id, hold)
    for (const hold of changedHolds) rows.holds.set(hold.id, hold)
    for (const level of newLevels) rows.levels.set(keyOf(level), level)
    for (const level of updated) rows.levels.set(keyOf(level), level)
    for (const { item, location, signal, signals } of signaledLevels) {
      const level = rows.levels.get(levelKey(item, location))
      if (level !== undefined) rows.levels.set(levelKey(item, location), { ...level, signal, signals })
    }
    for (const { work, unique: name } of newWorks) {
      rows.works.set(work.id, work)
      if (name !== null) rows.names.set(name, work.id)
    }
    for (const work of changedWorks) rows.works.set(work.id, work)
    for (const key of replayedKeys) {
      const row = rows.keys.get(key)
      if (row) rows.keys.set(key, { ...row, replays: row.replays + 1 })
    }
    for (const [index, { event, answer, actor, requestId }] of told.entries()) {
      rows.events.set(first + index, { sequence: first + index, type: event.type, subject: event.subject, data: event.data, actor, requestId, occurredAt: at })
      if (answer !== null && isWrittenOnce(answer)) rows.documents.set(`${answer.kind} ${documentOf(answer).id}`, first + index)
      if (event.type === 'hold.expired') tally.add(requestId === SWEEPER ? 'expired by the sweeper' : 'expired on the way')
    }
    rows.entries.push(...moves)
    for (const name of newMoves) movesSeen.add(name)
    for (const { key, fingerprint, remembers } of newKeys)
      rows.keys.set(key, {
        key,
        fingerprint,
        replays: 0,
        ...('told' in remembers ? { sequence: first + remembers.told, outcome: null } : { sequence: null, outcome: remembers.outcome }),
      })
    if (told.length > 0) {
      rows.outbox.push({ first, last: first + told.length - 1 })
      rows.head.sequence = Math.max(rows.head.sequence, first + told.length - 1)
      rows.head.latestAt = Math.max(rows.head.latestAt, at)
    }
    end(transaction, 'committed')
    tally.add('commits')
    trace.mark(transaction.number, first, told.length, newKeys.length, replayedKeys.length, at - EPOCH_MS)
    trace.say(
      () =>
        `tx ${transaction.number} committed at ${at - EPOCH_MS}: ${told
          .map(({ event, requestId }, index) => `#${first + index} ${event.type} v${event.subject.version} of ${event.subject.id.slice(-4)} (${requestId})`)
          .join(', ')}`,
    )
    return first
  }

  /** A row that stands refuses another with its key at once; one that somebody is inserting is waited for. */
  const insert = async (transaction: Transaction, name: string, index: string, stands: () => boolean) => {
    if (!stands()) await take(transaction, [name])
    if (!stands()) return
    if (index === 'stock_levels_pk') tally.add('level made twice')
    if (index === 'idempotency_keys_pk') tally.add('key inserted twice')
    if (index === 'work_documents_unique_name') tally.add('name inserted twice')
    throw unique(index)
  }
  const unique = (index: string) => new Fault('refused', false, '23505', new Error(`duplicate key value violates unique constraint "${index}"`))
  const changed = (what: string) => new Fault('refused', false, '40001', new Error(`${what} were not as they had been read`))
  const check = (constraint: string, holds: boolean) => {
    if (!holds) throw new Fault('refused', false, '23514', new Error(`violates check constraint "${constraint}"`))
  }

  return {
    storeFor: (host) => ({
      open: async (wanted) => {
        const transaction: Transaction = { number: (numbered += 1), host, locks: [], committing: false, cutOff: false, waiting: null, ended: null }
        return call(transaction, 'statement', async () => {
          const batch = await load(transaction, wanted)
          const f = faults()
          if (random.chance(f.drain)) host.drain()
          if (random.chance(f.crashBeforeCommit)) {
            tally.add('crash before commit')
            host.crash()
          } else if (random.chance(f.pause)) {
            tally.add('process paused')
            host.pause()
            clock.after(IDLE_IN_TRANSACTION_MS, () => {
              if (transaction.committing || transaction.ended !== null) return
              tally.add('idle transaction ended')
              end(transaction, gone('statement', 'terminating connection due to idle-in-transaction timeout'))
            })
          }
          return batch
        })
      },
    }),
    read: (host, statement) =>
      new Promise((resolve) => {
        clock.after(hop(), () => {
          const answer = statement(rows, readClock())
          host.deliver(hop(), () => resolve(answer))
        })
      }),
    write: (host, statement) =>
      new Promise((resolve) => {
        clock.after(hop(), () => {
          statement(rows)
          host.deliver(hop(), resolve)
        })
      }),
    forget: (host) => {
      for (const transaction of open) {
        if (transaction.host !== host) continue
        // What the server has been sent whole, it does: nobody needs to be there to hear of it.
        if (!transaction.committing || random.chance(0.3)) endUnnoticed(transaction)
      }
    },
    now,
    timeOf: (at) => at - offset,
    rows,
    readings,
  }
}

const holdLock = (id: Uuid) => `hold ${id}`
const levelLock = (key: number) => `level ${key}`
const keyLock = (key: Uuid) => `key ${key}`
const workLock = (id: Uuid) => `document ${id}`
const nameLock = (name: Uuid) => `name ${name}`
const customerLock = (customer: string) => `customer ${customer}`
const shelf: ReadonlySet<Place> = new Set(['available', 'held', 'committed'])
const keyOf = ({ item, location }: Level) => levelKey(item, location)

/** What is remembered under keys: a key's answer is its event, or its own where there was none. */
export const remembered = (rows: Rows, keys: readonly Uuid[]): Map<Uuid, Remembered> => {
  const found = new Map<Uuid, Remembered>()
  for (const key of keys) {
    const row = rows.keys.get(key)
    if (row !== undefined) found.set(key, { fingerprint: row.fingerprint, sequence: row.sequence, outcome: row.outcome ?? answerAt(rows, row.sequence) })
  }
  return found
}

const answerAt = (rows: Rows, sequence: number | null): Remembered['outcome'] => {
  const event = sequence === null ? undefined : rows.events.get(sequence)
  if (event === undefined) throw new Error(`a key points to event ${sequence}, which is not there`)
  if (event.data.kind === 'stock_level') throw new Error(`a key points to event ${sequence}, which nobody asked for`)
  return { ok: true, answer: event.data }
}
