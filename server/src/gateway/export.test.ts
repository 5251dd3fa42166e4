// Whole lists: every row once, in a form that spreadsheets and programs read, and nothing that looks whole and is not.
import { once } from 'node:events'
import { request, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { allOperations, scopes } from '@holdfast/contract'
import { describe, expect, onTestFinished, test } from 'vitest'
import { until } from '../../test/support/until.ts'
import { limits } from '../platform/limits.ts'
import type { Answer, Caller } from '../services/service.ts'
import { exampleOf } from './example.ts'
import { csvOf, isExportable } from './export.ts'
import { headers, stubGateway, type Asked, type Stub } from './gateway.fixture.ts'
import { openApi } from './openapi.ts'

const lists = allOperations.filter(isExportable)
const items = lists.filter(({ name }) => name === 'items.list')
const [itemsList] = items
if (itemsList === undefined) throw new Error('there is items.list')

const item = (number: number, more: object = {}) => ({
  ...((exampleOf(itemsList.output) as { data: object[] }).data[0] as object), // a list has rows
  sku: `SKU-${number}`,
  attributes: {},
  metadata: {},
  ...more,
})

/** A shop with so many items, read in pages as the server does it. */
const shop =
  (rows: readonly object[], each: (asked: Asked) => Promise<void> | void = () => undefined) =>
  async (asked: Asked): Promise<Answer<unknown>> => {
    await each(asked)
    const { starting_after: after, limit = 20 } = asked.input.query as { starting_after?: string; limit?: number } // of a list
    const from = after === undefined ? 0 : Number(after) + 1
    const data = rows.slice(from, from + limit)
    const more = from + data.length < rows.length
    return { ok: true, sequence: 7, body: { object: 'list', data, has_more: more, next_cursor: more ? String(from + data.length - 1) : null } }
  }
const many = (count: number, more: object = {}) => Array.from({ length: count }, (_, number) => item(number, more))

const stubOf = (answer: (asked: Asked) => Promise<Answer<unknown>>, exports: Partial<typeof limits.gateway.exports> = {}): Stub => {
  const stub = stubGateway(answer, {
    operations: items,
    limits: { ...limits.gateway, exports: { ...limits.gateway.exports, pageWaitMs: 1, ...exports } },
  })
  onTestFinished(() => stub.stop())
  return stub
}
const get = (stub: Stub, url: string, more: Record<string, string> = {}) => stub.app.inject({ url, headers: headers(more) })

/** Reads what RFC 4180 says, and nothing more. */
const readCsv = (text: string): string[][] => {
  const rows: string[][] = [[]]
  for (const [whole, , quoted, plain, end] of text.matchAll(/(("(?:[^"]|"")*")|([^",\r\n]*))(,|\r\n)/g)) {
    if (whole === '') break
    rows.at(-1)?.push(quoted === undefined ? (plain ?? '') : quoted.slice(1, -1).replaceAll('""', '"'))
    if (end === '\r\n') rows.push([])
  }
  expect(rows.pop()).toEqual([])
  return rows
}

describe('a whole list', () => {
  test('as lines of JSON has every row once, as the pages have it', async () => {
    const rows = many(250)
    const stub = stubOf(shop(rows))
    const answer = await get(stub, '/v1/items?format=ndjson&status=active')
    expect(answer.headers).toMatchObject({
      'content-type': 'application/x-ndjson',
      'content-disposition': 'attachment; filename="items.ndjson"',
      'cache-control': 'no-store',
      'stock-sequence': '7',
    })
    const lines = answer.body.split('\n')
    expect(lines.pop()).toBe('')
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual(JSON.parse(JSON.stringify(rows)))
    expect(stub.asked.map(({ input }) => input.query)).toEqual([
      { status: 'active', limit: 100 },
      { status: 'active', limit: 100, starting_after: '99' },
      { status: 'active', limit: 100, starting_after: '199' },
    ])
  })

  test('as CSV has a column for each field, and JSON where a field is more than one value', async () => {
    const rows = [item(1, { name: 'Tea, "green"\nloose', price: { amount: 450, currency: 'GBP' }, brand: null, attributes: { grade: 'A' } }), item(2)]
    const answer = await get(stubOf(shop(rows)), '/v1/items?format=csv')
    expect(answer.headers['content-type']).toBe('text/csv; charset=utf-8; header=present')
    const [head = [], first = [], ...rest] = readCsv(answer.body)
    expect(rest).toHaveLength(1)
    expect(head.slice(0, 3)).toEqual(['sku', 'name', 'description'])
    const cells = Object.fromEntries(head.map((name, index) => [name, first[index]]))
    expect(cells).toMatchObject({ sku: 'SKU-1', name: 'Tea, "green"\nloose', price: '{"amount":450,"currency":"GBP"}', brand: '', attributes: '{"grade":"A"}' })
  })

  test('of nothing is nothing but the names of the columns', async () => {
    expect(readCsv((await get(stubOf(shop([])), '/v1/items?format=csv')).body)).toHaveLength(1)
    expect((await get(stubOf(shop([])), '/v1/items?format=ndjson')).body).toBe('')
  })

  test('can be asked for by Accept; who takes JSON, too, gets a page', async () => {
    const type = async (accept: string) => (await get(stubOf(shop(many(1))), '/v1/items', { accept })).headers['content-type']
    expect(await type('text/csv')).toMatch(/^text\/csv/)
    expect(await type('application/x-ndjson;q=0.9, text/plain')).toBe('application/x-ndjson')
    for (const accept of ['application/json', '*/*', 'text/html,*/*;q=0.8', 'text/csv, application/json'])
      expect(await type(accept)).toMatch(/^application\/json/)
  })

  test('takes no limit, and no format that is not there', async () => {
    const stub = stubOf(shop(many(1)))
    expect((await get(stub, '/v1/items?format=csv&limit=5')).json()).toMatchObject({ status: 400, errors: [{ param: 'limit' }] })
    expect((await get(stub, '/v1/items?format=xlsx')).json()).toMatchObject({
      status: 400,
      errors: [{ param: 'format', message: 'must be one of csv, ndjson' }],
    })
    expect(stub.asked).toEqual([])
  })

  test('says nothing that the pages do not say', async () => {
    const answer = await get(stubOf(shop(many(1, { secret: 'cost 3.10' }))), '/v1/items?format=ndjson')
    expect(answer.body).not.toContain('secret')
  })

  test('asked for only its head is not read', async () => {
    const stub = stubOf(shop(many(500)))
    const answer = await stub.app.inject({ method: 'HEAD', url: '/v1/items?format=csv', headers: headers() })
    expect([answer.statusCode, answer.body, stub.asked.length]).toEqual([200, '', 1])
  })

  test('is there for every list of the table, and stands in its document', () => {
    expect(lists.length).toBeGreaterThan(8)
    const { paths } = openApi(allOperations) as { paths: Record<string, Record<string, { responses: Record<string, { content: object }> }>> } // as made beside
    for (const operation of allOperations) {
      const described = paths[operation.path]?.[operation.method.toLowerCase()]?.responses[operation.status]?.content ?? {}
      expect(['text/csv' in described, 'application/x-ndjson' in described], operation.name).toEqual([isExportable(operation), isExportable(operation)])
      if (isExportable(operation)) expect(csvOf(operation).head).not.toContain('object')
    }
  })
})

test('a cell that a spreadsheet would run is made text; numbers below zero stay numbers', () => {
  const adjustments = lists.find(({ name }) => name === 'adjustments.list')
  if (adjustments === undefined) throw new Error('there is adjustments.list')
  const { row } = csvOf(itemsList)
  for (const begin of ['=', '+', '-', '@', '\t', '\r', '\n', '＝']) {
    const evil = `${begin}HYPERLINK("https://evil.example")`
    expect(readCsv(row({ sku: evil }))[0]?.[0]).toBe(`'${evil}`)
  }
  expect(readCsv(row({ sku: 'A=B-C', name: ' padded ' }))[0]?.slice(0, 2)).toEqual(['A=B-C', ' padded '])
  expect(readCsv(row({ sku: 'x', safety_stock: -3 }))[0]).toContain('-3')
})

describe('what goes wrong', () => {
  const broken = (code: 'overloaded' | 'not_found', from: number, times: number) => {
    let left = times
    const pages = shop(many(1_000))
    return async (asked: Asked): Promise<Answer<unknown>> => {
      const { starting_after: after } = asked.input.query as { starting_after?: string } // of a list
      if (Number(after ?? -1) >= from && left > 0) {
        left -= 1
        return { ok: false, refusal: { code, detail: 'not now' } }
      }
      return pages(asked)
    }
  }

  test('before the first row is a refusal like any other', async () => {
    expect((await get(stubOf(broken('not_found', -1, 1)), '/v1/items?format=csv')).json()).toMatchObject({ status: 404, code: 'not_found' })
  })

  test('for a moment is waited for', async () => {
    const answer = await get(stubOf(broken('overloaded', 500, 3)), '/v1/items?format=ndjson')
    expect(answer.body.split('\n')).toHaveLength(1_001)
  })

  test('in the middle cuts the connection, for readers of HTTP/1.1 and of HTTP/1.0: nobody takes half for the whole', async () => {
    const stub = stubOf(broken('not_found', 500, 1_000))
    const { url } = await stub.start({ host: '127.0.0.1', port: 0 })
    const asked = request(`${url}/v1/items?format=csv`, { headers: headers() })
    // It is told of the cut, too.
    asked.on('error', () => undefined).end()
    const [answer] = (await once(asked, 'response')) as [IncomingMessage] // says node:http
    expect(answer.statusCode).toBe(200)
    await expect(answer.toArray()).rejects.toMatchObject({ code: 'ECONNRESET' })

    const old = connect(Number(new URL(url).port), '127.0.0.1')
    old.write(`GET /v1/items?format=csv HTTP/1.0\r\nAuthorization: ${headers()['authorization']}\r\n\r\n`)
    await expect(old.toArray()).rejects.toMatchObject({ code: 'ECONNRESET' })
    expect(stub.logged.filter((line) => line['message'] === 'an export broke off, and was cut')).toHaveLength(2)
  })

  test('when its key is revoked meanwhile: the rest is not for whoever asked', async () => {
    const pages = shop(many(1_000))
    const stub = stubGateway(pages, {
      operations: items,
      identify: (): Caller | undefined => (stub.asked.length < 3 ? { principal: 'shop', scopes: new Set(scopes), locations: null } : undefined),
    })
    onTestFinished(() => stub.stop())
    await expect(get(stub, '/v1/items?format=csv')).rejects.toThrow()
    expect(stub.asked).toHaveLength(3)
  })

  test('a list that says there is more, but not where, is not read for ever', async () => {
    const stub = stubOf(async () => ({ ok: true, body: { object: 'list', data: [item(1)], has_more: true, next_cursor: 'same' } }))
    await expect(get(stub, '/v1/items?format=csv')).rejects.toThrow()
    expect(stub.asked).toHaveLength(2)
  })
})

describe('a reader', () => {
  test('that reads slowly is waited for: no more is read than it takes', async () => {
    const stub = stubOf(shop(many(100_000, { description: 'x'.repeat(1_000) })))
    const { url } = await stub.start({ host: '127.0.0.1', port: 0 })
    const asked = request(`${url}/v1/items?format=ndjson`, { headers: headers() })
    asked.end()
    const [answer] = (await once(asked, 'response')) as [IncomingMessage] // says node:http
    let pages = -1
    await until('nothing more is asked for', () => {
      const before = pages
      pages = stub.asked.length
      return pages === before
    })
    // 100 kB a page: what fits between the two ends is some megabytes, and all of it would be a hundred.
    expect(pages).toBeLessThan(500)
    // Leaving, it ends it.
    answer.destroy()
    await until('the export has ended', async () => (await stub.app.inject({ url: '/metrics', headers: headers() })).body.includes('exports_running 0'))
    expect(stub.asked.length).toBeLessThan(500)
    expect(stub.logged).toEqual([])
  })

  test('finds a place when others are done', async () => {
    let open: () => void = () => undefined
    const gate = new Promise<void>((resolve) => (open = resolve))
    const stub = stubOf(
      shop(many(1), () => gate),
      { atATime: 1 },
    )
    const first = get(stub, '/v1/items?format=csv')
    await until('the first is under way', () => stub.asked.length === 1)
    expect((await get(stub, '/v1/items?format=csv')).json()).toMatchObject({ status: 503, code: 'overloaded' })
    open()
    expect((await first).statusCode).toBe(200)
    await until('the next is served', async () => (await get(stub, '/v1/items?format=csv')).statusCode === 200)
  })
})
