// What a batch wants and writes, for tests that speak to a ledger's store themselves: nothing, but what they name.
import type { Changes, Wanted } from '../../src/storage/ledger-store.ts'

export const wantedOf = (some: Partial<Wanted>): Wanted => ({ holds: [], levels: [], keys: [], works: [], uniques: [], purchases: [], shelves: [], ...some })

export const noChanges: Changes = {
  told: [],
  newHolds: [],
  changedHolds: [],
  newLevels: [],
  changedLevels: [],
  signaledLevels: [],
  newWorks: [],
  changedWorks: [],
  newKeys: [],
  replayedKeys: [],
}

/** What a rule about holds and levels never looks at. */
export const unasked = { work: () => undefined, workNamed: () => undefined, shelfAsOf: () => 0, bought: () => 0 }
