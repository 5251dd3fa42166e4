import fc from 'fast-check'
import { expect, test } from 'vitest'
import { cup, london, paris, tea } from '../../test/support/given.ts'
import { itemNumber, locationNumber } from './ids.ts'
import { availableToSell, emptyLevel, levelKey, moved, onHand, places, stockStates, type Entry, type Level, type Place } from './level.ts'

const level: Level = {
  ...emptyLevel(tea, london, { safetyStock: 2, reorderPoint: null }),
  available: 10,
  held: 20,
  committed: 30,
  damaged: 40,
  quality_control: 50,
  incoming: 60,
  version: 7,
}
const entry = (from: Place, to: Place, quantity: number): Entry => ({ item: tea, location: london, from, to, quantity, levelVersion: 8 })

test('a new level has nothing in it', () => {
  expect(emptyLevel(tea, london)).toEqual({
    item: tea,
    location: london,
    available: 0,
    held: 0,
    committed: 0,
    damaged: 0,
    quality_control: 0,
    incoming: 0,
    safetyStock: 0,
    reorderPoint: null,
    signal: null,
    signals: 0,
    version: 0,
  })
  expect(emptyLevel(tea, london, { safetyStock: 3, reorderPoint: 5 })).toMatchObject({ safetyStock: 3, reorderPoint: 5, available: 0 })
})

test('what is on its way is not on hand', () => {
  expect(onHand(level)).toBe(150)
})

test('what may be promised is what is available, less the safety stock, and never less than nothing', () => {
  expect(availableToSell(level)).toBe(8)
  expect([10, 11, 1000].map((safetyStock) => availableToSell({ ...level, safetyStock }))).toEqual([0, 0, 0])
})

test('a movement takes from one state and gives to the other, and leaves the rest and its argument alone', () => {
  expect(moved(level, entry('available', 'held', 3))).toEqual({ ...level, available: 7, held: 23, version: 8 })
  expect(moved(level, entry('supplier', 'incoming', 3))).toEqual({ ...level, incoming: 63, version: 8 })
  expect(moved(level, entry('committed', 'customer', 30))).toEqual({ ...level, committed: 0, version: 8 })
  expect(level).toMatchObject({ available: 10, held: 20, version: 7 })
})

test('between any two places exactly the moved units change', () => {
  fc.assert(
    fc.property(fc.constantFrom(...places), fc.constantFrom(...places), fc.integer({ min: 1, max: 10 }), (from, to, quantity) => {
      fc.pre(from !== to)
      const after = moved(level, entry(from, to, quantity))
      for (const state of stockStates) expect(after[state] - level[state]).toBe(state === to ? quantity : state === from ? -quantity : 0)
    }),
    { numRuns: 1000 },
  )
})

test('one unit more than there is cannot leave any state', () => {
  for (const state of stockStates) {
    expect(moved(level, entry(state, 'shrinkage', level[state]))).toMatchObject({ [state]: 0 })
    expect(() => moved(level, entry(state, 'shrinkage', level[state] + 1))).toThrow(`${level[state] + 1} from ${state} to shrinkage`)
  }
})

test('nothing, less than nothing, parts of units and more units than can be counted cannot be moved', () => {
  for (const quantity of [0, -1, 0.5, Number.NaN, Number.MAX_SAFE_INTEGER, Number.POSITIVE_INFINITY])
    expect(() => moved(level, entry('supplier', 'available', quantity)), `${quantity} in`).toThrow('item 1 at location 1')
  for (const quantity of [0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY])
    expect(() => moved(level, entry('committed', 'customer', quantity)), `${quantity} out`).toThrow('item 1 at location 1')
})

test('every item at every location has its own key', () => {
  expect(levelKey(tea, paris)).not.toBe(levelKey(cup, london))
  const number = fc.integer({ min: 1, max: 2 ** 22 - 1 })
  fc.assert(
    fc.property(number, number, number, number, (item, location, otherItem, otherLocation) => {
      const isSame = item === otherItem && location === otherLocation
      expect(levelKey(itemNumber(item), locationNumber(location)) === levelKey(itemNumber(otherItem), locationNumber(otherLocation))).toBe(isSame)
    }),
    { numRuns: 1000 },
  )
  const largest = levelKey(itemNumber(2_147_483_647), locationNumber(2 ** 22 - 1)) // item_id is an int in the database
  expect(Number.isSafeInteger(largest)).toBe(true)
  expect(() => levelKey(tea, locationNumber(2 ** 22))).toThrow('beyond')
})
