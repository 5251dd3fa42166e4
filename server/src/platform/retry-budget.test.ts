import { expect, test } from 'vitest'
import { retryBudget } from './retry-budget.ts'

test('what is tried again stays a part of what is asked', () => {
  const budget = retryBudget({ share: 0.1, most: 5 })
  let again = 0
  for (let n = 0; n < 1_000; n += 1) {
    budget.asked()
    if (budget.spend()) again += 1
  }
  expect(again).toBeGreaterThan(95)
  expect(again).toBeLessThanOrEqual(105)
})

test('after a quiet time there is no more to spend than the most', () => {
  const budget = retryBudget({ share: 1, most: 3 })
  for (let n = 0; n < 100; n += 1) budget.asked()
  expect([budget.spend(), budget.spend(), budget.spend(), budget.spend()]).toEqual([true, true, true, false])
})
