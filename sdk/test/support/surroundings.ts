import type { Surroundings } from '@holdfast/sdk'

/** Time that passes only by waiting, and chance that always says the same. Nothing is really waited for. */
export function quickSurroundings({ random = 0.5 } = {}) {
  const waits: number[] = []
  let nowMs = 0
  const surroundings: Surroundings = {
    nowMs: () => nowMs,
    random: () => random,
    wait: async (ms, signal) => {
      signal?.throwIfAborted()
      waits.push(ms)
      nowMs += ms
    },
  }
  return { surroundings, waits }
}
