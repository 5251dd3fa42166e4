// A shop's day through the front door: hold while the buyer pays, execute, ship, take back; and what becomes of a hold otherwise.
import { responseOf, type Hold } from '@holdfast/sdk'
import { describe, expect, test } from 'vitest'
import { ownDatabase, startServer, until, verifyBooks } from '../support/server.ts'
import { levelAt, stockUp } from '../support/shop.ts'

const database = await ownDatabase()
let server = await startServer(database)
const stock = () => server.stock

describe('a buyer', () => {
  test('holds, pays, is shipped and brings one back, and a restart in between loses nothing', async () => {
    await stockUp(stock(), { LON: { 'TEA-1': 10 } })

    const hold = await stock().holds.place({ lines: [{ sku: 'TEA-1', quantity: 3, location: 'LON' }] }, { idempotencyKey: 'cart-1' })
    expect(hold).toMatchObject({ object: 'hold', status: 'active', version: 1, endedAt: null, shortages: [], mode: 'all_or_nothing' })
    expect(hold.lines).toEqual([expect.objectContaining({ sku: 'TEA-1', quantity: 3, held: 3, committed: 0, shipped: 0, released: 0, returned: 0 })])
    expect(hold.lines[0]?.allocations).toEqual([{ location: 'LON', quantity: 3, held: 3, committed: 0, shipped: 0, released: 0, levelVersion: 2 }])
    expect(await levelAt(stock(), 'TEA-1', 'LON')).toMatchObject({ onHand: 10, available: 7, held: 3, committed: 0, availableToSell: 7, version: 2 })

    const executed = await stock().holds.execute(hold.id)
    expect(executed).toMatchObject({ status: 'executed', version: 2, lines: [{ held: 0, committed: 3 }] })
    expect(await levelAt(stock(), 'TEA-1', 'LON')).toMatchObject({ onHand: 10, available: 7, held: 0, committed: 3, version: 3 })

    await server.stop()
    server = await startServer(database)
    expect(await stock().holds.get(hold.id)).toEqual(executed)
    expect(await levelAt(stock(), 'TEA-1', 'LON')).toMatchObject({ onHand: 10, available: 7, committed: 3, version: 3 })
    // The key of before the restart still stands for the same hold.
    const again = await stock().holds.place({ lines: [{ sku: 'TEA-1', quantity: 3, location: 'LON' }] }, { idempotencyKey: 'cart-1' })
    expect(again).toEqual(hold)
    expect(responseOf(again).replayed).toBe(true)

    const shipment = await stock().shipments.create({ hold: hold.id, lines: [{ sku: 'TEA-1', quantity: 2 }] })
    expect(shipment.lines).toEqual([{ sku: 'TEA-1', quantity: 2, allocations: [{ location: 'LON', quantity: 2, levelVersion: 4 }] }])
    expect(await levelAt(stock(), 'TEA-1', 'LON')).toMatchObject({ onHand: 8, available: 7, committed: 1 })
    await stock().shipments.create({ hold: hold.id })
    expect(await stock().holds.get(hold.id)).toMatchObject({ status: 'executed', lines: [{ committed: 0, shipped: 3 }] })
    expect(await levelAt(stock(), 'TEA-1', 'LON')).toMatchObject({ onHand: 7, available: 7, committed: 0 })

    const returned = await stock().returns.create({ hold: hold.id, location: 'LON', lines: [{ sku: 'TEA-1', quantity: 1, to: 'quality_control' }] })
    expect(returned).toMatchObject({ object: 'return', hold: hold.id, lines: [{ sku: 'TEA-1', quantity: 1, to: 'quality_control' }] })
    expect(await stock().holds.get(hold.id)).toMatchObject({ lines: [{ shipped: 3, returned: 1 }] })
    expect(await levelAt(stock(), 'TEA-1', 'LON')).toMatchObject({ onHand: 8, available: 7, qualityControl: 1 })
    await stock().adjustments.create({ location: 'LON', lines: [{ sku: 'TEA-1', quantity: 1, from: 'quality_control', to: 'available' }], reason: 'quality' })
    expect(await levelAt(stock(), 'TEA-1', 'LON')).toMatchObject({ onHand: 8, available: 8, qualityControl: 0 })
  })

  test('cannot ship more than was executed, nor bring back more than was shipped', async () => {
    await stockUp(stock(), { LON: { 'CUP-1': 5 } })
    const hold = await stock().holds.place({ lines: [{ sku: 'CUP-1', quantity: 2, location: 'LON' }] })
    await expect(stock().shipments.create({ hold: hold.id })).rejects.toMatchObject({ code: 'quantity_exceeds_remaining', status: 409, remaining: 0 })
    await stock().holds.execute(hold.id)
    await expect(stock().shipments.create({ hold: hold.id, lines: [{ sku: 'CUP-1', quantity: 3 }] })).rejects.toMatchObject({
      code: 'quantity_exceeds_remaining',
      remaining: 2,
    })
    await stock().shipments.create({ hold: hold.id, lines: [{ sku: 'CUP-1', quantity: 1 }] })
    const tooMany = { hold: hold.id, location: 'LON', lines: [{ sku: 'CUP-1', quantity: 2 }] }
    await expect(stock().returns.create(tooMany)).rejects.toMatchObject({ code: 'quantity_exceeds_remaining', remaining: 1 })
    expect(await levelAt(stock(), 'CUP-1', 'LON')).toMatchObject({ onHand: 4, available: 3, committed: 1 })
  })

  test('who is short hears of each line what was asked, what there is, and when more may come', async () => {
    await stockUp(stock(), { LON: { 'POT-1': 4, 'POT-2': 9 } })
    const other = await stock().holds.place({ lines: [{ sku: 'POT-1', quantity: 3, location: 'LON' }], ttlSeconds: 600 })
    const wanted = {
      lines: [
        { sku: 'POT-1', quantity: 2, location: 'LON' },
        { sku: 'POT-2', quantity: 9, location: 'LON' },
        { sku: 'POT-2', quantity: 1, location: 'LON' },
      ],
    }
    await expect(stock().holds.place(wanted)).rejects.toMatchObject({
      code: 'insufficient_stock',
      status: 409,
      retryable: true,
      outcome: 'refused',
      shortages: [
        { sku: 'POT-1', location: 'LON', requested: 2, available: 1, held: 3, incoming: 0, nextExpiryAt: other.expiresAt, levelVersion: 2 },
        // Lines of one item are one wish.
        { sku: 'POT-2', location: 'LON', requested: 10, available: 9, held: 0, incoming: 0, nextExpiryAt: null, levelVersion: 1 },
      ],
    })
    expect(await levelAt(stock(), 'POT-2', 'LON')).toMatchObject({ available: 9, held: 0, version: 1 })
  })
})

describe('a hold', () => {
  const placed = async (sku: string, { of = 10, quantity = 4, ttlSeconds = 600 } = {}): Promise<Hold> => {
    await stockUp(stock(), { LON: { [sku]: of } })
    return stock().holds.place({ lines: [{ sku, quantity, location: 'LON' }], ttlSeconds })
  }
  const level = (sku: string) => levelAt(stock(), sku, 'LON')

  test('that is executed in part gives the rest back, unless more is to come', async () => {
    const whole = await placed('PART-1')
    expect(await stock().holds.execute(whole.id, { lines: [{ sku: 'PART-1', quantity: 3 }] })).toMatchObject({
      status: 'executed',
      lines: [{ quantity: 4, held: 0, committed: 3, released: 1 }],
    })
    expect(await level('PART-1')).toMatchObject({ available: 7, held: 0, committed: 3 })

    const inParts = await placed('PART-2')
    const lines = [{ sku: 'PART-2', quantity: 1 }]
    expect(await stock().holds.execute(inParts.id, { lines, final: false })).toMatchObject({
      status: 'active',
      lines: [{ held: 3, committed: 1, released: 0 }],
    })
    expect(await level('PART-2')).toMatchObject({ available: 6, held: 3, committed: 1 })
    await expect(stock().holds.execute(inParts.id, { lines: [{ sku: 'PART-2', quantity: 4 }] })).rejects.toMatchObject({
      code: 'quantity_exceeds_remaining',
      remaining: 3,
    })
    expect(await stock().holds.execute(inParts.id, { lines })).toMatchObject({ status: 'executed', lines: [{ held: 0, committed: 2, released: 2 }] })
    expect(await level('PART-2')).toMatchObject({ available: 8, held: 0, committed: 2 })
  })

  test('at best effort takes what there is and says what it could not; all or nothing takes nothing', async () => {
    await stockUp(stock(), { LON: { 'BEST-1': 2, 'BEST-2': 5 } })
    const lines = [
      { sku: 'BEST-1', quantity: 6, location: 'LON' },
      { sku: 'BEST-2', quantity: 1, location: 'LON' },
    ]
    await expect(stock().holds.place({ lines })).rejects.toMatchObject({ code: 'insufficient_stock' })
    expect(await level('BEST-2')).toMatchObject({ available: 5, held: 0 })

    const hold = await stock().holds.place({ lines, mode: 'best_effort' })
    expect(hold).toMatchObject({
      mode: 'best_effort',
      lines: [
        { sku: 'BEST-1', quantity: 2, held: 2 },
        { sku: 'BEST-2', quantity: 1, held: 1 },
      ],
    })
    expect(hold.shortages).toMatchObject([{ sku: 'BEST-1', location: 'LON', requested: 6, available: 2, levelVersion: 1 }])
    // There is nothing left to take: even the best effort is refused.
    await expect(stock().holds.place({ lines: [{ sku: 'BEST-1', quantity: 1, location: 'LON' }], mode: 'best_effort' })).rejects.toMatchObject({
      code: 'insufficient_stock',
    })
  })

  test('lives longer when it is extended, never shorter, and not beyond what is allowed', async () => {
    const hold = await placed('LONG-1', { ttlSeconds: 60 })
    const extended = await stock().holds.extend(hold.id, { ttlSeconds: 3_600 })
    expect(Date.parse(extended.expiresAt) - Date.parse(hold.expiresAt)).toBeGreaterThan(3_500_000)
    expect((await stock().holds.extend(hold.id, { ttlSeconds: 1 })).expiresAt).toBe(extended.expiresAt)
    await expect(stock().holds.extend(hold.id, { ttlSeconds: 30 * 86_400 })).rejects.toMatchObject({ code: 'ttl_out_of_range', status: 422 })
    await expect(stock().holds.place({ lines: [{ sku: 'LONG-1', quantity: 1, location: 'LON' }], ttlSeconds: 30 * 86_400 })).rejects.toMatchObject({
      code: 'ttl_out_of_range',
    })
    expect(await stock().holds.get(hold.id)).toEqual(extended)
  })

  test('that is canceled gives back what was executed but not shipped', async () => {
    const hold = await placed('CANCEL-1')
    await stock().holds.execute(hold.id)
    await stock().shipments.create({ hold: hold.id, lines: [{ sku: 'CANCEL-1', quantity: 1 }] })
    const canceled = await stock().holds.cancel(hold.id)
    expect(canceled).toMatchObject({ status: 'canceled', lines: [{ quantity: 4, held: 0, committed: 0, shipped: 1, released: 3 }] })
    expect(await level('CANCEL-1')).toMatchObject({ onHand: 9, available: 9, held: 0, committed: 0 })

    expect(await stock().holds.cancel(hold.id)).toEqual(canceled)
    await expect(stock().holds.execute(hold.id)).rejects.toMatchObject({ code: 'hold_already_released', status: 409 })
    await expect(stock().shipments.create({ hold: hold.id })).rejects.toMatchObject({ code: 'quantity_exceeds_remaining' })
    expect(await level('CANCEL-1')).toMatchObject({ available: 9, version: 5 })
  })

  test('gives its stock back exactly once, and asking again for what is so is no mistake', async () => {
    const hold = await placed('ONCE-1')
    const released = await stock().holds.release(hold.id)
    expect(released).toMatchObject({ status: 'released', lines: [{ held: 0, released: 4 }] })
    expect(await stock().holds.release(hold.id)).toEqual(released)
    await expect(stock().holds.execute(hold.id)).rejects.toMatchObject({ code: 'hold_already_released' })
    await expect(stock().holds.extend(hold.id, { ttlSeconds: 900 })).rejects.toMatchObject({ code: 'hold_already_released' })
    expect(await level('ONCE-1')).toMatchObject({ available: 10, held: 0, version: 3 })

    const kept = await stock().holds.place({ lines: [{ sku: 'ONCE-1', quantity: 1, location: 'LON' }] })
    const executed = await stock().holds.execute(kept.id)
    expect(await stock().holds.execute(kept.id)).toEqual(executed)
    await expect(stock().holds.release(kept.id)).rejects.toMatchObject({ code: 'hold_already_executed' })
    await expect(stock().holds.extend(kept.id, { ttlSeconds: 900 })).rejects.toMatchObject({ code: 'hold_already_executed' })
    expect(await level('ONCE-1')).toMatchObject({ available: 9, committed: 1, version: 5 })
  })

  test('whose time is up gives its stock back by itself, and a late buyer is refused', async () => {
    const hold = await placed('LATE-1', { of: 4, quantity: 4, ttlSeconds: 1 })
    expect(Date.parse(hold.expiresAt) - Date.parse(hold.createdAt)).toBe(1_000)
    expect(await level('LATE-1')).toMatchObject({ available: 0, held: 4 })
    await until('the hold has expired and its stock is available', async () => (await level('LATE-1')).available === 4)

    const expired = await stock().holds.get(hold.id)
    expect(expired).toMatchObject({ status: 'expired', lines: [{ held: 0, released: 4 }] })
    expect(Date.parse(expired.endedAt ?? '')).toBeGreaterThanOrEqual(Date.parse(hold.expiresAt))
    const tooLate = { code: 'hold_expired', status: 409, retryable: false }
    await expect(stock().holds.execute(hold.id)).rejects.toMatchObject(tooLate)
    await expect(stock().holds.release(hold.id)).rejects.toMatchObject(tooLate)
    await expect(stock().holds.extend(hold.id, { ttlSeconds: 900 })).rejects.toMatchObject(tooLate)
    await expect(stock().holds.cancel(hold.id)).rejects.toMatchObject(tooLate)
    await expect(stock().shipments.create({ hold: hold.id })).rejects.toMatchObject({ code: 'quantity_exceeds_remaining' })
    expect(await level('LATE-1')).toMatchObject({ available: 4, held: 0, version: 3 })
  })

  test('whose time is up is not in the way of the next buyer, and is so not a moment earlier', async () => {
    const hold = await placed('NEXT-1', { of: 1, quantity: 1, ttlSeconds: 1 })
    let next: Hold | undefined
    await until('the next buyer gets the unit', async () => {
      next = await stock()
        .holds.place({ lines: [{ sku: 'NEXT-1', quantity: 1, location: 'LON' }] })
        .catch((error: unknown) => {
          expect(error).toMatchObject({ code: 'insufficient_stock', shortages: [{ available: 0, held: 1, levelVersion: 2 }] })
          return undefined
        })
      return next !== undefined
    })
    // Both times are the database's.
    expect(Date.parse(next?.createdAt ?? '')).toBeGreaterThanOrEqual(Date.parse(hold.expiresAt))
    expect(await stock().holds.get(hold.id)).toMatchObject({ status: 'expired' })
    await expect(stock().holds.execute(hold.id)).rejects.toMatchObject({ code: 'hold_expired' })
  })
})

describe('a line that names no location', () => {
  test('is taken from where the strategy says, as the availability check has planned it', async () => {
    await stockUp(
      stock(),
      { OSL: { 'SRC-1': 2, 'SRC-2': 9 }, ROM: { 'SRC-1': 5, 'SRC-2': 1 }, NYC: { 'SRC-1': 4, 'SRC-2': 4 } },
      {
        locations: {
          OSL: { priority: 1, latitude: 59.9, longitude: 10.7 },
          ROM: { priority: 2, latitude: 41.9, longitude: 12.5 },
          NYC: { priority: 3, latitude: 40.7, longitude: -74 },
        },
      },
    )
    const inBoston = { latitude: 42.4, longitude: -71.1 }
    const places = async (sourcing: object) => {
      const wanted = {
        lines: [
          { sku: 'SRC-1', quantity: 4 },
          { sku: 'SRC-2', quantity: 3 },
        ],
        ...sourcing,
      }
      const { fulfillable, plan } = await stock().availability.check(wanted)
      expect(fulfillable).toBe(true)
      const hold = await stock().holds.place(wanted)
      const taken = hold.lines.map(({ sku, allocations }) => ({ sku, allocations: allocations.map(({ location, quantity }) => ({ location, quantity })) }))
      expect(plan?.map(({ sku, allocations }) => ({ sku, allocations }))).toEqual(taken)
      await stock().holds.release(hold.id)
      return Object.fromEntries(taken.map(({ sku, allocations }) => [sku, allocations.map(({ location, quantity }) => `${quantity} ${location}`).join(' + ')]))
    }
    expect(await places({})).toEqual({ 'SRC-1': '2 OSL + 2 ROM', 'SRC-2': '3 OSL' })
    expect(await places({ strategy: 'priority' })).toEqual({ 'SRC-1': '2 OSL + 2 ROM', 'SRC-2': '3 OSL' })
    expect(await places({ strategy: 'most_stock' })).toEqual({ 'SRC-1': '4 ROM', 'SRC-2': '3 OSL' })
    expect(await places({ strategy: 'nearest', destination: inBoston })).toEqual({ 'SRC-1': '4 NYC', 'SRC-2': '3 NYC' })
    expect(await places({ strategy: 'fewest_splits' })).toEqual({ 'SRC-1': '4 NYC', 'SRC-2': '3 NYC' })

    const tooMuch = { lines: [{ sku: 'SRC-1', quantity: 12 }] }
    expect(await stock().availability.check(tooMuch)).toMatchObject({ fulfillable: false, plan: [{ sku: 'SRC-1', quantity: 12, missing: 1 }] })
    await expect(stock().holds.place(tooMuch)).rejects.toMatchObject({
      shortages: [{ sku: 'SRC-1', location: null, requested: 12, available: 11, levelVersion: null }],
    })
  })

  test('is not taken from a place that was closed; a place with stock cannot be closed', async () => {
    await stockUp(stock(), { SHUT: { 'SHUT-1': 1 }, OPEN: { 'SHUT-1': 1 } }, { locations: { SHUT: { priority: 0 } } })
    await expect(stock().locations.deactivate('SHUT')).rejects.toMatchObject({ code: 'location_not_empty', status: 409 })
    await stock().adjustments.create({ location: 'SHUT', lines: [{ sku: 'SHUT-1', delta: -1 }], reason: 'lost' })
    await stock().locations.deactivate('SHUT')
    await expect(stock().receipts.create({ location: 'SHUT', lines: [{ sku: 'SHUT-1', quantity: 1 }] })).rejects.toMatchObject({
      code: 'location_inactive',
      status: 422,
    })
    await expect(stock().holds.place({ lines: [{ sku: 'SHUT-1', quantity: 1, location: 'SHUT' }] })).rejects.toMatchObject({ code: 'location_inactive' })
    expect(await stock().holds.place({ lines: [{ sku: 'SHUT-1', quantity: 1 }] })).toMatchObject({ lines: [{ allocations: [{ location: 'OPEN' }] }] })
  })
})

test('what is kept back as safety stock is not sold, and an archived item neither sold nor received', async () => {
  await stockUp(stock(), { LON: { 'SAFE-1': 5 } }, { items: { 'SAFE-1': { safetyStock: 2 } } })
  expect(await stock().availability.get('SAFE-1')).toMatchObject({ availableToSell: 3 })
  await expect(stock().holds.place({ lines: [{ sku: 'SAFE-1', quantity: 4, location: 'LON' }] })).rejects.toMatchObject({
    shortages: [{ requested: 4, available: 3 }],
  })
  await stock().items.update('SAFE-1', { safetyStock: 1 })
  const hold = await stock().holds.place({ lines: [{ sku: 'SAFE-1', quantity: 4, location: 'LON' }] })
  await stock().items.archive('SAFE-1')
  await expect(stock().holds.place({ lines: [{ sku: 'SAFE-1', quantity: 1, location: 'LON' }] })).rejects.toMatchObject({ code: 'item_archived', status: 422 })
  await expect(stock().receipts.create({ location: 'LON', lines: [{ sku: 'SAFE-1', quantity: 1 }] })).rejects.toMatchObject({ code: 'item_archived' })
  // What was promised before is kept.
  await stock().holds.execute(hold.id)
  expect(await stock().shipments.create({ hold: hold.id })).toMatchObject({ lines: [{ quantity: 4 }] })
})

test('two people who correct the same shelf do not undo each other', async () => {
  await stockUp(stock(), { LON: { 'FIX-1': 8 } })
  const { version } = await levelAt(stock(), 'FIX-1', 'LON')
  const correction = (delta: number) => stock().adjustments.create({ location: 'LON', lines: [{ sku: 'FIX-1', delta }], reason: 'count', ifVersion: version })
  const adjustment = await correction(-3)
  expect(adjustment).toMatchObject({ reason: 'count', lines: [{ sku: 'FIX-1', quantity: 3, from: 'available', to: 'shrinkage', levelVersion: 2 }] })
  await expect(correction(-2)).rejects.toMatchObject({ code: 'version_conflict', status: 409, currentVersion: 2 })
  await expect(stock().adjustments.create({ location: 'LON', lines: [{ sku: 'FIX-1', delta: -6 }], reason: 'lost' })).rejects.toMatchObject({
    code: 'insufficient_stock',
    shortages: [{ requested: 6, available: 5, levelVersion: 2 }],
  })
  expect(await levelAt(stock(), 'FIX-1', 'LON')).toMatchObject({ onHand: 5, version: 2 })
})

test('what is only tried out is answered as if it were done, and changes nothing', async () => {
  await stockUp(stock(), { LON: { 'DRY-1': 10 } })
  const line = { sku: 'DRY-1', quantity: 2, location: 'LON' }
  const active = await stock().holds.place({ lines: [line] })
  const executed = await stock().holds.place({ lines: [line] })
  await stock().holds.execute(executed.id)
  await stock().shipments.create({ hold: executed.id, lines: [{ sku: 'DRY-1', quantity: 1 }] })
  const all = async () => ({
    stock: await stock().stockLevels.get('DRY-1'),
    holds: await Promise.all([active, executed].map((hold) => stock().holds.get(hold.id))),
    newest: (await stock().events.list({ limit: 1 }).page()).data,
  })
  const before = await all()

  const dry = { dryRun: true }
  expect(await stock().holds.place({ lines: [line] }, dry)).toMatchObject({ status: 'active', lines: [{ held: 2 }] })
  expect(await stock().holds.execute(active.id, {}, dry)).toMatchObject({ status: 'executed', lines: [{ committed: 2 }] })
  expect(await stock().holds.release(active.id, dry)).toMatchObject({ status: 'released' })
  expect(await stock().holds.extend(active.id, { ttlSeconds: 5_000 }, dry)).toMatchObject({ status: 'active', version: 2 })
  expect(await stock().holds.cancel(executed.id, dry)).toMatchObject({ status: 'canceled', lines: [{ shipped: 1, released: 1 }] })
  expect(await stock().shipments.create({ hold: executed.id }, dry)).toMatchObject({ lines: [{ quantity: 1 }] })
  expect(await stock().returns.create({ hold: executed.id, location: 'LON', lines: [{ sku: 'DRY-1', quantity: 1 }] }, dry)).toMatchObject({ hold: executed.id })
  expect(await stock().receipts.create({ location: 'LON', lines: [{ sku: 'DRY-1', quantity: 7 }] }, dry)).toMatchObject({ lines: [{ quantity: 7 }] })
  expect(await stock().adjustments.create({ location: 'LON', lines: [{ sku: 'DRY-1', delta: -1 }], reason: 'lost' }, dry)).toMatchObject({ reason: 'lost' })
  await expect(stock().holds.place({ lines: [{ ...line, quantity: 7 }] }, dry)).rejects.toMatchObject({
    code: 'insufficient_stock',
    shortages: [{ available: 6 }],
  })

  expect(await all()).toEqual(before)
  // A key that was only tried out is still free.
  await stock().holds.place({ lines: [line] }, { ...dry, idempotencyKey: 'dry-1' })
  const real = await stock().holds.place({ lines: [line] }, { idempotencyKey: 'dry-1' })
  expect(responseOf(real).replayed).toBe(false)
})

test('what the caller notes on a document is kept, and found again by it', async () => {
  await stockUp(stock(), { LON: { 'NOTE-1': 10 } })
  const noted = (reference: string) => ({ reference, metadata: { channel: 'web', 'Ünï çode': '"quoted" \\ \u2028 ☕', empty: '' } })
  const lines = [{ sku: 'NOTE-1', quantity: 1 }]
  const receipt = await stock().receipts.create({ location: 'LON', lines, ...noted('PO-77') })
  const adjustment = await stock().adjustments.create({ location: 'LON', lines: [{ sku: 'NOTE-1', delta: 1 }], reason: 'found', ...noted('found-77') })
  const hold = await stock().holds.place({ lines, ...noted('cart-77') })
  await stock().holds.execute(hold.id)
  const shipment = await stock().shipments.create({ hold: hold.id, ...noted('parcel-77') })
  const returned = await stock().returns.create({ hold: hold.id, location: 'LON', lines, ...noted('rma-77') })

  for (const document of [receipt, adjustment, hold, shipment, returned]) expect(document).toMatchObject(noted(document.reference ?? ''))
  const found = async (listing: { page(): Promise<{ data: readonly { id: string }[] }> }) => (await listing.page()).data.map(({ id }) => id)
  expect(await found(stock().receipts.list({ reference: 'PO-77' }))).toEqual([receipt.id])
  expect(await found(stock().adjustments.list({ reference: 'found-77' }))).toEqual([adjustment.id])
  expect(await found(stock().holds.list({ reference: 'cart-77' }))).toEqual([hold.id])
  expect(await found(stock().shipments.list({ reference: 'parcel-77' }))).toEqual([shipment.id])
  expect(await found(stock().returns.list({ reference: 'rma-77' }))).toEqual([returned.id])
  expect(await stock().receipts.get(receipt.id)).toEqual(receipt)
  expect(await stock().adjustments.get(adjustment.id)).toEqual(adjustment)
  expect(await stock().shipments.get(shipment.id)).toEqual(shipment)
  expect(await stock().returns.get(returned.id)).toEqual(returned)
})

test('after a day of all this, the books are right', async () => {
  expect((await verifyBooks(database)).violations).toEqual([])
})
