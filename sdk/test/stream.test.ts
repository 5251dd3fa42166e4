import type { ServerResponse } from 'node:http'
import { describe, expect, test } from 'vitest'
import { holdfast } from '@holdfast/sdk'
import { problem, type Reply, startServer, type TestServer } from './support/server.ts'
import { quickSurroundings } from './support/surroundings.ts'

const apiKey = 'hf_0123456789abcdef0123456789abcdef'
const SHORT_MS = 30
const MANY = 1_000

const event = (sequence: number) => ({
  object: 'event',
  id: `evt_${sequence}`,
  type: 'hold.placed',
  sequence,
  occurred_at: 'now',
  data: { expires_at: 'soon', metadata: { cart_id: '7' } },
})
const message = (sequence: number, end = '\n') => [`id: ${sequence}`, 'event: hold.placed', `data: ${JSON.stringify(event(sequence))}`, '', ''].join(end)
/** Says these pieces one after another; then ends, breaks off or says nothing more. */
const says =
  (pieces: readonly string[], then: 'end' | 'break' | 'silence' = 'end'): Reply =>
  async (response: ServerResponse) => {
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' })
    for (const piece of pieces) await new Promise<void>((resolve) => response.write(piece, () => setImmediate(resolve)))
    if (then === 'end') response.end()
    if (then === 'break') response.destroy()
  }

const read = async (server: TestServer, until: number, options: Parameters<ReturnType<typeof holdfast>['events']['stream']>[1] = {}) => {
  const { surroundings, waits } = quickSurroundings()
  const sequences: number[] = []
  for await (const { sequence } of holdfast({ url: server.url, apiKey }, surroundings).events.stream({ afterSequence: 0, type: ['hold.placed'] }, options)) {
    sequences.push(sequence)
    if (sequence >= until) break
  }
  return { sequences, waits }
}

describe('a stream of events', () => {
  test('gives each event as it is written, in the words of the SDK', async () => {
    await using server = await startServer([says([': welcome\n\n', message(1), message(2)], 'silence')])
    const stream = holdfast({ url: server.url, apiKey }).events.stream({ afterSequence: 0 })
    expect((await stream.next()).value).toEqual({
      object: 'event',
      id: 'evt_1',
      type: 'hold.placed',
      sequence: 1,
      occurredAt: 'now',
      data: { expiresAt: 'soon', metadata: { cart_id: '7' } },
    })
    expect((await stream.next()).value).toMatchObject({ sequence: 2 })
    await stream.return()
    expect(server.last()).toMatchObject({ path: '/v1/events/stream', headers: { accept: 'text/event-stream', authorization: `Bearer ${apiKey}` } })
  })

  test('goes on after the last event when the connection ends or breaks, none twice and none left out', async () => {
    await using server = await startServer([
      says([message(1), message(2)], 'end'),
      says([message(3), message(4).slice(0, -10)], 'break'),
      problem(503, 'unavailable', { retryable: true }),
      'cut',
      says([message(4), message(5)], 'silence'),
    ])
    const { sequences } = await read(server, 5)
    expect(sequences).toEqual([1, 2, 3, 4, 5])
    expect(server.asked.map(({ headers }) => headers['last-event-id'])).toEqual([undefined, '2', '3', '3', '3'])
    expect(server.asked.map(({ query }) => query.toString())).toEqual([0, 2, 3, 3, 3].map((after) => `after_sequence=${after}&type=hold.placed`))
  })

  test('does not repeat events to its reader when the server begins too early', async () => {
    await using server = await startServer([says([message(1), message(2)]), says([message(1), message(2), message(3)])])
    expect((await read(server, 3)).sequences).toEqual([1, 2, 3])
  })

  test('waits longer with each failure, and as long as the server asks', async () => {
    await using server = await startServer(['cut', 'cut', says(['retry: 20000\n\n', message(1)]), says([message(2)])])
    expect((await read(server, 2)).waits).toEqual([1_000, 2_000, 10_000])
  })

  test('is made again when it is silent for too long', async () => {
    await using server = await startServer([says([message(1)], 'silence'), says([message(2)], 'silence')])
    expect((await read(server, 2, { silenceMs: SHORT_MS })).sequences).toEqual([1, 2])
    expect(server.last().headers['last-event-id']).toBe('1')
  })

  test.each([
    ['carriage returns', message(1, '\r\n') + message(2, '\r\n') + '\r\n'],
    ['pieces of one letter', message(1) + message(2)],
    ['data on several lines', `data: ${JSON.stringify(event(1)).replace(',', ',\ndata:')}\n\n` + message(2)],
    ['letters of several bytes', message(1).replace('now', 'nöw ☕') + message(2)],
  ])('is read through %s', async (_, text) => {
    await using server = await startServer([
      async (response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        for (const byte of Buffer.from(text)) await new Promise<void>((resolve) => response.write(Buffer.of(byte), () => resolve()))
      },
    ])
    expect((await read(server, 2)).sequences).toEqual([1, 2])
  })

  test('ends with the refusal when the caller may not listen', async () => {
    await using server = await startServer([problem(403, 'permission_denied')])
    await expect(read(server, 1)).rejects.toMatchObject({ code: 'permission_denied' })
    expect(server.asked).toHaveLength(1)
  })

  test('ends with the error after many connections that failed in a row', async () => {
    const server = await startServer([])
    await server[Symbol.asyncDispose]()
    await expect(read(server, 1)).rejects.toMatchObject({ name: 'ConnectionError', message: expect.stringContaining('ECONNREFUSED') })
  })

  test('ends at once when its reader gives it up', async () => {
    const controller = new AbortController()
    await using server = await startServer([says([message(1)], 'silence')])
    const stream = holdfast({ url: server.url, apiKey }).events.stream({ afterSequence: 0 }, { signal: controller.signal })
    await stream.next()
    const next = stream.next()
    controller.abort(new Error('closing'))
    await expect(next).rejects.toThrow('closing')
  })

  test('reads a thousand events that come at once', async () => {
    await using server = await startServer([says([Array.from({ length: MANY }, (_, index) => message(index + 1)).join('')])])
    expect((await read(server, MANY)).sequences).toHaveLength(MANY)
  })
})
