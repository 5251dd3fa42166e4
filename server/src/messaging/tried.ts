// Trying again what failed: as often as it may fail for its own sake, and as long as it takes while something is away.
import { setTimeout as sleep } from 'node:timers/promises'
import { growingWait, type Waits } from '../platform/growing-waits.ts'

export type Tries = {
  readonly limits: { readonly tries: number; readonly retry: Waits }
  /** Whether an error says that something is away for now, and nothing of what was tried. */
  readonly isPassing: (error: unknown) => boolean
  /** Nobody is there any more for whom it is tried. */
  readonly over: AbortSignal
  readonly onFault: (error: unknown) => void
}

/** What was consumed is given back, unanswered. */
export class Over extends Error {}

/** Answers the last error; nothing when it was done. Throws Over when it is. */
export const tried = async (doIt: () => Promise<unknown>, { limits, isPassing, over, onFault }: Tries): Promise<{ readonly error: unknown } | undefined> => {
  let ownFailures = 0
  for (let failures = 1; ; failures += 1) {
    if (over.aborted) throw new Over('what was consumed is given back')
    try {
      await doIt()
      return undefined
    } catch (error) {
      if (error instanceof Over) throw error
      onFault(error)
      if (!isPassing(error)) ownFailures += 1
      if (ownFailures >= limits.tries) return { error }
    }
    await sleep(growingWait(failures, limits.retry), undefined, { signal: over }).catch(() => undefined)
  }
}
