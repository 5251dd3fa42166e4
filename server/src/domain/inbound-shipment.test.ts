import { describe, expect, test } from 'vitest'
import {
  afterOpening,
  announceInbound,
  back,
  cancelInbound,
  cup,
  given,
  inboundAnnounced,
  inboundCanceled,
  inboundReceived,
  line,
  london,
  named,
  placeHold,
  receiveInbound,
  tea,
  timePassed,
  transferPlanned,
  workIn,
} from '../../test/support/given.ts'

describe('announcing', () => {
  test('what a supplier announces is incoming, and not for sale', () => {
    const story = given(timePassed(7))
      .when(announceInbound('i1', [line(tea, 3), line(cup, 1), line(tea, 2)], { expectedAt: afterOpening(99), reference: 'po-7', unique: named('acme po-7') }))
      .thenAccepted('inbound.announced')
      .thenMoved('5 tea in london: supplier to incoming', '1 cup in london: supplier to incoming')
      .thenLevel({ available: 0, incoming: 5, version: 1 })
    expect(workIn(story.stock, 'i1')).toEqual({
      kind: 'inbound_shipment',
      id: named('i1'),
      version: 1,
      status: 'announced',
      supplier: 'acme',
      location: london,
      expectedAt: afterOpening(99),
      lines: [
        { item: tea, quantity: 5, received: 0, missing: 0, withdrawn: 0, excess: 0, levelVersion: 1 },
        { item: cup, quantity: 1, received: 0, missing: 0, withdrawn: 0, excess: 0, levelVersion: 1 },
      ],
      createdAt: afterOpening(7),
      endedAt: null,
      reference: 'po-7',
      metadata: {},
    })
    story
      .when(placeHold('h1', 1))
      .thenRejected('insufficient_stock', { shortages: [{ item: tea, location: london, requested: 1, available: 0, held: 0, incoming: 5, levelVersion: 1 }] })
  })

  test('what a supplier calls a shipment belongs to one shipment, for ever', () => {
    const unique = named('acme po-7')
    given(inboundAnnounced('i1', 5, { unique }))
      .when(announceInbound('i2', 5, { unique }))
      .thenRejected('already_announced', { id: named('i1') })
      .thenLevel({ incoming: 5, version: 1 })
      .and(inboundCanceled('i1'))
      .when(announceInbound('i3', 5, { unique }))
      .thenRejected('already_announced', { id: named('i1') })
      .when(announceInbound('i4', 5, { unique: named('acme po-8') }))
      .thenAccepted('inbound.announced')
  })

  test('shipments without a name are as many as there are', () => {
    given(inboundAnnounced('i1', 5)).when(announceInbound('i2', 5)).thenAccepted('inbound.announced').thenLevel({ incoming: 10, version: 2 })
  })
})

describe('receiving', () => {
  test('what comes is for sale, and the shipment is over', () => {
    given(inboundAnnounced('i1', 5), timePassed(9))
      .when(receiveInbound('i1'))
      .thenAccepted('inbound.received')
      .thenMoved('5 tea in london: incoming to available')
      .thenLevel({ available: 5, incoming: 0, version: 2 })
      .thenWork('i1', { status: 'received', version: 2, endedAt: afterOpening(9), lines: [{ received: 5, levelVersion: 2 }] })
  })

  test('it may come in parts, some of it broken', () => {
    given(inboundAnnounced('i1', 5))
      .when(receiveInbound('i1', [back(tea, 2), back(tea, 1, 'damaged')]))
      .thenLevel({ available: 2, damaged: 1, incoming: 2 })
      .thenWork('i1', { status: 'announced', endedAt: null, lines: [{ received: 3 }] })
      .when(receiveInbound('i1'))
      .thenLevel({ available: 4, damaged: 1, incoming: 0 })
      .thenWork('i1', { status: 'received', lines: [{ received: 5 }] })
  })

  test('what is closed short goes back to the supplier, who never sent it', () => {
    given(inboundAnnounced('i1', 5))
      .when(receiveInbound('i1', 2, { close: true }))
      .thenMoved('2 tea in london: incoming to available', '3 tea in london: incoming to supplier')
      .thenWork('i1', { status: 'received', lines: [{ received: 2, missing: 3 }] })
  })

  test('more than was announced is refused, or accepted and said to be too much', () => {
    given(inboundAnnounced('i1', 5))
      .when(receiveInbound('i1', 6))
      .thenRejected('quantity_exceeds_outstanding', { kind: 'inbound_shipment', id: named('i1'), item: tea, requested: 6, remaining: 5 })
      .when(receiveInbound('i1', 6, { acceptExcess: true }))
      .thenMoved('5 tea in london: incoming to available', '1 tea in london: supplier to available')
      .thenWork('i1', { status: 'received', lines: [{ received: 5, excess: 1 }] })
  })

  test('a shipment is received once', () => {
    given(inboundAnnounced('i1', 5), inboundReceived('i1'))
      .when(receiveInbound('i1'))
      .thenAlreadySo()
      .when(receiveInbound('i1', 1, { acceptExcess: true }))
      .thenRejected('not_in_state', { kind: 'inbound_shipment', id: named('i1'), status: 'received', asked: 'received' })
  })
})

describe('canceling', () => {
  test('what has not come is no longer expected, and what has come stays', () => {
    given(inboundAnnounced('i1', 5), inboundReceived('i1', 2), timePassed(3))
      .when(cancelInbound('i1'))
      .thenAccepted('inbound.canceled')
      .thenMoved('3 tea in london: incoming to supplier')
      .thenLevel({ available: 2, incoming: 0 })
      .thenWork('i1', { status: 'canceled', endedAt: afterOpening(3), lines: [{ received: 2, missing: 0, withdrawn: 3 }] })
  })

  test('what was canceled does not come, and what has come is not canceled', () => {
    given(inboundAnnounced('i1', 5), inboundCanceled('i1'))
      .when(cancelInbound('i1'))
      .thenAlreadySo()
      .when(receiveInbound('i1'))
      .thenRejected('not_in_state', { kind: 'inbound_shipment', id: named('i1'), status: 'canceled', asked: 'received' })
    given(inboundAnnounced('i1', 5), inboundReceived('i1'))
      .when(cancelInbound('i1'))
      .thenRejected('not_in_state', { kind: 'inbound_shipment', id: named('i1'), status: 'received', asked: 'canceled' })
  })
})

test('a shipment that nobody announced is not found', () => {
  for (const command of [receiveInbound('i1'), cancelInbound('i1')])
    expect(given(transferPlanned('i1', 1)).when(command).decision, command.type).toEqual({
      ok: false,
      rejection: { code: 'work_not_found', kind: 'inbound_shipment', id: named('i1') },
    })
})
