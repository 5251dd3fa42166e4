// Who did what: every administrative act is in the audit log, whichever service did it.
import { expect, test } from 'vitest'
import { ownDatabase, startServer } from '../support/server.ts'

const database = await ownDatabase()
const server = await startServer(database)

test('items, locations, webhooks and imports are told of by whom and from where, and no secret is', async () => {
  const act = async (method: string, path: string, body?: object): Promise<Record<string, unknown>> => {
    const answer = await server.request(method, path, body === undefined ? {} : { body })
    expect(answer.status, answer.text).toBeLessThan(300)
    return answer.body as Record<string, unknown> // a document
  }
  await act('POST', '/v1/locations', { code: 'AUD', name: 'Audited' })
  await act('PATCH', '/v1/locations/AUD', { name: 'Again' })
  await act('DELETE', '/v1/locations/AUD')
  await act('POST', '/v1/items', { sku: 'AUD-1', name: 'Audited' })
  await act('PATCH', '/v1/items/AUD-1', { purchase_limit: { quantity: 1, window_seconds: 60 } })
  await act('DELETE', '/v1/items/AUD-1')
  const { id, secret } = await act('POST', '/v1/webhook_endpoints', { url: 'https://1.1.1.1/a-secret-path', events: ['*'] })
  await act('PATCH', `/v1/webhook_endpoints/${String(id)}`, { url: 'https://1.1.1.1/another-secret-path' })
  const rotated = await act('POST', `/v1/webhook_endpoints/${String(id)}/rotate_secret`, {})
  await act('POST', `/v1/webhook_endpoints/${String(id)}/replay`, { after_sequence: 0 })
  await act('DELETE', `/v1/webhook_endpoints/${String(id)}`)
  const file = { text: 'sku,name\nAUD-2,Two\n', headers: { 'content-type': 'text/csv' }, idempotencyKey: 'audited' }
  expect((await server.request('POST', '/v1/items/import', file)).status).toBe(201)

  const { body, text } = await server.request('GET', '/v1/audit_log?actor=owner&limit=100')
  const told = (body as { data: { action: string; address: string; changes: Record<string, unknown> }[] }).data.toReversed() // a list
  expect(told.map(({ action }) => action).join(' ')).toBe(
    'location.created location.updated location.deactivated item.created item.updated item.archived webhook_endpoint.created ' +
      'webhook_endpoint.updated webhook_endpoint.secret_rotated webhook_endpoint.replayed webhook_endpoint.deleted import.begun import.completed',
  )
  expect(new Set(told.map(({ address }) => address))).toEqual(new Set(['127.0.0.1']))
  expect(told[4]?.changes).toMatchObject({ purchase_limit: { before: null, after: { quantity: 1, window_seconds: 60 } } })
  expect(told[7]?.changes).toMatchObject({ url: { before: 'not shown', after: 'not shown' } })
  for (const hidden of ['secret-path', secret, rotated['secret']]) expect(text).not.toContain(String(hidden))
})

test('a secret that is no longer one is not shown again to whoever has its Idempotency-Key', async () => {
  const make = () => server.request('POST', '/v1/webhook_endpoints', { body: { url: 'https://1.1.1.1/', events: ['*'] }, idempotencyKey: 'shown' })
  const { id, secret } = (await make()).body as { id: string; secret: string } // an endpoint
  expect((await make()).body).toMatchObject({ id, secret })
  expect((await server.request('DELETE', `/v1/webhook_endpoints/${id}`)).status).toBe(200)
  const again = await make()
  expect(again).toMatchObject({ status: 201, body: { id } })
  expect(again.text).not.toContain('whsec_')
})
