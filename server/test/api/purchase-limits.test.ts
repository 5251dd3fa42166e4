// "Two for each customer": what one of them may buy within a time, whoever asks, and at however many doors.
import { isRefusal, responseOf, type Hold, type PlaceHold } from '@holdfast/sdk'
import { expect, test } from 'vitest'
import { ownDatabase, startServer, until, verifyBooks } from '../support/server.ts'
import { levelAt, stockUp } from '../support/shop.ts'

const database = await ownDatabase()
const [london, paris] = await Promise.all([startServer(database), startServer(database)])
const { stock } = london
const { holds } = stock

/** An item of which one customer may buy so many within an hour. */
const limited = async (sku: string, quantity: number, { windowSeconds = 3_600, units = 100 } = {}) => {
  await stockUp(stock, { LON: { [sku]: units } }, { items: { [sku]: { purchaseLimit: { quantity, windowSeconds } } } })
  // The other server has heard of a new item when it has looked it up, and of a change soon after.
  return (customer: string, wanted: number, rest: Partial<PlaceHold> = {}): Promise<Hold> =>
    holds.place({ customer, lines: [{ sku, quantity: wanted, location: 'LON' }], ...rest })
}
const exceeded = { code: 'purchase_limit_exceeded', status: 422, retryable: false }

test('one customer gets so many and no more; another is another', async () => {
  const place = await limited('LIM-1', 3)
  const hold = await place('ada', 2)
  expect(hold).toMatchObject({ status: 'active', customer: 'ada' })
  await expect(place('ada', 2)).rejects.toMatchObject({ ...exceeded, remaining: 1, detail: '2 of LIM-1 asked for ada, who may have 1 more for now' })
  await place('ada', 1)
  await expect(place('ada', 1)).rejects.toMatchObject({ ...exceeded, remaining: 0 })
  await expect(place('bob', 4)).rejects.toMatchObject({ ...exceeded, remaining: 3 })
  expect(await place('bob', 3)).toMatchObject({ customer: 'bob' })
  // Customers are the caller's words, and are taken as they are.
  expect(await place('Ada', 3)).toMatchObject({ customer: 'Ada' })
  expect(await levelAt(stock, 'LIM-1', 'LON')).toMatchObject({ held: 9 })

  expect((await holds.list({ customer: 'ada' }).page()).data.map(({ lines }) => lines[0]?.quantity)).toEqual([1, 2])
  expect((await holds.list({ customer: 'nobody' }).page()).data).toEqual([])
})

test('who buys must be said for an item that has a limit, and for no other', async () => {
  await limited('SAY-1', 1)
  await stockUp(stock, { LON: { 'SAY-2': 5 } })
  const lines = ['SAY-2', 'SAY-1'].map((sku) => ({ sku, quantity: 1 }))
  await expect(holds.place({ lines })).rejects.toMatchObject({
    code: 'invalid_request',
    status: 400,
    errors: [{ param: 'customer', message: 'is needed: there is a limit for one customer on SAY-1' }],
  })
  await expect(holds.place({ lines, customer: '' })).rejects.toMatchObject({ code: 'invalid_request', errors: [{ param: 'customer' }] })
  expect(await holds.place({ lines: [{ sku: 'SAY-2', quantity: 1 }] })).toMatchObject({ customer: null })
  expect(await holds.place({ lines, customer: 'ada' })).toMatchObject({ customer: 'ada' })
})

test('a hold over the limit takes nothing at all, not even at best effort; lines of one item are one wish', async () => {
  const place = await limited('ALL-1', 3)
  await stockUp(stock, { LON: { 'ALL-2': 10 }, PAR: { 'ALL-1': 5 } })
  const lines = [
    { sku: 'ALL-2', quantity: 1 },
    { sku: 'ALL-1', quantity: 2, location: 'LON' },
    { sku: 'ALL-1', quantity: 2, location: 'PAR' },
  ]
  for (const mode of ['all_or_nothing', 'best_effort'] as const)
    await expect(holds.place({ customer: 'ada', lines, mode })).rejects.toMatchObject({ ...exceeded, remaining: 3 })
  expect(await levelAt(stock, 'ALL-2', 'LON')).toMatchObject({ held: 0, version: 1 })
  // The limit is one for all places.
  await place('ada', 1, { lines: [{ sku: 'ALL-1', quantity: 2, location: 'PAR' }] })
  await expect(place('ada', 2)).rejects.toMatchObject({ ...exceeded, remaining: 1 })
  // Only tried out, it is decided the same, and nothing counts.
  expect(await holds.place({ customer: 'ada', lines: [{ sku: 'ALL-1', quantity: 1 }] }, { dryRun: true })).toMatchObject({ status: 'active' })
  expect(await place('ada', 1)).toMatchObject({ status: 'active' })
})

test('what was given back may be bought again; what was bought counts, also when it was sent or brought back', async () => {
  const place = await limited('BACK-1', 4)
  const released = await place('ada', 4)
  await holds.release(released.id)
  const inPart = await place('ada', 4)
  await holds.execute(inPart.id, { lines: [{ sku: 'BACK-1', quantity: 3 }] })
  await expect(place('ada', 2)).rejects.toMatchObject({ ...exceeded, remaining: 1 })
  const canceled = await place('ada', 1)
  await holds.execute(canceled.id)
  await holds.cancel(canceled.id)
  await stock.shipments.create({ hold: inPart.id })
  await stock.returns.create({ hold: inPart.id, location: 'LON', lines: [{ sku: 'BACK-1', quantity: 3 }] })
  await expect(place('ada', 2)).rejects.toMatchObject({ ...exceeded, remaining: 1 })

  // Best effort counts what it took, not what it wanted.
  const few = await limited('BACK-2', 5, { units: 2 })
  expect(await few('ada', 5, { mode: 'best_effort' })).toMatchObject({ lines: [{ held: 2 }] })
  await stockUp(stock, { LON: { 'BACK-2': 10 } })
  expect(await few('ada', 3)).toMatchObject({ lines: [{ held: 3 }] })
  await expect(few('ada', 1)).rejects.toMatchObject({ ...exceeded, remaining: 0 })
})

test('a hold whose time is up counts no more, and is so not a moment earlier', async () => {
  const place = await limited('TIME-1', 2)
  const hold = await place('ada', 2, { ttlSeconds: 1 })
  let next: Hold | undefined
  await until('the customer may buy again', async () => {
    next = await place('ada', 2).catch((error: unknown) => {
      if (!isRefusal(error, 'purchase_limit_exceeded')) throw error
      return undefined
    })
    return next !== undefined
  })
  expect(Date.parse(next?.createdAt ?? '')).toBeGreaterThanOrEqual(Date.parse(hold.expiresAt))
})

test('when the time of the limit has passed, the customer may buy again', async () => {
  const place = await limited('WINDOW-1', 2, { windowSeconds: 1 })
  const first = await place('ada', 2)
  await holds.execute(first.id)
  let next: Hold | undefined
  await until('the customer may buy again', async () => {
    next = await place('ada', 2).catch((error: unknown) => {
      if (!isRefusal(error, 'purchase_limit_exceeded')) throw error
      return undefined
    })
    return next !== undefined
  })
  expect(Date.parse(next?.createdAt ?? '') - Date.parse(first.createdAt)).toBeGreaterThanOrEqual(1_000)
})

test('a customer who asks at two doors at once, many times, gets what one customer gets', async () => {
  const limit = 5
  await limited('RUSH-1', limit)
  await limited('RUSH-2', limit)
  const wish = (index: number) => {
    const lines = ['RUSH-1', 'RUSH-2'].map((sku) => ({ sku, quantity: 1, location: 'LON' }))
    return (index % 2 === 0 ? london : paris).stock.holds.place({ customer: `customer-${index % 3}`, lines: index % 4 < 2 ? lines : lines.toReversed() })
  }
  const told = await Promise.allSettled(Array.from({ length: 96 }, (_, index) => wish(index)))
  expect(told.filter(({ status }) => status === 'fulfilled')).toHaveLength(3 * limit)
  for (const one of told) if (one.status === 'rejected') expect(one.reason).toMatchObject(exceeded)
  for (const sku of ['RUSH-1', 'RUSH-2']) expect(await levelAt(stock, sku, 'LON')).toMatchObject({ held: 3 * limit })
})

test('the same wish under the same key is answered as it was, yes or no', async () => {
  const place = await limited('KEY-1', 2)
  const lines = [{ sku: 'KEY-1', quantity: 2, location: 'LON' }]
  const hold = await holds.place({ customer: 'ada', lines }, { idempotencyKey: 'ada-1' })
  const again = await paris.stock.holds.place({ customer: 'ada', lines }, { idempotencyKey: 'ada-1' })
  expect(again).toEqual(hold)
  expect(responseOf(again).replayed).toBe(true)
  await expect(holds.place({ customer: 'ada', lines }, { idempotencyKey: 'ada-2' })).rejects.toMatchObject(exceeded)
  await holds.release(hold.id)
  // It is no refusal that passes by itself: who wants to try again makes a new wish.
  await expect(holds.place({ customer: 'ada', lines }, { idempotencyKey: 'ada-2' })).rejects.toMatchObject(exceeded)
  expect(await place('ada', 2)).toMatchObject({ status: 'active' })
  // Another customer is another request.
  await expect(holds.place({ customer: 'bob', lines }, { idempotencyKey: 'ada-1' })).rejects.toMatchObject({ code: 'idempotency_key_reused' })
})

test('a limit that is set, changed or lifted is for the next hold, on every server', async () => {
  await stockUp(stock, { LON: { 'SET-1': 100 } })
  const ask = (quantity: number) => paris.stock.holds.place({ customer: 'ada', lines: [{ sku: 'SET-1', quantity }] })
  await ask(5)
  expect(await stock.items.update('SET-1', { purchaseLimit: { quantity: 6, windowSeconds: 3_600 } })).toMatchObject({
    purchaseLimit: { quantity: 6, windowSeconds: 3_600 },
  })
  // What was bought before counts.
  await until('the other server has heard of the limit', () =>
    ask(1_000).then(
      () => false,
      (error: unknown) => isRefusal(error, 'purchase_limit_exceeded') && error.remaining === 1,
    ),
  )
  await stock.items.update('SET-1', { name: 'Another name' })
  expect(await stock.items.get('SET-1')).toMatchObject({ purchaseLimit: { quantity: 6 } })
  expect(await stock.items.update('SET-1', { purchaseLimit: null })).toMatchObject({ purchaseLimit: null })
  await until('the other server has heard that there is none', () =>
    ask(10).then(
      () => true,
      (error: unknown) => !isRefusal(error, 'purchase_limit_exceeded'),
    ),
  )
  for (const purchaseLimit of [
    { quantity: 0, windowSeconds: 60 },
    { quantity: 1, windowSeconds: 0 },
  ])
    await expect(stock.items.update('SET-1', { purchaseLimit })).rejects.toMatchObject({ code: 'invalid_request', status: 400 })
})

test('after all of this, the books are right', async () => {
  expect((await verifyBooks(database)).violations).toEqual([])
})
