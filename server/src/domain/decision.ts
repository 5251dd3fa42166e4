// What a rule answers: the facts to write, or a rejection. And the ledger state that it reads.
import type { DocumentAnswer, EventDraft, StockEventType } from './event.ts'
import type { Hold } from './hold.ts'
import type { ItemNumber, LocationNumber, Uuid } from './ids.ts'
import { moved, type Entry, type Level, type Place } from './level.ts'
import type { Rejection } from './rejection.ts'
import { answerOf, type Work, type WorkKind } from './work.ts'

/** What a rule may look at: the locked state of the ledger, as the commands before it in the batch left it. */
export type StockView = {
  /** The same object for the same level, for as long as one command is decided. */
  level(item: ItemNumber, location: LocationNumber): Level
  hold(id: Uuid): Hold | undefined
  work<Kind extends WorkKind>(kind: Kind, id: Uuid): Extract<Work, { kind: Kind }> | undefined
  /** The document that has this unique name already. */
  workNamed(unique: Uuid): Uuid | undefined
  /** Units on the shelf as the ledger's sequence `asOf` left them. */
  shelfAsOf(item: ItemNumber, location: LocationNumber, asOf: number): number
  /** Units of an item that a customer has bought or holds, of holds placed within the window. What is held counts until its hold has ended. */
  bought(purchase: Purchase): number
}

/** An item that a customer may have only so much of. */
export type Purchase = { readonly customer: string; readonly item: ItemNumber; readonly windowMs: number }

export type Accepted = {
  readonly ok: true
  readonly answer: DocumentAnswer
  /** Absent when what was asked for was so already. */
  readonly event?: EventDraft
  readonly entries: readonly Entry[]
  /** The touched levels, after. */
  readonly levels: readonly Level[]
  /** The hold, after. */
  readonly hold?: Hold
  /** The document with a life of its own, after. */
  readonly work?: Work
}
export type Decision = Accepted | { readonly ok: false; readonly rejection: Rejection }

export const reject = (rejection: Rejection): Decision => ({ ok: false, rejection })

/** What was asked for is so already: an answer, and nothing to write. */
export const already = (answer: DocumentAnswer): Decision => ({ ok: true, answer, entries: [], levels: [] })

/** The document is so from now on, its movements are made, and that is told as its event. */
export const acceptWork = (work: Work, type: StockEventType, stock: ReturnType<typeof movements>): Decision => {
  const answer = answerOf(work)
  return {
    ok: true,
    answer,
    work,
    entries: stock.entries,
    levels: stock.levels(),
    event: { type, subject: { kind: work.kind, id: work.id, version: work.version }, data: answer },
  }
}

/**
 * Collects the movements of one command. Each level that is touched gets its next version once, however many movements
 * there are, so that a version is one command's.
 */
export const movements = (view: StockView) => {
  const touched = new Map<Level, Level>()
  const entries: Entry[] = []
  return {
    /** The level as the movements so far leave it. */
    level: (item: ItemNumber, location: LocationNumber): Level => {
      const before = view.level(item, location)
      return touched.get(before) ?? before
    },
    /** Moves units and says which version of the level that is. */
    move: (item: ItemNumber, location: LocationNumber, from: Place, to: Place, quantity: number): number => {
      const before = view.level(item, location)
      const entry: Entry = { item, location, from, to, quantity, levelVersion: before.version + 1 }
      const left = touched.get(before)
      touched.set(before, moved(left ?? before, entry))
      // The same movement twice in one command is one entry: a line that named the location, and another that was sourced there.
      const twin = left === undefined ? -1 : entries.findIndex((one) => one.item === item && one.location === location && one.from === from && one.to === to)
      if (twin < 0) entries.push(entry)
      else entries[twin] = { ...entry, quantity: quantity + (entries[twin]?.quantity ?? 0) }
      return entry.levelVersion
    },
    entries,
    levels: (): Level[] => [...touched.values()],
  }
}
