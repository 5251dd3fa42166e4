// What the server says of itself in /openapi.json is what it does, asked as it should be. As it might be, and as it must not be: properties.test.ts.
import { expect, test } from 'vitest'
import { readContract, type DescribedOperation } from '../support/contract-check.ts'
import { signedIn } from '../support/people.ts'
import { parkMessage } from '../../src/storage/parked-messages.ts'
import { openPool } from '../../src/storage/pool.ts'
import { hasRabbit, openRabbit } from '../support/rabbit.ts'
import { startReceiver } from '../support/receiver.ts'
import { API_KEY, ownDatabase, startServer, until, type Answered } from '../support/server.ts'

const database = await ownDatabase()
const broker = hasRabbit ? { AMQP_URL: (await openRabbit()).url, HOLDFAST_AMQP_PREFIX: 'shape' } : {}
const server = await startServer(database, { ...broker, HOLDFAST_WEBHOOKS_ALLOW_HTTP: 'true', HOLDFAST_WEBHOOKS_ALLOW_PRIVATE: '127.0.0.0/8' })
const { stock } = server
const contract = await readContract(server)

const operation = (id: string): DescribedOperation => {
  const found = contract.operations.find((one) => one.id === id)
  if (found === undefined) throw new Error(`there is no operation ${id}`)
  return found
}

type Input = {
  readonly params?: Readonly<Record<string, string>>
  readonly query?: readonly (readonly [name: string, value: string])[]
  readonly body?: unknown
  /** CSV, for an operation that takes a file. */
  readonly file?: string | undefined
  readonly key?: string
  /** Of a person who is signed in; then no API key is sent. */
  readonly cookie?: string | undefined
}

let keys = 0
const call = ({ method, path }: DescribedOperation, { params = {}, query = [], body, file, key, cookie }: Input): Promise<Answered> => {
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(inAddress(params[name] ?? '')))
  const text = query.length === 0 ? '' : `?${new URLSearchParams(query.map(([name, value]): [string, string] => [name, value])).toString()}`
  const idempotencyKey = key ?? (method === 'POST' ? `shape-${(keys += 1)}` : undefined)
  const sent = file === undefined ? { body } : { text: file, headers: { 'content-type': 'text/csv' } }
  return server.request(method, filled + text, {
    ...sent,
    ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
    ...(cookie === undefined ? {} : { apiKey: null, headers: { cookie, 'sec-fetch-site': 'same-origin' } }),
  })
}

/** Messages that somebody sent whom we know, and that nobody could take. */
const parked = async (...names: readonly string[]): Promise<void> => {
  const pool = openPool({ url: database.url, size: 1, statementTimeoutMs: 5_000, lockTimeoutMs: 5_000, applicationName: 'test' })
  const caller = { principal: 'owner', scopes: ['stock:adjust'], locations: null }
  for (const name of names) {
    const message = JSON.stringify({ operation: 'receipts.create', input: { body: { location: name, lines: [] } }, idempotency_key: name })
    await parkMessage(pool, { queue: 'commands.stock', operation: 'receipts.create', message, reason: 'it has no lines', attempts: 1, caller })
  }
  await pool.end()
}

/** Half a letter cannot stand in an address, and dots alone would lead to another one. */
const inAddress = (text: string): string => (text === '.' || text === '..' ? 'dots' : text.toWellFormed())

test('every operation, called as it should be, answers what it promises', async () => {
  const called = new Set<string>()
  const ok = async (id: string, input: Input = {}): Promise<Record<string, unknown>> => {
    const one = operation(id)
    called.add(id)
    const answer = await call(one, input)
    expect(contract.faultOf(one, answer)).toBeUndefined()
    expect(answer.status, answer.text).toBeLessThan(300)
    return answer.body as Record<string, unknown> // as the document says, which was just checked
  }
  const idOf = (document: Record<string, unknown>) => ({ params: { id: String(document['id']) } })

  await ok('locationsCreate', {
    body: { code: 'LON', name: 'London', kind: 'store', priority: 5, address: { city: 'London' }, latitude: 51.5, longitude: -0.1, metadata: { a: 'b' } },
  })
  await ok('locationsCreate', { body: { code: 'TMP', name: 'For a while' } })
  await ok('locationsList', {
    query: [
      ['status', 'active'],
      ['kind', 'store'],
      ['limit', '1'],
    ],
  })
  await ok('locationsGet', { params: { code: 'LON' } })
  await ok('locationsUpdate', { params: { code: 'LON' }, body: { name: 'London Bridge', address: null } })
  await ok('locationsDeactivate', { params: { code: 'TMP' } })
  await ok('itemsCreate', {
    body: {
      sku: 'TEA-1',
      name: 'Tea',
      description: 'Leaves',
      brand: 'B',
      category: 'C',
      price: { amount: 450, currency: 'GBP' },
      barcode: '501',
      attributes: { grade: 'A' },
      safety_stock: 1,
      reorder_point: 500,
      purchase_limit: { quantity: 5_000, window_seconds: 60 },
    },
  })
  await ok('itemsCreate', { body: { sku: 'Ünï cöde & 100 %', name: 'Odd, but a name' } })
  await ok('itemsCreate', { body: { sku: 'OLD-1', name: 'Old' } })
  await ok('itemsList', {
    query: [
      ['q', 'tea'],
      ['brand', 'B'],
      ['category', 'C'],
      ['status', 'active'],
    ],
  })
  await ok('itemsGet', { params: { sku: 'Ünï cöde & 100 %' } })
  await ok('itemsUpdate', { params: { sku: 'TEA-1' }, body: { price: null, if_version: 1 } })
  await ok('itemsArchive', { params: { sku: 'OLD-1' } })

  const imported = await ok('itemsImport', {
    file: 'sku,name,quantity\nIMP-1,Imported,5\nIMP-2,,\n',
    query: [
      ['location', 'LON'],
      ['on_existing', 'update'],
    ],
    key: 'catalogue',
  })
  await ok('importsList', { query: [['idempotency_key', 'catalogue']] })
  await ok('importsGet', idOf(imported))
  expect((await ok('importsErrors', idOf(imported)))['data']).toHaveLength(1)

  const receipt = await ok('receiptsCreate', {
    body: {
      location: 'LON',
      lines: [
        { sku: 'TEA-1', quantity: 100 },
        { sku: 'Ünï cöde & 100 %', quantity: 5 },
      ],
      reference: 'PO',
      metadata: {},
    },
  })
  await ok('receiptsList', { query: [['reference', 'PO']] })
  await ok('receiptsGet', idOf(receipt))
  const adjustment = await ok('adjustmentsCreate', {
    body: {
      location: 'LON',
      reason: 'damaged',
      lines: [
        { sku: 'TEA-1', quantity: 2, from: 'available', to: 'damaged' },
        { sku: 'TEA-1', delta: 1 },
      ],
    },
  })
  await ok('adjustmentsList')
  await ok('adjustmentsGet', idOf(adjustment))

  const lines = [{ sku: 'TEA-1', quantity: 2 }]
  const hold = await ok('holdsPlace', {
    body: {
      lines: [{ ...lines[0], location: 'LON' }],
      ttl_seconds: 60,
      mode: 'best_effort',
      strategy: 'nearest',
      destination: { latitude: 1, longitude: 2.5 },
      customer: 'account-7',
      reference: 'cart',
    },
  })
  const short = await ok('holdsPlace', { body: { lines: [{ sku: 'TEA-1', quantity: 1_000 }], mode: 'best_effort', customer: 'account-7' } })
  expect(short['shortages']).toHaveLength(1)
  await ok('holdsRelease', { ...idOf(short), body: {} })
  const third = await ok('holdsPlace', { body: { lines, customer: 'account-8' } })
  await ok('holdsExtend', { ...idOf(hold), body: { ttl_seconds: 600 } })
  await ok('holdsExecute', { ...idOf(hold), body: { lines: [{ sku: 'TEA-1', quantity: 1 }], final: false } })
  await ok('holdsExecute', idOf(hold))
  await ok('holdsCancel', idOf(third))
  await ok('holdsList', {
    query: [
      ['sku', 'TEA-1'],
      ['status', 'executed'],
      ['reference', 'cart'],
      ['customer', 'account-7'],
    ],
  })
  await ok('holdsGet', idOf(hold))
  const shipment = await ok('shipmentsCreate', { body: { hold: hold['id'], lines: [{ sku: 'TEA-1', quantity: 1 }] } })
  await ok('shipmentsList', { query: [['hold', String(hold['id'])]] })
  await ok('shipmentsGet', idOf(shipment))
  const returned = await ok('returnsCreate', { body: { hold: hold['id'], location: 'LON', lines: [{ sku: 'TEA-1', quantity: 1, to: 'damaged' }] } })
  await ok('returnsCreate', { body: { location: 'LON', lines } })
  await ok('returnsList', { query: [['hold', String(hold['id'])]] })
  await ok('returnsGet', idOf(returned))

  await ok('locationsCreate', { body: { code: 'PAR', name: 'Paris' } })
  const about = { location: 'PAR', reference: 'pallet', metadata: { a: 'b' } }
  const found = (status: string) => ({
    query: [
      ['status', status],
      ['location', 'PAR'],
      ['reference', 'pallet'],
      ['limit', '5'],
    ] as const,
  })
  const transfer = await ok('transfersCreate', { body: { from: 'LON', to: 'PAR', lines, reference: 'pallet', metadata: { a: 'b' } } })
  const dropped = await ok('transfersCreate', { body: { from: 'LON', to: 'PAR', lines } })
  await ok('transfersCancel', idOf(dropped))
  await ok('transfersList', found('open'))
  await ok('transfersDispatch', { ...idOf(transfer), body: {} })
  await ok('transfersReceive', { ...idOf(transfer), body: { lines: [{ sku: 'TEA-1', quantity: 1, to: 'damaged' }], accept_excess: true } })
  await ok('transfersReceive', { ...idOf(transfer), body: { lines: [], close: true } })
  await ok('transfersGet', idOf(transfer))
  await ok('transfersList', found('received'))
  const inbound = await ok('inboundShipmentsCreate', { body: { supplier: 'Acme', ...about, lines, expected_at: '2026-12-01T08:00:00+01:00' } })
  const calledOff = await ok('inboundShipmentsCreate', { body: { supplier: 'Acme', location: 'LON', lines } })
  await ok('inboundShipmentsCancel', idOf(calledOff))
  await ok('inboundShipmentsList', found('announced'))
  await ok('inboundShipmentsReceive', { ...idOf(inbound), body: { lines: [{ sku: 'TEA-1', quantity: 3 }], accept_excess: true, close: true } })
  await ok('inboundShipmentsReceive', idOf(inbound))
  await ok('inboundShipmentsGet', idOf(inbound))
  const count = await ok('countsCreate', { body: { ...about, skus: ['TEA-1', 'OLD-1'] } })
  const whatever = await ok('countsCreate', { body: { location: 'LON' } })
  await ok('countsCancel', idOf(whatever))
  await ok('countsList', found('open'))
  await ok('countsLines', {
    ...idOf(count),
    body: {
      lines: [
        { sku: 'TEA-1', quantity: 5, as_of_sequence: 3 },
        { sku: 'OLD-1', quantity: 0 },
      ],
    },
  })
  await ok('countsGet', idOf(count))
  await ok('countsApprove', idOf(count))

  await ok('stockLevelsList', {
    query: [
      ['sku', 'TEA-1'],
      ['location', 'LON'],
      ['low', 'true'],
      ['min_sequence', '1'],
    ],
  })
  await ok('stockLevelsList', {
    query: [
      ['sku', 'TEA-1'],
      ['as_of', new Date().toISOString()],
    ],
  })
  await ok('stockLevelsGet', { params: { sku: 'TEA-1' } })
  await ok('stockLevelsGet', { params: { sku: 'OLD-1' } })
  await ok('availabilityGet', { params: { sku: 'TEA-1' }, query: [['min_sequence', '2']] })
  await ok('availabilityCheck', { body: { skus: ['TEA-1', 'OLD-1'] } })
  await ok('availabilityCheck', { body: { lines, strategy: 'fewest_splits' } })
  await ok('ledgerEntriesList', {
    query: [
      ['hold', String(hold['id'])],
      ['document', String(hold['id'])],
      ['from', 'available'],
      ['to', 'held'],
      ['since', '2020-01-01T00:00:00Z'],
      ['until', '2999-01-01T00:00:00.000Z'],
    ],
  })
  await ok('ledgerEntriesList', { query: [['document', String(transfer['id'])]] })
  await ok('eventsList', {
    query: [
      ['type', 'stock.low'],
      ['type', 'stock.back'],
    ],
  })
  const receiver = await startReceiver()
  const endpoint = await ok('webhookEndpointsCreate', {
    body: { url: receiver.url, events: ['item.*', 'hold.placed'], description: 'D', metadata: { a: 'b' } },
  })
  await ok('webhookEndpointsList', { query: [['status', 'enabled']] })
  await ok('webhookEndpointsGet', idOf(endpoint))
  await ok('webhookEndpointsTest', idOf(endpoint))
  await ok('webhookEndpointsRotateSecret', { ...idOf(endpoint), body: { overlap_seconds: 60 } })
  await ok('itemsUpdate', { params: { sku: 'TEA-1' }, body: { brand: 'C' } })
  await until('it was told', () => receiver.received.length > 1)
  const deliveries = await ok('webhookEndpointsDeliveries', { ...idOf(endpoint), query: [['limit', '1']] })
  for (const delivery of deliveries['data'] as Record<string, unknown>[]) {
    await ok('webhookDeliveriesGet', idOf(delivery))
    await ok('webhookDeliveriesRetry', idOf(delivery))
  }
  await ok('webhookEndpointsUpdate', { ...idOf(endpoint), body: { status: 'disabled', description: null } })
  await ok('webhookEndpointsReplay', { ...idOf(endpoint), body: { since: '2020-01-01T00:00:00Z', until: '2999-01-01T00:00:00Z' } })
  await ok('webhookEndpointsDelete', idOf(endpoint))
  const events = await ok('eventsList', {
    query: [
      ['type', 'hold.placed'],
      ['type', 'hold.executed'],
      ['after_sequence', '0'],
    ],
  })
  for (const event of events['data'] as Record<string, unknown>[]) await ok('eventsGet', idOf(event)) // as the document says
  const password = 'seven ducks cross the canal'
  const user = await ok('usersCreate', { body: { email: 'Ada@example.com', password, role: 'operator', name: 'Ada', locations: ['LON'] } })
  await ok('usersList', {
    query: [
      ['email', 'ada@example.com'],
      ['role', 'operator'],
      ['disabled', 'false'],
    ],
  })
  await ok('usersGet', idOf(user))
  await ok('usersUpdate', { ...idOf(user), body: { name: null, role: 'viewer', locations: null, disabled: false } })
  await ok('usersSetPassword', { ...idOf(user), body: { password } })
  await ok('authRegister', { body: { email: 'sue@example.com', password } })
  await ok('authLogin', { body: { email: 'ada@example.com', password } })
  const elsewhere = await signedIn(server, 'ada@example.com', password)
  const browser = await signedIn(server, 'ada@example.com', password)
  const cookie = () => browser.cookie()
  await ok('authMe')
  await ok('authMe', { cookie: cookie() })
  const sessions = await ok('authListSessions', { cookie: cookie() })
  const other = (sessions['data'] as { id: string; current: boolean }[]).find((one) => !one.current) // as the document says
  await ok('authEndSession', { params: { id: other?.id ?? '' }, cookie: cookie() })
  await ok('authEndOtherSessions', { cookie: cookie() })
  expect((await elsewhere.request('GET', '/v1/auth/me')).status).toBe(401)
  await ok('authChangePassword', { body: { current_password: password, new_password: 'eight geese swim back again' }, cookie: cookie() })
  await browser.login('ada@example.com', 'eight geese swim back again')
  await ok('authLogout', { body: {}, cookie: cookie() })
  await ok('usersDisable', idOf(user))
  const key = await ok('apiKeysCreate', {
    body: { name: 'Till', scopes: ['stock:read'], locations: ['LON'], expires_in_seconds: 3_600, rate_limit: { limit: 10, window_seconds: 1 } },
  })
  await ok('apiKeysCreate', { body: { name: 'Fast', scopes: ['stock:read'], rate_limit: 'unlimited' } })
  await ok('apiKeysList', { query: [['principal', String(key['principal'])]] })
  await ok('apiKeysGet', idOf(key))
  await ok('apiKeysUpdate', { ...idOf(key), body: { name: 'Till 2', rate_limit: null } })
  await ok('apiKeysRotate', { ...idOf(key), body: { overlap_seconds: 60 } })
  await ok('apiKeysRevoke', idOf(key))
  const told = await ok('auditLogList', {
    query: [
      ['action', 'api_key.rotated'],
      ['subject', String(key['id'])],
      ['actor', 'owner'],
      ['since', '2020-01-01T00:00:00Z'],
      ['until', '2999-01-01T00:00:00Z'],
    ],
  })
  expect(told['data']).toHaveLength(1)
  await parked('discarded', 'sent again')
  const { data: messages } = await ok('parkedMessagesList', { query: [['status', 'parked']] })
  const [again, discarded] = messages as Record<string, unknown>[] // as the document says
  await ok('parkedMessagesDiscard', { ...idOf(discarded ?? {}), body: {} })
  // There must be somebody to send it to.
  if (hasRabbit) await ok('parkedMessagesResend', { ...idOf(again ?? {}), body: {} })
  called.add('parkedMessagesResend')
  await ok('integrityVerify', { body: {} })
  await ok('integrityGet')
  await ok('statusGet')
  called.add('eventsStream')
  expect(await firstEvents(20)).toHaveLength(20)

  expect([...called].toSorted()).toEqual(contract.operations.map(({ id }) => id).toSorted())
})

/** The first events of the stream, each of them as described. */
const firstEvents = async (count: number): Promise<unknown[]> => {
  const gone = new AbortController()
  const events: unknown[] = []
  for await (const event of stock.events.stream({ afterSequence: 0 }, { signal: gone.signal })) {
    events.push(event)
    if (events.length === count) break
  }
  gone.abort()
  const response = await fetch(`${server.url}/v1/events/stream?after_sequence=0`, {
    headers: { authorization: `Bearer ${API_KEY}` },
    signal: AbortSignal.timeout(10_000),
  })
  expect(response.headers.get('content-type')).toBe('text/event-stream')
  let text = ''
  for await (const bytes of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += bytes
    if (text.split('\n\n').length > count + 1) break
  }
  for (const message of text.split('\n\n').slice(1, count + 1)) {
    const [id, data] = message.split('\n')
    const event = JSON.parse(data?.slice('data: '.length) ?? '') as { sequence: number } // what it is, is checked next
    expect(contract.faultOfEvent(operation('eventsStream'), event)).toBeUndefined()
    expect(id).toBe(`id: ${event.sequence}`)
  }
  return events
}
