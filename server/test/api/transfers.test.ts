// Goods that go from one place of ours to another: planned, sent off, on their way, arrived; and never in two places, nor in none.
import { isInsufficientStock, responseOf, type CreateTransfer, type HoldfastError, type Transfer } from '@holdfast/sdk'
import { describe, expect, test } from 'vitest'
import { ownDatabase, startServer, until, verifyBooks, type TestServer } from '../support/server.ts'
import { levelAt, stockUp } from '../support/shop.ts'

const database = await ownDatabase()
const [london, paris] = await Promise.all([startServer(database), startServer(database)])
const { stock } = london

const planned = (sku: string, quantity: number, { from = 'LON', to = 'PAR', ...rest }: Partial<CreateTransfer> = {}): Promise<Transfer> =>
  stock.transfers.create({ from, to, lines: [{ sku, quantity }], ...rest })
const dispatched = async (sku: string, quantity: number): Promise<Transfer> => stock.transfers.dispatch((await planned(sku, quantity)).id)
const at = (sku: string, location: string) => levelAt(stock, sku, location)

describe('a transfer', () => {
  test('moves nothing while it is planned, is on its way once it is dispatched, and arrives in parts', async () => {
    await stockUp(stock, { LON: { 'MOVE-1': 10, 'MOVE-2': 5 }, PAR: {} })
    const transfer = await stock.transfers.create({
      from: 'LON',
      to: 'PAR',
      lines: [
        { sku: 'MOVE-1', quantity: 4 },
        { sku: 'MOVE-2', quantity: 5 },
        { sku: 'MOVE-1', quantity: 2 },
      ],
      reference: 'van-1',
      metadata: { driver: 'Ada' },
    })
    expect(transfer).toMatchObject({ object: 'transfer', status: 'open', version: 1, from: 'LON', to: 'PAR', reference: 'van-1', metadata: { driver: 'Ada' } })
    // Lines of one item are one line.
    expect(transfer.lines).toMatchObject([
      { sku: 'MOVE-1', quantity: 6, outstanding: 0, received: 0, fromLevelVersion: null, toLevelVersion: null },
      { sku: 'MOVE-2', quantity: 5 },
    ])
    expect(transfer).toMatchObject({ dispatchedAt: null, endedAt: null })
    expect(await at('MOVE-1', 'LON')).toMatchObject({ onHand: 10, available: 10, version: 1 })

    const onItsWay = await stock.transfers.dispatch(transfer.id)
    expect(onItsWay).toMatchObject({ status: 'dispatched', version: 2, endedAt: null })
    expect(onItsWay.lines).toMatchObject([
      { sku: 'MOVE-1', outstanding: 6, fromLevelVersion: 2, toLevelVersion: 1 },
      { sku: 'MOVE-2', outstanding: 5 },
    ])
    expect(Date.parse(onItsWay.dispatchedAt ?? '')).toBeGreaterThanOrEqual(Date.parse(transfer.createdAt))
    expect(await at('MOVE-1', 'LON')).toMatchObject({ onHand: 4, available: 4 })
    expect(await at('MOVE-1', 'PAR')).toMatchObject({ onHand: 0, available: 0, incoming: 6, availableToSell: 0 })
    // What is on its way is not sold.
    await expect(stock.holds.place({ lines: [{ sku: 'MOVE-1', quantity: 1, location: 'PAR' }] })).rejects.toMatchObject({
      code: 'insufficient_stock',
      shortages: [{ available: 0, incoming: 6 }],
    })

    const inPart = await stock.transfers.receive(transfer.id, {
      lines: [
        { sku: 'MOVE-1', quantity: 3 },
        { sku: 'MOVE-1', quantity: 1, to: 'damaged' },
      ],
    })
    expect(inPart).toMatchObject({
      status: 'dispatched',
      version: 3,
      endedAt: null,
      lines: [
        { outstanding: 2, received: 4 },
        { outstanding: 5, received: 0 },
      ],
    })
    expect(await at('MOVE-1', 'PAR')).toMatchObject({ onHand: 4, available: 3, damaged: 1, incoming: 2 })

    const received = await stock.transfers.receive(transfer.id)
    expect(received).toMatchObject({ status: 'received', version: 4, lines: [{ outstanding: 0, received: 6, missing: 0 }, { received: 5 }] })
    expect(received.endedAt).not.toBeNull()
    expect(await at('MOVE-1', 'PAR')).toMatchObject({ onHand: 6, available: 5, damaged: 1, incoming: 0 })
    expect(await at('MOVE-2', 'PAR')).toMatchObject({ onHand: 5, available: 5, incoming: 0 })
    expect(await stock.transfers.get(transfer.id)).toEqual(received)

    const entries = await Array.fromAsync(stock.ledgerEntries.list({ document: transfer.id, sku: 'MOVE-1' }))
    expect(entries.map(({ location, from, to, quantity }) => `${quantity} at ${location}: ${from} > ${to}`).toSorted()).toEqual([
      '1 at PAR: incoming > damaged',
      '2 at PAR: incoming > available',
      '3 at PAR: incoming > available',
      '6 at LON: available > transit',
      '6 at PAR: transit > incoming',
    ])
    const { data } = await stock.events.list({ type: ['transfer.created', 'transfer.dispatched', 'transfer.received'] }).page()
    expect(data.filter(({ subject }) => subject.id === transfer.id).map(({ type, subject }) => [type, subject.version])).toEqual([
      ['transfer.received', 4],
      ['transfer.received', 3],
      ['transfer.dispatched', 2],
      ['transfer.created', 1],
    ])
  })

  test('that is closed short writes off what never came; what came too much is taken when that is said', async () => {
    await stockUp(stock, { LON: { 'SHORT-1': 10, 'SHORT-2': 10 }, PAR: {} })
    const { id } = await stock.transfers.create({
      from: 'LON',
      to: 'PAR',
      lines: [
        { sku: 'SHORT-1', quantity: 10 },
        { sku: 'SHORT-2', quantity: 2 },
      ],
    })
    await stock.transfers.dispatch(id)
    const tooMany = { lines: [{ sku: 'SHORT-2', quantity: 3 }] }
    await expect(stock.transfers.receive(id, tooMany)).rejects.toMatchObject({ code: 'quantity_exceeds_remaining', status: 409, remaining: 2 })
    await stock.transfers.receive(id, { lines: [...tooMany.lines, { sku: 'SHORT-1', quantity: 7 }], acceptExcess: true })

    const closed = await stock.transfers.receive(id, { lines: [], close: true })
    expect(closed).toMatchObject({
      status: 'received',
      lines: [
        { sku: 'SHORT-1', quantity: 10, received: 7, missing: 3, excess: 0, outstanding: 0 },
        { sku: 'SHORT-2', quantity: 2, received: 2, missing: 0, excess: 1, outstanding: 0 },
      ],
    })
    expect(await at('SHORT-1', 'PAR')).toMatchObject({ onHand: 7, incoming: 0 })
    expect(await at('SHORT-2', 'PAR')).toMatchObject({ onHand: 3, incoming: 0 })
  })

  test('that is canceled before it leaves moves nothing, and on its way goes home with what has not arrived', async () => {
    await stockUp(stock, { LON: { 'HOME-1': 10 }, PAR: {} })
    const plan = await planned('HOME-1', 10)
    expect(await stock.transfers.cancel(plan.id)).toMatchObject({ status: 'canceled', version: 2, lines: [{ withdrawn: 0, outstanding: 0 }] })
    expect(await at('HOME-1', 'LON')).toMatchObject({ available: 10, version: 1 })

    const { id } = await dispatched('HOME-1', 10)
    await stock.transfers.receive(id, { lines: [{ sku: 'HOME-1', quantity: 4 }] })
    const canceled = await stock.transfers.cancel(id)
    expect(canceled).toMatchObject({ status: 'canceled', lines: [{ quantity: 10, received: 4, withdrawn: 6, outstanding: 0 }] })
    expect(await at('HOME-1', 'LON')).toMatchObject({ onHand: 6, available: 6 })
    expect(await at('HOME-1', 'PAR')).toMatchObject({ onHand: 4, available: 4, incoming: 0 })
  })

  test('leaves whole or not at all, and takes nothing that is promised', async () => {
    await stockUp(stock, { LON: { 'WHOLE-1': 10, 'WHOLE-2': 3 }, PAR: {} }, { items: { 'WHOLE-1': { safetyStock: 4 } } })
    const hold = await stock.holds.place({ lines: [{ sku: 'WHOLE-1', quantity: 2, location: 'LON' }] })
    const { id } = await stock.transfers.create({
      from: 'LON',
      to: 'PAR',
      lines: [
        { sku: 'WHOLE-1', quantity: 9 },
        { sku: 'WHOLE-2', quantity: 3 },
      ],
    })
    await expect(stock.transfers.dispatch(id)).rejects.toMatchObject({
      code: 'insufficient_stock',
      retryable: true,
      shortages: [{ sku: 'WHOLE-1', location: 'LON', requested: 9, available: 8, held: 2, nextExpiryAt: hold.expiresAt }],
    })
    expect(await at('WHOLE-2', 'LON')).toMatchObject({ available: 3, version: 1 })
    expect(await stock.transfers.get(id)).toMatchObject({ status: 'open', version: 1 })
    // When the buyer goes away there is enough. What is kept back from sale is not kept back from the van.
    await stock.holds.release(hold.id)
    expect(await stock.transfers.dispatch(id)).toMatchObject({ status: 'dispatched' })
    expect(await at('WHOLE-1', 'LON')).toMatchObject({ onHand: 1, availableToSell: 0 })
  })

  test('waits for no hold whose time is up', async () => {
    await stockUp(stock, { LON: { 'DUE-1': 5 }, PAR: {} })
    const hold = await stock.holds.place({ lines: [{ sku: 'DUE-1', quantity: 5, location: 'LON' }], ttlSeconds: 1 })
    const { id } = await planned('DUE-1', 5)
    let sent: Transfer | undefined
    await until('the transfer leaves', async () => {
      sent = await stock.transfers.dispatch(id).catch((error: unknown) => {
        if (!isInsufficientStock(error)) throw error
        return undefined
      })
      return sent !== undefined
    })
    expect(Date.parse(sent?.dispatchedAt ?? '')).toBeGreaterThanOrEqual(Date.parse(hold.expiresAt))
    expect(await stock.holds.get(hold.id)).toMatchObject({ status: 'expired' })
  })
})

describe('refused is', () => {
  const none = 'tran_01jd8w2k5v7x9n3q4r6t8y0z1b'

  test('a plan that cannot be', async () => {
    await stockUp(stock, { LON: { 'PLAN-1': 10 }, PAR: {}, SHUT: {} })
    await stock.locations.deactivate('SHUT')
    await expect(planned('PLAN-1', 1, { to: 'LON' })).rejects.toMatchObject({ code: 'invalid_request', errors: [{ param: 'to' }] })
    await expect(planned('PLAN-1', 1, { to: 'NOWHERE' })).rejects.toMatchObject({ code: 'not_found' })
    await expect(planned('PLAN-1', 1, { to: 'SHUT' })).rejects.toMatchObject({ code: 'location_inactive', status: 422 })
    await expect(planned('PLAN-1', 1, { from: 'SHUT' })).rejects.toMatchObject({ code: 'location_inactive' })
    await expect(planned('NOTHING', 1)).rejects.toMatchObject({ code: 'not_found', errors: [{ param: 'lines[0].sku' }] })
    await expect(planned('PLAN-1', 0)).rejects.toMatchObject({ code: 'invalid_request', errors: [{ param: 'lines[0].quantity' }] })
    await expect(stock.transfers.create({ from: 'LON', to: 'PAR', lines: [] })).rejects.toMatchObject({ code: 'invalid_request' })
    const tooLong = Array.from({ length: 2_001 }, () => ({ sku: 'PLAN-1', quantity: 1 }))
    await expect(stock.transfers.create({ from: 'LON', to: 'PAR', lines: tooLong })).rejects.toMatchObject({ code: 'invalid_request', status: 400 })
  })

  test('a step that is not its turn, and an arrival that cannot be', async () => {
    await stockUp(stock, { LON: { 'STEP-1': 10, 'STEP-2': 1 }, PAR: {} })
    const { id } = await planned('STEP-1', 5)
    const state = { code: 'invalid_state', status: 409, retryable: false }
    await expect(stock.transfers.receive(id)).rejects.toMatchObject({ ...state, detail: `${id} is still open, and cannot be received before it is dispatched` })
    await stock.transfers.dispatch(id)

    const wrong = (arrival: object, more: object) => expect(stock.transfers.receive(id, arrival)).rejects.toMatchObject({ code: 'invalid_request', ...more })
    // "Nothing more will come" is not "all of it came": who closes says what has come.
    await wrong({ close: true }, { errors: [{ param: 'lines' }] })
    await wrong({ lines: [] }, { errors: [{ param: 'lines' }] })
    await wrong({ lines: [{ sku: 'STEP-2', quantity: 1 }], acceptExcess: true }, { errors: [{ param: 'lines[0].sku' }] })
    await wrong({ lines: [{ sku: 'STEP-1', quantity: 1, to: 'held' }] }, { errors: [{ param: 'lines[0].to' }] })
    await wrong({ lines: [{ sku: 'STEP-1', quantity: 0 }] }, { errors: [{ param: 'lines[0].quantity' }] })
    await expect(stock.transfers.receive(id, { lines: [{ sku: 'NOTHING', quantity: 1 }] })).rejects.toMatchObject({ code: 'not_found' })
    expect(await stock.transfers.get(id)).toMatchObject({ version: 2, lines: [{ outstanding: 5 }] })

    const received = await stock.transfers.receive(id)
    await expect(stock.transfers.cancel(id)).rejects.toMatchObject({ ...state, detail: `${id} is received, and can no longer be canceled` })
    await expect(stock.transfers.dispatch(id)).rejects.toMatchObject(state)
    await expect(stock.transfers.receive(id, { lines: [{ sku: 'STEP-1', quantity: 1 }] })).rejects.toMatchObject({
      ...state,
      detail: `${id} is received already`,
    })
    const gone = await stock.transfers.cancel((await planned('STEP-1', 1)).id)
    await expect(stock.transfers.dispatch(gone.id)).rejects.toMatchObject({ ...state, detail: `${gone.id} is canceled, and can no longer be dispatched` })
    await expect(stock.transfers.receive(gone.id)).rejects.toMatchObject(state)
    // To ask for what is so already is no mistake.
    expect(await stock.transfers.receive(id)).toEqual(received)
    expect(await stock.transfers.cancel(gone.id)).toEqual(gone)
  })

  test('what is not there, or is something else', async () => {
    const { transfers, inboundShipments } = stock
    for (const ask of [transfers.get, transfers.dispatch, (id: string) => transfers.receive(id), transfers.cancel])
      await expect(ask(none)).rejects.toMatchObject({ code: 'not_found', status: 404, detail: `there is no transfer ${none}` })
    await stockUp(stock, { LON: { 'ELSE-1': 1 } })
    const inbound = await inboundShipments.create({ supplier: 'Acme', location: 'LON', lines: [{ sku: 'ELSE-1', quantity: 1 }] })
    // The same letters under another prefix name nothing.
    const disguised = inbound.id.replace(/^inb_/, 'tran_')
    await expect(transfers.get(disguised)).rejects.toMatchObject({ code: 'not_found' })
    await expect(transfers.cancel(disguised)).rejects.toMatchObject({ code: 'not_found' })
    await expect(transfers.get(inbound.id)).rejects.toMatchObject({ code: 'invalid_request' })
    expect(await inboundShipments.get(inbound.id)).toEqual(inbound)
  })

  test('a departure to a place that was closed meanwhile; a place that something is on its way to is not closed', async () => {
    await stockUp(stock, { LON: { 'CLOSE-1': 10 }, CLOSE: {} })
    const late = await planned('CLOSE-1', 1, { to: 'CLOSE' })
    const early = await stock.transfers.dispatch((await planned('CLOSE-1', 2, { to: 'CLOSE' })).id)
    await expect(stock.locations.deactivate('CLOSE')).rejects.toMatchObject({ code: 'location_not_empty', status: 409 })
    await stock.transfers.cancel(early.id)
    await stock.locations.deactivate('CLOSE')
    await expect(stock.transfers.dispatch(late.id)).rejects.toMatchObject({ code: 'location_inactive', status: 422 })
    expect(await at('CLOSE-1', 'LON')).toMatchObject({ available: 10 })
    expect(await stock.transfers.cancel(late.id)).toMatchObject({ status: 'canceled' })
  })
})

test('what is archived can still leave a place that is to be closed, and arrive', async () => {
  await stockUp(stock, { OLD: { 'GONE-1': 3 }, PAR: {} })
  await stock.items.archive('GONE-1')
  const { id } = await planned('GONE-1', 3, { from: 'OLD' })
  await stock.transfers.dispatch(id)
  expect(await stock.transfers.receive(id)).toMatchObject({ status: 'received' })
  expect(await stock.locations.deactivate('OLD')).toMatchObject({ status: 'inactive' })
})

test('what is only tried out changes nothing', async () => {
  await stockUp(stock, { LON: { 'TRY-1': 10 }, PAR: {} })
  const dry = { dryRun: true }
  const [plan, sent] = [await planned('TRY-1', 2), await dispatched('TRY-1', 3)]
  const all = async () => [await stock.stockLevels.get('TRY-1'), await stock.transfers.get(plan.id), await stock.transfers.get(sent.id)]
  const before = await all()
  const tried = await stock.transfers.create({ from: 'LON', to: 'PAR', lines: [{ sku: 'TRY-1', quantity: 1 }] }, dry)
  expect(tried).toMatchObject({ status: 'open', version: 1 })
  await expect(stock.transfers.get(tried.id)).rejects.toMatchObject({ code: 'not_found' })
  expect(await stock.transfers.dispatch(plan.id, dry)).toMatchObject({ status: 'dispatched', version: 2 })
  expect(await stock.transfers.receive(sent.id, {}, dry)).toMatchObject({ status: 'received' })
  expect(await stock.transfers.cancel(sent.id, dry)).toMatchObject({ status: 'canceled', lines: [{ withdrawn: 3 }] })
  expect(await all()).toEqual(before)
})

describe('two servers', () => {
  test('send it off once, whichever of them is asked, and how often', async () => {
    await stockUp(stock, { LON: { 'ONCE-1': 10 }, PAR: {} })
    const { id } = await planned('ONCE-1', 6)
    const answers = await Promise.all([london, paris, london, paris].map((server) => server.stock.transfers.dispatch(id, { idempotencyKey: 'van-1-leaves' })))
    for (const answer of answers) expect(answer).toEqual(answers[0])
    expect(answers.filter((answer) => !responseOf(answer).replayed)).toHaveLength(1)
    // The same wish under other keys: it is so already.
    expect(await paris.stock.transfers.dispatch(id)).toEqual(answers[0])
    expect(await at('ONCE-1', 'LON')).toMatchObject({ available: 4, version: 2 })

    // A part that arrives is told once, however often it is sent.
    const part = { lines: [{ sku: 'ONCE-1', quantity: 2 }] }
    const first = await london.stock.transfers.receive(id, part, { idempotencyKey: 'pallet-1' })
    const again = await paris.stock.transfers.receive(id, part, { idempotencyKey: 'pallet-1' })
    expect(again).toEqual(first)
    expect(responseOf(again).replayed).toBe(true)
    expect(await at('ONCE-1', 'PAR')).toMatchObject({ onHand: 2, incoming: 4 })
    await expect(paris.stock.transfers.cancel(id, { idempotencyKey: 'pallet-1' })).rejects.toMatchObject({ code: 'idempotency_key_reused', status: 422 })
  })

  test('know a place that the other has just made', async () => {
    for (let round = 0; round < 5; round += 1) {
      await stockUp(stock, { LON: { 'NEW-1': 1 }, [`NEW-${round}`]: {} })
      const { id } = await planned('NEW-1', 1, { to: `NEW-${round}` })
      expect(await paris.stock.transfers.dispatch(id)).toMatchObject({ status: 'dispatched', to: `NEW-${round}` })
    }
  })

  test('keep back from sale at a new place what the item wants kept back, also when they have not met the item before', async () => {
    await stockUp(stock, { LON: { 'KEEP-1': 10 }, PAR: {} }, { items: { 'KEEP-1': { safetyStock: 4, reorderPoint: 5 } } })
    const { id } = await planned('KEEP-1', 6)
    const fresh = await startServer(database)
    await fresh.stock.transfers.dispatch(id)
    await fresh.stop()
    await stock.transfers.receive(id)
    expect(await at('KEEP-1', 'PAR')).toMatchObject({ available: 6, safetyStock: 4, availableToSell: 2 })
    const { data } = await stock.stockLevels.list({ location: 'PAR', sku: 'KEEP-1', low: true }).page()
    expect(data).toHaveLength(1)
  })
})

test('transfers are found by status, by either of their places and by their reference', async () => {
  await stockUp(stock, { FROM: { 'FIND-1': 10 }, TO: {}, ASIDE: {} })
  const make = (to: string, reference: string) => planned('FIND-1', 1, { from: 'FROM', to, reference })
  const [open, sent, aside] = [await make('TO', 'find-1'), await make('TO', 'find-2'), await make('ASIDE', 'find-1')]
  await stock.transfers.dispatch(sent.id)
  const found = async (filter: Parameters<typeof stock.transfers.list>[0]) => (await stock.transfers.list(filter).page()).data.map(({ id }) => id)
  expect(await found({ location: 'FROM' })).toEqual([aside.id, sent.id, open.id])
  expect(await found({ location: 'TO' })).toEqual([sent.id, open.id])
  expect(await found({ location: 'FROM', status: 'open' })).toEqual([aside.id, open.id])
  expect(await found({ location: 'TO', status: 'received' })).toEqual([])
  expect(await found({ reference: 'find-1' })).toEqual([aside.id, open.id])
  expect(await found({ location: 'FROM', startingAfter: aside.id, limit: 1 })).toEqual([sent.id])
  await expect(found({ location: 'NOWHERE' })).rejects.toMatchObject({ code: 'not_found' })
  await expect(found({ startingAfter: 'inb_01jd8w2k5v7x9n3q4r6t8y0z1b' })).rejects.toMatchObject({ code: 'invalid_request' })
})

test('32 vans go to and fro with the same items on two servers: none waits for another in a ring, and no unit is lost', { timeout: 60_000 }, async () => {
  const units = 200
  await stockUp(stock, { NORTH: { 'RING-1': units, 'RING-2': units }, SOUTH: { 'RING-1': units, 'RING-2': units } })
  const lines = [
    { sku: 'RING-1', quantity: 2 },
    { sku: 'RING-2', quantity: 3 },
  ]
  let arrived = 0
  const drive = async (van: number) => {
    const [from, to] = van % 2 === 0 ? ['NORTH', 'SOUTH'] : ['SOUTH', 'NORTH']
    for (let trip = 0; trip < 6; trip += 1) {
      const server: TestServer = (van + trip) % 3 === 0 ? london : paris
      const other = server === london ? paris : london
      const { id } = await server.stock.transfers.create({ from, to, lines: trip % 2 === 0 ? lines : lines.toReversed() })
      await other.stock.transfers.dispatch(id)
      if (trip % 3 === 2) await server.stock.transfers.cancel(id)
      else
        await server.stock.transfers.receive(
          id,
          trip % 2 === 0
            ? {}
            : {
                lines: [
                  { sku: 'RING-2', quantity: 3 },
                  { sku: 'RING-1', quantity: 2 },
                ],
              },
        )
      arrived += 1
    }
  }
  await Promise.all(Array.from({ length: 32 }, (_, van) => drive(van)))
  expect(arrived).toBe(32 * 6)
  for (const sku of ['RING-1', 'RING-2']) {
    const { total, locations } = await stock.stockLevels.get(sku)
    expect(total).toMatchObject({ onHand: 2 * units, available: 2 * units, incoming: 0 })
    // As many went one way as the other.
    expect(locations.map(({ onHand }) => onHand)).toEqual([units, units])
  }
})

test('of 24 vans that want the last units, as many leave as there are units for', async () => {
  await stockUp(stock, { LAST: { 'LAST-1': 50 }, PAR: {} })
  const plans = await Promise.all(Array.from({ length: 24 }, () => planned('LAST-1', 7, { from: 'LAST' })))
  const sent = await Promise.allSettled(plans.map(({ id }, index) => (index % 2 === 0 ? london : paris).stock.transfers.dispatch(id)))
  expect(sent.filter(({ status }) => status === 'fulfilled')).toHaveLength(7)
  for (const one of sent) if (one.status === 'rejected') expect(one.reason).toMatchObject({ code: 'insufficient_stock' } satisfies Partial<HoldfastError>)
  expect(await at('LAST-1', 'LAST')).toMatchObject({ onHand: 1, available: 1 })
  expect(await at('LAST-1', 'PAR')).toMatchObject({ incoming: 49 })
})

test('after all of this, the books are right', async () => {
  expect((await verifyBooks(database)).violations).toEqual([])
})
