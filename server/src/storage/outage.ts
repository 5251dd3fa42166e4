// A server that starts outlives a database that goes away under it: whoever started both at once need not start one of them again.
import { setTimeout as sleep } from 'node:timers/promises'
import { growingWait, type Waits } from '../platform/growing-waits.ts'
import { faultOf, isPassing } from './fault.ts'

export type OutageOptions = {
  /** What is tried again takes so long in all; then what failed last is thrown. */
  readonly withinMs: number
  readonly waits: Waits
  /** Nobody wants it any more: what is not done yet is not done. */
  readonly over: AbortSignal
  readonly onFault: (error: unknown) => void
}

export type Outliving = {
  /** Does it, and again for as long as the database is away: for what may be done twice. */
  again<Result>(work: () => Promise<Result>): Promise<Result>
  /** The same of what must not be done twice: when nobody knows whether it was done, that is thrown. */
  once<Result>(work: () => Promise<Result>): Promise<Result>
}

/** Its start was given up by whoever had begun it. */
export class GivenUp extends Error {
  constructor() {
    super('it was asked to stop while it started')
  }
}

export const outliving = ({ withinMs, waits, over, onFault }: OutageOptions): Outliving => {
  let leftMs = withinMs
  const tried = async <Result>(work: () => Promise<Result>, isFinal: (error: unknown) => boolean): Promise<Result> => {
    for (let failures = 1; ; failures += 1) {
      if (over.aborted) throw new GivenUp()
      const from = performance.now()
      try {
        return await work()
      } catch (error) {
        const waitMs = growingWait(failures, waits)
        leftMs -= performance.now() - from + waitMs
        if (isFinal(error) || leftMs < 0) throw error
        onFault(error)
        await sleep(waitMs, undefined, { signal: over }).catch(() => undefined)
      }
    }
  }
  return {
    again: (work) => tried(work, (error) => !isPassing(error)),
    once: (work) => tried(work, (error) => !isPassing(error) || faultOf(error)?.kind === 'unknown'),
  }
}
