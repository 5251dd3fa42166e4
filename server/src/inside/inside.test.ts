// Two processes of ours speak with each other: what becomes of a call when the other side is away, paused, restarted or of two minds.
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { operations, type Operation } from '@holdfast/contract'
import { expect, onTestFinished, test } from 'vitest'
import { freePort } from '../../test/support/free-port.ts'
import { until } from '../../test/support/until.ts'
import { limits } from '../platform/limits.ts'
import { anyone, type Answer, type Call } from '../services/service.ts'
import { remoteRole } from './client.ts'
import { inside, type Inside } from './server.ts'

const KEY = 'the key that only our own processes know'
const NEXT_KEY = 'the key that takes its place, when all have it'
const { holds, items, events } = operations

test('a call arrives as it was made, and its answer comes back', async () => {
  const { url, asked } = await answering(async () => ({ ok: true, body: { id: 'hold_1' }, sequence: 7, replayed: true }))
  const call = {
    ...aCall,
    caller: { ...anyone, principal: 'key_shop', scopes: new Set(['holds:write'] as const), locations: new Set(['LON']) },
    idempotencyKey: 'cart-1',
  }

  const answer = await role([url]).ask(holds.place, { params: {}, query: {}, body: { lines: [{ sku: 'TEA', quantity: 1 }] } }, call)

  expect(answer).toEqual({ ok: true, body: { id: 'hold_1' }, sequence: 7, replayed: true })
  expect(asked).toMatchObject([{ input: { body: { lines: [{ sku: 'TEA', quantity: 1 }] } }, call: { requestId: 'req_12345678', idempotencyKey: 'cart-1' } }])
  expect(asked[0]?.call.caller.scopes).toEqual(new Set(['holds:write']))
  expect(asked[0]?.call.caller.locations).toEqual(new Set(['LON']))
})

test('a refusal is an answer, and is not asked for again', async () => {
  const { url, asked } = await answering(async () => ({ ok: false, refusal: { code: 'overloaded', detail: 'too much' } }))

  expect(await role([url]).ask(items.list, {}, aCall)).toEqual({ ok: false, refusal: { code: 'overloaded', detail: 'too much' } })
  expect(asked).toHaveLength(1)
})

test('whoever does not know the key is answered nothing, and does not learn what runs here', async () => {
  const { url, asked } = await answering(async () => ({ ok: true, body: {} }))

  expect(await role([url], { serviceKey: 'another key, of somebody else entirely' }).ask(items.list, {}, aCall)).toMatchObject(away)
  for (const path of ['/state', '/metrics', '/call/items.list', '/call/nothing'])
    expect((await fetch(url + path, { method: path.startsWith('/call') ? 'POST' : 'GET' })).status).toBe(401)
  expect(asked).toEqual([])
  // While a key is replaced, some have the new one and some the old.
  expect(await role([url], { serviceKey: NEXT_KEY }).ask(items.list, {}, aCall)).toMatchObject({ ok: true })
})

test('of two processes one is away: everybody is answered by the other', async () => {
  const { url, asked } = await answering(async () => ({ ok: true, body: {} }))
  const both = role([`http://127.0.0.1:${await freePort()}`, url])

  for (let n = 0; n < 20; n += 1) expect(await both.ask(holds.place, {}, aCall)).toEqual({ ok: true, body: {} })
  expect(asked).toHaveLength(20)
})

test('a process that is restarted is waited for, and nobody notices', async () => {
  const port = await freePort()
  const asking = role([`http://127.0.0.1:${port}`]).ask(holds.place, {}, aCall)
  await until('it is asked while nobody is there', async () => !(await isOpen(port)))

  await answering(async () => ({ ok: true, body: { late: true } }), { port })

  expect(await asking).toEqual({ ok: true, body: { late: true } })
})

test('when nobody has been there for long, everybody is told at once that nothing was done', async () => {
  const one = role([`http://127.0.0.1:${await freePort()}`], { patienceMs: 100 })
  expect(await one.ask(holds.place, {}, aCall)).toMatchObject(away)
  expect(await one.ask(holds.place, {}, aCall)).toMatchObject(away)

  const { url } = await answering(async () => ({ ok: true, body: {} }), { port: Number(new URL(one.url).port) })
  expect(url).toBe(one.url)
  await until('it is asked again', async () => (await one.ask(holds.place, {}, aCall)).ok)
})

test('what was sent and not answered is asked for again when that does no harm, and said to be unknown when it might', async () => {
  const mute = await cutting()
  const { url, asked } = await answering(async () => ({ ok: true, body: {} }))

  const both = role([mute.url, url], { failures: 1_000 })
  for (let n = 0; n < 4; n += 1) expect(await both.ask(holds.place, {}, { ...aCall, idempotencyKey: 'cart-1' })).toEqual({ ok: true, body: {} })
  expect(asked).toHaveLength(4)

  const answers: Answer<unknown>[] = []
  for (let n = 0; n < 4; n += 1) answers.push(await both.ask(holds.release, {}, aCall))
  expect(answers.some((answer) => !answer.ok && /whether this was done is not known/.test(answer.refusal.detail))).toBe(true)
})

test('what may be asked again has a bound: many lost answers do not become twice as many questions', async () => {
  const mute = await cutting()
  const one = role([mute.url], { retriesMost: 3, failures: 1_000, retryShare: 0 })

  for (let n = 0; n < 10; n += 1) expect(await one.ask(items.list, {}, aCall)).toMatchObject({ ok: false, refusal: { code: 'unavailable' } })

  expect(mute.connections()).toBe(13)
})

test('a process that is paused keeps a question only for one try', async () => {
  const paused = await answering(() => new Promise(() => undefined))
  const { url } = await answering(async () => ({ ok: true, body: {} }))
  const both = role([paused.url, url], { tryMs: 50 })

  for (let n = 0; n < 4; n += 1) expect(await both.ask(items.list, {}, aCall)).toEqual({ ok: true, body: {} })
})

test('the time that is left goes along, and is not begun anew on the other side', async () => {
  const { url, asked } = await answering(async () => ({ ok: true, body: {} }))

  await role([url]).ask(items.list, {}, { ...aCall, deadline: performance.now() + 700 })
  expect(await role([url]).ask(items.list, {}, { ...aCall, deadline: performance.now() - 1 })).toMatchObject(away)

  expect(asked).toHaveLength(1)
  expect(asked[0]?.leftMs).toBeLessThanOrEqual(700)
})

test('a defect there is a defect here', async () => {
  const { url } = await answering(() => Promise.reject(new Error('a bug of ours')))
  await expect(role([url]).ask(items.list, {}, aCall)).rejects.toThrow('inventory failed')
})

test('events are told as they come, until their reader goes away', async () => {
  const gone = Promise.withResolvers<void>()
  const { url } = await answering(async (_input, { signal }) => ({
    ok: true,
    body: (async function* () {
      signal?.addEventListener('abort', () => gone.resolve())
      for (let sequence = 1; sequence < 1_000_000; sequence += 1) yield { sequence }
    })(),
  }))
  const reader = new AbortController()
  const answer = await role([url]).ask(events.stream, {}, { ...aCall, signal: reader.signal })
  const seen: unknown[] = []
  await expect(
    (async () => {
      for await (const event of (answer as { body: AsyncIterable<unknown> }).body) {
        seen.push(event)
        if (seen.length === 3) reader.abort()
      }
    })(),
  ).rejects.toThrow()

  expect(seen.slice(0, 3)).toEqual([{ sequence: 1 }, { sequence: 2 }, { sequence: 3 }])
  await gone.promise
})

test('a file is handed on piece by piece, and never whole', async () => {
  const received: string[] = []
  const { url } = await answering(async (input) => {
    const { body } = input as { body: { mediaType: string; bytes: AsyncIterable<Uint8Array> } } // an import's input
    received.push(body.mediaType)
    for await (const piece of body.bytes) received.push(Buffer.from(piece).toString())
    return { ok: true, body: { rows: received.length } }
  })
  const answer = await role([url]).ask(
    operations.items.import,
    {
      params: {},
      query: { dry_run: true },
      body: {
        mediaType: 'text/csv',
        bytes: (async function* () {
          yield Buffer.from('sku,name\n')
          await until('the first piece has arrived', async () => received.length > 1)
          yield Buffer.from('TEA,Tea\n')
        })(),
      },
    },
    aCall,
  )

  expect(answer).toMatchObject({ ok: true })
  expect(received).toEqual(['text/csv', 'sku,name\n', 'TEA,Tea\n'])
})

test('a file of which something was sent is not sent again to somebody else, who would take it for an empty one', async () => {
  const { url: wrongKey } = await answering(async () => ({ ok: true, body: {} }), { serviceKey: 'another key, of somebody else entirely' })
  const { url, asked } = await answering(async () => ({ ok: true, body: {} }))
  const both = role([url, wrongKey])

  expect(await both.ask(operations.items.import, fileIn([Buffer.alloc(100_000), Buffer.alloc(100_000)]), aCall)).toMatchObject({
    ok: false,
    refusal: { code: 'unavailable' },
  })
  expect(asked).toEqual([])
})

test('what is wrong with the sender of a file is said as it is, and nobody here is left alone for it', async () => {
  const { url } = await answering(async (input) => {
    let bytes = 0
    for await (const piece of (input as { body: { bytes: AsyncIterable<Uint8Array> } }).body.bytes) bytes += piece.length // an import's input
    return { ok: true, body: { bytes } }
  })
  const one = role([url])
  const brokenOff = async function* () {
    yield Buffer.from('sku,name\n')
    throw new Error('the sender has gone')
  }

  for (let n = 0; n < 5; n += 1) await expect(one.ask(operations.items.import, fileIn(brokenOff()), aCall)).rejects.toThrow('the sender has gone')
  expect(await one.ask(operations.items.import, fileIn([Buffer.from('sku,name')]), aCall)).toEqual({ ok: true, body: { bytes: 8 } })
})

test('however many streams are open, calls go on', async () => {
  const { url } = await answering(async (_input, { signal, requestId }) =>
    requestId === 'req_a-stream' ? { ok: true, body: silence(signal) } : { ok: true, body: {} },
  )
  const one = role([url])
  const readers = new AbortController()
  onTestFinished(() => readers.abort())
  const opened = Array.from({ length: 200 }, () => one.ask(events.stream, {}, { ...aCall, requestId: 'req_a-stream', signal: readers.signal }))
  expect((await Promise.all(opened)).every((answer) => answer.ok)).toBe(true)

  expect(await one.ask(items.list, {}, aCall)).toEqual({ ok: true, body: {} })
})

test('a stream on which nothing happens ends with the process that tells it', async () => {
  const { url, server } = await answering(async (_input, { signal }) => ({ ok: true, body: silence(signal) }), { drainMs: 60_000 })
  const answer = await role([url]).ask(events.stream, {}, aCall)

  await server.stop()

  const told: unknown[] = []
  for await (const event of (answer as { body: AsyncIterable<unknown> }).body) told.push(event)
  expect(told).toEqual([])
})

test('whoever says goodbye is left alone until it is ready again', async () => {
  const leaving = await answering(async () => ({ ok: true, body: {} }))
  const { url, asked } = await answering(async () => ({ ok: true, body: {} }))
  const both = role([leaving.url, url])
  leaving.server.drain()

  for (let n = 0; n < 20; n += 1) expect(await both.ask(holds.place, {}, aCall)).toEqual({ ok: true, body: {} })

  expect(leaving.asked.length).toBeLessThanOrEqual(1)
  expect(asked.length).toBeGreaterThanOrEqual(19)
})

test('after an answer was lost, nobody is told that nothing was done', async () => {
  const mute = await cutting()
  const one = role([mute.url], { patienceMs: 50, retriesMost: 100, failures: 2 })

  expect(await one.ask(holds.place, {}, { ...aCall, idempotencyKey: 'cart-1' })).toMatchObject({
    ok: false,
    refusal: { detail: expect.stringMatching(/whether this was done is not known/) },
  })
})

test('whoever drains still answers what comes, and says goodbye', async () => {
  const { url, server } = await answering(async () => ({ ok: true, body: {} }))
  server.drain()

  const response = await fetch(`${url}/call/items.list`, {
    method: 'POST',
    headers: { authorization: `Bearer ${KEY}` },
    body: '{"input":{},"call":{"caller":{"scopes":[],"locations":null}}}',
  })
  expect(response.status).toBe(200)
  expect(response.headers.get('connection')).toBe('close')
  expect((await fetch(`${url}/readyz`)).status).toBe(503)
  expect((await fetch(`${url}/healthz`)).status).toBe(200)
})

const aCall: Call = { caller: { ...anyone, principal: 'key_shop' }, origin: { address: '127.0.0.1', userAgent: null }, requestId: 'req_12345678' }
const away = { ok: false, refusal: { code: 'unavailable', retryAfterSeconds: 1 } }

const role = (urls: readonly string[], { serviceKey = KEY, ...own }: Partial<typeof limits.inside> & { serviceKey?: string } = {}) => {
  const remote = remoteRole({
    role: 'inventory',
    urls,
    serviceKey,
    limits: { ...limits.inside, patienceMs: 1_000, waitMs: 5, probeMs: 10, ...own },
    onFault: () => undefined,
  })
  onTestFinished(() => remote.stop())
  return { ...remote, url: urls[0] ?? '' }
}

type Seen = { readonly input: unknown; readonly call: Call; readonly leftMs: number }

const answering = async (
  handler: (input: unknown, call: Call) => Promise<Answer<unknown>>,
  { port = 0, serviceKey = KEY, drainMs = 10 }: { readonly port?: number; readonly serviceKey?: string; readonly drainMs?: number } = {},
): Promise<{ readonly url: string; readonly asked: readonly Seen[]; readonly server: Inside }> => {
  const asked: Seen[] = []
  const server = inside({
    handlerOf: (_operation: Operation) => (input, call) => {
      asked.push({ input, call, leftMs: (call.deadline ?? Number.NaN) - performance.now() })
      return handler(input, call)
    },
    ready: () => true,
    state: () => ({ process: 'test', roles: [] }),
    metrics: { contentType: 'text/plain', text: async () => '' },
    serviceKeys: [NEXT_KEY, serviceKey],
    limits: { ...limits.inside, drainMs },
    log: { warn: () => undefined, error: () => undefined },
  })
  const { url } = await server.start({ host: '127.0.0.1', port })
  onTestFinished(() => server.stop())
  return { url, asked, server }
}

const fileIn = (pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>) => ({
  params: {},
  query: {},
  body: {
    mediaType: 'text/csv',
    bytes: (async function* () {
      yield* pieces
    })(),
  },
})

/** A stream on which nothing happens until its reader goes. */
async function* silence(signal: AbortSignal | undefined): AsyncGenerator<{ sequence: number }> {
  await new Promise<void>((resolve) => signal?.addEventListener('abort', () => resolve(), { once: true }))
  if (signal?.aborted !== true) yield { sequence: 1 }
}

/** Takes what is sent, and hangs up. */
const cutting = async () => {
  let connections = 0
  const server: Server = createServer((request) => {
    if (request.method !== 'POST') return void request.socket.destroy()
    connections += 1
    request.socket.destroy()
  })
  server.listen(0, '127.0.0.1')
  await new Promise((resolve) => void server.once('listening', resolve))
  onTestFinished(() => void server.close())
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, connections: () => connections } // it listens on a port
}

const isOpen = (port: number): Promise<boolean> =>
  fetch(`http://127.0.0.1:${port}/healthz`).then(
    () => true,
    () => false,
  )
