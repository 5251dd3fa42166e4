// On real sockets: what becomes of requests, connections and streams when the process is asked to end.
import { once } from 'node:events'
import { Agent, request, type IncomingMessage } from 'node:http'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import { limits } from '../platform/limits.ts'
import { serveMetrics } from './server.ts'
import { openMetrics } from '../platform/metrics.ts'
import { exampleOf } from './example.ts'
import { headers, stubGateway, type Asked, type Stub } from './gateway.fixture.ts'

const started = async (stub: Stub): Promise<{ stub: Stub; url: string; port: number }> => {
  const { url } = await stub.start({ host: '127.0.0.1', port: 0 })
  onTestFinished(() => stub.stop())
  return { stub, url, port: Number(new URL(url).port) }
}

const ask = async (url: string, agent: Agent, more: Record<string, string> = {}): Promise<IncomingMessage & { text: string }> => {
  const asked = request(url, { agent, headers: headers(more) })
  asked.end()
  const [answer] = (await once(asked, 'response')) as [IncomingMessage] // says node:http
  let text = ''
  for await (const chunk of answer) text += String(chunk)
  return Object.assign(answer, { text })
}

const gated = () => {
  let open: () => void = () => undefined
  const gate = new Promise<void>((resolve) => (open = resolve))
  return { open: () => open(), answer: async ({ operation }: Asked) => (await gate, { ok: true as const, body: exampleOf(operation.output) }) }
}

/** Raw bytes in, everything that comes back until the end. */
const exchange = async (port: number, bytes: string): Promise<string> => {
  const socket = connect(port, '127.0.0.1')
  socket.write(bytes)
  let text = ''
  for await (const chunk of socket) text += String(chunk)
  return text
}

describe('when the process is asked to end', () => {
  test('what is under way is finished, its connection closed after it, and nothing new is taken', async () => {
    const { open, answer } = gated()
    const { stub, url } = await started(stubGateway(answer))
    const agent = new Agent({ keepAlive: true })
    const underWay = ask(`${url}/v1/items`, agent)
    while (stub.asked.length < 1) await sleep(1)

    let stopped = false
    const stopping = stub.stop().then(() => (stopped = true))
    await sleep(50)
    expect(stopped).toBe(false)
    await expect(ask(`${url}/healthz`, new Agent())).rejects.toMatchObject({ code: 'ECONNREFUSED' })

    open()
    const finished = await underWay
    expect([finished.statusCode, finished.headers.connection]).toEqual([200, 'close'])
    await stopping
    agent.destroy()
  })

  test('idle connections, and those that never said anything, do not hold it up', async () => {
    const { stub, url, port } = await started(stubGateway())
    const agent = new Agent({ keepAlive: true })
    await ask(`${url}/v1/items`, agent)
    const silent = connect(port, '127.0.0.1')
    await once(silent, 'connect')
    silent.on('error', () => undefined)
    await sleep(20)
    await stub.stop()
    expect(stub.logged).toEqual([])
    agent.destroy()
    silent.destroy()
  })

  test('over a connection that is open already, it says that it is not ready', async () => {
    const { open, answer } = gated()
    const { stub, url, port } = await started(stubGateway(answer))
    const underWay = ask(`${url}/v1/items`, new Agent())
    while (stub.asked.length < 1) await sleep(1)
    const accepted = once(stub.app.server, 'connection') as Promise<[Socket]> // says node:net
    // Half a request keeps its connection from being idle, once it was read.
    const socket = connect(port, '127.0.0.1')
    socket.write('GET /readyz HTTP/1.1\r\n')
    const [theirs] = await accepted
    while (theirs.bytesRead === 0) await sleep(1)
    const stopping = stub.stop()
    await sleep(20)
    socket.write('Host: x\r\n\r\n')
    let text = ''
    for await (const chunk of socket) text += String(chunk)
    expect(text).toMatch(/^HTTP\/1.1 503 /)
    expect(text).toMatch(/about to end/)
    open()
    await underWay
    await stopping
  })

  test('what is not done in time is cut off', async () => {
    const stub = stubGateway(() => new Promise(() => undefined), { limits: { ...limits.gateway, drainMs: 50 } })
    const { url } = await started(stub)
    const underWay = ask(`${url}/v1/items`, new Agent())
    const cut = expect(underWay).rejects.toMatchObject({ code: 'ECONNRESET' })
    while (stub.asked.length < 1) await sleep(1)
    await stub.stop()
    await cut
    expect(stub.logged.map((line) => line['message'])).toContain('requests that were not done in time are cut off')
  })
})

describe('a stream of events', () => {
  const event = (sequence: number) => ({ ...(exampleOf(eventSchema) as object), sequence, data: { object: 'hold', note: 'line\nbreak' } }) // an event is an object
  const eventSchema = {
    type: 'object',
    required: ['object', 'id', 'type', 'occurred_at', 'subject', 'actor', 'request_id'],
    properties: {
      object: { const: 'event' },
      id: { examples: ['evt_1'] },
      type: { const: 'hold.placed' },
      occurred_at: { type: 'string', format: 'date-time' },
      subject: {
        type: 'object',
        required: ['object', 'id', 'version'],
        properties: { object: { const: 'hold' }, id: { examples: ['hold_1'] }, version: { type: 'integer' } },
      },
      actor: { examples: ['owner'] },
      request_id: { examples: ['req_1'] },
    },
  }

  const openStream = async (url: string, more: Record<string, string> = {}) => {
    const asked = request(`${url}/v1/events/stream`, { headers: headers(more) })
    asked.end()
    const [answer] = (await once(asked, 'response')) as [IncomingMessage] // says node:http
    answer.setEncoding('utf8')
    return { answer, leave: () => asked.destroy() }
  }
  const readUntil = async (answer: IncomingMessage, wanted: RegExp): Promise<string> => {
    let text = ''
    for (;;) {
      const chunk = answer.read() as string | null // its encoding is set
      if (chunk !== null) text += chunk
      if (wanted.test(text)) return text
      await once(answer, 'readable', { signal: AbortSignal.timeout(2_000) })
    }
  }
  const waitUntil = async (is: () => boolean) => {
    for (let n = 0; n < 2_000 && !is(); n += 1) await sleep(1)
    expect(is()).toBe(true)
  }
  async function* endless(signal: AbortSignal | undefined, left: () => void) {
    try {
      for (let sequence = 1; signal?.aborted !== true; sequence += 1) {
        if (sequence < 3) yield event(sequence)
        else await sleep(5)
      }
    } finally {
      left()
    }
  }

  test('tells each event with its sequence, and heartbeats while nothing happens; when the reader leaves, its source is told', async () => {
    let left = false
    const { stub, url } = await started(
      stubGateway(({ call }) => ({ ok: true, body: endless(call.signal, () => (left = true)) }), { limits: { ...limits.gateway, heartbeatMs: 30 } }),
    )
    const { answer, leave } = await openStream(url, { 'last-event-id': '41', 'request-id': 'req_stream' })
    expect(answer.headers).toMatchObject({ 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'request-id': 'req_stream' })
    const text = await readUntil(answer, /\n\n:\n\n/)
    const told = [...text.matchAll(/id: (\d+)\ndata: (.*)\n\n/g)].map(([, id, data]) => [Number(id), JSON.parse(data ?? '')])
    expect(told).toEqual([
      [1, event(1)],
      [2, event(2)],
    ])
    expect(stub.asked[0]?.input.query).toEqual({ after_sequence: 41 })
    leave()
    await waitUntil(() => left)
  })

  test('ends when the process ends', async () => {
    let left = false
    const { stub, url } = await started(stubGateway(({ call }) => ({ ok: true, body: endless(call.signal, () => (left = true)) })))
    const { answer } = await openStream(url)
    await readUntil(answer, /id: 2\n/)
    const ended = once(answer.resume(), 'end')
    await stub.stop()
    await ended
    expect(left).toBe(true)
    expect(stub.logged).toEqual([])
  })

  test('waits for a reader that is slow instead of piling up what it has not read', async () => {
    let told = 0
    async function* flood(signal: AbortSignal | undefined) {
      for (let sequence = 1; sequence <= 100_000 && signal?.aborted !== true; sequence += 1) {
        told = sequence
        yield { ...event(sequence), data: 'x'.repeat(10_000) }
        if (sequence % 100 === 0) await sleep(0)
      }
    }
    const { url } = await started(stubGateway(({ call }) => ({ ok: true, body: flood(call.signal) })))
    const { answer, leave } = await openStream(url)
    answer.pause()
    // It stands still when nothing more was told between two looks.
    for (let before = -1; told === 0 || told !== before; await sleep(100)) before = told
    expect(told).toBeLessThan(100_000)
    leave()
  })

  test('a refusal, a wrong Last-Event-ID and one stream too many are problems like others', async () => {
    const { stub, url } = await started(
      stubGateway(({ call }) => ({ ok: true, body: endless(call.signal, () => undefined) }), { limits: { ...limits.gateway, streams: 1 } }),
    )
    expect((await ask(`${url}/v1/events/stream`, new Agent(), { 'last-event-id': 'x' })).statusCode).toBe(400)
    const { leave } = await openStream(url)
    const second = await ask(`${url}/v1/events/stream`, new Agent())
    expect([second.statusCode, JSON.parse(second.text).code]).toEqual([503, 'overloaded'])
    leave()
    await waitUntil(() => stub.asked.at(-1)?.call.signal?.aborted === true)
    const refusing = await started(stubGateway(() => ({ ok: false, refusal: { code: 'unavailable', detail: 'no' } })))
    expect((await ask(`${refusing.url}/v1/events/stream`, new Agent())).statusCode).toBe(503)
  })
})

describe('what is no request at all', () => {
  test('is answered with a problem, and the connection closed', async () => {
    const { port } = await started(stubGateway())
    expect(await exchange(port, 'nonsense\r\n\r\n')).toMatch(
      /^HTTP\/1.1 400 Bad Request\r\nContent-Type: application\/problem\+json[\s\S]*"code":"invalid_request"/,
    )
    expect(await exchange(port, `GET /healthz HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`)).toMatch(
      /^HTTP\/1.1 413 [\s\S]*"code":"payload_too_large"/,
    )
  })

  test('a request that dawdles is ended', async () => {
    const { port } = await started(stubGateway(undefined, { limits: { ...limits.gateway, requestMs: 100, headersMs: 50, connectionCheckMs: 20 } }))
    expect(await exchange(port, 'POST /v1/holds HTTP/1.1\r\nHost: x\r\nContent-Le')).toMatch(/^HTTP\/1.1 400 [\s\S]*did not arrive in time/)
  })
})

test('the private port has the metrics and nothing else', async () => {
  const metrics = openMetrics({ process: false })
  metrics.gauge('answer', 'The answer.', () => 42)
  const inside = await serveMetrics(metrics, { host: '127.0.0.1', port: 0 })
  onTestFinished(() => inside.stop())
  expect((await ask(inside.url, new Agent())).text).toContain('answer 42')
  expect((await ask(inside.url.replace('/metrics', '/v1/items'), new Agent())).statusCode).toBe(404)
})
