// What is kept of messages that nobody could take, and how much of it.
import { expect, test } from 'vitest'
import { freshCell } from '../../test/support/ledger.ts'
import { forgetStrangers, listParkedMessages, lockParkedMessage, parkMessage, type NewParkedMessage } from './parked-messages.ts'
import { transaction } from './pool.ts'

const all = { queue: null, resent: null, before: null, limit: 10 }
const message = (operation: string, more: Partial<NewParkedMessage> = {}): NewParkedMessage => ({
  queue: 'commands.stock',
  operation,
  message: JSON.stringify({ operation }),
  reason: 'unauthenticated',
  attempts: 1,
  caller: null,
  ...more,
})

test('of nobody we know only the newest are kept; what a known sender or the ledger has told stays', async () => {
  const { pool } = await freshCell()
  const ours = [message('clerk', { caller: { principal: 'clerk' } }), message('item.created', { queue: 'events.webhooks' })]
  for (const one of [...ours, message('first'), message('second'), message('third')]) await parkMessage(pool, one)

  await forgetStrangers(pool, 2, 10)

  expect((await listParkedMessages(pool, all)).map(({ operation }) => operation)).toEqual(['third', 'second', 'item.created', 'clerk'])
})

test('a list has the beginning of a message; to be sent again, it is whole, and as old as when it was first sent', async () => {
  const { pool } = await freshCell()
  const long = message('long', { message: JSON.stringify('x'.repeat(100_000)), caller: { principal: 'clerk' } })
  await parkMessage(pool, { ...long, sentAt: 1_000_000 })
  await parkMessage(pool, { ...long, sentAt: undefined })

  const [listed] = await listParkedMessages(pool, all)
  expect(listed).toMatchObject({ attempts: 2, sentAt: 1_000_000 })
  expect(listed?.message).toHaveLength(2_000)
  const whole = await transaction(pool, (connection) => lockParkedMessage(connection, listed?.id ?? ''))
  expect(whole?.message).toBe(long.message)
})
