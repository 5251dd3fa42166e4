// A RabbitMQ for tests: a virtual host of its own on the broker of this machine, or a whole broker of its own that can be killed.
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { connect } from 'amqplib'
import { afterAll } from 'vitest'
import { freePort } from './free-port.ts'
import { until } from './until.ts'

/** Debian's own starters want to be root. */
const SERVER = '/usr/lib/rabbitmq/bin/rabbitmq-server'
const CONTROL = '/usr/lib/rabbitmq/bin/rabbitmqctl'
const NAMES = '/usr/bin/epmd'
/** Where there is none, what needs one is left out, and says so. */
export const hasRabbit = existsSync(SERVER)

export type TestRabbit = {
  readonly url: string
  /** What `rabbitmqctl` does with this broker. */
  control(...args: readonly string[]): Promise<string>
}

const run = promisify(execFile)

let opened: Promise<TestRabbit> | undefined

/** What no other file of tests sees, on the broker of this machine; where that cannot be had, on one of our own. Gone with the file's tests. */
export const openRabbit = (): Promise<TestRabbit> => (opened ??= openOwn())

const openOwn = async (): Promise<TestRabbit> => {
  const vhost = `holdfast_test_${process.pid}`
  const control = async (...args: readonly string[]) => (await run('rabbitmqctl', ['--quiet', ...args], { timeout: CONTROL_MS })).stdout
  const url = `amqp://guest:guest@127.0.0.1:5672/${vhost}`
  try {
    await control('add_vhost', vhost)
    ends.push(() => control('delete_vhost', vhost))
    await control('set_permissions', '--vhost', vhost, 'guest', '.*', '.*', '.*')
    await (await connect(url)).close()
    return { url, control }
  } catch {
    return startRabbit()
  }
}

export type OwnRabbit = TestRabbit & {
  /** Whether it would know this queue after a `kill -9`. It writes new ones down half a second later, whatever it has confirmed. */
  hasWritten(queue: string): boolean
  /** `kill -9`, of everything. */
  kill(): Promise<void>
  /** Starts it again where it was, and waits until it answers. */
  start(): Promise<void>
  /** It hangs: connections are taken, and nothing is answered. Resolves when it does. */
  pause(): Promise<void>
  resume(): void
}

/** @param managementPort  where its management API is to be; without it, it has none */
export const startRabbit = async ({ managementPort }: { readonly managementPort?: number } = {}): Promise<OwnRabbit> => {
  const home = mkdtempSync(join(tmpdir(), 'holdfast-rabbit-'))
  const [port, distribution, names] = [await freePort(), await freePort(), await freePort()]
  for (const directory of ['data', 'log']) mkdirSync(join(home, directory))
  writeFileSync(join(home, 'plugins'), managementPort === undefined ? '[].\n' : '[rabbitmq_management].\n')
  writeFileSync(join(home, 'rabbitmq.conf'), managementPort === undefined ? '' : `management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = ${managementPort}\n`)
  writeFileSync(join(home, '.erlang.cookie'), 'HOLDFASTTESTS', { mode: 0o400 })
  // What is set for the machine's own broker is none of ours.
  writeFileSync(join(home, 'environment'), '')
  const env = {
    PATH: process.env['PATH'] ?? '',
    HOME: home,
    RABBITMQ_NODENAME: `holdfast${port}@localhost`,
    RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
    RABBITMQ_NODE_PORT: String(port),
    RABBITMQ_DIST_PORT: String(distribution),
    ERL_EPMD_PORT: String(names),
    RABBITMQ_MNESIA_BASE: join(home, 'data'),
    RABBITMQ_LOG_BASE: join(home, 'log'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(home, 'plugins'),
    RABBITMQ_CONFIG_FILE: join(home, 'rabbitmq.conf'),
    RABBITMQ_CONF_ENV_FILE: join(home, 'environment'),
    LC_ALL: 'C.UTF-8',
  }
  const url = `amqp://guest:guest@127.0.0.1:${port}`
  let child: ChildProcess | undefined

  /** Erlang's machine, and the scripts that started it. */
  const signal = (name: NodeJS.Signals) => child?.pid !== undefined && child.exitCode === null && child.signalCode === null && process.kill(-child.pid, name)
  const kill = async () => {
    const running = child
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return
    const gone = once(running, 'exit')
    signal('SIGKILL')
    await gone
  }
  const start = async () => {
    child = spawn('sh', ['-c', endsWithUs, SERVER], { env, stdio: ['pipe', 'ignore', 'ignore'], detached: true })
    await until('RabbitMQ answers', answers, { withinMs: START_MS })
  }
  const answers = async () => {
    try {
      await (await connect(url, { timeout: 1_000 })).close()
      return true
    } catch {
      return false
    }
  }
  ends.push(async () => {
    await kill()
    // The list of names is a process of its own.
    await run(NAMES, ['-port', String(names), '-kill'], { env }).catch(() => undefined)
    rmSync(home, { recursive: true, force: true })
  })
  await start()
  const node = env.RABBITMQ_NODENAME
  return {
    url,
    hasWritten: (queue) => readFileSync(join(home, 'data', node, 'quorum', node, 'names.dets')).includes(queue),
    control: async (...args) => (await run(CONTROL, ['--quiet', ...args], { env, timeout: CONTROL_MS })).stdout,
    kill,
    start,
    pause: async () => {
      signal('SIGSTOP')
      await until('RabbitMQ is stopped', () => statesOfGroup(child?.pid).every((state) => state === 'T'))
    },
    resume: () => void signal('SIGCONT'),
  }
}

/** As the kernel tells them: T is stopped. */
const statesOfGroup = (group: number | undefined): string[] =>
  readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return []
    try {
      // The name, in brackets, may have any character.
      const [state = '', , ofGroup] = readFileSync(`/proc/${pid}/stat`, 'utf8')
        .replace(/^.*\) /s, '')
        .split(' ')
      return Number(ofGroup) === group ? [state] : []
    } catch {
      return []
    }
  })

const START_MS = 60_000
const CONTROL_MS = 30_000
/** When nobody holds the other end of its input any more, all of the group ends. */
const endsWithUs = '"$0" & cat; kill -9 -$$'

const ends: (() => Promise<unknown>)[] = []
afterAll(async () => {
  for (const end of ends) await end()
}, 60_000)
