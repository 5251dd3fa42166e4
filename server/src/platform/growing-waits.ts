// Waits between tries: each longer than the one before up to a longest one, and none quite like another's, so that those who
// failed together do not come back together.

export type Waits = { readonly firstWaitMs: number; readonly longestWaitMs: number }

/** @param failures  how many tries have failed; 1 after the first */
export const growingWait = (failures: number, { firstWaitMs, longestWaitMs }: Waits, random: () => number = Math.random): number =>
  Math.min(longestWaitMs, firstWaitMs * 2 ** Math.min(failures - 1, MOST_DOUBLINGS)) * (0.5 + random() / 2)

/** Beyond, the numbers would no longer be numbers. */
const MOST_DOUBLINGS = 30
