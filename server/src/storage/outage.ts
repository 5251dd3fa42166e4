// A server that starts outlives a database that goes away under it: whoever started both at once need not start one of them again.
import { setTimeout as sleep } from 'node:timers/promises'
import { growingWait, type Waits } from '../platform/growing-waits.ts'
import { isPassing } from './fault.ts'

export type Patience = {
  /** After so long, what failed last is thrown. */
  readonly withinMs: number
  readonly waits: Waits
  readonly onFault: (error: unknown) => void
}

/** Does it again for as long as the database is away. What may be done twice is given to it, and nothing else. */
export const throughOutage = async <Result>(work: () => Promise<Result>, { withinMs, waits, onFault }: Patience): Promise<Result> => {
  const from = performance.now()
  for (let failures = 1; ; failures += 1) {
    try {
      return await work()
    } catch (error) {
      const waitMs = growingWait(failures, waits)
      if (!isPassing(error) || performance.now() - from + waitMs > withinMs) throw error
      onFault(error)
      await sleep(waitMs)
    }
  }
}
