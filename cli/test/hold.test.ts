import { describe, expect, test } from 'vitest'
import { holdfast } from './support/command.ts'
import { list, problem, startServer } from './support/server.ts'

const id = 'hold_01jd8w2k5v7x9n3q4r6t8y0z1b'
const counts = { quantity: 3, held: 3, committed: 0, shipped: 0, released: 0 }
const hold = {
  object: 'hold',
  id,
  status: 'active',
  customer: null,
  reference: 'cart-7',
  mode: 'all_or_nothing',
  lines: [{ sku: 'TEA-1', ...counts, returned: 0, allocations: [{ location: 'LON', ...counts, level_version: 13 }] }],
  shortages: [],
  expires_at: '2026-11-21T10:15:00.000Z',
  created_at: '2026-11-21T10:00:00.000Z',
  ended_at: null,
  version: 1,
  metadata: { cart_id: '7' },
}

describe('placing a hold', () => {
  test('sends its lines and prints the hold as a table', async () => {
    await using server = await startServer(() => ({ status: 201, body: hold }))
    const { code, stdout, stderr } = await holdfast(
      ['hold', 'place', 'TEA-1=3@LON', 'a=b=2', '--ttl', '15m', '--reference', 'cart-7', '--mode', 'best_effort', '--idempotency-key', 'cart-7'],
      server,
    )

    expect(server.asked).toEqual([
      {
        call: 'POST /v1/holds',
        query: '',
        key: 'cart-7',
        body: {
          lines: [
            { sku: 'TEA-1', quantity: 3, location: 'LON' },
            { sku: 'a=b', quantity: 2 },
          ],
          ttl_seconds: 900,
          reference: 'cart-7',
          mode: 'best_effort',
        },
      },
    ])
    expect(stdout).toBe(
      [
        `Hold ${id} is active until 2026-11-21 10:15:00Z, reference cart-7.`,
        'SKU    LOCATION  QUANTITY  HELD  COMMITTED  SHIPPED  RELEASED',
        'TEA-1  LON              3     3          0        0         0',
        '',
      ].join('\n'),
    )
    expect([code, stderr]).toEqual([0, ''])
  })

  test('prints with --json one document, in the words of the HTTP API', async () => {
    await using server = await startServer(() => ({ status: 201, body: hold }))
    const { code, stdout } = await holdfast(['hold', 'place', 'TEA-1=3', '--json'], server)
    expect(JSON.parse(stdout)).toEqual(hold)
    expect([code, stdout.trim().split('\n').length]).toEqual([0, 1])
  })

  test('says when it was only tried out, and when it had been done before', async () => {
    await using server = await startServer(({ query }) => ({ status: 201, body: hold, headers: query === '' ? { 'idempotent-replayed': 'true' } : {} }))
    const tried = await holdfast(['--dry-run', 'hold', 'place', 'TEA-1=3'], server)
    expect([server.asked[0]?.query, tried.stderr]).toEqual(['dry_run=true', 'Dry run: nothing was changed.\n'])
    const again = await holdfast(['hold', 'place', 'TEA-1=3', '--idempotency-key', 'cart-7'], server)
    expect([server.asked[1]?.key, again.stderr]).toEqual(['cart-7', 'This was done before under the same key; it was not done again.\n'])
  })

  test('shows every shortage when there is not enough stock', async () => {
    const shortage = {
      sku: 'TEA-1',
      location: 'LON',
      requested: 3,
      available: 2,
      held: 4,
      next_expiry_at: '2026-11-21T10:15:00.000Z',
      incoming: 1_000,
      level_version: 12,
    }
    await using server = await startServer(() =>
      problem(409, 'insufficient_stock', {
        retryable: true,
        detail: '3 of TEA-1 asked at LON: 2 available',
        shortages: [shortage, { ...shortage, sku: 'CUP-2', location: null, next_expiry_at: null }],
      }),
    )

    const words = await holdfast(['hold', 'place', 'TEA-1=3'], server)
    expect(words).toMatchObject({ code: 3, stdout: '' })
    expect(words.stderr).toBe(
      [
        'error: 3 of TEA-1 asked at LON: 2 available (insufficient_stock)',
        '  SKU    LOCATION  ASKED  AVAILABLE  HELD  NEXT EXPIRY           INCOMING',
        '  TEA-1  LON           3          2     4  2026-11-21 10:15:00Z     1,000',
        '  CUP-2  any           3          2     4  -                        1,000',
        '  request req_1',
        '',
      ].join('\n'),
    )
    const json = await holdfast(['hold', 'place', 'TEA-1=3', '--json'], server)
    expect(JSON.parse(json.stderr)).toMatchObject({
      object: 'error',
      code: 'insufficient_stock',
      status: 409,
      request_id: 'req_1',
      shortages: [shortage, { sku: 'CUP-2' }],
    })
    expect([json.code, json.stdout]).toEqual([3, ''])
  })
})

describe('a hold that was placed', () => {
  test.each([
    ['is executed whole', ['execute', id], `POST /v1/holds/${id}/execute`, {}],
    [
      'is executed in part',
      ['execute', id, '--line', 'TEA-1=2', '--line', 'CUP-2=1', '--no-final'],
      `POST /v1/holds/${id}/execute`,
      {
        lines: [
          { sku: 'TEA-1', quantity: 2 },
          { sku: 'CUP-2', quantity: 1 },
        ],
        final: false,
      },
    ],
    ['is released', ['release', id], `POST /v1/holds/${id}/release`, {}],
    ['is extended', ['extend', id, '--ttl', '2h'], `POST /v1/holds/${id}/extend`, { ttl_seconds: 7_200 }],
    ['is canceled', ['cancel', id], `POST /v1/holds/${id}/cancel`, {}],
    ['is shown', ['get', id], `GET /v1/holds/${id}`, undefined],
  ])('%s', async (_, args, call, body) => {
    await using server = await startServer(() => ({ body: { ...hold, status: 'released', ended_at: '2026-11-21T10:01:00.000Z' } }))
    const { code, stdout } = await holdfast(['hold', ...args], server)
    expect(server.asked.map((asked) => [asked.call, asked.body])).toEqual([[call, body]])
    expect([code, stdout.split('\n')[0]]).toEqual([0, `Hold ${id} is released since 2026-11-21 10:01:00Z, reference cart-7.`])
  })
})

describe('the list of holds', () => {
  const pages = [list([hold, { ...hold, reference: null }], 'next'), list([{ ...hold, lines: [{ ...hold.lines[0], quantity: 1_500 }] }])] as const

  test('is a table of as many rows as asked for, and says when there are more', async () => {
    await using server = await startServer(() => pages[0])
    const { code, stdout, stderr } = await holdfast(['hold', 'list', '--status', 'active', '--sku', 'TEA-1', '--reference', 'r', '--limit', '1'], server)
    expect(server.asked.map(({ query }) => query)).toEqual(['status=active&sku=TEA-1&reference=r&limit=1'])
    expect(stdout.split('\n')).toEqual([expect.stringMatching(/^ID +STATUS +UNITS +SKUS +REFERENCE +CREATED +EXPIRES$/), expect.stringContaining(id), ''])
    expect([code, stderr]).toEqual([0, 'These are the first 1; there are more. Ask with --limit or --all.\n'])
  })

  test('is read to its end with --all, and is a document a line with --json', async () => {
    await using server = await startServer(({ query }) => pages[query.includes('starting_after=next') ? 1 : 0])
    const { code, stdout } = await holdfast(['hold', 'list', '--all', '--json'], server)
    expect(
      stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).lines[0].quantity),
    ).toEqual([3, 3, 1_500])
    expect(code).toBe(0)
    expect(server.asked.map(({ query }) => query)).toEqual(['limit=100', 'limit=100&starting_after=next'])
  })

  test('says so when there are none; to a program it says nothing', async () => {
    await using server = await startServer(() => list([]))
    expect(await holdfast(['hold', 'list'], server)).toMatchObject({ code: 0, stdout: 'None.\n' })
    expect(await holdfast(['hold', 'list', '--json'], server)).toMatchObject({ code: 0, stdout: '' })
  })
})
