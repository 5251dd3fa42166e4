import { describe, expect, test } from 'vitest'
import { holdfast, mainPath, startNode } from './support/command.ts'
import { list, problem, startServer } from './support/server.ts'

const user = {
  object: 'user',
  id: 'user_01jd8w2k5v7x9n3q4r6t8y0z1b',
  email: 'ada@example.com',
  name: null,
  role: 'operator',
  locations: ['LON'],
  disabled: false,
  created_at: '2026-11-21T10:15:00.000Z',
  updated_at: '2026-11-21T10:15:00.000Z',
}
const apiKey = {
  object: 'api_key',
  id: 'key_01jd8w2k5v7x9n3q4r6t8y0z1b',
  name: 'Till 3',
  principal: 'till-3',
  scopes: ['holds:write'],
  locations: null,
  rate_limit: { limit: 100, window_seconds: 1 },
  created_at: '2026-11-21T10:15:00.000Z',
  expires_at: null,
  revoked_at: null,
  last_used_at: null,
}
const SECRET = 'hf_shown-this-once-0123456789abcdefgh'

describe('user create', () => {
  test('makes a password, sends it, and shows it once, apart from the answer', async () => {
    await using server = await startServer(() => ({ status: 201, body: user }))
    const { code, stdout, stderr } = await holdfast(
      ['user', 'create', 'ada@example.com', '--role', 'operator', '--location', 'LON', '--location', 'PAR'],
      server,
    )
    expect(server.asked).toMatchObject([{ call: 'POST /v1/users', body: { email: 'ada@example.com', role: 'operator', locations: ['LON', 'PAR'] } }])
    const password = (server.asked[0]?.body as { password: string } | undefined)?.password ?? '' // what was sent
    expect(password).toMatch(/^([0-9a-hjkmnp-tv-z]{6}-){3}[0-9a-hjkmnp-tv-z]{6}$/)
    expect(stderr).toBe(`Their password, shown once: ${password}\n`)
    expect(stdout).toBe('User user_01jd8w2k5v7x9n3q4r6t8y0z1b, ada@example.com, is operator of LON.\n')
    expect(code).toBe(0)
  })

  test('shows no password that is not theirs: when they were made before under the same key', async () => {
    await using server = await startServer(() => ({ status: 201, body: user, headers: { 'idempotent-replayed': 'true' } }))
    const { stderr } = await holdfast(['user', 'create', 'ada@example.com', '--role', 'viewer', '--idempotency-key', 'hire-ada'], server)
    expect(stderr).toBe('This was done before under the same key; it was not done again.\n')
  })

  test('takes a password from standard input, and then does not show it', async () => {
    await using server = await startServer(() => ({ status: 201, body: user }))
    const shell = `printf 'seven ducks cross the canal\\n' | "$0" "$1" user create ada@example.com --role viewer --password-stdin`
    const { child, ended } = startNode(
      [
        '-e',
        `require('node:child_process').spawnSync('sh', ['-c', process.argv[1], process.execPath, process.argv[2]], { stdio: 'inherit' })`,
        shell,
        mainPath,
      ],
      { HOLDFAST_API_KEY: 'hf_0123456789abcdef0123456789abcdef', HOLDFAST_URL: server.url },
    )
    const { stdout, stderr } = await ended
    expect(child.exitCode).toBe(0)
    expect(server.asked[0]?.body).toMatchObject({ password: 'seven ducks cross the canal' })
    expect(stdout + stderr).not.toContain('ducks')
  })
})

test('users are listed, changed and disabled', async () => {
  await using server = await startServer(({ call }) => (call === 'GET /v1/users' ? list([user]) : { body: { ...user, disabled: true } }))
  expect((await holdfast(['user', 'list', '--role', 'operator'], server)).stdout).toContain('ada@example.com  -     operator  LON        active')
  expect((await holdfast(['user', 'update', user.id, '--role', 'manager', '--all-locations'], server)).code).toBe(0)
  expect((await holdfast(['user', 'disable', user.id], server)).stdout).toContain(', and disabled.')
  expect((await holdfast(['user', 'password', user.id], server)).stderr).toMatch(/^Their password, shown once: /)
  expect(server.asked.map(({ call }) => call)).toEqual([
    'GET /v1/users',
    `PATCH /v1/users/${user.id}`,
    `DELETE /v1/users/${user.id}`,
    `POST /v1/users/${user.id}/password`,
  ])
  expect(server.asked[1]?.body).toEqual({ role: 'manager', locations: null })
})

describe('api-key', () => {
  test('create prints the key first, so that it can be read off by a program', async () => {
    await using server = await startServer(() => ({ status: 201, body: { ...apiKey, key: SECRET } }))
    const { stdout } = await holdfast(
      ['api-key', 'create', 'Till 3', '--scope', 'holds:write', '--scope', 'availability:read', '--expires-in', '30d', '--rate', '100/1s'],
      server,
    )
    expect(server.asked[0]?.body).toEqual({
      name: 'Till 3',
      scopes: ['holds:write', 'availability:read'],
      expires_in_seconds: 2_592_000,
      rate_limit: { limit: 100, window_seconds: 1 },
    })
    expect(stdout.split('\n')[0]).toBe(SECRET)
    expect(stdout).toContain(
      'This is the only time it is shown. Key key_01jd8w2k5v7x9n3q4r6t8y0z1b, Till 3, without end: holds:write; all locations, 100 requests in 1 s.',
    )
  })

  test('create says what to do when the key was shown before', async () => {
    await using server = await startServer(() => ({ status: 201, body: apiKey, headers: { 'idempotent-replayed': 'true' } }))
    const { stdout } = await holdfast(['api-key', 'create', 'Till 3', '--scope', 'holds:write'], server)
    expect(stdout).toContain('rotate it if it was lost')
  })

  test('rotate, update, list and revoke', async () => {
    await using server = await startServer(({ call }) => (call === 'GET /v1/api_keys' ? list([apiKey]) : { body: apiKey }))
    for (const args of [
      ['rotate', apiKey.id, '--overlap', '1h'],
      ['update', apiKey.id, '--name', 'Till 4', '--rate', 'unlimited'],
      ['list'],
      ['revoke', apiKey.id],
    ])
      expect((await holdfast(['api-key', ...args], server)).code).toBe(0)
    expect(server.asked.map(({ call, body }) => [call, body])).toEqual([
      [`POST /v1/api_keys/${apiKey.id}/rotate`, { overlap_seconds: 3_600 }],
      [`PATCH /v1/api_keys/${apiKey.id}`, { name: 'Till 4', rate_limit: 'unlimited' }],
      ['GET /v1/api_keys', undefined],
      [`DELETE /v1/api_keys/${apiKey.id}`, undefined],
    ])
  })
})

test('the audit log says what changed, from what to what', async () => {
  const entry = {
    object: 'audit_entry',
    id: 'aud_01jd8w2k5v7x9n3q4r6t8y0z1b',
    occurred_at: '2026-11-21T10:15:00.000Z',
    actor: 'owner',
    action: 'user.updated',
    subject: { object: 'user', id: user.id },
    address: '203.0.113.7',
    request_id: 'req_1',
    changes: { role: { before: 'viewer', after: 'operator' }, name: { before: null, after: 'Ada' } },
  }
  await using server = await startServer(() => list([entry]))
  const { stdout } = await holdfast(['audit', '--action', 'user.updated', '--since', '2026-11-21T00:00:00Z'], server)
  expect(server.asked[0]?.query).toContain('action=user.updated&since=2026-11-21T00%3A00%3A00Z')
  expect(stdout).toContain('role: "viewer" to "operator"; name: "Ada"')
})

test('what the server refuses is told, with exit code 3', async () => {
  await using server = await startServer(() => problem(409, 'last_administrator'))
  expect(await holdfast(['user', 'disable', user.id], server)).toMatchObject({ code: 3, stderr: expect.stringContaining('last_administrator') })
})

test.each([
  ['a role nobody has', ['user', 'create', 'a@b', '--role', 'king'], 'Allowed choices are shopper'],
  ['no role', ['user', 'create', 'a@b'], '--role'],
  ['no scope', ['api-key', 'create', 'Till'], '--scope'],
  ['a rate that is none', ['api-key', 'create', 'Till', '--scope', 'holds:write', '--rate', 'fast'], 'is not LIMIT/TIME'],
  ['an update of nothing', ['user', 'update', user.id], 'nothing to change'],
  ['some locations and all', ['user', 'update', user.id, '--location', 'LON', '--all-locations'], 'exclude each other'],
])('%s ends with 2', async (_, args, says) => {
  await using server = await startServer(() => list([]))
  const { code, stderr } = await holdfast(args, server)
  expect(stderr).toContain(says)
  expect([code, server.asked]).toEqual([2, []])
})
