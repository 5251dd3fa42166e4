import { describe, expect, test } from 'vitest'
import {
  adjusted,
  adjustStock,
  found,
  given,
  holdPlaced,
  inboundAnnounced,
  london,
  lost,
  paris,
  placeHold,
  received,
  receiveInbound,
  receiveStock,
  releaseHold,
  reorderPointSet,
  safetyStockKept,
  tea,
} from '../../test/support/given.ts'
import { emptyLevel } from './level.ts'
import { signalOf } from './signal.ts'

describe('sold out, and back', () => {
  test('the last unit that is promised is told, once', () => {
    given(received(2))
      .when(placeHold('h1', 1))
      .thenSignaled()
      .when(placeHold('h2', 1))
      .thenSignaled('stock.out of 0 tea in london')
      .thenLevel({ signal: 'out', signals: 1 })
      .when(placeHold('h3', 1))
      .thenSignaled()
  })

  test('what is given back can be sold again, and that is told', () => {
    given(received(1), holdPlaced('h1', 1))
      .when(releaseHold('h1'))
      .thenSignaled('stock.back of 1 tea in london')
      .thenLevel({ signal: 'in_stock', signals: 2 })
      .when(placeHold('h2', 1))
      .thenSignaled('stock.out of 0 tea in london')
      .thenLevel({ signals: 3 })
  })

  test('what was never there is not back, and what is announced is not there', () => {
    given().when(receiveStock(5)).thenSignaled().thenLevel({ signal: null, signals: 0 })
    given(received(1), holdPlaced('h1', 1), inboundAnnounced('i1', 5))
      .thenLevel({ signal: 'out', signals: 1 })
      .when(receiveInbound('i1'))
      .thenSignaled('stock.back of 5 tea in london')
  })

  test('safety stock is not for sale: what is left of it is out', () => {
    given(received(5), safetyStockKept(2)).when(placeHold('h1', 3)).thenSignaled('stock.out of 2 tea in london')
  })

  test('each location is told of by itself', () => {
    given(received(1), received(1, { location: paris }))
      .when(placeHold('h1', [{ item: tea, location: paris, quantity: 1 }]))
      .thenSignaled('stock.out of 0 tea in paris')
      .thenLevel({ location: london, signal: null, signals: 0 })
  })
})

describe('running low', () => {
  test('at its reorder point an item is low, and below it is not told again', () => {
    given(received(20), reorderPointSet(10))
      .when(placeHold('h1', 9))
      .thenSignaled()
      .when(placeHold('h2', 1))
      .thenSignaled('stock.low of 10 tea in london')
      .when(placeHold('h3', 5))
      .thenSignaled()
      .when(placeHold('h4', 5))
      .thenSignaled('stock.out of 0 tea in london')
      .thenLevel({ signals: 2 })
  })

  test('an item without a reorder point is never low', () => {
    given(received(9)).when(placeHold('h1', 8)).thenSignaled().when(placeHold('h2', 1)).thenSignaled('stock.out of 0 tea in london')
  })

  test('a unit that goes to and fro at the line is told once', () => {
    given(received(20), reorderPointSet(10), holdPlaced('h1', 10))
      .when(adjustStock([found(tea, 1)]))
      .thenSignaled()
      .thenLevel({ signal: 'low' })
      .when(adjustStock([lost(tea, 1)]))
      .thenSignaled()
      .and(adjusted([found(tea, 2)]))
      .thenLevel({ signal: 'in_stock', signals: 1 })
      .when(adjustStock([lost(tea, 2)]))
      .thenSignaled('stock.low of 10 tea in london')
      .thenLevel({ signals: 2 })
  })

  test('what was out and has a unit or so is still out, and with more is back, though low', () => {
    given(received(5), reorderPointSet(11), holdPlaced('h1', 5))
      .thenLevel({ signal: 'out', signals: 1 })
      .when(adjustStock([found(tea, 2)]))
      .thenSignaled()
      .thenLevel({ signal: 'out' })
      .when(adjustStock([found(tea, 1)]))
      .thenSignaled('stock.back of 3 tea in london')
      .thenLevel({ signal: 'low', signals: 2 })
      .when(adjustStock([lost(tea, 3)]))
      .thenSignaled('stock.out of 0 tea in london')
  })

  test('a line that is moved tells nothing by itself, but the next movement is judged by it', () => {
    given(received(8), reorderPointSet(10)).when(placeHold('h1', 1)).thenSignaled()
    given(received(8), holdPlaced('h1', 1), reorderPointSet(10)).thenLevel({ signals: 0 })
    given(received(20), reorderPointSet(5), holdPlaced('h1', 15), reorderPointSet(3))
      .thenLevel({ signal: 'low' })
      .when(placeHold('h2', 1))
      .thenSignaled()
      .thenLevel({ available: 4, signal: 'low' })
  })
})

test('what crosses two lines at once is told of the last', () => {
  given(received(20), reorderPointSet(10)).when(placeHold('h1', 20)).thenSignaled('stock.out of 0 tea in london').thenLevel({ signals: 1 })
})

test('nothing is told of a level that is new', () => {
  const level = emptyLevel(tea, london)
  expect(signalOf(level, { ...level, available: 5, version: 1 })).toBeUndefined()
  expect(signalOf({ ...level, version: 1 }, { ...level, available: 5, version: 2 })).toEqual({ signal: 'in_stock', type: 'stock.back' })
})
