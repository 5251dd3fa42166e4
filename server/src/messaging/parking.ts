// Where messages go that nobody can take, with the reason, so that a person sees them and may send them again.
import { setTimeout as sleep } from 'node:timers/promises'
import { growingWait } from '../platform/growing-waits.ts'
import type { Tries } from './tried.ts'

export type Parked = {
  /** The queue it came from, without the prefix: `commands.stock`. */
  readonly queue: string
  /** The operation, or the type of the event; null when it says none. */
  readonly operation: string | null
  /** JSON as it came; what is none, as a text in JSON. */
  readonly message: string
  readonly messageId: string | undefined
  /** When it was first sent, as far as anybody has said so. */
  readonly sentAt: number | undefined
  readonly reason: string
  readonly attempts: number
  /** Who sent it, as they were known: it is sent again in their name. Null: nobody knows. */
  readonly caller: unknown
}

/** Resolves when it is kept. The same message parked again is one message. Rejects only for what passes. */
export type Park = (parked: Parked) => Promise<void>

/** What cannot be kept at all would come again for ever, and hold up what is behind it: it is dropped, and the log has what it was. */
export const parking =
  ({
    keep,
    isPassing,
    limits,
    onDropped,
  }: Pick<Tries, 'isPassing' | 'limits'> & { readonly keep: Park; readonly onDropped: (error: unknown, what: string) => void }): Park =>
  async (parked) => {
    for (let failures = 1; ; failures += 1) {
      try {
        return await keep(parked)
      } catch (error) {
        if (isPassing(error)) throw error
        if (failures >= limits.tries) return onDropped(error, nameOf(parked))
      }
      await sleep(growingWait(failures, limits.retry))
    }
  }

const nameOf = ({ queue, messageId, message, reason }: Parked): string =>
  `${messageId ?? 'without an id'} of ${queue} (${reason.slice(0, SHOWN)}): ${message.slice(0, SHOWN)}`
const SHOWN = 200
