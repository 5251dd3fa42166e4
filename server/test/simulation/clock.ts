// Simulated time. Everything that happens is an event on one heap, ordered by its time and then by when it was planned.

export type Clock = {
  /** Simulated milliseconds since the history began. */
  now(): number
  after(ms: number, happen: () => void): void
  sleep(ms: number): Promise<void>
  /** Lets events happen until `done`, but none after `latest`. Says whether it was done. */
  runUntil(done: () => boolean, latest: number): Promise<boolean>
  /** Events that have happened. */
  events(): number
}

type Planned = { readonly time: number; readonly order: number; readonly happen: () => void }

export const simulatedClock = (): Clock => {
  const heap: Planned[] = []
  let now = 0
  let order = 0
  let events = 0
  const after = (ms: number, happen: () => void) => {
    if (!(ms >= 0)) throw new RangeError(`an event cannot happen ${ms} ms from now`)
    push(heap, { time: now + ms, order: (order += 1), happen })
  }
  return {
    now: () => now,
    after,
    sleep: (ms) => new Promise((resolve) => after(ms, resolve)),
    runUntil: async (done, latest) => {
      while (!done()) {
        const next = heap[0]
        if (next === undefined || next.time > latest) return false
        pop(heap)
        now = next.time
        events += 1
        next.happen()
        await settled()
      }
      return true
    },
    events: () => events,
  }
}

/**
 * Resolves when nothing more follows from what has happened. Called from a promise's continuation, Node runs the next tick
 * only after every continuation has run, and those that they set off; and it is much cheaper than a turn of the event loop.
 */
const settled = (): Promise<void> => new Promise((resolve) => process.nextTick(resolve))

const isBefore = (a: Planned, b: Planned): boolean => a.time < b.time || (a.time === b.time && a.order < b.order)

const push = (heap: Planned[], planned: Planned) => {
  let at = heap.push(planned) - 1
  while (at > 0) {
    const above = (at - 1) >> 1
    const parent = heap[above]
    if (parent === undefined || isBefore(parent, planned)) break
    heap[at] = parent
    at = above
  }
  heap[at] = planned
}

const pop = (heap: Planned[]) => {
  const last = heap.pop()
  if (last === undefined || heap.length === 0) return
  let at = 0
  for (;;) {
    let below = 2 * at + 1
    let child = heap[below]
    if (child === undefined) break
    const right = heap[below + 1]
    if (right !== undefined && isBefore(right, child)) {
      child = right
      below += 1
    }
    if (isBefore(last, child)) break
    heap[at] = child
    at = below
  }
  heap[at] = last
}
