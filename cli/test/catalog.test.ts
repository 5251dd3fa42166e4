import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { holdfast } from './support/command.ts'
import { list, problem, startServer } from './support/server.ts'

const item = {
  object: 'item',
  sku: 'TEA-1',
  name: 'Earl Grey',
  description: null,
  brand: 'Tea & Co',
  category: null,
  price: { amount: 695, currency: 'GBP' },
  barcode: null,
  attributes: { leaf_size: 'fine' },
  metadata: {},
  safety_stock: 2,
  reorder_point: null,
  purchase_limit: null,
  status: 'active',
  version: 3,
  created_at: '2026-11-21T10:00:00.000Z',
  updated_at: '2026-11-21T10:00:00.000Z',
}
const location = {
  object: 'location',
  code: 'LON',
  name: 'London',
  kind: 'third_party',
  priority: 1,
  address: null,
  latitude: 51.5,
  longitude: -0.1,
  metadata: {},
  status: 'active',
  version: 1,
  created_at: 'now',
  updated_at: 'now',
}

describe('an item', () => {
  test('is made with all that was said of it', async () => {
    await using server = await startServer(() => ({ status: 201, body: item }))
    const { code, stdout } = await holdfast(
      [
        'item',
        'create',
        'TEA-1',
        '--name',
        'Earl Grey',
        '--brand',
        'Tea & Co',
        '--price',
        '695',
        '--currency',
        'GBP',
        '--safety-stock',
        '2',
        '--attribute',
        'leaf_size=fine',
        '--attribute',
        'colour=a=b',
      ],
      server,
    )
    expect(server.asked).toEqual([
      {
        call: 'POST /v1/items',
        query: '',
        key: expect.any(String),
        body: {
          sku: 'TEA-1',
          name: 'Earl Grey',
          brand: 'Tea & Co',
          price: { amount: 695, currency: 'GBP' },
          safety_stock: 2,
          attributes: { leaf_size: 'fine', colour: 'a=b' },
        },
      },
    ])
    expect(stdout).toBe('Item TEA-1, Earl Grey, is active, version 3.\n  brand: Tea & Co\n  price: 695 GBP\n  safety stock: 2\n  leaf_size: fine\n')
    expect(code).toBe(0)
  })

  test.each([
    ['is shown', ['get', 'TEA 1/2'], 'GET /v1/items/TEA%201%2F2', undefined],
    [
      'is changed where it was said',
      ['update', 'TEA-1', '--category', 'tea', '--status', 'active', '--if-version', '3'],
      'PATCH /v1/items/TEA-1',
      { category: 'tea', status: 'active', if_version: 3 },
    ],
    ['is archived', ['archive', 'TEA-1'], 'DELETE /v1/items/TEA-1', undefined],
  ])('%s', async (_, args, call, body) => {
    await using server = await startServer(() => ({ body: item }))
    const { code } = await holdfast(['item', ...args], server)
    expect([code, server.asked]).toEqual([0, [{ call, query: '', key: undefined, body }]])
  })

  test('cannot write to the terminal what it likes', async () => {
    await using server = await startServer(() => list([{ ...item, name: 'Tea\u001b[2J\nTEA-2  free' }]))
    const { stdout } = await holdfast(['item', 'list', '--q', 'tea', '--status', 'active'], server)
    expect(server.asked[0]?.query).toBe('q=tea&status=active&limit=100')
    expect(stdout).not.toContain('\u001b')
    expect(stdout.trim().split('\n')).toHaveLength(2)
  })
})

describe('a location', () => {
  test.each([
    [
      'is made',
      ['create', 'LON', '--name', 'London', '--kind', 'third_party', '--latitude', '51.5', '--longitude', '-0.1'],
      'POST /v1/locations',
      { code: 'LON', name: 'London', kind: 'third_party', latitude: 51.5, longitude: -0.1 },
    ],
    ['is shown', ['get', 'LON'], 'GET /v1/locations/LON', undefined],
    ['is changed', ['update', 'LON', '--priority', '1', '--activate'], 'PATCH /v1/locations/LON', { priority: 1, status: 'active' }],
    ['is deactivated', ['deactivate', 'LON'], 'DELETE /v1/locations/LON', undefined],
  ])('%s', async (_, args, call, body) => {
    await using server = await startServer(() => ({ body: location }))
    const { code, stdout } = await holdfast(['location', ...args], server)
    expect(server.asked.map((asked) => [asked.call, asked.body])).toEqual([[call, body]])
    expect([code, stdout]).toEqual([0, 'Location LON, London, is active: third party, priority 1, version 1.\n'])
  })

  test('is found in the list', async () => {
    await using server = await startServer(() => list([location]))
    const { stdout } = await holdfast(['location', 'list', '--kind', 'third_party'], server)
    expect(server.asked[0]?.query).toBe('kind=third_party&limit=100')
    expect(stdout).toContain('LON   London  third_party         1  active        1')
  })
})

describe('an import of items', () => {
  let directory = ''
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'holdfast-cli-'))
  })
  afterAll(() => rm(directory, { recursive: true }))
  const fileOf = async (name: string, text: string) => {
    await writeFile(join(directory, name), text)
    return join(directory, name)
  }
  const made = (changes: object = {}) => ({
    object: 'import',
    id: 'imp_01jd8w2k5v7x9n3q4r6t8y0z1b',
    status: 'completed',
    dry_run: false,
    rows_read: 4,
    items_created: 2,
    items_updated: 0,
    items_unchanged: 0,
    units_received: 0,
    rows_skipped: 1,
    rows_failed: 0,
    ...changes,
  })
  const row = (number: number, sku: string | null, message: string, raw: string) => ({
    object: 'import_error',
    row: number,
    line: number + 1,
    sku,
    code: 'invalid_request',
    message,
    errors: [],
    raw,
  })
  const text = '\uFEFFsku;"na;me"\r\nTEA-1;Tea\r\nOLD;Old\r\n;Bad\r\nCUP-2\r\n'

  test('sends the file as it is, tells what was refused by its line, writes it to be corrected, and draws nothing into a pipe', async () => {
    const wrong = [row(3, null, 'sku is required', ';Bad'), row(4, 'CUP-2', 'the row has "1" cells', 'CUP-2')]
    await using server = await startServer(({ call }) =>
      call === 'POST /v1/items/import' ? { status: 201, body: made({ rows_failed: 2, units_received: 1_200 }) } : list(wrong),
    )
    const file = await fileOf('items.csv', text)
    const { code, stdout, stderr } = await holdfast(['item', 'import', file, '--location', 'LON'], server)
    // Whoever reads text does not see its byte order mark.
    expect(server.asked.map(({ call, query, body }) => [call, query, body])).toEqual([
      ['POST /v1/items/import', 'on_existing=skip&location=LON', text.slice(1)],
      ['GET /v1/imports/imp_01jd8w2k5v7x9n3q4r6t8y0z1b/errors', 'limit=100', undefined],
    ])
    expect(stdout).toBe('2 made, 1 already there, 1,200 units received, 2 refused.\n')
    const errorsFile = join(directory, 'items.errors.csv')
    expect(stderr.trim().split('\n')).toEqual([
      'line 4: sku is required',
      'line 5, CUP-2: the row has "1" cells',
      `Rows that were refused are in ${errorsFile}, with the reason: correct them there and import that file.`,
    ])
    expect(await readFile(errorsFile, 'utf8')).toBe('error;sku;"na;me"\n"sku is required";;Bad\n"the row has ""1"" cells";CUP-2\n')
    expect(code).toBe(3)
  })

  test('takes lines of JSON, and gives those that were refused back with the reason', async () => {
    const wrong = [row(1, 'A', 'name is required for a new item', '{"sku":"A"}'), row(2, null, 'the row cannot be read', '{"sku"')]
    await using server = await startServer(({ call }) => (call === 'POST /v1/items/import' ? { status: 201, body: made({ rows_failed: 2 }) } : list(wrong)))
    const errorsFile = join(directory, 'wrong.ndjson')
    await holdfast(['item', 'import', await fileOf('items.ndjson', '{"sku":"A"}\n{"sku"\n'), '--errors', errorsFile], server)
    expect(await readFile(errorsFile, 'utf8')).toBe(
      '{"error":"name is required for a new item","sku":"A"}\n{"error":"the row cannot be read","raw":"{\\"sku\\""}\n',
    )
  })

  test('changes what is there when asked to', async () => {
    await using server = await startServer(() => ({ status: 201, body: made({ items_created: 0, items_updated: 1, rows_skipped: 0 }) }))
    const { code, stdout } = await holdfast(['item', 'import', '--update', '--json', await fileOf('old.csv', 'sku,name\nOLD,New name\n')], server)
    expect(server.asked.map(({ query }) => query)).toEqual(['on_existing=update'])
    expect([code, JSON.parse(stdout)]).toMatchObject([0, { object: 'import', items_created: 0, items_updated: 1 }])
  })

  test('goes on when the same command is given again: its key is made from the file and the wishes', async () => {
    await using server = await startServer(() => ({ status: 201, body: made() }))
    const same = await fileOf('same.csv', 'sku,name\nA,B\n')
    for (const args of [
      [same],
      [await fileOf('copy.csv', 'sku,name\nA,B\n')],
      [same, '--update'],
      [await fileOf('other.csv', 'sku,name\nA,C\n')],
      [same, '--idempotency-key', 'mine'],
    ])
      await holdfast(['item', 'import', ...args], server)
    const [first, copy, update, other, own] = server.asked.map(({ key }) => key)
    expect(copy).toBe(first)
    expect(new Set([first, update, other, own]).size).toBe(4)
    expect(own).toBe('mine')
  })

  test('tries again when the connection breaks, and sends the whole file each time', async () => {
    const rows = Array.from({ length: 5_000 }, (_, index) => `SKU-${index},Name`)
    let tries = 0
    // Between the tries it is asked how far it has got.
    await using server = await startServer(({ call }) => (call.startsWith('GET') ? list([]) : (tries += 1) < 3 ? 'cut' : { status: 201, body: made() }))
    const { code } = await holdfast(['item', 'import', await fileOf('many.csv', ['sku,name', ...rows].join('\n'))], server)
    expect(code).toBe(0)
    const sent = server.asked.filter(({ call }) => call.startsWith('POST'))
    expect(sent.map(({ body }) => body)).toEqual(Array.from({ length: 3 }, () => ['sku,name', ...rows].join('\n')))
    expect(new Set(sent.map(({ key }) => key)).size).toBe(1)
  })

  test('is only tried out with --dry-run', async () => {
    await using server = await startServer(() => ({ status: 201, body: made({ dry_run: true }) }))
    const { stderr } = await holdfast(['item', 'import', '--dry-run', await fileOf('try.csv', 'sku,name\nA,B\n')], server)
    expect(server.asked[0]?.query).toContain('dry_run=true')
    expect(stderr).toContain('Dry run: nothing was changed.')
  })

  test('says how to go on when the file was refused', async () => {
    await using server = await startServer(() => problem(400, 'invalid_request', { errors: [{ param: 'line 3', message: 'a quote is not closed' }] }))
    const { code, stdout, stderr } = await holdfast(['item', 'import', await fileOf('broken.csv', 'sku\n"TEA')], server)
    expect([code, stdout]).toEqual([3, ''])
    expect(stderr).toContain('line 3: a quote is not closed')
    expect(stderr).toMatch(/--idempotency-key import-[0-9a-f]{64}/)
  })

  test('of a file that is not there is wrong usage', async () => {
    expect(await holdfast(['item', 'import', join(directory, 'none.csv')])).toMatchObject({ code: 2, stderr: expect.stringContaining('cannot be opened') })
  })
})
