import { afterAll, describe, expect, test } from 'vitest'
import type { SessionChange } from '../services/service.ts'
import { exampleOf } from './example.ts'
import { KEY, stubGateway, TOKEN } from './gateway.fixture.ts'

const sessionsOf: Readonly<Record<string, SessionChange>> = { 'auth.login': { token: 'a-new-token', maxAgeSeconds: 43_200 }, 'auth.logout': 'ended' }
const stub = stubGateway(({ operation }) => {
  const session = sessionsOf[operation.name]
  return { ok: true, body: exampleOf(operation.output), ...(session === undefined ? {} : { session }) }
})
afterAll(() => stub.stop())

type Headers = Record<string, string>
const HOST = 'shop.example'
const cookie = `theme=dark; __Host-holdfast=${TOKEN}; other=1`
const ours = { host: HOST, cookie, 'sec-fetch-site': 'same-origin' }
const ask = (method: 'GET' | 'POST' | 'DELETE', url: string, headers: Headers) => stub.app.inject({ method, url, headers })
const status = async (method: 'GET' | 'POST' | 'DELETE', url: string, headers: Headers) => (await ask(method, url, headers)).statusCode
const logIn = (headers: Headers) =>
  stub.app.inject({ method: 'POST', url: '/v1/auth/login', headers, payload: { email: 'ada@example.com', password: 'seven ducks cross the canal' } })

describe('a session', () => {
  test('opens what the role is for, and says who it is', async () => {
    expect(await status('GET', '/v1/items', { host: HOST, cookie })).toBe(200)
    expect(stub.asked.at(-1)?.call.caller).toMatchObject({ person: { role: 'administrator' }, principal: 'user_01jd8w2k5v7x9n3q4r6t8y0z1b' })
  })

  test('that is not known is told so, and not to send a key', async () => {
    const answer = await ask('GET', '/v1/items', { host: HOST, cookie: '__Host-holdfast=nobodys' })
    expect(answer.json()).toMatchObject({ status: 401, code: 'unauthenticated', detail: 'The session has ended; sign in again.' })
  })

  test('is never taken from a header, and a key never from a cookie', async () => {
    for (const headers of [
      { authorization: `Bearer ${TOKEN}` },
      { authorization: TOKEN },
      { 'x-session': TOKEN },
      { host: HOST, cookie: `__Host-holdfast=${KEY}` },
    ])
      expect(await status('GET', '/v1/items', headers as Headers), JSON.stringify(headers)).toBe(401)
  })

  test('beside a key in the header is not looked at: a wrong key stays wrong', async () => {
    expect(await status('GET', '/v1/items', { ...ours, authorization: 'Bearer hf_wrong' })).toBe(401)
    expect(await status('GET', '/v1/auth/sessions', { ...ours, authorization: `Bearer ${KEY}` })).toBe(403)
  })

  test('under the name for plain http is taken on this machine and nowhere else', async () => {
    const plain = `holdfast=${TOKEN}`
    for (const host of ['localhost:4000', '127.0.0.1:4000', '[::1]:4000']) {
      expect(await status('GET', '/v1/items', { host, cookie: plain }), host).toBe(200)
      expect(await status('GET', '/v1/items', { host, cookie }), host).toBe(401)
    }
    expect(await status('GET', '/v1/items', { host: HOST, cookie: plain })).toBe(401)
    // A proxy that speaks TLS to the browser may call us by such a name.
    expect(await status('GET', '/v1/items', { host: '127.0.0.1:4000', cookie: plain, 'x-forwarded-proto': 'https' })).toBe(401)
    expect(await status('GET', '/v1/items', { host: 'localhost.shop.example', cookie: plain })).toBe(401)
  })
})

describe('the cookie', () => {
  test('is for this host alone, over TLS alone, and for no script', async () => {
    const answer = await logIn({ host: HOST })
    expect(answer.headers['set-cookie']).toBe('__Host-holdfast=a-new-token; Path=/; Max-Age=43200; HttpOnly; SameSite=Lax; Secure')
    expect(answer.headers['cache-control']).toBe('no-store')
    expect(answer.body).not.toContain('a-new-token')
  })

  test('on the machine itself is one that browsers keep without TLS', async () => {
    expect((await logIn({ host: '127.0.0.1:4000' })).headers['set-cookie']).toBe('holdfast=a-new-token; Path=/; Max-Age=43200; HttpOnly; SameSite=Lax')
  })

  test('is taken away at the end', async () => {
    expect((await ask('POST', '/v1/auth/logout', ours)).headers['set-cookie']).toBe('__Host-holdfast=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure')
  })
})

describe('what another site makes a browser ask with the cookie of a person', () => {
  const outcomes: [string, Headers, number][] = [
    ['a page of ours', { 'sec-fetch-site': 'same-origin' }, 200],
    ['typed by the person', { 'sec-fetch-site': 'none' }, 200],
    ['a page of another site', { 'sec-fetch-site': 'cross-site' }, 403],
    ['a page of a neighbour', { 'sec-fetch-site': 'same-site' }, 403],
    ['another site that claims our origin', { 'sec-fetch-site': 'cross-site', origin: `https://${HOST}` }, 403],
    ['an old browser, from a page of ours', { origin: `https://${HOST}` }, 200],
    ['an old browser, from another page', { origin: 'https://evil.example' }, 403],
    ['a name that begins like ours', { origin: `https://${HOST}.evil.example` }, 403],
    ['our host without TLS', { origin: `http://${HOST}` }, 403],
    ['another port of ours', { origin: `https://${HOST}:8443` }, 403],
    ['a page without an origin', { origin: 'null' }, 403],
    ['nothing that says from where', {}, 403],
  ]
  test.each(outcomes)('%s', async (_, headers, expected) => {
    for (const [method, url] of [
      ['POST', '/v1/auth/logout'],
      ['DELETE', '/v1/items/TEA-1'],
    ] as const)
      expect(await status(method, url, { host: HOST, cookie, ...headers }), `${method} ${url}`).toBe(expected)
  })

  test('reading is no harm, and a link from elsewhere leads in', async () => {
    expect(await status('GET', '/v1/items', { host: HOST, cookie, 'sec-fetch-site': 'cross-site' })).toBe(200)
  })

  test('signing in as somebody else is refused; a program without a browser may sign in', async () => {
    expect((await logIn({ host: HOST, 'sec-fetch-site': 'cross-site' })).statusCode).toBe(403)
    expect((await logIn({ host: HOST, origin: 'https://evil.example' })).statusCode).toBe(403)
    expect((await logIn({ host: HOST })).statusCode).toBe(200)
  })

  test('a form, which needs no leave to be sent, is no JSON', async () => {
    const answer = await stub.app.inject({
      method: 'POST',
      url: '/v1/auth/login',
      headers: { host: HOST, 'content-type': 'text/plain' },
      payload: '{"email":"eve@example.com","password":"seven ducks cross the canal"}',
    })
    expect(answer.statusCode).toBe(415)
  })

  test('a program with a key is asked for none of this', async () => {
    expect(
      await status('DELETE', '/v1/items/TEA-1', { authorization: `Bearer ${KEY}`, origin: 'https://elsewhere.example', 'sec-fetch-site': 'cross-site' }),
    ).toBe(200)
  })
})
