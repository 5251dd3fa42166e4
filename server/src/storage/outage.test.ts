import { expect, test } from 'vitest'
import { throughOutage } from './outage.ts'

const away = () => Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:5432'), { code: 'ECONNREFUSED' })
const patience = { withinMs: 2_000, waits: { firstWaitMs: 1, longestWaitMs: 5 } }

test('what fails because the database is away is done when it is back, and each failure is told', async () => {
  const told: unknown[] = []
  let tries = 0
  const found = await throughOutage(
    async () => {
      tries += 1
      if (tries < 4) throw away()
      return 'there'
    },
    { ...patience, onFault: (error) => told.push(error) },
  )
  expect([found, tries, told.length]).toEqual(['there', 4, 3])
})

test('what fails for another reason fails at once; what is away for too long fails in the end, with its own reason', async () => {
  let tries = 0
  const failing = (error: Error, withinMs: number) => {
    tries = 0
    return throughOutage(
      async () => {
        tries += 1
        throw error
      },
      { ...patience, withinMs, onFault: () => undefined },
    )
  }
  await expect(failing(new TypeError('no such function'), 2_000)).rejects.toThrow('no such function')
  expect(tries).toBe(1)
  await expect(failing(away(), 50)).rejects.toThrow('ECONNREFUSED')
  expect(tries).toBeGreaterThan(1)
})
