// Transfers, inbound shipments and counts.
import { describe, expect, test } from 'vitest'
import { holdfast } from './support/command.ts'
import { list, problem, startServer } from './support/server.ts'

const noted = { reference: 'van-7', metadata: {}, created_at: '2026-11-21T10:00:00.000Z', ended_at: null, version: 1 }
const expected = { sku: 'TEA-1', quantity: 40, outstanding: 8, received: 30, missing: 0, excess: 0, withdrawn: 2 }

const transferId = 'tran_01jd8w2k5v7x9n3q4r6t8y0z1b'
const transfer = {
  object: 'transfer',
  id: transferId,
  status: 'dispatched',
  from: 'LON',
  to: 'PAR',
  lines: [{ ...expected, from_level_version: 3, to_level_version: 4 }],
  dispatched_at: '2026-11-21T10:05:00.000Z',
  ...noted,
}

const inboundId = 'inb_01jd8w2k5v7x9n3q4r6t8y0z1b'
const inbound = {
  object: 'inbound_shipment',
  id: inboundId,
  status: 'announced',
  supplier: 'Acme Teas',
  location: 'LON',
  expected_at: '2026-12-01T08:00:00.000Z',
  lines: [{ ...expected, level_version: 4 }],
  ...noted,
}

const countId = 'cnt_01jd8w2k5v7x9n3q4r6t8y0z1b'
const counted = { sku: 'TEA-1', counted: 118, expected: 120, difference: -2, counted_at: '2026-11-21T10:01:00.000Z', as_of_sequence: null, level_version: 7 }
const count = { object: 'count', id: countId, status: 'open', location: 'LON', skus: ['TEA-1', 'CUP-2'], lines: [counted], ...noted }

describe('a transfer', () => {
  test('is planned with its lines, and shown as it is', async () => {
    const open = { ...transfer, status: 'open', dispatched_at: null }
    await using server = await startServer(() => ({ status: 201, body: open }))
    const { code, stdout } = await holdfast(['transfer', 'create', 'LON', 'PAR', 'TEA-1=40', '--reference', 'van-7', '--idempotency-key', 'van-7'], server)
    const body = { from: 'LON', to: 'PAR', lines: [{ sku: 'TEA-1', quantity: 40 }], reference: 'van-7' }
    expect(server.asked).toEqual([{ call: 'POST /v1/transfers', query: '', key: 'van-7', body }])
    expect(stdout).toBe(`Transfer ${transferId} from LON to PAR is open, reference van-7.\nSKU    QUANTITY\nTEA-1        40\n`)
    expect(code).toBe(0)
  })

  test('is sent off, received in parts or as a whole, closed, and canceled', async () => {
    await using server = await startServer(() => ({ body: transfer }))
    const { stdout } = await holdfast(['transfer', 'dispatch', transferId, '--dry-run'], server)
    expect(stdout).toBe(
      [
        `Transfer ${transferId} from LON to PAR is dispatched since 2026-11-21 10:05:00Z, reference van-7.`,
        'SKU    QUANTITY  OUTSTANDING  RECEIVED  MISSING  EXCESS  TAKEN BACK',
        'TEA-1        40            8        30        0       0           2',
        '',
      ].join('\n'),
    )
    const receive = (...words: string[]) => holdfast(['transfer', 'receive', transferId, ...words], server)
    await receive()
    await receive('TEA-1=30', 'TEA-1=2:damaged', '--accept-excess')
    await receive('--close')
    await holdfast(['transfer', 'cancel', transferId], server)
    const lines = [
      { sku: 'TEA-1', quantity: 30 },
      { sku: 'TEA-1', quantity: 2, to: 'damaged' },
    ]
    expect(server.asked).toMatchObject([
      { call: `POST /v1/transfers/${transferId}/dispatch`, query: 'dry_run=true', body: {} },
      { call: `POST /v1/transfers/${transferId}/receive`, body: {} },
      { call: `POST /v1/transfers/${transferId}/receive`, body: { lines, accept_excess: true } },
      // Nobody who only closes it means that all of it has come.
      { call: `POST /v1/transfers/${transferId}/receive`, body: { lines: [], close: true } },
      { call: `POST /v1/transfers/${transferId}/cancel`, body: {} },
    ])
    expect(server.asked[1]?.body).toEqual({})
  })

  test('is shown and found, and what is refused is said', async () => {
    await using server = await startServer(({ call }) => (call.endsWith('/receive') ? problem(409, 'invalid_state') : list([transfer])))
    const { stdout } = await holdfast(['transfer', 'list', '--status', 'dispatched', '--location', 'PAR', '--reference', 'van-7', '--limit', '5'], server)
    expect(server.asked[0]).toMatchObject({ call: 'GET /v1/transfers', query: 'status=dispatched&location=PAR&reference=van-7&limit=5' })
    expect(stdout.split('\n')[1]).toBe(`${transferId}  dispatched  LON   PAR     40            8  van-7      2026-11-21 10:00:00Z`)
    expect(await holdfast(['transfer', 'receive', transferId], server)).toMatchObject({ code: 3, stdout: '', stderr: expect.stringContaining('invalid_state') })
  })

  test('is one JSON document with --json', async () => {
    await using server = await startServer(() => ({ body: transfer }))
    const { stdout } = await holdfast(['transfer', 'get', transferId, '--json'], server)
    expect(JSON.parse(stdout)).toEqual(transfer)
    expect(server.asked[0]).toMatchObject({ call: `GET /v1/transfers/${transferId}`, key: undefined })
  })
})

describe('an inbound shipment', () => {
  test('is announced, shown and received', async () => {
    await using server = await startServer(() => ({ body: inbound }))
    const words = ['LON', 'TEA-1=40', '--supplier', 'Acme Teas', '--reference', 'van-7', '--expected', '2026-12-01T08:00:00Z']
    const { stdout } = await holdfast(['inbound', 'create', ...words], server)
    expect(stdout).toBe(
      [
        `Shipment ${inboundId} of Acme Teas to LON is announced, expected 2026-12-01 08:00:00Z, reference van-7.`,
        'SKU    QUANTITY  OUTSTANDING  RECEIVED  MISSING  EXCESS  CALLED OFF',
        'TEA-1        40            8        30        0       0           2',
        '',
      ].join('\n'),
    )
    await holdfast(['inbound', 'receive', inboundId, 'TEA-1=8:quality_control', '--close'], server)
    await holdfast(['inbound', 'cancel', inboundId], server)
    expect(server.asked).toMatchObject([
      {
        call: 'POST /v1/inbound_shipments',
        body: {
          supplier: 'Acme Teas',
          location: 'LON',
          lines: [{ sku: 'TEA-1', quantity: 40 }],
          reference: 'van-7',
          expected_at: '2026-12-01T08:00:00Z',
        },
      },
      {
        call: `POST /v1/inbound_shipments/${inboundId}/receive`,
        body: { lines: [{ sku: 'TEA-1', quantity: 8, to: 'quality_control' }], close: true },
      },
      { call: `POST /v1/inbound_shipments/${inboundId}/cancel`, body: {} },
    ])
  })

  test('is found', async () => {
    await using server = await startServer(() => list([inbound]))
    const { stdout } = await holdfast(['inbound', 'list', '--status', 'announced', '--location', 'LON'], server)
    expect(server.asked[0]?.query).toBe('status=announced&location=LON&limit=100')
    expect(stdout.split('\n')[1]).toBe(`${inboundId}  announced  Acme Teas  LON          40            8  van-7      2026-12-01 08:00:00Z`)
  })
})

describe('a count', () => {
  test('is opened, told what was found, and says what is still to be counted', async () => {
    await using server = await startServer(() => ({ body: count }))
    await holdfast(['count', 'create', 'LON', 'TEA-1', 'CUP-2', '--reference', 'van-7'], server)
    await holdfast(['count', 'create', 'LON'], server)
    const { stdout } = await holdfast(['count', 'lines', countId, 'TEA-1=118', 'CUP-2=0', '--as-of', '4711'], server)
    await holdfast(['count', 'lines', countId, 'TEA-1=118'], server)
    expect(server.asked).toMatchObject([
      { call: 'POST /v1/counts', body: { location: 'LON', skus: ['TEA-1', 'CUP-2'], reference: 'van-7' } },
      { call: 'POST /v1/counts' },
      { call: `POST /v1/counts/${countId}/lines` },
      { call: `POST /v1/counts/${countId}/lines` },
    ])
    expect(server.asked.slice(1).map(({ body }) => body)).toEqual([
      { location: 'LON' },
      {
        lines: [
          { sku: 'TEA-1', quantity: 118, as_of_sequence: 4711 },
          { sku: 'CUP-2', quantity: 0, as_of_sequence: 4711 },
        ],
      },
      { lines: [{ sku: 'TEA-1', quantity: 118 }] },
    ])
    expect(stdout).toBe(
      [
        `Count ${countId} at LON is open, reference van-7.`,
        'SKU    COUNTED  EXPECTED  DIFFERENCE  WHEN',
        'TEA-1      118       120          -2  2026-11-21 10:01:00Z',
        'Still to be counted: CUP-2.',
        '',
      ].join('\n'),
    )
  })

  test('is approved or canceled, and found', async () => {
    const ended = { ...count, status: 'approved', ended_at: '2026-11-21T11:00:00.000Z' }
    await using server = await startServer(({ call }) => (call.startsWith('GET') ? list([ended]) : { body: ended }))
    const { stdout } = await holdfast(['count', 'approve', countId], server)
    expect(stdout.split('\n')[0]).toBe(`Count ${countId} at LON is approved since 2026-11-21 11:00:00Z, reference van-7.`)
    expect(stdout).not.toContain('Still')
    await holdfast(['count', 'cancel', countId], server)
    const found = await holdfast(['count', 'list', '--status', 'approved'], server)
    expect(found.stdout.split('\n')[1]).toBe(`${countId}  approved  LON             1       1  van-7      2026-11-21 10:00:00Z`)
    expect(server.asked).toMatchObject([
      { call: `POST /v1/counts/${countId}/approve`, body: {} },
      { call: `POST /v1/counts/${countId}/cancel`, body: {} },
      { call: 'GET /v1/counts', query: 'status=approved&limit=100' },
    ])
  })
})
