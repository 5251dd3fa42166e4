// How late the event loop is: whatever stands in it waits about so long before anybody looks at it.

export type LoopWatch = { lagMs(): number; stop(): void }

/**
 * A timer that looks how late it came. `monitorEventLoopDelay` forgets the moment before each reset, and a loop that is as slow as it
 * is looked at then shows no delay at all: tried with turns of 200 ms.
 */
export const watchLoop = ({ lookMs, now = () => performance.now() }: { readonly lookMs: number; readonly now?: () => number }): LoopWatch => {
  /** The last few looks. One long turn, as of the garbage collector or of a start, is over when it is seen; several in a row are load. */
  const late = [0, 0, 0]
  let looks = 0
  let expected = now() + lookMs
  const timer = setInterval(() => {
    const at = now()
    late[looks % late.length] = Math.max(0, at - expected)
    looks += 1
    expected = at + lookMs
  }, lookMs)
  timer.unref()
  return { lagMs: () => Math.min(...late), stop: () => clearInterval(timer) }
}
