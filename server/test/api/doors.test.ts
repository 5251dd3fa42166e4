// Who may come in, with what, and what is said to whoever may not: never more than they need to know.
import { once } from 'node:events'
import { request as ask, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { text as readAll } from 'node:stream/consumers'
import { allOperations, problems, rejectionCodes, type RejectionCode } from '@holdfast/contract'
import { responseOf } from '@holdfast/sdk'
import { afterAll, describe, expect, test } from 'vitest'
import { problemFault } from '../support/contract-check.ts'
import { API_KEY, ownDatabase, runCommand, startServer, until, type Answered, type RequestOptions } from '../support/server.ts'
import { stockUp } from '../support/shop.ts'
import { isOfRoles } from '../support/topology.ts'

const database = await ownDatabase()
const server = await startServer(database)
await stockUp(server.stock, { LON: { 'DOOR-1': 100 } })

const lines = [{ sku: 'DOOR-1', quantity: 1, location: 'LON' }]
/** Everything that was refused, to look at the end for what should not have been said. */
const refusals: Answered[] = []

const refused = async (code: RejectionCode, method: string, path: string, options: RequestOptions = {}): Promise<Answered> => {
  const answer = await server.request(method, path, options)
  refusals.push(answer)
  expect(problemFault(answer), `${method} ${path}: ${answer.text}`).toBeUndefined()
  expect(answer, `${method} ${path}`).toMatchObject({ status: problems[code].status, body: { code, retryable: problems[code].retryable } })
  return answer
}
/** The names of what is wrong with a request, as it is told. */
const wrongIn = ({ body }: Answered): string[] => (body as { errors?: { param: string }[] }).errors?.map(({ param }) => param) ?? [] // a problem, as was checked

describe('without a good key', () => {
  const ways: [string, RequestOptions][] = [
    ['no key', { apiKey: null }],
    ['a key that nobody has', { apiKey: 'hf_nobody-has-this-key-0123456789abcdef' }],
    ['something that is no key', { apiKey: 'admin' }],
    ['an endless key', { apiKey: `hf_${'a'.repeat(5_000)}` }],
    ['a name and a password', { apiKey: null, headers: { authorization: 'Basic YWRtaW46YWRtaW4=' } }],
    ['a key in a cookie', { apiKey: null, headers: { cookie: `api_key=hf_for-tests-only-0123456789abcdefghijkl` } }],
  ]
  test.each(ways)('%s: every operation is closed, whatever is sent', async (_, options) => {
    for (const { method, path } of allOperations.filter(({ scope }) => scope !== 'anyone')) {
      const answer = await refused('unauthenticated', method, exampleOf(path), { ...options, ...(method === 'POST' ? { text: 'not even JSON' } : {}) })
      expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer/)
    }
  })

  test('a key in the address opens nothing', async () => {
    await refused('unauthenticated', 'GET', '/v1/items?api_key=hf_for-tests-only-0123456789abcdefghijkl', { apiKey: null })
  })

  test('metrics are for whoever has any key', async () => {
    await refused('unauthenticated', 'GET', '/metrics', { apiKey: null })
    const { status, text } = await server.request('GET', '/metrics')
    expect(status).toBe(200)
    expect(text).toContain('# TYPE')
  })

  test('metrics say whether anything waits: events, webhooks, imports', async () => {
    const names = [
      'outbox_oldest_seconds',
      'webhook_deliveries_pending',
      'webhook_deliveries_overdue_seconds',
      'imports_running',
      'imports_left',
      'sessions_open',
    ]
    await until('the database was asked', async () => {
      const text = await server.metrics()
      return names.every((name) => new RegExp(`^${name} [0-9.]+$`, 'm').test(text))
    })
  })

  test('a key that is revoked opens nothing after five seconds', async () => {
    const made = await runCommand(database, ['key', 'create', 'Lost on the tube', '--scope', 'items:read', '--json'])
    const { id, key } = JSON.parse(made.output) as { id: string; key: string } // what key create prints
    expect(await server.request('GET', '/v1/items', { apiKey: key })).toMatchObject({ status: 200 })
    expect(await runCommand(database, ['key', 'revoke', id])).toMatchObject({ code: 0 })
    // In use all the time, so that a memory that is renewed by use would show.
    await until('the key is refused', async () => (await server.request('GET', '/v1/items', { apiKey: key })).status === 401, { withinMs: 5_500 })
    await refused('unauthenticated', 'GET', '/v1/items', { apiKey: key })
  })
})

/** Asks for a hold with two keys, each in a line of its own, which fetch would join. */
const holdWithKeys = async (keys: string[]): Promise<{ readonly status: number | undefined; readonly body: unknown }> => {
  const asked = ask(`${server.url}/v1/holds`, {
    method: 'POST',
    headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json', 'idempotency-key': keys },
  })
  asked.end(JSON.stringify({ lines }))
  const [response] = (await once(asked, 'response')) as [IncomingMessage] // says node:http
  return { status: response.statusCode, body: JSON.parse(await readAll(response)) }
}

const exampleOf = (path: string): string => path.replace('{id}', 'hold_01jd8w2k5v7x9n3q4r6t8y0z1b').replace('{sku}', 'NO-SUCH').replace('{code}', 'NOWHERE')

describe('what is no request of ours', () => {
  test('a path that is not there', async () => {
    for (const path of [
      '/',
      '/v1',
      '/v2/items',
      '/v1/itemz',
      '/v1/items/a/b',
      '/v1/holds/hold_01jd8w2k5v7x9n3q4r6t8y0z1b/explode',
      '/.env',
      '/v1/constructor',
      '/docs/problems/nope',
    ])
      await refused('not_found', 'GET', path)
    await refused('not_found', 'GET', '/nothing', { apiKey: null })
  })

  test('a method that the path does not take: it is told which ones', async () => {
    expect((await refused('method_not_allowed', 'DELETE', '/v1/holds')).headers.get('allow')).toBe('GET, HEAD, POST')
    expect((await refused('method_not_allowed', 'PUT', '/v1/items/DOOR-1')).headers.get('allow')).toBe('DELETE, GET, HEAD, PATCH')
    for (const [method, path] of [
      ['PATCH', '/v1/receipts'],
      ['GET', '/v1/holds/hold_01jd8w2k5v7x9n3q4r6t8y0z1b/execute'],
      ['OPTIONS', '/v1/items'],
      ['POST', '/healthz'],
      ['POST', '/v1/events'],
    ] as const)
      await refused('method_not_allowed', method, path)
  })

  test('a body that is not JSON', async () => {
    const sent = (text: string | Uint8Array<ArrayBuffer>, type = 'application/json') => ({ text, idempotencyKey: 'odd', headers: { 'content-type': type } })
    for (const type of ['text/plain', 'application/xml', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'nonsense'])
      await refused('unsupported_media_type', 'POST', '/v1/holds', sent('{}', type))
    for (const text of ['{', '{"lines":[}', "{'lines':[]}", '{"lines":[],}', '[1', '\u0000', 'NaN', '{"a":01}'])
      await refused('invalid_request', 'POST', '/v1/holds', sent(text))
    await refused('invalid_request', 'POST', '/v1/holds', sent(new Uint8Array([0x22, 0xff, 0xfe, 0x22])))
    for (const text of ['null', '[]', '"text"', '7', '']) await refused('invalid_request', 'POST', '/v1/holds', sent(text))
  })

  test('a body with something in it that would be taken for something else', async () => {
    const hold = (text: string) => ({ text, idempotencyKey: 'odd' })
    const wrong = async (text: string) => wrongIn(await refused('invalid_request', 'POST', '/v1/holds', hold(text)))
    expect(await wrong('{"lines":[{"sku":"DOOR-1","quantity":1e3}]}')).toEqual(['lines[0].quantity'])
    expect(await wrong('{"lines":[{"sku":"DOOR-1","quantity":1.0e0}]}')).toEqual(['lines[0].quantity'])
    expect(await wrong('{"lines":[{"sku":"DOOR-1","quantity":-0}]}')).toEqual(['lines[0].quantity'])
    expect(await wrong('{"lines":[{"sku":"DOOR-1","quantity":1.5}]}')).toEqual(['lines[0].quantity'])
    expect(await wrong('{"lines":[{"sku":"DOOR-1","quantity":"1"}]}')).toEqual(['lines[0].quantity'])
    expect(await wrong('{"lines":[{"sku":"DOOR-1","quantity":9007199254740993}]}')).toEqual(['lines[0].quantity'])
    expect(await wrong('{"lines":[{"sku":"DOOR-1","quantity":1,"__proto__":{"quantity":5}}]}')).toEqual(['lines[0].__proto__'])
    expect(await wrong('{"lines":[{"sku":"DOOR-1","quantity":1}],"\\u005f_proto__":{"mode":"best_effort"}}')).toEqual(['__proto__'])
    expect(await wrong('{"lines":[{"sku":"DOOR-1\\u0000","quantity":1}]}')).toEqual(['lines[0].sku'])
    expect(await wrong('{"lines":[{"sku":" DOOR-1","quantity":1}]}')).toEqual(['lines[0].sku'])
    expect(await wrong('{"lines":[{"sku":"DOOR-1","quantity":1}],"metadata":{"a":"\\ud800"}}')).toEqual(['metadata.a'])
    expect(await wrong(`{"lines":${'['.repeat(5_000)}${']'.repeat(5_000)}}`)).not.toEqual([])
  })

  test('a body that is compressed', async () => {
    for (const encoding of ['gzip', 'br', 'identity, gzip'])
      await refused('unsupported_media_type', 'POST', '/v1/holds', { body: { lines }, idempotencyKey: 'odd', headers: { 'content-encoding': encoding } })
    const { status } = await server.request('POST', '/v1/holds?dry_run=true', { body: { lines }, headers: { 'content-encoding': 'identity' } })
    expect(status).toBe(201)
  })

  test('two keys for one request: nobody knows under which of them it will be asked for again', async () => {
    expect(await holdWithKeys(['cart-1', 'cart-1'])).toMatchObject({
      status: 400,
      body: { code: 'invalid_request', errors: [{ param: 'Idempotency-Key', message: 'must be sent once' }] },
    })
    const { status } = await server.request('POST', '/v1/holds', { body: { lines }, idempotencyKey: 'one, with a comma' })
    expect(status).toBe(201)
  })

  test('fields and parameters that are not known, all told at once', async () => {
    const body = { lines: [{ sku: 'DOOR-1', quantity: 0, colour: 'red' }], ttl: 5, mode: 'maybe' }
    const answer = await refused('invalid_request', 'POST', '/v1/holds?dryrun=true', { body, idempotencyKey: 'odd' })
    expect(wrongIn(answer).toSorted()).toEqual(['dryrun', 'lines[0].colour', 'lines[0].quantity', 'mode', 'ttl'])
    expect(wrongIn(await refused('invalid_request', 'GET', '/v1/items?skus=a&limit=ten'))).toEqual(['skus', 'limit'])
    expect(wrongIn(await refused('invalid_request', 'GET', '/v1/items?limit=1&limit=2'))).toEqual(['limit'])
    expect(wrongIn(await refused('invalid_request', 'GET', '/v1/items?__proto__=1'))).toEqual(['__proto__'])
    expect(wrongIn(await refused('invalid_request', 'DELETE', '/v1/items/DOOR-1', { body: { really: true } }))).toEqual([''])
  })

  test('more than a request may hold', async () => {
    const long = (count: number) => ({ location: 'LON', lines: Array.from({ length: count }, () => ({ sku: 'DOOR-1', quantity: 1 })) })
    expect(wrongIn(await refused('invalid_request', 'POST', '/v1/receipts', { body: long(2_001), idempotencyKey: 'odd' }))).toEqual(['lines'])
    expect(await server.request('POST', '/v1/receipts', { body: long(2_000), idempotencyKey: 'long' })).toMatchObject({
      status: 201,
      body: { lines: [{ sku: 'DOOR-1', quantity: 2_000 }] },
    })
    expect(wrongIn(await refused('invalid_request', 'POST', '/v1/receipts', { body: { location: 'LON', lines: [] }, idempotencyKey: 'odd' }))).toEqual([
      'lines',
    ])
    await refused('payload_too_large', 'POST', '/v1/receipts', { text: `{"location":"${'x'.repeat(1_100_000)}"}`, idempotencyKey: 'odd' })
    await refused('payload_too_large', 'GET', `/v1/items?q=${'x'.repeat(5_000)}`)
    await refused('invalid_request', 'POST', '/v1/holds', { body: { lines }, idempotencyKey: 'x'.repeat(256) })
    const pairs = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`name ${index}`, 'value']))
    await refused('invalid_request', 'POST', '/v1/holds', { body: { lines, metadata: pairs(51) }, idempotencyKey: 'odd' })
    expect(await server.request('POST', '/v1/holds', { body: { lines, metadata: pairs(50) }, idempotencyKey: 'x'.repeat(255) })).toMatchObject({ status: 201 })
  })

  test('a header without end, and what is no HTTP at all', async () => {
    const answers = await Promise.all([
      rawly(`GET /v1/items HTTP/1.1\r\nHost: x\r\nX-Long: ${'x'.repeat(40_000)}\r\n\r\n`),
      rawly('HELLO THERE\r\n\r\n'),
      rawly('GET /v1/items/%zz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'),
      rawly('GET /v1/items?q=%00 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'),
    ])
    expect(answers.map((answer) => answer.status)).toEqual([413, 400, 400, 400])
    for (const answer of answers) expect(problemFault(answer), answer.text).toBeUndefined()
    refusals.push(...answers)
  })
})

describe('a list', () => {
  // A list that belongs to one thing is looked at where the thing is, and a person's own where the person is.
  const pagedLists = allOperations.filter(
    ({ input, scope }) => scope !== 'person' && input.params === undefined && input.query !== undefined && 'starting_after' in input.query.properties,
  )

  test('takes pages of 1 to 100', async () => {
    expect(pagedLists.length).toBeGreaterThan(8)
    for (const { path } of pagedLists) {
      for (const limit of ['0', '101', '-1', '1.5', '', 'all'])
        expect(wrongIn(await refused('invalid_request', 'GET', `${path}?limit=${limit}`)), path).toEqual(['limit'])
      for (const limit of ['1', '100']) expect((await server.request('GET', `${path}?limit=${limit}`)).status, path).toBe(200)
    }
  })

  test('does not take a place in another list for one of its own', async () => {
    const hold = await server.stock.holds.place({ lines })
    const receipt = await server.stock.receipts.create({ location: 'LON', lines: [{ sku: 'DOOR-1', quantity: 1 }] })
    const entries = await server.request('GET', '/v1/ledger_entries?limit=1')
    const levels = await server.request('GET', '/v1/stock_levels?limit=1')
    const cursor = ({ body }: Answered) => (body as { next_cursor: string | null }).next_cursor // a list
    const foreign = [
      hold.id,
      receipt.id,
      cursor(entries),
      cursor(levels),
      'DOOR-1',
      'LON',
      'nonsense',
      '%20',
      "' or 1=1 --",
      'ent_1-1-1-nowhere-held',
      '99999999999.1',
      '0.0',
    ].filter((place) => place !== null)
    const own: Readonly<Record<string, readonly (string | null)[]>> = {
      '/v1/items': ['DOOR-1'],
      '/v1/locations': ['LON'],
      '/v1/holds': [hold.id],
      '/v1/receipts': [receipt.id],
      '/v1/ledger_entries': [cursor(entries)],
      '/v1/stock_levels': [cursor(levels), '0.0'],
    }
    for (const { path } of pagedLists)
      for (const place of foreign) {
        const asked = `${path}?starting_after=${encodeURIComponent(place)}`
        if (own[path]?.includes(place)) expect((await server.request('GET', asked)).status, asked).toBe(200)
        else expect(wrongIn(await refused('invalid_request', 'GET', asked)), asked).toEqual(['starting_after'])
      }
  })
})

test('stock that is newer than all there is cannot be read yet: the reader is told when to come back', async () => {
  const sequence = responseOf(await server.stock.stockLevels.get('DOOR-1')).sequence ?? 0
  const query = `min_sequence=${sequence + 1_000_000}`
  const answers = await Promise.all([
    refused('unavailable', 'GET', `/v1/stock_levels?${query}`),
    refused('unavailable', 'GET', `/v1/stock_levels/DOOR-1?${query}`),
    refused('unavailable', 'GET', `/v1/availability/DOOR-1?${query}`),
    refused('unavailable', 'POST', `/v1/availability?${query}`, { body: { skus: ['DOOR-1'] } }),
    refused('unavailable', 'GET', `/v1/ledger_entries?${query}`),
  ])
  for (const answer of answers) expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
  for (const wrong of ['-1', '1.5', 'soon', '99999999999999999999']) await refused('invalid_request', 'GET', `/v1/stock_levels?min_sequence=${wrong}`)
})

test('instants that do not exist are refused, and those at the ends of time are taken', async () => {
  for (const wrong of ['yesterday', '2026-02-30T00:00:00Z', '2026-13-01T00:00:00Z', '2026-01-01', '2026-01-01T25:00:00Z', '2026-01-01T00:00:00'])
    await refused('invalid_request', 'GET', `/v1/ledger_entries?since=${wrong}`)
  for (const right of [
    '0001-01-01T00:00:00Z',
    '0000-01-01T00:00:00Z',
    '9999-12-31T23:59:59.999Z',
    '2024-02-29T12:00:00%2B14:00',
    '2026-01-01T00:00:00.123456789Z',
  ]) {
    expect(await server.request('GET', `/v1/ledger_entries?since=${right}&until=${right}`), right).toMatchObject({ status: 200, body: { data: [] } })
    expect((await server.request('GET', `/v1/stock_levels?sku=DOOR-1&as_of=${right}`)).status, right).toBe(200)
  }
})

test('the pages that tell of the server are open to everybody', async () => {
  const open = (path: string) => server.request('GET', path, { apiKey: null })
  expect(await open('/healthz')).toMatchObject({ status: 200, body: { status: 'alive' } })
  expect(await open('/readyz')).toMatchObject({ status: 200, body: { status: 'ready' } })
  expect(await open('/openapi.json')).toMatchObject({ status: 200, body: { openapi: '3.1.0' } })
  const docs = await open('/docs')
  expect(docs.status).toBe(200)
  expect(docs.headers.get('content-type')).toContain('text/html')
  expect(docs.headers.get('content-security-policy')).toContain("default-src 'none'")
  for (const code of rejectionCodes) {
    expect(docs.text).toContain(`/docs/problems/${code}`)
    const page = await open(`/docs/problems/${code}`)
    expect(page.status, code).toBe(200)
    expect(page.text).toContain(problems[code].title)
  }
})

test('a request id of the caller goes through everything; any other is replaced', async () => {
  const asked = async (id: string) => (await refused('not_found', 'GET', '/v1/items/NO-SUCH', { headers: { 'request-id': id } })).headers.get('request-id')
  expect(await asked('checkout-8841.try_1')).toBe('checkout-8841.try_1')
  expect(await asked('short')).toMatch(/^req_/)
  expect(await asked('with spaces and "quotes"')).toMatch(/^req_/)
  const hold = await server.stock.holds.place({ lines }, { requestId: 'followed-through' })
  expect((await server.stock.events.list({ type: 'hold.placed', limit: 1 }).page()).data).toMatchObject([
    { requestId: 'followed-through', subject: { id: hold.id } },
  ])
})

test('in nothing that was refused is anything said of what is inside', () => {
  expect(refusals.length).toBeGreaterThan(300)
  const inside = [
    /\.[jt]s\b/,
    /node_modules/,
    /\bat \w+ \(/,
    /\/(home|root|tmp|usr|var|work)\//,
    /\bselect\b.*\bfrom\b/i,
    /\binsert into\b/i,
    /\bpg_/,
    /postgres/i,
    /sqlstate/i,
    /fastify|FST_/i,
    /ECONN/,
    /for-tests-only/,
    /127\.0\.0\.1/,
  ]
  for (const { text, headers } of refusals) {
    for (const sign of inside) expect(text).not.toMatch(sign)
    expect(headers.get('x-powered-by')).toBeNull()
    expect(headers.get('server')).toBe(isOfRoles ? 'nginx' : null)
    expect(headers.get('cache-control')).toBe('no-store')
    expect(headers.get('x-content-type-options')).toBe('nosniff')
  }
})

afterAll(() => {
  // Nor is a key ever written to the log.
  expect(server.said()).not.toContain('for-tests-only')
})

/** Bytes as they are, for what fetch would put right. */
const rawly = async (request: string): Promise<Answered> => {
  const { hostname, port } = new URL(server.url)
  const socket = connect({ host: hostname, port: Number(port) })
  socket.write(request)
  const answer = await readAll(socket)
  const [head = '', text = ''] = answer.split('\r\n\r\n', 2)
  const [first = '', ...rest] = head.split('\r\n')
  const headers = new Headers(rest.map((line): [string, string] => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]))
  return { status: Number(first.split(' ')[1]), headers, text, body: JSON.parse(text) }
}
