// How events reach other services: at least once, in the order of the ledger.
import type { WrittenEvent } from '../domain/event.ts'

export type Subscriber = (event: WrittenEvent) => Promise<void>

export type Bus = {
  /** Resolves when every event is safe with the bus. Rejects when one may not be; all are then published again. */
  publish(events: readonly WrittenEvent[]): Promise<void>
  /** Whether anybody listens. What nobody hears need not be read to be told. */
  isHeard(): boolean
  /** `name` is the consumer's: two with one name share the events. Answers how to stop. */
  subscribe(name: string, subscriber: Subscriber): () => void
}
