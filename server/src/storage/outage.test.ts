import { expect, test } from 'vitest'
import { Fault } from './fault.ts'
import { GivenUp, outliving } from './outage.ts'

const away = () => Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:5432'), { code: 'ECONNREFUSED' })
const start = ({ withinMs = 2_000, over = new AbortController().signal, onFault = (_error: unknown): void => undefined } = {}) =>
  outliving({ withinMs, waits: { firstWaitMs: 1, longestWaitMs: 5 }, over, onFault })
/** Fails so many times, and then says how often it was tried. */
const failing = (times: number, error: () => Error) => {
  let tries = 0
  return async () => {
    tries += 1
    if (tries <= times) throw error()
    return tries
  }
}

test('what fails because the database is away is done when it is back, and each failure is told', async () => {
  const told: unknown[] = []
  expect(await start({ onFault: (error) => told.push(error) }).again(failing(3, away))).toBe(4)
  expect(told).toHaveLength(3)
})

test('what fails for another reason fails at once', async () => {
  const told: unknown[] = []
  await expect(start({ onFault: (error) => told.push(error) }).again(failing(1, () => new TypeError('no such function')))).rejects.toThrow('no such function')
  expect(told).toEqual([])
})

test('what is away for too long ends the start with its own reason, however many steps have waited for it', async () => {
  const { again } = start({ withinMs: 40 })
  await again(failing(3, away))
  await expect(again(failing(1_000, away))).rejects.toThrow('ECONNREFUSED')
  await expect(again(failing(1, away))).rejects.toThrow('ECONNREFUSED')
})

test('what must not be done twice is done again only when it is known not to have been done', async () => {
  expect(await start().once(failing(2, away))).toBe(3)
  await expect(start().once(failing(1, () => new Fault('unknown', true, undefined, new Error('lost'))))).rejects.toMatchObject({ kind: 'unknown' })
})

test('whoever is asked to stop meanwhile stops', async () => {
  const over = new AbortController()
  const waiting = start({ withinMs: 60_000, over: over.signal, onFault: () => over.abort() }).again(failing(1_000, away))
  await expect(waiting).rejects.toThrow(GivenUp)
})
