import { describe, expect, test } from 'vitest'
import {
  afterOpening,
  back,
  cancelTransfer,
  cup,
  dispatchTransfer,
  given,
  holdPlaced,
  inboundAnnounced,
  line,
  london,
  named,
  paris,
  placeHold,
  planTransfer,
  received,
  receiveTransfer,
  safetyStockKept,
  tea,
  timePassed,
  transferCanceled,
  transferDispatched,
  transferPlanned,
  transferReceived,
  workIn,
} from '../../test/support/given.ts'

const onItsWay = [received(5), transferPlanned('t1', 3), transferDispatched('t1')]

describe('planning', () => {
  test('a plan moves nothing, and needs no stock', () => {
    const story = given(timePassed(7))
      .when(planTransfer('t1', [line(tea, 2), line(cup, 1), line(tea, 1)], { reference: 'move-7', metadata: { van: 'blue' } }))
      .thenAccepted('transfer.created')
      .thenMoved()
      .thenLevel({ version: 0 })
    expect(workIn(story.stock, 't1')).toEqual({
      kind: 'transfer',
      id: named('t1'),
      version: 1,
      status: 'open',
      from: london,
      to: paris,
      lines: [
        { item: tea, quantity: 3, received: 0, missing: 0, withdrawn: 0, excess: 0, levelVersion: null, sourceVersion: null },
        { item: cup, quantity: 1, received: 0, missing: 0, withdrawn: 0, excess: 0, levelVersion: null, sourceVersion: null },
      ],
      createdAt: afterOpening(7),
      dispatchedAt: null,
      endedAt: null,
      reference: 'move-7',
      metadata: { van: 'blue' },
    })
  })

  test('what is planned may still be sold', () => {
    given(received(3), transferPlanned('t1', 3))
      .when(placeHold('h1', 3))
      .thenAccepted('hold.placed')
      .when(dispatchTransfer('t1'))
      .thenRejected('insufficient_stock')
  })
})

describe('leaving', () => {
  test('what leaves one location is incoming at the other, and in no third place', () => {
    given(received(5), transferPlanned('t1', 3), timePassed(7))
      .when(dispatchTransfer('t1'))
      .thenAccepted('transfer.dispatched')
      .thenMoved('3 tea in london: available to transit', '3 tea in paris: transit to incoming')
      .thenLevel({ available: 2, version: 2 })
      .thenLevel({ location: paris, available: 0, incoming: 3, version: 1 })
      .thenWork('t1', { status: 'dispatched', version: 2, dispatchedAt: afterOpening(7), endedAt: null, lines: [{ sourceVersion: 2, levelVersion: 1 }] })
  })

  test('what is on its way can be held at neither end', () => {
    given(...onItsWay)
      .when(placeHold('h1', 3))
      .thenRejected('insufficient_stock')
      .when(placeHold('h1', [{ item: tea, location: paris, quantity: 1 }]))
      .thenRejected('insufficient_stock', { shortages: [{ item: tea, location: paris, requested: 1, available: 0, held: 0, incoming: 3, levelVersion: 1 }] })
  })

  test('all of it leaves, or none: every line that is short is named', () => {
    given(received([line(tea, 5), line(cup, 1)]), holdPlaced('h1', 3), transferPlanned('t1', [line(tea, 3), line(cup, 2)]))
      .when(dispatchTransfer('t1'))
      .thenRejected('insufficient_stock', {
        shortages: [
          { item: tea, location: london, requested: 3, available: 2, held: 3, incoming: 0, levelVersion: 2 },
          { item: cup, location: london, requested: 2, available: 1, held: 0, incoming: 0, levelVersion: 1 },
        ],
      })
      .thenLevel({ available: 2, version: 2 })
      .thenWork('t1', { status: 'open', version: 1 })
  })

  test('safety stock is kept from buyers, and not from the other shop', () => {
    given(received(5), safetyStockKept(4), transferPlanned('t1', 5)).when(dispatchTransfer('t1')).thenAccepted('transfer.dispatched')
  })

  test('whoever asks twice has it dispatched once', () => {
    given(...onItsWay)
      .when(dispatchTransfer('t1'))
      .thenAlreadySo()
      .thenLevel({ available: 2 })
  })
})

describe('arriving', () => {
  test('what arrives is for sale at the other location, and the transfer is over', () => {
    given(...onItsWay, timePassed(9))
      .when(receiveTransfer('t1'))
      .thenAccepted('transfer.received')
      .thenMoved('3 tea in paris: incoming to available')
      .thenLevel({ location: paris, available: 3, incoming: 0, version: 2 })
      .thenWork('t1', { status: 'received', version: 3, endedAt: afterOpening(9), lines: [{ received: 3, levelVersion: 2, sourceVersion: 2 }] })
  })

  test('a part may arrive, and the transfer waits for the rest', () => {
    given(...onItsWay)
      .when(receiveTransfer('t1', 2))
      .thenWork('t1', { status: 'dispatched', endedAt: null, lines: [{ received: 2 }] })
      .thenLevel({ location: paris, available: 2, incoming: 1 })
      .when(receiveTransfer('t1', [back(tea, 1, 'damaged')]))
      .thenWork('t1', { status: 'received', lines: [{ received: 3 }] })
      .thenLevel({ location: paris, available: 2, damaged: 1, incoming: 0 })
  })

  test('what is closed short has been lost on the way', () => {
    given(...onItsWay)
      .when(receiveTransfer('t1', 2, { close: true }))
      .thenMoved('2 tea in paris: incoming to available', '1 tea in paris: incoming to shrinkage')
      .thenWork('t1', { status: 'received', lines: [{ received: 2, missing: 1 }] })
  })

  test('more than left is refused, and taken from nowhere by whoever accepts it', () => {
    given(...onItsWay)
      .when(receiveTransfer('t1', 4))
      .thenRejected('quantity_exceeds_outstanding', { kind: 'transfer', id: named('t1'), item: tea, requested: 4, remaining: 3 })
      .thenLevel({ location: paris, incoming: 3, version: 1 })
      .when(receiveTransfer('t1', 4, { acceptExcess: true }))
      .thenMoved('3 tea in paris: incoming to available', '1 tea in paris: shrinkage to available')
      .thenWork('t1', { status: 'received', lines: [{ received: 3, excess: 1 }] })
  })

  test('nothing arrives that has not left', () => {
    given(received(5), transferPlanned('t1', 3))
      .when(receiveTransfer('t1'))
      .thenRejected('not_in_state', { kind: 'transfer', id: named('t1'), status: 'open', asked: 'received' })
  })

  test('a transfer is received once: again is so already, and more is refused', () => {
    given(...onItsWay, transferReceived('t1'))
      .when(receiveTransfer('t1'))
      .thenAlreadySo()
      .when(receiveTransfer('t1', 1))
      .thenRejected('not_in_state', { kind: 'transfer', id: named('t1'), status: 'received', asked: 'received' })
      .when(receiveTransfer('t1', 1, { acceptExcess: true }))
      .thenRejected('not_in_state')
      .thenLevel({ location: paris, available: 3, version: 2 })
  })

  test('two transfers to one location do not take what is the other’s', () => {
    given(received(9), transferPlanned('t1', 3), transferDispatched('t1'), transferPlanned('t2', 4), transferDispatched('t2'))
      .when(receiveTransfer('t1', 5))
      .thenRejected('quantity_exceeds_outstanding', { kind: 'transfer', id: named('t1'), item: tea, requested: 5, remaining: 3 })
      .when(receiveTransfer('t2'))
      .thenLevel({ location: paris, available: 4, incoming: 3 })
  })
})

describe('canceling', () => {
  test('a plan is dropped, and nothing moves', () => {
    given(received(5), transferPlanned('t1', 3))
      .when(cancelTransfer('t1'))
      .thenAccepted('transfer.canceled')
      .thenMoved()
      .thenWork('t1', { status: 'canceled', lines: [{ withdrawn: 0 }] })
  })

  test('what has not arrived goes back, and what has arrived stays', () => {
    given(...onItsWay, transferReceived('t1', 1))
      .when(cancelTransfer('t1'))
      .thenMoved('2 tea in paris: incoming to transit', '2 tea in london: transit to available')
      .thenLevel({ available: 4, version: 3 })
      .thenLevel({ location: paris, available: 1, incoming: 0, version: 3 })
      .thenWork('t1', { status: 'canceled', lines: [{ received: 1, withdrawn: 2, levelVersion: 3, sourceVersion: 3 }] })
  })

  test('what was canceled neither leaves nor arrives', () => {
    given(received(5), transferPlanned('t1', 3), transferCanceled('t1'))
      .when(cancelTransfer('t1'))
      .thenAlreadySo()
      .when(dispatchTransfer('t1'))
      .thenRejected('not_in_state', { kind: 'transfer', id: named('t1'), status: 'canceled', asked: 'dispatched' })
      .when(receiveTransfer('t1'))
      .thenRejected('not_in_state', { kind: 'transfer', id: named('t1'), status: 'canceled', asked: 'received' })
  })

  test('what has arrived cannot be canceled, and does not leave again', () => {
    given(...onItsWay, transferReceived('t1'))
      .when(cancelTransfer('t1'))
      .thenRejected('not_in_state', { kind: 'transfer', id: named('t1'), status: 'received', asked: 'canceled' })
      .when(dispatchTransfer('t1'))
      .thenRejected('not_in_state', { kind: 'transfer', id: named('t1'), status: 'received', asked: 'dispatched' })
  })
})

test('a transfer that nobody planned is not found, and neither is another kind of document by its id', () => {
  for (const command of [dispatchTransfer('t1'), receiveTransfer('t1'), cancelTransfer('t1')])
    expect(given(inboundAnnounced('t1', 1)).when(command).decision, command.type).toEqual({
      ok: false,
      rejection: { code: 'work_not_found', kind: 'transfer', id: named('t1') },
    })
})
