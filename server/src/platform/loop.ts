// Work that is done again and again, with a wait between that the work itself names, until it is stopped.

export type Loop = {
  start(): void
  /** The next step comes at once, without the wait before it. */
  wake(): void
  stop(): Promise<void>
}

/** @param step  answers how many milliseconds to wait before the next one */
export const loop = ({ step, onFault, afterFaultMs }: { step: () => Promise<number>; onFault: (error: unknown) => void; afterFaultMs: number }): Loop => {
  let running: Promise<void> | undefined
  let stopped = false
  let woken = false
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
      } catch (error) {
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
  }
}
