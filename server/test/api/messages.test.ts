// Messages in and out: commands are done by the same rules as requests, once, and in the name of whoever sent them; and what
// RabbitMQ tells again and again is told to others once.
import { randomUUID } from 'node:crypto'
import { connect, type Channel, type ChannelModel } from 'amqplib'
import pg from 'pg'
import { afterAll, describe, expect, test } from 'vitest'
import { startReceiver } from '../support/receiver.ts'
import { hasRabbit, openRabbit } from '../support/rabbit.ts'
import { createKey, ownDatabase, startServer, until, verifyBooks, API_KEY } from '../support/server.ts'
import { stockUp } from '../support/shop.ts'

type Reply = { readonly status: number; readonly body?: Record<string, unknown>; readonly code?: string; readonly detail?: string }
type Message = { readonly operation: string; readonly input: object; readonly idempotency_key?: string; readonly reply_to?: string }

describe.skipIf(!hasRabbit)('by message', async () => {
  if (!hasRabbit) return
  const { url } = await openRabbit()
  const database = await ownDatabase()
  const environment = { AMQP_URL: url, HOLDFAST_AMQP_PREFIX: 'shop', HOLDFAST_WEBHOOKS_ALLOW_HTTP: 'true', HOLDFAST_WEBHOOKS_ALLOW_PRIVATE: '127.0.0.0/8' }
  const server = await startServer(database, environment)
  const { stock } = server
  await stockUp(stock, { LON: { TEA: 10 }, PAR: { TEA: 10 } })

  const connection: ChannelModel = await connect(url)
  const channel: Channel = await connection.createChannel()
  const replies = new Map<string, (reply: Reply) => void>()
  const { queue: inbox } = await channel.assertQueue('', { exclusive: true, autoDelete: true })
  await channel.consume(
    inbox,
    (message) => message && replies.get(String(message.properties.correlationId))?.(JSON.parse(message.content.toString()) as Reply), // as it is answered
    { noAck: true },
  )
  afterAll(() => connection.close())

  const send = (
    message: Message | string,
    { key = API_KEY, ...options }: { key?: string | null; replyTo?: string; correlationId?: string; routingKey?: string; timestamp?: number } = {},
  ) => {
    const { routingKey = typeof message === 'string' ? 'receipts.create' : message.operation, ...properties } = options
    channel.publish('shop.commands', routingKey, Buffer.from(typeof message === 'string' ? message : JSON.stringify(message)), {
      ...properties,
      persistent: true,
      headers: key === null ? {} : { authorization: `Bearer ${key}` },
    })
  }
  const ask = (message: Message | string, options: { key?: string | null } = {}): Promise<Reply> => {
    const correlationId = randomUUID()
    const answered = new Promise<Reply>((resolve) => void replies.set(correlationId, resolve))
    send(message, { ...options, replyTo: inbox, correlationId })
    return answered
  }
  const receipt = (key: string, quantity = 5, sku = 'TEA'): Message => ({
    operation: 'receipts.create',
    input: { body: { location: 'LON', lines: [{ sku, quantity }] } },
    idempotency_key: key,
  })
  const onHand = async (sku = 'TEA') => (await stock.stockLevels.get(sku)).locations.find(({ location }) => location === 'LON')?.onHand
  const parked = async (status: 'parked' | 'resent' = 'parked') => {
    const found = []
    for await (const one of stock.parkedMessages.list({ status })) found.push(one)
    return found
  }
  const parkedWith = async (text: string) => {
    let found: Awaited<ReturnType<typeof parked>>[number] | undefined
    await until(`a message with ${text} is parked`, async () => (found = (await parked()).find(({ message }) => message.includes(text))) !== undefined)
    if (found === undefined) throw new Error('it was found')
    return found
  }

  test('a receipt by message is answered as it would be by request, and is done once however often it is sent', async () => {
    const before = (await onHand()) ?? 0
    const first = await ask(receipt('receipt-1'))
    expect(first).toMatchObject({ status: 201, body: { object: 'receipt', location: 'LON', lines: [{ sku: 'TEA', quantity: 5 }] } })

    const again = await Promise.all(Array.from({ length: 5 }, () => ask(receipt('receipt-1'))))

    expect(again).toEqual(again.map(() => first))
    expect(await onHand()).toBe(before + 5)
    // The same key over HTTP is the same wish.
    const overHttp = await server.request('POST', '/v1/receipts', {
      body: { location: 'LON', lines: [{ sku: 'TEA', quantity: 5 }] },
      idempotencyKey: 'receipt-1',
    })
    expect(overHttp).toMatchObject({ status: 201, body: first.body })
  })

  test('each kind of command has its queue, and what they do is one story', async () => {
    expect(await ask({ operation: 'items.create', input: { body: { sku: 'OOLONG', name: 'Oolong' } }, idempotency_key: 'oolong' })).toMatchObject({
      status: 201,
    })
    expect(await ask(receipt('oolong arrives', 3, 'OOLONG'))).toMatchObject({ status: 201 })
    const hold = { operation: 'holds.place', input: { body: { lines: [{ sku: 'OOLONG', quantity: 2 }], ttl_seconds: 60 } }, idempotency_key: 'hold' }
    const placed = await ask(hold)
    expect(placed).toMatchObject({ status: 201, body: { object: 'hold', status: 'active' } })
    const executed = await ask({ operation: 'holds.execute', input: { params: { id: placed.body?.['id'] } }, idempotency_key: 'execute' })
    expect(executed).toMatchObject({ status: 200, body: { status: 'executed' } })
    expect((await stock.stockLevels.get('OOLONG')).total).toMatchObject({ onHand: 3, committed: 2 })
  })

  test('a refusal goes to whoever waits for it, as the problem that it would be by request', async () => {
    const before = await parked()
    expect(await ask({ operation: 'holds.place', input: { body: { lines: [{ sku: 'TEA', quantity: 999 }] } }, idempotency_key: 'too much' })).toMatchObject({
      status: 409,
      code: 'insufficient_stock',
      shortages: [{ sku: 'TEA', requested: 999 }],
    })
    const { input } = receipt('')
    expect(await ask({ operation: 'receipts.create', input })).toMatchObject({ status: 400, code: 'idempotency_key_required' })
    // A message may come twice, and what it makes would be there twice.
    expect(await ask({ operation: 'items.create', input: { body: { sku: 'MATCHA', name: 'Matcha' } } })).toMatchObject({ code: 'idempotency_key_required' })
    expect(await ask({ ...receipt('x'), input: { body: { location: 'LON' } } })).toMatchObject({ code: 'invalid_request', errors: [{ param: 'lines' }] })
    expect(await ask({ ...receipt('x'), operation: 'receipts.list' })).toMatchObject({ code: 'invalid_request', errors: [{ param: 'operation' }] })
    expect(await ask('{ "operation": ')).toMatchObject({ code: 'invalid_request' })
    expect(await parked()).toEqual(before)
  })

  test('who sends may do what their key may, and no more', async () => {
    const reader = await createKey(database, 'Reader', { scopes: ['stock:read'] })
    expect(await ask(receipt('reader'), { key: reader.key })).toMatchObject({ status: 403, code: 'permission_denied' })
    const london = await server.request('POST', '/v1/api_keys', { body: { name: 'Paris', scopes: ['stock:adjust'], locations: ['PAR'] } })
    expect(await ask(receipt('paris'), { key: (london.body as { key: string }).key })).toMatchObject({ status: 403, code: 'permission_denied' }) // a key
  })

  test('whoever we do not know has nothing sent anywhere: it is parked, as is what names an answer that nobody can write to', async () => {
    const { queue: victim } = await channel.assertQueue('', { exclusive: true })
    send({ ...receipt('a stranger'), reply_to: victim }, { key: `${API_KEY}x`, replyTo: victim })
    expect(await parkedWith('a stranger')).toMatchObject({ reason: expect.stringContaining('unauthenticated'), sender: null })
    expect(await channel.checkQueue(victim)).toMatchObject({ messageCount: 0 })

    send({ ...receipt('far away'), reply_to: 'é'.repeat(255) })
    expect(await parkedWith('far away')).toMatchObject({ reason: expect.stringContaining('reply_to must have 255 bytes') })
  })

  test('what is refused with nobody to hear it is parked with its reason, and done once when it is sent again after the cause is gone', async () => {
    const clerk = await createKey(database, 'Clerk', { scopes: ['stock:adjust'] })
    send(receipt('unknown sku', 4, 'SENCHA'), { key: clerk.key })
    const { id, reason, sender, attempts } = await parkedWith('SENCHA')
    expect({ reason, sender, attempts }).toEqual({ reason: expect.stringMatching(/^not_found: .*SENCHA/), sender: clerk.principal, attempts: 1 })

    // Sent again too early, it comes back, and is still one.
    await stock.parkedMessages.resend(id)
    await until('it has come back', async () => (await parked()).some((one) => one.id === id && one.attempts === 2))
    await stock.items.create({ sku: 'SENCHA', name: 'Sencha' })
    expect(await stock.parkedMessages.resend(id)).toMatchObject({ id, resentAt: expect.any(String) })
    // Asked again by somebody who did not hear the answer.
    await stock.parkedMessages.resend(id)

    await until('it was done', async () => (await onHand('SENCHA')) === 4)
    // In the name of the clerk: their own request with this key is the same one.
    const again = await server.request('POST', '/v1/receipts', {
      body: { location: 'LON', lines: [{ sku: 'SENCHA', quantity: 4 }] },
      idempotencyKey: 'unknown sku',
      apiKey: clerk.key,
    })
    expect(again.headers.get('idempotent-replayed')).toBe('true')
    expect(await onHand('SENCHA')).toBe(4)
    const { text } = await server.request('GET', `/v1/audit_log?subject=${id}`)
    expect(text.match(/"parked_message.resent"/g)).toHaveLength(2)
    const { rows } = await query('select p::text from parked_messages as p')
    expect(JSON.stringify(rows)).not.toContain(clerk.key)
  })

  test('what nobody can do is discarded by a person, who is told of in the audit log', async () => {
    send(receipt('whose?', 1), { key: null })
    const { id, sender } = await parkedWith('whose?')
    expect(sender).toBeNull()
    expect(await server.request('POST', `/v1/parked_messages/${id}/resend`, { body: {} })).toMatchObject({ status: 409, body: { code: 'invalid_state' } })

    expect(await stock.parkedMessages.discard(id)).toMatchObject({ id })

    expect(await server.request('POST', `/v1/parked_messages/${id}/discard`, { body: {} })).toMatchObject({ status: 404 })
    const { body } = await server.request('GET', `/v1/audit_log?subject=${id}`)
    expect(body).toMatchObject({ data: [{ action: 'parked_message.discarded', actor: 'owner' }] })
  })

  test('what leads to no queue, and what is no command at all, is parked as well', async () => {
    send(receipt('astray', 1), { routingKey: 'somewhere.else' })
    expect(await parkedWith('astray')).toMatchObject({ queue: 'commands', reason: expect.stringContaining('somewhere.else') })
    const before = (await onHand()) ?? 0
    await stock.parkedMessages.resend((await parkedWith('astray')).id)
    await until('it was done', async () => (await onHand()) === before + 1)

    send('no json, and \0', {})
    expect(await parkedWith('no json')).toMatchObject({ queue: 'commands.stock', reason: expect.stringContaining('invalid_request'), sender: 'owner' })
  })

  test('what was sent longer ago than its key is remembered is not done, and not sent again, but may have been done', async () => {
    const before = await onHand()
    const twoDaysAgo = Math.floor(Date.now() / 1_000) - 48 * 3_600
    send(receipt('from the attic', 7), { timestamp: twoDaysAgo })
    const { id, reason } = await parkedWith('from the attic')
    expect(reason).toMatch(/^invalid_state: .*idempotency_key may have been forgotten/)
    expect(await server.request('POST', `/v1/parked_messages/${id}/resend`, { body: {} })).toMatchObject({ status: 409, body: { code: 'invalid_state' } })
    expect(await onHand()).toBe(before)
    await stock.parkedMessages.discard(id)
  })

  test('a password that came to a queue of ours is not kept, and a stranger is kept only as they began', async () => {
    send(
      { operation: 'auth.login', input: { body: { email: 'a@shop.example', password: 'open sesame' } }, idempotency_key: 'x' },
      { routingKey: 'receipts.create' },
    )
    const { message } = await parkedWith('auth.login')
    expect(message).not.toContain('sesame')
    send(receipt(`long-winded ${'x'.repeat(100_000)}`), { key: null })
    expect((await parkedWith('long-winded')).message.length).toBeLessThan(4_100)
    const { rows } = await query('select max(length(p.message::text)) as longest from parked_messages as p where p.caller is null')
    expect(Number((rows as { longest: number }[])[0]?.longest)).toBeLessThan(4_100)
  })

  test('several who send a parked message again at once send it once', async () => {
    send(receipt('wanted by two', 1, 'HOJICHA'))
    const { id } = await parkedWith('HOJICHA')
    await stock.items.create({ sku: 'HOJICHA', name: 'Hojicha' })
    await Promise.all(Array.from({ length: 4 }, () => stock.parkedMessages.resend(id)))
    await until('it was done', async () => (await onHand('HOJICHA')) === 1)
    const { text } = await server.request('GET', `/v1/audit_log?subject=${id}`)
    expect(text.match(/"parked_message.resent"/g)).toHaveLength(1)
  })

  test('nobody has their answers sent into a queue of ours', async () => {
    const before = await onHand()
    send({ ...receipt('injected', 0), reply_to: 'shop.commands.stock' })
    expect(await parkedWith('injected')).toMatchObject({ queue: 'commands.stock' })
    expect(await onHand()).toBe(before)
  })

  test('a command that is forged for somebody else is not believed', async () => {
    const forged = Buffer.from(JSON.stringify({ caller: { principal: 'owner', scopes: ['stock:adjust'], locations: null }, content: 'x' })).toString(
      'base64url',
    )
    channel.publish('shop.commands', 'receipts.create', Buffer.from(JSON.stringify(receipt('forged'))), { headers: { 'holdfast-caller': `${forged}.seal` } })
    expect(await parkedWith('forged')).toMatchObject({ reason: expect.stringContaining('unauthenticated'), sender: null })
  })

  test('while nobody takes commands they wait, and a process that is killed in the middle of them loses none and does none twice', async () => {
    const before = (await onHand()) ?? 0
    const other = await startServer(database, environment)
    for (let n = 0; n < 400; n += 1) send(receipt(`many-${n}`, 1))
    await until('some were done', async () => ((await onHand()) ?? 0) > before + 20)
    await other.kill()

    await until('all were done', async () => (await onHand()) === before + 400, { withinMs: 30_000 })
    expect((await verifyBooks(database)).violations).toEqual([])
  }, 60_000)

  test('while the database is away they wait, however long; nothing is parked, and each is done once', async () => {
    const before = (await onHand()) ?? 0
    const parkedBefore = (await parked()).length
    // Nobody gets in for a while, and who is in is thrown out.
    await refuseConnections(true)
    try {
      for (let n = 0; n < 30; n += 1) send(receipt(`waits-${n}`, 1))
      await until('they are tried in vain', () => /commands of stock/.test(server.said()))
    } finally {
      await refuseConnections(false)
    }

    await until('all were done', async () => (await onHand()) === before + 30, { withinMs: 30_000 })
    expect(await parked()).toHaveLength(parkedBefore)
  }, 60_000)

  test('what RabbitMQ tells again, late and out of order, reaches a webhook once', async () => {
    const receiver = await startReceiver()
    const { id } = await stock.webhookEndpoints.create({ url: receiver.url, events: ['hold.*'] })
    const { queue: copies } = await channel.assertQueue('', { exclusive: true, autoDelete: true })
    await channel.bindQueue(copies, 'shop.events', 'hold.*')
    const events: Buffer[] = []
    const { consumerTag } = await channel.consume(copies, (message) => message && void events.push(message.content), { noAck: true })
    const holds = await Promise.all(Array.from({ length: 5 }, () => stock.holds.place({ lines: [{ sku: 'TEA', quantity: 1 }], ttlSeconds: 3_600 })))
    await until('all were told', () => events.length === 5 && receiver.received.length === 5)
    await channel.cancel(consumerTag)

    for (let times = 0; times < 3; times += 1)
      for (const event of events.toReversed()) channel.publish('shop.events', 'hold.placed', event, { persistent: true })
    // What comes after them has come through them.
    await stock.holds.release(holds[0]?.id ?? '')
    await until('what came after was told', () => receiver.received.some(({ event }) => event.type === 'hold.released'))

    const deliveries = []
    for await (const delivery of stock.webhookEndpoints.deliveries(id)) deliveries.push(delivery.event)
    expect(deliveries).toHaveLength(6)
    expect(new Set(deliveries).size).toBe(6)
    expect(receiver.received.map((one) => one.id).toSorted()).toEqual(deliveries.toSorted())
  })

  test('how it does stands in the metrics', async () => {
    send(receipt('for-the-metrics', 1, 'NO-SUCH'))
    const wanted = [/^rabbitmq_up 1$/m, /^rabbitmq_unconfirmed 0$/m, /^commands_stock_parked_total [1-9]/m, /^messages_parked [1-9]/m]
    // They are counted every few seconds.
    await until('all of it is told', async () => {
      const text = await server.metrics()
      return wanted.every((line) => line.test(text))
    })
  })

  const query = async (statement: string, at = database.url) => {
    const client = new pg.Client({ connectionString: at })
    await client.connect()
    try {
      return await client.query(statement)
    } finally {
      await client.end()
    }
  }
  const refuseConnections = async (refuse: boolean) => {
    const name = new URL(database.url).pathname.slice(1)
    const admin = new URL(database.url)
    admin.pathname = '/postgres'
    await query(`alter database ${name} allow_connections ${!refuse}`, admin.href)
    if (refuse) await query(`select pg_terminate_backend(a.pid) from pg_stat_activity as a where a.datname = '${name}'`, admin.href)
  }
})

test('without a RabbitMQ there are no parked messages, and nothing to send them again with', async () => {
  const server = await startServer(await ownDatabase())
  expect(await server.request('GET', '/v1/parked_messages')).toMatchObject({ status: 200, body: { data: [], has_more: false } })
  const id = 'msg_01jd8w2k5v7x9n3q4r6t8y0z1b'
  expect(await server.request('POST', `/v1/parked_messages/${id}/resend`, { body: {} })).toMatchObject({ status: 404 })
  expect(await server.request('POST', `/v1/parked_messages/${id}/discard`, { body: {} })).toMatchObject({ status: 404 })
})
