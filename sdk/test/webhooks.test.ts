// What a receiver may believe, and what it must not.
import { createHmac, randomBytes } from 'node:crypto'
import { type ReceivedWebhook, verifyWebhook, WebhookVerificationError } from '@holdfast/sdk'
import { describe, expect, test } from 'vitest'

const now = Date.parse('2026-11-21T10:00:00Z')
const secret = `whsec_${randomBytes(32).toString('base64')}`
const event = { object: 'event', id: 'evt_1', type: 'hold.placed', occurred_at: '2026-11-21T09:59:59.000Z', sequence: 7, data: { metadata: { cart_id: 'é' } } }
const body = JSON.stringify(event)

const sign = ({ by = secret, id = 'evt_1', at = now / 1_000, over = body } = {}) => ({
  'webhook-id': id,
  'webhook-timestamp': String(at),
  'webhook-signature': `v1,${createHmac('sha256', Buffer.from(by.slice(6), 'base64'))
    .update(`${id}.${at}.${over}`)
    .digest('base64')}`,
})
const verify = (given: Partial<ReceivedWebhook>) => verifyWebhook({ secret, headers: sign(), body, nowMs: now, ...given })

describe('an event is believed', () => {
  test('as text or as bytes, with the headers of Node or of fetch, and is read in the spelling of the SDK', async () => {
    const believed = { id: 'evt_1', type: 'hold.placed', occurredAt: '2026-11-21T09:59:59.000Z', data: { metadata: { cart_id: 'é' } } }
    expect(await verify({})).toMatchObject(believed)
    expect(await verify({ body: Buffer.from(body) })).toMatchObject(believed)
    expect(await verify({ headers: new Headers(sign()) })).toMatchObject(believed)
    const shouted = Object.fromEntries(Object.entries(sign()).map(([name, value]) => [name.toUpperCase(), [value]]))
    expect(await verify({ headers: shouted })).toMatchObject(believed)
  })

  test('while a secret is rotated: one of several signatures, by one of several secrets', async () => {
    const other = `whsec_${randomBytes(32).toString('base64')}`
    const headers = {
      ...sign(),
      'webhook-signature': `v1a,${randomBytes(64).toString('base64')} ${sign({ by: other })['webhook-signature']} ${sign()['webhook-signature']}`,
    }
    expect(await verify({ headers })).toMatchObject({ id: 'evt_1' })
    expect(await verify({ secret: [other, secret] })).toMatchObject({ id: 'evt_1' })
  })

  test('as far from now as is allowed, and no further', async () => {
    for (const at of [now / 1_000 - 300, now / 1_000 + 300]) expect(await verify({ headers: sign({ at }) })).toMatchObject({ id: 'evt_1' })
    for (const at of [now / 1_000 - 301, now / 1_000 + 301]) await expect(verify({ headers: sign({ at }) })).rejects.toThrow('too far from now')
    expect(await verify({ headers: sign({ at: now / 1_000 - 3_000 }), toleranceSeconds: 3_600 })).toMatchObject({ id: 'evt_1' })
  })
})

describe('an event is refused', () => {
  test.each<[string, Partial<ReceivedWebhook>]>([
    ['signed with another secret', { headers: sign({ by: `whsec_${randomBytes(32).toString('base64')}` }) }],
    ['with another body', { body: body.replace('hold.placed', 'hold.expired') }],
    ['with a body that was read and written again', { body: JSON.stringify(JSON.parse(body), null, 1) }],
    ['under another id', { headers: { ...sign(), 'webhook-id': 'evt_2' } }],
    ['with a time that was moved', { headers: { ...sign(), 'webhook-timestamp': String(now / 1_000 + 1) } }],
    ['without a time that is one', { headers: { ...sign(), 'webhook-timestamp': 'now' } }],
    ['without a signature', { headers: { ...sign(), 'webhook-signature': undefined } }],
    ['with a signature of another kind', { headers: { ...sign(), 'webhook-signature': sign()['webhook-signature'].replace('v1,', 'v2,') } }],
    ['with nothing for a signature', { headers: { ...sign(), 'webhook-signature': 'v1,' } }],
    ['with the beginning of a signature', { headers: { ...sign(), 'webhook-signature': sign()['webhook-signature'].slice(0, 12) } }],
    ['with what is no base 64', { headers: { ...sign(), 'webhook-signature': 'v1,%%%' } }],
    ['without any of it', { headers: {} }],
  ])('%s', async (_, given) => {
    await expect(verify(given)).rejects.toThrow(WebhookVerificationError)
  })

  test('and a secret that is none is a mistake of the receiver, not of the sender', async () => {
    for (const wrong of ['', 'whsec_', 'secret', secret.slice(6)]) await expect(verify({ secret: wrong })).rejects.toThrow(TypeError)
  })
})
