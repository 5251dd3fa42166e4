import { expect, test } from 'vitest'
import { holdfast } from './support/command.ts'
import { list, problem, startServer } from './support/server.ts'

const parked = {
  object: 'parked_message',
  id: 'msg_01jd8w2k5v7x9n3q4r6t8y0z1b',
  queue: 'commands.stock',
  operation: 'receipts.create',
  message: '{"operation":"receipts.create"}',
  sender: 'warehouse',
  reason: 'not_found: there is no item SENCHA',
  attempts: 1,
  parked_at: '2026-11-21T10:15:00.000Z',
  resent_at: null,
}

test('message list shows what nobody could take, and why', async () => {
  await using server = await startServer(() => list([parked]))
  const { stdout, code } = await holdfast(['message', 'list', '--queue', 'commands.stock', '--status', 'parked'], server)
  expect(code).toBe(0)
  expect(server.asked).toMatchObject([{ call: 'GET /v1/parked_messages', query: expect.stringContaining('queue=commands.stock&status=parked') }])
  for (const word of [parked.id, parked.queue, parked.operation, parked.sender, parked.reason]) expect(stdout).toContain(word)
})

test('message resend sends it again, and message discard throws it away', async () => {
  await using server = await startServer(() => ({ body: { ...parked, resent_at: '2026-11-21T11:00:00.000Z' } }))
  expect(await holdfast(['message', 'resend', parked.id], server)).toMatchObject({ code: 0, stdout: expect.stringContaining('It was sent again') })
  expect(await holdfast(['message', 'discard', parked.id], server)).toMatchObject({ code: 0, stdout: expect.stringContaining('It was discarded') })
  expect(server.asked.map(({ call }) => call)).toEqual([`POST /v1/parked_messages/${parked.id}/resend`, `POST /v1/parked_messages/${parked.id}/discard`])
})

test('one that has no sender is not sent again, and says so', async () => {
  await using server = await startServer(() => problem(409, 'invalid_state'))
  expect(await holdfast(['message', 'resend', parked.id], server)).toMatchObject({ code: 3, stderr: expect.stringContaining('invalid_state') })
})
