// Where everything is made and joined, in the order in which it starts. It is stopped in the reverse of that. A process starts
// what its roles need, and what it makes besides connects to nothing.
import { hostname } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { allOperations, importRow, type Operation } from '@holdfast/contract'
import type { Config } from './config.ts'
import { deferral } from './deferral.ts'
import { dispatcher } from './dispatch.ts'
import type { Uuid } from './domain/ids.ts'
import { commandGate } from './gateway/command-gate.ts'
import { problemBody } from './gateway/problem.ts'
import { memoryCounter, rateLimits, redisCounter } from './gateway/rate-limit.ts'
import { rowReader } from './gateway/rows.ts'
import { buildGateway, serveMetrics } from './gateway/server.ts'
import { remoteRole, type RemoteRole } from './inside/client.ts'
import { inside } from './inside/server.ts'
import { memoryBus } from './messaging/memory-bus.ts'
import { parking } from './messaging/parking.ts'
import { rabbit } from './messaging/rabbit.ts'
import { rabbitBus } from './messaging/rabbit-bus.ts'
import { commandQueues, leadsSomewhere, leadsTo, rabbitCommands, type CommandQueue } from './messaging/rabbit-commands.ts'
import { lifecycle } from './platform/lifecycle.ts'
import { limits } from './platform/limits.ts'
import type { Logger } from './platform/log.ts'
import { openMetrics } from './platform/metrics.ts'
import { uuidV7 } from './platform/random.ts'
import { openRedis, type Redis } from './platform/redis.ts'
import { keysOfDirectory, secretBox } from './platform/secret-box.ts'
import { allRoles, commandRoles, rolesElsewhere, urlVariable, type Role } from './roles.ts'
import { sparingly, timesBefore } from './platform/sparingly.ts'
import { identity, makeFirstOnes, type FirstOnes } from './services/identity/identity.ts'
import { commands } from './services/commands/commands.ts'
import { commandSender } from './services/commands/send.ts'
import { parkedMessages } from './services/commands/parked-messages.ts'
import { inventory } from './services/inventory/inventory.ts'
import { askOverHttp } from './services/monitor/ask-over-http.ts'
import { monitor } from './services/monitor/monitor.ts'
import type { Probe } from './services/monitor/probe.ts'
import { relay } from './services/relay/relay.ts'
import type { Service } from './services/service.ts'
import { timers } from './services/timers/timers.ts'
import { webhooks } from './services/webhooks/webhooks.ts'
import { keepStock, type Stock } from './stock.ts'
import type { Backlog } from './storage/backlog.ts'
import { databaseIdentity } from './storage/database-identity.ts'
import { isPassing } from './storage/fault.ts'
import { makeMonths } from './storage/months.ts'
import { GivenUp, outliving } from './storage/outage.ts'
import { parkMessage } from './storage/parked-messages.ts'
import { openPool, type Pool } from './storage/pool.ts'

export type App = {
  /** Starts every part and listens. Answers where, and what a first start has made. */
  start(): Promise<{ readonly url: string; readonly first: FirstOnes }>
  /**
   * Takes nothing new, finishes what is under way, and says whether every part stopped in its time. One that lingers first tells
   * whoever sends requests here, and gives them the time to send them elsewhere. Asked again, it is the same stop.
   */
  stop(how: { readonly lingers: boolean }): Promise<boolean>
}

export type AppDeps = {
  readonly config: Config
  readonly roles: ReadonlySet<Role>
  readonly databaseUrl: string
  /** Whether no other process can use it: we have started it, for ourselves. */
  readonly ownDatabase: boolean
  readonly log: Logger
}

export const app = ({ config, roles, databaseUrl, ownDatabase, log }: AppDeps): App => {
  const metrics = openMetrics()
  const parts = lifecycle({ log })
  const onFault = (part: string) => sparingly((error, before) => log.warn({ err: error, part, ...timesBefore(before) }, 'something failed and is tried again'))
  const has = (...some: readonly Role[]): boolean => some.some((role) => roles.has(role))

  /** Told when a connection to the database breaks: it may have gone, and what is remembered of stock be old. */
  let onDatabaseBroken: () => void = () => undefined
  const pool = (name: string, size: number, options: { readonly pipeline?: boolean; readonly statementTimeoutMs?: number } = {}): Pool => {
    const tellBroken = sparingly((error, before) => log.warn({ err: error, pool: name, ...timesBefore(before) }, 'a connection to the database broke'))
    const opened = openPool({
      url: databaseUrl,
      size,
      statementTimeoutMs: limits.database.statementMs,
      lockTimeoutMs: limits.database.lockMs,
      applicationName: `holdfast-${name}`,
      onBroken: (error) => {
        onDatabaseBroken()
        tellBroken(error)
      },
      ...options,
    })
    const metric = name.replace('-', '_')
    metrics.gauge(`database_${metric}_connections`, 'Connections that are open.', () => opened.totalCount)
    metrics.gauge(`database_${metric}_waiting`, 'Requests that wait for a connection.', () => opened.waitingCount)
    parts.started({ name: `${name} connections`, stop: () => opened.end(), stopMs: limits.lifecycle.stopMs })
    return opened
  }
  const openRedisAt = (url: string): Redis => {
    const opened = openRedis({ url, limits: limits.redis, onBroken: (error) => log.debug({ err: error }, 'the connection to Redis broke') })
    parts.started({ name: 'Redis', stop: async () => opened.disconnect(), stopMs: limits.lifecycle.stopMs })
    return opened
  }
  // A pool opens no connection before it is asked for one.
  const readPool = pool('read', config.database.poolSize)
  const lookUpPool = pool('look-up', limits.database.lookUpPool)
  const backgroundPool = pool('background', limits.database.backgroundPool)

  const redis = config.redisUrl === undefined || !has('gateway', 'inventory', 'monitor') ? undefined : openRedisAt(config.redisUrl)
  // A database of our own stands in a directory of our own, and the key beside it. Whoever brings a database brings the key, too.
  const secretKeys = config.secretKeys ?? (config.database.url === undefined ? keysOfDirectory(config.dataDir) : undefined)

  const openRabbit = (urls: readonly string[]) => {
    const { prefix } = config.amqp
    const onRabbitFault = onFault('RabbitMQ')
    const broker = rabbit({ urls, prefix, consumers: ['webhooks'], commands: commandQueues, limits: limits.rabbit, onFault: onRabbitFault })
    metrics.gauge('rabbitmq_up', 'Whether RabbitMQ takes messages from this process, and it consumes.', () => (broker.isUp() ? 1 : 0))
    metrics.gauge('rabbitmq_reconnections_total', 'Connections to RabbitMQ that were made again.', broker.reconnections)
    metrics.gauge('rabbitmq_unconfirmed', 'Messages that were sent, and that RabbitMQ has not confirmed yet.', broker.unconfirmed)
    return {
      ...broker,
      bus: rabbitBus({ rabbit: broker, isPassing, park, limits: limits.rabbit, onFault: onRabbitFault }),
      commands: rabbitCommands({ rabbit: broker, prefix, limits: limits.rabbit, onFault: onRabbitFault }),
    }
  }
  const park = parking({
    keep: (parked) => parkMessage(backgroundPool, parked),
    isPassing,
    limits: limits.rabbit,
    onDropped: (error, what) => log.error({ err: error, what }, 'a message was dropped: it cannot be parked'),
  })
  const broker = config.amqp.urls && openRabbit(config.amqp.urls)
  const bus = broker?.bus ?? memoryBus()
  // Without a broker the bus is this process's memory: the relay would find nobody listening, and forget what happened.
  if (broker === undefined && has('relay') !== has('webhooks'))
    throw new Error('relay and webhooks run in one process, or in several with a broker between them: set AMQP_URL')
  if (broker === undefined && roles.size < allRoles.length && has(...commandRoles)) throw new Error('commands come from a broker: set AMQP_URL')

  /** What tells databases apart that share one Redis; known once we have started. */
  let databaseName: string | undefined
  const stock = has('inventory', 'timers')
    ? keepStock({
        readPool,
        lookUpPool,
        ledgerPool: pool('ledger', limits.database.ledgerPool, { pipeline: true, statementTimeoutMs: limits.database.batchStatementMs }),
        prepare: config.database.prepare,
        cache: config.cache,
        // Of what other processes do we hear through the broker, while it is there. A database of our own is ours alone.
        isHeard: () => ownDatabase || broker?.isUp() === true,
        redis,
        databaseName: () => databaseName,
        metrics,
        onFault,
      })
    : undefined
  if (stock !== undefined) onDatabaseBroken = stock.availability.unsure

  // Whoever lets callers in knows them by itself: to ask another process for each request would make that one the door.
  const who = identity({
    pool: readPool,
    lookUps: lookUpPool,
    limits: limits.identity,
    registration: config.registration,
    staleMs: config.cache.staleSeconds * 1_000,
    onFault: onFault('identity'),
  })
  const gate = commandGate({
    operations: allOperations,
    identify: who.identify,
    keys: [...config.inside.serviceKeys, ...(secretKeys ?? []).map((key) => key.toString('base64'))],
    limits: limits.gateway,
    ageMs: limits.rabbit.commandAgeMs,
  })
  const makeCommands = (from: NonNullable<typeof broker>, queue: CommandQueue) => {
    const name = `commands_${queue}`
    const counted = {
      done: metrics.counter(`${name}_done_total`, `Commands from the queue of ${queue} that were done.`),
      refused: metrics.counter(`${name}_refused_total`, `Commands from the queue of ${queue} that were refused, to whoever had sent them.`),
      parked: metrics.counter(`${name}_parked_total`, `Commands from the queue of ${queue} that were parked.`),
    }
    return commands({
      queue,
      commands: from.commands,
      check: (delivery) => gate.check(delivery, (operation) => leadsTo(queue, operation)),
      dispatch: (operation, input, call) => dispatch(operation, input, call),
      problemOf: problemBody,
      park,
      state: from.state,
      limits: limits.rabbit,
      onFault: onFault(`commands of ${queue}`),
      onDone: (outcome) => counted[outcome].add(1),
    })
  }
  const makeParkedMessages = () => {
    let parked = Number.NaN
    metrics.gauge('messages_parked', `Messages that nobody could take, and that nobody has sent again; ${limits.rabbit.counted} at most.`, () => parked)
    return parkedMessages({
      pool: readPool,
      commands: broker?.commands,
      headersFor: gate.headersFor,
      senderOf: (delivery) => gate.check(delivery, leadsSomewhere),
      park,
      limits: limits.rabbit,
      onFault: onFault('parked messages'),
      onCount: (count) => void (parked = count),
    })
  }

  const makeInventory = ({ ledger, catalog, readLevels, availability }: Stock) =>
    inventory({
      ledger,
      pool: readPool,
      catalog,
      readLevels,
      readAvailability: availability.read,
      newId: () => uuidV7() as Uuid, // made as one
      ttl: { defaultSeconds: config.holds.defaultTtlSeconds, longestSeconds: config.holds.maxTtlSeconds },
      nextExpiryLimits: limits.nextExpiry,
      wait: sleep,
      imports: { limits: limits.imports, rows: rowReader(importRow, limits.gateway), onFault: onFault('imports') },
    })
  const makeWebhooks = () => {
    const attempts = {
      delivered: metrics.counter('webhook_attempts_delivered_total', 'Attempts to deliver a webhook that the receiver took.'),
      failed: metrics.counter('webhook_attempts_failed_total', 'Attempts to deliver a webhook that failed.'),
    }
    const hooks = webhooks({
      readPool,
      pool: pool('webhook', limits.database.webhookPool),
      bus,
      dispatch: (operation, input, call) => dispatch(operation, input, call),
      box: secretKeys && secretBox(secretKeys),
      ...config.webhooks,
      limits: limits.webhooks,
      onFault: onFault('webhooks'),
      onAttempt: (delivered) => attempts[delivered ? 'delivered' : 'failed'].add(1),
    })
    metrics.gauge('webhook_attempts_under_way', 'Webhooks that are being sent.', hooks.underWay)
    return hooks
  }
  const makeTimers = ({ ledger }: Stock) => {
    /** Of the database, so every process tells the same. Nothing while that could not be found out. */
    let backlog: Backlog | undefined
    const waits = (name: string, help: string, of: keyof Backlog) => metrics.gauge(name, help, () => backlog?.[of] ?? Number.NaN)
    waits('outbox_oldest_seconds', 'How long the oldest event that was not told yet has waited.', 'outboxSeconds')
    waits('webhook_deliveries_pending', `Deliveries to be made, and to be tried again, of enabled endpoints; ${limits.timers.counted} at most.`, 'deliveries')
    waits('webhook_deliveries_overdue_seconds', 'How long the delivery that has been due for longest has waited.', 'overdueSeconds')
    waits('imports_running', 'Imports that a process works on.', 'importsRunning')
    waits('imports_left', 'Imports that broke off, and wait for their sender to come back.', 'importsLeft')
    waits('sessions_open', 'Sessions of people who are signed in.', 'sessions')
    return timers({
      pool: backgroundPool,
      ledger,
      limits: limits.timers,
      sessionIdleMs: limits.identity.sessionIdleMs,
      onBacklog: (found) => void (backlog = found),
      onFault: onFault('timers'),
    })
  }
  /** Every process of every role that is known here: this one, and those whose addresses were said. */
  const probes = (): readonly Probe[] =>
    allRoles.flatMap((role) => [
      ...(has(role) && (broker !== undefined || !commandRoles.some((name) => name === role))
        ? [{ role, where: 'this process', ask: async () => statesOf(roles, services) }]
        : []),
      ...(serviceKey === undefined ? [] : urls[role].map((url) => ({ role, where: url, ask: askOverHttp(url, serviceKey) }))),
    ])
  const makeMonitor = () => {
    /** Nothing until this process has verified the books. */
    let violations: number | undefined
    const watching = monitor({
      probes: probes(),
      pool: pool('monitor', limits.monitor.pool, { statementTimeoutMs: limits.monitor.statementMs }),
      verifyPool: pool('verify', limits.monitor.verification.pool, { statementTimeoutMs: limits.monitor.verification.statementMs }),
      redis,
      rabbitmq:
        config.rabbitmqManagementUrl === undefined ? undefined : { url: config.rabbitmqManagementUrl, prefix: config.amqp.prefix, connection: broker?.state },
      limits: limits.monitor,
      onFault: onFault('monitor'),
      onVerified: (verification) => void (violations = verification.violations.length),
    })
    metrics.gauges('component_state', 'How each component does, as the monitor sees it: 0 up, 1 degraded, 2 down.', 'component', () =>
      watching.standing().map(({ name, state }): [string, number] => [name, { up: 0, degraded: 1, down: 2 }[state]]),
    )
    metrics.gauge(
      'verification_violations',
      'Places where the books do not agree, as the last verification of this process found.',
      () => violations ?? Number.NaN,
    )
    return watching
  }
  const { serviceKeys, urls } = config.inside
  const [serviceKey] = serviceKeys
  /** What runs here, in the order in which it starts. */
  const services: readonly Service[] = [
    ...(has('identity', 'gateway', ...commandRoles) ? [who] : []),
    ...(stock && has('inventory') ? [makeInventory(stock), makeParkedMessages()] : []),
    ...(broker && has('item-commands') ? [makeCommands(broker, 'items')] : []),
    ...(broker && has('stock-commands') ? [makeCommands(broker, 'stock')] : []),
    ...(broker && has('order-commands') ? [makeCommands(broker, 'orders')] : []),
    // Before the relay: what it finds nobody listening to is gone.
    ...(has('webhooks') ? [makeWebhooks()] : []),
    ...(has('relay') ? [relay({ pool: backgroundPool, bus, limits: limits.relay, onFault: onFault('relay') })] : []),
    ...(stock && has('timers') ? [makeTimers(stock)] : []),
    ...(has('monitor') ? [makeMonitor()] : []),
  ]

  const remotes = new Map<Operation['service'], RemoteRole>()
  for (const role of rolesElsewhere(roles)) {
    if (urls[role].length === 0 || serviceKey === undefined)
      throw new Error(`${role} is asked by ${[...roles].join(', ')} and does not run here: say in ${urlVariable(role)} where it is`)
    const remote = remoteRole({ role, urls: urls[role], serviceKey, limits: limits.inside, onFault: onFault(`calls of ${role}`) })
    parts.started({ name: `connections to ${role}`, stop: () => remote.stop(), stopMs: limits.lifecycle.stopMs })
    remotes.set(role, remote)
  }
  const { dispatch, handlerOf } = dispatcher({
    services: services.filter((service) => service !== who || has('identity')),
    elsewhere: (role) => {
      const remote = remotes.get(role)
      return remote && (role === 'identity' ? askIdentity(remote) : remote.ask)
    },
  })
  /** What was ended there is not remembered here: a key that was revoked through this process is refused by it at once. */
  const askIdentity =
    (remote: RemoteRole): RemoteRole['ask'] =>
    async (operation, input, call) => {
      const answer = await remote.ask(operation, input, call)
      if (operation.method !== 'GET' && operation.scope !== 'anyone') who.forget()
      return answer
    }

  let ready = false
  const makeGateway = () => {
    const memory = memoryCounter(limits.rateLimit)
    const rates = rateLimits({
      counter: redis === undefined ? memory : redisCounter({ redis, memory, awayMs: limits.rateLimit.redisAwayMs, onFault: onFault('rate limits') }),
      callers: config.edge.rate,
      addresses: config.edge.addressRate,
      rates: limits.rateLimit.rates,
    })
    const kept = metrics.counter('operations_kept_total', 'Operations that were kept by the broker while the database was away.')
    const later =
      broker &&
      deferral({
        send: commandSender({ commands: broker.commands, headersFor: gate.headersFor }).send,
        onDeferred: () => kept.add(1),
        onFault: onFault('what is kept for later'),
      })
    return buildGateway({
      dispatch,
      defer: later?.defer,
      identify: who.identify,
      identifySession: who.identifySession,
      log,
      metrics,
      ready: () => ready,
      limits: limits.gateway,
      logRequests: config.log.requests,
      rates,
      corsOrigins: config.edge.corsOrigins,
      trustedProxies: config.edge.trustedProxies,
    })
  }
  const gateway = has('gateway') ? makeGateway() : undefined
  const insidePort = config.inside.port ?? (gateway === undefined ? config.port : undefined)
  if (insidePort !== undefined && serviceKey === undefined) throw new Error('HOLDFAST_SERVICE_KEY is needed where roles run in several processes')
  const answering =
    insidePort === undefined || serviceKey === undefined
      ? undefined
      : inside({
          handlerOf,
          ready: () => ready,
          state: () => ({
            process: `${hostname()}:${process.pid}`,
            roles: ready ? statesOf(roles, services) : Array.from(roles, (name) => ({ name, ...NOT_READY })),
          }),
          metrics,
          serviceKeys,
          limits: limits.inside,
          log,
        })

  const stop = async ({ lingers }: { readonly lingers: boolean }): Promise<boolean> => {
    over.abort()
    gateway?.drain()
    answering?.drain()
    if (ready && lingers) await sleep(config.lingerSeconds * 1_000)
    ready = false
    return parts.stop()
  }
  let stopping: Promise<boolean> | undefined
  const over = new AbortController()

  return {
    start: async () => {
      const outage = outliving({ ...limits.lifecycle.outage, over: over.signal, onFault: onFault('start') })
      await outage.again(() => makeMonths(backgroundPool, limits.timers.monthsAhead))
      databaseName = await outage.again(() => databaseIdentity(backgroundPool))
      if (stock && has('inventory')) {
        const stopListening = bus.overhear(stock.availability.overhearer)
        parts.started({ name: 'what others tell of stock', stop: stopListening, stopMs: limits.lifecycle.stopMs })
      }
      if (stock) parts.started({ name: 'ledger', stop: () => stock.ledger.stop(), stopMs: limits.lifecycle.stopMs })
      if (broker !== undefined) {
        broker.start()
        parts.started({ name: 'RabbitMQ', stop: () => broker.stop(), stopMs: limits.lifecycle.stopMs })
      }
      for (const service of services) {
        await outage.again(() => service.start())
        parts.started({ name: service.name, stop: () => service.stop(), stopMs: limits.lifecycle.stopMs })
      }
      if (config.metricsPort !== undefined) {
        const metricsServer = await serveMetrics(metrics, { host: config.host, port: config.metricsPort, portSetting: 'HOLDFAST_METRICS_PORT' })
        parts.started({ name: 'metrics', stop: () => metricsServer.stop(), stopMs: limits.lifecycle.stopMs })
      }
      const listening: string[] = []
      if (answering !== undefined) {
        const where =
          config.inside.port === undefined
            ? { host: config.host }
            : { host: config.inside.host, hostSetting: 'HOLDFAST_INTERNAL_HOST', portSetting: 'HOLDFAST_INTERNAL_PORT' }
        listening.push((await answering.start({ ...where, port: insidePort ?? 0 })).url)
        parts.started({ name: 'calls of other roles', stop: () => answering.stop(), stopMs: limits.inside.drainMs + limits.lifecycle.stopMs })
      }
      if (gateway !== undefined) {
        listening.unshift((await gateway.start({ host: config.host, port: config.port })).url)
        parts.started({ name: 'gateway', stop: () => gateway.stop(), stopMs: limits.gateway.drainMs + limits.lifecycle.stopMs })
      }
      // Last: what is made here is shown once, and a start that fails before (the port is taken) would have shown it to nobody.
      const first = await outage.once(async () => (has('identity') ? makeFirstOnes(readPool, config.firstStart) : {}))
      if (over.signal.aborted) throw new GivenUp()
      ready = true
      return { url: listening[0] ?? '', first }
    },
    stop: (how) => (stopping ??= stop(how)),
  }
}

const statesOf = (roles: ReadonlySet<Role>, services: readonly Service[]) =>
  Array.from(roles, (name) => ({ name, ...(services.find((service) => service.name === name)?.state?.() ?? UP) }))
const UP = { state: 'up', why: null } as const
const NOT_READY = { state: 'down', why: 'it is starting, or about to end' } as const
