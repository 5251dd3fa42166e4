// Keys of programs over the API: shown once, never worth more than whoever made them, rotated without a gap, gone when they are revoked.
import { scopes, type Scope } from '@holdfast/contract'
import pg from 'pg'
import { afterAll, describe, expect, test } from 'vitest'
import { makeUser, PASSWORD } from '../support/people.ts'
import { API_KEY, ownDatabase, runCommand, startServer, until, type Answered } from '../support/server.ts'
import { stockUp } from '../support/shop.ts'

const database = await ownDatabase()
const server = await startServer(database)
const other = await startServer(database)
await stockUp(server.stock, { LON: { 'KEY-1': 10 }, PAR: { 'KEY-1': 10 } })
const sql = new pg.Client({ connectionString: database.url })
await sql.connect()
afterAll(() => sql.end())

type Key = {
  readonly id: string
  readonly key: string
  readonly principal: string
  readonly scopes: Scope[]
  readonly locations: string[] | null
  readonly expires_at: string | null
}
/** Everything that an answer here may have; what it has is checked where it matters. */
type Body = Key & {
  readonly data: (Key & { readonly action: string; readonly actor: string; readonly subject: unknown })[]
  readonly rate_limit: unknown
  readonly next_cursor: string | null
}
const is = (answer: Answered, status: number, code?: string): Body => {
  expect(answer.status, answer.text).toBe(status)
  if (code !== undefined) expect(answer.body).toMatchObject({ code })
  return answer.body as Body // as the status says
}
const as = (apiKey: string) => (method: string, path: string, body?: object, idempotencyKey?: string) =>
  server.request(method, path, { apiKey, ...(body === undefined ? {} : { body }), ...(idempotencyKey === undefined ? {} : { idempotencyKey }) })
const owner = as(API_KEY)
const make = async (wanted: object, by = owner): Promise<Key> => is(await by('POST', '/v1/api_keys', { name: 'Till', ...wanted }), 201)
const opens = async (apiKey: string, on = server) => (await on.request('GET', '/v1/auth/me', { apiKey })).status

describe('a key', () => {
  test('is shown in the answer that makes it and nowhere else, and only its digest is kept', async () => {
    const made = await make({ scopes: ['items:read'] })
    expect(made.key).toMatch(/^hf_[0-9a-f]{32}_[0-9A-Za-z]{43}_[0-9a-z]{7}$/)
    expect(await opens(made.key)).toBe(200)
    for (const path of ['/v1/api_keys', `/v1/api_keys/${made.id}`, '/v1/audit_log']) {
      const { text } = await owner('GET', path)
      expect(text).toContain(made.id)
      expect(text).not.toContain(made.key.split('_')[2])
    }
    for (const table of ['api_keys', 'audit_log', 'idempotency_keys']) {
      const { rows } = await sql.query<{ row: string }>(`select t::text as row from ${table} as t`)
      expect(JSON.stringify(rows)).not.toContain(made.key.split('_')[2])
    }
    expect(server.said()).not.toContain(made.key)
  })

  test('is made once for its Idempotency-Key; asked again, the answer is without the secret', async () => {
    const wanted = { name: 'Once', scopes: ['items:read'] }
    const [first, again] = await Promise.all([owner('POST', '/v1/api_keys', wanted, 'once'), owner('POST', '/v1/api_keys', wanted, 'once')])
    const bodies = [is(first, 201), is(again, 201)]
    expect(bodies[0]?.id).toBe(bodies[1]?.id)
    expect(bodies.filter(({ key }) => key !== undefined)).toHaveLength(1)
    is(await owner('POST', '/v1/api_keys', { ...wanted, name: 'Twice' }, 'once'), 422, 'idempotency_key_reused')
    const { rows } = await sql.query("select k.answer::text as answer from idempotency_keys as k where k.answer::text like '%api_key%'")
    expect(JSON.stringify(rows)).not.toMatch(/hf_/)
  })

  test('knows who it is and what it may do', async () => {
    const made = await make({ scopes: ['stock:read'], locations: ['PAR', 'LON', 'PAR'] })
    expect(is(await as(made.key)('GET', '/v1/auth/me'), 200)).toEqual({
      object: 'caller',
      principal: made.principal,
      user: null,
      role: null,
      api_key: made.id,
      session: null,
      scopes: ['availability:read', 'stock:read'],
      locations: ['LON', 'PAR'],
    })
  })

  test('ends when its time is up', async () => {
    const made = await make({ scopes: ['items:read'], expires_in_seconds: 60 })
    await sql.query("update api_keys set expires_at = now() where name = 'Till' and expires_at is not null")
    expect(await opens(made.key)).toBe(401)
  })

  test('that is revoked opens nothing here any more, and nothing elsewhere after five seconds', async () => {
    const made = await make({ scopes: ['items:read'] })
    expect([await opens(made.key), await opens(made.key, other)]).toEqual([200, 200])
    expect(is(await owner('DELETE', `/v1/api_keys/${made.id}`), 200)).toMatchObject({ revoked_at: expect.any(String) })
    expect(await opens(made.key)).toBe(401)
    await until('the other process refuses it', async () => (await opens(made.key, other)) === 401, { withinMs: 5_500 })
    is(await owner('POST', `/v1/api_keys/${made.id}/rotate`, {}), 400, 'invalid_request')
  })

  test('with a location that is none is not made: it would open nothing', async () => {
    is(await owner('POST', '/v1/api_keys', { name: 'Typo', scopes: ['items:read'], locations: ['LNO'] }), 404, 'not_found')
  })
})

describe('rotating a key', () => {
  test('makes a new one of the same principal, and the old one goes on for the overlap', async () => {
    const old = await make({ scopes: ['holds:write'], locations: ['LON'], rate_limit: { limit: 500, window_seconds: 1 } })
    const place = (key: string, on = server) =>
      on.request('POST', '/v1/holds', { apiKey: key, idempotencyKey: 'the cart', body: { lines: [{ sku: 'KEY-1', quantity: 1, location: 'LON' }] } })
    const hold = is(await place(old.key), 201)
    const fresh = is(await owner('POST', `/v1/api_keys/${old.id}/rotate`, { overlap_seconds: 60 }), 201)
    expect(fresh).toMatchObject({
      principal: old.principal,
      scopes: old.scopes,
      locations: ['LON'],
      rate_limit: { limit: 500, window_seconds: 1 },
      expires_at: null,
    })
    expect(fresh.id).not.toBe(old.id)
    // What was asked with the old key is not done again with the new one.
    expect(is(await place(fresh.key), 201).id).toBe(hold.id)
    expect(await opens(old.key)).toBe(200)
    const left = is(await owner('GET', `/v1/api_keys/${old.id}`), 200)
    expect(Date.parse(left.expires_at ?? '') - Date.now()).toBeLessThanOrEqual(60_000)
    await sql.query('update api_keys set expires_at = now() where id = (select id from api_keys where expires_at is not null order by id desc limit 1)')
    await until('the old key has ended', async () => (await opens(old.key)) === 401, { withinMs: 5_500 })
    expect(await opens(fresh.key)).toBe(200)
  })

  test('without an overlap ends the old one at once', async () => {
    const old = await make({ scopes: ['items:read'] })
    expect(await opens(old.key)).toBe(200)
    const fresh = is(await owner('POST', `/v1/api_keys/${old.id}/rotate`, { overlap_seconds: 0 }), 201)
    expect([await opens(old.key), await opens(fresh.key)]).toEqual([401, 200])
  })

  test('does not make a key live longer than it was made for', async () => {
    const old = await make({ scopes: ['items:read'], expires_in_seconds: 3_600 })
    const fresh = is(await owner('POST', `/v1/api_keys/${old.id}/rotate`, {}), 201)
    expect(Date.parse(fresh.expires_at ?? '') - Date.now()).toBeLessThanOrEqual(3_600_000)
  })
})

describe('nobody gives what they do not have', () => {
  test('a key that may make keys makes none with a scope that it has not', async () => {
    const lesser = as((await make({ scopes: ['keys:manage', 'items:read'] })).key)
    is(await lesser('POST', '/v1/api_keys', { name: 'More', scopes: ['items:read', 'holds:write'] }), 403, 'permission_denied')
    is(await lesser('POST', '/v1/api_keys', { name: 'Everything', scopes: [...scopes] }), 403, 'permission_denied')
    await make({ scopes: ['items:read'] }, lesser)
    // What it has includes what that includes.
    const reader = as((await make({ scopes: ['keys:manage', 'stock:read'] })).key)
    await make({ scopes: ['availability:read'] }, reader)
  })

  test('nor takes over one that may do more: it would be given the new key', async () => {
    const lesser = as((await make({ scopes: ['keys:manage', 'items:read'] })).key)
    const greater = await make({ scopes: ['holds:write'] })
    is(await lesser('POST', `/v1/api_keys/${greater.id}/rotate`, {}), 403, 'permission_denied')
    is(await lesser('DELETE', `/v1/api_keys/${greater.id}`), 403, 'permission_denied')
    is(await lesser('PATCH', `/v1/api_keys/${greater.id}`, { name: 'Mine' }), 403, 'permission_denied')
    expect(await opens(greater.key)).toBe(200)
  })

  test('a key that may make users makes none who may do more, and resets nobody’s password who may', async () => {
    const lesser = as((await make({ scopes: ['users:manage', 'items:read', 'availability:read'] })).key)
    const body = { email: 'puppet@example.com', password: PASSWORD }
    for (const role of ['viewer', 'operator', 'manager', 'auditor', 'administrator'])
      is(await lesser('POST', '/v1/users', { ...body, role }), 403, 'permission_denied')
    const { id } = is(await lesser('POST', '/v1/users', { ...body, role: 'shopper' }), 201)
    is(await lesser('PATCH', `/v1/users/${id}`, { role: 'administrator' }), 403, 'permission_denied')
    const boss = await makeUser(server, 'administrator')
    is(await lesser('POST', `/v1/users/${boss.id}/password`, { password: PASSWORD }), 403, 'permission_denied')
    is(await lesser('PATCH', `/v1/users/${boss.id}`, { role: 'shopper' }), 403, 'permission_denied')
    is(await lesser('DELETE', `/v1/users/${boss.id}`), 403, 'permission_denied')
  })

  test('a key of one location makes keys of that location, also when it does not say so', async () => {
    const local = as((await make({ scopes: ['keys:manage', 'users:manage', ...rolesNeed], locations: ['LON'] })).key)
    expect((await make({ scopes: ['holds:write'] }, local)).locations).toEqual(['LON'])
    is(await local('POST', '/v1/api_keys', { name: 'All', scopes: ['holds:write'], locations: null }), 403, 'permission_denied')
    for (const { locations } of is(await local('GET', '/v1/api_keys'), 200).data) expect(locations).toEqual(['LON'])
    is(await local('POST', '/v1/api_keys', { name: 'There', scopes: ['holds:write'], locations: ['LON', 'PAR'] }), 403, 'permission_denied')
    const viewer = is(await local('POST', '/v1/users', { email: 'local@example.com', password: PASSWORD, role: 'viewer' }), 201)
    expect(viewer.locations).toEqual(['LON'])
  })

  test('a key with a limit gives no more than that', async () => {
    const slow = as((await make({ scopes: ['keys:manage', 'items:read'], rate_limit: { limit: 100, window_seconds: 1 } })).key)
    for (const rate of ['unlimited', null, { limit: 101, window_seconds: 1 }, { limit: 20, window_seconds: 1 / 10 }])
      expect([400, 403]).toContain((await slow('POST', '/v1/api_keys', { name: 'Fast', scopes: ['items:read'], rate_limit: rate })).status)
    const same = is(await slow('POST', '/v1/api_keys', { name: 'Same', scopes: ['items:read'] }), 201)
    expect(same.rate_limit).toEqual({ limit: 100, window_seconds: 1 })
  })

  test('a key only ever gets narrower', async () => {
    const made = await make({ scopes: ['items:read', 'stock:read'], locations: ['LON', 'PAR'] })
    const patch = (body: object) => owner('PATCH', `/v1/api_keys/${made.id}`, body)
    is(await patch({ scopes: ['items:read', 'items:write'] }), 400, 'invalid_request')
    is(await patch({ locations: null }), 400, 'invalid_request')
    expect(is(await as(made.key)('GET', '/v1/stock_levels'), 200)).toBeDefined()
    expect(is(await patch({ scopes: ['items:read'], locations: ['LON'], name: 'Less' }), 200)).toMatchObject({
      scopes: ['items:read'],
      locations: ['LON'],
      name: 'Less',
    })
    is(await as(made.key)('GET', '/v1/stock_levels'), 403, 'permission_denied')
    is(await patch({ locations: ['LON', 'PAR'] }), 400, 'invalid_request')
  })
})

/** What a viewer may do, so that one can be made. */
const rolesNeed: Scope[] = ['items:read', 'availability:read', 'stock:read', 'holds:read', 'holds:write', 'status:read']

describe('the audit log', () => {
  const log = async (query: string) => is(await owner('GET', `/v1/audit_log?${query}`), 200)

  test('says who did what to whom, from where, in which request, and what changed', async () => {
    const user = await makeUser(server, 'viewer')
    const answer = await server.request('PATCH', `/v1/users/${user.id}`, {
      body: { role: 'operator', locations: ['LON'] },
      headers: { 'request-id': 'promoted-1' },
    })
    is(answer, 200)
    expect((await log(`subject=${user.id}&action=user.updated`)).data).toMatchObject([
      {
        object: 'audit_entry',
        actor: 'owner',
        action: 'user.updated',
        subject: { object: 'user', id: user.id },
        address: '127.0.0.1',
        request_id: 'promoted-1',
        changes: { role: { before: 'viewer', after: 'operator' }, locations: { before: null, after: ['LON'] } },
      },
    ])
  })

  test('tells of every act, and not of what was refused or changed nothing', async () => {
    const { id } = await makeUser(server, 'viewer')
    is(await owner('PATCH', `/v1/users/${id}`, { role: 'viewer' }), 200)
    is(await owner('PATCH', `/v1/users/${id}`, { locations: ['NOWHERE'] }), 404)
    is(await owner('POST', `/v1/users/${id}/password`, { password: PASSWORD }), 200)
    is(await owner('DELETE', `/v1/users/${id}`), 200)
    is(await owner('DELETE', `/v1/users/${id}`), 200)
    expect((await log(`subject=${id}`)).data.map(({ action }) => action)).toEqual(['user.disabled', 'user.password_set', 'user.created'])

    const key = await make({ scopes: ['items:read'] })
    is(await owner('PATCH', `/v1/api_keys/${key.id}`, { name: 'Renamed' }), 200)
    is(await owner('POST', `/v1/api_keys/${key.id}/rotate`, {}), 201)
    is(await owner('DELETE', `/v1/api_keys/${key.id}`), 200)
    expect((await log(`subject=${key.id}`)).data.map(({ action }) => action)).toEqual([
      'api_key.revoked',
      'api_key.rotated',
      'api_key.updated',
      'api_key.created',
    ])
  })

  test('tells of who signed in and who failed to, and of what is done beside the database', async () => {
    const user = await makeUser(server, 'viewer')
    const login = (email: string, password: string) => server.request('POST', '/v1/auth/login', { apiKey: null, body: { email, password } })
    await login(user.email, 'not the password at all')
    await login('nobody@example.com', 'not the password at all')
    await login(user.email, PASSWORD)
    expect((await log('limit=3')).data.map(({ action, actor, subject }) => [action, actor, subject])).toEqual([
      ['auth.logged_in', user.id, { object: 'user', id: user.id }],
      ['auth.login_failed', 'anyone', { object: 'user', id: null }],
      ['auth.login_failed', 'anyone', { object: 'user', id: user.id }],
    ])
    const made = JSON.parse((await runCommand(database, ['key', 'create', 'Offline', '--scope', 'items:read', '--json'])).output) as { id: string; key: string } // what it prints
    await runCommand(database, ['key', 'revoke', made.id])
    expect((await log('actor=command-line')).data.map(({ action }) => action)).toEqual(['api_key.revoked', 'api_key.created'])
    expect((await log('actor=system')).data.map(({ action }) => action)).toEqual(['api_key.created', 'user.created'])
  })

  test('is read page by page, and by time', async () => {
    const everything: unknown[] = []
    for (let cursor: string | null = ''; cursor !== null;) {
      const page: Body = await log(`limit=7${cursor === '' ? '' : `&starting_after=${cursor}`}`)
      everything.push(...page.data.map(({ id }) => id))
      cursor = page.next_cursor
    }
    const { rows } = await sql.query<{ count: number }>('select count(*)::int as count from audit_log')
    expect(new Set(everything).size).toBe(rows[0]?.count)
    expect(everything).toHaveLength(rows[0]?.count ?? 0)
    expect((await log('since=2999-01-01T00:00:00Z')).data).toEqual([])
    expect((await log('until=2001-01-01T00:00:00Z')).data).toEqual([])
  })

  test('cannot be changed, whoever asks', async () => {
    await expect(sql.query("update audit_log set actor = 'somebody else'")).rejects.toThrow('is append-only')
    await expect(sql.query('delete from audit_log')).rejects.toThrow('is append-only')
    await expect(sql.query('truncate audit_log')).rejects.toThrow('is append-only')
  })
})

test('a stream that is open ends with its key, in every process', async () => {
  for (const at of [server, other]) {
    const { id, key } = await make({ scopes: ['audit:read'] })
    const stream = await fetch(`${at.url}/v1/events/stream`, { headers: { authorization: `Bearer ${key}` }, signal: AbortSignal.timeout(20_000) })
    expect(stream.status).toBe(200)
    is(await owner('DELETE', `/v1/api_keys/${id}`), 200)
    // To its end: it would otherwise be told everything for as long as it likes.
    await stream.text()
  }
})
