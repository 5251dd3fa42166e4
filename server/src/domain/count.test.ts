import { describe, expect, test } from 'vitest'
import {
  adjusted,
  afterOpening,
  approveCount,
  cancelCount,
  countApproved,
  countCanceled,
  counted,
  countItems,
  countOpened,
  cup,
  given,
  holdExecuted,
  holdPlaced,
  holdShipped,
  inboundAnnounced,
  itemsCounted,
  line,
  london,
  named,
  openCount,
  paris,
  received,
  sequenceIn,
  shifted,
  tea,
  timePassed,
  workIn,
} from '../../test/support/given.ts'

describe('opening', () => {
  test('a count moves nothing, and has no lines before something was counted', () => {
    const story = given(received(5), timePassed(7))
      .when(openCount('c1', { items: [tea], reference: 'january' }))
      .thenAccepted('count.opened')
      .thenMoved()
    expect(workIn(story.stock, 'c1')).toEqual({
      kind: 'count',
      id: named('c1'),
      version: 1,
      status: 'open',
      location: london,
      items: [tea],
      lines: [],
      createdAt: afterOpening(7),
      endedAt: null,
      reference: 'january',
      metadata: {},
    })
  })
})

describe('counting', () => {
  test('a line remembers what the books said when it was counted, and which version of the level that was', () => {
    given(received(5), countOpened('c1'), timePassed(9))
      .when(countItems('c1', 4))
      .thenAccepted('count.counted')
      .thenMoved()
      .thenWork('c1', {
        version: 2,
        status: 'open',
        lines: [{ item: tea, counted: 4, expected: 5, countedAt: afterOpening(9), asOf: null, levelVersion: 1 }],
      })
  })

  test('promised units stand on the shelf, too; damaged and unchecked ones and those on their way do not', () => {
    given(received(9), holdPlaced('h1', 2), holdPlaced('h2', 3), holdExecuted('h2'), inboundAnnounced('i1', 7), countOpened('c1'))
      .and(adjusted([shifted(tea, 1, 'available', 'damaged'), shifted(tea, 1, 'available', 'quality_control')]))
      .when(countItems('c1', 7))
      .thenWork('c1', { lines: [{ counted: 7, expected: 7 }] })
  })

  test('an item that the books do not know is expected not to be there', () => {
    given(countOpened('c1'))
      .when(countItems('c1', 2))
      .thenWork('c1', { lines: [{ counted: 2, expected: 0, levelVersion: 0 }] })
  })

  test('whoever says when he counted is held against the books of that moment', () => {
    const before = given(received(5), countOpened('c1'))
    const asOf = sequenceIn(before.stock)
    before
      .and(received(4), holdPlaced('h1', 3), holdExecuted('h1'), holdShipped('h1'))
      .thenLevel({ available: 6 })
      .when(countItems('c1', [counted(tea, 5, asOf)]))
      .thenWork('c1', { lines: [{ counted: 5, expected: 5, asOf, levelVersion: 5 }] })
      .when(countItems('c1', [counted(tea, 5, 0)]))
      .thenWork('c1', { lines: [{ counted: 5, expected: 0, asOf: 0 }] })
  })

  test('what is found in two places is added up, against the books of the later one', () => {
    given(received(5), countOpened('c1'), received(1), received(1))
      .when(countItems('c1', [counted(tea, 2, 1), counted(tea, 4, 3)]))
      .thenWork('c1', { lines: [{ counted: 6, expected: 6, asOf: 3 }] })
      .when(countItems('c1', [counted(tea, 2, 1), counted(tea, 4)]))
      .thenWork('c1', { lines: [{ counted: 6, expected: 7, asOf: null }] })
      .when(countItems('c1', [counted(tea, 2), counted(tea, 4, 1)]))
      .thenWork('c1', { lines: [{ counted: 6, expected: 7, asOf: null }] })
  })

  test('what is counted again replaces its line, and the other lines stay', () => {
    given(received([line(tea, 5), line(cup, 5)]), countOpened('c1'), itemsCounted('c1', [counted(tea, 1), counted(cup, 5)]), received(2))
      .when(countItems('c1', 6))
      .thenWork('c1', {
        version: 3,
        lines: [
          { item: tea, counted: 6, expected: 7 },
          { item: cup, counted: 5, expected: 5 },
        ],
      })
  })

  test('a count of some items takes no other', () => {
    given(received(5), countOpened('c1', { items: [cup] }))
      .when(countItems('c1', [counted(cup, 0), counted(tea, 5)]))
      .thenRejected('not_in_count', { id: named('c1'), item: tea })
      .thenWork('c1', { version: 1, lines: [] })
  })
})

describe('approving', () => {
  test('what is missing is written off', () => {
    given(received(5), countOpened('c1'), itemsCounted('c1', 3), timePassed(9))
      .when(approveCount('c1'))
      .thenAccepted('count.approved')
      .thenMoved('2 tea in london: available to shrinkage')
      .thenLevel({ available: 3, version: 2 })
      .thenWork('c1', { status: 'approved', version: 3, endedAt: afterOpening(9), lines: [{ counted: 3, expected: 5, levelVersion: 2 }] })
  })

  test('what is too many is found', () => {
    given(received(5), countOpened('c1'), itemsCounted('c1', 7))
      .when(approveCount('c1'))
      .thenMoved('2 tea in london: shrinkage to available')
      .thenLevel({ available: 7 })
  })

  test('what agrees moves nothing, and keeps the version that was judged', () => {
    given(received(5), countOpened('c1'), itemsCounted('c1', 5), received(1))
      .when(approveCount('c1'))
      .thenAccepted('count.approved')
      .thenMoved()
      .thenWork('c1', { lines: [{ levelVersion: 1 }] })
      .thenLevel({ available: 6, version: 2 })
  })

  test('what is sold and received between counting and approval is not lost', () => {
    given(received(10), countOpened('c1'), itemsCounted('c1', 8), received(5), holdPlaced('h1', 6), holdExecuted('h1'), holdShipped('h1'))
      .when(approveCount('c1'))
      .thenMoved('2 tea in london: available to shrinkage')
      .thenLevel({ available: 7 })
  })

  test('what is missing is not taken from promised units: too little for sale is refused, and may be approved later', () => {
    given(received(5), holdPlaced('h1', 4), countOpened('c1'), itemsCounted('c1', 2))
      .when(approveCount('c1'))
      .thenRejected('insufficient_stock', { shortages: [{ item: tea, location: london, requested: 3, available: 1, held: 4, incoming: 0, levelVersion: 2 }] })
      .thenWork('c1', { status: 'open', version: 2 })
      .and(received(2))
      .when(approveCount('c1'))
      .thenAccepted('count.approved')
      .thenLevel({ available: 0, held: 4 })
  })

  test('one line that is short refuses them all', () => {
    given(received([line(tea, 5), line(cup, 5)]), holdPlaced('h1', 5), countOpened('c1'), itemsCounted('c1', [counted(tea, 4), counted(cup, 1)]))
      .when(approveCount('c1'))
      .thenRejected('insufficient_stock')
      .thenLevel({ item: cup, available: 5, version: 1 })
  })

  test('a count without lines corrects nothing', () => {
    given(received(5), countOpened('c1')).when(approveCount('c1')).thenAccepted('count.approved').thenMoved().thenLevel({ available: 5 })
  })

  test('a count is approved once', () => {
    given(received(5), countOpened('c1'), itemsCounted('c1', 3), countApproved('c1'))
      .when(approveCount('c1'))
      .thenAlreadySo()
      .when(countItems('c1', 1))
      .thenRejected('not_in_state', { kind: 'count', id: named('c1'), status: 'approved', asked: 'counted' })
      .when(cancelCount('c1'))
      .thenRejected('not_in_state', { kind: 'count', id: named('c1'), status: 'approved', asked: 'canceled' })
      .thenLevel({ available: 3, version: 2 })
  })
})

describe('canceling', () => {
  test('a count that was canceled corrects nothing, ever', () => {
    given(received(5), countOpened('c1'), itemsCounted('c1', 3))
      .when(cancelCount('c1'))
      .thenAccepted('count.canceled')
      .thenMoved()
      .thenWork('c1', { status: 'canceled', lines: [{ counted: 3, expected: 5 }] })
      .when(cancelCount('c1'))
      .thenAlreadySo()
      .when(approveCount('c1'))
      .thenRejected('not_in_state', { kind: 'count', id: named('c1'), status: 'canceled', asked: 'approved' })
      .when(countItems('c1', 1))
      .thenRejected('not_in_state', { kind: 'count', id: named('c1'), status: 'canceled', asked: 'counted' })
      .thenLevel({ available: 5, version: 1 })
  })
})

test('a count is of its own location', () => {
  given(received(5), received(9, { location: paris }), countOpened('c1', { location: paris }), itemsCounted('c1', [counted(tea, 8)], paris))
    .when(approveCount('c1'))
    .thenMoved('1 tea in paris: available to shrinkage')
})

test('a count that nobody opened is not found', () => {
  for (const command of [countItems('c1', 1), approveCount('c1'), cancelCount('c1')])
    expect(given(countOpened('c2'), countCanceled('c2')).when(command).decision, command.type).toEqual({
      ok: false,
      rejection: { code: 'work_not_found', kind: 'count', id: named('c1') },
    })
})
