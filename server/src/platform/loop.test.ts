// What loops say of themselves.
import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { loop, stateOf } from './loop.ts'

test('what is made of loops is degraded while one of them fails, says which and why, and is up when it works again', async () => {
  let isAway = true
  const step = async () => {
    if (isAway) throw new Error('no connection')
    return 60_000
  }
  const [sending, upkeep] = [
    loop({ step, onFault: () => undefined, afterFaultMs: 60_000 }),
    loop({ step: async () => 60_000, onFault: () => undefined, afterFaultMs: 1 }),
  ]
  expect(stateOf({ sending, upkeep })).toEqual({ state: 'up', why: null })

  sending.start()
  upkeep.start()
  await turn()
  expect(stateOf({ sending, upkeep })).toEqual({ state: 'degraded', why: 'sending: no connection' })

  isAway = false
  sending.wake()
  await turn()
  expect(stateOf({ sending, upkeep })).toEqual({ state: 'up', why: null })
  await Promise.all([sending.stop(), upkeep.stop()])
})
