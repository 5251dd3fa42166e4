// Bugs planted by hand, each the kind that somebody makes. A test shows that the simulation finds every one of them, so that
// its silence about the real thing means something.
import { expireHold } from '../../src/domain/hold.ts'
import type { ItemNumber, LocationNumber } from '../../src/domain/ids.ts'
import { emptyLevel } from '../../src/domain/level.ts'
import { Fault } from '../../src/storage/fault.ts'
import type { Batch, LedgerStore } from '../../src/storage/ledger-store.ts'
import { noChanges, unasked, wantedOf } from '../support/batch.ts'
import { remembered, SWEEPER } from './database.ts'
import type { Failure, Variant } from './simulation.ts'

export type Mutant = {
  readonly name: string
  readonly variant: Variant
  /** One of these must be found broken. */
  readonly breaks: readonly Failure['rule'][]
}

/** A store whose batches are not what they should be. */
const changed =
  (change: (batch: Batch) => Batch) =>
  (store: LedgerStore): LedgerStore => ({ open: async (wanted) => change(await store.open(wanted)) })

export const mutants: readonly Mutant[] = [
  {
    name: 'check before lock',
    // Levels are read, then their locks are waited for, and what follows from the reading is written over what stands.
    variant: { rules: { readsLevels: 'before the locks', guardsLevels: false } },
    breaks: [
      'each version of a level is one command’s',
      'a level is the sum of its entries',
      'no more is promised than may be sold',
      'no state of a level was ever below zero',
    ],
  },
  {
    name: 'check before lock, with guards',
    // No unit is promised twice then: who writes is refused by the version that stands. But who only says "no" writes nothing.
    variant: { rules: { readsLevels: 'before the locks' } },
    breaks: ['nobody is refused while dead holds have enough'],
  },
  {
    name: 'key outside the transaction',
    // Looked up before, and saved after, each in a transaction of its own.
    variant: {
      store: (store, database, host) => ({
        open: async (wanted) => {
          const keys = await database.read(host, (rows) => remembered(rows, wanted.keys))
          const batch = await store.open({ ...wanted, keys: [] })
          return {
            ...batch,
            keys,
            commit: async (changes) => {
              const first = await batch.commit({ ...changes, newKeys: [], replayedKeys: [] })
              await database.write(host, (rows) => {
                for (const { key, fingerprint, remembers } of changes.newKeys) {
                  if (rows.keys.has(key)) continue
                  const answer = 'told' in remembers ? { sequence: first + remembers.told, outcome: null } : { sequence: null, outcome: remembers.outcome }
                  rows.keys.set(key, { key, fingerprint, replays: 0, ...answer })
                }
              })
              return first
            },
          }
        },
      }),
    },
    breaks: ['what is wanted once is done once', 'a key has at most one effect'],
  },
  {
    name: 'expiry by the clock of the process',
    variant: { rules: { clock: 'of the process' } },
    breaks: ['an execution is granted only before the expiry', 'a hold expires only when it is due'],
  },
  {
    name: 'clock read before the locks',
    // What `now()` says in PostgreSQL: the instant at which the transaction began, however long it has waited since.
    variant: { rules: { clock: 'before the locks' } },
    breaks: ['time runs forward along versions', 'nothing is done with a hold from its expiry on'],
  },
  {
    name: 'sweeper without guard',
    // Decides on the hold as it found it, and does not look again when it has the lock.
    variant: {
      sweep: async (found, store) => {
        const batch = await store.open(wantedOf({ holds: [found.id] }))
        const level = (item: ItemNumber, location: LocationNumber) =>
          batch.levels.find((one) => one.item === item && one.location === location) ?? emptyLevel(item, location)
        // Where the level has not that much held any more, the domain throws; where other holds hold as much, it is theirs that is given back.
        if (found.allocations.some(({ item, location, held }) => level(item, location).held < held)) return batch.abandon()
        const decision = expireHold({ type: 'ExpireHold', id: found.id }, { ...unasked, hold: () => found, level }, batch.now)
        const version = (batch.holds[0]?.version ?? 0) + 1
        if (!decision.ok || decision.event === undefined || decision.hold === undefined) return batch.abandon()
        const hold = { ...decision.hold, version }
        const answer = { kind: 'hold', hold } as const
        const event = { ...decision.event, subject: { ...decision.event.subject, version }, data: answer }
        await batch.commit({
          ...noChanges,
          told: [{ event, entries: decision.entries, answer, actor: 'system', requestId: SWEEPER }],
          changedHolds: [hold],
          changedLevels: decision.levels.map((after) => ({ before: level(after.item, after.location), after })),
        })
      },
    },
    breaks: ['a hold ends once', 'the lines of a hold add up', 'a hold expires only when it is due'],
  },
  {
    name: 'lost answer taken for a no',
    // The client believes that nothing happened, and asks anew, with a new key.
    variant: { newKeyWhenUnknown: true },
    breaks: ['what is wanted once is done once'],
  },
  {
    name: 'lost answer taken for a yes',
    variant: {
      store: (store: LedgerStore): LedgerStore => ({
        open: async (wanted) => {
          const batch = await store.open(wanted)
          const commit: typeof batch.commit = (changes) =>
            batch.commit(changes).catch((error: unknown) => {
              if (error instanceof Fault && error.kind === 'unknown') return batch.sequence + 1
              throw error
            })
          return { ...batch, commit }
        },
      }),
    },
    breaks: ['what was acknowledged stands as it was told', 'a key has one answer'],
  },
  {
    name: 'sequence taken early',
    // As from a sequence of PostgreSQL: who takes 7 may commit after who takes 8, and who reads 8 does not wait for 7.
    variant: { rules: { sequence: 'taken early' } },
    breaks: ['a reader sees no gaps'],
  },
  {
    name: 'limit read before its lock',
    // What a customer has bought is read, then the customer's lock is waited for: both of two see what was before either.
    variant: { rules: { readsBought: 'before the locks' } },
    breaks: ['no customer has more than the limit'],
  },
  {
    name: 'limit forgotten',
    // Holds of the customer that were placed in the same batch are all that is looked at.
    variant: { store: changed((batch) => ({ ...batch, bought: [] })) },
    breaks: ['no customer has more than the limit'],
  },
  {
    name: 'transfer received twice',
    // Documents are read, then their locks are waited for, and what follows from the reading is written over what stands.
    variant: { rules: { documents: 'read before the locks, without guard' } },
    breaks: ['a document is what its entries say', 'versions of a subject have no gaps', 'what is incoming is what is outstanding', 'nothing is thrown'],
  },
  {
    name: 'count held against the books at its approval',
    variant: {
      store: changed((batch) => ({
        ...batch,
        works: batch.works.map((work) => {
          if (work.kind !== 'count' || work.status !== 'open') return work
          const shelf = (item: ItemNumber) => {
            const level = batch.levels.find((one) => one.item === item && one.location === work.location)
            return level === undefined ? 0 : level.available + level.held + level.committed
          }
          return { ...work, lines: work.lines.map((line) => ({ ...line, expected: shelf(line.item) })) }
        }),
      })),
    },
    breaks: ['a count corrects by what was missed when it was counted'],
  },
  {
    name: 'count as of now, whatever was said',
    variant: { store: changed((batch) => ({ ...batch, shelves: batch.shelves.map((shelf) => ({ ...shelf, moved: 0 })) })) },
    breaks: ['a count corrects by what was missed when it was counted'],
  },
  {
    name: 'signal told twice',
    // What was told is not written beside the level, so it is told again when the level is next on the other side.
    variant: { store: changed((batch) => ({ ...batch, commit: (changes) => batch.commit({ ...changes, signaledLevels: [] }) })) },
    breaks: ['every signal is true and none is missing'],
  },
  {
    name: 'name not taken',
    variant: {
      store: changed((batch) => ({
        ...batch,
        commit: (changes) => batch.commit({ ...changes, newWorks: changes.newWorks.map(({ work }) => ({ work, unique: null })) }),
      })),
    },
    breaks: ['a name belongs to one document'],
  },
]

/** Safe, but slow: levels are locked as they are asked for, so transactions wait for each other in rings and are refused. */
export const unsortedLocks: Variant = { rules: { locksLevels: 'as asked' } }
