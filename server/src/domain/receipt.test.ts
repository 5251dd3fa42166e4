import { expect, test } from 'vitest'
import {
  afterOpening,
  cup,
  given,
  levelIn,
  line,
  london,
  named,
  opening,
  paris,
  received,
  receiveStock,
  tea,
  timePassed,
  viewOf,
} from '../../test/support/given.ts'
import { receiveStock as decideReceipt } from './receipt.ts'

test('what a supplier brings is for sale', () => {
  given()
    .when(receiveStock(5))
    .thenAccepted('stock.received')
    .thenMoved('5 tea in london: supplier to available')
    .thenLevel({ available: 5, held: 0, committed: 0, damaged: 0, quality_control: 0, incoming: 0, version: 1 })
})

test('a second receipt adds to the first', () => {
  given(received(5)).when(receiveStock(2)).thenLevel({ available: 7, version: 2 })
})

test('a receipt says what came, where, when, and which version of the level it made', () => {
  const story = given(received(5), timePassed(10)).when(
    receiveStock([line(tea, 2), line(cup, 3)], { id: named('r1'), reference: 'invoice-7', metadata: { supplier: 'acme' } }),
  )
  const answer = {
    kind: 'receipt',
    receipt: {
      id: named('r1'),
      location: london,
      createdAt: afterOpening(10),
      reference: 'invoice-7',
      metadata: { supplier: 'acme' },
      lines: [
        { item: tea, quantity: 2, levelVersion: 2 },
        { item: cup, quantity: 3, levelVersion: 1 },
      ],
    },
  }
  expect(story.decision).toMatchObject({
    ok: true,
    answer,
    event: { type: 'stock.received', subject: { kind: 'receipt', id: named('r1'), version: 1 }, data: answer },
  })
  story.thenLevel({ item: tea, available: 7 }).thenLevel({ item: cup, available: 3 })
})

test('the same item on two lines is received as one sum', () => {
  given()
    .when(receiveStock([line(tea, 2), line(cup, 1), line(tea, 3)]))
    .thenMoved('5 tea in london: supplier to available', '1 cup in london: supplier to available')
    .thenLevel({ available: 5, version: 1 })
})

test('what comes to one location is not at another', () => {
  given()
    .when(receiveStock(5, { location: paris }))
    .thenLevel({ location: paris, available: 5 })
    .thenLevel({ location: london, available: 0, version: 0 })
})

test('more units than can be counted are a defect, and the stock stays as it was', () => {
  const { stock } = given(received(5))
  expect(() => decideReceipt(receiveStock(Number.MAX_SAFE_INTEGER), viewOf(stock), opening)).toThrow('item 1 at location 1')
  expect(levelIn(stock, tea, london)).toMatchObject({ available: 5, version: 1 })
})
