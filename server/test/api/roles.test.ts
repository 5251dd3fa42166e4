// Roles in processes of their own: who dies, is replaced or sleeps, and that no buyer notices.
import { expect, onTestFinished, test } from 'vitest'
import { freePort } from '../support/free-port.ts'
import { API_KEY, ownDatabase, startProcess, until, verifyBooks } from '../support/server.ts'
import { SERVICE_KEY } from '../support/topology.ts'

test('while each process is replaced, one after the other, no request fails', { timeout: 120_000 }, async () => {
  const database = await ownDatabase()
  const [gateway, ...inventories] = [await freePort(), await freePort(), await freePort()]
  const environment = environmentOf(database.url, { HOLDFAST_LINGER_SECONDS: '2' })
  const urls = inventories.map((port) => `http://127.0.0.1:${port}`).join(',')
  const begin = (port: number) => startProcess(['serve', 'inventory,timers'], { ...environment, PORT: String(port) })
  const stockKeepers = await Promise.all(inventories.map(begin))
  const front = await startProcess(['serve', 'gateway,identity,webhooks,relay,monitor'], {
    ...environment,
    PORT: String(gateway),
    HOLDFAST_INVENTORY_URL: urls,
  })
  const shop = await shopAt(front.url)

  const buying = buyers(shop, 8)
  for (const [index, keeper] of stockKeepers.entries()) {
    await buying.some(100)
    await keeper.stop()
    await begin(inventories[index] ?? 0)
  }
  await buying.some(100)

  expect(await buying.stop()).toEqual([])
  expect((await verifyBooks(database)).violations).toEqual([])
})

test(
  'when the only process that keeps the stock is killed and started again, buyers wait a moment, and each is served once',
  { timeout: 120_000 },
  async () => {
    const database = await ownDatabase()
    const port = await freePort()
    const environment = environmentOf(database.url)
    const begin = () => startProcess(['serve', 'inventory'], { ...environment, PORT: String(port) })
    let keeper = await begin()
    const front = await startProcess(['serve', 'gateway,identity,webhooks,relay,timers,monitor'], {
      ...environment,
      PORT: '0',
      HOLDFAST_INVENTORY_URL: `http://127.0.0.1:${port}`,
    })
    const shop = await shopAt(front.url)

    const buying = buyers(shop, 8)
    for (let n = 0; n < 3; n += 1) {
      await buying.some(50)
      await keeper.kill()
      keeper = await begin()
    }
    await buying.some(50)

    // Busy machines start slowly: then a buyer is told to come back, and nothing worse.
    const failed = await buying.stop()
    expect(failed.filter((status) => status !== 503)).toEqual([])
    expect(await buying.heldTwice()).toEqual([])
    expect((await verifyBooks(database)).violations).toEqual([])
  },
)

test('workers behind one port are replaced when that is asked for, and when one dies; buyers notice neither', { timeout: 120_000 }, async () => {
  const database = await ownDatabase()
  const server = await startProcess(['serve', '--workers', '2'], environmentOf(database.url, { PORT: String(await freePort()), HOLDFAST_LINGER_SECONDS: '2' }))
  const shop = await shopAt(server.url)
  await until('both workers take requests', () => server.said().includes('all workers take requests'))

  const buying = buyers(shop, 8)
  await buying.some(100)
  process.kill(server.pid, 'SIGHUP')
  await until('both workers have been replaced', () => server.said().includes('all workers have been replaced'), { withinMs: 60_000 })
  await buying.some(100)

  expect(await buying.stop()).toEqual([])
  expect((await verifyBooks(database)).violations).toEqual([])
  await server.stop()
})

test('a process says which roles it has, to those who know the key', async () => {
  const database = await ownDatabase()
  const internal = await freePort()
  await startProcess(['serve'], environmentOf(database.url, { PORT: '0', HOLDFAST_INTERNAL_PORT: String(internal) }))

  const ask = (authorization: string) => fetch(`http://127.0.0.1:${internal}/state`, { headers: { authorization } })
  expect(await (await ask(`Bearer ${SERVICE_KEY}`)).json()).toMatchObject({
    process: expect.stringMatching(/:\d+$/),
    roles: expect.arrayContaining([{ name: 'relay', state: 'up', why: null }]),
  })
  expect((await ask('Bearer hf_somebody-else-entirely-0123456789')).status).toBe(401)
})

test('a role that is asked and is nowhere is found out at the start', async () => {
  const database = await ownDatabase()
  const failing = startProcess(['serve', 'gateway'], environmentOf(database.url, { PORT: '0' }))
  await expect(failing).rejects.toThrow(/identity is asked by gateway and does not run here: say in HOLDFAST_IDENTITY_URL where it is/)
  await expect(startProcess(['serve', 'gatekeeper'], environmentOf(database.url))).rejects.toThrow('there is no role gatekeeper')
})

const environmentOf = (databaseUrl: string, more: Readonly<Record<string, string>> = {}): Record<string, string> => ({
  DATABASE_URL: databaseUrl,
  HOLDFAST_API_KEY: API_KEY,
  HOLDFAST_RATE_LIMIT: 'unlimited',
  HOLDFAST_ADDRESS_RATE_LIMIT: 'unlimited',
  HOLDFAST_LOG_LEVEL: 'info',
  HOLDFAST_SERVICE_KEY: SERVICE_KEY,
  ...more,
})

type Shop = { post(path: string, key: string, body: unknown): Promise<{ readonly status: number; readonly body: { readonly id?: string } }> }

const shopAt = async (url: string): Promise<Shop> => {
  const shop: Shop = {
    post: async (path, key, body) => {
      const response = await fetch(url + path, {
        method: 'POST',
        headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json', 'idempotency-key': key },
        body: JSON.stringify(body),
      })
      return { status: response.status, body: (await response.json()) as { id?: string } } // an object or a problem
    },
  }
  await shop.post('/v1/locations', 'location', { code: 'LON', name: 'London' })
  await shop.post('/v1/items', 'item', { sku: 'TEA', name: 'Tea' })
  expect(await shop.post('/v1/receipts', 'receipt', { location: 'LON', lines: [{ sku: 'TEA', quantity: 1_000_000 }] })).toMatchObject({ status: 201 })
  // A location that is new is known to every process a moment later. Many ask at once, so that every process is asked.
  let tries = 0
  await until('every process knows of the shop', async () => {
    const asked = Array.from({ length: 32 }, () => shop.post('/v1/holds', `try-${(tries += 1)}`, { lines: [{ sku: 'TEA', quantity: 1 }] }))
    return (await Promise.all(asked)).every(({ status }) => status === 201)
  })
  return shop
}

/** Buyers that hold one unit after the other, as fast as they are served, until they are told to stop. */
const buyers = (shop: Shop, count: number) => {
  const failed: number[] = []
  const held = new Map<string, string>()
  let served = 0
  let isOver = false
  const buy = async (buyer: number): Promise<void> => {
    for (let n = 0; !isOver; n += 1) {
      const key = `buyer-${buyer}-${n}`
      const { status, body } = await shop
        .post('/v1/holds', key, { lines: [{ sku: 'TEA', quantity: 1 }] })
        .catch(() => ({ status: 0, body: {} as { id?: string } }))
      if (status === 201 && body.id !== undefined) held.set(key, body.id)
      else failed.push(status)
      served += 1
    }
  }
  const all = Promise.all(Array.from({ length: count }, (_, buyer) => buy(buyer)))
  onTestFinished(async () => {
    isOver = true
    await all
  })
  return {
    /** Resolves when so many more have been served. */
    some: async (more: number) => {
      const enough = served + more
      await until(`${more} more buyers have been served`, () => served >= enough, { withinMs: 60_000 })
    },
    stop: async () => {
      isOver = true
      await all
      return failed
    },
    /** Keys under which another hold is found than was answered. */
    heldTwice: async () => {
      const different: string[] = []
      for (const [key, id] of [...held].slice(-200)) {
        const again = await shop.post('/v1/holds', key, { lines: [{ sku: 'TEA', quantity: 1 }] })
        if (again.body.id !== id) different.push(key)
      }
      return different
    },
  }
}
