// What somebody who is paged at night finds out: what is down, since when, and what users notice. Told by the program as it runs.
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { holdfast, type Status } from '@holdfast/sdk'
import { connect } from 'amqplib'
import pg from 'pg'
import { expect, onTestFinished, test, vi } from 'vitest'
import { startPostgres } from '../../src/platform/embedded-postgres.ts'
import { openLog } from '../../src/platform/log.ts'
import { freePort } from '../support/free-port.ts'
import { allRoles, type Role } from '../../src/roles.ts'
import { hasRabbit, openRabbit } from '../support/rabbit.ts'
import { startReceiver } from '../support/receiver.ts'
import { hasRedis, startRedis } from '../support/redis.ts'
import { API_KEY, createKey, ownDatabase, startProcess, startServer, until, verifyBooks, type TestServer } from '../support/server.ts'
import { stockUp } from '../support/shop.ts'
import { isOfRoles, rolesAt } from '../support/topology.ts'

vi.setConfig({ testTimeout: 90_000 })

const BESIDE = { HOLDFAST_WEBHOOKS_ALLOW_HTTP: 'true', HOLDFAST_WEBHOOKS_ALLOW_PRIVATE: '127.0.0.0/8' }

const component = ({ components }: Status, name: string) => components.find((one) => one.name === name)
/** Waits until a component is in a state. */
const comes = async ({ stock }: Pick<TestServer, 'stock'>, name: string, state: 'up' | 'degraded' | 'down'): Promise<Status> => {
  await until(`${name} is ${state}`, async () => component(await stock.status.get(), name)?.state === state, { withinMs: 30_000 })
  return stock.status.get()
}
const notUp = ({ functions }: Status) => functions.filter(({ state }) => state !== 'up').map(({ name, state }) => [name, state])

test('on a server where all is well everything is up, and a key for it alone may know', async () => {
  const database = await ownDatabase()
  const server = await startServer(database)

  const status = await server.stock.status.get()

  // Where roles run by themselves, nobody has said where the gateways are. Where there is no broker, nobody takes commands from it.
  const shown = allRoles.filter((role) => (isOfRoles ? role !== 'gateway' : !role.endsWith('-commands')))
  expect(notUp(status)).toEqual([])
  expect(status.state).toBe('up')
  expect(status.components.map(({ name, state }) => [name, state])).toEqual([...shown, 'database', 'outbox', 'ledger'].map((name) => [name, 'up']))
  const { key } = await createKey(database, 'Pager', { scopes: ['status:read'] })
  expect((await server.request('GET', '/v1/status', { apiKey: key })).status).toBe(200)
  expect((await server.request('GET', '/v1/integrity', { apiKey: key })).status).toBe(403)
  expect(await server.metrics()).toContain('component_state{component="relay"} 0')
})

test('a role whose process is killed is down within seconds, with what users notice; started again it is up, and both are told', async () => {
  const database = await ownDatabase()
  const port = await freePort()
  const environment = {
    ...rolesAt(new Map([['timers', port]])).get('timers'),
    DATABASE_URL: database.url,
    HOLDFAST_API_KEY: API_KEY,
    HOLDFAST_LOG_LEVEL: 'info',
  }
  const begin = () => startProcess(['serve', 'timers'], environment)
  const timers = await begin()
  const { url } = await startProcess(['serve', 'gateway,identity,inventory,webhooks,relay,monitor'], { ...environment, PORT: '0' })
  const server = { stock: holdfast({ url, apiKey: API_KEY }) }
  const before = await comes(server, 'timers', 'up')
  expect(component(before, 'timers')?.processes).toEqual([{ where: `http://127.0.0.1:${port}`, state: 'up', why: null }])

  await timers.kill()
  const during = await comes(server, 'timers', 'down')
  expect(component(during, 'timers')).toMatchObject({ kind: 'role', why: expect.stringContaining('ECONNREFUSED') })
  expect(during.functions.find(({ name }) => name === 'expiry')).toMatchObject({ state: 'degraded', because: ['timers'] })

  await begin()
  await comes(server, 'timers', 'up')
  const told = () => server.stock.events.list({ type: ['service.down', 'service.up'], afterSequence: 0 }).page()
  await until('both are told', async () => (await told()).data.length >= 2)
  expect((await told()).data.filter(({ subject }) => subject.id === 'timers')).toMatchObject([
    { type: 'service.down', subject: { object: 'service', version: 1 } },
    { type: 'service.up', subject: { version: 2 } },
  ])
})

test.skipIf(!hasRabbit)('the item consumer is stopped: the status says so, and what it means; items wait, and are made when it is started again', async () => {
  const database = await ownDatabase()
  const { url: AMQP_URL } = await openRabbit()
  const ports = new Map<Role, number>([
    ['item-commands', await freePort()],
    ['inventory', await freePort()],
  ])
  const environment = {
    ...rolesAt(ports).get('item-commands'),
    DATABASE_URL: database.url,
    HOLDFAST_API_KEY: API_KEY,
    HOLDFAST_LOG_LEVEL: 'info',
    AMQP_URL,
    HOLDFAST_AMQP_PREFIX: 'status',
  }
  const begin = (role: Role) => startProcess(['serve', role], { ...environment, PORT: String(ports.get(role)) })
  await begin('inventory')
  const consumer = await begin('item-commands')
  const rest = 'gateway,identity,webhooks,relay,timers,stock-commands,order-commands,monitor'
  const { url } = await startProcess(['serve', rest], { ...environment, PORT: '0' })
  const server = { stock: holdfast({ url, apiKey: API_KEY }) }
  await comes(server, 'item-commands', 'up')

  await consumer.stop()
  const during = await comes(server, 'item-commands', 'down')
  const [affected, ...others] = notUp(during)
  expect([affected, others]).toEqual([['items by message', 'down'], []])
  expect(during.functions.find(({ name }) => name === 'items by message')).toMatchObject({ because: ['item-commands'], means: expect.stringContaining('wait') })

  // The API goes on, and what is sent meanwhile is kept.
  await server.stock.items.create({ sku: 'CUP', name: 'Cup' })
  const connection = await connect(AMQP_URL)
  onTestFinished(() => connection.close())
  const channel = await connection.createConfirmChannel()
  const message = { operation: 'items.create', input: { body: { sku: 'TEA', name: 'Tea' } }, idempotency_key: 'tea' }
  channel.publish('status.commands', 'items.create', Buffer.from(JSON.stringify(message)), {
    persistent: true,
    headers: { authorization: `Bearer ${API_KEY}` },
  })
  await channel.waitForConfirms()

  await begin('item-commands')
  await comes(server, 'item-commands', 'up')
  await until('the item is made', async () => (await server.stock.items.get('TEA').catch(() => undefined)) !== undefined)
  expect((await server.stock.items.list({ q: 'Tea' }).page()).data).toHaveLength(1)
})

test('while the database is down the status says so, and what that means; when it is back, the outage is told as events', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'holdfast-status-'))
  chmodSync(dataDir, 0o711)
  const startDatabase = () => startPostgres({ dataDir, log: openLog({ level: 'silent' }), durability: 'none' })
  let postgres = await startDatabase()
  onTestFinished(async () => {
    await postgres.stop()
    rmSync(dataDir, { recursive: true, force: true })
  })
  const database = { url: postgres.url, drop: async () => undefined }
  const server = await startServer(database, BESIDE)
  const receiver = await startReceiver()
  await stockUp(server.stock, { LON: { 'TEA-1': 5 } })
  await server.stock.webhookEndpoints.create({ url: receiver.url, events: ['service.*'] })

  await postgres.stop()
  const during = await comes(server, 'database', 'down')

  expect(component(during, 'database')).toMatchObject({ kind: 'database', why: expect.stringContaining('PostgreSQL: ') })
  expect(Object.fromEntries(notUp(during))).toMatchObject({ stock: 'degraded', catalogue: 'down', 'signing in': 'down', webhooks: 'down', events: 'down' })
  expect(during.functions.find(({ name }) => name === 'signing in')?.means).toBe('Nobody can sign in. Who was known goes on for a while.')
  const since = component(during, 'database')?.since

  postgres = await startDatabase()
  expect(postgres.url).toBe(database.url)
  await comes(server, 'database', 'up')
  for (const name of ['inventory', 'relay', 'webhooks', 'timers']) await comes(server, name, 'up')

  const ofDatabase = () =>
    receiver.received.map(({ event }) => event as typeof event & { data: { name: string } }).filter(({ data }) => data.name === 'database')
  await until('the outage was sent', () => new Set(ofDatabase().map(({ type }) => type)).size === 2, { withinMs: 30_000 })
  const { data } = await server.stock.events.list({ type: ['service.down', 'service.up'], afterSequence: 0 }).page()
  expect(data.filter(({ subject }) => subject.id === 'database')).toMatchObject([
    {
      type: 'service.down',
      subject: { object: 'service', version: 1 },
      actor: 'system',
      data: { object: 'component', kind: 'database', state: 'down', since },
    },
    { type: 'service.up', subject: { version: 2 }, data: { state: 'up', why: null } },
  ])
  expect((await verifyBooks(database)).violations).toEqual([])
  await server.stop()
})

test('the books are verified when somebody asks, and what is wrong in them is told', async () => {
  const database = await ownDatabase()
  const server = await startServer(database)
  await stockUp(server.stock, { LON: { 'TEA-1': 5 } })
  expect(await server.stock.integrity.get()).toMatchObject({ state: 'not_verified', verifiedAt: null, violations: [] })

  const verified = await server.stock.integrity.verify()
  expect(verified).toMatchObject({ state: 'verified', levels: 1, entries: 1, violations: [] })
  expect(await server.stock.integrity.get()).toEqual(verified)

  const sql = new pg.Client({ connectionString: database.url })
  await sql.connect()
  await sql.query('update stock_levels set available = available + 1')
  await sql.end()
  // Whoever asks again at once is answered the last one.
  await until('it is found', async () => (await server.stock.integrity.verify()).state === 'violated')
  expect(await server.stock.integrity.get()).toMatchObject({ state: 'violated', violations: [{ rule: 'a level is the sum of its entries' }] })

  const status = await comes(server, 'ledger', 'down')
  // Which rule, and not how much of what: who may read the status need not know what is in stock.
  expect(component(status, 'ledger')?.why).toMatch(/1 places where the books do not agree; the first against the rule: a level is the sum of its entries$/)
  expect(notUp(status)).toEqual([['stock', 'degraded']])
  const { data } = await server.stock.events.list({ type: ['integrity.verified', 'integrity.violated'], afterSequence: 0 }).page()
  expect(data).toMatchObject([
    { type: 'integrity.verified', subject: { object: 'ledger', id: 'ledger', version: 1 }, data: { state: 'verified', sequence: verified.sequence } },
    { type: 'integrity.violated', subject: { version: 2 }, data: { state: 'violated' } },
  ])
  const metrics = await server.metrics()
  expect(metrics).toContain('component_state{component="ledger"} 2')
  expect(metrics).toMatch(/^verification_violations 1$/m)
})

test.skipIf(!hasRedis)('a Redis that hangs is told, and nothing but rate limits and speed suffers', async () => {
  const redis = await startRedis()
  const server = await startServer(await ownDatabase(), { REDIS_URL: redis.url })
  await comes(server, 'redis', 'up')

  redis.pause()
  expect(notUp(await comes(server, 'redis', 'down'))).toEqual([
    ['availability', 'degraded'],
    ['rate limits', 'degraded'],
  ])
  redis.resume()
  await comes(server, 'redis', 'up')
})
