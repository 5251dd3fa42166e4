// The door itself: what browsers are told, which proxies are believed, what is shed, what is cut off, and how an operation says goodbye.
import { once } from 'node:events'
import { Agent, request, type IncomingMessage } from 'node:http'
import { connect, type Socket } from 'node:net'
import { text as readAll } from 'node:stream/consumers'
import { allOperations, operation, type Operation } from '@holdfast/contract'
import { describe, expect, onTestFinished, test } from 'vitest'
import { until } from '../../test/support/until.ts'
import { limits, type GatewayLimits } from '../platform/limits.ts'
import { docsPages } from './docs-page.ts'
import { exampleOf } from './example.ts'
import { headers, stubGateway, type Stub } from './gateway.fixture.ts'
import { openApi } from './openapi.ts'
import type { GatewayDeps } from './server.ts'

const operations = allOperations.filter(({ name }) => name === 'items.list' || name === 'items.create')

const stubWith = (changes: Partial<GatewayDeps> = {}, changedLimits: Partial<GatewayLimits> = {}): Stub => {
  const stub = stubGateway(undefined, { operations, limits: { ...limits.gateway, ...changedLimits }, ...changes })
  onTestFinished(() => stub.stop())
  return stub
}
const listening = async (stub: Stub): Promise<number> => Number(new URL((await stub.start({ host: '127.0.0.1', port: 0 })).url).port)

describe('what a browser may do with an answer', () => {
  const always = { 'x-content-type-options': 'nosniff', 'cross-origin-resource-policy': 'same-origin' }
  const data = { ...always, 'content-security-policy': "default-src 'none'; frame-ancestors 'none'", 'cache-control': 'no-store' }

  test('data is not kept, sniffed, framed or run, whether it is an answer or a refusal', async () => {
    const stub = stubWith()
    for (const url of ['/v1/items', '/v1/items?limit=0', '/v1/nothing', '/v1/items/%zz', '/healthz'])
      expect((await stub.app.inject({ url, headers: headers() })).headers, url).toMatchObject(data)
    const socket = connect(await listening(stub), '127.0.0.1')
    socket.write('NONSENSE\r\n\r\n')
    const answer = (await readAll(socket)).toLowerCase()
    for (const [name, value] of Object.entries(data)) if (typeof value === 'string') expect(answer).toContain(`\r\n${name}: ${value}\r\n`)
  })

  test('pages show themselves and nothing else', async () => {
    const stub = stubWith()
    for (const url of ['/docs', '/docs/problems/not_found']) {
      const { headers: told } = await stub.app.inject({ url })
      expect(told, url).toMatchObject({
        ...always,
        'referrer-policy': 'no-referrer',
        'cross-origin-opener-policy': 'same-origin',
        'permissions-policy': expect.stringContaining('camera=()'),
        'content-type': 'text/html; charset=utf-8',
        'cache-control': 'no-cache',
      })
      expect(told['content-security-policy']).toMatch(
        /^default-src 'none'; style-src 'sha256-[^']+'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'$/,
      )
    }
  })

  test('TLS is asked for ever after only where TLS is: said by a proxy that is trusted', async () => {
    const stub = stubWith({ trustedProxies: ['10.0.0.0/8'] })
    const told = async (remoteAddress: string, proto: string) =>
      (await stub.app.inject({ url: '/v1/items', remoteAddress, headers: headers({ 'x-forwarded-proto': proto }) })).headers['strict-transport-security']
    expect(await told('10.1.2.3', 'https')).toBe('max-age=31536000; includeSubDomains')
    expect(await told('10.1.2.3', 'http')).toBeUndefined()
    expect(await told('192.0.2.1', 'https')).toBeUndefined()
  })
})

describe('pages of other origins', () => {
  const shop = 'https://shop.example'
  const preflight = { origin: shop, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization, idempotency-key' }

  test('may ask when their origin is named, and read what an SDK needs to read', async () => {
    const stub = stubWith({ corsOrigins: [shop, 'http://localhost:5173'] })
    const answer = await stub.app.inject({ url: '/v1/items', headers: headers({ origin: shop }) })
    expect(answer.headers).toMatchObject({ 'access-control-allow-origin': shop, vary: 'Origin' })
    for (const name of ['Request-Id', 'Stock-Sequence', 'Idempotent-Replayed', 'Retry-After', 'RateLimit', 'RateLimit-Policy', 'Deprecation'])
      expect(answer.headers['access-control-expose-headers']).toContain(name)
    expect(answer.headers['access-control-allow-credentials']).toBeUndefined()
    // A refusal, too: a page that may not read it would not know why.
    const refused = await stub.app.inject({ url: '/v1/items', headers: { origin: shop } })
    expect([refused.statusCode, refused.headers['access-control-allow-origin']]).toEqual([401, shop])
  })

  test('ask first without credentials, and are told what they may send', async () => {
    const stub = stubWith({ corsOrigins: [shop] })
    const answer = await stub.app.inject({ method: 'OPTIONS', url: '/v1/items', headers: preflight })
    expect([answer.statusCode, answer.body]).toEqual([204, ''])
    expect(answer.headers).toMatchObject({
      'access-control-allow-origin': shop,
      'access-control-allow-methods': 'GET, HEAD, POST, PATCH, DELETE',
      'access-control-allow-headers': expect.stringContaining('Idempotency-Key'),
      'access-control-max-age': '7200',
    })
    expect(stub.asked).toEqual([])
  })

  test('are not let in when they only look like one that is named, and none is when none is named', async () => {
    const stub = stubWith({ corsOrigins: [shop] })
    for (const origin of ['https://shop.example.evil.example', 'http://shop.example', 'https://shop.example:8443', 'null', 'https://SHOP.example']) {
      const answer = await stub.app.inject({ url: '/v1/items', headers: headers({ origin }) })
      expect([answer.statusCode, answer.headers['access-control-allow-origin'], answer.headers['vary']]).toEqual([200, undefined, 'Origin'])
      expect((await stub.app.inject({ method: 'OPTIONS', url: '/v1/items', headers: { ...preflight, origin } })).statusCode).toBe(405)
    }
    const closed = stubWith()
    expect((await closed.app.inject({ method: 'OPTIONS', url: '/v1/items', headers: preflight })).statusCode).toBe(405)
    expect((await closed.app.inject({ url: '/v1/items', headers: headers({ origin: shop }) })).headers).not.toHaveProperty('vary')
  })
})

describe('who is said to have asked', () => {
  const from = async (stub: Stub, remoteAddress: string, more: Record<string, string>) => {
    await stub.app.inject({ url: '/v1/items', remoteAddress, headers: headers(more) })
    return stub.asked.at(-1)?.call.origin.address
  }

  test('a proxy that is trusted says for whom it asks; further back than that nobody is believed', async () => {
    const stub = stubWith({ trustedProxies: ['10.0.0.0/8', 'fd00::1'] })
    expect(await from(stub, '10.0.0.1', { 'x-forwarded-for': '203.0.113.7' })).toBe('203.0.113.7')
    expect(await from(stub, 'fd00::1', { 'x-forwarded-for': '2001:db8::7' })).toBe('2001:db8::7')
    expect(await from(stub, '::ffff:10.0.0.1', { 'x-forwarded-for': '203.0.113.7' })).toBe('203.0.113.7')
    // What the caller wrote itself stands to the left of what the proxy saw.
    expect(await from(stub, '10.0.0.1', { 'x-forwarded-for': '198.51.100.1, 203.0.113.7, 10.0.0.9' })).toBe('203.0.113.7')
    expect(await from(stub, '10.0.0.1', {})).toBe('10.0.0.1')
  })

  test('what is no address is none', async () => {
    const stub = stubWith({ trustedProxies: ['10.0.0.1'] })
    for (const forged of ['unknown', "'; drop table", '1.2.3.4.5', 'x'.repeat(5_000)])
      expect(await from(stub, '10.0.0.1', { 'x-forwarded-for': forged })).toBe('10.0.0.1')
  })

  test('anybody else says it in vain, and so does everybody when no proxy is trusted', async () => {
    const forged = { 'x-forwarded-for': '10.0.0.1', 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'https', forwarded: 'for=10.0.0.1' }
    expect(await from(stubWith({ trustedProxies: ['10.0.0.0/8'] }), '192.0.2.1', forged)).toBe('192.0.2.1')
    expect(await from(stubWith(), '192.0.2.1', forged)).toBe('192.0.2.1')
    expect(await from(stubWith(), '::ffff:192.0.2.1', forged)).toBe('192.0.2.1')
  })
})

describe('when there is more than can be done', () => {
  test('a loop that is late again and again sheds what is new, goes on telling of itself, and takes again when it is over', async () => {
    let open: () => void = () => undefined
    const gate = new Promise<void>((resolve) => (open = resolve))
    const answer = { ok: true as const, body: exampleOf(operations.find(({ name }) => name === 'items.list')?.output) }
    const stub = stubGateway(async () => (await gate, answer), {
      operations,
      limits: { ...limits.gateway, loopLookMs: 5, loopLagMs: 20, inFlightWhenLate: 3 },
    })
    onTestFinished(() => stub.stop())
    const ask = async () => stub.app.inject({ url: '/v1/items', headers: headers() })
    const underWay = Array.from({ length: 5 }, ask)
    await until('five are under way', () => stub.asked.length === 5)
    let busy = true
    const work = (): void => {
      const end = performance.now() + 60
      while (performance.now() < end);
      if (busy) setTimeout(work, 0)
    }
    work()
    const most = async () => Number(/^requests_in_flight_most (\S+)/m.exec((await stub.app.inject({ url: '/metrics', headers: headers() })).body)?.[1])
    await until('it takes no more than three', async () => (await most()) === 3)
    const shed = await ask()
    expect([shed.statusCode, shed.json().code, shed.headers['retry-after']]).toEqual([503, 'overloaded', '1'])
    expect((await stub.app.inject({ url: '/healthz' })).statusCode).toBe(200)
    busy = false
    open()
    expect((await Promise.all(underWay)).map(({ statusCode }) => statusCode)).toEqual([200, 200, 200, 200, 200])
    await until('it takes more again', async () => (await most()) > 3 && (await ask()).statusCode === 200)
  })

  test('a thousand slow requests are told of in a few lines', async () => {
    const stub = stubWith({}, { slowMs: -1 })
    for (let i = 0; i < 50; i += 1) await stub.app.inject({ url: '/v1/items', headers: headers() })
    await until('they are counted', () => stub.logged.some((line) => String(line['message']).startsWith('many requests were slow')))
    expect(stub.logged.filter((line) => line['message'] === 'a request was slow').length).toBeLessThanOrEqual(limits.gateway.slowLines * 3)
  })

  test('a loop that is late with little to do sheds nothing: it would help nobody', async () => {
    const stub = stubWith({}, { loopLookMs: 5, loopLagMs: 20 })
    for (let turn = 0; turn < 6; turn += 1) {
      const end = performance.now() + 60
      while (performance.now() < end);
      await new Promise((resolve) => setTimeout(resolve, 1))
      expect((await stub.app.inject({ url: '/v1/items', headers: headers() })).statusCode).toBe(200)
    }
  })

  test('one long turn is no load', async () => {
    const stub = stubWith({}, { loopLookMs: 5, loopLagMs: 20, inFlightWhenLate: 0 })
    const end = performance.now() + 200
    while (performance.now() < end);
    await new Promise((resolve) => setTimeout(resolve, 1))
    expect((await stub.app.inject({ url: '/v1/items', headers: headers() })).statusCode).toBe(200)
  })
})

describe('who keeps a place without using it', () => {
  /** Looked at often, so that a test need not wait. */
  const soon = { connectionCheckMs: 20, requestMs: 150, headersMs: 100, keepAliveMs: 100, silentMs: 300 }
  const ended = async (socket: Socket): Promise<string> => {
    let text = ''
    try {
      for await (const chunk of socket) text += String(chunk)
    } catch (error) {
      // Whoever is cut off while it still writes is told so by its own system.
      expect(error).toMatchObject({ code: expect.stringMatching(/^(ECONNRESET|EPIPE)$/) })
    }
    return text
  }
  /** One byte after the other, for ever. */
  const drip = (socket: Socket): void => {
    const drops = setInterval(() => socket.write('a'), 10)
    socket.once('close', () => clearInterval(drops))
    socket.once('error', () => clearInterval(drops))
  }

  test('a header that never ends is refused in time', async () => {
    const socket = connect(await listening(stubWith({}, soon)), '127.0.0.1')
    socket.write('GET /v1/items HTTP/1.1\r\nHost: x\r\nX-Slow: ')
    drip(socket)
    expect(await ended(socket)).toMatch(/^HTTP\/1\.1 400 .*did not arrive in time/s)
  })

  test('a body that never ends is refused in time, and nothing is done', async () => {
    const stub = stubWith({}, soon)
    const socket = connect(await listening(stub), '127.0.0.1')
    socket.write(
      `POST /v1/items HTTP/1.1\r\nHost: x\r\nAuthorization: ${headers()['authorization']}\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{"sku":"`,
    )
    drip(socket)
    await ended(socket)
    expect(stub.asked).toEqual([])
  })

  test('a connection on which nothing is said is closed', async () => {
    const socket = connect(await listening(stubWith({}, soon)), '127.0.0.1')
    expect(await ended(socket)).toMatch(/^$|^HTTP\/1\.1 400 /)
  })

  test('an answer that nobody reads is not kept for ever', async () => {
    const long = { ...(exampleOf(allOperations.find(({ name }) => name === 'items.list')?.output) as object), next_cursor: 'x'.repeat(20_000_000) } // a list
    const stub = stubGateway(() => ({ ok: true, body: long }), { operations, limits: { ...limits.gateway, ...soon } })
    onTestFinished(() => stub.stop())
    const socket = connect(await listening(stub), '127.0.0.1')
    socket.pause()
    socket.on('error', () => undefined)
    socket.write(`GET /v1/items HTTP/1.1\r\nHost: x\r\nAuthorization: ${headers()['authorization']}\r\n\r\n`)
    await until('it was answered', () => stub.asked.length === 1)
    const connections = () =>
      new Promise<number>((resolve, reject) => stub.app.server.getConnections((error, count) => (error ? reject(error) : resolve(count))))
    await until('its connection is closed', async () => (await connections()) === 0)
    socket.destroy()
  })

  test('more connections than there are places for do not disturb those that have one', async () => {
    const stub = stubWith({}, { connections: 3 })
    const port = await listening(stub)
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const ask = async (): Promise<number | undefined> => {
      const asked = request({ port, host: '127.0.0.1', path: '/v1/items', agent, headers: headers() }).end()
      const [answer] = (await once(asked, 'response')) as [IncomingMessage] // says node:http
      answer.resume()
      await once(answer, 'end')
      return answer.statusCode
    }
    expect(await ask()).toBe(200)
    const others = Array.from({ length: 6 }, () => connect(port, '127.0.0.1').on('error', () => undefined))
    await until('those too many are closed', () => others.filter((socket) => socket.destroyed || socket.readyState !== 'open').length >= 4)
    expect(await ask()).toBe(200)
    agent.destroy()
    for (const socket of others) socket.destroy()
  })

  test('a connection stays open for longer than the proxies in front keep it', () => {
    // Whoever closes first decides whether a request is lost on the way: nginx, HAProxy and AWS close after 60 s.
    expect(limits.gateway.keepAliveMs).toBeGreaterThan(60_000)
    expect(limits.gateway.silentMs).toBeGreaterThan(limits.gateway.keepAliveMs)
    expect(limits.gateway.silentMs).toBeGreaterThan(limits.gateway.heartbeatMs * 2)
  })
})

describe('an operation that will go', () => {
  const list = operations.find(({ name }) => name === 'items.list')
  if (list === undefined) throw new Error('there is items.list')
  const old: Operation = operation({
    ...list,
    name: 'items.search',
    path: '/v1/items_search',
    deprecated: { since: '2026-01-01T00:00:00Z', sunset: '2027-06-30T00:00:00Z', successor: '/v1/items' },
  })

  test('says so with every answer and every refusal, and others say nothing', async () => {
    const stub = stubWith({ operations: [...operations, old] })
    for (const sent of [headers(), {}]) {
      const { headers: told } = await stub.app.inject({ url: '/v1/items_search', headers: sent })
      expect(told).toMatchObject({ deprecation: '@1767225600', sunset: 'Wed, 30 Jun 2027 00:00:00 GMT', link: '</v1/items>; rel="successor-version"' })
    }
    expect((await stub.app.inject({ url: '/v1/items', headers: headers() })).headers).not.toHaveProperty('deprecation')
  })

  test('says as much as is known', async () => {
    const stub = stubWith({ operations: [{ ...old, deprecated: { since: '2026-01-01T00:00:00Z' } }] })
    const { headers: told } = await stub.app.inject({ url: '/v1/items_search', headers: headers() })
    expect([told['deprecation'], told['sunset'], told['link']]).toEqual(['@1767225600', undefined, undefined])
  })

  test('is shown as such in the document and on the page', () => {
    const { paths } = openApi([...operations, old]) as { paths: Record<string, Record<string, Record<string, unknown>>> } // as made beside
    expect(paths['/v1/items_search']?.['get']).toMatchObject({
      deprecated: true,
      description: expect.stringContaining('Deprecated since 2026-01-01, gone from 2027-06-30 on. Use /v1/items instead.'),
      responses: { 200: { headers: { Deprecation: {}, Sunset: {}, Link: {} } }, 401: { headers: { Deprecation: {} } } },
    })
    expect(paths['/v1/items']?.['get']).not.toHaveProperty('deprecated')
    expect(docsPages([old])[0]?.html).toContain('Deprecated since 2026-01-01, gone from 2027-06-30 on. Use /v1/items instead.')
  })

  test('with a date that is none does not start', () => {
    expect(() => stubGateway(undefined, { operations: [{ ...old, deprecated: { since: 'soon' } }] })).toThrow('soon')
  })
})
