// When a receiver that failed is tried again.
import { expect, test } from 'vitest'
import { limits } from '../../platform/limits.ts'
import { nextWaitMs, retryAfterMsOf } from './schedule.ts'

const wait = (failures: number, { chance = 0.5, retryAfterMs = null }: { chance?: number; retryAfterMs?: number | null } = {}) =>
  nextWaitMs({ failures, retryAfterMs, chance }, limits.webhooks)
const HOUR_MS = 3_600_000

test('waits grow from seconds to a day, and after three days it is over', () => {
  const waits = Array.from({ length: 9 }, (_, failures) => wait(failures + 1) ?? 0)
  expect(waits).toEqual([5_000, 300_000, 1_800_000, 2, 5, 10, 14, 20, 24].map((value) => (value < 1_000 ? value * HOUR_MS : value)))
  expect(waits.reduce((sum, one) => sum + one) / HOUR_MS).toBeGreaterThan(72)
  expect(wait(10)).toBeNull()
})

test('those that failed together do not come back together', () => {
  expect([wait(1, { chance: 0 }), wait(1, { chance: 0.999 })]).toEqual([4_500, 5_499])
})

test('a receiver may ask for longer, not for sooner, and not for ever', () => {
  expect(wait(1, { retryAfterMs: HOUR_MS })).toBe(HOUR_MS)
  expect(wait(4, { retryAfterMs: 1_000 })).toBe(2 * HOUR_MS)
  expect(wait(1, { retryAfterMs: 1_000 * HOUR_MS })).toBe(24 * HOUR_MS)
  expect(wait(10, { retryAfterMs: HOUR_MS })).toBeNull()
})

test('it asks in seconds or with a date; what is neither is nothing', () => {
  const now = Date.parse('2026-11-21T10:00:00Z')
  expect(retryAfterMsOf('120', now)).toBe(120_000)
  expect(retryAfterMsOf('Sat, 21 Nov 2026 10:01:00 GMT', now)).toBe(60_000)
  expect(retryAfterMsOf('Sat, 21 Nov 2026 09:00:00 GMT', now)).toBe(0)
  for (const nothing of [undefined, '', 'soon', '-1', '1.5', '99999999999']) expect(retryAfterMsOf(nothing, now), nothing).toBeNull()
})
