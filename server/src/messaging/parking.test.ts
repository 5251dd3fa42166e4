// What is parked can be kept, whatever came; and what cannot does not come again for ever.
import { expect, test } from 'vitest'
import { keptMessage } from './kept-message.ts'
import { parking, type Parked } from './parking.ts'

const parked: Parked = {
  queue: 'commands.stock',
  operation: 'receipts.create',
  message: '{"operation":"receipts.create"}',
  messageId: 'delivery-4711',
  sentAt: undefined,
  reason: 'not_found: there is no item TEA',
  attempts: 1,
  caller: null,
}
const isPassing = (error: unknown) => error instanceof Error && error.message === 'away'
const limits = { tries: 3, retry: { firstWaitMs: 1, longestWaitMs: 1 } }

test('a message that is nested deeper than can be written again is kept as a text', () => {
  const content = Buffer.from(`{"input":${'['.repeat(6_000)}${']'.repeat(6_000)}}`)
  expect(JSON.parse(keptMessage({ content, routingKey: 'receipts.create' }).message)).toBe(content.toString())
})

test('what cannot be kept at all is dropped after a few tries, and the log has its id and how it began', async () => {
  let tries = 0
  const dropped: string[] = []
  const keep = async () => {
    tries += 1
    throw new RangeError('too deep')
  }
  await parking({ keep, isPassing, limits, onDropped: (_, what) => void dropped.push(what) })(parked)
  expect(tries).toBe(3)
  expect(dropped).toEqual(['delivery-4711 of commands.stock (not_found: there is no item TEA): {"operation":"receipts.create"}'])
})

test('while the database is away, whoever parks hears so, and nothing is dropped', async () => {
  const keep = () => Promise.reject(new Error('away'))
  const onDropped = () => expect.unreachable()
  await expect(parking({ keep, isPassing, limits, onDropped })(parked)).rejects.toThrow('away')
})
