// Tests wait for what is so, not for time to pass.
import { setTimeout as sleep } from 'node:timers/promises'

/** Waits until something is so. A condition that never comes true says what it was. */
export const until = async (
  what: string,
  isSo: () => Promise<boolean> | boolean,
  { withinMs = 15_000 }: { readonly withinMs?: number } = {},
): Promise<void> => {
  const from = performance.now()
  while (!(await isSo())) {
    if (performance.now() - from > withinMs) throw new Error(`waited ${withinMs} ms, and it did not come true: ${what}`)
    await sleep(LOOK_AGAIN_MS)
  }
}

const LOOK_AGAIN_MS = 20
