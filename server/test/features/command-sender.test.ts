// A command that is kept for a caller is done in their name, and for nobody else.
import { allOperations } from '@holdfast/contract'
import { expect, test } from 'vitest'
import { commandGate } from '../../src/gateway/command-gate.ts'
import { limits } from '../../src/platform/limits.ts'
import type { Caller } from '../../src/services/service.ts'
import { commandSender } from '../../src/services/commands/send.ts'

const gateWith = (key: string | undefined) =>
  commandGate({ operations: allOperations, identify: () => Promise.reject(new Error('nobody is asked')), key, limits: limits.gateway })
const caller: Caller = { principal: 'till', scopes: new Set(['stock:adjust']), locations: new Set(['LON']), apiKey: { id: 'key_1' } }
const command = {
  operation: 'receipts.create',
  input: { params: {}, query: {}, body: { location: 'LON', lines: [{ sku: 'TEA', quantity: 1 }] } },
  idempotencyKey: 'receipt-1',
  caller,
}
const sentBy = async (key: string | undefined, given = command) => {
  const sent: { content: Buffer; headers: Readonly<Record<string, string>> }[] = []
  await commandSender({ commands: { send: async (message) => void sent.push(message) }, headersFor: gateWith(key).headersFor }).send(given)
  if (sent[0] === undefined) throw new Error('nothing was sent')
  return { ...sent[0], messageId: undefined, appId: undefined }
}

test('it is checked and done as if the caller had sent it', async () => {
  const checked = await gateWith('our key').check(await sentBy('our key'))

  expect(checked).toMatchObject({ ok: true, operation: { name: 'receipts.create' }, input: command.input, call: { caller, idempotencyKey: 'receipt-1' } })
})

test('without our key, or put on another command, the name is worth nothing', async () => {
  const message = await sentBy('another key')
  expect(await gateWith('our key').check(message)).toMatchObject({ ok: false, caller: undefined, refusal: { code: 'unauthenticated' } })

  const [cheap, dear] = [await sentBy('our key'), await sentBy('our key', { ...command, idempotencyKey: 'receipt-2' })]
  expect(await gateWith('our key').check({ ...dear, headers: cheap.headers })).toMatchObject({ ok: false, refusal: { code: 'unauthenticated' } })
  await expect(sentBy(undefined)).rejects.toThrow('no key')
})

test('the caller may do no more by message than by request', async () => {
  const till = { ...command, caller: { ...caller, scopes: new Set<'holds:read'>(['holds:read']) } }
  expect(await gateWith('our key').check(await sentBy('our key', till))).toMatchObject({ ok: false, refusal: { code: 'permission_denied' } })
})
