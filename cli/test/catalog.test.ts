import { mkdtemp, rm, writeFile } from 'node:fs/promises'
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
  const shop = () =>
    startServer(({ call, body }) => {
      const sku = (body as { sku?: string }).sku // made by the command
      if (call === 'POST /v1/items' && sku === 'OLD') return problem(409, 'already_exists')
      if (sku === 'BAD') return problem(400, 'invalid_request', { errors: [{ param: 'price.currency', message: 'must match pattern' }] })
      return { status: 201, body: item }
    })
  const text =
    '\uFEFFsku,name,price,currency,safety_stock,attributes.colour\r\nTEA-1,"Earl ""Grey"",\n100 g",695,GBP,2,grey\r\nOLD,Old,,,,\r\nBAD,Bad,1,XX,,\r\nCUP-2,Cup,6.95,GBP,,\r\nPOT-3,,,,,'

  test('makes what is new, leaves what is there, tells what was refused by its line, and draws nothing into a pipe', async () => {
    await using server = await shop()
    const { code, stdout, stderr } = await holdfast(['item', 'import', await fileOf('items.csv', text)], server)
    const bodies = server.asked.map(({ body }) => body)
    expect(bodies).toContainEqual({
      sku: 'TEA-1',
      name: 'Earl "Grey",\n100 g',
      price: { amount: 695, currency: 'GBP' },
      safety_stock: 2,
      attributes: { colour: 'grey' },
    })
    expect(bodies).toContainEqual({ sku: 'POT-3', name: 'POT-3' })
    expect(stdout).toBe('2 made, 1 already there, 2 refused.\n')
    expect(stderr.trim().split('\n').toSorted()).toEqual([
      'line 5, BAD: told: invalid_request; price.currency must match pattern',
      'line 6: has the price "6.95", which is not a whole number',
    ])
    expect(code).toBe(3)
  })

  test('changes what is there when asked to', async () => {
    await using server = await shop()
    const { code, stdout } = await holdfast(['item', 'import', '--update', '--json', await fileOf('old.csv', 'sku,name\nOLD,New name\n')], server)
    expect(server.asked.map(({ call, body }) => [call, body])).toEqual([
      ['POST /v1/items', { sku: 'OLD', name: 'New name' }],
      ['PATCH /v1/items/OLD', { name: 'New name' }],
    ])
    expect([code, JSON.parse(stdout)]).toEqual([0, { object: 'item_import', made: 0, changed: 1, already_there: 0, refused: 0 }])
  })

  test('asks for each row once', async () => {
    await using server = await startServer(() => ({ status: 201, body: item }))
    const rows = Array.from({ length: 200 }, (_, index) => `SKU-${index},Name`)
    const { code, stdout } = await holdfast(['item', 'import', await fileOf('many.csv', ['sku,name', ...rows].join('\n'))], server)
    expect([code, stdout]).toEqual([0, '200 made, 0 already there, 0 refused.\n'])
    expect(new Set(server.asked.map(({ body }) => JSON.stringify(body))).size).toBe(200)
    expect(server.asked).toHaveLength(200)
  })

  test('stops at the first answer that would be the same for every row', async () => {
    await using server = await startServer(() => problem(403, 'permission_denied'))
    const { code, stdout, stderr } = await holdfast(['item', 'import', await fileOf('all.csv', text)], server)
    expect(code).toBe(3)
    expect(stdout).toBe('')
    expect(stderr).toContain('Stopped after 0 made')
    expect(stderr).toContain('error: told: permission_denied')
  })

  test.each([
    ['a column nobody knows', 'sku,colour\n', 'unknown columns: "colour"'],
    ['no sku', 'name\nTea\n', 'there is no column sku'],
    ['a column twice', 'sku,sku\n', 'the column sku is there twice'],
    ['a quote that is not closed', 'sku\n"TEA', 'line 2: a quote is not closed'],
  ])('of a file with %s is wrong usage', async (_, text, says) => {
    await using server = await shop()
    const { code, stderr } = await holdfast(['item', 'import', await fileOf('wrong.csv', text)], server)
    expect(code).toBe(2)
    expect(stderr).toContain(says)
  })

  test('of a file that is not there is wrong usage', async () => {
    expect(await holdfast(['item', 'import', join(directory, 'none.csv')])).toMatchObject({ code: 2, stderr: expect.stringContaining('cannot be opened') })
  })
})
