// The real program, as an operator starts it, on a database of its own: for tests that see what users see. Whatever becomes
// of a test, no process is left behind: what was started ends with its file, and at the latest when the tests' process is gone.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { holdfast, type Holdfast } from '@holdfast/sdk'
import type { Scope } from '@holdfast/contract'
import { afterAll } from 'vitest'
import { createKey as makeKey, type ApiKey } from '../../src/services/identity/identity.ts'
import { openPool } from '../../src/storage/pool.ts'
import type { Role } from '../../src/roles.ts'
import { freshDatabase, type FreshDatabase } from './database.ts'
import { freePort } from './free-port.ts'
import { openRabbit } from './rabbit.ts'
import { isOfRoles, nginxFolder, queuesOf, rolesAt, rolesToRun, SERVICE_KEY } from './topology.ts'
import { until } from './until.ts'

export { until }

/** The key that every server here is started with. It has every scope. */
export const API_KEY = 'hf_for-tests-only-0123456789abcdefghijkl'

/** Locks the secrets of every server here. */
const SECRET_KEY = Buffer.alloc(32, 'for tests only').toString('base64')

export type TestServer = {
  readonly url: string
  readonly pid: number
  /** Asks once: what a test does not expect is not tried again and forgotten. */
  readonly stock: Holdfast
  request(method: string, path: string, options?: RequestOptions): Promise<Answered>
  /** Asks it to end, as an operator does, and waits until it has. It must end well. */
  stop(): Promise<void>
  /** `kill -9`. */
  kill(): Promise<void>
  /** Everything it has said, for a test that looks for what must not be said. */
  said(): string
  /** What each of its processes counts, one after the other. */
  metrics(): Promise<string>
}

export type RequestOptions = {
  readonly body?: unknown
  /** Sent as it is, instead of `body`. */
  readonly text?: string | Uint8Array<ArrayBuffer>
  readonly idempotencyKey?: string
  /** Null: none is sent. */
  readonly apiKey?: string | null
  readonly headers?: Readonly<Record<string, string>>
}

export type Answered = {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** Undefined when it is not JSON. */ readonly body: unknown
}

/** A database that goes when the tests of the file are done. */
export const ownDatabase = async (): Promise<FreshDatabase> => {
  const database = await freshDatabase()
  databases.push(database)
  return database
}

/** @param environment  what an operator would set besides the database and the key */
export const startServer = async (database: FreshDatabase, environment: Readonly<Record<string, string>> = {}): Promise<TestServer> => {
  const given = { ...asOftenAsWeLike, HOLDFAST_SECRET_KEY: SECRET_KEY, ...environment, DATABASE_URL: database.url, HOLDFAST_API_KEY: API_KEY }
  return isOfRoles ? startRoles(given) : serverOf(await startProcess(['serve'], { ...given, PORT: '0' }))
}

/** One process of the program, from when it listens. */
export type Process = { readonly url: string; readonly pid: number; stop(): Promise<void>; kill(): Promise<void>; said(): string }

/** @param words  such as `serve inventory` */
export const startProcess = async (words: readonly string[], environment: Readonly<Record<string, string>>): Promise<Process> => {
  const child = start(words, environment)
  let said = ''
  const listens = Promise.withResolvers<string>()
  for (const stream of [child.stdout, child.stderr]) {
    if (stream === null) throw new Error('a server was started without anybody to listen to what it says')
    createInterface(stream).on('line', (line) => {
      said += `${line}\n`
      const url = /listens on (\S+)/.exec(line)?.[1]
      if (url !== undefined) listens.resolve(url)
    })
  }
  const ended = once(child, 'exit').then(() => undefined)
  const server = { kill: () => end(child, 'SIGKILL'), said: () => said }
  running.add(server)
  ended.then(() => listens.reject(new Error(`the server ended before it listened:\n${said}`)), listens.reject)
  const late = setTimeout(() => listens.reject(new Error(`the server did not listen within ${START_MS} ms:\n${said}`)), START_MS)
  const url = await listens.promise.finally(() => clearTimeout(late))

  return {
    ...server,
    url,
    pid: child.pid ?? 0,
    stop: async () => {
      await end(child, 'SIGTERM')
      if (child.exitCode !== 0) throw new Error(`the server ended with ${child.exitCode ?? child.signalCode}:\n${said}`)
    },
  }
}

/** As its users see it. */
const serverOf = (one: Process): TestServer => ({
  ...one,
  stock: holdfast({ url: one.url, apiKey: API_KEY, retries: 0, timeoutMs: ANSWER_MS }),
  metrics: async () => (await request(one.url, 'GET', '/metrics')).text,
  request: (method, path, options) => request(one.url, method, path, options),
})

/** Every role in a process of its own, and nginx before the gateway. To its users, and to a test, that is one server. */
const startRoles = async (environment: Readonly<Record<string, string>>): Promise<TestServer> => {
  const ports = new Map<Role, number>()
  for (const role of rolesToRun) ports.set(role, await freePort())
  const broker = { AMQP_URL: (await openRabbit()).url, ...queuesOf(environment['DATABASE_URL'] ?? '') }
  const settings = rolesAt(ports)
  const begin = (role: Role) => startProcess(['serve', role], { ...broker, ...settings.get(role), ...environment, PORT: String(ports.get(role)) })
  // Those that ask others come last: from their first answer on they find everybody there.
  const [asking, asked] = [rolesToRun.filter((role) => isAsking.has(role)), rolesToRun.filter((role) => !isAsking.has(role))]
  const started = new Map<Role, Process>()
  for (const some of [asked, asking]) await Promise.all(some.map(async (role) => started.set(role, await begin(role))))
  const roles = [...started.values()]
  const port = await freePort()
  const nginx = nginxFolder(port, [ports.get('gateway') ?? 0])
  const edge = spawn('nginx', nginx.args, { stdio: ['ignore', 'ignore', 'pipe'] })
  const killEdge = async () => {
    await end(edge, 'SIGKILL')
    nginx.remove()
  }
  running.add({ kill: killEdge, said: () => '' })
  const url = `http://127.0.0.1:${port}`
  await until('nginx answers', async () => (await fetch(`${url}/readyz`).catch(() => undefined))?.status === 200)
  const server = serverOf({
    url,
    pid: started.get('inventory')?.pid ?? 0,
    said: () => roles.map((one) => one.said()).join(''),
    // Who is being answered is answered to the end, through what stands before it.
    stop: async () => {
      await Promise.all(roles.map((one) => one.stop()))
      await end(edge, 'SIGTERM')
      nginx.remove()
    },
    kill: async () => void (await Promise.all([killEdge(), ...roles.map((one) => one.kill())])),
  })
  // A gateway believes callers, the others the service key.
  const metricsOf = async ([role, { url: own }]: readonly [Role, Process]) =>
    (await request(own, 'GET', '/metrics', { apiKey: role === 'gateway' ? API_KEY : SERVICE_KEY })).text
  return { ...server, metrics: async () => (await Promise.all(Array.from(started, metricsOf))).join('') }
}

const isAsking: ReadonlySet<Role> = new Set(['gateway', 'monitor'])

/** A test asks faster than any shop, and all of it from one address. Those that are about limits set their own. */
const asOftenAsWeLike = { HOLDFAST_RATE_LIMIT: 'unlimited', HOLDFAST_ADDRESS_RATE_LIMIT: 'unlimited' }

const request = async (
  url: string,
  method: string,
  path: string,
  { body, text, idempotencyKey, apiKey = API_KEY, headers = {} }: RequestOptions = {},
): Promise<Answered> => {
  const sent = text ?? (body === undefined ? undefined : JSON.stringify(body))
  const response = await fetch(url + path, {
    method,
    headers: {
      ...(apiKey === null ? {} : { authorization: `Bearer ${apiKey}` }),
      ...(sent === undefined ? {} : { 'content-type': 'application/json' }),
      ...(idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }),
      ...headers,
    },
    ...(sent === undefined ? {} : { body: sent }),
    redirect: 'manual',
    signal: AbortSignal.timeout(ANSWER_MS),
  })
  const answer = await response.text()
  return { status: response.status, headers: response.headers, text: answer, body: jsonOf(answer) }
}

export type Verification = {
  readonly violations: readonly { readonly rule: string; readonly found: string }[]
  readonly sequence: number
  readonly holds: number
  readonly entries: number
}

/** `holdfast verify`: what is wrong in the books, found by a process that trusts nothing but them. */
export const verifyBooks = async (database: FreshDatabase): Promise<Verification> => {
  const { code, output, errors } = await runCommand(database, ['verify', '--json'])
  // It ends with 1 when it has found something, and also when it could not look; then it has printed nothing.
  if (output === '' || (code !== 0 && code !== 1)) throw new Error(`verify ended with ${code}: ${errors}`)
  return JSON.parse(output) as Verification // what verify --json prints
}

/** A key with only these scopes. */
export const createKey = async (
  database: FreshDatabase,
  name: string,
  { scopes }: { readonly scopes: readonly Scope[] },
): Promise<ApiKey & { readonly key: string }> => {
  // Without a process of its own: `holdfast key create` takes a second, and a test may want many.
  const pool = openPool({ url: database.url, size: 1, statementTimeoutMs: ANSWER_MS, lockTimeoutMs: ANSWER_MS, applicationName: 'test' })
  try {
    return await makeKey(pool, { name, scopes })
  } finally {
    await pool.end()
  }
}

/** A command of the program, such as `['key', 'list']`. */
export const runCommand = async (
  database: FreshDatabase,
  args: readonly string[],
): Promise<{ readonly code: number | null; readonly output: string; readonly errors: string }> => {
  const child = start(args, { DATABASE_URL: database.url })
  const said = { output: '', errors: '' }
  child.stdout?.setEncoding('utf8').on('data', (text: string) => void (said.output += text))
  child.stderr?.setEncoding('utf8').on('data', (text: string) => void (said.errors += text))
  await once(child, 'close')
  return { code: child.exitCode, ...said }
}

/** With a machine that is busy with other tests. It takes half a second when it is not. */
const START_MS = isOfRoles ? 120_000 : 30_000
const ANSWER_MS = 20_000

const program = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
/** Said to every process that is started: when nobody holds the other end of its input any more, it ends. */
const endsWithUs = `data:text/javascript,process.stdin.on('close',()=>process.kill(process.pid,'SIGKILL')).on('error',()=>{}).resume().unref()`

const ofThisMachine = Object.fromEntries(['PATH', 'HOME', 'NODE_COMPILE_CACHE'].map((name) => [name, process.env[name] ?? '']))

const start = (args: readonly string[], environment: Readonly<Record<string, string>>): ChildProcess =>
  spawn(process.execPath, ['--import', endsWithUs, program, ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    // Nothing of what is set where the tests run.
    env: { ...ofThisMachine, HOLDFAST_LOG_LEVEL: 'warn', ...environment },
  })

const end = async (child: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'close')
  child.kill(signal)
  await gone
}

const jsonOf = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const running = new Set<{ kill(): Promise<void>; said(): string }>()
const databases: FreshDatabase[] = []

afterAll(async () => {
  await Promise.all(Array.from(running, (server) => server.kill()))
  await Promise.all(databases.map((database) => database.drop()))
  // A server says "error" when a person must act. In a test, that person is whoever reads this.
  const errors = Array.from(running, (server) =>
    server
      .said()
      .split('\n')
      .filter((line) => line.includes('"level":"error"')),
  ).flat()
  if (errors.length > 0) throw new Error(`servers told of defects:\n${errors.join('\n')}`)
})
