// A catalogue and its opening stock, sent as a file: what becomes of every row, and that each is done once whatever dies on the way.
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { Readable } from 'node:stream'
import { json as readJson } from 'node:stream/consumers'
import { holdfast, responseOf } from '@holdfast/sdk'
import { beforeAll, describe, expect, test } from 'vitest'
import { createKey, ownDatabase, startServer, until, verifyBooks, API_KEY, type Answered, type TestServer } from '../support/server.ts'
import { levelAt, stockUp } from '../support/shop.ts'

/** Rows of the large file: 20,000 in the daily run, 100,000 for whoever wants to see it whole. */
const MANY = Number(process.env['HOLDFAST_TEST_IMPORT_ROWS'] ?? 20_000)

const database = await ownDatabase()
const server = await startServer(database)
await stockUp(server.stock, { LON: { 'OLD-1': 5 }, PAR: {}, GONE: {} }, { items: { 'OLD-1': { name: 'Old', brand: 'Was', attributes: { size: 'L' } } } })
await server.stock.locations.deactivate('GONE')

type Import = {
  id: string
  status: string
  rows_read: number
  items_created: number
  items_updated: number
  items_unchanged: number
  units_received: number
  rows_skipped: number
  rows_failed: number
  bytes: number
  failure: { line: number; message: string } | null
}
type ImportError = { row: number; line: number; sku: string | null; code: string; message: string; errors: { param: string }[]; raw: string }

let keys = 0
const send = (
  text: string | Uint8Array<ArrayBuffer>,
  {
    query = '',
    key = `import-${(keys += 1)}`,
    type = 'text/csv',
    apiKey = API_KEY,
    at = server,
  }: { query?: string; key?: string | null; type?: string; apiKey?: string; at?: TestServer } = {},
): Promise<Answered> =>
  at.request('POST', `/v1/items/import${query}`, { text, apiKey, headers: { 'content-type': type }, ...(key === null ? {} : { idempotencyKey: key }) })

const done = async (answer: Promise<Answered>): Promise<Import> => {
  const { status, body, text } = await answer
  expect(status, text).toBe(201)
  return body as Import // as the contract says
}
const errorsOf = async ({ id }: Import, at = server): Promise<ImportError[]> => {
  const all: ImportError[] = []
  for (let after = ''; ;) {
    const { body } = await at.request('GET', `/v1/imports/${id}/errors?limit=100${after}`)
    const page = body as { data: ImportError[]; next_cursor: string | null } // a list
    all.push(...page.data)
    if (page.next_cursor === null) return all
    after = `&starting_after=${page.next_cursor}`
  }
}
const problem = ({ body }: Answered) => body as { code: string; detail: string; errors?: { param: string; message: string }[] } // a problem

test('a file of items with their stock: everything in it is there afterwards, and was told', async () => {
  const before = (await server.stock.events.list({ limit: 1 }).page()).data[0]?.sequence ?? 0
  const text =
    '\uFEFFname;sku;price_amount;price_currency;attributes.colour;metadata.supplier no;quantity;location;safety_stock;description\r\n' +
    '"Earl ""Grey"";\r\n100 g";FILE-1;695;GBP;grey;77;10;LON;2;\r\n' +
    ';FILE-1;;;;;4;PAR;;\r\n' +
    '=HYPERLINK("x")'.replaceAll('"', "'") +
    ';FILE-2;;;;;;;;+1-2\r\n' +
    'Ünï ☕ 名前;FILE-ü 3;;;;;0;;;\r\n' +
    '\r\n;;;;;;;;;'
  const made = await done(send(text))
  expect(made).toMatchObject({
    object: 'import',
    status: 'completed',
    dry_run: false,
    rows_read: 4,
    items_created: 3,
    items_updated: 0,
    units_received: 14,
    rows_failed: 0,
    bytes: Buffer.byteLength(text),
    failure: null,
  })
  expect(await server.stock.items.get('FILE-1')).toMatchObject({
    name: 'Earl "Grey";\r\n100 g',
    price: { amount: 695, currency: 'GBP' },
    attributes: { colour: 'grey' },
    metadata: { 'supplier no': '77' },
    safetyStock: 2,
    description: null,
  })
  expect(await server.stock.items.get('FILE-2')).toMatchObject({ name: "=HYPERLINK('x')", description: '+1-2' })
  expect(await server.stock.items.get('FILE-ü 3')).toMatchObject({ name: 'Ünï ☕ 名前' })
  expect(await levelAt(server.stock, 'FILE-1', 'LON')).toMatchObject({ available: 10, safetyStock: 2, availableToSell: 8 })
  expect(await levelAt(server.stock, 'FILE-1', 'PAR')).toMatchObject({ available: 4 })
  const { body } = await server.request('GET', `/v1/receipts?reference=${made.id}`)
  expect((body as { data: unknown[] }).data).toHaveLength(2)

  const told: string[] = []
  for await (const { type, subject, sequence } of server.stock.events.list({ afterSequence: before })) {
    told.push(`${type} ${subject.object === 'item' ? subject.id : ''}`)
    if (sequence >= before + 5) break
  }
  expect(told).toEqual(['item.created FILE-1', 'item.created FILE-2', 'item.created FILE-ü 3', 'stock.received ', 'stock.received '])
  // At once, in this process: the names are known as if each item had been made by itself.
  expect(await server.stock.holds.place({ lines: [{ sku: 'FILE-1', quantity: 1 }] })).toMatchObject({ status: 'active' })
})

test('the same as lines of JSON', async () => {
  const rows = [
    { sku: 'JSON-1', name: 'One', price: { amount: 1, currency: 'EUR' }, attributes: { colour: 'red' }, quantity: 7, location: 'LON' },
    { sku: 'JSON-1', quantity: 3, location: 'PAR' },
    { sku: 'JSON-2', name: 'Two', error: 'what was said the last time is not looked at' },
  ]
  const text = `${rows.map((row) => JSON.stringify(row)).join('\n')}\n\n{"sku":"JSON-3","name":"Thr`
  const made = await done(send(text, { type: 'application/x-ndjson; charset=utf-8' }))
  expect(made).toMatchObject({ format: 'ndjson', rows_read: 4, items_created: 2, units_received: 10, rows_failed: 1 })
  expect(await errorsOf(made)).toMatchObject([{ row: 4, line: 5, sku: null, code: 'invalid_request', raw: '{"sku":"JSON-3","name":"Thr' }])
  const wrong = [
    '7',
    'null',
    '[]',
    '"text"',
    '{"sku":"A","name":"x","__proto__":1}',
    '{"sku":"A","name":"x","quantity":1e3}',
    '{"sku":"\\u0000","name":"x"}',
    '{"sku":"A","name":"\\ud800"}',
    '{"sku":"A","name":"x","colour":"red"}',
  ]
  const bad = await done(send(wrong.join('\n'), { type: 'application/x-ndjson' }))
  expect(bad).toMatchObject({ rows_read: 9, rows_failed: 9, items_created: 0 })
  expect((await errorsOf(bad)).map(({ raw }) => raw)).toEqual(wrong)
})

test('a limit for one customer comes with the file, is changed by it, and stays where it says nothing', async () => {
  const limitOf = async (sku: string) => (await server.stock.items.get(sku)).purchaseLimit
  const header = 'sku,name,purchase_limit_quantity,purchase_limit_window_seconds\n'
  expect(await done(send(`${header}LIMIT-1,One,2,86400\nLIMIT-2,Two,,\n`))).toMatchObject({ items_created: 2, rows_failed: 0 })
  expect([await limitOf('LIMIT-1'), await limitOf('LIMIT-2')]).toEqual([{ quantity: 2, windowSeconds: 86_400 }, null])

  const update = { query: '?on_existing=update' }
  expect(await done(send(`${header}LIMIT-1,,3,86400\nLIMIT-2,,,\n`, update))).toMatchObject({ items_updated: 1, items_unchanged: 1 })
  expect(await done(send('sku,brand\nLIMIT-1,Leaf\n', update))).toMatchObject({ items_updated: 1 })
  expect(await limitOf('LIMIT-1')).toEqual({ quantity: 3, windowSeconds: 86_400 })
  await expect(server.stock.holds.place({ lines: [{ sku: 'LIMIT-1', quantity: 1 }] })).rejects.toMatchObject({ code: 'invalid_request' })

  const lines = '{"sku":"LIMIT-1","purchase_limit":null}\n{"sku":"LIMIT-3","name":"Three","purchase_limit":{"quantity":1,"window_seconds":60}}'
  expect(await done(send(lines, { ...update, type: 'application/x-ndjson' }))).toMatchObject({ items_created: 1, items_updated: 1 })
  expect([await limitOf('LIMIT-1'), await limitOf('LIMIT-3')]).toEqual([null, { quantity: 1, windowSeconds: 60 }])

  const wrong = await errorsOf(await done(send(`${header}LIMIT-4,Four,2,\nLIMIT-5,Five,two,60\n`)))
  expect(wrong.map(({ errors }) => errors.map(({ param }) => param))).toEqual([['purchase_limit_window_seconds'], ['purchase_limit_quantity']])
})

describe('a row that is wrong', () => {
  const header = 'sku,name,price_amount,price_currency,safety_stock,barcode,quantity,location,attributes.colour'
  const wrong: [what: string, row: string, code: string, params: string[]][] = [
    ['no sku', ',Name,,,,,,,', 'invalid_request', ['sku']],
    ['a sku with a space at its end', 'BAD-1 ,Name,,,,,,,', 'invalid_request', ['sku']],
    ['a sku that is too long', `${'x'.repeat(129)},Name,,,,,,,`, 'invalid_request', ['sku']],
    ['no name for a new item', 'BAD-2,,,,,,,,', 'invalid_request', ['name']],
    ['an amount that is no whole number', 'BAD-3,Name,6.95,GBP,,,,,', 'invalid_request', ['price_amount']],
    ['an amount without its currency', 'BAD-4,Name,695,,,,,,', 'invalid_request', ['price_currency']],
    [
      'much that is wrong',
      `BAD-5,${'n'.repeat(300)},x,pounds,-1,${'1'.repeat(65)},many,???,`,
      'invalid_request',
      ['name', 'price_amount', 'price_currency', 'barcode', 'safety_stock', 'quantity', 'location'],
    ],
    ['a quantity below zero', 'BAD-6,Name,,,,,-5,LON,', 'invalid_request', ['quantity']],
    ['a quantity that is too large', 'BAD-7,Name,,,,,1000000001,LON,', 'invalid_request', ['quantity']],
    ['stock without a place', 'BAD-8,Name,,,,,5,,', 'invalid_request', ['location']],
    ['stock at a place that is not there', 'BAD-9,Name,,,,,5,NOWHERE,', 'not_found', ['location']],
    ['stock at a place that is closed', 'BAD-10,Name,,,,,5,GONE,', 'location_inactive', ['location']],
    ['too few cells', 'BAD-11,Name', 'invalid_request', ['']],
    ['too many cells', 'BAD-12,Name,,,,,,,red,blue', 'invalid_request', ['']],
    ['the character NUL', 'BAD-13,Na\0me,,,,,,,re\0d', 'invalid_request', ['name', 'attributes.colour']],
    ['an attribute that is too long', `BAD-14,Name,,,,,,,${'x'.repeat(501)}`, 'invalid_request', ['attributes.colour']],
    ['an item that is there', 'OLD-1,Name,,,,,,,', 'already_exists', ['sku']],
  ]

  test('does not keep the others from being done, and everything about it is told', async () => {
    const rows = wrong.flatMap(([, row], index) => [row, `GOOD-${index},Good,,,,,1,LON,`])
    const made = await done(send([header, ...rows].join('\n')))
    expect(made).toMatchObject({
      status: 'completed',
      rows_read: wrong.length * 2,
      rows_failed: wrong.length,
      items_created: wrong.length,
      units_received: wrong.length,
    })
    const errors = await errorsOf(made)
    for (const [index, [what, row, code, params]] of wrong.entries()) {
      const error = errors[index]
      expect(error, what).toMatchObject({ object: 'import_error', row: index * 2 + 1, line: index * 2 + 2, code, raw: row.replaceAll('\0', '\uFFFD') })
      expect(error?.errors.map(({ param }) => param).toSorted(), what).toEqual(params.toSorted())
      for (const param of params) expect(error?.message, what).toContain(param)
    }
    expect(await server.stock.items.list({ q: 'BAD-' }).page()).toMatchObject({ data: [] })
  })

  test('is done when it is corrected and sent again, as a file of its own', async () => {
    const made = await done(send(`sku,name,quantity,location\nFIX-1,Fix,five,LON\nFIX-2,Fix,2,LON\n`))
    const errors = await errorsOf(made)
    const again = `sku,name,quantity,location,error\n${errors.map(({ raw, message }) => `${raw.replace('five', '5')},"${message}"`).join('\n')}`
    expect(await done(send(again))).toMatchObject({ rows_read: 1, items_created: 1, units_received: 5, rows_failed: 0 })
  })

  test('because it says something else of its item than a row before it, or brings its stock twice', async () => {
    const text = 'sku,name,brand,quantity,location\nTWO-1,Two,B,1,LON\nTWO-1,,,1,PAR\nTWO-1,Two,B,,\nTWO-1,Too,,1,PAR\nTWO-1,,,1,LON\n'
    const made = await done(send(text))
    expect(made).toMatchObject({ rows_read: 5, items_created: 1, units_received: 2, rows_failed: 2 })
    expect(await errorsOf(made)).toMatchObject([
      { row: 4, errors: [{ param: 'sku', message: 'came before in this file, and name was something else there' }] },
      { row: 5, errors: [{ param: 'location', message: 'has stock of TWO-1 from a row before: LON' }] },
    ])
  })

  test('is known for a second one however far apart the two are', async () => {
    const filler = Array.from({ length: 1_200 }, (_, index) => `FAR-${index},Far,1,LON`)
    const text = ['sku,name,quantity,location', 'FAR,Far,1,LON', ...filler, 'FAR,,1,PAR', 'FAR,,1,LON', 'FAR,Fur,1,LON'].join('\n')
    const expected = { rows_read: 1_204, items_created: 1_201, units_received: 1_202, rows_failed: 2 }
    expect(await done(send(text, { query: '?dry_run=true', key: null }))).toMatchObject(expected)
    const made = await done(send(text))
    expect(made).toMatchObject(expected)
    expect((await errorsOf(made)).map(({ row }) => row)).toEqual([1_203, 1_204])
  })
})

describe('an item that is there', () => {
  const text = 'sku,name,brand,attributes.colour,safety_stock,quantity\nOLD-2,Newer,,red,3,5\nOLD-3,Old,,,,\nNEW-2,New,,,,1\n'
  beforeAll(() =>
    stockUp(
      server.stock,
      { LON: { 'OLD-2': 10, 'OLD-3': 0 } },
      { items: { 'OLD-2': { name: 'Old', brand: 'Was', attributes: { size: 'L' } }, 'OLD-3': { name: 'Old' } } },
    ),
  )

  test('is refused, or its row left out, unless it is said that it may change', async () => {
    expect(await done(send(text, { query: '?location=LON&dry_run=true', key: null }))).toMatchObject({ rows_failed: 2, items_created: 1, units_received: 1 })
    expect(await done(send(text, { query: '?location=LON&on_existing=skip&dry_run=true', key: null }))).toMatchObject({
      rows_failed: 0,
      rows_skipped: 2,
      items_created: 1,
      items_unchanged: 0,
      units_received: 1,
    })
    expect(await levelAt(server.stock, 'OLD-2', 'LON')).toMatchObject({ available: 10 })
  })

  test('is changed where the file says something, and stays as it is where it does not', async () => {
    const made = await done(send(text, { query: '?location=LON&on_existing=update' }))
    expect(made).toMatchObject({ items_created: 1, items_updated: 1, items_unchanged: 1, units_received: 6, rows_failed: 0 })
    expect(await server.stock.items.get('OLD-2')).toMatchObject({
      name: 'Newer',
      brand: 'Was',
      attributes: { size: 'L', colour: 'red' },
      safetyStock: 3,
      version: 2,
    })
    expect(await server.stock.items.get('OLD-3')).toMatchObject({ version: 1 })
    expect(await levelAt(server.stock, 'OLD-2', 'LON')).toMatchObject({ available: 15, safetyStock: 3, availableToSell: 12 })
    const { data } = await server.stock.events.list({ type: 'item.updated', limit: 1 }).page()
    expect(data).toMatchObject([{ subject: { id: 'OLD-2', version: 2 }, data: { object: 'item', name: 'Newer' } }])
  })

  test('and is archived is not touched', async () => {
    await stockUp(server.stock, { LON: { 'ARC-1': 0 } })
    await server.stock.items.archive('ARC-1')
    const made = await done(send('sku,name,quantity\nARC-1,Other,5\n', { query: '?location=LON&on_existing=update' }))
    expect(await errorsOf(made)).toMatchObject([{ code: 'item_archived', sku: 'ARC-1' }])
  })
})

test('a dry run decides everything, and changes nothing but its own report', async () => {
  const state = async () => {
    const { body, headers } = await server.request('GET', '/v1/stock_levels?limit=100')
    return [body, headers.get('stock-sequence'), (await server.stock.items.list({ q: 'DRY-' }).page()).data]
  }
  const before = await state()
  const text = 'sku,name,quantity,location\nDRY-1,Dry,5,LON\nDRY-2,Dry,x,LON\nOLD-1,Dry,5,LON\n'
  const made = await done(send(text, { query: '?dry_run=true&on_existing=update', key: null }))
  expect(made).toMatchObject({ dry_run: true, status: 'completed', items_created: 1, items_updated: 1, units_received: 10, rows_failed: 1 })
  expect(await errorsOf(made)).toHaveLength(1)
  expect(await state()).toEqual(before)
  // The key of a dry run stays free for what it was a rehearsal of.
  expect(await done(send(text, { query: '?dry_run=true', key: 'rehearsed' }))).toMatchObject({ dry_run: true })
  expect(await done(send('sku,name\nDRY-3,Dry\n', { key: 'rehearsed' }))).toMatchObject({ dry_run: false, items_created: 1 })
})

describe('a file that cannot be taken', () => {
  const refusals: [what: string, text: string | Uint8Array<ArrayBuffer>, says: string][] = [
    ['with nothing in it', '', 'empty'],
    ['with columns that are not known, a column twice, one without a name, and no sku', 'name,name,colour,,attributes.\n', 'sku is missing'],
    ['that is not in UTF-8', new Uint8Array([0xff, 0xfe, 0x73, 0x00]), 'UTF-8'],
    ['with a quote in its header that is not closed', '"sku,name\nA,B\n', 'a quote is not closed'],
    ['with a header without end', 'sku,'.repeat(50_000), 'characters'],
  ]
  test.each(refusals)('%s is refused, and no import is begun', async (_, text, says) => {
    const before = await server.request('GET', '/v1/imports?limit=1')
    const answer = await send(text)
    expect(answer).toMatchObject({ status: 400, body: { code: 'invalid_request' } })
    expect(problem(answer).detail).toContain(says)
    expect((await server.request('GET', '/v1/imports?limit=1')).text).toBe(before.text)
  })

  test('is told all that is wrong with its header', async () => {
    const { errors } = problem(await send('name,name,colour,,attributes.\nA,B,C,D,E\n'))
    expect(errors).toEqual([
      { param: 'name', message: 'is there twice' },
      { param: 'colour', message: 'is not known' },
      { param: 'column 4', message: 'has no name' },
      { param: 'attributes.', message: 'is not known' },
      { param: 'sku', message: 'is missing' },
    ])
  })

  const broken: [what: string, tail: Uint8Array<ArrayBuffer>, says: string][] = [
    ['a quote inside a cell', Buffer.from('BRK,6" nail\nBRK-X,"x"\n'), 'a quote inside a cell'],
    ['something after a quote', Buffer.from('BRK,"x"y\n'), 'after the quote'],
    ['a quote that is not closed', Buffer.from('BRK,"x\nBRK-X,x\n'), 'a quote is not closed'],
    ['a row without end', Buffer.from(`BRK,${'x'.repeat(200_000)}\n`), '131072 characters'],
    ['bytes that are no UTF-8', Buffer.from([0x42, 0x2c, 0xc3, 0x28, 0x0a]), 'UTF-8'],
  ]
  test.each(broken)('any further, because of %s, is done up to there, and goes on when it is corrected', async (what, tail, says) => {
    const name = createHash('sha256').update(what).digest('hex').slice(0, 8)
    const head = Array.from({ length: 700 }, (_, index) => `${name}-${index},Good,1,LON`)
    const start = `sku,name,quantity,location\n${head.join('\n')}\n`
    const key = `broken-${name}`
    const answer = await send(Buffer.concat([Buffer.from(start), tail]), { key })
    expect(answer, answer.text).toMatchObject({ status: 400, body: { code: 'invalid_request', errors: [{ param: 'line 702' }] } })
    expect(problem(answer).detail).toContain(says)
    const { body } = await server.request('GET', `/v1/imports?idempotency_key=${key}`)
    expect(body).toMatchObject({ data: [{ status: 'failed', items_created: 700, units_received: 700, failure: { line: 702, code: 'invalid_request' } }] })
    expect(await done(send(`${start}${name}-LAST,Good,1,LON\n`, { key }))).toMatchObject({
      status: 'completed',
      rows_read: 701,
      items_created: 701,
      units_received: 701,
      failure: null,
    })
  })

  test('because it is sent as something else', async () => {
    for (const type of ['application/json', 'text/plain', 'text/csv; charset=iso-8859-1', 'multipart/form-data; boundary=x'])
      expect(await send('sku,name\nA,B\n', { type }), type).toMatchObject({ status: 415, body: { code: 'unsupported_media_type' } })
    // Nor is a file taken where it has no place.
    expect(await server.request('POST', '/v1/items', { text: 'sku,name\nA,B\n', headers: { 'content-type': 'text/csv' } })).toMatchObject({ status: 415 })
  })

  test('because of who sends it, or without a key', async () => {
    const withScopes = async (...scopes: Parameters<typeof createKey>[2]['scopes']) => (await createKey(database, scopes.join(), { scopes })).key
    const writer = await withScopes('items:write')
    expect(await send('sku,name\nMAY-1,May\n', { apiKey: writer })).toMatchObject({ status: 201 })
    expect(await send('sku,name,quantity\nMAY-2,May,\n', { apiKey: writer })).toMatchObject({
      status: 403,
      body: { code: 'permission_denied', detail: expect.stringContaining('stock:adjust') },
    })
    expect(await done(send('{"sku":"MAY-3","name":"May","quantity":5,"location":"LON"}\n', { apiKey: writer, type: 'application/x-ndjson' }))).toMatchObject({
      rows_failed: 1,
      units_received: 0,
    })
    expect(await send('sku,name\nA,B\n', { apiKey: await withScopes('stock:adjust', 'items:read') })).toMatchObject({ status: 403 })
    expect(await send('sku,name\nA,B\n', { key: null })).toMatchObject({ status: 400, body: { code: 'idempotency_key_required' } })
    expect(await send('sku,name\nA,B\n', { query: '?location=NOWHERE' })).toMatchObject({ status: 404 })
    expect(await send('sku,name\nA,B\n', { query: '?location=GONE' })).toMatchObject({ status: 422 })
    expect(await send('sku,name\nA,B\n', { query: '?on_existing=replace' })).toMatchObject({ status: 400 })
  })
})

describe('the key of an import', () => {
  const text = 'sku,name,quantity,location\nKEY-1,Key,1,LON\nKEY-2,Key,1,LON\n'

  test('sent again with the same file, answers the same and does nothing', async () => {
    const first = await send(text, { key: 'again' })
    const second = await send(text, { key: 'again' })
    expect([second.status, second.body]).toEqual([201, first.body])
    expect(second.headers.get('idempotent-replayed')).toBe('true')
    expect(first.headers.get('idempotent-replayed')).toBeNull()
    expect(await levelAt(server.stock, 'KEY-1', 'LON')).toMatchObject({ available: 1 })
  })

  test('is refused with another file, with other wishes, and for anything else', async () => {
    for (const other of [
      text.replace('KEY-2', 'KEY-3'),
      `${text}KEY-3,Key,1,LON\n`,
      'sku,name,quantity,location\nKEY-1,Key,1,LON\n',
      'name,sku,quantity,location\nKey,KEY-1,1,LON\n',
      `${text}"broken`,
    ])
      expect(await send(other, { key: 'again' }), other).toMatchObject({ status: 422, body: { code: 'idempotency_key_reused' } })
    expect(await send(text, { key: 'again', query: '?on_existing=update' })).toMatchObject({ status: 422 })
    const receipt = { location: 'LON', lines: [{ sku: 'KEY-1', quantity: 1 }] }
    expect(await server.request('POST', '/v1/receipts', { body: receipt, idempotencyKey: 'again' })).toMatchObject({ status: 422 })
    expect(await server.request('POST', '/v1/receipts', { body: receipt, idempotencyKey: 'a receipt' })).toMatchObject({ status: 201 })
    expect(await send(text, { key: 'a receipt' })).toMatchObject({ status: 422, body: { code: 'idempotency_key_reused' } })
  })

  test('belongs to one sender at a time', async () => {
    const first = slowly({ key: 'both' })
    first.write(`sku,name\n${rowsOf('BOTH', 0, 600)}`)
    await until('the first has begun', async () => (await importOf('both'))?.rows_read === 500)
    const second = await send(`sku,name\n${rowsOf('BOTH', 0, 600)}`, { key: 'both' })
    expect(second).toMatchObject({ status: 409, body: { code: 'idempotency_key_in_use', retryable: true } })
    expect(Number(second.headers.get('retry-after'))).toBeGreaterThan(0)
    first.end()
    expect(await first.answer).toMatchObject({ status: 201, body: { items_created: 600 } })
    const both = await Promise.all([1, 2].map(() => send(`sku,name\n${rowsOf('TWIN', 0, 3_000)}`, { key: 'twins' })))
    // Where the second comes late, the first may be done by then, and its answer is given again.
    for (const { status, headers } of both) expect([201, 409]).toContain(headers.get('idempotent-replayed') === 'true' ? 409 : status)
    expect(both.filter(({ status, headers }) => status === 201 && headers.get('idempotent-replayed') === null)).toHaveLength(1)
    expect(await importOf('twins')).toMatchObject({ status: 'completed', items_created: 3_000 })
  })
})

test('a sender whose connection breaks off sends the file again, and it goes on from where it was', async () => {
  const first = slowly({ key: 'cut' })
  first.write(`sku,name,quantity,location\n${rowsOf('CUT', 0, 1_300, ',1,LON')}`)
  await until('a chunk is done', async () => ((await importOf('cut'))?.rows_read ?? 0) >= 1_000)
  first.cut()
  const whole = `sku,name,quantity,location\n${rowsOf('CUT', 0, 2_000, ',1,LON')}`
  const another = whole.replace('CUT-100,', 'CUT-X,')
  let refused = await send(another, { key: 'cut' })
  await until('the first is given up', async () => refused.status !== 409 || (refused = await send(another, { key: 'cut' })).status !== 409)
  expect(refused).toMatchObject({ status: 422, body: { code: 'idempotency_key_reused' } })
  expect(await send(`sku,name,quantity,location\n${rowsOf('CUT', 0, 900, ',1,LON')}`, { key: 'cut' })).toMatchObject({ status: 422 })
  const again = await send(whole, { key: 'cut' })
  expect(again).toMatchObject({ status: 201, body: { status: 'completed', items_created: 2_000, units_received: 2_000, rows_failed: 0 } })
})

describe('the SDK', () => {
  test('goes on by itself when the connection breaks, as often as that gets it further', async () => {
    await using way = await shakyWay({ cutAfterBytes: 40_000, times: 8 })
    const stock = holdfast({ url: way.url, apiKey: API_KEY, retries: 3 })
    const progress: number[] = []
    const text = `sku,name,quantity,location\n${rowsOf('WAY', 0, 6_000, ' of some length so that it takes a while,1,LON')}`
    const done = await stock.items.import(() => Readable.from(inPieces(text)), { onProgress: ({ sentBytes }) => progress.push(sentBytes) })
    expect(done).toMatchObject({ status: 'completed', rowsRead: 6_000, itemsCreated: 6_000, unitsReceived: 6_000, rowsFailed: 0 })
    expect(responseOf(done).attempts).toBeGreaterThan(4)
    expect(Math.max(...progress)).toBe(Buffer.byteLength(text))
    expect(await stock.imports.get(done.id)).toEqual(done)
    expect(await stock.imports.list({ idempotencyKey: responseOf(done).idempotencyKey ?? '' }).page()).toMatchObject({ data: [{ id: done.id }] })
  })

  test('hands on what can be read only once, and says under which key to send it again when that breaks', async () => {
    await using way = await shakyWay({ cutAfterBytes: 40_000, times: 1 })
    const stock = holdfast({ url: way.url, apiKey: API_KEY })
    const text = `sku,name\n${rowsOf('ONCE', 0, 6_000)}`
    const failed = await stock.items.import(Readable.from(inPieces(text)), { idempotencyKey: 'once' }).catch((error: unknown) => error)
    expect(failed).toMatchObject({ outcome: 'unknown', retryable: true, idempotencyKey: 'once' })
    const again = () => stock.items.import(Readable.from(inPieces(text)), { idempotencyKey: 'once' })
    let done: unknown
    await until('the cut one is given up', async () => (done = await again().catch(() => undefined)) !== undefined)
    expect(done).toMatchObject({ itemsCreated: 6_000 })
  })

  test('reads why it was refused, though it was still sending', async () => {
    const { key } = await createKey(database, 'reads', { scopes: ['items:read'] })
    const refused = await holdfast({ url: server.url, apiKey: key, retries: 0 })
      .items.import(new Blob([`sku,name\n${rowsOf('NOT', 0, 300_000)}`]))
      .catch((error: unknown) => error)
    expect(refused).toMatchObject({ code: 'permission_denied', status: 403 })
    const wrong = await server.stock.items.import(`sku,colour\n${rowsOf('NOT', 0, 300_000)}`).catch((error: unknown) => error)
    expect(wrong).toMatchObject({ code: 'invalid_request', errors: [{ param: 'colour', message: 'is not known' }] })
  })

  test('sends lines of JSON, tries out, and gives the rows back that were wrong', async () => {
    const lines = [{ sku: 'LINE-1', name: 'One', quantity: 2 }, { sku: 'LINE-2' }].map((line) => `${JSON.stringify(line)}\n`)
    const tried = await server.stock.items.import(lines, { format: 'ndjson', dryRun: true, location: 'LON', onExisting: 'update' })
    expect(tried).toMatchObject({ dryRun: true, itemsCreated: 1, unitsReceived: 2, rowsFailed: 1, onExisting: 'update', location: 'LON' })
    expect(await server.stock.imports.errors(tried.id).page()).toMatchObject({ data: [{ row: 2, sku: 'LINE-2', raw: '{"sku":"LINE-2"}' }] })
  })
})

// These wait for clocks more than they work, so they wait together.
test.concurrent('a file may take longer to arrive than any other request may', { timeout: 60_000 }, async () => {
  const sender = slowly({ key: 'slow' })
  sender.write('sku,name\n')
  const from = performance.now()
  let sent = 0
  await until(
    'it has been sent for 22 seconds',
    () => {
      sender.write(`SLOW-${(sent += 1)},Slow\n`)
      return performance.now() - from > 22_000
    },
    { withinMs: 30_000 },
  )
  sender.end()
  expect(await sender.answer).toMatchObject({ status: 201, body: { rows_read: sent, items_created: sent } })
})

test.concurrent('a sender that says nothing any more is told so, and keeps nobody waiting for ever', { timeout: 60_000 }, async () => {
  const sender = slowly({ key: 'hangs' })
  sender.write(`sku,name\n${rowsOf('HANG', 0, 600)}`)
  expect(await sender.answer).toMatchObject({ status: 400, body: { code: 'invalid_request', detail: expect.stringContaining('30 seconds') } })
  expect(await done(send(`sku,name\n${rowsOf('HANG', 0, 600)}`, { key: 'hangs' }))).toMatchObject({ items_created: 600 })
})

test.concurrent('a server that dies in the middle, twice, loses no row and does none twice', { timeout: 300_000 }, async () => {
  const own = await ownDatabase()
  let shop = await startServer(own)
  await stockUp(shop.stock, { LON: {} })
  // Some rows are wrong, and some come again for the second place.
  const rows = Array.from({ length: MANY }, (_, index) =>
    index % 1_000 === 7 ? `MANY-${index},Many,x,LON` : index % 10 === 9 ? `MANY-${index - 1},,2,PAR` : `MANY-${index},Many,3,LON`,
  )
  await shop.stock.locations.create({ code: 'PAR', name: 'Paris' })
  const text = `sku,name,quantity,location\n${rows.join('\n')}\n`
  const bad = rows.filter((row) => row.includes(',x,')).length
  const second = rows.filter((row) => row.endsWith('PAR')).length
  const good = MANY - bad - second
  for (const part of [0.2, 0.6]) {
    const attempt = untilTaken(shop, text, 'many').catch(() => undefined)
    await until(
      'it is some way through',
      async () =>
        ((await shop.request('GET', '/v1/imports?idempotency_key=many')).body as { data: Import[] }).data.some(({ rows_read }) => rows_read > part * MANY),
      { withinMs: 120_000 },
    )
    await shop.kill()
    await attempt
    shop = await startServer(own)
  }
  const last = await untilTaken(shop, text, 'many')
  expect(last, last.text).toMatchObject({
    status: 201,
    body: { status: 'completed', rows_read: MANY, items_created: good, rows_failed: bad, units_received: good * 3 + second * 2 },
  })
  const head = await headOf(shop)
  let created = 0
  for await (const { type, sequence } of shop.stock.events.list({ afterSequence: 0, limit: 100 })) {
    if (type === 'item.created') created += 1
    if (sequence >= head) break
  }
  expect(created).toBe(good)
  const { body } = await shop.request('GET', '/v1/stock_levels/MANY-8')
  expect(body).toMatchObject({ total: { available: 5 } })
  expect(await verifyBooks(own)).toMatchObject({ violations: [] })
})

test('a server that is asked to end says so to a sender, ends at once, and the next one goes on', { timeout: 60_000 }, async () => {
  const own = await ownDatabase()
  const first = await startServer(own)
  const sender = slowly({ key: 'ends', at: first })
  sender.write(`sku,name\n${rowsOf('END', 0, 600)}`)
  await until('a chunk is done', async () => ((await first.request('GET', '/v1/imports')).body as { data: Import[] }).data[0]?.rows_read === 500)
  const from = performance.now()
  await Promise.all([first.stop(), expect(sender.answer).resolves.toMatchObject({ status: 503, body: { code: 'unavailable', retryable: true } })])
  // Sooner than the time that it would give a request which goes on.
  expect(performance.now() - from).toBeLessThan(9_000)
  const second = await startServer(own)
  expect(await done(send(`sku,name\n${rowsOf('END', 0, 600)}`, { key: 'ends', at: second }))).toMatchObject({ items_created: 600 })
})

test('an import goes on beside buyers, and the books are right', async () => {
  await stockUp(server.stock, { LON: { 'BUSY-1': 200 } })
  const importing = send(`sku,name,quantity,location\n${rowsOf('BESIDE', 0, 3_000, ',1,LON')}BUSY-1,,50,LON\n`, { query: '?on_existing=update' })
  const holds = await Promise.all(Array.from({ length: 200 }, () => server.stock.holds.place({ lines: [{ sku: 'BUSY-1', quantity: 1, location: 'LON' }] })))
  expect(holds).toHaveLength(200)
  expect(await done(importing)).toMatchObject({ items_created: 3_000, items_unchanged: 1, units_received: 3_050, rows_failed: 0 })
  expect(await levelAt(server.stock, 'BUSY-1', 'LON')).toMatchObject({ available: 50, held: 200 })
  expect(await verifyBooks(database)).toMatchObject({ violations: [] })
})

const rowsOf = (name: string, from: number, to: number, rest = '') =>
  Array.from({ length: to - from }, (_, index) => `${name}-${from + index},${name}${rest}\n`).join('')

const importOf = async (key: string): Promise<Import | undefined> =>
  ((await server.request('GET', `/v1/imports?idempotency_key=${key}`)).body as { data: Import[] }).data[0] // a list

const headOf = async (shop: TestServer): Promise<number> => Number((await shop.request('GET', '/v1/stock_levels?limit=1')).headers.get('stock-sequence'))

const inPieces = (text: string): string[] => text.match(/[^]{1,5000}/g) ?? []

/** A way to the server on which the first connections break after so many bytes of a file. */
const shakyWay = async ({ cutAfterBytes, times }: { readonly cutAfterBytes: number; readonly times: number }) => {
  const { hostname, port } = new URL(server.url)
  let cut = 0
  let limit = cutAfterBytes
  const sockets = new Set<Socket>()
  const way = createServer((from) => {
    const to = connect({ host: hostname, port: Number(port) })
    let passed = 0
    for (const socket of [from, to]) {
      sockets.add(socket)
      socket.on('error', () => undefined).on('close', () => (from.destroy(), to.destroy()))
    }
    to.pipe(from)
    from.on('data', (bytes: Buffer) => {
      passed += bytes.length
      if (passed > limit && cut < times) {
        cut += 1
        limit += cutAfterBytes
        return void from.destroy()
      }
      if (!to.write(bytes)) from.pause()
    })
    to.on('drain', () => from.resume())
    from.on('end', () => to.end())
  }).listen(0, '127.0.0.1')
  await once(way, 'listening')
  return {
    url: `http://127.0.0.1:${(way.address() as AddressInfo).port}`, // it listens on a port
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      way.close()
      await once(way, 'close')
    },
  }
}

/** Without the clock that a test's requests have. */
const uploaded = async (shop: TestServer, text: string, key: string): Promise<Answered> => {
  const response = await fetch(`${shop.url}/v1/items/import`, {
    method: 'POST',
    headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'text/csv', 'idempotency-key': key },
    body: text,
  })
  const answer = await response.text()
  return { status: response.status, headers: response.headers, text: answer, body: JSON.parse(answer) }
}

/** A server that died is believed to be alive for a few seconds. */
const untilTaken = async (shop: TestServer, text: string, key: string): Promise<Answered> => {
  let answer = await uploaded(shop, text, key)
  await until('the dead one is given up', async () => answer.status !== 409 || (answer = await uploaded(shop, text, key)).status !== 409)
  return answer
}

/** A sender that is in no hurry. */
const slowly = ({ key, at = server }: { readonly key: string; readonly at?: TestServer }) => {
  const request = httpRequest(`${at.url}/v1/items/import`, {
    method: 'POST',
    headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'text/csv', 'idempotency-key': key },
  })
  const answer = new Promise<{ status: number | undefined; body: unknown }>((resolve, reject) => {
    request.on('response', (response) => void readJson(response).then((body) => resolve({ status: response.statusCode, body }), reject))
    request.on('error', reject)
  })
  answer.catch(() => undefined)
  return { write: (text: string) => void request.write(text), end: () => void request.end(), cut: () => void request.destroy(), answer }
}

test('a limit for one customer comes in with the row, and is kept by one that does not name it', async () => {
  const lines = (...rows: object[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join('')
  const type = 'application/x-ndjson'
  const row = { sku: 'DROP-1', name: 'Drop', quantity: 10, location: 'LON', purchase_limit: { quantity: 1, window_seconds: 3_600 } }
  await done(send(lines(row), { type }))
  await expect(server.stock.holds.place({ lines: [{ sku: 'DROP-1', quantity: 2 }], customer: 'ada' })).rejects.toMatchObject({
    code: 'purchase_limit_exceeded',
  })
  expect(await done(send(lines({ sku: 'DROP-1', brand: 'Was' }), { type, query: '?on_existing=update' }))).toMatchObject({ items_updated: 1 })
  expect((await server.stock.items.get('DROP-1')).purchaseLimit).toEqual({ quantity: 1, windowSeconds: 3_600 })
  const again = { sku: 'DROP-1', purchase_limit: { quantity: 2, window_seconds: 3_600 } }
  expect(await done(send(lines(again, { ...again, purchase_limit: null }), { type, query: '?on_existing=update' }))).toMatchObject({
    items_updated: 1,
    rows_failed: 1,
  })
  expect((await server.stock.items.get('DROP-1')).purchaseLimit).toEqual({ quantity: 2, windowSeconds: 3_600 })
})

test('an item gets no more attributes by many imports than by one', async () => {
  const attributes = (first: number) => Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`a${first + i}`, 'x']))
  const send60 = (first: number) =>
    done(
      send(`${JSON.stringify({ sku: 'FULL-1', name: 'Full', attributes: attributes(first) })}\n`, {
        type: 'application/x-ndjson',
        query: '?on_existing=update',
      }),
    )
  expect(await send60(0)).toMatchObject({ rows_failed: 0 })
  const more = await send60(60)
  expect(more).toMatchObject({ rows_failed: 1 })
  expect((await errorsOf(more))[0]?.errors).toMatchObject([{ param: 'attributes', message: 'would be more than 100, together with those that the item has' }])
  expect(Object.keys((await server.stock.items.get('FULL-1')).attributes)).toHaveLength(60)
})

test('a header of thousands of columns is refused in a few words', async () => {
  const { status, text } = await send(`sku,${'x,'.repeat(60_000)}\n`)
  expect(status).toBe(400)
  expect(text).toContain('200 are the most')
  expect(text.length).toBeLessThan(30_000)
})
