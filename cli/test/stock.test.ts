import { expect, test } from 'vitest'
import { holdfast, mainPath, startNode } from './support/command.ts'
import { list, startServer } from './support/server.ts'

const hold = 'hold_01jd8w2k5v7x9n3q4r6t8y0z1b'
const moved = {
  sku: 'TEA-1',
  quantity: 3,
  level_version: 2,
  from: 'available',
  to: 'damaged',
  allocations: [{ location: 'LON', quantity: 3, level_version: 2 }],
}
const document = { object: 'receipt', id: 'rcpt_1', hold, location: 'LON', reason: 'found', lines: [moved] }
const counts = { on_hand: 1_200, available: 5, held: 4, committed: 1, damaged: 0, quality_control: 0, incoming: 10, safety_stock: 0, available_to_sell: 5 }
const level = { object: 'stock_level', sku: 'TEA-1', location: 'LON', ...counts, version: 12, updated_at: null }

test.each([
  [
    'receipt',
    ['receive', 'LON', 'TEA-1=3', 'CUP-2=1', '--reference', 'PO-1'],
    '/v1/receipts',
    {
      location: 'LON',
      lines: [
        { sku: 'TEA-1', quantity: 3 },
        { sku: 'CUP-2', quantity: 1 },
      ],
      reference: 'PO-1',
    },
  ],
  [
    'correction',
    ['adjust', 'LON', 'TEA-1=+3', 'CUP-2=-1', '--reason', 'found'],
    '/v1/adjustments',
    {
      location: 'LON',
      lines: [
        { sku: 'TEA-1', delta: 3 },
        { sku: 'CUP-2', delta: -1 },
      ],
      reason: 'found',
    },
  ],
  [
    'correction of a known version',
    ['adjust', 'LON', 'TEA-1=-3', '--reason', 'count', '--if-version', '12'],
    '/v1/adjustments',
    { location: 'LON', lines: [{ sku: 'TEA-1', delta: -3 }], reason: 'count', if_version: 12 },
  ],
  [
    'move between states',
    ['move', 'LON', 'TEA-1=3', '--from', 'available', '--to', 'damaged', '--reason', 'damaged'],
    '/v1/adjustments',
    { location: 'LON', lines: [{ sku: 'TEA-1', quantity: 3, from: 'available', to: 'damaged' }], reason: 'damaged' },
  ],
  ['shipment of all', ['ship', hold], '/v1/shipments', { hold }],
  ['shipment of a part', ['ship', hold, 'TEA-1=1'], '/v1/shipments', { hold, lines: [{ sku: 'TEA-1', quantity: 1 }] }],
  [
    'return',
    ['return', 'LON', 'TEA-1=1', '--to', 'damaged', '--hold', hold],
    '/v1/returns',
    { location: 'LON', lines: [{ sku: 'TEA-1', quantity: 1, to: 'damaged' }], hold },
  ],
])('a %s is sent as it was typed, under a key', async (_, args, path, body) => {
  await using server = await startServer(() => ({ status: 201, body: document }))
  const { code, stdout, stderr } = await holdfast(['stock', ...args], server)
  expect(server.asked).toEqual([{ call: `POST ${path}`, query: '', key: expect.stringMatching(/^[0-9a-f]{32}$/), body }])
  expect(stdout).toMatch(/^(Receipt|Adjustment|Shipment|Return) rcpt_1 .+:\nSKU .+\nTEA-1 +(LON +)?3/)
  expect([code, stderr]).toEqual([0, ''])
})

test('the stock of one item is shown for each location, with the total', async () => {
  await using server = await startServer(() => ({
    body: { object: 'item_stock', sku: 'TEA-1', total: { ...counts, on_hand: 2_400 }, locations: [level, { ...level, location: 'PAR' }] },
  }))
  const { stdout } = await holdfast(['stock', 'levels', 'TEA-1'], server)
  expect(stdout).toBe(
    [
      'LOCATION  ON HAND  TO SELL  AVAILABLE  HELD  COMMITTED  DAMAGED  QUALITY CONTROL  INCOMING',
      'LON         1,200        5          5     4          1        0                0        10',
      'PAR         1,200        5          5     4          1        0                0        10',
      'all         2,400        5          5     4          1        0                0        10',
      '',
    ].join('\n'),
  )
  expect(server.asked[0]?.call).toBe('GET /v1/stock_levels/TEA-1')
})

test('stock levels are listed with filters', async () => {
  await using server = await startServer(() => list([level]))
  await holdfast(['stock', 'levels', 'TEA-1', '--location', 'LON', '--low', '--as-of', '2026-11-21T10:00:00Z'], server)
  expect(server.asked[0]).toMatchObject({ call: 'GET /v1/stock_levels', query: 'sku=TEA-1&location=LON&low=true&as_of=2026-11-21T10%3A00%3A00Z&limit=100' })
})

test('what can be sold is shown for all items that were named, and said to be old when it is', async () => {
  const data = [
    {
      object: 'availability',
      sku: 'TEA-1',
      available_to_sell: 5,
      locations: [
        { location: 'LON', available_to_sell: 3 },
        { location: 'PAR', available_to_sell: 2 },
      ],
      as_of: '2026-11-21T10:00:00.000Z',
      stale: true,
    },
  ]
  await using server = await startServer(() => ({ body: { object: 'availability_list', data, as_of: '2026-11-21T10:00:00.000Z', stale: true } }))
  const { stdout, stderr } = await holdfast(['stock', 'available', 'TEA-1', 'CUP-2'], server)
  expect(server.asked[0]).toMatchObject({ call: 'POST /v1/availability', key: undefined, body: { skus: ['TEA-1', 'CUP-2'] } })
  expect(stdout).toBe('SKU    TO SELL  WHERE\nTEA-1        5  LON 3, PAR 2\n')
  expect(stderr).toBe('The database cannot be reached; this is as of 2026-11-21 10:00:00Z.\n')
})

test('the movements in the ledger are listed with filters', async () => {
  const entry = {
    object: 'ledger_entry',
    id: 'entry_1',
    sequence: 1,
    sku: 'TEA-1',
    location: 'LON',
    from: 'available',
    to: 'held',
    quantity: 3,
    level_version: 1,
    document: hold,
    occurred_at: '2026-11-21T10:00:00.000Z',
  }
  await using server = await startServer(() => list([entry]))
  const { stdout } = await holdfast(['stock', 'entries', '--sku', 'TEA-1', '--hold', hold, '--to', 'held', '--since', '2026-11-21T00:00:00.000Z'], server)
  expect(server.asked[0]?.query).toBe(`sku=TEA-1&hold=${hold}&to=held&since=2026-11-21T00%3A00%3A00.000Z&limit=100`)
  expect(stdout.split('\n')[1]).toBe(`2026-11-21 10:00:00Z  TEA-1  LON              3  available  held  ${hold}`)
})

const event = (sequence: number) => ({
  object: 'event',
  id: `evt_${sequence}`,
  type: 'hold.placed',
  sequence,
  occurred_at: '2026-11-21T10:00:00.000Z',
  subject: { object: 'hold', id: hold, version: 1 },
  actor: 'key_1',
  request_id: 'req_1',
  data: {},
})

test('events are listed after a sequence, of the types that were named', async () => {
  await using server = await startServer(() => list([event(7)]))
  const { stdout } = await holdfast(['stock', 'events', '--after', '6', '--type', 'hold.placed', '--type', 'hold.executed'], server)
  expect(server.asked[0]).toMatchObject({ call: 'GET /v1/events', query: 'after_sequence=6&type=hold.placed&type=hold.executed&limit=100' })
  expect(stdout.split('\n')[1]).toBe(`         7  2026-11-21 10:00:00Z  hold.placed           ${hold}  key_1`)
})

test('events are followed as they happen, until one presses Ctrl-C', async () => {
  const body = [1, 2].map((sequence) => `id: ${sequence}\ndata: ${JSON.stringify(event(sequence))}\n\n`).join('')
  await using server = await startServer(({ query }) => (query === 'after_sequence=0' ? { headers: { 'content-type': 'text/event-stream' }, body } : 'silence'))
  const { child, ended, untilSaid } = startNode([mainPath, 'stock', 'events', '--follow', '--after', '0', '--json'], {
    HOLDFAST_URL: server.url,
    HOLDFAST_API_KEY: 'hf_1',
  })
  await untilSaid('"sequence":2')
  child.kill('SIGINT')
  const { signal, stdout } = await ended
  expect(signal).toBe('SIGINT')
  expect(
    stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line)),
  ).toEqual([event(1), event(2)])
})
