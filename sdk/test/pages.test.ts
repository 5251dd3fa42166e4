import { expect, test } from 'vitest'
import { holdfast, responseOf } from '@holdfast/sdk'
import { startServer } from './support/server.ts'

const apiKey = 'hf_0123456789abcdef0123456789abcdef'
const holds = Array.from({ length: 5 }, (_, index) => ({ object: 'hold', id: `hold_${index}`, expires_at: 'soon' }))

/** Pages by `limit` and `starting_after`, as the server does it. */
const startShop = () =>
  startServer(({ query }) => {
    const from = holds.findIndex(({ id }) => id === query.get('starting_after')) + 1
    const data = holds.slice(from, from + Math.min(Number(query.get('limit') ?? 20), 2))
    const hasMore = from + data.length < holds.length
    return { headers: { 'stock-sequence': '9' }, body: { object: 'list', data, has_more: hasMore, next_cursor: hasMore ? data.at(-1)?.id : null } }
  })

test('a list is read to its end, page after page, with its filters on each', async () => {
  await using server = await startShop()
  const seen: string[] = []
  for await (const hold of holdfast({ url: server.url, apiKey }).holds.list({ status: 'active' })) seen.push(`${hold.id} ${hold.expiresAt}`)
  expect(seen).toEqual(holds.map(({ id }) => `${id} soon`))
  expect(server.asked.map(({ query }) => query.toString())).toEqual([
    'status=active&limit=100',
    'status=active&limit=100&starting_after=hold_1',
    'status=active&limit=100&starting_after=hold_3',
  ])
})

test('a reader that stops early asks for no more pages, and one that never begins asks for none', async () => {
  await using server = await startShop()
  const { holds } = holdfast({ url: server.url, apiKey })
  holds.list()
  expect(server.asked).toHaveLength(0)
  for await (const hold of holds.list()) if (hold.id === 'hold_1') break
  expect(server.asked).toHaveLength(1)
})

test('one page says where the next one begins', async () => {
  await using server = await startShop()
  const { holds } = holdfast({ url: server.url, apiKey })
  const first = await holds.list({ limit: 1 }).page()
  expect(first).toMatchObject({ hasMore: true, nextCursor: 'hold_0' })
  expect(responseOf(first).sequence).toBe(9)
  const second = await holds.list({ limit: 1, startingAfter: first.nextCursor ?? undefined }).page()
  expect(second.data.map(({ id }) => id)).toEqual(['hold_1'])
  expect(server.asked.map(({ query }) => query.get('limit'))).toEqual(['1', '1'])
})

test('a list that says there is more but not where does not go round for ever', async () => {
  await using server = await startServer([{ body: { object: 'list', data: [], has_more: true, next_cursor: 'same' } }])
  const readAll = async () => {
    for await (const { sku } of holdfast({ url: server.url, apiKey }).items.list()) expect.unreachable(sku)
  }
  await expect(readAll()).rejects.toThrow('more after same, but not where')
  expect(server.asked).toHaveLength(2)
})
