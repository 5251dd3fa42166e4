// What users see while the database or the broker is away, and that nothing they told is lost: what must be decided is refused, what
// has physically happened is kept, and done once.
import { AcceptedForLater, isRefusal } from '@holdfast/sdk'
import { describe, expect, test } from 'vitest'
import { ownPostgres } from '../support/postgres.ts'
import { hasRabbit, openRabbit, startRabbit } from '../support/rabbit.ts'
import { startReceiver, type Receiver } from '../support/receiver.ts'
import { ownDatabase, startServer, until, verifyBooks } from '../support/server.ts'
import { levelAt, stockUp } from '../support/shop.ts'

const BESIDE = { HOLDFAST_WEBHOOKS_ALLOW_HTTP: 'true', HOLDFAST_WEBHOOKS_ALLOW_PRIVATE: '127.0.0.0/8' }

describe.skipIf(!hasRabbit)('while the database is away, and a broker is there', async () => {
  if (!hasRabbit) return
  const postgres = await ownPostgres()
  const { url: AMQP_URL } = await openRabbit()
  const database = { url: postgres.url, drop: async () => undefined }
  const server = await startServer(database, { AMQP_URL, HOLDFAST_AMQP_PREFIX: 'away' })
  const { stock } = server
  await stockUp(stock, { LON: { TEA: 10, CUP: 4 } })
  const inbound = await stock.inboundShipments.create({ supplier: 'Acme', location: 'LON', lines: [{ sku: 'TEA', quantity: 6 }], reference: 'PO-1' })
  await server.request('GET', '/v1/availability/TEA')

  test('availability is told and said to be old, a receipt is taken and done once, and a hold is refused', async () => {
    await postgres.kill()
    await until('the database is gone', async () => (await stock.availability.get('TEA')).stale)

    const receipt = { location: 'LON', lines: [{ sku: 'TEA', quantity: 5 }], reference: 'pallet-7' }
    const tell = () => server.request('POST', '/v1/receipts', { body: receipt, idempotencyKey: 'pallet-7' })
    const told = await tell()
    expect(told).toMatchObject({ status: 202, body: { object: 'accepted', operation: 'receipts.create', idempotency_key: 'pallet-7' } })
    // A scanner that is not sure tells it again.
    expect((await tell()).status).toBe(202)
    const lost = await server.request('POST', '/v1/adjustments', {
      body: { location: 'LON', lines: [{ sku: 'CUP', delta: -1 }], reason: 'lost' },
      idempotencyKey: 'cup-1',
    })
    expect(lost.status).toBe(202)
    await expect(stock.inboundShipments.receive(inbound.id, {}, { idempotencyKey: 'truck-1' })).rejects.toThrow(AcceptedForLater)

    await expect(stock.holds.place({ lines: [{ sku: 'TEA', quantity: 1 }] })).rejects.toSatisfy((error) => isRefusal(error, 'unavailable'))
    const decided = await server.request('POST', '/v1/adjustments', {
      body: { location: 'LON', lines: [{ sku: 'CUP', delta: -1, if_version: 1 }], reason: 'lost' },
      idempotencyKey: 'cup-2',
    })
    expect(decided.status).toBe(503)

    await postgres.start()
    await until('what was told has been done', async () => (await levelAt(stock, 'TEA', 'LON').catch(() => undefined))?.onHand === 21)
    await until('all of it', async () => (await levelAt(stock, 'CUP', 'LON')).onHand === 3)

    // Whoever asks again with the key hears what became of it.
    const again = await tell()
    expect(again).toMatchObject({ status: 201, body: { object: 'receipt', reference: 'pallet-7' } })
    expect(again.headers.get('idempotent-replayed')).toBe('true')
    expect(await levelAt(stock, 'TEA', 'LON')).toMatchObject({ onHand: 21, available: 21 })
    expect((await stock.inboundShipments.get(inbound.id)).status).toBe('received')
    expect((await verifyBooks(database)).violations).toEqual([])
  })

  test('what turns out to be wrong when it is done is parked with the reason, and what only came too early is done', async () => {
    await postgres.kill()
    await until('the database is gone', async () => (await stock.availability.get('TEA')).stale)
    const unknown = await server.request('POST', '/v1/receipts', {
      body: { location: 'LON', lines: [{ sku: 'NO-SUCH', quantity: 1 }] },
      idempotencyKey: 'pallet-8',
    })
    expect(unknown.status).toBe(202)
    // Told before the receipt that it needs; three are there.
    const used = { location: 'LON', lines: [{ sku: 'CUP', delta: -6 }], reason: 'damaged' }
    expect((await server.request('POST', '/v1/adjustments', { body: used, idempotencyKey: 'cup-3' })).status).toBe(202)
    const came = { location: 'LON', lines: [{ sku: 'CUP', quantity: 5 }] }
    expect((await server.request('POST', '/v1/receipts', { body: came, idempotencyKey: 'cup-4' })).status).toBe(202)

    await postgres.start()
    await until('both are done', async () => (await levelAt(stock, 'CUP', 'LON').catch(() => undefined))?.onHand === 2)
    await until('it is parked', async () => (await parked()).length === 1)
    expect(await parked()).toMatchObject([{ operation: 'receipts.create', reason: expect.stringContaining('NO-SUCH') }])
  })

  const parked = async () => {
    const found: object[] = []
    try {
      for await (const one of stock.parkedMessages.list()) found.push(one)
    } catch {
      return []
    }
    return found
  }
})

describe.skipIf(!hasRabbit)('while the broker is away', async () => {
  if (!hasRabbit) return
  const broker = await startRabbit()
  const database = await ownDatabase()
  const server = await startServer(database, { AMQP_URL: broker.url, ...BESIDE })
  const { stock } = server
  await stockUp(stock, { LON: { TEA: 100 } })

  test('everybody buys as before, and what happened is told once it is back, each of it once', { timeout: 120_000 }, async () => {
    const receiver = await startReceiver()
    await stock.webhookEndpoints.create({ url: receiver.url, events: ['hold.placed'] })
    const buy = async (n: number) => (await stock.holds.place({ lines: [{ sku: 'TEA', quantity: 1 }] }, { idempotencyKey: `cart-${n}` })).id
    const before = await buy(1)
    await until('the first is told', () => heard(receiver).length === 1)

    await broker.kill()
    const meanwhile = []
    for (let n = 2; n <= 20; n += 1) meanwhile.push(await buy(n))
    expect((await server.request('GET', '/readyz')).status).toBe(200)
    await broker.start()

    await until('everything is told', () => new Set(heard(receiver)).size === 20, { withinMs: 60_000 })
    expect(new Set(heard(receiver))).toEqual(new Set([before, ...meanwhile]))
    expect(heard(receiver)).toHaveLength(20)
    expect((await verifyBooks(database)).violations).toEqual([])
  })
})

/** The holds that were told of. */
const heard = ({ received }: Receiver): string[] => received.map(({ event }) => (event.data as { readonly id: string }).id) // the events are of holds
