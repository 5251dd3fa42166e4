import { describe, expect, test } from 'vitest'
import {
  adjusted,
  adjustStock,
  afterOpening,
  cup,
  found,
  given,
  holdExecuted,
  holdPlaced,
  line,
  london,
  lost,
  named,
  paris,
  placeHold,
  received,
  receiveStock,
  safetyStockKept,
  shifted,
  tea,
  timePassed,
} from '../../test/support/given.ts'

describe('units found and lost', () => {
  test('units that are found are for sale', () => {
    given(received(5))
      .when(adjustStock([found(tea, 2)]))
      .thenAccepted('stock.adjusted')
      .thenMoved('2 tea in london: shrinkage to available')
      .thenLevel({ available: 7, version: 2 })
  })

  test('units can be found where none were ever received', () => {
    given()
      .when(adjustStock([found(tea, 2)]))
      .thenAccepted('stock.adjusted')
      .thenLevel({ available: 2, version: 1 })
  })

  test('units that are lost are not for sale any more', () => {
    given(received(5))
      .when(adjustStock([lost(tea, 2)]))
      .thenAccepted('stock.adjusted')
      .thenMoved('2 tea in london: available to shrinkage')
      .thenLevel({ available: 3, version: 2 })
  })

  test('the last unit can be lost, and one more than there is cannot', () => {
    given(received(5))
      .when(adjustStock([lost(tea, 5)]))
      .thenLevel({ available: 0 })
    given(received(5))
      .when(adjustStock([lost(tea, 6)]))
      .thenRejected('insufficient_stock', { shortages: [{ item: tea, location: london, requested: 6, available: 5, held: 0, incoming: 0, levelVersion: 1 }] })
      .thenLevel({ available: 5, version: 1 })
      .when(adjustStock([lost(tea, 5)]))
      .thenAccepted('stock.adjusted')
  })

  test('what is held or sold cannot be lost', () => {
    given(received(5), holdPlaced('h1', 2), holdPlaced('h2', 1), holdExecuted('h2'))
      .when(adjustStock([lost(tea, 3)]))
      .thenRejected('insufficient_stock', { shortages: [{ item: tea, location: london, requested: 3, available: 2, held: 2, incoming: 0, levelVersion: 4 }] })
      .when(adjustStock([lost(tea, 2)]))
      .thenLevel({ available: 0, held: 2, committed: 1 })
  })

  test('safety stock can be lost like any other', () => {
    given(received(5), safetyStockKept(4))
      .when(adjustStock([lost(tea, 5)]))
      .thenAccepted('stock.adjusted')
      .thenLevel({ available: 0 })
  })

  test('what is found and lost in one document is found first', () => {
    given(received(1))
      .when(adjustStock([lost(tea, 3), found(tea, 2)]))
      .thenMoved('2 tea in london: shrinkage to available', '3 tea in london: available to shrinkage')
      .thenLevel({ available: 0, version: 2 })
    given(received(1))
      .when(adjustStock([lost(tea, 4), found(tea, 2)]))
      .thenRejected('insufficient_stock', { shortages: [{ item: tea, location: london, requested: 4, available: 3, held: 0, incoming: 0, levelVersion: 1 }] })
      .thenLevel({ available: 1, version: 1 })
  })

  test('damaged and unchecked units can be lost and found, too', () => {
    const damaged = { item: tea, from: 'shrinkage', to: 'damaged', quantity: 3, ifVersion: null } as const
    const scrapped = { item: tea, from: 'damaged', to: 'shrinkage', quantity: 2, ifVersion: null } as const
    given(received(1))
      .when(adjustStock([damaged]))
      .thenAccepted('stock.adjusted')
      .thenLevel({ available: 1, damaged: 3 })
      .when(adjustStock([scrapped]))
      .thenAccepted('stock.adjusted')
      .thenLevel({ available: 1, damaged: 1 })
      .when(adjustStock([scrapped]))
      .thenRejected('insufficient_stock', { shortages: [{ item: tea, location: london, requested: 2, available: 1, held: 0, incoming: 0, levelVersion: 3 }] })
  })

  test('the same item lost on two lines is judged as one sum', () => {
    given(received(5))
      .when(adjustStock([lost(tea, 3), lost(tea, 3)]))
      .thenRejected('insufficient_stock', { shortages: [{ item: tea, location: london, requested: 6, available: 5, held: 0, incoming: 0, levelVersion: 1 }] })
      .when(adjustStock([lost(tea, 3), lost(tea, 2)]))
      .thenMoved('5 tea in london: available to shrinkage')
  })
})

describe('units moved between states', () => {
  test('units are set aside to be looked at, and cleared or damaged later', () => {
    given(received(5))
      .when(adjustStock([shifted(tea, 3, 'available', 'quality_control')]))
      .thenAccepted('stock.moved')
      .thenMoved('3 tea in london: available to quality_control')
      .thenLevel({ available: 2, quality_control: 3, version: 2 })
      .when(adjustStock([shifted(tea, 2, 'quality_control', 'available'), shifted(tea, 1, 'quality_control', 'damaged')]))
      .thenAccepted('stock.moved')
      .thenLevel({ available: 4, quality_control: 0, damaged: 1, version: 3 })
      .when(adjustStock([shifted(tea, 1, 'damaged', 'available')]))
      .thenLevel({ available: 5, damaged: 0 })
  })

  test('more than is in a state cannot leave it', () => {
    given(received(5), adjusted([shifted(tea, 2, 'available', 'quality_control')]))
      .when(adjustStock([shifted(tea, 3, 'quality_control', 'available')]))
      .thenRejected('insufficient_stock', { shortages: [{ item: tea, location: london, requested: 3, available: 2, held: 0, incoming: 0, levelVersion: 2 }] })
      .thenLevel({ available: 3, quality_control: 2, version: 2 })
  })

  test('what is set aside cannot be held, and what is cleared can', () => {
    given(received(5), adjusted([shifted(tea, 5, 'available', 'quality_control')]))
      .when(placeHold('h1', 1))
      .thenRejected('insufficient_stock')
      .and(adjusted([shifted(tea, 1, 'quality_control', 'available')]))
      .when(placeHold('h1', 1))
      .thenAccepted('hold.placed')
  })

  test('the lines of a document are done in their order', () => {
    given(received(5))
      .when(adjustStock([shifted(tea, 5, 'available', 'damaged'), shifted(tea, 2, 'damaged', 'quality_control')]))
      .thenLevel({ available: 0, damaged: 3, quality_control: 2, version: 2 })
    given(received(5))
      .when(adjustStock([shifted(tea, 2, 'damaged', 'quality_control'), shifted(tea, 5, 'available', 'damaged')]))
      .thenRejected('insufficient_stock', { shortages: [{ item: tea, location: london, requested: 2, available: 0, held: 0, incoming: 0, levelVersion: 1 }] })
  })

  test('units that are moved and lost in one document are an adjustment, not a move', () => {
    given(received(5))
      .when(adjustStock([shifted(tea, 2, 'available', 'damaged'), lost(tea, 1)]))
      .thenAccepted('stock.adjusted')
      .thenLevel({ available: 2, damaged: 2, version: 2 })
  })
})

describe('a writer who says which version he saw', () => {
  test('is served when the level still has it', () => {
    given(received(5))
      .when(adjustStock([lost(tea, 1, 1)]))
      .thenAccepted('stock.adjusted')
      .thenLevel({ available: 4, version: 2 })
    given()
      .when(adjustStock([found(tea, 1, 0)]))
      .thenAccepted('stock.adjusted')
      .thenLevel({ available: 1, version: 1 })
  })

  test('is refused when somebody was faster, and served once he has looked again', () => {
    given(received(5), holdPlaced('h1', 1))
      .when(adjustStock([lost(tea, 1, 1)]))
      .thenRejected('version_conflict', { item: tea, location: london, expected: 1, current: 2 })
      .thenLevel({ available: 4, version: 2 })
      .when(adjustStock([lost(tea, 1, 2)]))
      .thenAccepted('stock.adjusted')
      .when(adjustStock([lost(tea, 1, 2)]))
      .thenRejected('version_conflict', { item: tea, location: london, expected: 2, current: 3 })
  })

  test('is refused for a version that the level does not have yet', () => {
    given(received(5))
      .when(adjustStock([lost(tea, 1, 2)]))
      .thenRejected('version_conflict', { item: tea, location: london, expected: 2, current: 1 })
  })

  test('is refused as a whole when one of his lines is out of date', () => {
    given(received([line(tea, 5), line(cup, 5)]), received([line(cup, 1)]))
      .when(adjustStock([lost(tea, 1, 1), lost(cup, 1, 1)]))
      .thenRejected('version_conflict', { item: cup, location: london, expected: 1, current: 2 })
      .thenLevel({ item: tea, available: 5, version: 1 })
  })

  test('is told of the conflict before he is told of a shortage', () => {
    given(received(5), received(1))
      .when(adjustStock([lost(tea, 9, 1)]))
      .thenRejected('version_conflict')
  })

  test('may name the same version on two lines of one item', () => {
    given(received(5))
      .when(adjustStock([lost(tea, 1, 1), lost(tea, 2, 1)]))
      .thenMoved('3 tea in london: available to shrinkage')
      .when(adjustStock([found(tea, 1, 2), shifted(tea, 1, 'available', 'damaged')]))
      .thenAccepted('stock.adjusted')
      .thenLevel({ version: 3 })
  })

  test('is refused when any of two lines of one item is out of date', () => {
    given(received(5))
      .when(adjustStock([lost(tea, 1, 0), lost(tea, 1, 1)]))
      .thenRejected('version_conflict', { item: tea, location: london, expected: 0, current: 1 })
    given(received(5))
      .when(adjustStock([lost(tea, 1, 1), lost(tea, 1, 0)]))
      .thenRejected('version_conflict', { item: tea, location: london, expected: 0, current: 1 })
  })
})

test('one line that is short refuses the whole document, and every short line is named', () => {
  const short = { location: london, held: 0, incoming: 0 }
  given(received([line(tea, 5), line(cup, 1)]))
    .when(adjustStock([lost(tea, 1), lost(cup, 2), shifted(tea, 1, 'damaged', 'available')]))
    .thenRejected('insufficient_stock', {
      shortages: [
        { item: cup, ...short, requested: 2, available: 1, levelVersion: 1 },
        { item: tea, ...short, requested: 1, available: 0, levelVersion: 1 },
      ],
    })
    .thenLevel({ item: tea, available: 5, version: 1 })
    .thenLevel({ item: cup, available: 1, version: 1 })
})

test('an adjustment touches its own location and no other', () => {
  given(received(5), received(5, { location: paris }))
    .when(adjustStock([lost(tea, 5)], { location: paris }))
    .thenLevel({ location: paris, available: 0 })
    .thenLevel({ available: 5, version: 1 })
    .when(receiveStock(1))
    .thenLevel({ available: 6 })
})

test('an adjustment says what was moved, why, when, and which version of the level it made', () => {
  const story = given(received(5), timePassed(10)).when(
    adjustStock([lost(tea, 2)], { id: named('a1'), reason: 'stolen', reference: 'case-3', metadata: { by: 'fox' } }),
  )
  const answer = {
    kind: 'adjustment',
    adjustment: {
      id: named('a1'),
      location: london,
      reason: 'stolen',
      createdAt: afterOpening(10),
      reference: 'case-3',
      metadata: { by: 'fox' },
      lines: [{ item: tea, from: 'available', to: 'shrinkage', quantity: 2, levelVersion: 2 }],
    },
  }
  expect(story.decision).toMatchObject({
    ok: true,
    event: { type: 'stock.adjusted', subject: { kind: 'adjustment', id: named('a1'), version: 1 }, data: answer },
  })
  expect(story.decision?.ok && story.decision.answer).toEqual(answer)
})
