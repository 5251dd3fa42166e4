// What buyers still see while something behind the server is away, and what they see when all is well.
import { isRefusal } from '@holdfast/sdk'
import { describe, expect, test } from 'vitest'
import { limits } from '../../src/platform/limits.ts'
import { ownPostgres } from '../support/postgres.ts'
import { hasRabbit, startRabbit } from '../support/rabbit.ts'
import { hasRedis, startRedis } from '../support/redis.ts'
import { ownDatabase, startServer, until, verifyBooks, type Answered, type TestServer } from '../support/server.ts'
import { stockUp } from '../support/shop.ts'

type Shown = { readonly available_to_sell: number; readonly stale: boolean; readonly as_of: string }
const shown = (answered: Answered): Shown => {
  expect(answered).toMatchObject({ status: 200 })
  return answered.body as Shown // as the contract says of a 200
}
const look = (server: TestServer, sku = 'TEA-1', query = '') => server.request('GET', `/v1/availability/${sku}${query}`)
const units = async (server: TestServer, sku = 'TEA-1') => shown(await look(server, sku)).available_to_sell
const hold = ({ stock }: TestServer, quantity = 1, sku = 'TEA-1') => stock.holds.place({ lines: [{ sku, quantity, location: 'LON' }] })

describe('while the database is away', async () => {
  const postgres = await ownPostgres()
  const server = await startServer({ url: postgres.url, drop: async () => undefined })
  const { stock } = server
  await stockUp(stock, { LON: { 'TEA-1': 10, 'CUP-2': 5, 'MUG-3': 1 }, PAR: { 'TEA-1': 2 } })
  await hold(server, 3)
  const goes = () => until('the database is gone', async () => shown(await look(server)).stale)
  const comes = () =>
    until('the database is back', async () => {
      const answer = await look(server)
      return answer.status === 200 && !shown(answer).stale
    })

  test('what was seen is shown as it was, and said to be old; what must be decided is refused, and nothing is done', async () => {
    const seen = await look(server)
    expect(shown(seen)).toMatchObject({ available_to_sell: 9, stale: false })
    expect(seen.headers.get('warning')).toBeNull()
    await server.request('POST', '/v1/availability', { body: { skus: ['TEA-1', 'CUP-2'] } })
    const sequence = Number(seen.headers.get('stock-sequence'))

    await postgres.kill()
    await goes()

    const old = await look(server)
    expect(shown(old)).toMatchObject({ available_to_sell: 9, stale: true, locations: [{ location: 'LON' }, { location: 'PAR' }] })
    expect(old.headers.get('warning')).toBe('110 - "Response is Stale"')
    expect(old.headers.get('age')).toMatch(/^\d+$/)
    expect(Date.parse(shown(old).as_of)).toBeLessThanOrEqual(Date.now())
    const both = await server.request('POST', '/v1/availability', {
      body: {
        lines: [
          { sku: 'TEA-1', quantity: 8 },
          { sku: 'CUP-2', quantity: 6 },
        ],
      },
    })
    expect(both).toMatchObject({
      status: 200,
      body: {
        stale: true,
        fulfillable: false,
        plan: [
          { sku: 'TEA-1', missing: 0 },
          { sku: 'CUP-2', missing: 1 },
        ],
      },
    })
    expect(both.headers.get('warning')).toBe('110 - "Response is Stale"')
    expect((await stock.availability.get('TEA-1')).stale).toBe(true)

    // As new as what they have seen, or nothing.
    expect((await look(server, 'TEA-1', `?min_sequence=${sequence}`)).status).toBe(200)
    const newer = await look(server, 'TEA-1', `?min_sequence=${sequence + 1}`)
    const unseen = await look(server, 'MUG-3')
    const level = await server.request('GET', '/v1/stock_levels/TEA-1')
    const held = await server.request('POST', '/v1/holds', { body: { lines: [{ sku: 'TEA-1', quantity: 1 }] }, idempotencyKey: 'while-away' })
    for (const refused of [newer, unseen, level, held]) {
      expect(refused).toMatchObject({ status: 503, body: { code: 'unavailable', retryable: true } })
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
    }

    await postgres.start()
    await comes()
    expect(await units(server)).toBe(9)
    const again = await server.request('POST', '/v1/holds', { body: { lines: [{ sku: 'TEA-1', quantity: 1 }] }, idempotencyKey: 'while-away' })
    expect(again.status).toBe(201)
    expect(await units(server)).toBe(8)
  })

  test('whoever was let in before is let in for longer than a key is remembered otherwise', async () => {
    await look(server)
    await postgres.kill()
    const from = performance.now()
    await until('a key would have been forgotten', async () => {
      expect((await look(server)).status).toBe(200)
      return performance.now() - from > limits.identity.keyCacheMs + 1_000
    })
    expect((await server.request('GET', '/v1/availability/TEA-1', { apiKey: 'hf_somebody-whom-nobody-has-seen-before-000000' })).status).toBe(503)
    await postgres.start()
    await comes()
    expect(await hold(server)).toMatchObject({ status: 'active' })
  })

  test('when it hangs, those who ask are told what was, and when it goes on, they are told what is', async () => {
    await look(server)
    const before = await units(server)
    postgres.pause()
    await goes()
    for (let n = 0; n < 50; n += 1) expect(shown(await look(server))).toMatchObject({ available_to_sell: before, stale: true })
    postgres.resume()
    await comes()
    await hold(server)
    expect(await units(server)).toBe(before - 1)
  })

  test('an operator who wants no old answers gets none', async () => {
    const strict = await startServer({ url: postgres.url, drop: async () => undefined }, { HOLDFAST_STALE_SECONDS: '0' })
    await look(strict)
    await postgres.kill()
    await until('it says so', async () => (await look(strict)).status === 503)
    await postgres.start()
    await until('it is back', async () => (await look(strict)).status === 200)
  })
})

describe('what is remembered', async () => {
  const database = await ownDatabase()
  const [london, paris] = await Promise.all([startServer(database), startServer(database)])
  await stockUp(london.stock, { LON: { 'TEA-1': 100, 'CUP-2': 10 } })

  test('is never behind what the same server has done', async () => {
    for (let left = 99; left >= 80; left -= 1) {
      await hold(london)
      expect(await units(london)).toBe(left)
    }
    await london.stock.items.update('TEA-1', { safetyStock: 50 })
    expect(await units(london)).toBe(30)
    await london.stock.adjustments.create({ location: 'LON', lines: [{ sku: 'TEA-1', delta: -10 }], reason: 'damaged' })
    expect(await units(london)).toBe(20)
  })

  test('is not what a restricted caller sees of other places', async () => {
    await stockUp(london.stock, { LON: { 'JAM-1': 1 }, PAR: { 'JAM-1': 2 } })
    expect(await units(london, 'JAM-1')).toBe(3)
    const { key } = await london.stock.apiKeys.create({ name: 'Paris', scopes: ['availability:read'], locations: ['PAR'] })
    const seen = await london.request('GET', '/v1/availability/JAM-1', { apiKey: key ?? null })
    expect(seen).toMatchObject({ body: { available_to_sell: 2, locations: [{ location: 'PAR' }] } })
    expect(await units(london, 'JAM-1')).toBe(3)
  })

  test('is followed by what another server does: within a moment, or at once for who says what they have seen', async () => {
    const before = await units(paris)
    const { headers } = await london.request('POST', '/v1/holds', { body: { lines: [{ sku: 'TEA-1', quantity: 1 }] }, idempotencyKey: 'seen' })
    const sequence = headers.get('stock-sequence')
    expect(shown(await look(paris, 'TEA-1', `?min_sequence=${sequence}`)).available_to_sell).toBe(before - 1)
    await hold(london)
    await until('paris knows', async () => (await units(paris)) === before - 2)
  })

  test('decides nothing: what is sold elsewhere is not sold again', async () => {
    expect(await units(paris, 'CUP-2')).toBe(10)
    await hold(london, 10, 'CUP-2')
    const refused = await hold(paris, 1, 'CUP-2').catch((error: unknown) => error)
    expect(isRefusal(refused, 'insufficient_stock')).toBe(true)
    // And what came in elsewhere is sold here, though there was none when somebody looked.
    await until('paris knows', async () => (await units(paris, 'CUP-2')) === 0)
    await london.stock.receipts.create({ location: 'LON', lines: [{ sku: 'CUP-2', quantity: 1 }] })
    expect(await hold(paris, 1, 'CUP-2')).toMatchObject({ status: 'active' })
    expect((await verifyBooks(database)).violations).toEqual([])
  })

  test('can be switched off', async () => {
    const server = await startServer(database, { HOLDFAST_CACHE: 'off' })
    const before = await units(server, 'JAM-1')
    await london.stock.receipts.create({ location: 'LON', lines: [{ sku: 'JAM-1', quantity: 1 }] })
    expect(await units(server, 'JAM-1')).toBe(before + 1)
  })
})

test.skipIf(!hasRabbit)('while the broker is away, what another server does is seen within a moment all the same', async () => {
  const broker = await startRabbit()
  const database = await ownDatabase()
  const [london, paris] = await Promise.all([startServer(database, { AMQP_URL: broker.url }), startServer(database, { AMQP_URL: broker.url })])
  await stockUp(london.stock, { LON: { 'TEA-1': 100 } })
  await until('paris knows', async () => (await units(paris)) === 100)

  await broker.kill()
  await hold(london)

  // Well within the time that an item is fresh while changes are heard of.
  await until('paris knows', async () => (await units(paris)) === 99, { withinMs: 20_000 })
})

describe.skipIf(!hasRedis)('with Redis', () => {
  test('whatever becomes of it, all answers are the same', async () => {
    const redis = await startRedis()
    const database = await ownDatabase()
    const [london, paris] = await Promise.all([startServer(database, { REDIS_URL: redis.url }), startServer(database, { REDIS_URL: redis.url })])
    await stockUp(london.stock, { LON: { 'TEA-1': 1_000 } })
    let left = 1_000
    const sells = async () => {
      for (let n = 0; n < 10; n += 1) {
        const seller = n % 2 === 0 ? london : paris
        await hold(seller)
        left -= 1
        expect(await units(seller)).toBe(left)
      }
      for (const server of [london, paris]) await until('both know', async () => (await units(server)) === left)
    }
    await until('something is in Redis', async () => {
      await units(london)
      return (await redis.keys()).some((key) => key.startsWith('holdfast:availability:'))
    })
    await sells()
    await redis.flush()
    await sells()
    redis.pause()
    await sells()
    redis.resume()
    await sells()
    await redis.kill()
    await sells()
    const said = `${london.said()}${paris.said()}`.split('\n').filter((line) => line.includes('availability in Redis'))
    // A warning for each time that it went, from each of them at most; and no error (that is looked at for every server here).
    expect(said.length).toBeLessThanOrEqual(4)
    expect((await verifyBooks(database)).violations).toEqual([])
  })
})
