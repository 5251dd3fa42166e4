// Work that is done again and again, with a wait between that the work itself names, until it is stopped.
import { messageOf } from './error.ts'

export type Loop = {
  start(): void
  /** The next step comes at once, without the wait before it. */
  wake(): void
  stop(): Promise<void>
  /** Why the last step failed; null when it did not. */
  failing(): string | null
}

/** @param step  answers how many milliseconds to wait before the next one */
export const loop = ({ step, onFault, afterFaultMs }: { step: () => Promise<number>; onFault: (error: unknown) => void; afterFaultMs: number }): Loop => {
  let running: Promise<void> | undefined
  let stopped = false
  let woken = false
  let failing: string | null = null
  let endWait: (() => void) | undefined

  const wait = (ms: number) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms)
      endWait = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  const wake = () => {
    woken = true
    endWait?.()
  }
  const run = async () => {
    while (!stopped) {
      let waitMs: number
      woken = false
      try {
        waitMs = await step()
        failing = null
      } catch (error) {
        failing = messageOf(error)
        onFault(error)
        waitMs = afterFaultMs
        // Whoever wakes it again and again must not make it fail again and again.
        woken = false
      }
      if (!stopped && !woken) await wait(waitMs)
    }
  }
  return {
    start: () => void (running ??= run()),
    wake,
    stop: async () => {
      stopped = true
      wake()
      await running
    },
    failing: () => failing,
  }
}

/** How a part does that is made of loops, each by what it is for: degraded while the last step of one of them failed. */
export const stateOf = (loops: Readonly<Record<string, Pick<Loop, 'failing'>>>): { readonly state: 'up' | 'degraded'; readonly why: string | null } => {
  const failing = Object.entries(loops).flatMap(([what, loop]) => {
    const why = loop.failing()
    return why === null ? [] : [`${what}: ${why}`]
  })
  return failing.length === 0 ? { state: 'up', why: null } : { state: 'degraded', why: failing.join('; ') }
}
