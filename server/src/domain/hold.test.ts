import { describe, expect, test } from 'vitest'
import {
  adjusted,
  afterOpening,
  anywhere,
  back,
  cancelHold,
  cup,
  executeHold,
  expireHold,
  extendHold,
  given,
  holdCanceled,
  holdExecuted,
  holdExpired,
  holdExtended,
  holdIn,
  holdPlaced,
  holdReleased,
  holdShipped,
  line,
  lineAt,
  london,
  lost,
  minutes,
  named,
  opening,
  paris,
  placeHold,
  pot,
  received,
  receiveStock,
  releaseHold,
  returnStock,
  rome,
  safetyStockKept,
  shifted,
  shipHold,
  tea,
  timePassed,
} from '../../test/support/given.ts'
import { unasked } from '../../test/support/batch.ts'
import type { StockView } from './decision.ts'
import { isDue, placeHold as decidePlaceHold, summedByItem, total, type PlaceHold } from './hold.ts'
import { emptyLevel } from './level.ts'

const ttl = minutes(15)
/** Four holds, each ended in its own way and called by it. */
const allEnded = [
  received(20),
  holdPlaced('executed', 1),
  holdPlaced('released', 1),
  holdPlaced('expired', 1),
  holdPlaced('canceled', 1),
  holdExecuted('executed'),
  holdReleased('released'),
  holdCanceled('canceled'),
  timePassed(ttl),
  holdExpired('expired'),
]

describe('placing a hold', () => {
  test('a hold takes units from sale and keeps them for its buyer', () => {
    const story = given(received(5), timePassed(7))
      .when(placeHold('h1', 3, { reference: 'cart-1', metadata: { channel: 'web' } }))
      .thenAccepted('hold.placed')
      .thenMoved('3 tea in london: available to held')
      .thenLevel({ available: 2, held: 3, committed: 0, version: 2 })
    expect(holdIn(story.stock, 'h1')).toEqual({
      id: named('h1'),
      version: 1,
      status: 'active',
      mode: 'all_or_nothing',
      shortages: [],
      createdAt: afterOpening(7),
      expiresAt: afterOpening(7 + ttl),
      endedAt: null,
      customer: null,
      reference: 'cart-1',
      metadata: { channel: 'web' },
      allocations: [{ item: tea, location: london, quantity: 3, held: 3, committed: 0, shipped: 0, released: 0, returned: 0, levelVersion: 2 }],
    })
  })

  test('the last unit can be held, and one more than there is cannot', () => {
    given(received(5)).when(placeHold('h1', 5)).thenAccepted('hold.placed').thenLevel({ available: 0, held: 5 })
    given(received(5)).when(placeHold('h1', 6)).thenRejected('insufficient_stock').thenLevel({ available: 5, held: 0, version: 1 })
  })

  test('of two buyers who want the last unit one gets it, and the other hears what there is', () => {
    given(received(1))
      .when(placeHold('first', 1))
      .thenAccepted('hold.placed')
      .when(placeHold('second', 1))
      .thenRejected('insufficient_stock', { shortages: [{ item: tea, location: london, requested: 1, available: 0, held: 1, incoming: 0, levelVersion: 2 }] })
  })

  test('a buyer who was refused may ask for less, and gets it', () => {
    given(received(5), holdPlaced('other', 2))
      .when(placeHold('h1', 4))
      .thenRejected('insufficient_stock', { shortages: [{ item: tea, location: london, requested: 4, available: 3, held: 2, incoming: 0, levelVersion: 2 }] })
      .when(placeHold('h1', 3))
      .thenAccepted('hold.placed')
      .thenLevel({ available: 0, held: 5, version: 3 })
  })

  test('a buyer who was refused gets what he asked for once more has come in', () => {
    given(received(1))
      .when(placeHold('h1', 2))
      .thenRejected('insufficient_stock')
      .and(received(1))
      .when(placeHold('h1', 2))
      .thenAccepted('hold.placed')
      .thenHold('h1', { version: 1 })
  })

  test('there is no hold after a refusal: it can be neither executed nor released', () => {
    given(received(1))
      .when(placeHold('h1', 2))
      .thenRejected('insufficient_stock')
      .when(executeHold('h1'))
      .thenRejected('hold_not_found', { hold: named('h1') })
      .when(releaseHold('h1'))
      .thenRejected('hold_not_found', { hold: named('h1') })
  })

  test('what was never received cannot be held', () => {
    given()
      .when(placeHold('h1', 1))
      .thenRejected('insufficient_stock', { shortages: [{ item: tea, location: london, requested: 1, available: 0, held: 0, incoming: 0, levelVersion: 0 }] })
  })

  test('stock of another location or another item is no help to a line that says what and where', () => {
    given(received(9, { location: paris }), received([line(cup, 9)]))
      .when(placeHold('h1', 1))
      .thenRejected('insufficient_stock')
  })

  test('neither held nor sold nor damaged nor unchecked units can be held', () => {
    given(received(9), holdPlaced('other', 2), holdPlaced('sold', 2), holdExecuted('sold'))
      .and(adjusted([shifted(tea, 2, 'available', 'damaged'), shifted(tea, 2, 'available', 'quality_control')]))
      .thenLevel({ available: 1, held: 2, committed: 2, damaged: 2, quality_control: 2 })
      .when(placeHold('h1', 2))
      .thenRejected('insufficient_stock')
      .when(placeHold('h1', 1))
      .thenAccepted('hold.placed')
  })

  test('what is on its way cannot be held, but whoever is short hears of it', () => {
    const levels = new Map(
      [london, paris, rome].map((location) => [location, { ...emptyLevel(tea, location), available: 1, held: 2, incoming: 7, version: 9 }]),
    )
    const view: StockView = { level: (item, location) => levels.get(location) ?? emptyLevel(item, location), hold: () => undefined, ...unasked }
    expect(decidePlaceHold(placeHold('h1', 2), view, opening)).toEqual({
      ok: false,
      rejection: {
        code: 'insufficient_stock',
        shortages: [{ item: tea, location: london, requested: 2, available: 1, held: 2, incoming: 7, levelVersion: 9 }],
      },
    })
    expect(decidePlaceHold(placeHold('h1', [lineAt(anywhere, tea, 9)]), view, opening)).toMatchObject({
      rejection: { shortages: [{ location: null, requested: 9, available: 3, held: 6, incoming: 21, levelVersion: null }] },
    })
  })

  test('the same item on two lines is judged as one sum', () => {
    const twice = (first: number, second: number) => placeHold('h1', [lineAt(london, tea, first), lineAt(london, tea, second)])
    given(received(5))
      .when(twice(3, 3))
      .thenRejected('insufficient_stock', { shortages: [{ item: tea, location: london, requested: 6, available: 5, held: 0, incoming: 0, levelVersion: 1 }] })
      .thenLevel({ available: 5, held: 0 })
    given(received(5))
      .when(twice(2, 3))
      .thenMoved('5 tea in london: available to held')
      .thenAllocations('h1', { location: london, quantity: 5, held: 5, levelVersion: 2 })
  })

  test('the same item at two locations is two allocations of one hold', () => {
    given(received(5), received(5, { location: paris }))
      .when(placeHold('h1', [lineAt(london, tea, 1), lineAt(paris, tea, 2)]))
      .thenMoved('1 tea in london: available to held', '2 tea in paris: available to held')
      .thenAllocations('h1', { location: london, quantity: 1 }, { location: paris, quantity: 2 })
      .thenLevel({ location: paris, available: 3, held: 2, version: 2 })
  })

  test('allocations stand in the order in which the lines were asked, all of one item together', () => {
    given(received([line(tea, 5), line(cup, 5)]), received(5, { location: paris }))
      .when(placeHold('h1', [lineAt(anywhere, cup, 1), lineAt(paris, tea, 1), lineAt(london, cup, 1), lineAt(london, tea, 1)]))
      .thenAllocations('h1', { item: cup, location: london, quantity: 2 }, { item: tea, location: paris }, { item: tea, location: london })
  })

  test('a hold of two items counts each level once', () => {
    given(received([line(tea, 5), line(cup, 5)]))
      .when(placeHold('h1', [lineAt(london, tea, 1), lineAt(london, cup, 2)]))
      .thenLevel({ item: tea, available: 4, held: 1, version: 2 })
      .thenLevel({ item: cup, available: 3, held: 2, version: 2 })
  })
})

describe('all or nothing', () => {
  test('one line that is short refuses the whole hold, and nothing is held', () => {
    given(received([line(tea, 5), line(cup, 1)]))
      .when(placeHold('h1', [lineAt(london, tea, 1), lineAt(london, cup, 2)]))
      .thenRejected('insufficient_stock', { shortages: [{ item: cup, location: london, requested: 2, available: 1, held: 0, incoming: 0, levelVersion: 1 }] })
      .thenLevel({ item: tea, available: 5, held: 0, version: 1 })
      .when(placeHold('h1', [lineAt(london, tea, 5), lineAt(london, cup, 1)]))
      .thenAccepted('hold.placed')
  })

  test('every line that is short is named', () => {
    const short = { held: 0, incoming: 0 }
    given(received([line(tea, 1), line(cup, 1)]))
      .when(placeHold('h1', [lineAt(london, tea, 2), lineAt(london, cup, 1), lineAt(anywhere, pot, 4)]))
      .thenRejected('insufficient_stock', {
        shortages: [
          { item: tea, location: london, requested: 2, available: 1, ...short, levelVersion: 1 },
          { item: pot, location: null, requested: 4, available: 0, ...short, levelVersion: null },
        ],
      })
  })
})

describe('best effort', () => {
  const mode = 'best_effort'

  test('a buyer takes what there is, and the hold says what it could not take', () => {
    given(received(5), holdPlaced('other', 1))
      .when(placeHold('h1', 6, { mode }))
      .thenAccepted('hold.placed')
      .thenLevel({ available: 0, held: 5 })
      .thenAllocations('h1', { quantity: 4, held: 4 })
      .thenHold('h1', {
        mode,
        status: 'active',
        shortages: [{ item: tea, location: london, requested: 6, available: 4, held: 1, incoming: 0, levelVersion: 2 }],
      })
  })

  test('a buyer who gets everything has no shortages', () => {
    given(received(5))
      .when(placeHold('h1', 5, { mode }))
      .thenAccepted('hold.placed')
      .thenHold('h1', { mode, shortages: [] })
  })

  test('a line of which there is nothing is a shortage and no allocation', () => {
    given(received(5))
      .when(placeHold('h1', [lineAt(london, cup, 2), lineAt(london, tea, 2)], { mode }))
      .thenAccepted('hold.placed')
      .thenAllocations('h1', { item: tea, quantity: 2 })
      .thenHold('h1', { shortages: [{ item: cup, location: london, requested: 2, available: 0, held: 0, incoming: 0, levelVersion: 0 }] })
  })

  test('a buyer who gets nothing at all is refused, not given an empty hold', () => {
    given(received(1), holdPlaced('other', 1))
      .when(placeHold('h1', [lineAt(london, tea, 1), lineAt(anywhere, cup, 1)], { mode }))
      .thenRejected('insufficient_stock')
      .when(executeHold('h1'))
      .thenRejected('hold_not_found')
  })

  test('the same item on two lines is taken as one sum', () => {
    given(received(5))
      .when(placeHold('h1', [lineAt(london, tea, 3), lineAt(london, tea, 4)], { mode }))
      .thenMoved('5 tea in london: available to held')
      .thenHold('h1', { shortages: [{ item: tea, location: london, requested: 7, available: 5, held: 0, incoming: 0, levelVersion: 1 }] })
  })

  test('a line that says nowhere takes what all locations have together', () => {
    given(received(2), received(1, { location: rome }))
      .when(placeHold('h1', [lineAt(anywhere, tea, 5)], { mode }))
      .thenMoved('2 tea in london: available to held', '1 tea in rome: available to held')
      .thenHold('h1', { shortages: [{ item: tea, location: null, requested: 5, available: 3, held: 0, incoming: 0, levelVersion: null }] })
  })
})

describe('safety stock', () => {
  test('safety stock is never promised', () => {
    given(received(5), safetyStockKept(2))
      .when(placeHold('h1', 4))
      .thenRejected('insufficient_stock', { shortages: [{ item: tea, location: london, requested: 4, available: 3, held: 0, incoming: 0, levelVersion: 1 }] })
      .when(placeHold('h1', 3))
      .thenAccepted('hold.placed')
      .thenLevel({ available: 2, held: 3 })
      .when(placeHold('h2', 1))
      .thenRejected('insufficient_stock')
  })

  test('best effort stops at the safety stock', () => {
    given(received(5), safetyStockKept(2))
      .when(placeHold('h1', 9, { mode: 'best_effort' }))
      .thenMoved('3 tea in london: available to held')
  })

  test('more safety stock than there is leaves nothing for sale', () => {
    given(received(5), safetyStockKept(8))
      .when(placeHold('h1', 1, { mode: 'best_effort' }))
      .thenRejected('insufficient_stock', { shortages: [{ item: tea, location: london, requested: 1, available: 0, held: 0, incoming: 0, levelVersion: 1 }] })
  })

  test('each location keeps its own safety stock back when a line may come from anywhere', () => {
    given(received(5), received(5, { location: paris }), safetyStockKept(4), safetyStockKept(3, tea, paris))
      .when(placeHold('h1', [lineAt(anywhere, tea, 4)]))
      .thenRejected('insufficient_stock', { shortages: [{ item: tea, location: null, requested: 4, available: 3, held: 0, incoming: 0, levelVersion: null }] })
      .when(placeHold('h1', [lineAt(anywhere, tea, 3)]))
      .thenMoved('1 tea in london: available to held', '2 tea in paris: available to held')
  })

  test('safety stock that was raised later does not take back what was promised before', () => {
    given(received(5), holdPlaced('h1', 4), safetyStockKept(3)).when(executeHold('h1')).thenAccepted('hold.executed').thenLevel({ available: 1, committed: 4 })
  })
})

describe('lines that may come from anywhere', () => {
  test('are taken from the locations in their own order', () => {
    given(received(2), received(9, { location: paris }))
      .when(placeHold('h1', [lineAt(anywhere, tea, 5)]))
      .thenMoved('2 tea in london: available to held', '3 tea in paris: available to held')
      .thenAllocations('h1', { location: london, quantity: 2, levelVersion: 2 }, { location: paris, quantity: 3, levelVersion: 2 })
  })

  test('are taken by the strategy that was asked for', () => {
    given(received(3), received(9, { location: paris }))
      .when(placeHold('h1', [lineAt(anywhere, tea, 5)], { strategy: 'most_stock' }))
      .thenMoved('5 tea in paris: available to held')
      .when(placeHold('h2', [lineAt(anywhere, tea, 2)], { strategy: 'fewest_splits' }))
      .thenMoved('2 tea in london: available to held')
  })

  test('are taken from the location that is nearest to the buyer', () => {
    const candidates = [
      { location: london, point: { latitude: 51.5, longitude: -0.1 } },
      { location: rome, point: { latitude: 41.9, longitude: 12.5 } },
    ]
    given(received(5), received(5, { location: rome }))
      .when(placeHold('h1', [lineAt(anywhere, tea, 2)], { candidates, strategy: 'nearest', destination: { latitude: 43.8, longitude: 11.3 } }))
      .thenMoved('2 tea in rome: available to held')
  })

  test('are taken from no location but those that may be asked', () => {
    given(received(5))
      .when(placeHold('h1', [lineAt(anywhere, tea, 1)], { candidates: [{ location: paris, point: null }] }))
      .thenRejected('insufficient_stock')
  })

  test('are short when no location may be asked', () => {
    given(received(5))
      .when(placeHold('h1', [lineAt(anywhere, tea, 1)], { candidates: [] }))
      .thenRejected('insufficient_stock', { shortages: [{ item: tea, location: null, requested: 1, available: 0, held: 0, incoming: 0, levelVersion: null }] })
  })

  test('of the same item are one line', () => {
    given(received(2), received(2, { location: paris }))
      .when(placeHold('h1', [lineAt(anywhere, tea, 1), lineAt(anywhere, tea, 2)]))
      .thenAllocations('h1', { location: london, quantity: 2 }, { location: paris, quantity: 1 })
      .when(placeHold('h2', [lineAt(anywhere, tea, 1), lineAt(anywhere, tea, 1)]))
      .thenRejected('insufficient_stock', { shortages: [{ item: tea, location: null, requested: 2, available: 1, held: 3, incoming: 0, levelVersion: null }] })
  })

  test('are told the sums over all locations when they are short', () => {
    given(received(4), received(3, { location: paris }), holdPlaced('other', [lineAt(london, tea, 2), lineAt(paris, tea, 1)]))
      .when(placeHold('h1', [lineAt(anywhere, tea, 6)]))
      .thenRejected('insufficient_stock', { shortages: [{ item: tea, location: null, requested: 6, available: 4, held: 3, incoming: 0, levelVersion: null }] })
  })

  test('are told the version that was judged when there is only one location', () => {
    const candidates = [{ location: london, point: null }]
    given(received(4), holdPlaced('other', 1))
      .when(placeHold('h1', [lineAt(anywhere, tea, 6)], { candidates }))
      .thenRejected('insufficient_stock', { shortages: [{ item: tea, location: null, requested: 6, available: 3, held: 1, incoming: 0, levelVersion: 2 }] })
  })
})

describe('one item, of which some lines say where and some do not', () => {
  test('the lines that say where are served first, whatever their order', () => {
    given(received(3), received(5, { location: paris }))
      .when(placeHold('h1', [lineAt(anywhere, tea, 4), lineAt(london, tea, 2)]))
      .thenMoved('3 tea in london: available to held', '3 tea in paris: available to held')
      .thenAllocations('h1', { location: london, quantity: 3, held: 3, levelVersion: 2 }, { location: paris, quantity: 3, levelVersion: 2 })
      .thenLevel({ available: 0, held: 3, version: 2 })
  })

  test('the same unit is not promised to both', () => {
    given(received(3))
      .when(placeHold('h1', [lineAt(london, tea, 2), lineAt(anywhere, tea, 2)]))
      .thenRejected('insufficient_stock', { shortages: [{ item: tea, location: null, requested: 2, available: 1, held: 0, incoming: 0, levelVersion: null }] })
      .thenLevel({ available: 3, held: 0, version: 1 })
      .when(placeHold('h1', [lineAt(london, tea, 2), lineAt(anywhere, tea, 1)]))
      .thenAccepted('hold.placed')
      .thenAllocations('h1', { location: london, quantity: 3 })
  })

  test('a refusal names the version of the level that stands, not one that was never made', () => {
    const candidates = [{ location: london, point: null }]
    given(received(3))
      .when(placeHold('h1', [lineAt(london, tea, 2), lineAt(anywhere, tea, 2)], { candidates }))
      .thenRejected('insufficient_stock', { shortages: [{ item: tea, location: null, requested: 2, available: 1, held: 0, incoming: 0, levelVersion: 1 }] })
      .thenLevel({ version: 1 })
  })

  test('best effort takes what both can have', () => {
    given(received(3), received(1, { location: paris }))
      .when(placeHold('h1', [lineAt(anywhere, tea, 9), lineAt(paris, tea, 2)], { mode: 'best_effort' }))
      .thenMoved('1 tea in paris: available to held', '3 tea in london: available to held')
      .thenHold('h1', {
        shortages: [
          { item: tea, location: paris, requested: 2, available: 1, held: 0, incoming: 0, levelVersion: 1 },
          { item: tea, location: null, requested: 9, available: 3, held: 0, incoming: 0, levelVersion: null },
        ],
      })
  })
})

describe('executing a hold', () => {
  test('an executed hold is a sale: its units are committed to their buyer', () => {
    given(received(5), holdPlaced('h1', 3), timePassed(10))
      .when(executeHold('h1'))
      .thenAccepted('hold.executed')
      .thenMoved('3 tea in london: held to committed')
      .thenLevel({ available: 2, held: 0, committed: 3, version: 3 })
      .thenHold('h1', { status: 'executed', version: 2, endedAt: afterOpening(10), expiresAt: afterOpening(ttl) })
      .thenAllocations('h1', { quantity: 3, held: 0, committed: 3, released: 0, levelVersion: 3 })
  })

  test('a hold that is executed in part gives the rest back, and its level has one new version', () => {
    given(received(5), holdPlaced('h1', 4))
      .when(executeHold('h1', [line(tea, 3)]))
      .thenAccepted('hold.executed')
      .thenMoved('3 tea in london: held to committed', '1 tea in london: held to available')
      .thenLevel({ available: 2, held: 0, committed: 3, version: 3 })
      .thenHold('h1', { status: 'executed' })
      .thenAllocations('h1', { quantity: 4, held: 0, committed: 3, released: 1, levelVersion: 3 })
  })

  test('what the lines do not name is given back', () => {
    given(received([line(tea, 5), line(cup, 5)]), holdPlaced('h1', [lineAt(london, tea, 2), lineAt(london, cup, 2)]))
      .when(executeHold('h1', [line(cup, 2)]))
      .thenMoved('2 tea in london: held to available', '2 cup in london: held to committed')
      .thenHold('h1', { status: 'executed' })
  })

  test('a hold that is executed in part, and not for the last time, keeps the rest', () => {
    given(received(5), holdPlaced('h1', 4))
      .when(executeHold('h1', [line(tea, 1)], false))
      .thenAccepted('hold.executed')
      .thenMoved('1 tea in london: held to committed')
      .thenLevel({ available: 1, held: 3, committed: 1 })
      .thenHold('h1', { status: 'active', endedAt: null, version: 2 })
      .when(executeHold('h1', [line(tea, 1)], false))
      .thenHold('h1', { status: 'active', version: 3 })
      .when(executeHold('h1'))
      .thenMoved('2 tea in london: held to committed')
      .thenHold('h1', { status: 'executed', version: 4 })
      .thenLevel({ held: 0, committed: 4 })
  })

  test('a hold of which nothing is left to execute is executed, even if more was to follow', () => {
    given(received(5), holdPlaced('h1', 4))
      .when(executeHold('h1', [line(tea, 4)], false))
      .thenHold('h1', { status: 'executed', endedAt: opening })
    given(received(5), holdPlaced('h1', 4))
      .when(executeHold('h1', null, false))
      .thenHold('h1', { status: 'executed' })
  })

  test('allocations that a part does not reach stay as they are', () => {
    given(received([line(tea, 5), line(cup, 5)]), holdPlaced('h1', [lineAt(london, tea, 2), lineAt(london, cup, 2)]))
      .when(executeHold('h1', [line(tea, 1)], false))
      .thenAllocations('h1', { item: tea, held: 1, committed: 1, levelVersion: 3 }, { item: cup, held: 2, committed: 0, levelVersion: 2 })
      .thenLevel({ item: cup, version: 2 })
  })

  test("a part is taken from the hold's locations in their order", () => {
    given(received(2), received(2, { location: paris }), holdPlaced('h1', [lineAt(anywhere, tea, 4)]))
      .when(executeHold('h1', [line(tea, 3)], false))
      .thenMoved('2 tea in london: held to committed', '1 tea in paris: held to committed')
      .thenAllocations('h1', { location: london, held: 0, committed: 2 }, { location: paris, held: 1, committed: 1 })
  })

  test('the same item on two lines is executed as one sum', () => {
    given(received(5), holdPlaced('h1', 4))
      .when(executeHold('h1', [line(tea, 1), line(tea, 2)], false))
      .thenMoved('3 tea in london: held to committed')
    given(received(5), holdPlaced('h1', 4))
      .when(executeHold('h1', [line(tea, 3), line(tea, 2)]))
      .thenRejected('quantity_exceeds_remaining', { hold: named('h1'), item: tea, requested: 5, remaining: 4 })
  })

  test('more than is held is refused, and the hold can still be executed as it is', () => {
    given(received(9), holdPlaced('h1', 4))
      .when(executeHold('h1', [line(tea, 5)]))
      .thenRejected('quantity_exceeds_remaining', { hold: named('h1'), item: tea, requested: 5, remaining: 4 })
      .thenHold('h1', { status: 'active', version: 1 })
      .thenLevel({ held: 4, committed: 0, version: 2 })
      .when(executeHold('h1', [line(tea, 4)]))
      .thenAccepted('hold.executed')
  })

  test('what was executed already cannot be executed again', () => {
    given(received(9), holdPlaced('h1', 4), holdExecuted('h1', [line(tea, 3)], false))
      .when(executeHold('h1', [line(tea, 2)]))
      .thenRejected('quantity_exceeds_remaining', { hold: named('h1'), item: tea, requested: 2, remaining: 1 })
  })

  test('an item that the hold does not have cannot be executed', () => {
    given(received([line(tea, 5), line(cup, 5)]), holdPlaced('h1', 1))
      .when(executeHold('h1', [line(tea, 1), line(cup, 1)]))
      .thenRejected('quantity_exceeds_remaining', { hold: named('h1'), item: cup, requested: 1, remaining: 0 })
      .thenHold('h1', { status: 'active', version: 1 })
  })

  test('executing an executed hold answers with the hold and does nothing', () => {
    given(...allEnded)
      .when(executeHold('executed'))
      .thenAlreadySo()
      .when(executeHold('executed', [line(tea, 1)], false))
      .thenAlreadySo()
      .thenHold('executed', { version: 2 })
  })

  test('a hold that was released, canceled or expired cannot be executed, nor one that never was', () => {
    given(...allEnded)
      .when(executeHold('released'))
      .thenRejected('hold_already_released', { hold: named('released') })
      .when(executeHold('canceled'))
      .thenRejected('hold_already_released', { hold: named('canceled') })
      .when(executeHold('expired'))
      .thenRejected('hold_expired', { hold: named('expired'), expiresAt: afterOpening(ttl) })
      .when(executeHold('never'))
      .thenRejected('hold_not_found', { hold: named('never') })
      .thenLevel({ held: 0, committed: 1 })
  })

  test('a hold can be executed up to the last millisecond before it expires', () => {
    given(received(5), holdPlaced('h1', 3), timePassed(ttl - 1))
      .when(executeHold('h1'))
      .thenAccepted('hold.executed')
  })

  test('a hold cannot be executed at the very instant at which it expires, swept or not', () => {
    given(received(5), holdPlaced('h1', 3), timePassed(ttl))
      .when(executeHold('h1'))
      .thenRejected('hold_expired', { hold: named('h1'), expiresAt: afterOpening(ttl) })
      .thenHold('h1', { status: 'active', version: 1 })
      .thenLevel({ held: 3, committed: 0 })
  })

  test('a hold that was refused as expired gives its stock back once, and stays refused', () => {
    given(received(5), holdPlaced('h1', 3), timePassed(ttl))
      .when(executeHold('h1'))
      .thenRejected('hold_expired')
      .when(expireHold('h1'))
      .thenAccepted('hold.expired')
      .thenLevel({ available: 5, held: 0 })
      .when(executeHold('h1'))
      .thenRejected('hold_expired', { hold: named('h1'), expiresAt: afterOpening(ttl) })
      .when(expireHold('h1'))
      .thenAlreadySo()
      .thenLevel({ available: 5, held: 0 })
  })

  test('what is left of a hold that was executed in part expires like any other', () => {
    given(received(5), holdPlaced('h1', 3), holdExecuted('h1', [line(tea, 1)], false), timePassed(ttl))
      .when(executeHold('h1'))
      .thenRejected('hold_expired')
  })
})

describe('releasing a hold', () => {
  test('a released hold gives its stock back', () => {
    given(received(5), holdPlaced('h1', 3), timePassed(10))
      .when(releaseHold('h1'))
      .thenAccepted('hold.released')
      .thenMoved('3 tea in london: held to available')
      .thenLevel({ available: 5, held: 0, version: 3 })
      .thenHold('h1', { status: 'released', version: 2, endedAt: afterOpening(10) })
      .thenAllocations('h1', { quantity: 3, held: 0, released: 3, levelVersion: 3 })
  })

  test('a released hold gives its stock back exactly once', () => {
    given(received(5), holdPlaced('h1', 3), holdReleased('h1')).when(releaseHold('h1')).thenAlreadySo().thenLevel({ available: 5, held: 0, version: 3 })
  })

  test('what was released can be held by somebody else', () => {
    given(received(5), holdPlaced('h1', 5))
      .when(placeHold('h2', 5))
      .thenRejected('insufficient_stock')
      .and(holdReleased('h1'))
      .when(placeHold('h2', 5))
      .thenAccepted('hold.placed')
  })

  test('every location gets back its own', () => {
    given(received(2), received(2, { location: paris }), holdPlaced('h1', [lineAt(anywhere, tea, 3)]))
      .when(releaseHold('h1'))
      .thenMoved('2 tea in london: held to available', '1 tea in paris: held to available')
      .thenLevel({ available: 2, held: 0 })
      .thenLevel({ location: paris, available: 2, held: 0 })
  })

  test('of a hold that was executed in part only what is still held is given back, and the rest can be shipped', () => {
    given(received(5), holdPlaced('h1', 3), holdExecuted('h1', [line(tea, 1)], false))
      .when(releaseHold('h1'))
      .thenMoved('2 tea in london: held to available')
      .thenHold('h1', { status: 'released' })
      .thenAllocations('h1', { committed: 1, released: 2 })
      .when(shipHold('h1'))
      .thenMoved('1 tea in london: committed to customer')
      .thenHold('h1', { status: 'released' })
  })

  test('a sale cannot be released, nor what was canceled or expired, nor what never was', () => {
    given(...allEnded)
      .when(releaseHold('executed'))
      .thenRejected('hold_already_executed', { hold: named('executed') })
      .when(releaseHold('canceled'))
      .thenRejected('hold_already_released', { hold: named('canceled') })
      .when(releaseHold('expired'))
      .thenRejected('hold_expired', { hold: named('expired'), expiresAt: afterOpening(ttl) })
      .when(releaseHold('never'))
      .thenRejected('hold_not_found', { hold: named('never') })
      .thenLevel({ committed: 1, held: 0 })
      .when(shipHold('executed'))
      .thenAccepted('stock.shipped')
  })

  test('a hold can be released up to the last millisecond, and from then on it expires', () => {
    given(received(5), holdPlaced('h1', 3), timePassed(ttl - 1))
      .when(releaseHold('h1'))
      .thenAccepted('hold.released')
    given(received(5), holdPlaced('h1', 3), timePassed(ttl))
      .when(releaseHold('h1'))
      .thenRejected('hold_expired', { hold: named('h1'), expiresAt: afterOpening(ttl) })
      .when(expireHold('h1'))
      .thenAccepted('hold.expired')
      .thenLevel({ available: 5, held: 0 })
  })
})

describe('expiry', () => {
  test('a hold that is due expires, and its stock is for sale again', () => {
    given(received(5), holdPlaced('h1', 5), timePassed(ttl + 3))
      .when(expireHold('h1'))
      .thenAccepted('hold.expired')
      .thenMoved('5 tea in london: held to available')
      .thenLevel({ available: 5, held: 0, version: 3 })
      .thenHold('h1', { status: 'expired', version: 2, endedAt: afterOpening(ttl + 3), expiresAt: afterOpening(ttl) })
      .thenAllocations('h1', { released: 5 })
      .when(placeHold('h2', 5))
      .thenAccepted('hold.placed')
  })

  test('a hold expires at its very instant and not a millisecond before', () => {
    given(received(5), holdPlaced('h1', 3), timePassed(ttl - 1))
      .when(expireHold('h1'))
      .thenAlreadySo()
      .thenHold('h1', { status: 'active' })
      .thenLevel({ held: 3 })
      .and(timePassed(1))
      .when(expireHold('h1'))
      .thenAccepted('hold.expired')
  })

  test('a hold expires once', () => {
    given(received(5), holdPlaced('h1', 3), timePassed(ttl), holdExpired('h1')).when(expireHold('h1')).thenAlreadySo().thenLevel({ available: 5, version: 3 })
  })

  test('what was executed does not expire', () => {
    given(received(5), holdPlaced('h1', 3), holdExecuted('h1', [line(tea, 1)], false), timePassed(ttl))
      .when(expireHold('h1'))
      .thenMoved('2 tea in london: held to available')
      .thenLevel({ committed: 1, held: 0 })
      .thenHold('h1', { status: 'expired' })
      .when(shipHold('h1'))
      .thenMoved('1 tea in london: committed to customer')
    given(...allEnded, timePassed(ttl))
      .when(expireHold('executed'))
      .thenAlreadySo()
      .thenLevel({ committed: 1 })
  })

  test('a hold that ended in another way does not expire, and one that never was cannot', () => {
    given(...allEnded)
      .when(expireHold('released'))
      .thenAlreadySo()
      .when(expireHold('canceled'))
      .thenAlreadySo()
      .when(expireHold('never'))
      .thenRejected('hold_not_found', { hold: named('never') })
  })

  test('a hold is due from its instant on, as long as it has not ended', () => {
    const { stock } = given(received(5), holdPlaced('h1', 3), holdPlaced('h2', 1), holdReleased('h2'))
    expect([ttl - 1, ttl, ttl + 1].map((ms) => isDue(holdIn(stock, 'h1'), afterOpening(ms)))).toEqual([false, true, true])
    expect(isDue(holdIn(stock, 'h2'), afterOpening(ttl))).toBe(false)
  })
})

describe('extending a hold', () => {
  test('a hold is extended from now on, and no stock moves', () => {
    given(received(5), holdPlaced('h1', 3), timePassed(minutes(10)))
      .when(extendHold('h1', ttl))
      .thenAccepted('hold.extended')
      .thenMoved()
      .thenHold('h1', { status: 'active', version: 2, createdAt: opening, expiresAt: afterOpening(minutes(25)) })
      .thenLevel({ version: 2 })
  })

  test('an extended hold outlives the end it had, and dies at its new one', () => {
    const story = given(received(5), holdPlaced('h1', 3), timePassed(minutes(10)), holdExtended('h1', ttl))
    story
      .and(timePassed(minutes(5)))
      .when(executeHold('h1'))
      .thenAccepted('hold.executed')
    story
      .and(timePassed(minutes(5)))
      .when(expireHold('h1'))
      .thenAlreadySo()
    story
      .and(timePassed(ttl))
      .when(executeHold('h1'))
      .thenRejected('hold_expired', { hold: named('h1'), expiresAt: afterOpening(minutes(25)) })
  })

  test('a hold never ends earlier than it would have', () => {
    given(received(5), holdPlaced('h1', 3), timePassed(minutes(1)))
      .when(extendHold('h1', minutes(5)))
      .thenAlreadySo()
      .thenHold('h1', { version: 1, expiresAt: afterOpening(ttl) })
      .when(extendHold('h1', minutes(14)))
      .thenAlreadySo()
      .when(extendHold('h1', minutes(14) + 1))
      .thenAccepted('hold.extended')
      .thenHold('h1', { version: 2, expiresAt: afterOpening(ttl + 1) })
  })

  test('a hold can be extended up to the longest life, counted from when it was placed', () => {
    const longest = minutes(30)
    given(received(5), holdPlaced('h1', 3), timePassed(minutes(10)))
      .when(extendHold('h1', minutes(20) + 1, longest))
      .thenRejected('ttl_out_of_range', { hold: named('h1'), longestMs: longest })
      .thenHold('h1', { version: 1, expiresAt: afterOpening(ttl) })
      .when(extendHold('h1', minutes(20), longest))
      .thenAccepted('hold.extended')
      .thenHold('h1', { expiresAt: afterOpening(longest) })
      .and(timePassed(1))
      .when(extendHold('h1', minutes(20), longest))
      .thenRejected('ttl_out_of_range')
  })

  test('a hold whose extension was refused dies when it would have', () => {
    given(received(5), holdPlaced('h1', 3))
      .when(extendHold('h1', minutes(60), minutes(30)))
      .thenRejected('ttl_out_of_range')
      .and(timePassed(ttl))
      .when(executeHold('h1'))
      .thenRejected('hold_expired')
  })

  test('a hold can be extended up to the last millisecond, and is never revived', () => {
    given(received(5), holdPlaced('h1', 3), timePassed(ttl - 1))
      .when(extendHold('h1', ttl))
      .thenAccepted('hold.extended')
    given(received(5), holdPlaced('h1', 3), timePassed(ttl))
      .when(extendHold('h1', ttl))
      .thenRejected('hold_expired', { hold: named('h1'), expiresAt: afterOpening(ttl) })
      .when(expireHold('h1'))
      .thenAccepted('hold.expired')
      .when(extendHold('h1', ttl))
      .thenRejected('hold_expired')
  })

  test('a hold that has ended cannot be extended, nor one that never was', () => {
    given(...allEnded)
      .when(extendHold('executed', ttl))
      .thenRejected('hold_already_executed', { hold: named('executed') })
      .when(extendHold('released', ttl))
      .thenRejected('hold_already_released', { hold: named('released') })
      .when(extendHold('canceled', ttl))
      .thenRejected('hold_already_released', { hold: named('canceled') })
      .when(extendHold('expired', ttl))
      .thenRejected('hold_expired', { hold: named('expired'), expiresAt: afterOpening(ttl) })
      .when(extendHold('never', ttl))
      .thenRejected('hold_not_found', { hold: named('never') })
  })

  test('a hold that was executed in part can be extended for the rest', () => {
    given(received(5), holdPlaced('h1', 3), holdExecuted('h1', [line(tea, 1)], false), timePassed(minutes(10)))
      .when(extendHold('h1', ttl))
      .thenAccepted('hold.extended')
      .and(timePassed(minutes(10)))
      .when(executeHold('h1'))
      .thenMoved('2 tea in london: held to committed')
  })
})

describe('canceling a hold', () => {
  test('a sale that is canceled before it is shipped goes back on sale', () => {
    given(received(5), holdPlaced('h1', 3), holdExecuted('h1'), timePassed(10))
      .when(cancelHold('h1'))
      .thenAccepted('hold.canceled')
      .thenMoved('3 tea in london: committed to available')
      .thenLevel({ available: 5, committed: 0, version: 4 })
      .thenHold('h1', { status: 'canceled', version: 3, endedAt: afterOpening(10) })
      .thenAllocations('h1', { committed: 0, released: 3, levelVersion: 4 })
  })

  test('a hold that was not executed yet can be canceled, too', () => {
    given(received(5), holdPlaced('h1', 3))
      .when(cancelHold('h1'))
      .thenAccepted('hold.canceled')
      .thenMoved('3 tea in london: held to available')
      .thenLevel({ available: 5, held: 0 })
  })

  test('a hold that was executed in part gives back both parts, and its level has one new version', () => {
    given(received(5), holdPlaced('h1', 3), holdExecuted('h1', [line(tea, 1)], false))
      .when(cancelHold('h1'))
      .thenMoved('2 tea in london: held to available', '1 tea in london: committed to available')
      .thenLevel({ available: 5, held: 0, committed: 0, version: 4 })
  })

  test('what was shipped is not given back', () => {
    given(received(5), holdPlaced('h1', 3), holdExecuted('h1'), holdShipped('h1', 2))
      .when(cancelHold('h1'))
      .thenMoved('1 tea in london: committed to available')
      .thenLevel({ available: 3, committed: 0 })
      .thenAllocations('h1', { quantity: 3, shipped: 2, released: 1 })
      .when(shipHold('h1'))
      .thenRejected('quantity_exceeds_remaining')
  })

  test('a sale that was shipped whole cannot be canceled', () => {
    given(received(5), holdPlaced('h1', 3), holdExecuted('h1'), holdShipped('h1'))
      .when(cancelHold('h1'))
      .thenRejected('quantity_exceeds_remaining', { hold: named('h1'), item: null, requested: 3, remaining: 0 })
      .thenHold('h1', { status: 'executed', version: 3 })
  })

  test('a canceled hold gives its stock back exactly once', () => {
    given(received(5), holdPlaced('h1', 3), holdExecuted('h1'), holdCanceled('h1'))
      .when(cancelHold('h1'))
      .thenAlreadySo()
      .thenLevel({ available: 5, version: 4 })
  })

  test('a canceled hold can be neither executed nor released nor extended nor shipped', () => {
    given(received(5), holdPlaced('h1', 3), holdExecuted('h1'), holdCanceled('h1'))
      .when(executeHold('h1'))
      .thenRejected('hold_already_released')
      .when(releaseHold('h1'))
      .thenRejected('hold_already_released')
      .when(extendHold('h1', ttl))
      .thenRejected('hold_already_released')
      .when(shipHold('h1'))
      .thenRejected('quantity_exceeds_remaining', { hold: named('h1'), item: null, requested: 3, remaining: 0 })
      .thenLevel({ available: 5 })
  })

  test('there is nothing to cancel of a hold that was released or expired, nor of one that never was', () => {
    given(...allEnded)
      .when(cancelHold('released'))
      .thenRejected('hold_already_released', { hold: named('released') })
      .when(cancelHold('expired'))
      .thenRejected('hold_expired', { hold: named('expired'), expiresAt: afterOpening(ttl) })
      .when(cancelHold('never'))
      .thenRejected('hold_not_found', { hold: named('never') })
    given(received(5), holdPlaced('h1', 3), timePassed(ttl))
      .when(cancelHold('h1'))
      .thenRejected('hold_expired', { hold: named('h1'), expiresAt: afterOpening(ttl) })
      .when(expireHold('h1'))
      .thenAccepted('hold.expired')
    given(received(5), holdPlaced('h1', 3), timePassed(ttl - 1))
      .when(cancelHold('h1'))
      .thenAccepted('hold.canceled')
  })

  test('what was sold of a hold whose rest was released or has expired can still be canceled', () => {
    const story = given(received(5), holdPlaced('h1', 3), holdExecuted('h1', [line(tea, 1)], false))
    story
      .and(holdReleased('h1'))
      .when(cancelHold('h1'))
      .thenMoved('1 tea in london: committed to available')
      .thenHold('h1', { status: 'canceled' })
      .thenLevel({ available: 5 })
    story.and(timePassed(ttl), holdExpired('h1')).when(cancelHold('h1')).thenMoved('1 tea in london: committed to available').thenLevel({ available: 5 })
    story
      .and(timePassed(ttl))
      .when(cancelHold('h1'))
      .thenMoved('2 tea in london: held to available', '1 tea in london: committed to available')
      .thenLevel({ available: 5 })
  })

  test('what was shipped of a hold that is active for the rest is not given back', () => {
    given(received(5), holdPlaced('h1', 3), holdExecuted('h1', [line(tea, 1)], false), holdShipped('h1'))
      .when(cancelHold('h1'))
      .thenMoved('2 tea in london: held to available')
      .thenAllocations('h1', { shipped: 1, released: 2 })
  })
})

describe('shipping', () => {
  test('a sale is shipped whole, and the shipment says from where', () => {
    const story = given(received(2), received(2, { location: paris }), holdPlaced('h1', [lineAt(anywhere, tea, 3)]), holdExecuted('h1'), timePassed(10))
      .when(shipHold('h1', null, { id: named('s1'), reference: 'parcel-9', metadata: { carrier: 'post' } }))
      .thenAccepted('stock.shipped')
      .thenMoved('2 tea in london: committed to customer', '1 tea in paris: committed to customer')
      .thenLevel({ available: 0, committed: 0, version: 4 })
      .thenHold('h1', { status: 'executed', version: 3, endedAt: opening })
      .thenAllocations('h1', { committed: 0, shipped: 2, levelVersion: 4 }, { committed: 0, shipped: 1, levelVersion: 4 })
    expect(story.decision).toMatchObject({ event: { subject: { kind: 'hold', id: named('h1'), version: 3 } }, answer: { kind: 'shipment' } })
    expect(story.decision?.ok && story.decision.answer).toEqual({
      kind: 'shipment',
      shipment: {
        id: named('s1'),
        hold: named('h1'),
        reference: 'parcel-9',
        metadata: { carrier: 'post' },
        createdAt: afterOpening(10),
        lines: [
          {
            item: tea,
            quantity: 3,
            allocations: [
              { location: london, quantity: 2, levelVersion: 4 },
              { location: paris, quantity: 1, levelVersion: 4 },
            ],
          },
        ],
      },
    })
  })

  test('a sale is shipped in parts until nothing is left', () => {
    given(received(5), holdPlaced('h1', 3), holdExecuted('h1'))
      .when(shipHold('h1', 1))
      .thenMoved('1 tea in london: committed to customer')
      .thenLevel({ committed: 2 })
      .when(shipHold('h1', 2))
      .thenMoved('2 tea in london: committed to customer')
      .thenAllocations('h1', { committed: 0, shipped: 3 })
      .when(shipHold('h1', 1))
      .thenRejected('quantity_exceeds_remaining', { hold: named('h1'), item: tea, requested: 1, remaining: 0 })
      .when(shipHold('h1'))
      .thenRejected('quantity_exceeds_remaining', { hold: named('h1'), item: null, requested: 3, remaining: 0 })
  })

  test("a part is shipped from the hold's locations in their order, and no more than was asked", () => {
    given(received(2), received(2, { location: paris }), holdPlaced('h1', [lineAt(anywhere, tea, 4)]), holdExecuted('h1'))
      .when(shipHold('h1', 3))
      .thenMoved('2 tea in london: committed to customer', '1 tea in paris: committed to customer')
      .thenAllocations('h1', { location: london, committed: 0, shipped: 2 }, { location: paris, committed: 1, shipped: 1 })
      .when(shipHold('h1', 1))
      .thenMoved('1 tea in paris: committed to customer')
    given(received(2), received(2, { location: paris }), holdPlaced('h1', [lineAt(anywhere, tea, 4)]), holdExecuted('h1'))
      .when(shipHold('h1', 1))
      .thenMoved('1 tea in london: committed to customer')
  })

  test('more than was sold cannot be shipped, and what was sold still can', () => {
    given(received(9), holdPlaced('h1', 4), holdExecuted('h1', [line(tea, 3)]))
      .when(shipHold('h1', 4))
      .thenRejected('quantity_exceeds_remaining', { hold: named('h1'), item: tea, requested: 4, remaining: 3 })
      .thenLevel({ committed: 3 })
      .when(shipHold('h1', 3))
      .thenAccepted('stock.shipped')
  })

  test('the same item on two lines is shipped as one sum', () => {
    given(received(5), holdPlaced('h1', 3), holdExecuted('h1'))
      .when(shipHold('h1', [line(tea, 2), line(tea, 2)]))
      .thenRejected('quantity_exceeds_remaining', { hold: named('h1'), item: tea, requested: 4, remaining: 3 })
      .when(shipHold('h1', [line(tea, 1), line(tea, 2)]))
      .thenMoved('3 tea in london: committed to customer')
  })

  test('only the items that are named are shipped', () => {
    given(received([line(tea, 5), line(cup, 5)]), holdPlaced('h1', [lineAt(london, tea, 2), lineAt(london, cup, 2)]), holdExecuted('h1'))
      .when(shipHold('h1', [line(cup, 1)]))
      .thenMoved('1 cup in london: committed to customer')
      .thenLevel({ item: tea, committed: 2, version: 3 })
      .thenLevel({ item: cup, committed: 1, version: 4 })
      .thenAllocations('h1', { item: tea, committed: 2, shipped: 0, levelVersion: 3 }, { item: cup, committed: 1, shipped: 1, levelVersion: 4 })
  })

  test('an item that was not sold cannot be shipped', () => {
    given(received([line(tea, 5), line(cup, 5)]), holdPlaced('h1', 2), holdExecuted('h1'))
      .when(shipHold('h1', [line(tea, 1), line(cup, 1)]))
      .thenRejected('quantity_exceeds_remaining', { hold: named('h1'), item: cup, requested: 1, remaining: 0 })
      .thenHold('h1', { version: 2 })
  })

  test('what is only held cannot be shipped, and is still held', () => {
    given(received(5), holdPlaced('h1', 3))
      .when(shipHold('h1'))
      .thenRejected('quantity_exceeds_remaining', { hold: named('h1'), item: null, requested: 3, remaining: 0 })
      .when(shipHold('h1', 1))
      .thenRejected('quantity_exceeds_remaining', { hold: named('h1'), item: tea, requested: 1, remaining: 0 })
      .thenLevel({ held: 3 })
      .when(executeHold('h1'))
      .thenAccepted('hold.executed')
  })

  test('what was sold of a hold can be shipped while the rest is held', () => {
    given(received(5), holdPlaced('h1', 3), holdExecuted('h1', [line(tea, 1)], false))
      .when(shipHold('h1'))
      .thenMoved('1 tea in london: committed to customer')
      .thenHold('h1', { status: 'active', endedAt: null })
      .thenAllocations('h1', { held: 2, shipped: 1 })
      .when(executeHold('h1'))
      .thenMoved('2 tea in london: held to committed')
  })

  test('a sale can be shipped long after its hold would have expired', () => {
    given(received(5), holdPlaced('h1', 3), holdExecuted('h1'), timePassed(1000 * ttl))
      .when(shipHold('h1'))
      .thenAccepted('stock.shipped')
  })

  test('nothing is shipped for a hold that was released, expired or never was', () => {
    given(...allEnded)
      .when(shipHold('released'))
      .thenRejected('quantity_exceeds_remaining', { hold: named('released'), item: null, requested: 1, remaining: 0 })
      .when(shipHold('expired'))
      .thenRejected('quantity_exceeds_remaining')
      .when(shipHold('never'))
      .thenRejected('hold_not_found', { hold: named('never') })
  })
})

describe('counting lines', () => {
  test('lines of one item are summed, in the order in which the items were named first', () => {
    expect(summedByItem([line(cup, 1), line(tea, 2), line(cup, 3)])).toEqual([line(cup, 4), line(tea, 2)])
    expect(summedByItem([])).toEqual([])
  })

  test('a count of a hold is summed over its allocations, of one item or of all', () => {
    const { stock } = given(received([line(tea, 5), line(cup, 5)]), received(5, { location: paris })).and(
      holdPlaced('h1', [lineAt(london, tea, 1), lineAt(paris, tea, 2), lineAt(london, cup, 4)]),
    )
    const { allocations } = holdIn(stock, 'h1')
    expect([total(allocations, 'held'), total(allocations, 'held', tea), total(allocations, 'held', pot), total(allocations, 'shipped')]).toEqual([7, 3, 0, 0])
  })
})

test('other documents go on around a hold and never touch what it holds', () => {
  given(received(5), holdPlaced('h1', 3))
    .when(receiveStock(4))
    .thenLevel({ available: 6, held: 3 })
    .and(adjusted([lost(tea, 6)]))
    .thenLevel({ available: 0, held: 3 })
    .when(returnStock(null, [back(tea, 1)]))
    .thenLevel({ available: 1, held: 3 })
    .when(executeHold('h1'))
    .thenAccepted('hold.executed')
    .thenLevel({ available: 1, committed: 3 })
})

describe('a limit for one customer', () => {
  const windowMs = minutes(60)
  const limited = (quantity: number, rest: Partial<PlaceHold> = {}): Partial<PlaceHold> => ({
    customer: 'ada',
    purchaseLimits: [{ item: tea, quantity, windowMs }],
    ...rest,
  })

  test('a customer may have so many of an item, and not one more', () => {
    given(received(9), holdPlaced('h1', 3, limited(5)))
      .when(placeHold('h2', 3, limited(5)))
      .thenRejected('purchase_limit_exceeded', { customer: 'ada', item: tea, requested: 3, remaining: 2 })
      .thenLevel({ available: 6, version: 2 })
      .when(placeHold('h2', 2, limited(5)))
      .thenAccepted('hold.placed')
      .thenHold('h2', { customer: 'ada' })
      .when(placeHold('h3', 1, limited(5)))
      .thenRejected('purchase_limit_exceeded', { customer: 'ada', item: tea, requested: 1, remaining: 0 })
  })

  test('another customer has a limit of his own, and who is nobody has none', () => {
    given(received(9), holdPlaced('h1', 5, limited(5)))
      .when(placeHold('h2', 1, limited(5, { customer: 'bob' })))
      .thenAccepted('hold.placed')
      .when(placeHold('h3', 3, limited(5, { customer: null })))
      .thenAccepted('hold.placed')
  })

  test('lines of the item count together, wherever they come from, and another item does not', () => {
    given(received([line(tea, 9), line(cup, 9)]), received(9, { location: paris }))
      .when(placeHold('h1', [lineAt(london, tea, 3), lineAt(paris, tea, 2), lineAt(anywhere, tea, 1)], limited(5)))
      .thenRejected('purchase_limit_exceeded', { customer: 'ada', item: tea, requested: 6, remaining: 5 })
      .when(placeHold('h1', [lineAt(london, tea, 3), lineAt(paris, tea, 2), lineAt(london, cup, 9)], limited(5)))
      .thenAccepted('hold.placed')
  })

  test('what was given back or has expired counts no more', () => {
    given(received(9), holdPlaced('h1', 5, limited(5)), holdReleased('h1'))
      .when(placeHold('h2', 5, limited(5)))
      .thenAccepted('hold.placed')
    given(received(9), holdPlaced('h1', 5, limited(5)), timePassed(ttl))
      .when(placeHold('h2', 4, limited(5)))
      .thenAccepted('hold.placed')
    given(received(9), holdPlaced('h1', 5, limited(5)), timePassed(ttl - 1))
      .when(placeHold('h2', 1, limited(5)))
      .thenRejected('purchase_limit_exceeded')
  })

  test('what was bought counts, and what was canceled before it was shipped does not', () => {
    const bought = [received(9), holdPlaced('h1', 5, limited(5)), holdExecuted('h1', [line(tea, 4)])]
    const asked = placeHold('h2', 2, limited(5))
    const refused = { customer: 'ada', item: tea, requested: 2, remaining: 1 }
    given(...bought)
      .when(asked)
      .thenRejected('purchase_limit_exceeded', refused)
    given(...bought, holdShipped('h1'))
      .when(asked)
      .thenRejected('purchase_limit_exceeded', refused)
    given(...bought, holdShipped('h1', 2), holdCanceled('h1'))
      .when(asked)
      .thenAccepted('hold.placed')
  })

  test('what comes back was bought nevertheless', () => {
    given(received(9), holdPlaced('h1', 5, limited(5)), holdExecuted('h1'), holdShipped('h1'))
      .when(returnStock('h1', [back(tea, 5)]))
      .thenAccepted('stock.returned')
      .when(placeHold('h2', 1, limited(5)))
      .thenRejected('purchase_limit_exceeded', { customer: 'ada', item: tea, requested: 1, remaining: 0 })
  })

  test('what was bought before the window counts no more', () => {
    const bought = [received(9), holdPlaced('h1', 5, limited(5)), holdExecuted('h1')]
    given(...bought, timePassed(windowMs - 1))
      .when(placeHold('h2', 1, limited(5)))
      .thenRejected('purchase_limit_exceeded')
    given(...bought, timePassed(windowMs))
      .when(placeHold('h2', 5, limited(5)))
      .thenRejected('insufficient_stock')
    given(...bought, timePassed(windowMs))
      .when(placeHold('h2', 4, limited(5)))
      .thenAccepted('hold.placed')
  })

  test('best effort does not ask for less because of the limit', () => {
    given(received(4))
      .when(placeHold('h1', 6, limited(5, { mode: 'best_effort' })))
      .thenRejected('purchase_limit_exceeded', { customer: 'ada', item: tea, requested: 6, remaining: 5 })
      .when(placeHold('h1', 5, limited(5, { mode: 'best_effort' })))
      .thenAccepted('hold.placed')
      .when(placeHold('h2', 1, limited(5, { mode: 'best_effort' })))
      .thenRejected('insufficient_stock')
  })

  test('a limit that was lowered takes nothing back, and lets nothing more be had', () => {
    given(received(9), holdPlaced('h1', 5, limited(5)))
      .when(placeHold('h2', 1, limited(3)))
      .thenRejected('purchase_limit_exceeded', { customer: 'ada', item: tea, requested: 1, remaining: 0 })
      .when(executeHold('h1'))
      .thenAccepted('hold.executed')
  })
})
