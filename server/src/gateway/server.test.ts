import { allOperations, everywhere, problems, scopes, type Operation } from '@holdfast/contract'
import { afterAll, describe, expect, test } from 'vitest'
import { limits } from '../platform/limits.ts'
import { exampleBody, exampleOf, exampleUpload } from './example.ts'
import { headers, hold, HOLD, KEY, stubGateway, TOKEN } from './gateway.fixture.ts'

const stub = stubGateway()
afterAll(() => stub.stop())

const post = (url: string, payload?: unknown, more: Record<string, string> = { 'idempotency-key': 'k-1' }) =>
  stub.app.inject({ method: 'POST', url, headers: headers(more), ...(payload === undefined ? {} : { payload: payload as object }) }) // whatever a caller may send
const get = (url: string, more: Record<string, string> = {}) => stub.app.inject({ method: 'GET', url, headers: headers(more) })
const raw = (payload: string | Buffer, type = 'application/json') =>
  stub.app.inject({ method: 'POST', url: '/v1/holds', headers: headers({ 'idempotency-key': 'k', 'content-type': type }), payload })

/** An example body is an object; a file is text. */
const payloadOf = (operation: Operation) => {
  if (operation.bodyTypes?.[0] !== undefined) return { payload: exampleUpload(operation.bodyTypes[0]) }
  const body = exampleBody(operation)
  return body === undefined ? {} : { payload: body as object }
}

describe('every operation of the table', () => {
  test.each(allOperations.filter((operation) => !operation.streams).map((operation) => [operation.name, operation] as const))(
    '%s can be asked as its example says',
    async (_name, operation) => {
      const params = exampleOf(operation.input.params ?? {}) as Record<string, string> // parameters are a record of texts
      const url = operation.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => params[name] ?? '')
      const answer = await stub.app.inject({
        method: operation.method,
        url,
        headers:
          operation.scope === 'person'
            ? { host: 'shop.example', cookie: `__Host-holdfast=${TOKEN}`, 'sec-fetch-site': 'same-origin' }
            : headers({ 'idempotency-key': 'k', ...(operation.bodyTypes?.[0] === undefined ? {} : { 'content-type': operation.bodyTypes[0] }) }),
        ...payloadOf(operation),
      })
      expect(answer.body).not.toContain('/docs/problems')
      expect(answer.statusCode).toBe(operation.status)
      expect(answer.json()).toEqual(exampleOf(operation.output))
      expect(answer.headers['stock-sequence']).toBe('12')
    },
  )

  test.each(allOperations.filter(({ scope }) => scope !== 'anyone').map((operation) => [operation.name, operation] as const))(
    '%s is for nobody without a key, with a wrong key, or without its scope',
    async (_name, operation) => {
      const params = exampleOf(operation.input.params ?? {}) as Record<string, string> // parameters are a record of texts
      const url = operation.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => params[name] ?? '')
      const ask = (authorization?: string) => stub.app.inject({ method: operation.method, url, headers: authorization === undefined ? {} : { authorization } })
      const before = stub.asked.length
      for (const authorization of [undefined, '', 'Bearer', 'Bearer hf_wrong', `Basic ${KEY}`, KEY]) {
        const answer = await ask(authorization)
        expect(answer.json()).toMatchObject({ status: 401, code: 'unauthenticated' })
        expect(answer.headers['www-authenticate']).toMatch(/^Bearer/)
      }
      const others = scopes.filter((scope) => scope !== operation.scope).join('+')
      if (operation.scope !== 'caller') expect((await ask(`Bearer ${others}`)).json()).toMatchObject({ status: 403, code: 'permission_denied' })
      expect(stub.asked.length).toBe(before)
    },
  )
})

describe('a refusal', () => {
  test('has the shape of RFC 9457, a code from the closed list, and the id of its request', async () => {
    const answer = await get('/v1/nothing', { 'request-id': 'my-request.1' })
    expect(answer.statusCode).toBe(404)
    expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/)
    expect(answer.json()).toEqual({
      type: '/docs/problems/not_found',
      title: problems.not_found.title,
      status: 404,
      code: 'not_found',
      retryable: false,
      request_id: 'my-request.1',
      detail: 'There is nothing at /v1/nothing. What there is stands in /openapi.json and on /docs.',
    })
  })

  test('of a service is answered with its facts, and with nothing else that it carries', async () => {
    const shortages = [{ sku: 'TEA-1', location: 'LON', requested: 3, available: 2 }]
    const refusing = stubGateway(() => ({
      ok: false,
      replayed: true,
      refusal: { code: 'insufficient_stock', detail: '2 available', shortages, retryAfterSeconds: 7, secret: 'sql' } as never,
    }))
    const answer = await refusing.app.inject({ method: 'POST', url: '/v1/holds', headers: headers({ 'idempotency-key': 'k' }), payload: hold })
    expect(answer.statusCode).toBe(409)
    expect(answer.json()).toMatchObject({ code: 'insufficient_stock', retryable: true, shortages })
    expect(answer.body).not.toContain('sql')
    expect(answer.headers).toMatchObject({ 'retry-after': '7', 'idempotent-replayed': 'true' })
    await refusing.stop()
  })

  test('for now names a time to come back', async () => {
    for (const code of ['overloaded', 'unavailable', 'rate_limited'] as const) {
      const refusing = stubGateway(() => ({ ok: false, refusal: { code, detail: 'later' } }))
      const answer = await refusing.app.inject({ method: 'GET', url: '/v1/items', headers: headers() })
      expect([answer.statusCode, answer.headers['retry-after']]).toEqual([problems[code].status, '1'])
      await refusing.stop()
    }
  })

  test('with 405 says which methods there are', async () => {
    const answer = await stub.app.inject({ method: 'PUT', url: `/v1/holds/${HOLD}/execute` })
    expect([answer.statusCode, answer.headers['allow'], answer.json().code]).toEqual([405, 'POST', 'method_not_allowed'])
    expect((await stub.app.inject({ method: 'DELETE', url: '/v1/items' })).headers['allow']).toBe('GET, HEAD, POST')
  })

  test('shows nothing of a defect; the log has it, under the same request id', async () => {
    const broken = stubGateway(() => {
      throw new Error('select secret from tables at /root')
    })
    const answer = await broken.app.inject({ method: 'GET', url: '/v1/items', headers: headers({ 'request-id': 'req_of_defect' }) })
    expect(answer.json()).toMatchObject({ status: 500, code: 'internal_error', request_id: 'req_of_defect' })
    expect(answer.body).not.toMatch(/secret|root|Error/)
    expect(broken.logged.filter((line) => line['requestId'] === 'req_of_defect').map((line) => line['message'])).toEqual([
      'a defect ended a request',
      'a request failed',
    ])
    expect(JSON.stringify(broken.logged)).toContain('select secret from tables')
    expect(JSON.stringify(broken.logged)).not.toContain(KEY)
    await broken.stop()
  })

  test('an answer that is not what its operation promises is a defect, not half an answer', async () => {
    const broken = stubGateway(() => ({ ok: true, body: { object: 'hold' } }))
    expect((await broken.app.inject({ method: 'GET', url: `/v1/holds/${HOLD}`, headers: headers() })).statusCode).toBe(500)
    await broken.stop()
  })
})

describe('what a request says', () => {
  test('everything that is wrong is told at once: path, query, key and body', async () => {
    const answer = await post('/v1/holds/hold_1/extend?dry_run=maybe&what=1', { ttl_seconds: 0, more: true }, { 'idempotency-key': 'é' })
    expect(answer.statusCode).toBe(400)
    expect(answer.json().errors).toEqual([
      { param: 'Idempotency-Key', message: 'must be 1 to 255 printable ASCII characters' },
      { param: 'id', message: `is not well formed; one that is: ${HOLD}` },
      { param: 'what', message: 'is not known' },
      { param: 'dry_run', message: 'must be true or false' },
      { param: 'more', message: 'is not known' },
      { param: 'ttl_seconds', message: 'must be 1 or more' },
    ])
  })

  test('a body that requires nothing may be left out, empty or {}', async () => {
    for (const answer of [
      await post(`/v1/holds/${HOLD}/execute`),
      await post(`/v1/holds/${HOLD}/execute`, undefined, { 'idempotency-key': 'k', 'content-type': 'application/json' }),
      await post(`/v1/holds/${HOLD}/execute`, {}),
    ]) {
      expect(answer.statusCode).toBe(200)
      expect(stub.asked.at(-1)?.input.body).toEqual({})
    }
    expect((await post('/v1/holds')).json()).toMatchObject({ code: 'invalid_request', errors: [{ param: '', message: 'must be an object' }] })
    expect((await raw('null')).json()).toMatchObject({ code: 'invalid_request', errors: [{ param: '', message: 'must be an object' }] })
  })

  test('an operation without a body refuses one', async () => {
    const answer = await stub.app.inject({ method: 'DELETE', url: '/v1/items/TEA-1', headers: headers(), payload: { force: true } })
    expect(answer.json()).toMatchObject({ code: 'invalid_request', errors: [{ param: '', message: 'this operation takes no body' }] })
    expect((await stub.app.inject({ method: 'DELETE', url: '/v1/items/TEA-1', headers: headers() })).statusCode).toBe(200)
  })

  test('only JSON is read', async () => {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/xml', 'nonsense']) {
      expect((await raw('lines=3', type)).json()).toMatchObject({ status: 415, code: 'unsupported_media_type' })
    }
    expect((await raw(JSON.stringify(hold), 'application/json; charset=utf-8')).statusCode).toBe(201)
    expect((await raw('{"lines":')).json()).toMatchObject({ status: 400, code: 'invalid_request' })
    expect((await raw(Buffer.from([0x7b, 0xff, 0x7d]))).json()).toMatchObject({ status: 400, detail: 'The body is not text in UTF-8.' })
  })

  test('a body of more than a mebibyte and an endless address are too large', async () => {
    expect((await raw(`{"reference":"${'x'.repeat(1_048_577)}"}`)).json()).toMatchObject({ status: 413, code: 'payload_too_large' })
    expect((await get(`/v1/items?q=${'x'.repeat(5_000)}`)).json()).toMatchObject({ status: 413, code: 'payload_too_large' })
  })

  test('a broken path is a bad request, and NUL is refused before it reaches a database', async () => {
    expect((await get('/v1/items/%zz')).json()).toMatchObject({ status: 400, code: 'invalid_request' })
    expect((await get('/v1/items?q=a%00b')).json()).toMatchObject({ status: 400, code: 'invalid_request' })
  })

  test('a list parameter may be written once, many times, and with brackets', async () => {
    const types = async (query: string) => {
      await get(`/v1/events?${query}`)
      return (stub.asked.at(-1)?.input.query as { type?: unknown } | undefined)?.type // the query of events.list
    }
    expect(await types('type=hold.placed')).toBe('hold.placed')
    expect(await types('type[]=hold.placed')).toEqual(['hold.placed'])
    expect(await types('type%5B%5D=hold.placed&type%5B%5D=hold.executed')).toEqual(['hold.placed', 'hold.executed'])
    expect(await types('type=hold.placed&type=hold.executed')).toEqual(['hold.placed', 'hold.executed'])
    expect((await get('/v1/items?brand[]=x')).json().errors).toEqual([{ param: 'brand[]', message: 'is not known' }])
    expect((await get('/v1/items?brand=x&brand=y')).json().errors).toEqual([{ param: 'brand', message: 'must be a string' }])
  })

  test('numbers and yes or no are read from the address, and nothing is guessed', async () => {
    await get('/v1/stock_levels?limit=7&low=true&min_sequence=12')
    expect(stub.asked.at(-1)?.input.query).toEqual({ limit: 7, low: true, min_sequence: 12 })
    for (const wrong of ['limit=7.5', 'limit=1e1', 'limit=', 'limit=101', 'low=1', 'low=TRUE', 'min_sequence=-1', '__proto__=1']) {
      expect((await get(`/v1/stock_levels?${wrong}`)).statusCode, wrong).toBe(400)
    }
  })
})

describe('idempotency keys', () => {
  test('are required where stock moves, unless it is only tried out', async () => {
    expect((await post('/v1/holds', hold, {})).json()).toMatchObject({ status: 400, code: 'idempotency_key_required' })
    expect((await post('/v1/holds?dry_run=false', hold, {})).json()).toMatchObject({ code: 'idempotency_key_required' })
    expect((await post('/v1/holds?dry_run=true', hold, {})).statusCode).toBe(201)
    expect(stub.asked.at(-1)).toMatchObject({ input: { query: { dry_run: true } } })
  })

  test('are honoured on every POST, and only there', async () => {
    await post('/v1/items', { sku: 'TEA-1', name: 'Tea' }, { 'idempotency-key': 'again' })
    expect(stub.asked.at(-1)?.call.idempotencyKey).toBe('again')
    await post('/v1/items', { sku: 'TEA-1', name: 'Tea' }, {})
    expect(stub.asked.at(-1)?.call).not.toHaveProperty('idempotencyKey')
    await stub.app.inject({ method: 'PATCH', url: '/v1/items/TEA-1', headers: headers({ 'idempotency-key': 'again' }), payload: { name: 'T' } })
    expect(stub.asked.at(-1)?.call).not.toHaveProperty('idempotencyKey')
  })

  test('have 1 to 255 printable characters', async () => {
    for (const key of ['x'.repeat(256), 'tab\there', 'é', '']) {
      expect((await post('/v1/holds', hold, { 'idempotency-key': key })).json(), key).toMatchObject({ status: 400, code: 'invalid_request' })
    }
    expect((await post('/v1/holds', hold, { 'idempotency-key': `~ ${'x'.repeat(253)}` })).statusCode).toBe(201)
  })

  test('an answer given before says so', async () => {
    const replaying = stubGateway(({ operation }) => ({ ok: true, body: exampleOf(operation.output), sequence: 3, replayed: true }))
    const answer = await replaying.app.inject({ method: 'POST', url: '/v1/holds', headers: headers({ 'idempotency-key': 'k' }), payload: hold })
    expect(answer.headers).toMatchObject({ 'idempotent-replayed': 'true', 'stock-sequence': '3' })
    await replaying.stop()
  })
})

describe('request ids', () => {
  test("a well formed one of the caller's goes through everything", async () => {
    const answer = await get('/v1/items', { 'request-id': 'abc-DEF_1.2' })
    expect(answer.headers['request-id']).toBe('abc-DEF_1.2')
    expect(stub.asked.at(-1)?.call.requestId).toBe('abc-DEF_1.2')
  })

  test('others are replaced', async () => {
    for (const id of ['short', 'has blank inside', 'x'.repeat(129), 'quote"quote', '']) {
      expect((await get('/v1/items', { 'request-id': id })).headers['request-id']).toMatch(/^req_[0-9a-z]{20}$/)
    }
  })
})

describe('load and logs', () => {
  test('more than can be answered in good time is refused at once, and taken again later', async () => {
    let open: () => void = () => undefined
    const gate = new Promise<void>((resolve) => (open = resolve))
    const busy = stubGateway(async ({ operation }) => (await gate, { ok: true, body: exampleOf(operation.output) }), {
      limits: { ...limits.gateway, inFlight: 2 },
    })
    const ask = () => busy.app.inject({ method: 'GET', url: '/v1/items', headers: headers() })
    const first = [ask(), ask()]
    while (busy.asked.length < 2) await new Promise((resolve) => setTimeout(resolve, 1))
    const third = await ask()
    expect(third.json()).toMatchObject({ status: 503, code: 'overloaded' })
    expect(third.headers['retry-after']).toBe('1')
    open()
    expect((await Promise.all(first)).map((answer) => answer.statusCode)).toEqual([200, 200])
    expect((await ask()).statusCode).toBe(200)
    await busy.stop()
  })

  test('a key that cannot be checked is no wrong key', async () => {
    const cut = stubGateway(undefined, { identify: () => Promise.reject(new Error('connection refused')) })
    const answer = await cut.app.inject({ method: 'GET', url: '/v1/items', headers: headers() })
    expect(answer.json()).toMatchObject({ status: 503, code: 'unavailable' })
    await cut.stop()
  })

  test('a hundred keys that cannot be checked while the database is away are one line', async () => {
    const cut = stubGateway(undefined, { identify: () => Promise.reject(new Error('connection refused')) })
    for (let time = 0; time < 100; time += 1) await cut.app.inject({ method: 'GET', url: '/v1/items', headers: headers() })
    expect(cut.logged.map((line) => line['message'])).toEqual(['a key could not be checked'])
    await cut.stop()
  })

  test('a key that has to be looked up first is served the same', async () => {
    const slow = stubGateway(undefined, {
      identify: async (key) => (key === KEY ? { principal: 'shop', scopes: new Set(scopes), locations: null } : undefined),
    })
    expect((await slow.app.inject({ method: 'GET', url: '/v1/items', headers: headers() })).statusCode).toBe(200)
    expect((await slow.app.inject({ method: 'GET', url: '/v1/items', headers: { authorization: 'Bearer hf_other' } })).statusCode).toBe(401)
    await slow.stop()
  })

  test('a day without faults leaves no lines; asked to, every request leaves one', async () => {
    const quiet = stubGateway()
    await quiet.app.inject({ method: 'GET', url: '/v1/items', headers: headers() })
    expect(quiet.logged).toEqual([])
    await quiet.stop()
    const talkative = stubGateway(undefined, { logRequests: true })
    await talkative.app.inject({ method: 'GET', url: '/v1/items', headers: headers({ 'request-id': 'req_to_log' }) })
    await talkative.app.inject({ method: 'POST', url: '/v1/holds', headers: headers(), payload: hold })
    expect(talkative.logged).toMatchObject([
      { level: 'info', requestId: 'req_to_log', operation: 'items.list', principal: 'shop', status: 200 },
      { level: 'info', operation: 'holds.place', status: 400, code: 'idempotency_key_required' },
    ])
    await talkative.stop()
  })
})

describe('around the operations', () => {
  test('alive and ready are told to everybody; not ready while starting', async () => {
    let isReady = false
    const starting = stubGateway(undefined, { ready: () => isReady })
    const ask = (url: string) => starting.app.inject({ url })
    expect((await ask('/healthz')).statusCode).toBe(200)
    expect((await ask('/readyz')).json()).toMatchObject({ status: 503, code: 'unavailable' })
    isReady = true
    expect((await ask('/readyz')).json()).toEqual({ status: 'ready' })
    await starting.stop()
  })

  test('metrics count each operation by status and time, for those who have a key', async () => {
    const counted = stubGateway()
    await counted.app.inject({ method: 'GET', url: '/v1/items', headers: headers() })
    await counted.app.inject({ method: 'GET', url: '/v1/items?x=1', headers: headers() })
    expect((await counted.app.inject({ url: '/metrics' })).statusCode).toBe(401)
    const text = (await counted.app.inject({ url: '/metrics', headers: headers() })).body
    expect(text).toContain('requests_total{operation="items.list",status="200"} 1')
    expect(text).toContain('requests_total{operation="items.list",status="400"} 1')
    expect(text).toContain('request_duration_seconds_count{operation="items.list"} 2')
    await counted.stop()
  })

  test('answers are not to be kept, sniffed or told to other origins', async () => {
    const answer = await get('/v1/items', { origin: 'https://elsewhere.example' })
    expect(answer.headers).toMatchObject({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' })
    expect(answer.headers['access-control-allow-origin']).toBeUndefined()
  })

  test('every code of every operation has a page', async () => {
    for (const code of new Set([...everywhere, ...allOperations.flatMap((operation) => operation.rejections)])) {
      const answer = await stub.app.inject({ url: `/docs/problems/${code}` })
      expect([code, answer.statusCode]).toEqual([code, 200])
      expect(answer.body).toContain(problems[code].title)
    }
  })
})
