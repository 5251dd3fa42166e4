// What the ledger needs of a database: one batch is one transaction that locks and loads, and then appends and commits.
// The simulation has another one of these, in memory.
import type { LevelName } from '../domain/decide.ts'
import type { Purchase } from '../domain/decision.ts'
import { documentOf, isWrittenOnce, type DocumentAnswer, type EventDraft, type WrittenOnce } from '../domain/event.ts'
import type { Hold } from '../domain/hold.ts'
import { instant, type Instant } from '../domain/instant.ts'
import type { ItemNumber, Uuid } from '../domain/ids.ts'
import type { Entry, Level } from '../domain/level.ts'
import type { Rejection } from '../domain/rejection.ts'
import { levelsOfWork, locationsOfWork, type Work } from '../domain/work.ts'
import type pg from 'pg'
import { asError } from '../platform/error.ts'
import { documentNumber, holdColumns, holdOf, int2s, int4s, int8s, jsonOrNull, jsons, ms, placeNumber, texts, uuids, words, type HoldRow } from './codec.ts'
import { Fault, faultOf, isAftermath } from './fault.ts'
import { connect, inOneWrite, type Connection, type Pool } from './pool.ts'

/** What one batch wants locked and looked up. */
export type Wanted = {
  readonly holds: readonly Uuid[]
  /** Sorted and without repetition is not required; both are done here. */
  readonly levels: readonly LevelName[]
  readonly keys: readonly Uuid[]
  readonly works: readonly Uuid[]
  /** Unique names of documents. */
  readonly uniques: readonly Uuid[]
  readonly purchases: readonly Purchase[]
  readonly shelves: readonly ShelfAsked[]
}

export type ShelfAsked = LevelName & { readonly asOf: number }
/** Units that came onto the shelf since, less those that left it. */
export type ShelfMoved = ShelfAsked & { readonly moved: number }

/** What one hold counts towards its customer's limit for an item. Whether it is due is for the clock of the batch to say. */
export type Bought = {
  readonly hold: Uuid
  readonly customer: string
  readonly item: ItemNumber
  readonly placedAt: number
  readonly expiresAt: number
  readonly held: number
  /** Committed and shipped. */
  readonly taken: number
}

/** What is remembered under an idempotency key. */
export type Remembered = {
  readonly fingerprint: Uuid
  readonly sequence: number | null
  readonly outcome: { readonly ok: true; readonly answer: DocumentAnswer } | { readonly ok: false; readonly rejection: Rejection }
}

export type Batch = {
  readonly holds: readonly Hold[]
  readonly levels: readonly Level[]
  readonly keys: ReadonlyMap<Uuid, Remembered>
  readonly works: readonly Work[]
  /** The documents that have the unique names asked for. */
  readonly named: ReadonlyMap<Uuid, Uuid>
  readonly bought: readonly Bought[]
  readonly shelves: readonly ShelfMoved[]
  /** The database's clock, read once, after all locks were held. */
  readonly now: Instant
  /** The ledger's last sequence as this transaction saw it. */
  readonly sequence: number
  /** Active holds of these items that are due at `now`, earliest first, at most `limit`. */
  due(items: readonly ItemNumber[], limit: number): Promise<Uuid[]>
  /** Appends and commits. Answers the first sequence it was given. */
  commit(changes: Changes): Promise<number>
  /**
   * Nothing was written, and what was read is to be told: where a synchronous standby is configured, waits until the standby has
   * what was read, too. A commit may be seen here that a failover would undo.
   */
  confirm(): Promise<void>
  /** Gives everything back; nothing was written. */
  abandon(): Promise<void>
}

export type Told = {
  readonly event: EventDraft
  readonly entries: readonly Entry[]
  /** What its entries belong to; null for what is told of a level. */
  readonly answer: DocumentAnswer | null
  readonly actor: string
  readonly requestId: string
}
export type NewKey = {
  readonly key: Uuid
  readonly fingerprint: Uuid
  /** The place of its event in `told`, or the outcome itself when there was no event. */
  readonly remembers: { readonly told: number } | { readonly outcome: Remembered['outcome'] }
}

export type Changes = {
  readonly told: readonly Told[]
  readonly newHolds: readonly Hold[]
  readonly changedHolds: readonly Hold[]
  readonly newLevels: readonly Level[]
  readonly changedLevels: readonly { readonly before: Level; readonly after: Level }[]
  /** Levels of which something was told, as they are after. */
  readonly signaledLevels: readonly Level[]
  readonly newWorks: readonly { readonly work: Work; readonly unique: Uuid | null }[]
  readonly changedWorks: readonly Work[]
  readonly newKeys: readonly NewKey[]
  readonly replayedKeys: readonly Uuid[]
}

export type LedgerStore = { open(wanted: Wanted): Promise<Batch> }

/**
 * @param prepare  named statements: planned once a connection. Off behind a transaction pooler that does not know them.
 */
export const postgresStore = ({ pool, prepare }: { pool: Pool; prepare: boolean }): LedgerStore => {
  const run = (connection: Connection, name: string, text: string, values: unknown[]) => connection.query(prepare ? { name, text, values } : { text, values })

  return {
    open: async (wanted) => {
      const connection = await connect(pool)
      let released = false
      const release = (error?: Error) => {
        if (!released) connection.release(error)
        released = true
      }
      const abandon = async () => {
        if (released) return
        try {
          await connection.query('rollback')
          release()
        } catch (error) {
          release(asError(error))
        }
      }
      /** Waits for all of a pipeline, so that no answer is left on the wire, then throws what failed; not what failed because of that. */
      const all = async (answers: Promise<pg.QueryResult>[], during: 'statement' | 'commit'): Promise<pg.QueryResult[]> => {
        const settled = await Promise.allSettled(answers)
        const failures = settled.filter((answer) => answer.status === 'rejected')
        const failed = failures.find(({ reason }) => !isAftermath(reason)) ?? failures[0]
        if (failed === undefined) return settled.map((answer) => (answer as PromiseFulfilledResult<pg.QueryResult>).value) // none was rejected
        const fault = faultOf(failed.reason, during)
        if (fault?.connectionLost) release(fault)
        else await abandon()
        throw fault ?? failed.reason
      }

      const { holds, levels, keys, works } = wanted
      const places = [int4s(levels.map((level) => level.item)), int4s(levels.map((level) => level.location))]
      const beside = workStatements(wanted)
      const [, held, stood, remembered, clock, ...found] = await all(
        inOneWrite(connection, () => {
          const begin = connection.query('begin')
          const lockedHolds = holds.length === 0 ? run(connection, 'lock-no-holds', lockNoHolds, []) : run(connection, 'lock-holds', lockHolds, [uuids(holds)])
          // Documents, then customers, then levels: one order for everybody.
          const locked = beside.locks.map(([name, text, values]) => run(connection, name, text, values))
          const lockedLevels =
            works.length > 0
              ? run(connection, 'lock-levels-of-all', lockLevelsOfAll, [...places, uuids(holds), uuids(works)])
              : holds.length > 0
                ? run(connection, 'lock-levels-and-those-of-holds', lockLevelsAndThoseOfHolds, [...places, uuids(holds)])
                : run(connection, 'lock-levels', lockLevels, places)
          const lookedUp = run(connection, 'look-up-keys', lookUpKeys, [uuids(keys)])
          const readings = beside.readings.map(([name, text, values]) => run(connection, name, text, values))
          return [begin, lockedHolds, lockedLevels, lookedUp, run(connection, 'read-clock', readClock, []), ...locked, ...readings]
        }),
        'statement',
      )
      let loaded: Pick<Batch, 'now' | 'sequence' | 'holds' | 'levels' | 'keys' | 'works' | 'named' | 'bought' | 'shelves'>
      try {
        loaded = {
          now: instant(clock?.rows[0].now),
          sequence: clock?.rows[0].sequence,
          holds: (held?.rows ?? []).map((row: HoldRow) => holdOf(row)),
          levels: stood?.rows ?? [],
          keys: new Map((remembered?.rows ?? []).map((row: KeyRow) => [row.key, rememberedOf(row)])),
          ...beside.read(found),
        }
      } catch (error) {
        // Rows that cannot be understood are a defect, and no reason to keep the locks and the connection.
        await abandon()
        throw error
      }
      const { now } = loaded

      return {
        ...loaded,
        due: async (items, limit) => {
          const [answer] = await all([run(connection, 'due-holds', dueHolds, [now, int4s(items), limit])], 'statement')
          return (answer?.rows ?? []).map((row: { id: Uuid }) => row.id)
        },
        abandon,
        confirm: async () => {
          if (clock?.rows[0].hasSynchronousStandby !== true) return abandon()
          const answers = inOneWrite(connection, () => [run(connection, 'say-something', saySomething, []), connection.query('commit')])
          await all(answers, 'statement')
          release()
        },
        commit: async (changes) => {
          const statements = statementsOf(changes, now)
          const answers = inOneWrite(connection, () => [
            ...statements.map(([name, text, values]) => run(connection, name, text, values)),
            connection.query(changes.told.length === 0 ? 'commit' : commitInItsOwnTime),
          ])
          const results = await all(answers, 'commit')
          // Of several statements in one, the last one's.
          const tag = [results.at(-1)].flat().at(-1)?.command
          if (tag !== 'COMMIT') {
            await abandon()
            throw new Fault('refused', false, undefined, new Error(`COMMIT answered ${tag}`))
          }
          release()
          const head = results[statements.findIndex(([name]) => name === 'advance-head')]
          return head ? head.rows[0].first : 0
        },
      }
    },
  }
}

type KeyRow = { key: Uuid; fingerprint: Uuid; sequence: number | null; answer: Remembered['outcome'] | null; data: DocumentAnswer | null }

const rememberedOf = (row: KeyRow): Remembered => {
  if (row.answer !== null) return { fingerprint: row.fingerprint, sequence: row.sequence, outcome: row.answer }
  if (row.data !== null) return { fingerprint: row.fingerprint, sequence: row.sequence, outcome: { ok: true, answer: row.data } }
  throw new Error(`key ${row.key} points to event ${row.sequence}, which is not there`)
}

const lockHolds = `
select ${holdColumns}
  from holds as h
 where h.id = any($1::uuid[])
 order by h.id
   for update`
const lockNoHolds = 'select where false'

const levelColumns = `
select l.item_id as item, l.location_id as location, l.available, l.held, l.committed, l.damaged, l.quality_control, l.incoming,
       l.safety_stock as "safetyStock", l.reorder_point as "reorderPoint", l.signal, l.signals, l.version
  from stock_levels as l`

// Rows are locked in (item, location) order: two batches with the same levels in another order would otherwise wait for
// each other in a ring.
const lockLevels = `${levelColumns}
  join unnest($1::int[], $2::int[]) as wanted (item_id, location_id)
    on (l.item_id, l.location_id) = (wanted.item_id, wanted.location_id)
 order by l.item_id, l.location_id
   for update of l`

// The places of a hold's allocations never change, so they may be read here, whoever else holds the row.
const lockLevelsAndThoseOfHolds = `${levelColumns}
  join (select wanted.item_id, wanted.location_id
          from unnest($1::int[], $2::int[]) as wanted (item_id, location_id)
         union
        select a.item, a.location
          from holds as h
         cross join json_to_recordset(h.allocations) as a (item int, location int)
         where h.id = any($3::uuid[])) as wanted
    on (l.item_id, l.location_id) = (wanted.item_id, wanted.location_id)
 order by l.item_id, l.location_id
   for update of l`

const lockLevelsOfAll = `${levelColumns}
  join (select wanted.item_id, wanted.location_id
          from unnest($1::int[], $2::int[]) as wanted (item_id, location_id)
         union
        select a.item, a.location
          from holds as h
         cross join json_to_recordset(h.allocations) as a (item int, location int)
         where h.id = any($3::uuid[])
         union
        select a.item, a.location
          from work_documents as w
         cross join json_to_recordset(w.levels) as a (item int, location int)
         where w.id = any($4::uuid[])) as wanted
    on (l.item_id, l.location_id) = (wanted.item_id, wanted.location_id)
 order by l.item_id, l.location_id
   for update of l`

const lockWorks = `
select w.body
  from work_documents as w
 where w.id = any($1::uuid[])
 order by w.id
   for update of w`

// One customer's limits are decided by one transaction at a time. The number is the same in every release.
const lockCustomers = `
select pg_advisory_xact_lock(7200, named.number)
  from (select distinct hashtext(current_schema() || customer) as number from unnest($1::text[]) as customer order by number) as named`

const lookUpNames = `
select w.unique_name as name, w.id
  from work_documents as w
 where w.unique_name = any($1::uuid[])`

const lookUpBought = `
select h.id as hold, h.customer, a.item, ${ms('h.created_at')} as "placedAt", ${ms('h.expires_at')} as "expiresAt",
       sum(a.held)::bigint as held, sum(a.committed + a.shipped)::bigint as taken
  from (select distinct p.customer, p.item, max(p.window_ms) as window_ms
          from unnest($1::text[], $2::int[], $3::bigint[]) as p (customer, item, window_ms)
         group by p.customer, p.item) as asked
  join holds as h
    on h.customer = asked.customer
   and h.created_at > (select clock_timestamp()) - make_interval(secs => asked.window_ms::float8 / 1000)
 cross join json_to_recordset(h.allocations) as a (item int, held bigint, committed bigint, shipped bigint)
 where a.item = asked.item
 group by h.id, h.customer, a.item`

// available, held and committed are what stands on the shelf; their numbers are those of codec.ts.
const lookUpShelves = `
select asked.item, asked.location, asked.as_of as "asOf",
       coalesce((select sum(case when e.to_state in (1, 2, 3) then e.quantity else 0 end - case when e.from_state in (1, 2, 3) then e.quantity else 0 end)
                   from ledger_entries as e
                  where e.item_id = asked.item
                    and e.location_id = asked.location
                    and e.sequence > asked.as_of), 0)::bigint as moved
  from unnest($1::int[], $2::int[], $3::bigint[]) as asked (item, location, as_of)`

/** What a batch wants beside holds, levels and keys: nothing, mostly, and then nothing is asked. */
const workStatements = ({ works, uniques, purchases, shelves }: Wanted) => {
  const locks: Statement[] = []
  const readings: Statement[] = []
  if (works.length > 0) locks.push(['lock-works', lockWorks, [uuids(works)]])
  if (purchases.length > 0) {
    const customers = purchases.map((purchase) => purchase.customer)
    locks.push(['lock-customers', lockCustomers, [texts(customers)]])
    readings.push([
      'look-up-bought',
      lookUpBought,
      [texts(customers), int4s(purchases.map((purchase) => purchase.item)), int8s(purchases.map((purchase) => purchase.windowMs))],
    ])
  }
  if (uniques.length > 0) readings.push(['look-up-names', lookUpNames, [uuids(uniques)]])
  if (shelves.length > 0)
    readings.push([
      'look-up-shelves',
      lookUpShelves,
      [int4s(shelves.map((shelf) => shelf.item)), int4s(shelves.map((shelf) => shelf.location)), int8s(shelves.map((shelf) => shelf.asOf))],
    ])
  const names = [...locks, ...readings].map(([name]) => name)
  return {
    locks,
    readings,
    /** @param results  those of the locks, then those of the readings */
    read: (results: readonly (pg.QueryResult | undefined)[]): Pick<Batch, 'works' | 'named' | 'bought' | 'shelves'> => {
      const rowsOf = (name: string): readonly never[] => (results[names.indexOf(name)]?.rows ?? []) as never[] // each statement's own columns, named below
      return {
        works: rowsOf('lock-works').map(({ body }: { readonly body: Work }) => body),
        named: new Map(rowsOf('look-up-names').map(({ name, id }: { readonly name: Uuid; readonly id: Uuid }) => [name, id])),
        bought: rowsOf('look-up-bought'),
        shelves: rowsOf('look-up-shelves'),
      }
    },
  }
}

const lookUpKeys = `
select k.key, k.fingerprint, k.sequence, k.answer, e.data
  from idempotency_keys as k
  left join events as e
    on e.sequence = k.sequence and e.occurred_at = k.created_at
 where k.key = any($1::uuid[])`

// The later of the clock and of what was decided before: after a failover to a machine whose clock is behind, time stands
// still until it has caught up, rather than run backwards.
const readClock = `
select greatest(${ms('clock_timestamp()')}, ${ms('h.latest_at')}) as now, h.sequence,
       current_setting('synchronous_standby_names') <> '' as "hasSynchronousStandby"
  from ledger_head as h`

// A word in the write-ahead log, behind everything that this transaction has seen: the commit waits for it, and so for all of that.
const saySomething = "select pg_logical_emit_message(true, 'holdfast', '')"

// A wait for the standby that the server's own limit cuts short would let everybody see what may yet be lost: buyers, and the
// relay, which tells it to the world. So it is not cut short; the client gives up, and the rows stay locked until it is settled.
// That can only be one session a ledger, which holds the head. Others are cut short, so that no more and more of them wait.
const commitInItsOwnTime = 'set local statement_timeout = 0; commit'

const dueHolds = `
select h.id
  from holds as h
 where h.status = 'active'
   and h.expires_at <= to_timestamp($1::float8 / 1000)
   and exists (select from json_to_recordset(h.allocations) as a (item int) where a.item = any($2::int[]))
 order by h.expires_at, h.id
 limit $3`

type Statement = readonly [name: string, text: string, values: unknown[]]

/**
 * What a batch writes, in the order in which it is written. The head comes after everything that may wait for another
 * transaction, and the keys come after the head: from there on one batch at a time writes, and none waits for another.
 */
const statementsOf = (changes: Changes, now: Instant): Statement[] => {
  const { told, newHolds, changedHolds, newLevels, changedLevels, signaledLevels, newWorks, changedWorks, newKeys, replayedKeys } = changes
  const statements: Statement[] = []
  if (newHolds.length > 0)
    statements.push([
      'insert-holds',
      insertHolds,
      [
        uuids(newHolds.map((hold) => hold.id)),
        int4s(newHolds.map((hold) => hold.version)),
        words(newHolds.map((hold) => hold.status)),
        words(newHolds.map((hold) => hold.mode)),
        int8s(newHolds.map((hold) => hold.expiresAt)),
        int8s(newHolds.map((hold) => hold.endedAt)),
        texts(newHolds.map((hold) => hold.customer)),
        texts(newHolds.map((hold) => hold.reference)),
        jsons(newHolds.map((hold) => jsonOrNull(hold.metadata))),
        jsons(newHolds.map((hold) => JSON.stringify(hold.allocations))),
        jsons(newHolds.map((hold) => jsonOrNull(hold.shortages))),
        now,
      ],
    ])
  if (changedHolds.length > 0)
    statements.push([
      'update-holds',
      updateHolds,
      [
        uuids(changedHolds.map((hold) => hold.id)),
        int4s(changedHolds.map((hold) => hold.version)),
        words(changedHolds.map((hold) => hold.status)),
        int8s(changedHolds.map((hold) => hold.expiresAt)),
        int8s(changedHolds.map((hold) => hold.endedAt)),
        jsons(changedHolds.map((hold) => JSON.stringify(hold.allocations))),
        changedHolds.length,
      ],
    ])
  if (newLevels.length > 0)
    statements.push([
      'insert-levels',
      insertLevels,
      [
        int4s(newLevels.map((l) => l.item)),
        int4s(newLevels.map((l) => l.location)),
        int8s(newLevels.map((l) => l.available)),
        int8s(newLevels.map((l) => l.held)),
        int8s(newLevels.map((l) => l.committed)),
        int8s(newLevels.map((l) => l.damaged)),
        int8s(newLevels.map((l) => l.quality_control)),
        int8s(newLevels.map((l) => l.incoming)),
        int8s(newLevels.map((l) => l.safetyStock)),
        int8s(newLevels.map((l) => l.reorderPoint)),
        int8s(newLevels.map((l) => l.version)),
        now,
      ],
    ])
  if (changedLevels.length > 0)
    statements.push([
      'update-levels',
      updateLevels,
      [
        int4s(changedLevels.map(({ before }) => before.item)),
        int4s(changedLevels.map(({ before }) => before.location)),
        int8s(changedLevels.map(({ before }) => before.version)),
        int8s(changedLevels.map(({ before, after }) => after.version - before.version)),
        int8s(changedLevels.map(({ before, after }) => after.available - before.available)),
        int8s(changedLevels.map(({ before, after }) => after.held - before.held)),
        int8s(changedLevels.map(({ before, after }) => after.committed - before.committed)),
        int8s(changedLevels.map(({ before, after }) => after.damaged - before.damaged)),
        int8s(changedLevels.map(({ before, after }) => after.quality_control - before.quality_control)),
        int8s(changedLevels.map(({ before, after }) => after.incoming - before.incoming)),
        now,
        changedLevels.length,
      ],
    ])
  if (signaledLevels.length > 0)
    statements.push([
      'signal-levels',
      signalLevels,
      [
        int4s(signaledLevels.map((l) => l.item)),
        int4s(signaledLevels.map((l) => l.location)),
        texts(signaledLevels.map((l) => l.signal)),
        int4s(signaledLevels.map((l) => l.signals)),
      ],
    ])
  if (newWorks.length > 0)
    statements.push([
      'insert-works',
      insertWorks,
      [
        ...workColumns(newWorks.map(({ work }) => work)),
        words(newWorks.map(({ work }) => work.kind)),
        texts(newWorks.map(({ work }) => work.reference)),
        uuids(newWorks.map(({ unique }) => unique)),
      ],
    ])
  if (changedWorks.length > 0) statements.push(['update-works', updateWorks, [...workColumns(changedWorks), changedWorks.length]])
  if (replayedKeys.length > 0) statements.push(['count-replays', countReplays, [uuids(replayedKeys)]])
  if (told.length === 0) {
    if (newKeys.length > 0) statements.push(keysStatement('insert-keys-without-events', insertKeysWithoutEvents, newKeys, now))
    return statements
  }
  statements.push(['advance-head', advanceHead, [told.length, now]])
  statements.push([
    'insert-events',
    insertEvents,
    [
      words(told.map(({ event }) => event.type)),
      words(told.map(({ event }) => event.subject.kind)),
      texts(told.map(({ event }) => event.subject.id)),
      int4s(told.map(({ event }) => event.subject.version)),
      texts(told.map(({ actor }) => actor)),
      texts(told.map(({ requestId }) => requestId)),
      jsons(told.map(({ event }) => JSON.stringify(event.data))),
      now,
    ],
  ])
  const entries = told.flatMap(({ entries: moved, answer }, index) =>
    answer === null ? [] : moved.map((entry) => ({ entry, index, document: documentOf(answer) })),
  )
  if (entries.length > 0)
    statements.push([
      'insert-entries',
      insertEntries,
      [
        int4s(entries.map(({ index }) => index)),
        int4s(entries.map(({ entry }) => entry.item)),
        int4s(entries.map(({ entry }) => entry.location)),
        int8s(entries.map(({ entry }) => entry.levelVersion)),
        int8s(entries.map(({ entry }) => entry.quantity)),
        int2s(entries.map(({ entry }) => placeNumber(entry.from))),
        int2s(entries.map(({ entry }) => placeNumber(entry.to))),
        int2s(entries.map(({ document }) => documentNumber(document.kind))),
        uuids(entries.map(({ document }) => document.id)),
        now,
        told.length,
      ],
    ])
  const documents = told.flatMap(({ answer }, index) => (answer !== null && isWrittenOnce(answer) ? [{ index, answer, ...noted(answer) }] : []))
  if (documents.length > 0)
    statements.push([
      'insert-documents',
      insertDocuments,
      [
        int4s(documents.map(({ index }) => index)),
        uuids(documents.map(({ id }) => id)),
        words(documents.map(({ answer }) => answer.kind)),
        uuids(documents.map(({ hold }) => hold)),
        texts(documents.map(({ reference }) => reference)),
        jsons(documents.map(({ answer }) => JSON.stringify(answer))),
        told.length,
      ],
    ])
  if (newKeys.length > 0) statements.push(keysStatement('insert-keys', insertKeys, newKeys, now, told.length))
  statements.push(['insert-outbox', insertOutbox, [told.length, now]])
  return statements
}

const keysStatement = (name: string, text: string, newKeys: readonly NewKey[], now: Instant, told?: number): Statement => [
  name,
  text,
  [
    uuids(newKeys.map(({ key }) => key)),
    uuids(newKeys.map(({ fingerprint }) => fingerprint)),
    int4s(newKeys.map(({ remembers }) => ('told' in remembers ? remembers.told : null))),
    jsons(newKeys.map(({ remembers }) => ('outcome' in remembers ? JSON.stringify(remembers.outcome) : null))),
    now,
    ...(told === undefined ? [] : [told]),
  ],
]

/** Whole numbers and locations that lists filter by are written beside the body. */
const workColumns = (works: readonly Work[]): unknown[] => [
  uuids(works.map((work) => work.id)),
  int4s(works.map((work) => work.version)),
  words(works.map((work) => work.status)),
  texts(works.map((work) => `{${locationsOfWork(work).join(',')}}`)),
  jsons(works.map((work) => JSON.stringify(levelsOfWork(work)))),
  jsons(works.map((work) => JSON.stringify(work))),
]

const noted = (answer: WrittenOnce): { id: Uuid; hold: Uuid | null; reference: string | null } => {
  switch (answer.kind) {
    case 'receipt':
      return { id: answer.receipt.id, hold: null, reference: answer.receipt.reference }
    case 'adjustment':
      return { id: answer.adjustment.id, hold: null, reference: answer.adjustment.reference }
    case 'shipment':
      return { id: answer.shipment.id, hold: answer.shipment.hold, reference: answer.shipment.reference }
    case 'return':
      return { id: answer.return.id, hold: answer.return.hold, reference: answer.return.reference }
  }
}

const insertHolds = `
insert into holds (id, version, status, mode, expires_at, created_at, ended_at, customer, reference, metadata, allocations, shortages)
select n.id, n.version, n.status, n.mode, to_timestamp(n.expires_at::float8 / 1000), to_timestamp($12::float8 / 1000),
       to_timestamp(n.ended_at::float8 / 1000), n.customer, n.reference, n.metadata, n.allocations, n.shortages
  from unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::text[], $8::text[], $9::json[], $10::json[], $11::json[])
       as n (id, version, status, mode, expires_at, ended_at, customer, reference, metadata, allocations, shortages)`

const updateHolds = `
with changed as (
  update holds as h
     set version = n.version, status = n.status, expires_at = to_timestamp(n.expires_at::float8 / 1000),
         ended_at = to_timestamp(n.ended_at::float8 / 1000), allocations = n.allocations
    from unnest($1::uuid[], $2::int[], $3::text[], $4::bigint[], $5::bigint[], $6::json[])
         as n (id, version, status, expires_at, ended_at, allocations)
   where h.id = n.id
     and h.version < n.version
  returning 1)
select expect_rows('holds', count(*), $7) from changed`

const insertLevels = `
insert into stock_levels (item_id, location_id, available, held, committed, damaged, quality_control, incoming, safety_stock, reorder_point, version, updated_at)
select n.item_id, n.location_id, n.available, n.held, n.committed, n.damaged, n.quality_control, n.incoming, n.safety_stock, n.reorder_point, n.version,
       to_timestamp($12::float8 / 1000)
  from unnest($1::int[], $2::int[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[])
       as n (item_id, location_id, available, held, committed, damaged, quality_control, incoming, safety_stock, reorder_point, version)
 order by n.item_id, n.location_id`

// By delta, so that the constraints judge what stands and not what we believed.
const updateLevels = `
with changed as (
  update stock_levels as l
     set version = l.version + n.version, available = l.available + n.available, held = l.held + n.held, committed = l.committed + n.committed,
         damaged = l.damaged + n.damaged, quality_control = l.quality_control + n.quality_control, incoming = l.incoming + n.incoming,
         updated_at = to_timestamp($11::float8 / 1000)
    from unnest($1::int[], $2::int[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[])
         as n (item_id, location_id, expected, version, available, held, committed, damaged, quality_control, incoming)
   where (l.item_id, l.location_id) = (n.item_id, n.location_id)
     and l.version = n.expected
  returning 1)
select expect_rows('stock levels', count(*), $12) from changed`

// The rows were changed or made just before, in this transaction.
const signalLevels = `
update stock_levels as l
   set signal = n.signal, signals = n.signals
  from unnest($1::int[], $2::int[], $3::text[], $4::int[]) as n (item_id, location_id, signal, signals)
 where (l.item_id, l.location_id) = (n.item_id, n.location_id)`

// In the order of their names: of two who give the same names, one waits for the other, and not each for each.
const insertWorks = `
insert into work_documents (id, version, status, location_ids, levels, body, kind, reference, unique_name)
select n.id, n.version, n.status, n.location_ids::int[], n.levels, n.body, n.kind, n.reference, n.unique_name
  from unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::json[], $6::json[], $7::text[], $8::text[], $9::uuid[])
       as n (id, version, status, location_ids, levels, body, kind, reference, unique_name)
 order by n.unique_name`

const updateWorks = `
with changed as (
  update work_documents as w
     set version = n.version, status = n.status, location_ids = n.location_ids::int[], levels = n.levels, body = n.body
    from unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::json[], $6::json[]) as n (id, version, status, location_ids, levels, body)
   where w.id = n.id
     and w.version < n.version
  returning 1)
select expect_rows('documents', count(*), $7) from changed`

// A replay writes, too: so its commit waits for the standby as the first one's did, and a replayed answer is as durable.
const countReplays = `
update idempotency_keys as k
   set replays = k.replays + 1
 where k.key = any($1::uuid[])`

const advanceHead = `
update ledger_head
   set sequence = sequence + $1::int, latest_at = greatest(latest_at, to_timestamp($2::float8 / 1000))
returning sequence - $1::int + 1 as first`

const insertEvents = `
insert into events (sequence, type, subject_kind, subject_id, subject_version, actor, request_id, data, occurred_at)
select h.sequence - cardinality($1::text[]) + n.place, n.type, n.subject_kind, n.subject_id, n.subject_version, n.actor, n.request_id, n.data, to_timestamp($8::float8 / 1000)
  from ledger_head as h,
       unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::text[], $6::text[], $7::json[])
       with ordinality as n (type, subject_kind, subject_id, subject_version, actor, request_id, data, place)`

const insertEntries = `
insert into ledger_entries (sequence, item_id, location_id, level_version, quantity, from_state, to_state, document_kind, document_id, occurred_at)
select h.sequence - $11::int + 1 + n.told, n.item_id, n.location_id, n.level_version, n.quantity, n.from_state, n.to_state, n.document_kind, n.document_id,
       to_timestamp($10::float8 / 1000)
  from ledger_head as h,
       unnest($1::int[], $2::int[], $3::int[], $4::bigint[], $5::bigint[], $6::smallint[], $7::smallint[], $8::smallint[], $9::uuid[])
       as n (told, item_id, location_id, level_version, quantity, from_state, to_state, document_kind, document_id)`

const insertDocuments = `
insert into documents (id, kind, hold_id, reference, sequence, body)
select n.id, n.kind, n.hold_id, n.reference, h.sequence - $7::int + 1 + n.told, n.body
  from ledger_head as h,
       unnest($1::int[], $2::uuid[], $3::text[], $4::uuid[], $5::text[], $6::json[]) as n (told, id, kind, hold_id, reference, body)`

const insertKeys = `
insert into idempotency_keys (key, fingerprint, sequence, answer, created_at)
select n.key, n.fingerprint, h.sequence - $6::int + 1 + n.told, n.answer, to_timestamp($5::float8 / 1000)
  from ledger_head as h, unnest($1::uuid[], $2::uuid[], $3::int[], $4::json[]) as n (key, fingerprint, told, answer)
 order by n.key`

const insertKeysWithoutEvents = `
insert into idempotency_keys (key, fingerprint, answer, created_at)
select n.key, n.fingerprint, n.answer, to_timestamp($5::float8 / 1000)
  from unnest($1::uuid[], $2::uuid[], $3::int[], $4::json[]) as n (key, fingerprint, told, answer)
 order by n.key`

const insertOutbox = `
insert into outbox (first_sequence, last_sequence, occurred_at)
select h.sequence - $1::int + 1, h.sequence, to_timestamp($2::float8 / 1000)
  from ledger_head as h`
