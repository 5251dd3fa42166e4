import { ConnectionError, holdfast, HoldfastError, TimeoutError } from '@holdfast/sdk'
import { expect, test } from 'vitest'
import { problem, startServer } from './support/server.ts'

const apiKey = 'hf_0123456789abcdef0123456789abcdef'
const read = async (bytes: AsyncIterable<Uint8Array>): Promise<string> => {
  const decoder = new TextDecoder()
  let text = ''
  for await (const some of bytes) text += decoder.decode(some, { stream: true })
  return text
}

test('a whole list is asked for once, with its filters and without the size of a page', async () => {
  await using server = await startServer([
    (response) => void response.writeHead(200, { 'content-type': 'text/csv; charset=utf-8' }).end('sku,name\r\nTEA-1,Tea\r\n'),
  ])
  const list = holdfast({ url: server.url, apiKey }).stockLevels.list({ sku: 'TEA-1', limit: 5 }, { minSequence: 7, requestId: 'export-1' })
  expect(server.asked).toHaveLength(0)
  expect(await read(list.export({ format: 'csv' }))).toBe('sku,name\r\nTEA-1,Tea\r\n')
  expect(server.asked.map(({ path, query }) => `${path}?${query.toString()}`)).toEqual(['/v1/stock_levels?sku=TEA-1&format=csv&min_sequence=7'])
  expect(server.last().headers).toMatchObject({ accept: 'text/csv', 'request-id': 'export-1' })
})

test('one that breaks off is told, after what came of it', async () => {
  await using server = await startServer([
    (response) => {
      response.writeHead(200, { 'content-type': 'application/x-ndjson' })
      response.write('{"sku":"TEA-1"}\n', () => response.destroy())
    },
  ])
  let came = ''
  const readAll = async () => {
    for await (const bytes of holdfast({ url: server.url, apiKey }).items.list().export({ format: 'ndjson' })) came += new TextDecoder().decode(bytes)
  }
  await expect(readAll()).rejects.toBeInstanceOf(ConnectionError)
  await expect(readAll()).rejects.toThrow('not the whole list')
  expect(came).toContain('TEA-1')
})

test('a refusal is the error that it is everywhere', async () => {
  await using server = await startServer([problem(403, 'permission_denied')])
  const error: unknown = await read(holdfast({ url: server.url, apiKey }).items.list().export({ format: 'csv' })).catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(HoldfastError)
  expect(error).toMatchObject({ code: 'permission_denied', outcome: 'refused' })
})

test('an older server, which answers a page, is not taken for a file', async () => {
  await using server = await startServer([{ body: { object: 'list', data: [], has_more: false, next_cursor: null } }])
  await expect(read(holdfast({ url: server.url, apiKey }).items.list().export({ format: 'csv' }))).rejects.toThrow('answered application/json')
})

test('a reader may leave, give up, or lose patience; the connection is closed each time', async () => {
  let closed = 0
  await using server = await startServer([
    (response) => {
      response.on('close', () => (closed += 1))
      response.writeHead(200, { 'content-type': 'text/csv' })
      response.write('sku\r\n')
    },
  ])
  const list = () => holdfast({ url: server.url, apiKey }).items.list()
  for await (const bytes of list().export({ format: 'csv' })) if (bytes.length > 0) break
  await expect(read(list().export({ format: 'csv', silenceMs: 50 }))).rejects.toBeInstanceOf(TimeoutError)
  const giveUp = new AbortController()
  const readUntilGivenUp = async () => {
    for await (const bytes of holdfast({ url: server.url, apiKey }).items.list({}, { signal: giveUp.signal }).export({ format: 'csv' }))
      giveUp.abort(new Error(`enough after ${bytes.length}`))
  }
  await expect(readUntilGivenUp()).rejects.toThrow('enough')
  while (closed < 3) await new Promise((resolve) => setTimeout(resolve, 5))
})
