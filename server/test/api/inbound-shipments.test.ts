// What suppliers say is coming: it is expected, never sold before it is here, and received as it really came.
import { responseOf, type InboundShipment } from '@holdfast/sdk'
import { describe, expect, test } from 'vitest'
import { ownDatabase, startServer, verifyBooks } from '../support/server.ts'
import { levelAt, stockUp } from '../support/shop.ts'

const database = await ownDatabase()
const [london, paris] = await Promise.all([startServer(database), startServer(database)])
const { stock } = london
const { inboundShipments: inbounds } = stock

const announced = (sku: string, quantity: number, rest: { reference?: string; supplier?: string; location?: string } = {}): Promise<InboundShipment> =>
  inbounds.create({ supplier: 'Acme', location: 'LON', lines: [{ sku, quantity }], ...rest })
const at = (sku: string, location = 'LON') => levelAt(stock, sku, location)

describe('an announced shipment', () => {
  test('is expected, comes in parts, and may be sold as far as it has come and is good', async () => {
    await stockUp(stock, { LON: { 'IN-1': 0, 'IN-2': 0 } })
    const inbound = await inbounds.create({
      supplier: 'Acme Teas',
      reference: 'ASN-1',
      location: 'LON',
      lines: [
        { sku: 'IN-1', quantity: 100 },
        { sku: 'IN-2', quantity: 20 },
        { sku: 'IN-1', quantity: 20 },
      ],
      expectedAt: '2026-12-01T10:00:00+02:00',
      metadata: { dock: '4' },
    })
    expect(inbound).toMatchObject({
      object: 'inbound_shipment',
      status: 'announced',
      version: 1,
      supplier: 'Acme Teas',
      location: 'LON',
      expectedAt: '2026-12-01T08:00:00.000Z',
      reference: 'ASN-1',
      metadata: { dock: '4' },
      endedAt: null,
      lines: [
        { sku: 'IN-1', quantity: 120, outstanding: 120, received: 0, levelVersion: 1 },
        { sku: 'IN-2', quantity: 20, outstanding: 20 },
      ],
    })
    expect(await at('IN-1')).toMatchObject({ onHand: 0, available: 0, incoming: 120 })
    await expect(stock.holds.place({ lines: [{ sku: 'IN-1', quantity: 1, location: 'LON' }] })).rejects.toMatchObject({
      code: 'insufficient_stock',
      shortages: [{ available: 0, incoming: 120 }],
    })

    const part = await inbounds.receive(inbound.id, {
      lines: [
        { sku: 'IN-1', quantity: 70 },
        { sku: 'IN-1', quantity: 5, to: 'damaged' },
        { sku: 'IN-2', quantity: 20, to: 'quality_control' },
      ],
    })
    expect(part).toMatchObject({
      status: 'announced',
      version: 2,
      lines: [
        { outstanding: 45, received: 75 },
        { outstanding: 0, received: 20 },
      ],
    })
    expect(await at('IN-1')).toMatchObject({ onHand: 75, available: 70, damaged: 5, incoming: 45 })
    expect(await at('IN-2')).toMatchObject({ onHand: 20, available: 0, qualityControl: 20, incoming: 0 })
    await stock.holds.place({ lines: [{ sku: 'IN-1', quantity: 70, location: 'LON' }] })

    const received = await inbounds.receive(inbound.id)
    expect(received).toMatchObject({ status: 'received', version: 3, lines: [{ outstanding: 0, received: 120, missing: 0 }, { received: 20 }] })
    expect(received.endedAt).not.toBeNull()
    expect(await at('IN-1')).toMatchObject({ available: 45, held: 70, damaged: 5, incoming: 0 })
    expect(await inbounds.get(inbound.id)).toEqual(received)
    expect(await inbounds.receive(inbound.id)).toEqual(received)

    const { data } = await stock.events.list({ type: ['inbound.announced', 'inbound.received'] }).page()
    expect(data.map(({ type, subject }) => [type, subject.object, subject.id, subject.version])).toEqual([
      ['inbound.received', 'inbound_shipment', inbound.id, 3],
      ['inbound.received', 'inbound_shipment', inbound.id, 2],
      ['inbound.announced', 'inbound_shipment', inbound.id, 1],
    ])
    expect(data[0]?.data).toMatchObject({ id: inbound.id, status: 'received', supplier: 'Acme Teas' })
  })

  test('that is closed short is expected no more, and what came too much is received when that is said', async () => {
    await stockUp(stock, { LON: { 'FEW-1': 0, 'FEW-2': 0 } })
    const { id } = await inbounds.create({
      supplier: 'Acme',
      location: 'LON',
      lines: [
        { sku: 'FEW-1', quantity: 10 },
        { sku: 'FEW-2', quantity: 10 },
      ],
    })
    await expect(inbounds.receive(id, { lines: [{ sku: 'FEW-2', quantity: 12 }] })).rejects.toMatchObject({
      code: 'quantity_exceeds_remaining',
      remaining: 10,
      detail: `${id}: 12 of FEW-2 came, 10 are outstanding; accept_excess takes more`,
    })
    expect(
      await inbounds.receive(id, {
        lines: [
          { sku: 'FEW-2', quantity: 12 },
          { sku: 'FEW-1', quantity: 7 },
        ],
        acceptExcess: true,
        close: true,
      }),
    ).toMatchObject({
      status: 'received',
      lines: [
        { sku: 'FEW-1', received: 7, missing: 3, excess: 0, outstanding: 0 },
        { sku: 'FEW-2', received: 10, missing: 0, excess: 2, outstanding: 0 },
      ],
    })
    expect(await at('FEW-1')).toMatchObject({ onHand: 7, incoming: 0 })
    expect(await at('FEW-2')).toMatchObject({ onHand: 12, incoming: 0 })
  })

  test('that is canceled is expected no more; what has come stays', async () => {
    await stockUp(stock, { LON: { 'CALL-1': 0 } })
    const { id } = await announced('CALL-1', 10)
    await inbounds.receive(id, { lines: [{ sku: 'CALL-1', quantity: 4 }] })
    const canceled = await inbounds.cancel(id)
    expect(canceled).toMatchObject({ status: 'canceled', lines: [{ quantity: 10, received: 4, withdrawn: 6, outstanding: 0 }] })
    expect(await at('CALL-1')).toMatchObject({ onHand: 4, available: 4, incoming: 0 })
    expect(await inbounds.cancel(id)).toEqual(canceled)
    await expect(inbounds.receive(id)).rejects.toMatchObject({ code: 'invalid_state', detail: `${id} is canceled, and can no longer be received` })
  })

  test('is told of once: a supplier and its reference belong to one shipment, on every server and for ever', async () => {
    await stockUp(stock, { LON: { 'ASN-1': 0 } })
    const servers = [london, paris, london, paris, london, paris]
    const told = await Promise.allSettled(
      servers.map((server) =>
        server.stock.inboundShipments.create({ supplier: 'Bolt & Sons', reference: 'ASN-9', location: 'LON', lines: [{ sku: 'ASN-1', quantity: 5 }] }),
      ),
    )
    const [first, ...others] = told.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
    expect(others).toEqual([])
    for (const one of told)
      if (one.status === 'rejected')
        expect(one.reason).toMatchObject({ code: 'already_exists', status: 409, detail: `the supplier announced this before, as ${first?.id}` })
    expect(await at('ASN-1')).toMatchObject({ incoming: 5 })

    // Another supplier's, one without a name, and another name of the same supplier are others.
    await announced('ASN-1', 1, { supplier: 'Acme', reference: 'ASN-9' })
    await announced('ASN-1', 1, { supplier: 'Bolt & Sons' })
    await announced('ASN-1', 1, { supplier: 'Bolt & Sons' })
    await announced('ASN-1', 1, { supplier: 'Bolt & Sons', reference: 'ASN-10' })
    await inbounds.cancel(first?.id ?? '')
    await expect(announced('ASN-1', 5, { supplier: 'Bolt & Sons', reference: 'ASN-9' })).rejects.toMatchObject({ code: 'already_exists' })
    expect(await at('ASN-1')).toMatchObject({ incoming: 4 })
    expect((await inbounds.list({ reference: 'ASN-9' }).page()).data).toHaveLength(2)
  })

  test('is received once under one key, whichever server hears of it, and in parts that meet each other', async () => {
    await stockUp(stock, { LON: { 'PARTS-1': 0 } })
    const { id } = await announced('PARTS-1', 100)
    const part = (pallet: number) =>
      (pallet % 2 === 0 ? london : paris).stock.inboundShipments.receive(
        id,
        { lines: [{ sku: 'PARTS-1', quantity: 10 }] },
        { idempotencyKey: `pallet-${Math.floor(pallet / 2)}` },
      )
    // Ten pallets, each told by both doors.
    const answers = await Promise.all(Array.from({ length: 20 }, (_, pallet) => part(pallet)))
    expect(answers.filter((answer) => !responseOf(answer).replayed)).toHaveLength(10)
    expect(await inbounds.get(id)).toMatchObject({ status: 'received', version: 11, lines: [{ received: 100, outstanding: 0 }] })
    expect(await at('PARTS-1')).toMatchObject({ onHand: 100, available: 100, incoming: 0 })
  })
})

test('an announcement that cannot be is refused', async () => {
  await stockUp(stock, { LON: { 'BAD-1': 0, 'BAD-2': 0 }, SHUT: {} })
  await stock.locations.deactivate('SHUT')
  await stock.items.archive('BAD-2')
  await expect(announced('NOTHING', 1)).rejects.toMatchObject({ code: 'not_found', errors: [{ param: 'lines[0].sku' }] })
  await expect(announced('BAD-2', 1)).rejects.toMatchObject({ code: 'item_archived', status: 422 })
  await expect(announced('BAD-1', 1, { location: 'SHUT' })).rejects.toMatchObject({ code: 'location_inactive', status: 422 })
  await expect(announced('BAD-1', 1, { location: 'NOWHERE' })).rejects.toMatchObject({ code: 'not_found' })
  await expect(announced('BAD-1', 0)).rejects.toMatchObject({ code: 'invalid_request', errors: [{ param: 'lines[0].quantity' }] })
  for (const supplier of [' ', 'Acme ', '\tAcme'])
    await expect(announced('BAD-1', 1, { supplier })).rejects.toMatchObject({ code: 'invalid_request', errors: [{ param: 'supplier' }] })
  await expect(inbounds.create({ supplier: 'Acme', location: 'LON', lines: [{ sku: 'BAD-1', quantity: 1 }], expectedAt: 'on Tuesday' })).rejects.toMatchObject({
    code: 'invalid_request',
    errors: [{ param: 'expected_at' }],
  })
  expect((await stock.stockLevels.get('BAD-1')).locations).toEqual([])
})

test('an arrival that cannot be is refused, and changes nothing', async () => {
  await stockUp(stock, { LON: { 'LATE-1': 0, 'LATE-2': 0 } })
  const { id } = await announced('LATE-1', 5)
  const wrong = (arrival: object, param: string) =>
    expect(inbounds.receive(id, arrival)).rejects.toMatchObject({ code: 'invalid_request', errors: [{ param }] })
  await wrong({ close: true }, 'lines')
  await wrong({ lines: [] }, 'lines')
  await wrong({ lines: [{ sku: 'LATE-2', quantity: 1 }], acceptExcess: true }, 'lines[0].sku')
  await wrong({ lines: [{ sku: 'LATE-1', quantity: 1, to: 'committed' }] }, 'lines[0].to')
  const none = 'inb_01jd8w2k5v7x9n3q4r6t8y0z1b'
  for (const ask of [inbounds.get, (name: string) => inbounds.receive(name), inbounds.cancel])
    await expect(ask(none)).rejects.toMatchObject({ code: 'not_found', detail: `there is no inbound shipment ${none}` })
  expect(await inbounds.get(id)).toMatchObject({ version: 1, lines: [{ outstanding: 5 }] })

  const dry = { dryRun: true }
  expect(await inbounds.receive(id, {}, dry)).toMatchObject({ status: 'received' })
  expect(await inbounds.cancel(id, dry)).toMatchObject({ status: 'canceled' })
  const tried = await inbounds.create({ supplier: 'Acme', reference: 'dry-1', location: 'LON', lines: [{ sku: 'LATE-1', quantity: 1 }] }, dry)
  await expect(inbounds.get(tried.id)).rejects.toMatchObject({ code: 'not_found' })
  expect(await announced('LATE-1', 1, { reference: 'dry-1' })).toMatchObject({ status: 'announced' })
  expect(await at('LATE-1')).toMatchObject({ incoming: 6, version: 2 })

  await inbounds.receive(id)
  await expect(inbounds.cancel(id)).rejects.toMatchObject({ code: 'invalid_state', detail: `${id} is received, and can no longer be canceled` })
  await expect(inbounds.receive(id, { lines: [{ sku: 'LATE-1', quantity: 1 }] })).rejects.toMatchObject({ code: 'invalid_state' })
})

test('what was on its way when its item was archived is still received', async () => {
  await stockUp(stock, { LON: { 'OUT-1': 0 } })
  const { id } = await announced('OUT-1', 3)
  await stock.items.archive('OUT-1')
  expect(await inbounds.receive(id)).toMatchObject({ status: 'received' })
  expect(await at('OUT-1')).toMatchObject({ onHand: 3 })
})

test('shipments are found by status and by where they come to, and a place that one comes to is not closed', async () => {
  await stockUp(stock, { DOCK: { 'FIND-1': 0 }, LON: {} })
  const [one, two] = [await announced('FIND-1', 1, { location: 'DOCK' }), await announced('FIND-1', 2, { location: 'DOCK' })]
  await announced('FIND-1', 3)
  const found = async (filter: Parameters<typeof inbounds.list>[0]) => (await inbounds.list(filter).page()).data.map(({ id }) => id)
  expect(await found({ location: 'DOCK' })).toEqual([two.id, one.id])
  await expect(stock.locations.deactivate('DOCK')).rejects.toMatchObject({ code: 'location_not_empty' })
  await inbounds.cancel(one.id)
  expect(await found({ location: 'DOCK', status: 'announced' })).toEqual([two.id])
  expect(await found({ location: 'DOCK', status: 'canceled' })).toEqual([one.id])
  await inbounds.cancel(two.id)
  expect(await stock.locations.deactivate('DOCK')).toMatchObject({ status: 'inactive' })
  expect(await found({ location: 'DOCK', status: 'canceled' })).toEqual([two.id, one.id])
})

test('after all of this, the books are right', async () => {
  expect((await verifyBooks(database)).violations).toEqual([])
})
