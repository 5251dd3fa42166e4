// Somebody who is restricted to some locations: what they see is all of it, pages and sums are right, and what they move is theirs.
import { holdfast, isInsufficientStock, type Holdfast } from '@holdfast/sdk'
import { afterAll, describe, expect, test } from 'vitest'
import { ownDatabase, startServer, verifyBooks } from '../support/server.ts'
import { levelAt, stockUp } from '../support/shop.ts'

const database = await ownDatabase()
const server = await startServer(database)
const { stock } = server
await stockUp(stock, { LON: { 'REACH-1': 100, 'REACH-2': 0, 'REACH-3': 5 }, PAR: { 'REACH-1': 100, 'REACH-2': 100 }, ROM: { 'REACH-1': 100, 'REACH-3': 50 } })

const keyOf = async (locations: readonly string[] | undefined): Promise<{ id: string; mine: Holdfast }> => {
  const { id, key } = await stock.apiKeys.create({
    name: locations?.join() ?? 'all',
    scopes: ['stock:read', 'stock:adjust', 'holds:read', 'holds:write'],
    locations: locations && [...locations],
    rateLimit: 'unlimited',
  })
  return { id, mine: holdfast({ url: server.url, apiKey: key ?? '', retries: 0 }) }
}
const { mine: london } = await keyOf(['LON'])
const { mine: north } = await keyOf(['LON', 'PAR'])
const line = (location: string, quantity = 1, sku = 'REACH-1') => ({ sku, quantity, location })
const idsOf = async (list: AsyncIterable<{ id: string }>) => {
  const ids: string[] = []
  for await (const { id } of list) ids.push(id)
  return ids
}
afterAll(async () => {
  expect((await verifyBooks(database)).violations).toEqual([])
})

describe('lists', () => {
  test('of holds and documents have all that is ours, in full pages, and nothing else', async () => {
    const ours: string[] = []
    const receipts: string[] = []
    for (let n = 0; n < 7; n += 1) {
      await stock.holds.place({ lines: [line('ROM')] })
      ours.unshift((await stock.holds.place({ lines: [line('LON')] })).id)
      await stock.receipts.create({ location: 'PAR', lines: [{ sku: 'REACH-1', quantity: 1 }] })
      receipts.unshift((await stock.receipts.create({ location: 'LON', lines: [{ sku: 'REACH-1', quantity: 1 }] })).id)
    }
    const page = await london.holds.list({ limit: 3 }).page()
    expect(page).toMatchObject({ hasMore: true, data: [{ id: ours[0] }, { id: ours[1] }, { id: ours[2] }] })
    expect((await idsOf(london.holds.list({ limit: 3 }))).slice(0, 7)).toEqual(ours)
    expect((await idsOf(london.holds.list({ sku: 'REACH-1', limit: 2 }))).slice(0, 7)).toEqual(ours)
    expect((await idsOf(london.receipts.list({ limit: 2 }))).slice(0, 7)).toEqual(receipts)
    expect(await idsOf(london.receipts.list())).toHaveLength(8)
    expect(await idsOf(north.receipts.list())).toHaveLength(16)
    expect((await idsOf(stock.holds.list())).length).toBeGreaterThan(ours.length)
  })

  test('of levels and entries stop where we stop', async () => {
    const levels: string[] = []
    for await (const { sku, location } of north.stockLevels.list({ limit: 1 })) levels.push(`${sku}@${location}`)
    expect(levels.toSorted()).toEqual(['REACH-1@LON', 'REACH-1@PAR', 'REACH-2@PAR', 'REACH-3@LON'])
    const places = new Set<string>()
    for await (const { location } of london.ledgerEntries.list({ limit: 5 })) places.add(location)
    expect(places).toEqual(new Set(['LON']))
  })

  test('sums are of what is ours', async () => {
    const { total, locations } = await london.stockLevels.get('REACH-3')
    expect([total.onHand, locations.map(({ location }) => location)]).toEqual([5, ['LON']])
    expect(await london.availability.get('REACH-3')).toMatchObject({ availableToSell: 5, locations: [{ location: 'LON' }] })
    expect(await london.availability.get('REACH-2')).toMatchObject({ availableToSell: 0, locations: [] })
    expect(await london.availability.check({ lines: [{ sku: 'REACH-3', quantity: 6 }] })).toMatchObject({ fulfillable: false, plan: [{ missing: 1 }] })
    expect(await stock.availability.check({ lines: [{ sku: 'REACH-3', quantity: 6 }] })).toMatchObject({ fulfillable: true })
  })
})

describe('holds', () => {
  test('are taken from our locations and no other, even when there is more elsewhere', async () => {
    const { lines } = await london.holds.place({ lines: [{ sku: 'REACH-1', quantity: 3 }], strategy: 'most_stock' })
    expect(lines[0]?.allocations.map(({ location }) => location)).toEqual(['LON'])
    const short = await london.holds.place({ lines: [{ sku: 'REACH-3', quantity: 6 }] }).catch((error: unknown) => error)
    if (!isInsufficientStock(short)) throw short
    // Of others' holds elsewhere not even their end is told.
    expect(short.shortages).toMatchObject([{ location: null, requested: 6, available: 5, held: 0, nextExpiryAt: null }])
    const part = await london.holds.place({ lines: [{ sku: 'REACH-3', quantity: 6 }], mode: 'best_effort' })
    expect(part.lines[0]?.quantity).toBe(5)
    await london.holds.release(part.id)
  })

  test('that lie partly elsewhere are read whole, and left alone', async () => {
    const split = await stock.holds.place({ lines: [line('LON', 2), line('ROM', 3)] })
    expect((await london.holds.get(split.id)).lines[0]?.quantity).toBe(5)
    for (const act of [() => london.holds.execute(split.id), () => london.holds.cancel(split.id), () => london.holds.release(split.id, { dryRun: true })])
      await expect(act()).rejects.toMatchObject({ code: 'permission_denied' })
    await stock.holds.execute(split.id)
    await expect(london.shipments.create({ hold: split.id })).rejects.toMatchObject({ code: 'permission_denied' })
    const shipment = await stock.shipments.create({ hold: split.id })
    expect((await london.shipments.get(shipment.id)).id).toBe(shipment.id)
    expect(await north.shipments.get(shipment.id)).toMatchObject({ hold: split.id })
  })

  test('that lie in two of our locations are ours', async () => {
    const both = await north.holds.place({ lines: [line('LON'), line('PAR')] })
    await north.holds.execute(both.id)
    const shipment = await north.shipments.create({ hold: both.id })
    const back = await north.returns.create({ hold: both.id, location: 'PAR', lines: [{ sku: 'REACH-1', quantity: 1 }] })
    expect(await north.returns.get(back.id).then(({ location }) => location)).toBe('PAR')
    expect((await north.shipments.list({ hold: both.id }).page()).data.map(({ id }) => id)).toEqual([shipment.id])
  })

  test('are filled in only where they are ours', async () => {
    const away = await stock.holds.place({ lines: [line('ROM')] })
    await stock.holds.execute(away.id)
    await stock.shipments.create({ hold: away.id })
    await stock.returns.create({ hold: away.id, location: 'LON', lines: [{ sku: 'REACH-1', quantity: 1 }], reference: 'came to LON' })
    const { data } = await london.returns.list({ reference: 'came to LON' }).page()
    expect(data).toMatchObject([{ hold: away.id, location: 'LON' }])
    const answer = await server.request('GET', '/v1/returns?reference=came%20to%20LON&expand[]=hold')
    expect(answer.body).toMatchObject({ data: [{ hold: { id: away.id } }] })
  })
})

test('what somebody was answered when they might do more is not told again', async () => {
  const { id, mine } = await keyOf(undefined)
  const place = () => mine.holds.place({ lines: [line('ROM')] }, { idempotencyKey: 'the cart of before' })
  const receive = () => mine.receipts.create({ location: 'ROM', lines: [{ sku: 'REACH-1', quantity: 1 }] }, { idempotencyKey: 'the goods of before' })
  const anywhere = () => mine.holds.place({ lines: [{ sku: 'REACH-2', quantity: 1 }] }, { idempotencyKey: 'from anywhere' })
  await Promise.all([place(), receive(), anywhere()])
  expect((await place()).lines[0]?.allocations[0]?.location).toBe('ROM')
  const before = await levelAt(stock, 'REACH-1', 'ROM')
  await stock.apiKeys.update(id, { locations: ['LON'] })
  for (const again of [place, receive, anywhere]) await expect(again()).rejects.toMatchObject({ code: 'permission_denied' })
  expect(await levelAt(stock, 'REACH-1', 'ROM')).toEqual(before)
})

test('a key that is restricted to a location made later works there as soon as it is there', async () => {
  await stock.locations.create({ code: 'NEW', name: 'New' })
  const { mine } = await keyOf(['NEW'])
  await mine.receipts.create({ location: 'NEW', lines: [{ sku: 'REACH-1', quantity: 4 }] })
  expect(await mine.availability.get('REACH-1')).toMatchObject({ availableToSell: 4 })
})
