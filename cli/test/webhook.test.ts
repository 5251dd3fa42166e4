import { createHmac } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { holdfast, mainPath, startNode } from './support/command.ts'
import { startServer } from './support/server.ts'

const secret = `whsec_${Buffer.alloc(32, 'x').toString('base64')}`
const endpoint = {
  object: 'webhook_endpoint',
  id: 'whe_01jd8w2k5v7x9n3q4r6t8y0z1b',
  url: 'https://shop.example/hooks',
  events: ['hold.*'],
  description: null,
  metadata: {},
  status: 'enabled',
  disabled: null,
  failing_since: null,
  previous_secret_expires_at: null,
  replay: null,
  version: 1,
  created_at: '2026-11-21T10:00:00.000Z',
  updated_at: '2026-11-21T10:00:00.000Z',
}

describe('an endpoint', () => {
  test('is made for what was said, and shows its secret', async () => {
    await using server = await startServer(() => ({ status: 201, body: { ...endpoint, secret } }))
    const { code, stdout } = await holdfast(['webhook', 'create', endpoint.url, '--event', 'hold.*', '--event', 'stock.received', '--metadata', 'a=b'], server)
    expect(server.asked).toMatchObject([
      { call: 'POST /v1/webhook_endpoints', key: expect.any(String), body: { url: endpoint.url, events: ['hold.*', 'stock.received'], metadata: { a: 'b' } } },
    ])
    expect([code, stdout.includes(secret)]).toEqual([0, true])
  })

  test('is told everything when nothing else was said', async () => {
    await using server = await startServer(() => ({ status: 201, body: { ...endpoint, secret } }))
    await holdfast(['webhook', 'create', endpoint.url], server)
    expect(server.asked).toMatchObject([{ body: { events: ['*'] } }])
  })

  test('that cannot be told is a refusal, with what came back', async () => {
    const attempt = { number: 1, started_at: 'now', duration_ms: 12, response_status: 500, response_body: 'oh no', error: 'the receiver answered 500' }
    const body = { object: 'webhook_test', endpoint: endpoint.id, event: 'evt_1', delivered: false, attempt }
    await using server = await startServer(() => ({ body }))
    const { code, stdout } = await holdfast(['webhook', 'test', endpoint.id], server)
    expect([code, stdout]).toEqual([3, 'Not delivered: the receiver answered 500, in 12 ms.\n  oh no\n'])
  })

  test('is enabled, disabled, moved, deleted and replayed', async () => {
    await using server = await startServer(() => ({ body: { ...endpoint, replay: { after_sequence: 7, until_sequence: 9 } } }))
    await holdfast(['webhook', 'disable', endpoint.id], server)
    await holdfast(['webhook', 'enable', endpoint.id], server)
    await holdfast(['webhook', 'update', endpoint.id, '--to', 'https://new.example/', '--if-version', '1'], server)
    await holdfast(['webhook', 'delete', endpoint.id], server)
    const { stdout } = await holdfast(['webhook', 'replay', endpoint.id, '--after', '7'], server)
    const path = `/v1/webhook_endpoints/${endpoint.id}`
    expect(server.asked.map(({ call, body }) => [call, body])).toEqual([
      [`PATCH ${path}`, { status: 'disabled' }],
      [`PATCH ${path}`, { status: 'enabled' }],
      [`PATCH ${path}`, { url: 'https://new.example/', if_version: 1 }],
      [`DELETE ${path}`, undefined],
      [`POST ${path}/replay`, { after_sequence: 7 }],
    ])
    expect(stdout).toContain('Sequences 8 to 9')
    expect(await holdfast(['webhook', 'replay', endpoint.id], server)).toMatchObject({ code: 2, stderr: expect.stringContaining('--after or with --since') })
  })
})

describe('a receiver on this machine', () => {
  test('shows what it can verify, refuses what it cannot, and takes its endpoint away when it ends', async () => {
    await using server = await startServer(({ call }) => ({ status: call.startsWith('POST') ? 201 : 200, body: { ...endpoint, secret } }))
    const { child, ended } = startNode([mainPath, 'webhook', 'listen', '--event', 'hold.*'], { HOLDFAST_URL: server.url, HOLDFAST_API_KEY: 'hf_1' })
    const url = await new Promise<string>((resolve) => {
      let said = ''
      child.stderr.on('data', (text: string) => {
        said += text
        const found = /Listening on (\S+) as endpoint/.exec(said)?.[1]
        if (found !== undefined) resolve(found)
      })
    })
    expect(server.asked).toMatchObject([{ call: 'POST /v1/webhook_endpoints', body: { url, events: ['hold.*'] } }])

    const body = JSON.stringify({
      object: 'event',
      id: 'evt_1',
      type: 'hold.placed',
      occurred_at: '2026-11-21T10:00:00.000Z',
      sequence: 7,
      subject: { id: 'hold_1' },
    })
    const at = Math.floor(Date.now() / 1_000)
    const signature = createHmac('sha256', Buffer.alloc(32, 'x')).update(`evt_1.${at}.${body}`).digest('base64')
    const post = (signed: string) =>
      fetch(url, { method: 'POST', body, headers: { 'webhook-id': 'evt_1', 'webhook-timestamp': String(at), 'webhook-signature': `v1,${signed}` } })
    expect((await post(signature)).status).toBe(204)
    expect((await post(signature.replace(/^./, (letter) => (letter === 'A' ? 'B' : 'A')))).status).toBe(400)

    child.kill('SIGINT')
    const { code, stdout, stderr } = await ended
    expect(code).toBe(0)
    expect(stdout).toContain('hold.placed')
    expect(stdout.match(/hold\.placed/g)).toHaveLength(1)
    expect(stderr).toContain('Refused: no signature fits')
    expect(server.asked.map(({ call }) => call)).toEqual(['POST /v1/webhook_endpoints', `DELETE /v1/webhook_endpoints/${endpoint.id}`])
  })
})
