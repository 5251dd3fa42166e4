// The end of a turn of the event loop: when everything that had arrived has been looked at.

let ending: Promise<void> | undefined

/**
 * Resolves at the end of this turn, for all who wait for it together. An answer that is written as soon as its request was read wakes
 * its caller, who on a busy machine takes the processor from those that still stand in the turn: that cost more than most answers do.
 */
export const turnOver = (): Promise<void> =>
  (ending ??= new Promise((resolve) =>
    setImmediate(() => {
      ending = undefined
      resolve()
    }),
  ))
