// What is worth a word: an item runs low at a place, is sold out there, or can be sold again. Each is told once.
import type { Hold, StockEvent } from '@holdfast/sdk'
import { expect, test } from 'vitest'
import { ownDatabase, startServer, verifyBooks } from '../support/server.ts'
import { stockUp } from '../support/shop.ts'

const database = await ownDatabase()
const [london, paris] = await Promise.all([startServer(database), startServer(database)])
const { stock } = london

const signals = ['stock.low', 'stock.out', 'stock.back'] as const
const allTold = (): Promise<StockEvent[]> => Array.fromAsync(stock.events.list({ type: [...signals], afterSequence: 0 }))
const told = async (sku: string, location = 'LON') => (await allTold()).filter(({ subject }) => subject.id === `${sku}@${location}`)
const words = async (sku: string, location = 'LON') => (await told(sku, location)).map(({ type }) => type)
const hold = (sku: string, quantity: number, server = london): Promise<Hold> => server.stock.holds.place({ lines: [{ sku, quantity, location: 'LON' }] })

test('an item that runs low, sells out and comes back is told of at each of these, and not for each unit', async () => {
  await stockUp(stock, { LON: { 'SIG-1': 20 } }, { items: { 'SIG-1': { reorderPoint: 10 } } })
  await hold('SIG-1', 9)
  expect(await words('SIG-1')).toEqual([])
  const first = await hold('SIG-1', 1)
  expect(await words('SIG-1')).toEqual(['stock.low'])
  await hold('SIG-1', 5)
  const rest = await hold('SIG-1', 5)
  expect(await words('SIG-1')).toEqual(['stock.low', 'stock.out'])
  await stock.holds.release(rest.id)
  const events = await told('SIG-1')
  expect(events.map(({ type }) => type)).toEqual(['stock.low', 'stock.out', 'stock.back'])

  // Each is about the level, as it was then, and stands right behind what caused it.
  expect(events.map(({ subject }) => [subject.object, subject.version])).toEqual([
    ['stock_level', 1],
    ['stock_level', 2],
    ['stock_level', 3],
  ])
  expect(events.map(({ data }) => data)).toMatchObject([
    { object: 'stock_level', sku: 'SIG-1', location: 'LON', available: 10, availableToSell: 10, held: 10 },
    { available: 0, availableToSell: 0, held: 20 },
    { available: 5, availableToSell: 5, held: 15 },
  ])
  const [cause] = (await stock.events.list({ afterSequence: (events[0]?.sequence ?? 0) - 2, limit: 1 }).page()).data
  expect(cause).toMatchObject({ type: 'hold.placed', subject: { id: first.id }, occurredAt: events[0]?.occurredAt })
  expect(events[0]).toMatchObject({ actor: 'system', requestId: cause?.requestId })
})

test('at the line nothing is told to and fro: low ends a tenth above the reorder point, and out a tenth of it above nothing', async () => {
  await stockUp(stock, { LON: { 'EDGE-1': 30 } }, { items: { 'EDGE-1': { reorderPoint: 20 } } })
  await hold('EDGE-1', 9)
  const edge = async () => {
    const one = await hold('EDGE-1', 1)
    await stock.holds.release(one.id)
  }
  for (let time = 0; time < 3; time += 1) await edge()
  expect(await words('EDGE-1')).toEqual(['stock.low'])
  // 22 are still too few, 23 are enough; nobody needs to hear of that, but of the next time that it runs low.
  const enough = async (delta: number) => {
    await stock.adjustments.create({ location: 'LON', lines: [{ sku: 'EDGE-1', delta }], reason: 'found' })
  }
  await enough(1)
  await hold('EDGE-1', 2)
  expect(await words('EDGE-1')).toEqual(['stock.low'])
  await enough(3)
  await hold('EDGE-1', 3)
  expect(await words('EDGE-1')).toEqual(['stock.low', 'stock.low'])

  const all = await hold('EDGE-1', 20)
  expect((await words('EDGE-1')).at(-1)).toBe('stock.out')
  await enough(2)
  expect((await words('EDGE-1')).at(-1)).toBe('stock.out')
  await enough(1)
  expect((await words('EDGE-1')).at(-1)).toBe('stock.back')
  await stock.holds.release(all.id)
  expect(await words('EDGE-1')).toEqual(['stock.low', 'stock.low', 'stock.out', 'stock.back'])
})

test('an item without a reorder point is told of when it is sold out and when it is back; what never was there is not back', async () => {
  await stockUp(stock, { LON: { 'PLAIN-1': 3 } })
  expect(await words('PLAIN-1')).toEqual([])
  const all = await hold('PLAIN-1', 3)
  await stock.holds.release(all.id)
  expect(await words('PLAIN-1')).toEqual(['stock.out', 'stock.back'])
})

test('what is kept back as safety stock counts as sold out, and each place speaks for itself', async () => {
  await stockUp(stock, { LON: { 'SAFE-1': 5 }, PAR: { 'SAFE-1': 5 } }, { items: { 'SAFE-1': { safetyStock: 2 } } })
  await hold('SAFE-1', 3)
  expect(await words('SAFE-1')).toEqual(['stock.out'])
  expect(await words('SAFE-1', 'PAR')).toEqual([])
  expect((await told('SAFE-1'))[0]?.data).toMatchObject({ available: 2, safetyStock: 2, availableToSell: 0 })
})

test('transfers, arrivals and counts are told of as sales are', async () => {
  await stockUp(stock, { LON: { 'WAY-1': 10 }, PAR: { 'WAY-1': 1 } }, { items: { 'WAY-1': { reorderPoint: 4 } } })
  const { id } = await stock.transfers.create({ from: 'LON', to: 'PAR', lines: [{ sku: 'WAY-1', quantity: 10 }] })
  await stock.transfers.dispatch(id)
  expect(await words('WAY-1')).toEqual(['stock.out'])
  await stock.transfers.receive(id)
  expect(await words('WAY-1', 'PAR')).toEqual([])
  const inbound = await stock.inboundShipments.create({ supplier: 'Acme', location: 'LON', lines: [{ sku: 'WAY-1', quantity: 5 }] })
  // What is only announced cannot be sold.
  expect(await words('WAY-1')).toEqual(['stock.out'])
  await stock.inboundShipments.receive(inbound.id)
  expect(await words('WAY-1')).toEqual(['stock.out', 'stock.back'])
  const count = await stock.counts.create({ location: 'PAR' })
  await stock.counts.lines(count.id, { lines: [{ sku: 'WAY-1', quantity: 3 }] })
  await stock.counts.approve(count.id)
  expect(await words('WAY-1', 'PAR')).toEqual(['stock.low'])
})

test('a reorder point that is set later is told of with the next thing that happens', async () => {
  await stockUp(stock, { LON: { 'SET-1': 10 } })
  await stock.items.update('SET-1', { reorderPoint: 20 })
  // The list shows it at once; the word comes when the level moves, and need not cross the line for it.
  expect((await stock.stockLevels.list({ sku: 'SET-1', low: true }).page()).data).toMatchObject([{ availableToSell: 10 }])
  await hold('SET-1', 1)
  expect(await words('SET-1')).toEqual(['stock.low'])
  await stockUp(stock, { LON: { 'SET-1': 20 } })
  await hold('SET-1', 10)
  expect(await words('SET-1')).toEqual(['stock.low', 'stock.low'])
})

test('buyers who rush two servers sell an item out once', async () => {
  const units = 60
  await stockUp(stock, { LON: { 'RUSH-1': units } }, { items: { 'RUSH-1': { reorderPoint: 20 } } })
  const sold = await Promise.allSettled(Array.from({ length: 2 * units }, (_, buyer) => hold('RUSH-1', 1, buyer % 2 === 0 ? london : paris)))
  expect(sold.filter(({ status }) => status === 'fulfilled')).toHaveLength(units)
  const events = await told('RUSH-1')
  expect(events.map(({ type, data }) => ({ type, data }))).toMatchObject([
    { type: 'stock.low', data: { availableToSell: 20 } },
    { type: 'stock.out', data: { availableToSell: 0 } },
  ])
})

test('after all of this, the books are right', async () => {
  expect((await verifyBooks(database)).violations).toEqual([])
})
