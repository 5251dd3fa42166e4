// The door of the real program, set as an operator sets it: limits, other origins, proxies, Redis, and whole lists as files.
import { describe, expect, test } from 'vitest'
import { holdfast } from '@holdfast/sdk'
import { scopes } from '@holdfast/contract'
import { createKey, ownDatabase, startServer, until, type TestServer } from '../support/server.ts'
import { hasRedis, startRedis } from '../support/redis.ts'
import { stockUp } from '../support/shop.ts'
import { isOfRoles } from '../support/topology.ts'

const database = await ownDatabase()
const statuses = async (server: TestServer, count: number, apiKey: string): Promise<number[]> => {
  const all: number[] = []
  for (let i = 0; i < count; i += 1) all.push((await server.request('GET', '/v1/items?limit=1', { apiKey })).status)
  return all
}

test('a limit, an origin and a proxy are as they are set in the environment', async () => {
  const server = await startServer(database, {
    HOLDFAST_RATE_LIMIT: '3/600s',
    HOLDFAST_ADDRESS_RATE_LIMIT: '2/600s',
    HOLDFAST_CORS_ORIGINS: 'https://shop.example',
    HOLDFAST_TRUSTED_PROXIES: '127.0.0.1',
  })
  const { key } = await createKey(database, 'limited', { scopes: [...scopes] })
  expect(await statuses(server, 4, key)).toEqual([200, 200, 200, 429])
  const refused = await server.request('GET', '/v1/items', { apiKey: key, headers: { origin: 'https://shop.example' } })
  expect(refused).toMatchObject({ status: 429, body: { code: 'rate_limited' } })
  expect(refused.headers.get('ratelimit-policy')).toBe('"key";q=3;w=600')
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
  expect(refused.headers.get('access-control-allow-origin')).toBe('https://shop.example')

  const stranger = (address: string) => server.request('GET', '/v1/items', { apiKey: null, headers: { 'x-forwarded-for': address } })
  expect([(await stranger('203.0.113.1')).status, (await stranger('203.0.113.1')).status, (await stranger('203.0.113.1')).status]).toEqual([401, 401, 429])
  // Here, who asks is the proxy that is trusted. Behind nginx it is anybody, who is not believed.
  expect((await stranger('203.0.113.2')).status).toBe(isOfRoles ? 429 : 401)
  expect((await server.request('GET', '/healthz', { apiKey: null })).status).toBe(200)
})

describe.skipIf(!hasRedis)('two processes with one Redis', () => {
  test('count together, and go on when it hangs', async () => {
    const redis = await startRedis()
    const environment = { HOLDFAST_RATE_LIMIT: '1000000/600s', REDIS_URL: redis.url }
    const servers = await Promise.all([startServer(database, environment), startServer(database, environment)])
    const { key } = await createKey(database, 'shared', { scopes: [...scopes] })
    const left = async (server: TestServer) => {
      const { status, headers } = await server.request('GET', '/v1/items?limit=1', { apiKey: key })
      expect(status).toBe(200)
      return Number(/r=(\d+)/.exec(headers.get('ratelimit') ?? '')?.[1])
    }
    const [one, other] = servers
    await until('each hears of the other', async () => Math.abs((await left(one)) - (await left(other))) === 1)
    redis.pause()
    for (const server of servers) expect(new Set(await statuses(server, 20, key))).toEqual(new Set([200]))
    redis.resume()
    await until('they count together again', async () => Math.abs((await left(one)) - (await left(other))) === 1)
    await redis.kill()
    for (const server of servers) expect(new Set(await statuses(server, 20, key))).toEqual(new Set([200]))
  })
})

describe('a whole list', () => {
  test('has every row once, through the SDK, and agrees with the pages', async () => {
    const server = await startServer(database)
    const shelf = Object.fromEntries(Array.from({ length: 230 }, (_, n) => [`FILE-${n}`, n + 1]))
    await stockUp(server.stock, { FILES: shelf })
    const read = async (bytes: AsyncIterable<Uint8Array>) => {
      const decoder = new TextDecoder()
      let text = ''
      for await (const some of bytes) text += decoder.decode(some, { stream: true })
      return text
    }
    const list = holdfast({ url: server.url, apiKey: 'hf_for-tests-only-0123456789abcdefghijkl' }).stockLevels.list({ location: 'FILES' }, {})
    const pages: string[] = []
    for await (const { sku, onHand } of list) pages.push(`${sku} ${onHand}`)
    const lines = (await read(list.export({ format: 'ndjson' }))).trimEnd().split('\n')
    expect(lines.map((line) => JSON.parse(line) as { sku: string; on_hand: number }).map(({ sku, on_hand: onHand }) => `${sku} ${onHand}`)).toEqual(pages)
    expect(pages).toHaveLength(230)

    const csv = (await read(list.export({ format: 'csv' }))).trimEnd().split('\r\n')
    expect(csv[0]).toMatch(/^sku,location,on_hand,available/)
    expect(csv.slice(1).map((line) => line.split(',').slice(0, 3).join(' '))).toEqual(pages.map((page) => page.replace(' ', ' FILES ')))
    await expect(read(server.stock.stockLevels.list({ location: 'NOWHERE' }).export({ format: 'csv' }))).rejects.toMatchObject({ code: 'not_found' })
  })
})
