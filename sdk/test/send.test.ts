import { describe, expect, test } from 'vitest'
import { ConnectionError, HoldfastError, holdfast, isInsufficientStock, isRefusal, responseOf, TimeoutError } from '@holdfast/sdk'
import { problem, startServer, type TestServer } from './support/server.ts'
import { quickSurroundings } from './support/surroundings.ts'

const apiKey = 'hf_0123456789abcdef0123456789abcdef'
const lines = [{ sku: 'TEA-1', quantity: 3 }]
const hold = { object: 'hold', id: 'hold_1', status: 'active', expires_at: '2026-11-21T10:15:00.000Z', metadata: { cart_id: '7' } }
/** Long enough to notice that a server is silent, short enough not to be noticed. */
const SHORT_MS = 30

const clientOf = (server: TestServer, options: Partial<Parameters<typeof holdfast>[0]> = {}) => {
  const { surroundings, waits } = quickSurroundings()
  return { stock: holdfast({ url: server.url, apiKey, ...options }, surroundings), waits }
}
const keys = (server: TestServer) => server.asked.map(({ headers }) => headers['idempotency-key'])
const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => expect.unreachable('it succeeded'),
    (error: unknown) => error,
  )

describe('a call', () => {
  test('says who asks and what, in the words of the wire', async () => {
    await using server = await startServer([{ status: 201, body: hold }])
    const { stock } = clientOf(server, { url: `${server.url}/` })

    const placed = await stock.holds.place(
      { lines, ttlSeconds: 900, metadata: { cart_id: '7' } },
      { idempotencyKey: 'cart-7', requestId: 'req_mine', dryRun: true },
    )

    const { method, path, query, headers, body } = server.last()
    expect([method, path, query.toString()]).toEqual(['POST', '/v1/holds', 'dry_run=true'])
    expect(headers).toMatchObject({
      authorization: `Bearer ${apiKey}`,
      'idempotency-key': 'cart-7',
      'request-id': 'req_mine',
      'content-type': 'application/json',
    })
    expect(body).toEqual({ lines, ttl_seconds: 900, metadata: { cart_id: '7' } })
    expect(placed).toEqual({ object: 'hold', id: 'hold_1', status: 'active', expiresAt: '2026-11-21T10:15:00.000Z', metadata: { cart_id: '7' } })
  })

  test('without an API key says nothing of who asks: in a browser the cookie does', async () => {
    await using server = await startServer([{}])
    await clientOf(server, { apiKey: undefined }).stock.auth.me()
    expect(server.last().headers.authorization).toBeUndefined()
  })

  test('leaves the key out where nothing is written', async () => {
    await using server = await startServer([{}])
    const { stock } = clientOf(server)
    await stock.items.get('TEA-1')
    await stock.availability.check({ skus: ['TEA-1'] })
    expect(keys(server)).toEqual([undefined, undefined])
  })

  test('names a sku with strange letters exactly, and refuses one that would be another path', async () => {
    await using server = await startServer([{}])
    const { stock } = clientOf(server)
    await stock.items.get('50% off?#1')
    expect(server.last().path).toBe('/v1/items/50%25%20off%3F%231')
    for (const sku of ['', '.', '..']) expect(() => stock.items.archive(sku)).toThrow('cannot be the name of anything')
    expect(server.asked).toHaveLength(1)
  })

  test('tells beside the answer what came with it', async () => {
    await using server = await startServer([
      { headers: { 'stock-sequence': '42', 'request-id': 'req_1', warning: '110 - "Response is Stale"' } },
      { status: 201, headers: { 'idempotent-replayed': 'true', 'request-id': 'req_2' } },
    ])
    const { stock } = clientOf(server)

    const level = await stock.stockLevels.get('TEA-1', { minSequence: 40 })
    expect(server.last().query.toString()).toBe('min_sequence=40')
    expect(responseOf(level)).toEqual({ status: 200, requestId: 'req_1', sequence: 42, replayed: false, stale: true, idempotencyKey: undefined, attempts: 1 })
    const placed = await stock.holds.place({ lines }, { idempotencyKey: 'again' })
    expect(responseOf(placed)).toMatchObject({ status: 201, replayed: true, idempotencyKey: 'again', sequence: undefined })
    expect(Object.keys(placed)).toEqual([])
    expect(() => responseOf({ ...placed })).toThrow('is not an answer itself')
  })

  test('is refused at once when the client itself is set up wrongly', () => {
    expect(() => holdfast({ url: 'ftp://x', apiKey })).toThrow('http://')
    expect(() => holdfast({ url: 'not a url', apiKey })).toThrow()
    expect(() => holdfast({ url: 'http://x', apiKey: '' })).toThrow('apiKey must be')
    expect(() => holdfast({ url: 'http://x', apiKey: 'hf_1\n2' })).toThrow('apiKey must be')
  })

  test('refuses a key that no header can carry, before anything is sent', async () => {
    await using server = await startServer([{}])
    const { stock } = clientOf(server)
    for (const idempotencyKey of ['', 'a\nb', 'ключ', 'x'.repeat(256)])
      expect(await failure(stock.holds.place({ lines }, { idempotencyKey }))).toBeInstanceOf(TypeError)
    expect(server.asked).toHaveLength(0)
  })
})

describe('a call that fails', () => {
  test('is sent again under the same key until it is answered', async () => {
    await using server = await startServer([
      'cut',
      problem(503, 'unavailable', { retryable: true }),
      { status: 502, headers: { 'content-type': 'text/html' }, body: '<h1>Bad gateway</h1>' },
      { status: 201, body: hold },
    ])
    const { stock, waits } = clientOf(server)

    const placed = await stock.holds.place({ lines })

    expect(responseOf(placed).attempts).toBe(4)
    expect(keys(server)).toEqual(Array(4).fill(responseOf(placed).idempotencyKey))
    expect(responseOf(placed).idempotencyKey).toMatch(/^[0-9a-f]{32}$/)
    expect(waits).toEqual([100, 200, 400])
  })

  test('has a new key when it is called anew', async () => {
    await using server = await startServer([{ status: 201, body: hold }])
    const { stock } = clientOf(server)
    await stock.holds.place({ lines })
    await stock.holds.place({ lines })
    expect(new Set(keys(server)).size).toBe(2)
  })

  test('waits at least as long as the server asks', async () => {
    await using server = await startServer([problem(429, 'rate_limited', { retryable: true }, { 'retry-after': '3' }), {}])
    const { stock, waits } = clientOf(server)
    await stock.items.get('TEA-1')
    expect(waits).toEqual([3_100])
  })

  test('does not wait for longer than the whole call may take', async () => {
    await using server = await startServer([problem(503, 'overloaded', { retryable: true }, { 'retry-after': '120' })])
    const { stock, waits } = clientOf(server)
    expect(await failure(stock.items.get('TEA-1'))).toMatchObject({ code: 'overloaded', retryAfterSeconds: 120 })
    expect(waits).toEqual([])
  })

  test('is given up after the last of its tries', async () => {
    await using server = await startServer([problem(503, 'unavailable', { retryable: true })])
    const { stock, waits } = clientOf(server, { retries: 2 })
    expect(await failure(stock.holds.place({ lines }))).toMatchObject({ code: 'unavailable', status: 503, outcome: 'unknown' })
    expect(server.asked).toHaveLength(3)
    expect(waits).toHaveLength(2)
  })

  test('waits for a request that is still under way under the same key', async () => {
    await using server = await startServer([problem(409, 'idempotency_key_in_use', { retryable: true }), { status: 201, body: hold }])
    const { stock } = clientOf(server)
    await stock.holds.place({ lines }, { idempotencyKey: 'cart-7' })
    expect(keys(server)).toEqual(['cart-7', 'cart-7'])
  })

  test('asks once only when there is not enough stock: that is for the shop to decide', async () => {
    const shortage = {
      sku: 'TEA-1',
      location: 'LON',
      requested: 3,
      available: 2,
      held: 4,
      next_expiry_at: '2026-11-21T10:15:00.000Z',
      incoming: 10,
      level_version: 12,
    }
    await using server = await startServer([
      problem(409, 'insufficient_stock', { retryable: true, detail: '3 of TEA-1 asked at LON: 2 available', shortages: [shortage] }, { 'request-id': 'req_9' }),
    ])
    const { stock } = clientOf(server)

    const error = await failure(stock.holds.place({ lines }))

    expect(server.asked).toHaveLength(1)
    if (!isInsufficientStock(error)) throw error
    expect(error.message).toBe('3 of TEA-1 asked at LON: 2 available [insufficient_stock, req_9]')
    expect(error).toMatchObject({ name: 'HoldfastError', status: 409, retryable: true, requestId: 'req_9', outcome: 'refused' })
    expect(error.shortages[0]).toEqual({
      sku: 'TEA-1',
      location: 'LON',
      requested: 3,
      available: 2,
      held: 4,
      nextExpiryAt: '2026-11-21T10:15:00.000Z',
      incoming: 10,
      levelVersion: 12,
    })
  })

  test('is not sent again when the server says that it is of no use, whatever the status', async () => {
    await using server = await startServer([problem(503, 'unavailable', { retryable: false })])
    const { stock } = clientOf(server)
    expect(await failure(stock.items.get('TEA-1'))).toMatchObject({ code: 'unavailable', retryable: false })
    expect(server.asked).toHaveLength(1)
  })

  test('names every fault of the request', async () => {
    await using server = await startServer([problem(400, 'invalid_request', { errors: [{ param: 'lines[0].quantity', message: 'must be >= 1' }] })])
    const error = await failure(clientOf(server).stock.holds.place({ lines }))
    expect(error).toMatchObject({
      code: 'invalid_request',
      errors: [{ param: 'lines[0].quantity', message: 'must be >= 1' }],
      shortages: [],
      requestId: 'req_from_body',
    })
    expect(isRefusal(error, 'invalid_request')).toBe(true)
    expect(isRefusal(error, 'not_found')).toBe(false)
  })

  test('does not change an item twice when it may have been changed already', async () => {
    await using server = await startServer(['cut'])
    const { stock } = clientOf(server)
    expect(await failure(stock.items.update('TEA-1', { name: 'Tea', ifVersion: 3 }))).toMatchObject({ name: 'ConnectionError', outcome: 'unknown' })
    expect(server.asked).toHaveLength(1)
    await failure(stock.items.update('TEA-1', { name: 'Tea' }))
    expect(server.asked).toHaveLength(1 + 6)
  })
})

describe('a call without an answer', () => {
  test('ends in an error that says the outcome is not known, and the key to ask again with', async () => {
    await using server = await startServer(['silence'])
    const { stock } = clientOf(server, { retries: 1, timeoutMs: SHORT_MS })
    const error = await failure(stock.holds.place({ lines }))
    expect(error).toBeInstanceOf(TimeoutError)
    expect(error).toBeInstanceOf(ConnectionError)
    expect(error).not.toBeInstanceOf(HoldfastError)
    expect(error).toMatchObject({
      outcome: 'unknown',
      idempotencyKey: keys(server)[0],
      message: expect.stringContaining(`POST /v1/holds at ${server.url} was not answered within ${SHORT_MS} ms`),
    })
    expect(server.asked).toHaveLength(2)
  })

  test('keeps its time also when the answer begins and does not end', async () => {
    await using server = await startServer([(response) => void response.writeHead(200, { 'content-type': 'application/json' }).write('{"object":')])
    const { stock } = clientOf(server, { retries: 0 })
    expect(await failure(stock.items.get('TEA-1', { timeoutMs: SHORT_MS }))).toBeInstanceOf(TimeoutError)
  })

  test('says that nothing was sent when nobody listens', async () => {
    const server = await startServer([{}])
    await server[Symbol.asyncDispose]()
    const { stock, waits } = clientOf(server)
    expect(await failure(stock.holds.place({ lines }))).toMatchObject({
      name: 'ConnectionError',
      outcome: 'not_sent',
      message: expect.stringContaining('ECONNREFUSED'),
    })
    expect(waits).toHaveLength(5)
  })

  test('is not said to be unsent when an earlier try may have arrived', async () => {
    const refused = Object.assign(new TypeError('fetch failed'), { cause: Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' }) })
    const reset = Object.assign(new TypeError('fetch failed'), { cause: Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }) })
    const causes = [reset, refused]
    const { surroundings } = quickSurroundings()
    const stock = holdfast({ url: 'http://127.0.0.1:1', apiKey, retries: 1, fetch: () => Promise.reject(causes.shift()) }, surroundings)
    expect(await failure(stock.holds.place({ lines }))).toMatchObject({ outcome: 'unknown', message: expect.stringContaining('ECONNREFUSED') })
  })

  test('is not said to be refused for too little stock when an earlier try may still be under way', async () => {
    await using server = await startServer([problem(503, 'unavailable', { retryable: true }), problem(409, 'insufficient_stock', { retryable: true })])
    const { stock } = clientOf(server)
    expect(await failure(stock.holds.place({ lines }))).toMatchObject({ code: 'insufficient_stock', outcome: 'unknown' })
  })

  test('ends at once when its caller gives it up', async () => {
    const controller = new AbortController()
    await using server = await startServer(() => {
      controller.abort(new Error('the buyer left'))
      return 'silence'
    })
    const { stock } = clientOf(server)
    expect(await failure(stock.holds.place({ lines }, { signal: controller.signal }))).toMatchObject({ message: 'the buyer left' })
    expect(await failure(stock.items.get('TEA-1', { signal: controller.signal }))).toMatchObject({ message: 'the buyer left' })
    expect(server.asked).toHaveLength(1)
  })

  test('is given up also while it waits for its next try', async () => {
    const controller = new AbortController()
    await using server = await startServer(() => {
      setImmediate(() => controller.abort(new Error('the buyer left')))
      return problem(503, 'unavailable', { retryable: true }, { 'retry-after': '30' })
    })
    const stock = holdfast({ url: server.url, apiKey })
    expect(await failure(stock.items.get('TEA-1', { signal: controller.signal }))).toMatchObject({ message: 'the buyer left' })
  })
})

describe('an answer that is not from Holdfast', () => {
  test('is an error that shows what was said', async () => {
    await using server = await startServer([
      { status: 403, headers: { 'content-type': 'text/html' }, body: '<h1>\n  Blocked by the firewall</h1>' },
      { status: 301, headers: { location: 'https://elsewhere.example/v1/items/TEA-1' } },
      { status: 200, headers: { 'content-type': 'text/html' }, body: '<h1>Welcome</h1>' },
    ])
    const { stock } = clientOf(server)
    expect(await failure(stock.items.get('TEA-1'))).toMatchObject({
      code: 'unexpected_answer',
      status: 403,
      detail: 'GET /v1/items/TEA-1 answered 403 without a problem document: <h1> Blocked by the firewall</h1>',
    })
    expect(await failure(stock.items.get('TEA-1'))).toMatchObject({
      code: 'unexpected_answer',
      status: 301,
      detail: expect.stringContaining('moved to https://elsewhere.example'),
    })
    expect(await failure(stock.items.get('TEA-1'))).toMatchObject({ code: 'unexpected_answer', status: 200, retryable: false })
    expect(server.asked).toHaveLength(3)
  })
})
