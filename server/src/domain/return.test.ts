import { describe, expect, test } from 'vitest'
import {
  afterOpening,
  anywhere,
  back,
  cup,
  given,
  holdCanceled,
  holdExecuted,
  holdExpired,
  holdPlaced,
  holdShipped,
  line,
  lineAt,
  london,
  minutes,
  named,
  opening,
  paris,
  received,
  returned,
  returnStock,
  shipHold,
  tea,
  timePassed,
} from '../../test/support/given.ts'

/** Three teas of a hold were bought and are with their buyer. */
const bought = [received(5), holdPlaced('h1', 3), holdExecuted('h1'), holdShipped('h1')]

describe('what comes back with no hold named', () => {
  test('is for sale again, or looked at, or damaged, as the shopkeeper says', () => {
    given()
      .when(returnStock(null, [back(tea, 2)]))
      .thenAccepted('stock.returned')
      .thenMoved('2 tea in london: customer to available')
      .thenLevel({ available: 2, version: 1 })
      .when(returnStock(null, [back(tea, 1, 'quality_control')]))
      .thenMoved('1 tea in london: customer to quality_control')
      .thenLevel({ quality_control: 1 })
      .when(returnStock(null, [back(tea, 1, 'damaged')]))
      .thenMoved('1 tea in london: customer to damaged')
      .thenLevel({ available: 2, quality_control: 1, damaged: 1, version: 3 })
  })

  test('may go to two states in one return, and the level has one new version', () => {
    given()
      .when(returnStock(null, [back(tea, 2), back(tea, 1, 'damaged'), back(tea, 3)]))
      .thenMoved('5 tea in london: customer to available', '1 tea in london: customer to damaged')
      .thenLevel({ available: 5, damaged: 1, version: 1 })
  })

  test('is counted where it came back to', () => {
    given(received(5))
      .when(returnStock(null, [back(tea, 2)], { location: paris }))
      .thenLevel({ location: paris, available: 2 })
      .thenLevel({ available: 5, version: 1 })
  })

  test('is its own document', () => {
    const story = given(timePassed(10)).when(
      returnStock(null, [back(tea, 2), back(cup, 1, 'damaged')], { id: named('r1'), reference: 'rma-2', metadata: { why: 'too blue' } }),
    )
    const answer = {
      kind: 'return',
      return: {
        id: named('r1'),
        hold: null,
        location: london,
        createdAt: afterOpening(10),
        reference: 'rma-2',
        metadata: { why: 'too blue' },
        lines: [
          { item: tea, quantity: 2, to: 'available', levelVersion: 1 },
          { item: cup, quantity: 1, to: 'damaged', levelVersion: 1 },
        ],
      },
    }
    expect(story.decision).toMatchObject({ ok: true, event: { subject: { kind: 'return', id: named('r1'), version: 1 }, data: answer } })
    expect(story.decision?.ok && story.decision.answer).toEqual(answer)
  })
})

describe('what comes back for a hold', () => {
  test('is counted on the hold, which stays what it was', () => {
    const story = given(...bought)
      .when(returnStock('h1', [back(tea, 2)]))
      .thenAccepted('stock.returned')
      .thenLevel({ available: 4, version: 5 })
      .thenHold('h1', { status: 'executed', version: 4, endedAt: opening })
      .thenAllocations('h1', { quantity: 3, shipped: 3, returned: 2, levelVersion: 4 })
    expect(story.decision).toMatchObject({ event: { subject: { kind: 'hold', id: named('h1'), version: 4 } }, answer: { return: { hold: named('h1') } } })
  })

  test('is no more than was shipped', () => {
    given(...bought)
      .when(returnStock('h1', [back(tea, 4)]))
      .thenRejected('quantity_exceeds_remaining', { hold: named('h1'), item: tea, requested: 4, remaining: 3 })
      .thenLevel({ available: 2, version: 4 })
      .thenAllocations('h1', { returned: 0 })
      .when(returnStock('h1', [back(tea, 3)]))
      .thenAccepted('stock.returned')
  })

  test('is no more than was shipped and has not come back yet', () => {
    given(...bought, returned('h1', [back(tea, 2)]))
      .when(returnStock('h1', [back(tea, 2)]))
      .thenRejected('quantity_exceeds_remaining', { hold: named('h1'), item: tea, requested: 2, remaining: 1 })
      .when(returnStock('h1', [back(tea, 1)]))
      .thenAllocations('h1', { returned: 3 })
      .when(returnStock('h1', [back(tea, 1)]))
      .thenRejected('quantity_exceeds_remaining', { hold: named('h1'), item: tea, requested: 1, remaining: 0 })
  })

  test('is judged as one sum, whatever states its lines go to', () => {
    given(...bought)
      .when(returnStock('h1', [back(tea, 2), back(tea, 2, 'damaged')]))
      .thenRejected('quantity_exceeds_remaining', { hold: named('h1'), item: tea, requested: 4, remaining: 3 })
      .when(returnStock('h1', [back(tea, 2), back(tea, 1, 'damaged')]))
      .thenMoved('2 tea in london: customer to available', '1 tea in london: customer to damaged')
      .thenAllocations('h1', { returned: 3 })
  })

  test('may come back to another location than it was shipped from', () => {
    given(...bought)
      .when(returnStock('h1', [back(tea, 3)], { location: paris }))
      .thenLevel({ location: paris, available: 3 })
      .thenLevel({ available: 2 })
      .thenAllocations('h1', { location: london, returned: 3 })
  })

  test("is counted on the hold's allocations in their order", () => {
    given(received(2), received(2, { location: paris }), holdPlaced('h1', [lineAt(anywhere, tea, 4)]), holdExecuted('h1'), holdShipped('h1'))
      .when(returnStock('h1', [back(tea, 3)]))
      .thenAllocations('h1', { location: london, shipped: 2, returned: 2 }, { location: paris, shipped: 2, returned: 1 })
      .when(returnStock('h1', [back(tea, 1)]))
      .thenAllocations('h1', { returned: 2 }, { returned: 2 })
  })

  test('was shipped: what is only held or sold cannot come back', () => {
    given(received(5), holdPlaced('h1', 3))
      .when(returnStock('h1', [back(tea, 1)]))
      .thenRejected('quantity_exceeds_remaining', { hold: named('h1'), item: tea, requested: 1, remaining: 0 })
      .and(holdExecuted('h1'))
      .when(returnStock('h1', [back(tea, 1)]))
      .thenRejected('quantity_exceeds_remaining')
      .and(holdShipped('h1', 2))
      .when(returnStock('h1', [back(tea, 3)]))
      .thenRejected('quantity_exceeds_remaining', { hold: named('h1'), item: tea, requested: 3, remaining: 2 })
      .when(returnStock('h1', [back(tea, 2)]))
      .thenAccepted('stock.returned')
      .thenAllocations('h1', { committed: 1, shipped: 2, returned: 2 })
      .when(shipHold('h1'))
      .thenAccepted('stock.shipped')
      .thenAllocations('h1', { shipped: 3, returned: 2 })
  })

  test('is an item of the hold', () => {
    given(...bought, received([line(cup, 1)]))
      .when(returnStock('h1', [back(tea, 1), back(cup, 1)]))
      .thenRejected('quantity_exceeds_remaining', { hold: named('h1'), item: cup, requested: 1, remaining: 0 })
      .thenAllocations('h1', { returned: 0 })
  })

  test('is for a hold that there is', () => {
    given(...bought)
      .when(returnStock('never', [back(tea, 1)]))
      .thenRejected('hold_not_found', { hold: named('never') })
      .thenLevel({ available: 2 })
  })

  test('may come back after the rest of the hold was canceled or has expired', () => {
    given(received(5), holdPlaced('h1', 3), holdExecuted('h1'), holdShipped('h1', 1), holdCanceled('h1'))
      .when(returnStock('h1', [back(tea, 1)]))
      .thenAccepted('stock.returned')
      .thenHold('h1', { status: 'canceled' })
      .thenLevel({ available: 5 })
    given(received(5), holdPlaced('h1', 3), holdExecuted('h1', [line(tea, 1)], false), holdShipped('h1'), timePassed(minutes(15)), holdExpired('h1'))
      .when(returnStock('h1', [back(tea, 2)]))
      .thenRejected('quantity_exceeds_remaining')
      .when(returnStock('h1', [back(tea, 1)]))
      .thenAccepted('stock.returned')
      .thenHold('h1', { status: 'expired' })
      .thenLevel({ available: 5 })
  })
})
