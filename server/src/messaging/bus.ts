// How events reach other services: at least once, in the order of the ledger.
import type { WrittenEvent } from '../domain/event.ts'

/** Takes events in their order, many at a time. When it rejects, all of them are told again. */
export type Subscriber = (events: readonly WrittenEvent[]) => Promise<void>

/** `missed` is told whenever something may have happened that `take` was not told of: at the first connection, and at each one after. */
export type Overhearer = { take(events: readonly WrittenEvent[]): void; missed(): void }

export type Bus = {
  /** Resolves when every event is safe with the bus. Rejects when one may not be; all are then published again. */
  publish(events: readonly WrittenEvent[]): Promise<void>
  /** Whether anybody listens to what has happened until now. What nobody hears need not be read to be told. */
  isHeard(): Promise<boolean>
  /**
   * `name` is the consumer's: two with one name share the events. Answers how to stop.
   * `listens` says whether it would do anything with what has happened until now; without it, always.
   */
  subscribe(name: string, subscriber: Subscriber, listens?: () => Promise<boolean>): () => void
  /**
   * Every process for itself hears what is told while it listens: nothing is kept for it, and nobody waits for it. So it does not
   * count as being heard. Answers how to stop.
   */
  overhear(overhearer: Overhearer): () => void
}
