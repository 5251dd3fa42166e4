import { roleScopes, scopes } from '@holdfast/contract'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { freshDatabase, type FreshDatabase } from '../../../test/support/database.ts'
import { limits } from '../../platform/limits.ts'
import { encodeId, type Uuid } from '../../domain/ids.ts'
import { uuidV7 } from '../../platform/random.ts'
import { openPool, transaction, type Pool } from '../../storage/pool.ts'
import { anyone } from '../service.ts'
import { looksLikeApiKey, newApiKey } from './api-keys.ts'
import { createKey, identity, listKeys, makeFirstOnes, revokeKey, type ApiKey, type Identity } from './identity.ts'
import { hashPassword, isPassword } from './password.ts'
import { digestOf } from './recall.ts'
import { insertSession, insertUser } from './store.ts'

let database: FreshDatabase
let pool: Pool
beforeEach(async () => {
  database = await freshDatabase()
  pool = openPool({ url: database.url, size: 4, statementTimeoutMs: 5_000, lockTimeoutMs: 5_000, applicationName: 'test' })
})
afterEach(async () => {
  await pool.end()
  await database.drop()
})

const nobody = { adminEmail: undefined, adminPassword: undefined, apiKey: undefined }
const CHOSEN = 'hf_chosen-by-the-operator-0123456789'
const all = async (): Promise<ApiKey[]> => {
  const keys: ApiKey[] = []
  for await (const key of listKeys(pool)) keys.push(key)
  return keys
}

/** Identity with a clock that is set by hand, and a count of what it asks the database. */
const watched = (on: Pool = pool, { staleMs = 0, changes = {} }: { readonly staleMs?: number; readonly changes?: Partial<typeof limits.identity> } = {}) => {
  let ms = 0
  let asked = 0
  const counting = { query: (...args: unknown[]) => ((asked += 1), (on.query as (...all: unknown[]) => unknown)(...args)) } as unknown as Pool // only query is used
  const faults: unknown[] = []
  const who: Identity = identity({
    pool,
    lookUps: counting,
    registration: true,
    limits: { ...limits.identity, ...changes },
    staleMs,
    onFault: (error) => void faults.push(error),
    now: () => ms,
  })
  return { who, faults, pass: (by: number) => void (ms += by), asked: () => asked }
}

/** A database that goes and comes. */
const moodyPool = () => {
  let mood: 'here' | 'away' | 'hung' = 'here'
  const query = (...args: unknown[]) => {
    if (mood === 'hung') return new Promise(() => undefined)
    return mood === 'away' ? Promise.reject(new Error('Connection terminated')) : (pool.query as (...all: unknown[]) => unknown)(...args)
  }
  return { moody: { query } as unknown as Pool, goes: (to: typeof mood) => void (mood = to) } // only query is used
}

describe('the first start', () => {
  test('makes one administrator and one key with every scope, and keeps only their hashes', async () => {
    const first = await makeFirstOnes(pool, nobody)
    expect(first.admin?.email).toBe('admin@localhost')
    expect(await watched().who.identify(first.madeKey ?? '')).toMatchObject({ principal: 'owner', scopes: new Set(scopes), locations: null, rate: 'unlimited' })

    const {
      rows: [user],
    } = await pool.query<{ password_hash: string; role: string }>('select password_hash, role from users')
    expect(user?.password_hash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/)
    expect(await isPassword(first.admin?.madePassword ?? '', user?.password_hash ?? '')).toBe(true)
    expect(await isPassword('another one', user?.password_hash ?? '')).toBe(false)

    const { rows } = await pool.query<{ everything: string }>(
      `select k::text || coalesce((select string_agg(u::text, '') from users as u), '') as everything from api_keys as k`,
    )
    expect(JSON.stringify(rows)).not.toContain(first.madeKey)
    expect(JSON.stringify(rows)).not.toContain(first.admin?.madePassword)
  })

  test('the second start makes nothing', async () => {
    await makeFirstOnes(pool, nobody)
    expect(await makeFirstOnes(pool, nobody)).toEqual({})
    expect(await all()).toHaveLength(1)
  })

  test('two processes that start for the first time at once make one of each', async () => {
    const firsts = await Promise.all([makeFirstOnes(pool, nobody), makeFirstOnes(pool, nobody), makeFirstOnes(pool, nobody)])
    expect(firsts.filter(({ madeKey }) => madeKey !== undefined)).toHaveLength(1)
    expect(firsts.filter(({ admin }) => admin !== undefined)).toHaveLength(1)
    expect(await all()).toHaveLength(1)
  })

  test('what the operator chose is taken, and not told again', async () => {
    const first = await makeFirstOnes(pool, { adminEmail: 'ada@example.com', adminPassword: 'a password of fifteen', apiKey: CHOSEN })
    expect(first).toEqual({ admin: { email: 'ada@example.com' } })
    expect(await watched().who.identify(CHOSEN)).toMatchObject({ principal: 'owner' })
  })

  test('a password that everybody tries first is not taken, and nothing is made', async () => {
    const weak = { adminEmail: 'ada@example.com', adminPassword: 'password password', apiKey: undefined }
    await expect(makeFirstOnes(pool, weak)).rejects.toThrow('HOLDFAST_ADMIN_PASSWORD is among those that everybody tries first')
    expect(await all()).toEqual([])
    await makeFirstOnes(pool, nobody)
    expect(await makeFirstOnes(pool, weak)).toEqual({})
  })

  test('a chosen key that does not exist yet is made at a later start, too; one that was revoked stays revoked', async () => {
    await makeFirstOnes(pool, nobody)
    expect(await makeFirstOnes(pool, { ...nobody, apiKey: CHOSEN })).toEqual({})
    const [newest] = await all()
    expect(newest?.name).toBe('First key')
    expect(await watched().who.identify(CHOSEN)).toBeDefined()
    await revokeKey(pool, newest?.id ?? '')
    expect(await makeFirstOnes(pool, { ...nobody, apiKey: CHOSEN })).toEqual({ keyIsRevoked: true })
    expect(await watched().who.identify(CHOSEN)).toBeUndefined()
  })
})

describe('keys', () => {
  test('are shown once, and listed without their secret', async () => {
    const made = await createKey(pool, { name: 'Till', scopes: ['stock:read', 'holds:write'] })
    expect(looksLikeApiKey(made.key)).toBe(true)
    expect(made.principal).toBe(made.id)
    const [listed] = await all()
    expect(listed).toMatchObject({ id: made.id, name: 'Till', scopes: ['stock:read', 'holds:write'], revoked_at: null, last_used_at: null })
    expect(JSON.stringify(listed)).not.toContain(made.key.split('_')[2])
  })

  test('that replace another one can be the same caller', async () => {
    const old = await createKey(pool, { name: 'Shop', scopes: ['holds:write'], principal: 'shop' })
    const fresh = await createKey(pool, { name: 'Shop, new', scopes: ['holds:write'], principal: 'shop' })
    const { who } = watched()
    expect((await who.identify(old.key))?.principal).toBe((await who.identify(fresh.key))?.principal)
  })

  test('many of them are listed newest first', async () => {
    for (let n = 1; n <= 105; n += 1) await createKey(pool, { name: `Key ${n}`, scopes: [] })
    expect((await all()).map(({ name }) => name)).toEqual(Array.from({ length: 105 }, (_, index) => `Key ${105 - index}`))
  })

  test('that are mistyped, made up or of another shape are nobody, without a question to the database where that can be seen', async () => {
    const { key } = await createKey(pool, { name: 'Till', scopes: [] })
    const { who, asked } = watched()
    const typo = `${key.slice(0, 40)}${key[40] === 'a' ? 'b' : 'a'}${key.slice(41)}`
    for (const wrong of ['', 'hf_', 'secret', typo, `hf_${'x'.repeat(300)}`, 'hf_with blanks in it 0123456789012345'])
      expect(who.identify(wrong)).toBeUndefined()
    expect(asked()).toBe(0)
    expect(await who.identify(newApiKey('01a1fc89-e140-7445-873d-722906f04783'))).toBeUndefined()
    expect(asked()).toBe(1)
  })
})

describe('who is asking', () => {
  test('is remembered for seconds; a revoked key is refused within five', async () => {
    const { key, id } = await createKey(pool, { name: 'Till', scopes: ['stock:read'] })
    const { who, pass, asked } = watched()
    expect(await who.identify(key)).toMatchObject({ principal: id })
    expect(who.identify(key)).not.toBeInstanceOf(Promise)
    expect(asked()).toBe(1)
    await revokeKey(pool, id)
    pass(5_000)
    expect(await who.identify(key)).toBeUndefined()
  })

  test('is asked again before the answer is too old, and nobody waits for it', async () => {
    const { key, id } = await createKey(pool, { name: 'Till', scopes: ['stock:read'] })
    const { who, pass, asked } = watched()
    await who.identify(key)
    await revokeKey(pool, id)
    pass(3_000)
    expect(who.identify(key)).toMatchObject({ principal: id })
    await who.stop()
    expect(asked()).toBeGreaterThan(1)
    expect(who.identify(key)).toBeUndefined()
  })

  test('an expired key is refused', async () => {
    const { key } = await createKey(pool, { name: 'Brief', scopes: ['stock:read'], expiresInSeconds: 1 })
    expect(await watched().who.identify(key)).toBeDefined()
    await pool.query(`update api_keys set expires_at = now() - interval '1 second'`)
    expect(await watched().who.identify(key)).toBeUndefined()
  })

  test('one after the other is looked up, too', async () => {
    const keys = await Promise.all(Array.from({ length: 10 }, (_, n) => createKey(pool, { name: `${n}`, scopes: ['stock:read'] })))
    const { who } = watched()
    for (const { key, id } of keys) expect(await who.identify(key)).toMatchObject({ principal: id })
  })

  test('many that ask at once are looked up together', async () => {
    const keys = await Promise.all(Array.from({ length: 20 }, (_, n) => createKey(pool, { name: `${n}`, scopes: ['stock:read'] })))
    const { who, asked } = watched()
    const callers = await Promise.all([...keys, ...keys].map(async ({ key }) => who.identify(key)))
    expect(callers.map((caller) => caller?.principal)).toEqual([...keys, ...keys].map(({ id }) => id))
    expect(asked()).toBeLessThanOrEqual(2)
  })

  test('a database that is away is no wrong key, and a known key goes on for its seconds', async () => {
    const { key, id } = await createKey(pool, { name: 'Till', scopes: ['stock:read'] })
    const { moody, goes } = moodyPool()
    const { who, pass, faults } = watched(moody)
    await who.identify(key)
    goes('away')
    pass(4_000)
    for (let n = 0; n < 100; n += 1) expect(who.identify(key)).toMatchObject({ principal: id })
    await expect.poll(() => faults).toHaveLength(1)
    pass(1_000)
    await expect(who.identify(key)).rejects.toThrow('Connection terminated')
  })

  describe('while the database is away', () => {
    const HOUR = 3_600_000

    test('is who they were known to be, for as long as an operator has said', async () => {
      const { key, id } = await createKey(pool, { name: 'Till', scopes: ['stock:read'] })
      const { moody, goes } = moodyPool()
      const { who, pass, faults, asked } = watched(moody, { staleMs: HOUR })
      await who.identify(key)
      goes('away')
      pass(10_000)
      expect(await who.identify(key)).toMatchObject({ principal: id })
      // From now on nobody waits, and one request in half a second finds out for all.
      const before = asked()
      for (let n = 0; n < 100; n += 1) expect(who.identify(key)).toMatchObject({ principal: id })
      pass(limits.identity.keyRetryMs)
      for (let n = 0; n < 100; n += 1) expect(who.identify(key)).toMatchObject({ principal: id })
      await expect.poll(asked).toBeGreaterThan(before)
      expect(asked()).toBeLessThanOrEqual(before + 2)
      expect(faults).toHaveLength(1)
      pass(HOUR)
      await expect(who.identify(key)).rejects.toThrow('Connection terminated')
    })

    test('nobody becomes known by it, and nobody who was refused comes back', async () => {
      const [gone, never] = [await createKey(pool, { name: 'Gone', scopes: [] }), await createKey(pool, { name: 'Never asked', scopes: [] })]
      const { moody, goes } = moodyPool()
      const { who, pass } = watched(moody, { staleMs: HOUR })
      await who.identify(gone.key)
      await revokeKey(pool, gone.id)
      pass(5_000)
      expect(await who.identify(gone.key)).toBeUndefined()
      goes('away')
      pass(1_000)
      expect(await who.identify(gone.key)).toBeUndefined()
      pass(10_000)
      await expect(who.identify(gone.key)).rejects.toThrow('Connection terminated')
      await expect(who.identify(never.key)).rejects.toThrow('Connection terminated')
    })

    test('a key that was revoked meanwhile is refused when it is back', async () => {
      const { key, id } = await createKey(pool, { name: 'Till', scopes: [] })
      const { moody, goes } = moodyPool()
      const { who, pass } = watched(moody, { staleMs: HOUR })
      await who.identify(key)
      goes('away')
      pass(10_000)
      expect(await who.identify(key)).toBeDefined()
      await revokeKey(pool, id)
      goes('here')
      pass(limits.identity.keyRetryMs)
      await expect.poll(async () => who.identify(key)).toBeUndefined()
    })

    test('a key that has an end has it then, too', async () => {
      const { key } = await createKey(pool, { name: 'Brief', scopes: [], expiresInSeconds: 60 })
      const { moody, goes } = moodyPool()
      const { who, pass } = watched(moody, { staleMs: HOUR })
      await who.identify(key)
      goes('away')
      pass(50_000)
      expect(await who.identify(key)).toBeDefined()
      pass(10_000)
      await expect(who.identify(key)).rejects.toThrow('Connection terminated')
    })

    test('a database that hangs keeps nobody waiting for long', async () => {
      const { key, id } = await createKey(pool, { name: 'Till', scopes: [] })
      const { moody, goes } = moodyPool()
      const { who, pass } = watched(moody, { staleMs: HOUR, changes: { lookUpMs: 10 } })
      await who.identify(key)
      goes('hung')
      pass(10_000)
      expect(await who.identify(key)).toMatchObject({ principal: id })
      expect(who.identify(key)).toMatchObject({ principal: id })
    })

    test('an operator who has said not at all is obeyed', async () => {
      const { key } = await createKey(pool, { name: 'Till', scopes: [] })
      const { moody, goes } = moodyPool()
      const { who, pass } = watched(moody)
      await who.identify(key)
      goes('away')
      pass(10_000)
      await expect(who.identify(key)).rejects.toThrow('Connection terminated')
      await expect(who.identify(key)).rejects.toThrow('Connection terminated')
    })
  })

  test('when a key was last used is written now and then, not with every request', async () => {
    const used = await createKey(pool, { name: 'Used', scopes: ['stock:read'] })
    await createKey(pool, { name: 'Unused', scopes: ['stock:read'] })
    const { who } = watched()
    await who.start()
    await who.identify(used.key)
    await who.stop()
    const keys = new Map((await all()).map(({ name, last_used_at: lastUsed }) => [name, lastUsed]))
    expect(keys.get('Used')).toBeInstanceOf(Date)
    expect(keys.get('Unused')).toBeNull()
  })
})

test('a digest is the SHA-256 of the whole key', () => {
  expect(digestOf('abc').toString('hex')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
})

describe('the session of somebody', () => {
  const PASSWORD = 'seven ducks cross the canal'
  const TOKEN = 'T'.repeat(43)
  const signedIn = async (): Promise<{ readonly user: string; readonly session: string }> => {
    const [user, session] = [uuidV7(), uuidV7()]
    await transaction(pool, async (connection) => {
      await insertUser(connection, { id: user, email: 'ada@example.com', passwordHash: await hashPassword(PASSWORD), role: 'operator', locations: ['LON'] })
      const told = { id: session, user, digest: digestOf(TOKEN), lifeMs: 60_000, address: '203.0.113.7', userAgent: null }
      await insertSession(connection, told, 20)
    })
    return { user, session }
  }

  test('is who they are, with their role and their locations, and remembered for seconds', async () => {
    await signedIn()
    const { who, pass, asked } = watched()
    const caller = await who.identifySession(TOKEN)
    expect(caller).toMatchObject({ person: { role: 'operator' }, scopes: new Set(roleScopes.operator), locations: new Set(['LON']) })
    expect(caller?.principal).toBe(caller?.person?.id)
    expect(who.identifySession(TOKEN)).toBe(caller)
    expect(asked()).toBe(1)
    await pool.query('update users set disabled_at = now()')
    pass(5_000)
    expect(await who.identifySession(TOKEN)).toBeUndefined()
  })

  test('is no key, a key is no session, and what cannot be one asks for nothing', async () => {
    await signedIn()
    const { key } = await createKey(pool, { name: 'Till', scopes: [] })
    const { who, asked } = watched()
    expect(who.identify(TOKEN)).toBeUndefined()
    for (const wrong of [key, '', 'T'.repeat(42), `${'T'.repeat(42)}-`, 'T'.repeat(100)]) expect(who.identifySession(wrong)).toBeUndefined()
    expect(asked()).toBe(0)
  })

  test('that is in use is never idle, whoever of several processes is asked', async () => {
    const { session } = await signedIn()
    const { who, pass } = watched()
    for (let minute = 0; minute < 40; minute += 4) {
      await pool.query("update sessions set last_seen_at = last_seen_at - interval '4 minutes'")
      pass(240_000)
      expect(await who.identifySession(TOKEN), `${minute}`).toBeDefined()
    }
    await pool.query("update sessions set last_seen_at = now() - interval '30 minutes'")
    pass(240_000)
    expect(await who.identifySession(TOKEN)).toBeUndefined()
    expect(session).toBeDefined()
  })

  test('goes on while the database is away, but never longer than somebody may be idle', async () => {
    await signedIn()
    await pool.query("update sessions set expires_at = now() + interval '10 hours'")
    const { moody, goes } = moodyPool()
    const { who, pass } = watched(moody, { staleMs: 12 * 3_600_000 })
    await who.identifySession(TOKEN)
    goes('away')
    pass(limits.identity.sessionIdleMs - 1)
    expect(await who.identifySession(TOKEN)).toBeDefined()
    pass(1)
    await expect(who.identifySession(TOKEN)).rejects.toThrow('Connection terminated')
  })

  test('that has run out is forgotten, with the tries of long ago', async () => {
    await signedIn()
    await pool.query("insert into attempts (subject, latest_at) values (sha256('old'), now() - interval '2 hours'), (sha256('new'), now())")
    const quick = { ...limits.identity, lastUsedMs: 20 }
    const who = identity({ pool, lookUps: pool, registration: true, limits: quick, staleMs: 0, onFault: (error) => expect.unreachable(String(error)) })
    await who.start()
    await expect.poll(async () => (await pool.query('select from attempts')).rowCount).toBe(1)
    expect((await pool.query('select from sessions')).rowCount).toBe(1)
    await pool.query('update sessions set expires_at = now()')
    await expect.poll(async () => (await pool.query('select from sessions')).rowCount).toBe(0)
    await who.stop()
  })

  test('signing in by a hash of old makes it anew', async () => {
    await signedIn()
    const old = '$scrypt$ln=10,r=8,p=1$c2FsdHNhbHRzYWx0c2FsdA$'
    const { scryptSync } = await import('node:crypto')
    const hash = scryptSync(PASSWORD, Buffer.from('c2FsdHNhbHRzYWx0c2FsdA', 'base64'), 32, { N: 2 ** 10, r: 8, p: 1 })
    await pool.query('update users set password_hash = $1', [old + hash.toString('base64').replace(/=+$/, '')])
    const { who } = watched()
    const call = { caller: anyone, origin: { address: '203.0.113.7', userAgent: null }, requestId: 'req_1' }
    const login = () => who.handlers.auth?.login({ params: {}, query: {}, body: { email: 'ada@example.com', password: PASSWORD } }, call)
    expect(await login()).toMatchObject({ ok: true, session: { token: expect.stringMatching(/^[0-9A-Za-z]{43}$/) } })
    const { rows } = await pool.query<{ password_hash: string }>('select u.password_hash from users as u')
    expect(rows[0]?.password_hash).toMatch(/^\$argon2id\$/)
    expect(await login()).toMatchObject({ ok: true })
  })
})

test('what a process has ended itself it refuses at once, even when it was asking just then', async () => {
  const { key, id } = await createKey(pool, { name: 'Till', scopes: ['stock:read'] })
  let answer: (() => void) | undefined
  const slow = {
    query: async (...args: unknown[]) => {
      const rows = await (pool.query as (...all: unknown[]) => Promise<unknown>)(...args)
      await new Promise<void>((resolve) => (answer = resolve))
      return rows
    },
  } as unknown as Pool // only query is used
  const { who, pass } = watched(slow)
  const asking = who.identify(key)
  await expect.poll(() => answer).toBeDefined()
  pass(1)
  const owner = { ...anyone, scopes: new Set(scopes), locations: null }
  const call = { caller: owner, origin: { address: '203.0.113.7', userAgent: null }, requestId: 'req_1' }
  const wireId = encodeId('api_key', id as Uuid) // a key's id is a uuid
  expect(await who.handlers.api_keys?.revoke({ params: { id: wireId }, query: {}, body: {} }, call)).toMatchObject({ ok: true })
  answer?.()
  await asking
  // It was let in once more, and is asked for anew.
  const again = who.identify(key)
  expect(again).toBeInstanceOf(Promise)
  answer = undefined
  await expect.poll(() => answer).toBeDefined()
  ;(answer as (() => void) | undefined)?.()
  expect(await again).toBeUndefined()
})
