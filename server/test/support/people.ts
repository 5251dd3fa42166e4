// People at their browsers: each keeps the cookie that the server gave them, and says that it asks from a page of the server.
import type { Role } from '@holdfast/contract'
import type { Answered, RequestOptions, TestServer } from './server.ts'

/** What the server of a test is started with, so that its first administrator can sign in. */
export const ADMIN = { email: 'root@example.com', password: 'root waters the old garden' }
export const ADMIN_ENVIRONMENT = { HOLDFAST_ADMIN_EMAIL: ADMIN.email, HOLDFAST_ADMIN_PASSWORD: ADMIN.password }
export const PASSWORD = 'seven ducks cross the canal'

export type Browser = {
  /** With the cookie; `headers` can say otherwise. */
  request(method: string, path: string, options?: RequestOptions): Promise<Answered>
  login(email: string, password?: string): Promise<Answered>
  /** The cookie as it would be sent; undefined when there is none. */
  cookie(): string | undefined
}

/** @param from  another server of the same database may be asked with the same cookie */
export const openBrowser = (server: Pick<TestServer, 'request'>, cookie?: string): Browser => {
  let kept = cookie
  const request: Browser['request'] = async (method, path, { headers, ...options } = {}) => {
    const answer = await server.request(method, path, {
      apiKey: null,
      ...options,
      headers: { 'sec-fetch-site': 'same-origin', ...(kept === undefined ? {} : { cookie: kept }), ...headers },
    })
    const given = answer.headers.get('set-cookie')?.split(';')[0]
    if (given !== undefined) kept = given.endsWith('=') ? undefined : given
    return answer
  }
  return {
    request,
    login: (email, password = PASSWORD) => request('POST', '/v1/auth/login', { body: { email, password } }),
    cookie: () => kept,
  }
}

export const signedIn = async (server: Pick<TestServer, 'request'>, email: string, password = PASSWORD): Promise<Browser> => {
  const browser = openBrowser(server)
  const answer = await browser.login(email, password)
  if (answer.status !== 200) throw new Error(`${email} could not sign in: ${answer.text}`)
  return browser
}

let made = 0
/** Somebody with a role, made by the key that every server of a test has. */
export const makeUser = async (
  server: Pick<TestServer, 'request'>,
  role: Role,
  { locations, email = `${role}-${(made += 1)}@example.com` }: { readonly locations?: readonly string[]; readonly email?: string } = {},
): Promise<{ readonly id: string; readonly email: string }> => {
  const answer = await server.request('POST', '/v1/users', { body: { email, password: PASSWORD, role, ...(locations === undefined ? {} : { locations }) } })
  if (answer.status !== 201) throw new Error(`${email} could not be made: ${answer.text}`)
  return answer.body as { id: string; email: string } // a user, as was said
}
