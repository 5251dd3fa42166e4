// A RabbitMQ of a test's own, with its management API.
import { execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll } from 'vitest'
import { freePort } from './free-port.ts'
import { until } from './until.ts'

/** Not in the path of everybody: Debian's own starter wants to be root. */
const SERVER = '/usr/lib/rabbitmq/bin/rabbitmq-server'
const CONTROL = '/usr/lib/rabbitmq/bin/rabbitmqctl'
const NAMES = '/usr/bin/epmd'
/** Where there is none, what needs one is left out, and says so. */
export const hasRabbit = existsSync(SERVER)

export type ManagedRabbit = {
  /** Of the management API, with its user. */
  readonly url: string
  api(method: 'PUT' | 'POST' | 'DELETE', path: string, body?: object): Promise<void>
  control(...args: readonly string[]): Promise<unknown>
  kill(): Promise<void>
}

export const startManagedRabbit = async (): Promise<ManagedRabbit> => {
  const home = mkdtempSync(join(tmpdir(), 'holdfast-rabbit-'))
  const [port, distribution, epmd, management] = [await freePort(), await freePort(), await freePort(), await freePort()]
  for (const directory of ['data', 'log']) mkdirSync(join(home, directory))
  writeFileSync(join(home, 'plugins'), '[rabbitmq_management].\n')
  writeFileSync(join(home, '.erlang.cookie'), 'HOLDFASTTESTS', { mode: 0o400 })
  writeFileSync(join(home, 'rabbitmq.conf'), `management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = ${management}\n`)
  // What stands in the environment of the machine's own broker is none of ours.
  writeFileSync(join(home, 'environment'), '')
  const environment = {
    PATH: process.env['PATH'] ?? '',
    HOME: home,
    RABBITMQ_NODENAME: `holdfast${port}@localhost`,
    RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
    RABBITMQ_NODE_PORT: String(port),
    RABBITMQ_DIST_PORT: String(distribution),
    ERL_EPMD_PORT: String(epmd),
    RABBITMQ_MNESIA_BASE: join(home, 'data'),
    RABBITMQ_LOG_BASE: join(home, 'log'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(home, 'plugins'),
    RABBITMQ_CONFIG_FILE: join(home, 'rabbitmq.conf'),
    RABBITMQ_CONF_ENV_FILE: join(home, 'environment'),
    LC_ALL: 'C.UTF-8',
  }
  const origin = `http://127.0.0.1:${management}`
  const headers = { authorization: `Basic ${Buffer.from('guest:guest').toString('base64')}`, 'content-type': 'application/json' }
  // Erlang's machine is a child of a script: all of the group is meant.
  const child = spawn(SERVER, [], { env: environment, stdio: 'ignore', detached: true })
  const gone = once(child, 'exit')
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return
    process.kill(-child.pid, 'SIGKILL')
    await gone
  }
  afterAll(async () => {
    await kill()
    // The directory of names outlives the broker that started it.
    spawnSync(NAMES, ['-port', String(epmd), '-kill'], { env: environment })
    rmSync(home, { recursive: true, force: true })
  })
  await until('the management API answers', async () => (await fetch(`${origin}/api/overview`, { headers }).catch(() => undefined))?.ok === true, {
    withinMs: 60_000,
  })
  return {
    url: origin.replace('//', '//guest:guest@'),
    api: async (method, path, body) => {
      const response = await fetch(`${origin}/api${path}`, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) })
      if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`)
      await response.body?.cancel()
    },
    control: (...args) => promisify(execFile)(CONTROL, ['--quiet', ...args], { env: environment, timeout: 30_000 }),
    kill,
  }
}
