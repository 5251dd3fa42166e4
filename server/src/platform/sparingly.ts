// Says what goes wrong, and not a thousand times: whoever reads the log at night looks for the line that is different.
import { LRUCache } from 'lru-cache'
import { messageOf } from './error.ts'
import { limits } from './limits.ts'

export type SparinglyOptions = {
  /** The same is said once within this time. */
  readonly everyMs: number
  /** Different messages that are told apart at a time. */
  readonly kinds: number
  readonly now?: () => number
}

/** @param say  is told what went wrong, and how often the same has gone wrong unsaid since it was last told */
export const sparingly = <More extends readonly unknown[]>(
  say: (error: unknown, before: number, ...more: More) => void,
  { everyMs, kinds, now = () => performance.now() }: SparinglyOptions = limits.log,
): ((error: unknown, ...more: More) => void) => {
  const known = new LRUCache<string, { readonly at: number; unsaid: number }>({ max: kinds })
  return (error, ...more) => {
    const kind = messageOf(error)
    const at = now()
    const last = known.get(kind)
    if (last !== undefined && at - last.at < everyMs) {
      last.unsaid += 1
      return
    }
    known.set(kind, { at, unsaid: 0 })
    say(error, last?.unsaid ?? 0, ...more)
  }
}

/** For the line that says it. */
export const timesBefore = (before: number): { readonly before?: number } => (before > 0 ? { before } : {})
