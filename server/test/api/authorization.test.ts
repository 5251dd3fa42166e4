// Every operation against everybody who might ask for it. Each has a row here: who gets in by role, which single scope of a key
// opens it, and what somebody finds who is restricted to HOME and asks for what is AWAY. An operation without a row fails, and a
// row without an operation does, too.
import { allOperations, problems, roles, scopes, type Operation, type RejectionCode, type Role, type Scope } from '@holdfast/contract'
import pg from 'pg'
import { afterAll, describe, expect, test } from 'vitest'
import { problemFault } from '../support/contract-check.ts'
import { makeUser, openBrowser, signedIn, type Browser } from '../support/people.ts'
import { ownDatabase, startServer, type Answered, type RequestOptions } from '../support/server.ts'
import { stockUp } from '../support/shop.ts'

type Row = {
  readonly roles: readonly Role[]
  /** The scopes that open it, each alone in a key. */
  readonly keys: readonly Scope[]
  readonly away: Away
}
/**
 * For somebody who is restricted to HOME:
 * `closed`  the whole operation
 * `same`    it is of no location
 * a list    what is asked of AWAY, and what is said: a refusal, or only what is at HOME
 */
type Away = 'closed' | 'same' | readonly Probe[]
type Probe = { readonly ask?: string; readonly body?: object; readonly says: RejectionCode | 'only HOME' }

const all: readonly Role[] = roles
const administrators: readonly Role[] = ['administrator']
const managers: readonly Role[] = ['manager', 'administrator']
const operators: readonly Role[] = ['operator', ...managers]
const viewers: readonly Role[] = ['viewer', 'auditor', ...operators]
const auditors: readonly Role[] = ['auditor', 'administrator']

const line = { sku: 'MATRIX-1', quantity: 1 }
const elsewhere = { location: 'AWAY', lines: [line] }
const onlyHome: Away = [{ says: 'only HOME' }]
/** {away}, {split}, … stand for the ids of things: see below. */
const one = (thing: string): Away => [{ ask: thing, says: 'not_found' }]
const holdAction = (body: object = {}): Away => [
  { ask: 'away', body, says: 'not_found' },
  { ask: 'split', body, says: 'permission_denied' },
]

const rows: Readonly<Record<string, Row>> = {
  'items.create': { roles: managers, keys: ['items:write'], away: 'closed' },
  'items.list': { roles: all, keys: ['items:read'], away: 'same' },
  'items.get': { roles: all, keys: ['items:read'], away: 'same' },
  'items.update': { roles: managers, keys: ['items:write'], away: 'closed' },
  'items.archive': { roles: managers, keys: ['items:write'], away: 'closed' },
  'locations.create': { roles: managers, keys: ['items:write'], away: 'closed' },
  'locations.list': { roles: all, keys: ['items:read'], away: 'same' },
  'locations.get': { roles: all, keys: ['items:read'], away: 'same' },
  'locations.update': { roles: managers, keys: ['items:write'], away: 'closed' },
  'locations.deactivate': { roles: managers, keys: ['items:write'], away: 'closed' },
  'items.import': { roles: managers, keys: ['items:write'], away: 'closed' },
  'imports.list': { roles: managers, keys: ['items:write'], away: 'closed' },
  'imports.get': { roles: managers, keys: ['items:write'], away: 'closed' },
  'imports.errors': { roles: managers, keys: ['items:write'], away: 'closed' },
  'receipts.create': { roles: operators, keys: ['stock:adjust'], away: [{ body: elsewhere, says: 'permission_denied' }] },
  'receipts.list': { roles: viewers, keys: ['stock:read'], away: onlyHome },
  'receipts.get': { roles: viewers, keys: ['stock:read'], away: one('receipt') },
  'adjustments.create': {
    roles: operators,
    keys: ['stock:adjust'],
    away: [{ body: { location: 'AWAY', lines: [{ sku: 'MATRIX-1', delta: -1 }], reason: 'lost' }, says: 'permission_denied' }],
  },
  'adjustments.list': { roles: viewers, keys: ['stock:read'], away: onlyHome },
  'adjustments.get': { roles: viewers, keys: ['stock:read'], away: one('adjustment') },
  'holds.place': {
    roles: operators,
    keys: ['holds:write'],
    away: [
      { body: { lines: [{ ...line, location: 'AWAY' }] }, says: 'permission_denied' },
      {
        body: {
          lines: [
            { ...line, location: 'HOME' },
            { ...line, location: 'AWAY' },
          ],
        },
        says: 'permission_denied',
      },
      { body: { lines: [{ sku: 'MATRIX-2', quantity: 1 }] }, says: 'insufficient_stock' },
    ],
  },
  'holds.list': { roles: viewers, keys: ['holds:read'], away: onlyHome },
  'holds.get': { roles: viewers, keys: ['holds:read'], away: one('away') },
  'holds.execute': { roles: operators, keys: ['holds:write'], away: holdAction() },
  'holds.release': { roles: operators, keys: ['holds:write'], away: holdAction() },
  'holds.extend': { roles: operators, keys: ['holds:write'], away: holdAction({ ttl_seconds: 60 }) },
  'holds.cancel': { roles: operators, keys: ['holds:write'], away: holdAction() },
  'shipments.create': {
    roles: operators,
    keys: ['stock:adjust'],
    away: [
      { body: { hold: '{away}' }, says: 'not_found' },
      { body: { hold: '{split}' }, says: 'permission_denied' },
    ],
  },
  'shipments.list': { roles: viewers, keys: ['stock:read'], away: [{ says: 'only HOME' }, { ask: '?expand[]=hold', says: 'only HOME' }] },
  'shipments.get': { roles: viewers, keys: ['stock:read'], away: one('shipment') },
  'returns.create': {
    roles: operators,
    keys: ['stock:adjust'],
    away: [
      { body: elsewhere, says: 'permission_denied' },
      { body: { hold: '{shipped}', location: 'HOME', lines: [line] }, says: 'not_found' },
    ],
  },
  'returns.list': { roles: viewers, keys: ['stock:read'], away: onlyHome },
  'returns.get': { roles: viewers, keys: ['stock:read'], away: one('returned') },
  'transfers.create': {
    roles: operators,
    keys: ['stock:adjust'],
    away: [{ body: { from: 'AWAY', to: 'FAR', lines: [line] }, says: 'permission_denied' }],
  },
  'transfers.list': { roles: viewers, keys: ['stock:read'], away: [{ says: 'only HOME' }, { ask: '?location=AWAY', says: 'permission_denied' }] },
  'transfers.get': { roles: viewers, keys: ['stock:read'], away: one('transfer') },
  'transfers.dispatch': {
    roles: operators,
    keys: ['stock:adjust'],
    away: [
      { ask: 'transfer', body: {}, says: 'not_found' },
      { ask: 'coming', body: {}, says: 'permission_denied' },
    ],
  },
  'transfers.receive': {
    roles: operators,
    keys: ['stock:adjust'],
    away: [
      { ask: 'transfer', body: {}, says: 'not_found' },
      { ask: 'leaving', body: {}, says: 'permission_denied' },
    ],
  },
  'transfers.cancel': {
    roles: operators,
    keys: ['stock:adjust'],
    away: [
      { ask: 'transfer', body: {}, says: 'not_found' },
      { ask: 'coming', body: {}, says: 'permission_denied' },
    ],
  },
  'inbound_shipments.create': {
    roles: operators,
    keys: ['stock:adjust'],
    away: [{ body: { supplier: 'Acme', ...elsewhere }, says: 'permission_denied' }],
  },
  'inbound_shipments.list': { roles: viewers, keys: ['stock:read'], away: [{ says: 'only HOME' }, { ask: '?location=AWAY', says: 'permission_denied' }] },
  'inbound_shipments.get': { roles: viewers, keys: ['stock:read'], away: one('inbound') },
  'inbound_shipments.receive': { roles: operators, keys: ['stock:adjust'], away: [{ ask: 'inbound', body: {}, says: 'not_found' }] },
  'inbound_shipments.cancel': { roles: operators, keys: ['stock:adjust'], away: [{ ask: 'inbound', body: {}, says: 'not_found' }] },
  'counts.create': { roles: operators, keys: ['stock:adjust'], away: [{ body: { location: 'AWAY' }, says: 'permission_denied' }] },
  'counts.list': { roles: viewers, keys: ['stock:read'], away: [{ says: 'only HOME' }, { ask: '?location=AWAY', says: 'permission_denied' }] },
  'counts.get': { roles: viewers, keys: ['stock:read'], away: one('count') },
  'counts.lines': { roles: operators, keys: ['stock:adjust'], away: [{ ask: 'count', body: { lines: [line] }, says: 'not_found' }] },
  'counts.approve': { roles: managers, keys: ['stock:approve'], away: [{ ask: 'count', body: {}, says: 'not_found' }] },
  'counts.cancel': { roles: operators, keys: ['stock:adjust'], away: [{ ask: 'count', body: {}, says: 'not_found' }] },
  'stock_levels.list': {
    roles: viewers,
    keys: ['stock:read'],
    away: [
      { says: 'only HOME' },
      { ask: '?sku=MATRIX-1', says: 'only HOME' },
      { ask: '?sku=MATRIX-1&as_of=2999-01-01T00:00:00.000Z', says: 'only HOME' },
      { ask: '?location=AWAY', says: 'permission_denied' },
    ],
  },
  'stock_levels.get': { roles: viewers, keys: ['stock:read'], away: [{ ask: 'MATRIX-1', says: 'only HOME' }] },
  'availability.get': { roles: all, keys: ['availability:read', 'stock:read'], away: [{ ask: 'MATRIX-1', says: 'only HOME' }] },
  'availability.check': {
    roles: all,
    keys: ['availability:read', 'stock:read'],
    away: [
      { body: { skus: ['MATRIX-1'] }, says: 'only HOME' },
      { body: { lines: [{ sku: 'MATRIX-1', quantity: 60 }] }, says: 'only HOME' },
      { body: { lines: [{ ...line, location: 'AWAY' }] }, says: 'permission_denied' },
    ],
  },
  'ledger_entries.list': {
    roles: viewers,
    keys: ['stock:read'],
    away: [
      { says: 'only HOME' },
      { ask: '?sku=MATRIX-1', says: 'only HOME' },
      { ask: '?hold={split}', says: 'only HOME' },
      { ask: '?location=AWAY', says: 'permission_denied' },
    ],
  },
  'events.list': { roles: auditors, keys: ['audit:read'], away: 'closed' },
  'events.stream': { roles: auditors, keys: ['audit:read'], away: 'closed' },
  'events.get': { roles: auditors, keys: ['audit:read'], away: 'closed' },

  'auth.register': { roles: all, keys: scopes, away: 'same' },
  'auth.login': { roles: all, keys: scopes, away: 'same' },
  'auth.logout': { roles: all, keys: [], away: 'same' },
  'auth.me': { roles: all, keys: scopes, away: 'same' },
  'auth.change_password': { roles: all, keys: [], away: 'same' },
  'auth.list_sessions': { roles: all, keys: [], away: 'same' },
  'auth.end_session': { roles: all, keys: [], away: 'same' },
  'auth.end_other_sessions': { roles: all, keys: [], away: 'same' },
  'users.create': {
    roles: administrators,
    keys: ['users:manage'],
    away: [
      {
        body: { email: 'new@example.com', password: 'seven ducks cross the canal', role: 'viewer', locations: ['HOME', 'AWAY'] },
        says: 'permission_denied',
      },
    ],
  },
  'users.list': { roles: administrators, keys: ['users:manage'], away: onlyHome },
  'users.get': { roles: administrators, keys: ['users:manage'], away: one('user') },
  'users.update': {
    roles: administrators,
    keys: ['users:manage'],
    away: [
      { ask: 'user', body: { role: 'viewer' }, says: 'not_found' },
      { ask: 'homeUser', body: { locations: ['AWAY'] }, says: 'permission_denied' },
      { ask: 'homeUser', body: { locations: null }, says: 'permission_denied' },
    ],
  },
  'users.disable': { roles: administrators, keys: ['users:manage'], away: one('user') },
  'users.set_password': {
    roles: administrators,
    keys: ['users:manage'],
    away: [{ ask: 'user', body: { password: 'eight geese swim back again' }, says: 'not_found' }],
  },
  'api_keys.create': {
    roles: administrators,
    keys: ['keys:manage'],
    away: [{ body: { name: 'New', scopes: ['stock:read'], locations: ['AWAY'] }, says: 'permission_denied' }],
  },
  'api_keys.list': { roles: administrators, keys: ['keys:manage'], away: onlyHome },
  'api_keys.get': { roles: administrators, keys: ['keys:manage'], away: one('key') },
  'api_keys.update': { roles: administrators, keys: ['keys:manage'], away: [{ ask: 'key', body: { name: 'Taken' }, says: 'not_found' }] },
  'api_keys.revoke': { roles: administrators, keys: ['keys:manage'], away: one('key') },
  'api_keys.rotate': { roles: administrators, keys: ['keys:manage'], away: [{ ask: 'key', body: {}, says: 'not_found' }] },
  'audit_log.list': { roles: auditors, keys: ['audit:read'], away: 'closed' },
  'status.get': { roles: viewers, keys: ['status:read'], away: 'same' },
  'integrity.get': { roles: auditors, keys: ['audit:read'], away: 'closed' },
  'integrity.verify': { roles: auditors, keys: ['audit:read'], away: 'closed' },
  'webhook_endpoints.create': { roles: managers, keys: ['webhooks:manage'], away: 'closed' },
  'webhook_endpoints.list': { roles: managers, keys: ['webhooks:manage'], away: 'closed' },
  'webhook_endpoints.get': { roles: managers, keys: ['webhooks:manage'], away: 'closed' },
  'webhook_endpoints.update': { roles: managers, keys: ['webhooks:manage'], away: 'closed' },
  'webhook_endpoints.delete': { roles: managers, keys: ['webhooks:manage'], away: 'closed' },
  'webhook_endpoints.rotate_secret': { roles: managers, keys: ['webhooks:manage'], away: 'closed' },
  'webhook_endpoints.test': { roles: managers, keys: ['webhooks:manage'], away: 'closed' },
  'webhook_endpoints.replay': { roles: managers, keys: ['webhooks:manage'], away: 'closed' },
  'webhook_endpoints.deliveries': { roles: managers, keys: ['webhooks:manage'], away: 'closed' },
  'webhook_deliveries.get': { roles: managers, keys: ['webhooks:manage'], away: 'closed' },
  'webhook_deliveries.retry': { roles: managers, keys: ['webhooks:manage'], away: 'closed' },
  'parked_messages.list': { roles: managers, keys: ['messages:manage'], away: 'closed' },
  'parked_messages.resend': { roles: managers, keys: ['messages:manage'], away: 'closed' },
  'parked_messages.discard': { roles: managers, keys: ['messages:manage'], away: 'closed' },
}

const database = await ownDatabase()
const server = await startServer(database)
const { stock } = server
const sql = new pg.Client({ connectionString: database.url })
await sql.connect()
afterAll(() => sql.end())

const post = async (path: string, body: object): Promise<{ readonly id: string; readonly key: string }> => {
  const answer = await server.request('POST', path, { body })
  if (answer.status !== 201) throw new Error(`POST ${path}: ${answer.text}`)
  return answer.body as { id: string; key: string } // what was made
}
const makeKey = (name: string, wanted: { readonly scopes: readonly Scope[]; readonly locations?: readonly string[] }) =>
  post('/v1/api_keys', { name, rate_limit: 'unlimited', ...wanted })

await stockUp(stock, { HOME: { 'MATRIX-1': 50, 'MATRIX-2': 0 }, AWAY: { 'MATRIX-1': 50, 'MATRIX-2': 50 }, FAR: { 'MATRIX-1': 5 } })
const held = (...locations: readonly string[]) => stock.holds.place({ lines: locations.map((location) => ({ ...line, location })), ttlSeconds: 3_600 })
const shipped = await held('AWAY')
await stock.holds.execute(shipped.id)
const homeHold = await held('HOME')
await stock.holds.execute((await held('HOME')).id)
const homeShipped = await held('HOME')
await stock.holds.execute(homeShipped.id)
await stock.shipments.create({ hold: homeShipped.id })
await stock.returns.create({ hold: homeShipped.id, location: 'HOME', lines: [line] })
await stock.adjustments.create({ location: 'HOME', lines: [{ sku: 'MATRIX-1', delta: 1 }], reason: 'found' })

const transfer = async (from: string, to: string) => (await stock.transfers.create({ from, to, lines: [line] })).id
await stock.inboundShipments.create({ supplier: 'Acme', location: 'HOME', lines: [line] })
await stock.counts.create({ location: 'HOME' })

/** What is not at HOME, by the names in the rows. */
const things: Readonly<Record<string, string>> = {
  away: (await held('AWAY')).id,
  split: (await held('HOME', 'AWAY')).id,
  shipped: shipped.id,
  shipment: (await stock.shipments.create({ hold: shipped.id })).id,
  receipt: (await stock.receipts.create({ ...elsewhere, reference: 'at AWAY' })).id,
  adjustment: (await stock.adjustments.create({ location: 'AWAY', lines: [{ sku: 'MATRIX-1', delta: 1 }], reason: 'found' })).id,
  returned: (await stock.returns.create({ hold: shipped.id, ...elsewhere })).id,
  transfer: await transfer('AWAY', 'FAR'),
  leaving: await transfer('HOME', 'AWAY'),
  coming: await transfer('AWAY', 'HOME'),
  inbound: (await stock.inboundShipments.create({ supplier: 'Acme', ...elsewhere })).id,
  count: (await stock.counts.create({ location: 'AWAY' })).id,
  user: (await makeUser(server, 'viewer', { locations: ['AWAY'] })).id,
  homeUser: (await makeUser(server, 'viewer', { locations: ['HOME'] })).id,
  key: (await makeKey('Of AWAY', { scopes: ['stock:read'], locations: ['AWAY'] })).id,
}

/** Somebody who asks, in whatever way they do. */
type Asker = { readonly request: Browser['request']; readonly cookie?: string | undefined; readonly key?: string }
const withKey = (key: string): Asker => ({ key, request: (method, path, options) => server.request(method, path, { ...options, apiKey: key }) })
const people = new Map<Role, Asker>()
for (const role of roles) {
  const browser = await signedIn(server, (await makeUser(server, role)).email)
  people.set(role, { request: browser.request, cookie: browser.cookie() })
}
const keys = new Map<Scope, Asker>()
for (const scope of scopes) keys.set(scope, withKey((await makeKey(scope, { scopes: [scope] })).key))

const nobodys = openBrowser(server)
const revoked = await makeKey('Lost on the tube', { scopes: [...scopes] })
await server.request('DELETE', `/v1/api_keys/${revoked.id}`)
const idle = await signedIn(server, (await makeUser(server, 'administrator')).email)
await sql.query("update sessions set last_seen_at = now() - interval '31 minutes' where id = (select id from sessions order by id desc limit 1)")
const outside: [string, Asker][] = [
  ['nobody', { request: nobodys.request }],
  ['a key that was revoked', withKey(revoked.key)],
  ['a key in a cookie', { request: openBrowser(server, `holdfast=${(await makeKey('In a cookie', { scopes: [...scopes] })).key}`).request }],
  ['a session that was idle too long', { request: idle.request }],
]

const homeAdmin = await signedIn(server, (await makeUser(server, 'administrator', { locations: ['HOME'] })).email)
const restricted: [string, Asker][] = [
  ['a key with every scope', withKey((await makeKey('Of HOME', { scopes: [...scopes], locations: ['HOME'] })).key)],
  ['an administrator', { request: homeAdmin.request, cookie: homeAdmin.cookie() }],
]

const pathOf = (path: string, id = 'hold_01jd8w2k5v7x9n3q4r6t8y0z1b') => path.replace('{id}', id).replace('{sku}', id).replace('{code}', 'NOWHERE')

/** Asks in a way that changes nothing: a body that nothing takes. Whether somebody may ask is looked at before. */
const harmless = async ({ method, path, streams, input }: Operation, { request, cookie, key }: Asker): Promise<Answered> => {
  if (!streams) return request(method, pathOf(path), { idempotencyKey: 'harmless', ...(input.body === undefined ? {} : { body: { unknown: true } }) })
  // A stream that is let in does not end by itself.
  const gone = new AbortController()
  const response = await fetch(server.url + path, {
    headers: { ...(cookie === undefined ? {} : { cookie }), ...(key === undefined ? {} : { authorization: `Bearer ${key}` }) },
    signal: gone.signal,
  })
  const text = response.ok ? '' : await response.text()
  gone.abort()
  return { status: response.status, headers: response.headers, text, body: text === '' ? undefined : JSON.parse(text) }
}

const isRefused = (answer: Answered, code: RejectionCode, what: string) => {
  expect(problemFault(answer), `${what}: ${answer.text}`).toBeUndefined()
  expect(answer, what).toMatchObject({ status: problems[code].status, body: { code } })
}
/** A file is asked for by its type, which is looked at after whoever asks. */
const isLetIn = (answer: Answered, what: string) => expect([200, 201, 400, 404, 415], `${what}: ${answer.text}`).toContain(answer.status)

test('every operation has its row, and every row its operation', () => {
  expect(Object.keys(rows).toSorted()).toEqual(allOperations.map(({ name }) => name).toSorted())
})

test('every scope opens something, and every role may do something that another may not', () => {
  for (const scope of scopes)
    expect(
      Object.values(rows).some((row) => row.keys.includes(scope) && row.keys.length < scopes.length),
      scope,
    ).toBe(true)
  expect(
    new Set(
      roles.map((role) =>
        Object.values(rows)
          .map((row) => (row.roles.includes(role) ? 'x' : '.'))
          .join(''),
      ),
    ).size,
  ).toBe(roles.length)
})

describe.each(allOperations.map((operation) => [operation.name, operation] as const))('%s', (name, operation) => {
  const row: Row | undefined = rows[name]

  test('is open to these roles and to these scopes, and to no others', async () => {
    if (row === undefined) throw new Error(`${name} has no row`)
    for (const [role, asker] of people) {
      const answer = await harmless(operation, asker)
      if (row.roles.includes(role)) isLetIn(answer, role)
      else isRefused(answer, 'permission_denied', role)
    }
    for (const [scope, asker] of keys) {
      const answer = await harmless(operation, asker)
      if (row.keys.includes(scope)) isLetIn(answer, scope)
      else {
        isRefused(answer, 'permission_denied', scope)
        expect(answer.body).toMatchObject({ detail: expect.stringContaining(operation.scope === 'person' ? 'people' : operation.scope) })
      }
    }
  })

  test('is closed to whoever is nobody', async () => {
    for (const [who, asker] of outside) {
      const answer = await harmless(operation, asker)
      if (operation.scope === 'anyone') isLetIn(answer, who)
      else isRefused(answer, 'unauthenticated', who)
    }
  })

  test('gives nothing away of what is elsewhere', async () => {
    if (row === undefined) throw new Error(`${name} has no row`)
    for (const [who, asker] of restricted) {
      if (row.away === 'closed') isRefused(await harmless(operation, asker), 'permission_denied', who)
      else if (row.away === 'same') {
        // A key is no person, restricted or not.
        if (operation.scope !== 'person') isLetIn(await harmless(operation, asker), who)
      } else for (const [n, probe] of row.away.entries()) await probed(operation, probe, asker, `${name} ${who} ${n}`)
    }
  })
})

const probed = async ({ method, path }: Operation, { ask = '', body, says }: Probe, { request }: Asker, what: string): Promise<void> => {
  const filled = (text: string) => text.replaceAll(/\{(\w+)\}/g, (whole, thing: string) => things[thing] ?? whole)
  const address = ask.startsWith('?') ? path + filled(ask) : pathOf(path, things[ask] ?? ask)
  const options: RequestOptions = { idempotencyKey: what, ...(body === undefined ? {} : { body: JSON.parse(filled(JSON.stringify(body))) }) }
  const answer = await request(method, address, options)
  if (says !== 'only HOME') {
    isRefused(answer, says, what)
    // Nor by how it is refused: a thing elsewhere is told of like one that never was.
    if (says === 'not_found' && things[ask] !== undefined) {
      const never = await request(method, address.replace(things[ask], `${things[ask].split('_')[0]}_01jd8w2k5v7x9n3q4r6t8y0z1b`), options)
      const said = (one: Answered) => JSON.stringify({ ...(one.body as object), request_id: '' }).replaceAll(/[a-z]+_0[0-9a-hjkmnp-tv-z]{25}/g, 'id')
      expect(said(answer), what).toBe(said(never))
    }
    return
  }
  expect(answer.status, `${what}: ${answer.text}`).toBe(200)
  // What lies at both is seen whole by those who see a part of it.
  const { split = '', leaving = '', coming = '', ...others } = things
  const text = method === 'GET' && /holds$|transfers$/.test(path) ? without(answer, [split, leaving, coming]) : answer.text
  expect(answer.text, what).toContain('HOME')
  expect(text, what).not.toContain('AWAY')
  for (const [thing, id] of Object.entries(others)) if (thing !== 'homeUser') expect(text, `${what} ${thing}`).not.toContain(id)
}

const without = ({ body }: Answered, shared: readonly string[]): string =>
  JSON.stringify((body as { data: { id: string }[] }).data.filter(({ id }) => !shared.includes(id))) // a list

test('what the probes asked of AWAY changed nothing there', async () => {
  expect((await stock.holds.get(things['away'] ?? '')).status).toBe('active')
  expect((await stock.holds.get(things['split'] ?? '')).status).toBe('active')
  expect((await stock.holds.get(homeHold.id)).status).toBe('active')
  const { locations } = await stock.stockLevels.get('MATRIX-1')
  // 50 received, 1 received, 1 found, 1 shipped and returned; two are held.
  expect(locations.find(({ location }) => location === 'AWAY')).toMatchObject({ onHand: 52, held: 2 })
  const { rows: users } = await sql.query("select u.role, u.disabled_at from users as u where u.locations = array['AWAY']")
  expect(users).toEqual([{ role: 'viewer', disabled_at: null }])
})
