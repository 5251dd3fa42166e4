// What the clients asked for and heard. Together with the committed rows it is all that the auditor is given.
import type { Command } from '../../src/domain/decide.ts'
import type { ExpireHold } from '../../src/domain/hold.ts'
import type { ItemNumber, LocationNumber, Uuid } from '../../src/domain/ids.ts'
import type { Level } from '../../src/domain/level.ts'
import type { LedgerOutcome } from '../../src/ledger/ledger.ts'

/** What a client can ask for. */
export type Asked = Exclude<Command, ExpireHold>

/** One thing that a client wants to be done once, however often it must ask. */
export type Operation = {
  readonly number: number
  /** As asked: where the server makes the new document's id, none is there yet. */
  readonly command: Asked
  readonly fingerprint: Uuid
  readonly dryRun: boolean
  /** Sent to arrive at the instant at which its hold expires. */
  readonly atExpiry: boolean
  readonly attempts: Attempt[]
}

export type Attempt = {
  readonly requestId: string
  readonly key: Uuid
  /** Simulated milliseconds, of one clock that all clients share. */
  readonly invokedAt: number
  completedAt: number | null
  /** Nothing as long as the client does not know. */
  outcome: LedgerOutcome | null
}

/** A level as a client read it. */
export type Look = {
  readonly item: ItemNumber
  readonly location: LocationNumber
  readonly invokedAt: number
  readonly completedAt: number
  readonly level: Level | null
}

export type History = {
  readonly operations: Operation[]
  readonly looks: Look[]
  /** Events in the order in which a reader that goes on from the last sequence it saw has seen them. */
  readonly told: number[]
}

/** Whether the client need not ask again: 5xx answers say nothing for sure. */
export const isDefinite = (outcome: LedgerOutcome | null): outcome is LedgerOutcome =>
  outcome !== null && (outcome.ok || (outcome.rejection.code !== 'overloaded' && outcome.rejection.code !== 'unavailable'))
