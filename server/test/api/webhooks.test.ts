// Other systems are told what happened here: signed, at least once, whatever becomes of them or of us meanwhile.
import pg from 'pg'
import { Webhook } from 'standardwebhooks'
import { verifyWebhook, WebhookVerificationError, type Holdfast, type StockEvent, type WebhookDelivery } from '@holdfast/sdk'
import { expect, onTestFinished, test, vi } from 'vitest'
import type { FreshDatabase } from '../support/database.ts'
import { startReceiver, type Receiver } from '../support/receiver.ts'
import { ownDatabase, startServer, until, verifyBooks, type TestServer } from '../support/server.ts'
import { stockUp } from '../support/shop.ts'

/** As an operator whose receivers stand beside the server says it. */
const BESIDE = { HOLDFAST_WEBHOOKS_ALLOW_HTTP: 'true', HOLDFAST_WEBHOOKS_ALLOW_PRIVATE: '127.0.0.0/8' }
const HOUR_MS = 3_600_000
// Some of these start a server four times.
vi.setConfig({ testTimeout: 90_000 })

type Shop = { readonly database: FreshDatabase; readonly server: TestServer; readonly stock: Holdfast }
const openShop = async (environment: Readonly<Record<string, string>> = BESIDE): Promise<Shop> => {
  const database = await ownDatabase()
  const server = await startServer(database, environment)
  await stockUp(server.stock, { LON: { 'TEA-1': 10_000 } })
  return { database, server, stock: server.stock }
}

/** One shop for the tests that only look at what they made themselves. What they made goes with them. */
let shared: Promise<Shop> | undefined
const sharedShop = async (): Promise<Shop> => {
  const shop = await (shared ??= openShop())
  onTestFinished(async () => {
    for await (const { id } of shop.stock.webhookEndpoints.list()) await shop.stock.webhookEndpoints.delete(id)
  })
  return shop
}

const placeHolds = (stock: Holdfast, count: number) =>
  Promise.all(Array.from({ length: count }, () => stock.holds.place({ lines: [{ sku: 'TEA-1', quantity: 1, location: 'LON' }] })))

const query = async (database: FreshDatabase, sql: string, values: unknown[] = []): Promise<Record<string, unknown>[]> => {
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  try {
    return (await client.query(sql, values)).rows as Record<string, unknown>[] // rows are records
  } finally {
    await client.end()
  }
}

/** Nobody writes to the table meanwhile. */
const whileLocked = async (database: FreshDatabase, table: string, work: () => Promise<void>): Promise<void> => {
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  try {
    await client.query(`begin; lock table ${table} in share mode`)
    await work()
  } finally {
    await client.end()
  }
}

/** For webhooks, so much time has passed: everything that was to happen later happens that much sooner. */
const passTime = async (database: FreshDatabase, hours: number): Promise<void> => {
  await query(
    database,
    `update webhook_deliveries
        set next_attempt_at = next_attempt_at - make_interval(secs => $1), created_at = created_at - make_interval(secs => $1)
      where status = 'pending'`,
    [hours * 3_600],
  )
  await query(
    database,
    `update webhook_endpoints
        set failing_since = failing_since - make_interval(secs => $1), previous_secret_expires_at = previous_secret_expires_at - make_interval(secs => $1)`,
    [hours * 3_600],
  )
}

/** Nothing is due, and nothing is under way, until later. */
const quiet = (database: FreshDatabase, { laterMs = 50_000 } = {}) =>
  until('nothing is due any more', async () => {
    const [row] = await query(
      database,
      `select count(*)::int as due
         from webhook_deliveries as d
         join webhook_endpoints as e on e.id = d.endpoint_id and e.status = 'enabled'
        where d.status = 'pending' and d.next_attempt_at < now() + make_interval(secs => $1::float8 / 1000)`,
      [laterMs],
    )
    const [outbox] = await query(database, 'select count(*)::int as rows from outbox')
    return row?.['due'] === 0 && outbox?.['rows'] === 0
  })

const startOf = ({ attempts }: WebhookDelivery): string => attempts.at(-1)?.startedAt ?? ''
const distinct = ({ received }: Receiver): string[] => [...new Set(received.map(({ id }) => id))]
const eventsOf = async (stock: Holdfast, type: StockEvent['type']): Promise<StockEvent[]> => {
  const events: StockEvent[] = []
  for await (const event of stock.events.list({ type, afterSequence: 0 })) events.push(event)
  return events
}

test('an endpoint is told what it asked for: the event as it is shown everywhere, signed so that any library can verify it', async () => {
  const { server, stock } = await sharedShop()
  const receiver = await startReceiver()
  const { id, secret } = await stock.webhookEndpoints.create({ url: receiver.url, events: ['hold.*', 'stock.shipped'], metadata: { team: 'web' } })

  const hold = await stock.holds.place({ lines: [{ sku: 'TEA-1', quantity: 2, location: 'LON' }], reference: 'cart-1' })
  await stock.holds.execute(hold.id)
  await stock.shipments.create({ hold: hold.id })
  await stock.receipts.create({ location: 'LON', lines: [{ sku: 'TEA-1', quantity: 1 }] })
  await until('three events have come', () => receiver.received.length === 3)

  expect(receiver.received.map(({ event }) => event.type).toSorted()).toEqual(['hold.executed', 'hold.placed', 'stock.shipped'])
  const official = new Webhook(secret)
  for (const { headers, body, event, id: messageId } of receiver.received) {
    expect(official.verify(body, headers as Record<string, string>)).toEqual(event) // Node has them as text
    expect(await verifyWebhook({ secret, headers, body })).toMatchObject({ id: event.id })
    expect(messageId).toBe(event.id)
    expect(headers['content-type']).toBe('application/json')
    expect((await server.request('GET', `/v1/events/${event.id}`)).body).toEqual(event)
    // One letter more, and nobody believes it.
    expect(() => official.verify(`${body} `, headers as Record<string, string>)).toThrow()
    await expect(verifyWebhook({ secret, headers, body: `${body} ` })).rejects.toThrow(WebhookVerificationError)
  }
  const deliveries = await stock.webhookEndpoints.deliveries(id).page()
  expect(deliveries.data.map(({ status, eventType, attempts }) => [status, eventType, attempts.map((attempt) => attempt.responseStatus)])).toEqual([
    ['delivered', 'stock.shipped', [204]],
    ['delivered', 'hold.executed', [204]],
    ['delivered', 'hold.placed', [204]],
  ])
})

test('an endpoint hears nothing of what happened before it was made, and everything after, however busy the shop is meanwhile', async () => {
  const { database, stock } = await sharedShop()
  const receiver = await startReceiver()
  // Somebody listens already, so that all of it is told.
  await stock.webhookEndpoints.create({ url: (await startReceiver()).url, events: ['stock.returned'] })
  let isMade = false
  const trade = async () => {
    while (!isMade) await placeHolds(stock, 5)
    await placeHolds(stock, 5)
  }
  const make = async () => {
    await placeHolds(stock, 20)
    const made = await stock.webhookEndpoints.create({ url: receiver.url, events: ['hold.placed'] })
    isMade = true
    return made
  }
  const [{ id }] = await Promise.all([make(), trade(), trade()])

  const since = (await eventsOf(stock, 'webhook_endpoint.created')).find((event) => event.subject.id === id)?.sequence ?? 0
  const after = (await eventsOf(stock, 'hold.placed')).filter((event) => event.sequence > since).map((event) => event.id)
  expect(after.length).toBeGreaterThanOrEqual(10)
  // With a broker between them, what has left the outbox may not have been written down for its receivers yet.
  await until('all have come', () => distinct(receiver).length >= after.length)
  await quiet(database)
  expect(receiver.received.map((one) => one.id).toSorted()).toEqual(after.toSorted())
})

test('the secret is shown once: no answer after it, no event, no log and no row has it', async () => {
  const { database, server, stock } = await openShop()
  const receiver = await startReceiver()
  const body = { url: `${receiver.url}?token=in-the-url`, events: ['*'] }
  const made = await server.request('POST', '/v1/webhook_endpoints', { body, idempotencyKey: 'make' })
  const { id, secret } = made.body as { id: string; secret: string } // as the contract says
  expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/)
  await placeHolds(stock, 2)
  await until('it is told', () => receiver.received.length >= 2)

  const again = await server.request('POST', '/v1/webhook_endpoints', { body, idempotencyKey: 'make' })
  expect(again).toMatchObject({ status: 201, body: made.body })
  expect(again.headers.get('idempotent-replayed')).toBe('true')
  expect(await server.request('POST', '/v1/webhook_endpoints', { body: { ...body, events: ['hold.*'] }, idempotencyKey: 'make' })).toMatchObject({
    status: 422,
    body: { code: 'idempotency_key_reused' },
  })
  for (const path of ['/v1/webhook_endpoints', `/v1/webhook_endpoints/${id}`, `/v1/webhook_endpoints/${id}/deliveries`, '/v1/events'])
    expect((await server.request('GET', path)).text).not.toContain(secret.slice(6))
  expect((await server.request('GET', '/v1/events')).text).not.toContain('in-the-url')
  expect(server.said()).not.toContain(secret.slice(6))

  for (const table of ['webhook_endpoints', 'webhook_deliveries', 'events', 'idempotency_keys'])
    expect(JSON.stringify(await query(database, `select * from ${table}`)), table).not.toContain(secret.slice(6))
})

test('a receiver that is down for a day gets everything when it is back, each under the name it had, after waits that grow', async () => {
  const { database, stock } = await openShop()
  const receiver = await startReceiver(503)
  const { id } = await stock.webhookEndpoints.create({ url: receiver.url, events: ['hold.placed'] })
  await placeHolds(stock, 5)
  await until('each was tried', () => distinct(receiver).length === 5)

  for (let hour = 0; hour < 24; hour += 1) {
    await quiet(database, { laterMs: 0 })
    await passTime(database, 1)
    if (hour === 12) await placeHolds(stock, 5)
  }
  await quiet(database, { laterMs: 0 })

  const duringTheDay = receiver.received.length
  expect(distinct(receiver)).toHaveLength(10)
  expect(await stock.webhookEndpoints.get(id)).toMatchObject({ status: 'enabled', failingSince: expect.any(String) })
  // Now, 5 s, 5 min, 30 min, 2 h, 5 h, 10 h: seven in a day, and not seven hundred. Each hour lets one happen at most.
  const attempts = (await stock.webhookEndpoints.deliveries(id).page()).data.map((delivery) => delivery.attempts.length)
  for (const count of attempts) expect(count).toBeLessThanOrEqual(7)
  expect(Math.min(...attempts.slice(5))).toBeGreaterThanOrEqual(5)

  const waiting = (await stock.webhookEndpoints.deliveries(id).page()).data.toSorted((a, b) => ((a.nextAttemptAt ?? '') < (b.nextAttemptAt ?? '') ? -1 : 1))
  receiver.answer(200)
  await passTime(database, 24)
  await until('all have been taken', async () => (await stock.webhookEndpoints.deliveries(id, { status: 'delivered' }).page()).data.length === 10)

  const taken = receiver.received.slice(duringTheDay)
  expect(taken.map(({ event }) => event.id).toSorted()).toEqual((await eventsOf(stock, 'hold.placed')).map((event) => event.id).toSorted())
  // Those that have waited longest go first, as many as go at a time.
  const order = (await stock.webhookEndpoints.deliveries(id).page()).data.toSorted((a, b) => (startOf(a) < startOf(b) ? -1 : 1))
  expect(new Set(order.slice(0, 8).map((delivery) => delivery.id))).toEqual(new Set(waiting.slice(0, 8).map((delivery) => delivery.id)))
  expect(await stock.webhookEndpoints.get(id)).toMatchObject({ failingSince: null })
})

test('a server killed between the commit of what happened and the telling of it tells it all the same', async () => {
  const { database, server, stock } = await openShop()
  const receiver = await startReceiver()
  // It takes what it is told, but the answer never arrives.
  receiver.answer(() => undefined)
  await stock.webhookEndpoints.create({ url: receiver.url, events: ['hold.placed'] })
  let running = server
  const crash = async () => {
    await running.kill()
    running = await startServer(database, BESIDE)
  }
  for (let round = 0; round < 2; round += 1) {
    await placeHolds(running.stock, 10)
    await crash()
  }
  // Once more in the very middle: what happened has been read from the outbox, and cannot be written down yet.
  await whileLocked(database, 'webhook_deliveries', async () => {
    await placeHolds(running.stock, 10)
    const waiting = async () =>
      (
        await query(
          database,
          `select a.pid from pg_stat_activity as a
            where a.datname = current_database() and a.wait_event_type = 'Lock' and a.query like '%insert into webhook_deliveries%'`,
        )
      ).length
    await until('it is to be written down', async () => (await waiting()) > 0)
    await running.kill()
    // The database would still do what it had been asked for, if it could.
    await until('nobody waits to do it any more', async () => (await waiting()) === 0)
  })

  receiver.answer(204)
  // Those that the dead had taken are free when their lease has ended.
  await query(database, `update webhook_deliveries set next_attempt_at = now() where status = 'pending'`)
  running = await startServer(database, BESIDE)
  await until(
    'all thirty are taken',
    async () => (await query(database, `select count(*)::int as taken from webhook_deliveries where status = 'delivered'`))[0]?.['taken'] === 30,
  )

  expect(distinct(receiver).toSorted()).toEqual((await eventsOf(running.stock, 'hold.placed')).map((event) => event.id).toSorted())
  expect((await verifyBooks(database)).violations).toEqual([])
})

test('two servers send each delivery once', async () => {
  const { database, server, stock } = await openShop()
  const second = await startServer(database, BESIDE)
  const receiver = await startReceiver()
  // One server has room for eight at a time: with a ninth waiting for its answer, both have done their part.
  const ninth = Promise.withResolvers<undefined>()
  let open = 0
  receiver.answer((_, response) => {
    if ((open += 1) > 8) ninth.resolve(undefined)
    void ninth.promise.then(() => setTimeout(() => (response.writeHead(204).end(), (open -= 1)), 10))
  })
  await stock.webhookEndpoints.create({ url: receiver.url, events: ['hold.placed'] })

  for (let round = 0; round < 3; round += 1) await Promise.all([placeHolds(stock, 20), placeHolds(second.stock, 20)])
  await until('all have come', () => distinct(receiver).length === 120)
  await quiet(database)

  expect(receiver.received).toHaveLength(120)
  const sent = await Promise.all([server, second].map((one) => one.metrics()))
  for (const text of sent) expect(Number(/^webhook_attempts_delivered_total (\d+)$/m.exec(text)?.[1])).toBeGreaterThan(0)
})

test('an endpoint that does not answer keeps nobody waiting but itself', async () => {
  const { stock } = await sharedShop()
  const [slow, quick] = await Promise.all([startReceiver(), startReceiver()])
  let open = 0
  let mostOpen = 0
  slow.answer((_, response) => {
    open += 1
    mostOpen = Math.max(mostOpen, open)
    response.once('close', () => (open -= 1))
  })
  await stock.webhookEndpoints.create({ url: slow.url, events: ['*'] })
  await stock.webhookEndpoints.create({ url: quick.url, events: ['*'] })

  // More than it has room for at a time: it must not wait to be looked at for each of them, either.
  for (let round = 0; round < 4; round += 1) await placeHolds(stock, 100)
  await until('the quick one has all', () => quick.received.filter(({ event }) => event.type === 'hold.placed').length === 400, { withinMs: 10_000 })

  expect(open).toBe(8)
  expect(mostOpen).toBe(8)
})

test('a secret is rotated without losing anything: for a while both sign, then the new one alone', async () => {
  const { database, server, stock } = await sharedShop()
  const receiver = await startReceiver()
  const { id, secret: old } = await stock.webhookEndpoints.create({ url: receiver.url, events: ['hold.placed'] })
  const { secret: fresh, previousSecretExpiresAt } = await stock.webhookEndpoints.rotateSecret(id, { overlapSeconds: 3_600 }, { idempotencyKey: 'rotate' })
  expect(fresh).not.toBe(old)
  expect(previousSecretExpiresAt).not.toBeNull()
  expect(await stock.webhookEndpoints.rotateSecret(id, { overlapSeconds: 3_600 }, { idempotencyKey: 'rotate' })).toMatchObject({ secret: fresh })

  await placeHolds(stock, 1)
  await until('it is told', () => receiver.received.length === 1)
  const [during] = receiver.received
  if (during === undefined) throw new Error('one was received')
  const headers = during.headers as Record<string, string> // Node has them as text
  expect(headers['webhook-signature']?.split(' ')).toHaveLength(2)
  for (const secret of [old, fresh]) new Webhook(secret).verify(during.body, headers)

  await passTime(database, 2)
  await placeHolds(stock, 1)
  await until('it is told again', () => receiver.received.length === 2)
  const after = receiver.received[1]
  if (after === undefined) throw new Error('another was received')
  new Webhook(fresh).verify(after.body, after.headers as Record<string, string>)
  expect(() => new Webhook(old).verify(after.body, after.headers as Record<string, string>)).toThrow()
  expect(await stock.webhookEndpoints.get(id)).toMatchObject({ previousSecretExpiresAt: null, version: 2 })
  expect((await server.request('POST', `/v1/webhook_endpoints/${id}/rotate_secret`, { body: { overlap_seconds: 0 } })).body).toMatchObject({
    previous_secret_expires_at: null,
  })
})

test('410 ends it: the endpoint is disabled, its delivery is not tried again, and that is told', async () => {
  const { database, stock } = await sharedShop()
  const [gone, watcher] = await Promise.all([startReceiver(410), startReceiver()])
  const { id } = await stock.webhookEndpoints.create({ url: gone.url, events: ['hold.placed'] })
  await stock.webhookEndpoints.create({ url: watcher.url, events: ['webhook_endpoint.disabled'] })
  await placeHolds(stock, 1)
  await until('it is disabled', async () => (await stock.webhookEndpoints.get(id)).status === 'disabled')

  await placeHolds(stock, 3)
  await until('the other one is told', () => watcher.received.length === 1)
  await quiet(database)

  expect(gone.received).toHaveLength(1)
  expect(await stock.webhookEndpoints.get(id)).toMatchObject({ disabled: { reason: 'gone' } })
  expect((await stock.webhookEndpoints.deliveries(id).page()).data).toMatchObject([{ status: 'failed', attempts: [{ responseStatus: 410 }] }])
  expect(watcher.received[0]?.event).toMatchObject({ type: 'webhook_endpoint.disabled', actor: 'system', data: { id, disabled: { reason: 'gone' } } })
  expect((await verifyBooks(database)).violations).toEqual([])
})

test('an endpoint that has only failed for three days is disabled; enabled again, it gets what had been waiting and is told what comes', async () => {
  const { database, stock } = await openShop()
  const receiver = await startReceiver(500)
  const { id } = await stock.webhookEndpoints.create({ url: receiver.url, events: ['hold.placed'] })
  await placeHolds(stock, 2)
  for (let day = 0; day < 12 && (await stock.webhookEndpoints.get(id)).status === 'enabled'; day += 1) {
    await quiet(database, { laterMs: 0 })
    await placeHolds(stock, 1)
    await quiet(database, { laterMs: 0 })
    await passTime(database, 12)
  }
  expect(await stock.webhookEndpoints.get(id)).toMatchObject({ status: 'disabled', disabled: { reason: 'failing' } })
  const [disabled] = await eventsOf(stock, 'webhook_endpoint.disabled')
  expect(disabled).toMatchObject({ subject: { id, version: 2 }, data: { status: 'disabled', disabled: { reason: 'failing' } } })
  const waiting = (await stock.webhookEndpoints.deliveries(id, { status: 'pending', limit: 100 }).page()).data.length
  expect(waiting).toBeGreaterThan(0)

  // While it is disabled, nothing is sent to it, and what happens is not kept for it.
  receiver.answer(204)
  await passTime(database, 48)
  const before = receiver.received.length
  await placeHolds(stock, 5)
  await quiet(database)
  expect(receiver.received).toHaveLength(before)

  // A clean slate: else the next failure would disable it at once.
  expect(await stock.webhookEndpoints.update(id, { status: 'enabled' })).toMatchObject({ status: 'enabled', failingSince: null })
  await until('what had been waiting is taken', () => receiver.received.length === before + waiting)
  await placeHolds(stock, 1)
  await until('it is told what comes', () => receiver.received.length === before + waiting + 1)
  expect(await stock.webhookEndpoints.get(id)).toMatchObject({ status: 'enabled', disabled: null, failingSince: null })
})

test('a range of what happened is sent once more: after a sequence, or between two instants, also what was before the endpoint', async () => {
  const { database, stock } = await openShop()
  const receiver = await startReceiver()
  await placeHolds(stock, 3)
  const { id } = await stock.webhookEndpoints.create({ url: receiver.url, events: ['hold.placed'] })
  await placeHolds(stock, 3)
  await until('three have come', () => receiver.received.length === 3)
  await quiet(database)

  await stock.webhookEndpoints.replay(id, { afterSequence: 0 })
  await until('all six have come, three of them again', () => receiver.received.length === 9)
  await quiet(database)
  expect(distinct(receiver)).toHaveLength(6)
  expect(await stock.webhookEndpoints.get(id)).toMatchObject({ replay: null })

  const placed = await eventsOf(stock, 'hold.placed')
  const [from, to] = [placed[2], placed[4]]
  if (from === undefined || to === undefined) throw new Error('six holds were placed')
  await stock.webhookEndpoints.replay(id, { since: from.occurredAt, until: to.occurredAt })
  const wanted = placed.filter((event) => event.occurredAt >= from.occurredAt && event.occurredAt < to.occurredAt).map((event) => event.id)
  await until('the range has come', () => receiver.received.length === 9 + wanted.length)
  await quiet(database)
  expect(
    receiver.received
      .slice(9)
      .map((one) => one.id)
      .toSorted(),
  ).toEqual(wanted.toSorted())
  // The same delivery, with its earlier attempts.
  expect((await stock.webhookEndpoints.deliveries(id).page()).data).toHaveLength(6)
})

test('one delivery is sent again by hand', async () => {
  const { stock } = await sharedShop()
  const receiver = await startReceiver(400)
  const { id } = await stock.webhookEndpoints.create({ url: receiver.url, events: ['hold.placed'] })
  await placeHolds(stock, 1)
  await until('it has failed once', () => receiver.received.length === 1)
  const find = async () => (await stock.webhookEndpoints.deliveries(id).page()).data[0]
  await until('that is written', async () => (await find())?.attempts.length === 1)
  const delivery = await find()
  if (delivery === undefined) throw new Error('there is a delivery')
  expect(delivery).toMatchObject({ status: 'pending', attempts: [{ number: 1, responseStatus: 400, error: 'the receiver answered 400' }] })

  receiver.answer(204)
  await stock.webhookDeliveries.retry(delivery.id, { idempotencyKey: 'retry' })
  await until('it is taken', async () => (await stock.webhookDeliveries.get(delivery.id)).status === 'delivered')
  await stock.webhookDeliveries.retry(delivery.id, { idempotencyKey: 'retry' })

  expect(receiver.received).toHaveLength(2)
  expect(distinct(receiver)).toHaveLength(1)
  expect(await stock.webhookDeliveries.get(delivery.id)).toMatchObject({ attempts: [{ number: 1 }, { number: 2, responseStatus: 204, error: null }] })
})

test('an endpoint is tried out, and what came back is told: an answer, a refusal, a redirect that is not followed, nothing at all', async () => {
  const { stock } = await sharedShop()
  const receiver = await startReceiver((_, response) => void response.writeHead(200, { 'content-type': 'text/plain' }).end('welcome'))
  const elsewhere = await startReceiver()
  const { id, secret } = await stock.webhookEndpoints.create({ url: receiver.url, events: ['stock.returned'] })

  expect(await stock.webhookEndpoints.test(id)).toMatchObject({ delivered: true, attempt: { responseStatus: 200, responseBody: 'welcome', error: null } })
  const [received] = receiver.received
  if (received === undefined) throw new Error('one was received')
  expect(await verifyWebhook({ secret, ...received })).toMatchObject({ type: 'webhook_endpoint.test', sequence: 0, data: { id } })

  receiver.answer((_, response) => void response.writeHead(500).end('x'.repeat(200_000)))
  expect((await stock.webhookEndpoints.test(id)).attempt.responseBody).toBe('x'.repeat(1_024))
  receiver.answer((_, response) => void response.writeHead(307, { location: elsewhere.url }).end())
  expect(await stock.webhookEndpoints.test(id)).toMatchObject({ delivered: false, attempt: { responseStatus: 307, error: 'redirects are not followed' } })
  expect(elsewhere.received).toEqual([])
  receiver.answer((_, response) => void response.destroy())
  expect(await stock.webhookEndpoints.test(id)).toMatchObject({ delivered: false, attempt: { responseStatus: null, error: 'the connection was cut' } })

  const tried = receiver.received.length
  const { event } = await stock.webhookEndpoints.test(id, { idempotencyKey: 'try' })
  expect(await stock.webhookEndpoints.test(id, { idempotencyKey: 'try' })).toMatchObject({ event })
  expect(receiver.received).toHaveLength(tried + 1)
  // A test is no delivery.
  expect((await stock.webhookEndpoints.deliveries(id).page()).data).toEqual([])
})

test('a receiver that asks for time gets it, within bounds', async () => {
  const { stock } = await sharedShop()
  const asks = ['7200', new Date(Date.now() + 2 * HOUR_MS).toUTCString(), '99999999']
  const receiver = await startReceiver((_, response) => void response.writeHead(429, { 'retry-after': asks[receiver.received.length - 1] ?? '0' }).end())
  const { id } = await stock.webhookEndpoints.create({ url: receiver.url, events: ['hold.placed'] })
  await placeHolds(stock, 3)
  await until(
    'three have failed',
    async () => (await stock.webhookEndpoints.deliveries(id).page()).data.filter((one) => one.attempts.length === 1).length === 3,
  )

  const waits = (await stock.webhookEndpoints.deliveries(id).page()).data
    .map((one) => (Date.parse(one.nextAttemptAt ?? '') - Date.now()) / HOUR_MS)
    .toSorted((a, b) => a - b)
  expect(waits.map((wait) => Math.round(wait))).toEqual([2, 2, 24])
})

test('an endpoint is changed, disabled, enabled and deleted; every change is an event with the next version', async () => {
  const { database, stock } = await sharedShop()
  const [first, second] = await Promise.all([startReceiver(), startReceiver()])
  const made = await stock.webhookEndpoints.create({ url: first.url, events: ['hold.placed'], description: 'The shop' })
  expect(await stock.webhookEndpoints.get(made.id)).toEqual(expect.not.objectContaining({ secret: expect.anything() }))

  await stock.webhookEndpoints.update(made.id, { url: second.url, events: ['hold.*'], ifVersion: 1 })
  await expect(stock.webhookEndpoints.update(made.id, { description: 'x', ifVersion: 1 })).rejects.toMatchObject({
    code: 'version_conflict',
    currentVersion: 2,
  })
  await placeHolds(stock, 1)
  await until('the second is told', () => second.received.length === 1)
  await stock.webhookEndpoints.update(made.id, { status: 'disabled' })
  await placeHolds(stock, 1)
  await quiet(database)
  await stock.webhookEndpoints.update(made.id, { status: 'enabled', description: null })
  await placeHolds(stock, 1)
  await until('it is told again', () => second.received.length === 2)
  expect(await stock.webhookEndpoints.list({ status: 'enabled' }).page()).toMatchObject({ data: [{ id: made.id, url: second.url, description: null }] })

  expect(await stock.webhookEndpoints.delete(made.id)).toMatchObject({ status: 'deleted', version: 5 })
  await placeHolds(stock, 1)
  await quiet(database)
  expect([first.received.length, second.received.length]).toEqual([0, 2])
  await expect(stock.webhookEndpoints.get(made.id)).rejects.toMatchObject({ code: 'not_found' })
  await expect(stock.webhookEndpoints.delete(made.id)).rejects.toMatchObject({ code: 'not_found' })
  expect(await stock.webhookEndpoints.list().page()).toMatchObject({ data: [] })
  const ofIt = async (type: StockEvent['type']) => (await eventsOf(stock, type)).filter(({ subject }) => subject.id === made.id)
  const told = await ofIt('webhook_endpoint.updated')
  expect(told.map(({ subject }) => subject.version)).toEqual([2, 4])
  expect(await ofIt('webhook_endpoint.deleted')).toMatchObject([{ subject: { version: 5 } }])
  expect((await verifyBooks(database)).violations).toEqual([])
  expect(await query(database, 'select e.secret from webhook_endpoints as e where e.secret is not null')).toEqual([])
})

test('what lists of deliveries show is theirs, page by page', async () => {
  const { stock } = await sharedShop()
  const receiver = await startReceiver()
  const [one, other] = await Promise.all([0, 1].map(() => stock.webhookEndpoints.create({ url: receiver.url, events: ['hold.placed'] })))
  if (one === undefined || other === undefined) throw new Error('two were made')
  await placeHolds(stock, 7)
  await until('both are told', () => receiver.received.length === 14)

  const seen: number[] = []
  for await (const delivery of stock.webhookEndpoints.deliveries(one.id, { limit: 3 })) {
    expect(delivery.endpoint).toBe(one.id)
    seen.push(delivery.sequence)
  }
  expect(seen).toHaveLength(7)
  expect(seen).toEqual(seen.toSorted((a, b) => b - a))
  const [foreign] = (await stock.webhookEndpoints.deliveries(other.id, { limit: 1 }).page()).data
  await expect(stock.webhookEndpoints.deliveries(one.id, { startingAfter: foreign?.id }).page()).rejects.toMatchObject({ code: 'invalid_request' })
})

test('urls that lead inside, or elsewhere than they say, are refused when they are saved', async () => {
  const { stock } = await openShop({})
  const refused = async (url: string) =>
    stock.webhookEndpoints.create({ url, events: ['*'] }).then(
      () => `${url} was taken`,
      (error: { code: string; errors: { param: string }[] }) => `${error.code} ${error.errors.map(({ param }) => param).join()}`,
    )
  for (const url of [
    'http://shop.example/hooks',
    'https://127.0.0.1/',
    'https://localhost/',
    'https://localhost./',
    'https://api.localhost/',
    'https://2130706433/',
    'https://0x7f.1/',
    'https://0177.0.0.1/',
    'https://127.1/',
    'https://[::1]/',
    'https://[::ffff:127.0.0.1]/',
    'https://[::127.0.0.1]/',
    'https://[64:ff9b::10.0.0.1]/',
    'https://10.0.0.5/',
    'https://169.254.169.254/latest/meta-data',
    'https://[fd00:ec2::254]/',
    'https://0.0.0.0/',
    'https://user:password@8.8.8.8/',
    'https://8.8.8.8/#part',
    'https://8.8.8.8:22/',
    'https://8.8.8.8:6379/',
    'ftp://8.8.8.8/',
    'file:///etc/passwd',
    'javascript:alert(1)',
    'not a url',
  ])
    expect([url, await refused(url)]).toEqual([url, 'invalid_request url'])
  const { id } = await stock.webhookEndpoints.create({ url: 'https://8.8.8.8:8443/hooks', events: ['*'] })
  await expect(stock.webhookEndpoints.update(id, { url: 'https://10.0.0.5/' })).rejects.toMatchObject({ code: 'invalid_request' })
})

test('a url that was saved when it was allowed is not called when it no longer is', async () => {
  const { database, server, stock } = await openShop()
  const receiver = await startReceiver()
  const { id } = await stock.webhookEndpoints.create({ url: receiver.url, events: ['*'] })
  await server.stop()
  const strict = await startServer(database)

  await placeHolds(strict.stock, 1)
  await until('it has failed', async () => (await strict.stock.webhookEndpoints.deliveries(id).page()).data[0]?.attempts.length === 1)

  expect((await strict.stock.webhookEndpoints.deliveries(id).page()).data[0]?.attempts).toMatchObject([
    { responseStatus: null, error: '127.0.0.1 does not lead to public addresses' },
  ])
  expect(receiver.received).toEqual([])
})

test('there are not more endpoints than there may be, however many ask at once', async () => {
  const { stock } = await sharedShop()
  const receiver = await startReceiver()
  const asked = await Promise.allSettled(Array.from({ length: 60 }, () => stock.webhookEndpoints.create({ url: receiver.url, events: ['stock.returned'] })))
  expect(asked.filter(({ status }) => status === 'fulfilled')).toHaveLength(50)
  await expect(stock.webhookEndpoints.create({ url: receiver.url, events: ['*'] })).rejects.toMatchObject({ code: 'invalid_request' })
})

test('without a key to lock secrets with, no endpoint is made, and it is said what is missing', async () => {
  const { stock } = await openShop({ HOLDFAST_SECRET_KEY: '' })
  const asked = stock.webhookEndpoints.create({ url: 'https://8.8.8.8/', events: ['*'] })
  await expect(asked).rejects.toMatchObject({ code: 'unavailable', detail: expect.stringContaining('HOLDFAST_SECRET_KEY') })
})

test('a secret that was locked with a key which is lost is told as such, and rotating it mends that', async () => {
  const [lost, found] = [Buffer.alloc(32, 'lost').toString('base64'), Buffer.alloc(32, 'found').toString('base64')]
  const { database, server, stock } = await openShop({ ...BESIDE, HOLDFAST_SECRET_KEY: lost })
  const receiver = await startReceiver()
  const { id } = await stock.webhookEndpoints.create({ url: receiver.url, events: ['hold.placed'] })
  await server.stop()
  const after = await startServer(database, { ...BESIDE, HOLDFAST_SECRET_KEY: found })
  await placeHolds(after.stock, 1)
  const delivery = async () => (await after.stock.webhookEndpoints.deliveries(id).page()).data[0]
  await until('it is tried', async () => (await delivery())?.attempts.length === 1)
  expect((await delivery())?.attempts[0]?.error).toBe('the secret was locked with a key that this server does not have')
  await expect(after.stock.webhookEndpoints.test(id)).rejects.toMatchObject({ code: 'unavailable', detail: expect.stringContaining('overlap of 0') })
  expect(receiver.received).toEqual([])

  const { secret } = await after.stock.webhookEndpoints.rotateSecret(id, { overlapSeconds: 0 })
  await after.stock.webhookDeliveries.retry((await delivery())?.id ?? '')
  await until('it is told', () => receiver.received.length === 1)
  const [received] = receiver.received
  expect(await verifyWebhook({ secret, headers: received?.headers ?? {}, body: received?.body ?? '' })).toMatchObject({ type: 'hold.placed' })
})

test('the key that locks secrets is replaced, and the one before can go', async () => {
  const [old, fresh] = [Buffer.alloc(32, 'old').toString('base64'), Buffer.alloc(32, 'fresh').toString('base64')]
  const { database, server, stock } = await openShop({ ...BESIDE, HOLDFAST_SECRET_KEY: old })
  const receiver = await startReceiver()
  const { id } = await stock.webhookEndpoints.create({ url: receiver.url, events: ['hold.placed'] })
  const { secret } = await stock.webhookEndpoints.rotateSecret(id)
  const kept = async () => (await query(database, 'select e.secret, e.previous_secret from webhook_endpoints as e'))[0]
  const before = await kept()
  await server.stop()

  const both = await startServer(database, { ...BESIDE, HOLDFAST_SECRET_KEY: `${fresh},${old}` })
  await until('both secrets are locked anew', async () => {
    const now = await kept()
    return now?.['secret'] !== before?.['secret'] && now?.['previous_secret'] !== before?.['previous_secret']
  })
  await both.stop()
  const after = await startServer(database, { ...BESIDE, HOLDFAST_SECRET_KEY: fresh })
  await placeHolds(after.stock, 1)
  await until('it is told', () => receiver.received.length === 1)

  const [received] = receiver.received
  if (received === undefined) throw new Error('one was received')
  new Webhook(secret).verify(received.body, received.headers as Record<string, string>) // Node has them as text
})

test('what is older than the log goes back is forgotten, and what waits is not', async () => {
  const { database, stock } = await openShop()
  const receiver = await startReceiver()
  const { id } = await stock.webhookEndpoints.create({ url: receiver.url, events: ['hold.placed'] })
  const { id: doomed } = await stock.webhookEndpoints.create({ url: receiver.url, events: ['hold.placed'] })
  await placeHolds(stock, 4)
  await until('they are told', () => receiver.received.length === 8)
  await quiet(database)
  await stock.webhookEndpoints.delete(doomed)
  // Made 31 days ago: ids begin with their time.
  const old = (Date.now() - 31 * 24 * HOUR_MS).toString(16).padStart(12, '0')
  const sequences = (await eventsOf(stock, 'hold.placed')).map((event) => event.sequence)
  await query(
    database,
    `update webhook_deliveries as d
        set id = ($1 || right(d.id::text, 22))::uuid
      where right(d.event_id::text, 12) = any($2)`,
    [`${old.slice(0, 8)}-${old.slice(8)}-`, sequences.slice(0, 2).map((sequence) => sequence.toString(16).padStart(12, '0'))],
  )
  // Upkeep begins with the process.
  const again = await startServer(database, BESIDE)
  await until('the old ones and the deleted ones have gone', async () => (await query(database, 'select id from webhook_deliveries')).length === 2)
  await until('the deleted endpoint has gone', async () => (await query(database, 'select id from webhook_endpoints')).length === 1, { withinMs: 5_000 })
  expect((await again.stock.webhookEndpoints.deliveries(id).page()).data.map(({ sequence }) => sequence)).toEqual(sequences.slice(2).toReversed())
})
