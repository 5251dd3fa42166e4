// People: how they sign in and are let go, and what somebody finds who is not one of them.
import pg from 'pg'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { ownDatabase, startServer, until, type Answered } from '../support/server.ts'
import { ADMIN, ADMIN_ENVIRONMENT, makeUser, openBrowser, PASSWORD, signedIn } from '../support/people.ts'

const database = await ownDatabase()
const server = await startServer(database, ADMIN_ENVIRONMENT)
const other = await startServer(database)
const sql = new pg.Client({ connectionString: database.url })
await sql.connect()
afterAll(() => sql.end())

/** What was tried before is another test's. */
beforeEach(async () => {
  await sql.query('delete from attempts')
})

const is = (answer: Answered, status: number, code?: string) => {
  expect(answer.status, answer.text).toBe(status)
  if (code !== undefined) expect(answer.body).toMatchObject({ code })
  return answer.body as Record<string, unknown> // every answer here is an object
}
const one = async <Row extends object>(text: string, values: unknown[] = []): Promise<Row> => {
  const { rows } = await sql.query<Row>(text, values)
  const [row] = rows
  if (row === undefined) throw new Error(`no row: ${text}`)
  return row
}
/** So often that the next try makes the one after it wait for long. */
const triedOften = (email: string) => sql.query('update attempts set tries = 12 where subject = sha256($1::text::bytea)', [`account:${email}`])
const triesAt = async (email: string) =>
  (
    await one<{ tries: number }>('select coalesce(sum(a.tries), 0)::int as tries from attempts as a where a.subject = sha256($1::text::bytea)', [
      `account:${email}`,
    ])
  ).tries
const wrongIn = (body: Record<string, unknown>) => (body['errors'] as { param: string }[]).map(({ param }) => param) // a problem with errors

describe('somebody who registers', () => {
  test('is a shopper, signed in, and sees what there is to buy', async () => {
    const browser = openBrowser(server)
    const body = is(await browser.request('POST', '/v1/auth/register', { body: { email: 'Sue@Example.com', password: PASSWORD, name: 'Sue' } }), 201)
    expect(body).toMatchObject({ object: 'caller', role: 'shopper', user: { email: 'sue@example.com', name: 'Sue', locations: null }, api_key: null })
    expect(JSON.stringify(body)).not.toContain(PASSWORD)
    is(await browser.request('GET', '/v1/items'), 200)
    is(await browser.request('GET', '/v1/stock_levels'), 403, 'permission_denied')
    is(await browser.request('GET', '/v1/users'), 403, 'permission_denied')
    expect(is(await browser.request('GET', '/v1/auth/me'), 200)).toEqual(body)
  })

  test('cannot choose a role', async () => {
    for (const extra of [{ role: 'administrator' }, { scopes: ['keys:manage'] }, { locations: null }])
      is(await openBrowser(server).request('POST', '/v1/auth/register', { body: { email: 'eve@example.com', password: PASSWORD, ...extra } }), 400)
  })

  test('cannot take somebody else’s address, in whatever letters', async () => {
    const body = { email: 'ROOT@example.com', password: PASSWORD }
    is(await openBrowser(server).request('POST', '/v1/auth/register', { body }), 409, 'already_exists')
  })

  test.each([
    ['too short', 'fourteen chars'],
    ['too long', 'x y'.repeat(50)],
    ['what everybody tries', 'password1234567'],
    ['the same with signs', 'P-a-s-s-w-o-r-d 1 2 3'],
    ['the alphabet', 'abcdefghijklmnop'],
    ['a row of keys', 'qwertyuiopasdfg'],
    ['one word again and again', 'tomatotomatotomato'],
    ['few letters', 'aaaaaaaaabbbbbbbb'],
    ['the address', 'weak@example.com'],
    ['the address and more', 'my weak@example.com!'],
  ])('cannot have a password that is %s', async (_, password) => {
    const answer = await openBrowser(server).request('POST', '/v1/auth/register', { body: { email: 'weak@example.com', password } })
    expect(wrongIn(is(answer, 400, 'invalid_request'))).toEqual(['password'])
  })

  test('does so only so often from one place', async () => {
    const statuses: number[] = []
    for (let n = 0; n < 12; n += 1)
      statuses.push((await server.request('POST', '/v1/auth/register', { apiKey: null, body: { email: `robot-${n}@example.com`, password: PASSWORD } })).status)
    expect(statuses).toEqual([...Array.from({ length: 10 }, () => 201), 429, 429])
  })

  test('finds the door closed where it is switched off', async () => {
    const closed = await startServer(database, { HOLDFAST_REGISTRATION: 'false' })
    is(await openBrowser(closed).request('POST', '/v1/auth/register', { body: { email: 'late@example.com', password: PASSWORD } }), 403, 'permission_denied')
    await closed.stop()
  })
})

describe('signing in', () => {
  test('the first administrator may do everything', async () => {
    const root = await signedIn(server, ADMIN.email, ADMIN.password)
    expect(is(await root.request('GET', '/v1/auth/me'), 200)).toMatchObject({ role: 'administrator', locations: null })
    is(await root.request('GET', '/v1/users'), 200)
    is(await root.request('GET', '/v1/audit_log'), 200)
  })

  test('says the same of an account that is there, one that is not, and one that is disabled', async () => {
    const { email } = await makeUser(server, 'viewer')
    const gone = await makeUser(server, 'viewer')
    is(await server.request('DELETE', `/v1/users/${gone.id}`), 200)
    const said = new Set<string>()
    for (const [who, password] of [
      [email, 'not the password at all'],
      ['nobody@example.com', 'not the password at all'],
      [gone.email, PASSWORD],
      ['not an address', 'not the password at all'],
    ] as const) {
      const answer = await openBrowser(server).login(who, password)
      is(answer, 401, 'unauthenticated')
      expect(answer.headers.get('set-cookie')).toBeNull()
      said.add(JSON.stringify({ ...(answer.body as object), request_id: '' }))
    }
    expect(said.size).toBe(1)
    // The log knows better than whoever asked.
    const { rows } = await sql.query<{ subject: string | null }>(
      "select a.subject_id as subject from audit_log as a where a.action = 'auth.login_failed' order by a.id",
    )
    expect(rows.slice(-4).map(({ subject }) => subject)).toEqual([expect.stringMatching(/^user_/), null, gone.id, null])
  })

  test('gives a token that only its digest is kept of, and that stands in no answer', async () => {
    const { email } = await makeUser(server, 'viewer')
    const browser = openBrowser(server)
    const answer = await browser.login(email)
    const token = browser.cookie()?.split('=')[1] ?? ''
    expect(token).toMatch(/^[0-9A-Za-z]{43}$/)
    expect(answer.text).not.toContain(token)
    const { rows } = await sql.query('select s::text as row from sessions as s')
    expect(JSON.stringify(rows)).not.toContain(token)
    const { kept } = await one<{ kept: boolean }>('select exists (select from sessions where digest = sha256($1::text::bytea)) as kept', [token])
    expect(kept).toBe(true)
    expect(server.said()).not.toContain(token)
  })

  test('never takes a token that somebody brought along', async () => {
    const { email } = await makeUser(server, 'viewer')
    const planted = `holdfast=${'A'.repeat(43)}`
    const victim = openBrowser(server, planted)
    is(await victim.login(email), 200)
    expect(victim.cookie()).not.toBe(planted)
    is(await openBrowser(server, planted).request('GET', '/v1/auth/me'), 401, 'unauthenticated')
    const first = victim.cookie()
    is(await victim.login(email), 200)
    expect(victim.cookie()).not.toBe(first)
  })

  test('is slowed down after wrong passwords, account by account, whether or not there is such an account', async () => {
    const { email } = await makeUser(server, 'viewer')
    for (const who of [email, 'nobody-at-all@example.com']) {
      is(await openBrowser(server).login(who, 'not the password at all'), 401)
      await triedOften(who)
      is(await openBrowser(server).login(who, 'not the password at all'), 401)
      const refused = await openBrowser(server).login(who, 'not the password at all')
      is(refused, 429, 'rate_limited')
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(30)
      // Not even with the right one; and the other process counts the same tries.
      is(await openBrowser(other).login(who), 429, 'rate_limited')
    }
    is(await openBrowser(other).login(ADMIN.email, ADMIN.password), 200)
    await sql.query('update attempts set blocked_until = now()')
    is(await openBrowser(server).login(email), 200)
    expect(await triesAt(email)).toBe(0)
    expect(await triesAt('nobody-at-all@example.com')).toBe(13)
  })

  test('waits grow with every try', async () => {
    const { email } = await makeUser(server, 'viewer')
    const waited: number[] = []
    for (let n = 0; n < 9; n += 1) {
      is(await openBrowser(server).login(email, 'not the password at all'), 401)
      const { wait } = await one<{ wait: number | null }>(
        'select round(extract(epoch from a.blocked_until - a.latest_at))::int as wait from attempts as a where a.subject = sha256($1::text::bytea)',
        [`account:${email}`],
      )
      waited.push(wait ?? 0)
      await sql.query('update attempts set blocked_until = clock_timestamp()')
    }
    expect(waited).toEqual([0, 0, 0, 0, 1, 2, 4, 8, 16])
  })

  test('a hundred tries at once are a hundred tries', async () => {
    const { email } = await makeUser(server, 'viewer')
    const answers = await Promise.all(Array.from({ length: 100 }, () => openBrowser(server).login(email, 'not the password at all')))
    const looked = answers.filter(({ status }) => status === 401).length
    expect(looked).toBeLessThanOrEqual(await triesAt(email))
    // Five are free; on a machine that is slow today, a second may pass, and then two, and let one more in.
    expect(looked).toBeLessThanOrEqual(9)
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([401, 429]))
    for (const answer of answers) if (answer.status === 429) expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
  })

  test('from one place, many accounts are slowed down, too', async () => {
    await sql.query("insert into attempts (subject, tries) values (sha256('address:127.0.0.1'), 59)")
    is(await openBrowser(server).login('number-1@example.com', 'not the password at all'), 401)
    is(await openBrowser(server).login('number-2@example.com', 'not the password at all'), 429, 'rate_limited')
  })
})

describe('a session', () => {
  test('ends when its person signs out, and its token is worth nothing from then on', async () => {
    const { email } = await makeUser(server, 'viewer')
    const browser = await signedIn(server, email)
    const token = browser.cookie()
    expect(is(await browser.request('POST', '/v1/auth/logout', { body: {} }), 200)).toEqual({ object: 'sessions_ended', count: 1 })
    expect(browser.cookie()).toBeUndefined()
    is(await openBrowser(server, token).request('GET', '/v1/auth/me'), 401, 'unauthenticated')
  })

  test('that nobody used for half an hour, or that is twelve hours old, has ended', async () => {
    const { email, id } = await makeUser(server, 'viewer')
    for (const age of ["last_seen_at = now() - interval '30 minutes'", 'expires_at = now()']) {
      const browser = await signedIn(server, email)
      const { expires } = await one<{ expires: number }>('select max(extract(epoch from expires_at - created_at))::int as expires from sessions')
      expect(expires).toBe(43_200)
      await sql.query(`update sessions set ${age}`)
      // Another process has not seen it yet.
      is(await openBrowser(other, browser.cookie()).request('GET', '/v1/auth/me'), 401, 'unauthenticated')
    }
    expect(id).toMatch(/^user_/)
  })

  test('in use stays, and is not written with every request', async () => {
    const { email } = await makeUser(server, 'viewer')
    const browser = await signedIn(server, email)
    await sql.query("update sessions set last_seen_at = now() - interval '29 minutes'")
    const elsewhere = openBrowser(other, browser.cookie())
    is(await elsewhere.request('GET', '/v1/auth/me'), 200)
    const { ago } = await one<{ ago: number }>('select min(extract(epoch from now() - last_seen_at))::int as ago from sessions')
    expect(ago).toBeLessThan(60)
  })

  test('and the others of its person are listed, and can be ended', async () => {
    const { email } = await makeUser(server, 'viewer')
    const [laptop, phone, tablet] = [await signedIn(server, email), await signedIn(server, email), await signedIn(server, email)]
    const stranger = await signedIn(server, (await makeUser(server, 'viewer')).email)
    const sessions = (is(await laptop.request('GET', '/v1/auth/sessions'), 200)['data'] ?? []) as { id: string; current: boolean; address: string }[]
    expect(sessions.map(({ current }) => current)).toEqual([false, false, true])
    expect(sessions[0]).toMatchObject({ object: 'session', address: '127.0.0.1' })

    const first = `/v1/auth/sessions/${sessions[0]?.id}`
    is(await stranger.request('DELETE', first), 404, 'not_found')
    is(await tablet.request('GET', '/v1/auth/me'), 200)
    expect(is(await laptop.request('DELETE', first), 200)).toMatchObject({ count: 1 })
    is(await tablet.request('GET', '/v1/auth/me'), 401)
    expect(is(await laptop.request('DELETE', '/v1/auth/sessions'), 200)).toMatchObject({ count: 1 })
    is(await phone.request('GET', '/v1/auth/me'), 401)
    is(await laptop.request('GET', '/v1/auth/me'), 200)
    is(await stranger.request('GET', '/v1/auth/me'), 200)
  })

  test('of one person there are twenty at most: the oldest makes room', async () => {
    const { email } = await makeUser(server, 'viewer')
    const oldest = await signedIn(server, email)
    for (let n = 0; n < 20; n += 1) await signedIn(server, email)
    const { count } = await one<{ count: number }>('select count(*)::int as count from sessions as s join users as u on u.id = s.user_id where u.email = $1', [
      email,
    ])
    expect(count).toBe(20)
    is(await openBrowser(other, oldest.cookie()).request('GET', '/v1/auth/me'), 401)
  })

  test('is not what another page may ask with', async () => {
    const root = await signedIn(server, ADMIN.email, ADMIN.password)
    const body = { email: 'eve@example.com', password: PASSWORD, role: 'administrator' }
    for (const headers of [{ 'sec-fetch-site': 'cross-site' }, { 'sec-fetch-site': 'same-site', origin: 'http://127.0.0.1:1' }])
      is(await root.request('POST', '/v1/users', { body, headers }), 403, 'permission_denied')
    const { count } = await one<{ count: number }>("select count(*)::int as count from users where email = 'eve@example.com'")
    expect(count).toBe(0)
  })
})

describe('a password', () => {
  const NEW = 'eight geese swim back again'

  test('is changed by whoever knows it, under a new token, and all other sessions end', async () => {
    const { email } = await makeUser(server, 'viewer')
    const [browser, elsewhere] = [await signedIn(server, email), await signedIn(server, email)]
    const token = browser.cookie()
    const change = (body: object) => browser.request('POST', '/v1/auth/password', { body })
    expect(wrongIn(is(await change({ current_password: 'not the password at all', new_password: NEW }), 400))).toEqual(['current_password'])
    expect(wrongIn(is(await change({ current_password: PASSWORD, new_password: PASSWORD }), 400))).toEqual(['new_password'])
    expect(wrongIn(is(await change({ current_password: PASSWORD, new_password: 'passwordpassword' }), 400))).toEqual(['new_password'])
    expect(is(await change({ current_password: PASSWORD, new_password: NEW }), 200)).toMatchObject({ object: 'caller', user: { email } })
    expect(browser.cookie()).not.toBe(token)
    is(await browser.request('GET', '/v1/auth/me'), 200)
    is(await openBrowser(server, token).request('GET', '/v1/auth/me'), 401)
    is(await elsewhere.request('GET', '/v1/auth/me'), 401)
    is(await openBrowser(server).login(email, PASSWORD), 401)
    is(await openBrowser(server).login(email, NEW), 200)
  })

  test('cannot be guessed by whoever found an open laptop', async () => {
    const { email } = await makeUser(server, 'viewer')
    const browser = await signedIn(server, email)
    const change = (n: number) => browser.request('POST', '/v1/auth/password', { body: { current_password: `guess number ${n} of many`, new_password: NEW } })
    is(await change(1), 400)
    await triedOften(email)
    is(await change(2), 400)
    is(await change(3), 429, 'rate_limited')
  })

  test('that an administrator sets ends the sessions and lets in with the new one', async () => {
    const { email, id } = await makeUser(server, 'viewer')
    const browser = await signedIn(server, email)
    is(await server.request('POST', `/v1/users/${id}/password`, { body: { password: NEW } }), 200)
    is(await browser.request('GET', '/v1/auth/me'), 401)
    is(await openBrowser(server).login(email, PASSWORD), 401)
    is(await openBrowser(server).login(email, NEW), 200)
  })

  test('of their own is set by nobody without the one before, not even by an administrator', async () => {
    const { email, id } = await makeUser(server, 'administrator')
    const browser = await signedIn(server, email)
    is(await browser.request('POST', `/v1/users/${id}/password`, { body: { password: NEW } }), 403, 'permission_denied')
    is(await openBrowser(server).login(email), 200)
    is(await server.request('DELETE', `/v1/users/${id}`), 200)
  })

  test('stands nowhere: not in a row, not in the log, not in the audit log', async () => {
    const tables = ['users', 'sessions', 'audit_log', 'idempotency_keys', 'events', 'attempts']
    for (const table of tables) {
      const { rows } = await sql.query<{ row: string }>(`select t::text as row from ${table} as t`)
      for (const { row } of rows) for (const secret of [PASSWORD, NEW, ADMIN.password]) expect(row, table).not.toContain(secret)
    }
    expect(server.said() + other.said()).not.toMatch(/seven ducks|eight geese|old garden/)
  })
})

describe('a user', () => {
  test('who is disabled is out within five seconds, in every process, and stays out', async () => {
    const { email, id } = await makeUser(server, 'manager')
    const browser = await signedIn(server, email)
    const elsewhere = openBrowser(other, browser.cookie())
    is(await elsewhere.request('GET', '/v1/items'), 200)
    expect(is(await server.request('PATCH', `/v1/users/${id}`, { body: { disabled: true } }), 200)).toMatchObject({ disabled: true })
    is(await browser.request('GET', '/v1/items'), 401)
    await until('the other process has heard', async () => (await elsewhere.request('GET', '/v1/items')).status === 401, { withinMs: 5_500 })
    is(await openBrowser(other).login(email), 401)
    expect(is(await server.request('PATCH', `/v1/users/${id}`, { body: { disabled: false } }), 200)).toMatchObject({ disabled: false })
    // What was ended does not come back.
    is(await openBrowser(server, browser.cookie()).request('GET', '/v1/items'), 401)
    is(await openBrowser(server).login(email), 200)
  })

  test('with another role signs in anew, and then has it', async () => {
    const { email, id } = await makeUser(server, 'viewer')
    const browser = await signedIn(server, email)
    is(await server.request('PATCH', `/v1/users/${id}`, { body: { name: 'Only a name' } }), 200)
    is(await browser.request('GET', '/v1/auth/me'), 200)
    is(await server.request('PATCH', `/v1/users/${id}`, { body: { role: 'manager' } }), 200)
    is(await browser.request('GET', '/v1/auth/me'), 401)
    is(await browser.login(email), 200)
    expect(is(await browser.request('GET', '/v1/auth/me'), 200)).toMatchObject({ role: 'manager' })
  })

  test('is made once for one key, and the password is no part of what is remembered', async () => {
    const make = (password: string) =>
      server.request('POST', '/v1/users', { body: { email: 'once@example.com', password, role: 'viewer' }, idempotencyKey: 'hire-once' })
    const first = is(await make(PASSWORD), 201)
    const again = await make('quite another one, really')
    expect(again.headers.get('idempotent-replayed')).toBe('true')
    expect(is(again, 201)).toEqual(first)
    is(await server.request('POST', '/v1/users', { body: { email: 'once@example.com', password: PASSWORD, role: 'viewer' } }), 409, 'already_exists')
  })

  test('asked for twice at once under one key is made once, and both are answered', async () => {
    const body = { email: 'both@example.com', password: PASSWORD, role: 'viewer' }
    const answers = await Promise.all([server, other, server, other].map((one) => one.request('POST', '/v1/users', { body, idempotencyKey: 'both' })))
    expect(new Set(answers.map((answer) => is(answer, 201)['id'])).size).toBe(1)
  })

  test('is found by address, role and state, page by page', async () => {
    const made = [await makeUser(server, 'auditor'), await makeUser(server, 'auditor'), await makeUser(server, 'auditor')]
    is(await server.request('DELETE', `/v1/users/${made[0]?.id}`), 200)
    const idsOf = (body: Record<string, unknown>) => (body['data'] as { id: string }[]).map(({ id }) => id) // a list of users
    const list = async (query: string) => is(await server.request('GET', `/v1/users?${query}`), 200)
    expect(idsOf(await list('role=auditor'))).toEqual(made.map(({ id }) => id).toReversed())
    expect(idsOf(await list('role=auditor&disabled=false'))).toEqual([made[2]?.id, made[1]?.id])
    expect(idsOf(await list(`email=${made[1]?.email.toUpperCase()}`))).toEqual([made[1]?.id])
    const page = await list('role=auditor&limit=2')
    expect(page).toMatchObject({ has_more: true, next_cursor: made[1]?.id })
    expect(idsOf(await list(`role=auditor&limit=2&starting_after=${String(page['next_cursor'])}`))).toEqual([made[0]?.id])
  })
})

describe('the last administrator', () => {
  const admins = async () => (is(await server.request('GET', '/v1/users?role=administrator&disabled=false'), 200)['data'] ?? []) as { id: string }[]

  test('can neither be disabled, nor made less, nor restricted, not even by themselves', async () => {
    const [root, ...others] = await admins()
    expect(others).toEqual([])
    const path = `/v1/users/${root?.id}`
    is(await server.request('POST', '/v1/locations', { body: { code: 'ATTIC', name: 'The attic' } }), 201)
    const browser = await signedIn(server, ADMIN.email, ADMIN.password)
    for (const ask of [server.request, browser.request]) {
      is(await ask('DELETE', path), 409, 'last_administrator')
      for (const body of [{ disabled: true }, { role: 'manager' }, { locations: ['ATTIC'] }]) is(await ask('PATCH', path, { body }), 409, 'last_administrator')
    }
    is(await browser.request('GET', '/v1/auth/me'), 200)
  })

  test('is somebody, even when two leave at the same moment', async () => {
    for (let round = 0; round < 5; round += 1) {
      const second = await makeUser(server, 'administrator')
      const everybody = await admins()
      expect(everybody).toHaveLength(2)
      const answers = await Promise.all(
        everybody.map(({ id }, n) => (n === 0 ? server : other).request('PATCH', `/v1/users/${id}`, { body: { role: 'viewer' } })),
      )
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 409]))
      const [left] = await admins()
      const gone = everybody.find(({ id }) => id !== left?.id)
      // Back to how it was, for the next round.
      const [root] = (is(await server.request('GET', `/v1/users?email=${ADMIN.email}`), 200)['data'] ?? []) as { id: string }[]
      is(await server.request('PATCH', `/v1/users/${root?.id}`, { body: { role: 'administrator' } }), 200)
      if (second.id !== gone?.id) is(await server.request('PATCH', `/v1/users/${second.id}`, { body: { role: 'viewer' } }), 200)
    }
  })
})
