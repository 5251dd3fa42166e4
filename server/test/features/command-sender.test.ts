// A command that is kept for a caller is done in their name, and for nobody else.
import { allOperations } from '@holdfast/contract'
import { expect, test } from 'vitest'
import { commandGate } from '../../src/gateway/command-gate.ts'
import { limits } from '../../src/platform/limits.ts'
import type { Caller } from '../../src/services/service.ts'
import { commandSender } from '../../src/services/commands/send.ts'

const AGE_MS = 1_000_000
const gateWith = (...keys: string[]) =>
  commandGate({ operations: allOperations, identify: () => Promise.reject(new Error('nobody is asked')), keys, limits: limits.gateway, ageMs: AGE_MS })
const toStock = (operation: string) => operation.startsWith('receipts.')
const caller: Caller = { principal: 'till', scopes: new Set(['stock:adjust']), locations: new Set(['LON']), apiKey: { id: 'key_1' } }
const command = {
  operation: 'receipts.create',
  input: { params: {}, query: {}, body: { location: 'LON', lines: [{ sku: 'TEA', quantity: 1 }] } },
  idempotencyKey: 'receipt-1',
  caller,
}
const sentBy = async (key: string | undefined, given = command, sentAt?: number) => {
  const sent: { content: Buffer; headers: Readonly<Record<string, string>> }[] = []
  const { headersFor } = gateWith(...(key === undefined ? [] : [key]))
  await commandSender({
    commands: { send: async (message) => void sent.push(message) },
    headersFor: (by, content, now) => headersFor(by, content, sentAt ?? now),
  }).send(given)
  if (sent[0] === undefined) throw new Error('nothing was sent')
  return { ...sent[0], messageId: undefined, appId: undefined, sentAt: undefined }
}

test('it is checked and done as if the caller had sent it', async () => {
  const checked = await gateWith('our key').check(await sentBy('our key'), toStock)

  expect(checked).toMatchObject({ ok: true, operation: { name: 'receipts.create' }, input: command.input, call: { caller, idempotencyKey: 'receipt-1' } })
})

test('without our key, or put on another command, the name is worth nothing', async () => {
  const message = await sentBy('another key')
  expect(await gateWith('our key').check(message, toStock)).toMatchObject({ ok: false, caller: undefined, refusal: { code: 'unauthenticated' } })

  const [cheap, dear] = [await sentBy('our key'), await sentBy('our key', { ...command, idempotencyKey: 'receipt-2' })]
  expect(await gateWith('our key').check({ ...dear, headers: cheap.headers }, toStock)).toMatchObject({ ok: false, refusal: { code: 'unauthenticated' } })
  await expect(sentBy(undefined)).rejects.toThrow('no key')
})

test('the caller may do no more by message than by request', async () => {
  const till = { ...command, caller: { ...caller, scopes: new Set<'holds:read'>(['holds:read']) } }
  expect(await gateWith('our key').check(await sentBy('our key', till), toStock)).toMatchObject({ ok: false, refusal: { code: 'permission_denied' } })
})

test('after a key was replaced, what was sealed with the old one is believed as long as we keep it', async () => {
  expect(await gateWith('new key', 'our key').check(await sentBy('our key'), toStock)).toMatchObject({ ok: true, call: { caller } })
  expect(await gateWith('new key').check(await sentBy('our key'), toStock)).toMatchObject({ ok: false, refusal: { code: 'unauthenticated' } })
  expect(await gateWith('new key', 'our key').check(await sentBy('new key'), toStock)).toMatchObject({ ok: true })
})

test('what waited longer than its idempotency key may be remembered is not done again, whoever kept it', async () => {
  const old = await sentBy('our key', command, Date.now() - AGE_MS - 1_000)
  expect(await gateWith('our key').check(old, toStock)).toMatchObject({ ok: false, caller, refusal: { code: 'invalid_state' } })
  const young = await sentBy('our key', command, Date.now() - AGE_MS + 60_000)
  expect(await gateWith('our key').check(young, toStock)).toMatchObject({ ok: true })
})

test('a queue takes only what leads to it: no reading that waits, and nothing about keys, people and passwords', async () => {
  for (const operation of ['availability.check', 'auth.login', 'users.create', 'api_keys.create', 'holds.place']) {
    const message = await sentBy('our key', { ...command, operation })
    expect(await gateWith('our key').check(message, toStock)).toMatchObject({ ok: false, refusal: { errors: [{ param: 'operation' }] } })
  }
})
