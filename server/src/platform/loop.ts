// Work that is done again and again, with a wait between that the work itself names, until it is stopped.

export type Loop = { start(): void; stop(): Promise<void> }

/** @param step  answers how many milliseconds to wait before the next one */
export const loop = ({ step, onFault, afterFaultMs }: { step: () => Promise<number>; onFault: (error: unknown) => void; afterFaultMs: number }): Loop => {
  let running: Promise<void> | undefined
  let stopped = false
  let wake: (() => void) | undefined

  const wait = (ms: number) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms)
      wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  const run = async () => {
    while (!stopped) {
      let waitMs: number
      try {
        waitMs = await step()
      } catch (error) {
        onFault(error)
        waitMs = afterFaultMs
      }
      if (!stopped) await wait(waitMs)
    }
  }
  return {
    start: () => void (running ??= run()),
    stop: async () => {
      stopped = true
      wake?.()
      await running
    },
  }
}
