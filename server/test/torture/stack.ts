// The whole of Holdfast as it runs, and everything below it: real processes, each of which may be broken at any time. What has
// died is started again.
import { randomBytes } from 'node:crypto'
import { appendFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '../support/free-port.ts'
import { until } from '../support/until.ts'
import { child, endsWithUs, type Child } from './child.ts'
import { faultProxy, type FaultProxy } from './fault-proxy.ts'
import { startOwnPostgres, type Postgres } from './postgres.ts'
import { hasRedis, ownRedis, type OwnRedis } from './redis.ts'
import { ownRabbit, type OwnRabbit } from './rabbitmq.ts'

export type Topology = 'single' | 'roles'

/** A process of Holdfast's. */
export type Node = {
  readonly name: string
  readonly child: Child
  /** Where callers ask; nothing for those behind the gateway. */
  readonly url: string | undefined
  /** Whether it answers that it may have traffic. */
  isReady(): Promise<boolean>
  /** It is down on purpose, and comes back when its fault is over. */
  held: boolean
  /** Ends that nobody asked for. */
  crashes: string[]
}
/** A line between two programs, that may be broken. */
export type Line = { readonly name: string; readonly kind: 'database' | 'cache' | 'broker' | 'roles'; readonly proxy: FaultProxy }

export type Stack = {
  readonly nodes: readonly Node[]
  readonly gateways: readonly Node[]
  readonly lines: readonly Line[]
  readonly postgres: Postgres
  readonly redis: OwnRedis | undefined
  readonly rabbit: OwnRabbit | undefined
  /** Everything runs, and nothing is broken any more. */
  heal(): Promise<void>
  /** The processes of Holdfast end in good order; the database goes on. */
  stopNodes(): Promise<void>
  stop(): Promise<void>
}

export type StackOptions = {
  /** The root of the sources that are run: those of this repository, or a copy with a bug in it. */
  readonly root: string
  readonly directory: string
  readonly logs: string
  readonly topology: Topology
  /** Of those that do everything. */
  readonly processes: number
  readonly amqp: boolean
  readonly faketime: string | undefined
  readonly random: () => number
}

export const API_KEY = 'hf_for-torture-only-0123456789abcdefghij'
const RESTART_MS = 100
const READY_MS = 60_000
const END_MS = 30_000

type Spec = { readonly name: string; readonly roles: readonly string[]; readonly isGateway?: true }

/** Which processes there are, and what each does. They start in this order: keys are made before anybody is let in by them. */
const processesOf = ({ topology, processes, amqp }: Pick<StackOptions, 'topology' | 'processes' | 'amqp'>): readonly Spec[] =>
  topology === 'single'
    ? Array.from({ length: processes }, (_, index) => ({ name: `holdfast-${index + 1}`, roles: [], isGateway: true }))
    : [
        { name: 'identity', roles: ['identity'] },
        { name: 'inventory-1', roles: ['inventory'] },
        { name: 'inventory-2', roles: ['inventory'] },
        // A bus in memory reaches no further than its process.
        ...(amqp
          ? [
              { name: 'webhooks', roles: ['webhooks'] },
              { name: 'relay', roles: ['relay'] },
              { name: 'commands', roles: ['item-commands', 'stock-commands', 'order-commands'] },
            ]
          : [{ name: 'webhooks', roles: ['webhooks', 'relay'] }]),
        { name: 'timers', roles: ['timers'] },
        { name: 'monitor', roles: ['monitor'] },
        { name: 'gateway-1', roles: ['gateway'], isGateway: true },
        { name: 'gateway-2', roles: ['gateway'], isGateway: true },
      ]

export const startStack = async ({ root, directory, logs, topology, processes, amqp, faketime, random }: StackOptions): Promise<Stack> => {
  const lines: Line[] = []
  const logOf = (name: string) => join(logs, `${name}.log`)
  const lineTo = async (name: string, kind: Line['kind'], port: number): Promise<number> => {
    const proxy = await faultProxy({ target: { host: '127.0.0.1', port }, random })
    lines.push({ name, kind, proxy })
    return proxy.port
  }

  const postgres = await startOwnPostgres({ directory, logFile: logOf('postgres'), faketime })
  const redis = hasRedis ? await ownRedis(logOf('redis')) : undefined
  const rabbit = amqp ? await ownRabbit(join(directory, 'rabbitmq'), logOf('rabbitmq')) : undefined
  await Promise.all([postgres.start(), redis?.start(), rabbit?.start()])

  const shared = {
    PATH: process.env['PATH'] ?? '',
    HOLDFAST_DATA_DIR: directory,
    HOLDFAST_API_KEY: API_KEY,
    HOLDFAST_SECRET_KEY: randomBytes(32).toString('base64'),
    // High enough for everything here, and low enough to be counted.
    HOLDFAST_RATE_LIMIT: '1000000/1s',
    HOLDFAST_ADDRESS_RATE_LIMIT: '1000000/1s',
    HOLDFAST_WEBHOOKS_ALLOW_HTTP: 'true',
    HOLDFAST_WEBHOOKS_ALLOW_PRIVATE: '127.0.0.0/8',
    HOLDFAST_LOG_LEVEL: 'warn',
    // Processes are started again and again, and most of that time is reading the same sources.
    NODE_COMPILE_CACHE: join(directory, 'compiled'),
    ...(redis === undefined ? {} : { REDIS_URL: `redis://127.0.0.1:${await lineTo('to redis', 'cache', redis.port)}/0` }),
    ...(rabbit === undefined ? {} : { AMQP_URL: `amqp://guest:guest@127.0.0.1:${await lineTo('to rabbitmq', 'broker', rabbit.port)}` }),
  }
  const made = await Promise.all(
    processesOf({ topology, processes, amqp }).map(async (spec) => ({ ...spec, port: await freePort(), inside: await freePort() })),
  )
  const roles: Record<string, string> = {}
  if (topology === 'roles') {
    roles['HOLDFAST_SERVICE_KEY'] = randomBytes(32).toString('base64url')
    const urls = new Map<string, string[]>()
    for (const { name, roles: own, isGateway, port } of made) {
      if (isGateway) continue
      const at = await lineTo(`to ${name}`, 'roles', port)
      for (const role of own) urls.set(role, [...(urls.get(role) ?? []), `http://127.0.0.1:${at}`])
    }
    for (const [role, at] of urls) roles[`HOLDFAST_${role.toUpperCase().replaceAll('-', '_')}_URL`] = at.join(',')
  }

  const nodes: Node[] = []
  let ending = false
  for (const { name, roles: own, isGateway, port, inside } of made) {
    const others = Object.fromEntries(Object.entries(roles).filter(([variable]) => !own.some((role) => variable === variableOf(role))))
    const running = child({
      name,
      command: process.execPath,
      args: ['--import', endsWithUs, join(root, 'server/src/main.ts'), 'serve', ...(own.length === 0 ? [] : [own.join(',')])],
      env: {
        ...shared,
        ...others,
        DATABASE_URL: postgres.url(await lineTo(databaseLineOf(name), 'database', postgres.port)),
        PORT: String(port),
        ...(topology === 'roles' && isGateway === true ? { HOLDFAST_INTERNAL_PORT: String(inside) } : {}),
      },
      logFile: logOf(name),
      cwd: root,
    })
    const node: Node = {
      name,
      child: running,
      url: isGateway === true ? `http://127.0.0.1:${port}` : undefined,
      held: false,
      crashes: [],
      isReady: async () => {
        try {
          const answer = await fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(2_000) })
          await answer.body?.cancel()
          return answer.ok
        } catch {
          return false
        }
      },
    }
    running.onEnd((code, signal) => {
      const said = lastLines(logOf(name))
      appendFileSync(logOf(name), `${name} ended with ${code ?? signal}\n`)
      if (ending || node.held) return
      if (signal !== 'SIGKILL') node.crashes.push(`${name} ended by itself with ${code ?? signal}, and said at last: ${said.trim().split('\n').at(-1)}`)
      void sleep(RESTART_MS).then(() => {
        if (!ending && !node.held && running.pid() === undefined) running.start()
      })
    })
    nodes.push(node)
  }
  // It ends in good order, and leaves what it has compiled to those that will not.
  await untilEnded(
    child({ name: 'help', command: process.execPath, args: [join(root, 'server/src/main.ts'), 'help'], env: shared, logFile: logOf('help'), cwd: root }),
  )
  // One after the other: the first one makes the tables.
  for (const node of nodes) {
    node.child.start()
    await until(`${node.name} is ready`, node.isReady, { withinMs: READY_MS })
  }

  const stopNodes = async () => {
    ending = true
    await Promise.all(nodes.map((node) => node.child.end('SIGTERM', END_MS)))
  }
  return {
    nodes,
    gateways: nodes.filter((node) => node.url !== undefined),
    lines,
    postgres,
    redis,
    rabbit,
    heal: async () => {
      for (const { proxy } of lines) proxy.heal()
      for (const node of nodes) {
        node.child.signal('SIGCONT')
        node.held = false
        if (node.child.pid() === undefined) node.child.start()
      }
      for (const node of nodes) await until(`${node.name} is ready again`, node.isReady, { withinMs: READY_MS })
    },
    stopNodes,
    stop: async () => {
      for (const { proxy } of lines) proxy.heal()
      await stopNodes()
      await Promise.all([postgres.stop(), redis?.stop(), rabbit?.stop()])
      await Promise.all(lines.map(({ proxy }) => proxy.close()))
    },
  }
}

const untilEnded = async (one: Child): Promise<void> => {
  one.start()
  await one.gone()
}

/** What was said since the end before. */
const lastLines = (file: string): string =>
  readFileSync(file, 'utf8')
    .split(/^\S+ ended with .*$/m)
    .at(-1) ?? ''

/** Each process has a line of its own to the database. */
export const databaseLineOf = (node: string): string => `${node} to the database`

const variableOf = (role: string) => `HOLDFAST_${role.toUpperCase().replaceAll('-', '_')}_URL`
