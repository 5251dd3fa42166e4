// The edge: an HTTP server with a route for every operation of the table, and the pages that tell of them and of its health.
import { createServer, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { allOperations, type Operation } from '@holdfast/contract'
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { GatewayLimits } from '../platform/limits.ts'
import { asError } from '../platform/error.ts'
import { watchLoop } from '../platform/event-loop.ts'
import { cannotListen, listen, type Where } from '../platform/listen.ts'
import type { Logger } from '../platform/log.ts'
import type { Metrics } from '../platform/metrics.ts'
import { randomWord } from '../platform/random.ts'
import { sparingly, timesBefore } from '../platform/sparingly.ts'
import type { Refusal } from '../services/service.ts'
import { admission } from './admission.ts'
import { keyIn, identityAway, wrongKey, type Identify } from './authenticate.ts'
import { corsFor } from './cors.ts'
import { docsPages } from './docs-page.ts'
import { openExports } from './export.ts'
import { readJson } from './json.ts'
import { openApi } from './openapi.ts'
import { problemBody, PROBLEM_TYPE, Refused, refusalOf, statusOf } from './problem.ts'
import type { RateLimits } from './rate-limit.ts'
import { dataHeaders, STRICT_TRANSPORT } from './security-headers.ts'
import { answerSerializer } from './serialize.ts'
import { addRoute, checkAddress, refuse, type Defer, type Dispatch, type Load, type RouteDeps } from './route.ts'
import { openStreams } from './stream.ts'
import { checkCharset, hearOut } from './upload.ts'

export type GatewayDeps = {
  readonly dispatch: Dispatch
  /** Without it, nothing is kept for later. */
  readonly defer?: Defer | undefined
  readonly identify: Identify
  readonly identifySession: Identify
  readonly log: Logger
  readonly metrics: Metrics
  /** May this process be sent requests? */
  readonly ready: () => boolean
  readonly limits: GatewayLimits
  readonly logRequests?: boolean
  /** How often somebody may ask. Nothing: as often as they like. */
  readonly rates?: RateLimits | undefined
  /** Pages of these origins may ask from within a browser. */
  readonly corsOrigins?: readonly string[]
  /** What these say of whoever asked through them is believed. */
  readonly trustedProxies?: readonly string[]
  /** All of the table, except in tests. */
  readonly operations?: readonly Operation[]
}

export type Gateway = {
  readonly app: FastifyInstance
  /** Answers where it listens. */
  start(where: Where): Promise<{ readonly url: string }>
  /** Says goodbye with every answer, and to whoever asks whether it is ready. */
  drain(): void
  /** Takes no new connections, finishes what is under way, and ends what is not done in time. */
  stop(): Promise<void>
}

export const buildGateway = (deps: GatewayDeps): Gateway => {
  const { dispatch, defer, identify, identifySession, log, metrics, ready, limits, logRequests = false, operations = allOperations, rates } = deps
  const { corsOrigins = [], trustedProxies = [] } = deps
  const loop = watchLoop({ lookMs: limits.loopLookMs })
  const gate = admission(limits)
  const load: Load = { gate, draining: false, ending: false, slowLines: 0 }
  let lookedAt = performance.now()
  const looks = setInterval(() => {
    const at = performance.now()
    gate.look({ sinceMs: at - lookedAt, loopLagMs: loop.lagMs() })
    lookedAt = at
  }, limits.loopLookMs)
  looks.unref()
  const seconds = setInterval(() => {
    if (load.slowLines > limits.slowLines) log.warn({ requests: load.slowLines }, 'many requests were slow within a second; the first of them were told')
    load.slowLines = 0
  }, 1_000)
  seconds.unref()
  const cors = corsFor(corsOrigins)
  const streams = openStreams({ limits, log })
  const exports = openExports({ limits: limits.exports, log })
  /** Connections over which a file is being sent. */
  const uploading = new WeakSet<Socket>()

  const app = fastify({
    // Requests are logged by their routes: one line, and only when there is something to tell.
    logger: false,
    requestIdHeader: false,
    genReqId: requestIdOf,
    bodyLimit: limits.bodyBytes,
    requestTimeout: limits.requestMs,
    connectionTimeout: limits.silentMs,
    trustProxy: trustedProxies.length === 0 ? false : [...trustedProxies],
    keepAliveTimeout: limits.keepAliveMs,
    http: { headersTimeout: limits.headersMs, maxHeaderSize: limits.headerBytes, connectionsCheckingInterval: limits.connectionCheckMs },
    // While it drains, what still comes in over open connections is answered as ever, and the connection closed after it.
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: limits.urlBytes },
    frameworkErrors: (error, request, reply) => void failed(error, request, reply),
    clientErrorHandler: (error, socket) => {
      // A file may take longer to arrive than a request may. It has a clock of its own.
      if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT' && uploading.has(socket)) return
      refuseRaw(socket, error.code)
    },
  })
  app.server.maxConnections = limits.connections
  const sockets = new Set<Socket>()
  app.server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })

  app.setSerializerCompiler(({ schema }) => answerSerializer(schema as object)) // a schema that is written here is an object
  app.decorateRequest('caller', null)
  app.decorateRequest('refused', null)
  app.decorateRequest('isExport', false)
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(
    'application/json',
    { parseAs: 'buffer' },
    (request: FastifyRequest, bytes: Buffer, done: (error: Error | null, body?: unknown) => void) => {
      let body: unknown
      try {
        checkEncoding(request.headers['content-encoding'])
        body = bytes.length === 0 ? undefined : readJson(bytes, limits)
      } catch (error) {
        return done(asError(error))
      }
      done(null, body)
    },
  )

  const greet = (request: FastifyRequest, reply: FastifyReply): boolean => {
    reply.headers(dataHeaders)
    reply.header('request-id', request.id)
    if (trustedProxies.length > 0 && request.protocol === 'https') reply.header('strict-transport-security', STRICT_TRANSPORT)
    return cors?.greet(request, reply) ?? false
  }
  app.addHook('onRequest', (request, reply, done) => {
    if (!greet(request, reply)) done()
  })

  const failed = (error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const refusal = refusalOf(error, limits)
    if (refusal.code === 'internal_error')
      log.error({ err: error, requestId: request.id, method: request.method, route: request.routeOptions.url }, 'a defect ended a request')
    if (error instanceof Refused) reply.headers(error.headers)
    if (refusal.code === 'payload_too_large' && !request.raw.complete) {
      reply.removeHeader('connection')
      hearOut(request, reply, limits.lingerMs)
    }
    // From a route that was never found there are no headers yet.
    if (!reply.hasHeader('request-id') && greet(request, reply)) return reply
    return refuse(request, reply, refusal, { limits, load })
  }
  app.setErrorHandler(async (error, request, reply) => {
    const isTurnedAway = error instanceof Refused && (error.refusal.code === 'unauthenticated' || error.refusal.code === 'permission_denied')
    return failed((isTurnedAway && (await rates?.turnedAway(request, reply))) || error, request, reply)
  })

  const methodsAt = methodsByPath(operations)
  app.setNotFoundHandler((request, reply) => {
    const path = pathOf(request.raw.url ?? '/')
    try {
      checkAddress(request.raw.url ?? '/', limits.urlBytes)
    } catch (error) {
      return failed(error, request, reply)
    }
    const allowed = methodsAt(path)
    // A path of the right shape may still be nothing: there is no page for a problem that is none.
    if (allowed === undefined || allowed.split(', ').includes(request.method))
      return refuse(
        request,
        reply,
        { code: 'not_found', detail: `There is nothing at ${shown(path)}. What there is stands in /openapi.json and on /docs.` },
        { limits, load },
      )
    reply.header('allow', allowed)
    return refuse(request, reply, { code: 'method_not_allowed', detail: `${request.method} is not for ${shown(path)}; it takes ${allowed}.` }, { limits, load })
  })

  const keyUnchecked = sparingly((error, before, requestId: string) =>
    log.warn({ err: error, requestId, ...timesBefore(before) }, 'a key could not be checked'),
  )
  const routeDeps = { dispatch, defer, identify, identifySession, log, metrics, limits, logRequests, streams, exports, load, rates, uploading, keyUnchecked }
  for (const operation of operations) {
    if (operation.bodyTypes === undefined) addRoute(app, operation, routeDeps)
    else addUploadRoute(app, operation, routeDeps)
  }

  app.get('/healthz', (_request, reply) => reply.send({ status: 'alive' }))
  app.get('/readyz', (request, reply) =>
    !load.draining && ready()
      ? reply.send({ status: 'ready' })
      : refuse(
          request,
          reply,
          { code: 'unavailable', detail: load.draining ? 'This process is about to end.' : 'This process is not ready yet.' },
          { limits, load },
        ),
  )
  app.get(
    '/metrics',
    {
      // Any key will do: what is counted here is nobody's secret, and not everybody's business either.
      onRequest: async (request) => {
        const caller = await Promise.resolve(identify(keyIn(request.headers.authorization))).catch(() => Promise.reject(identityAway()))
        if (caller === undefined) throw wrongKey()
      },
    },
    async (_request, reply) => reply.type(metrics.contentType).send(await metrics.text()),
  )
  let document: string | undefined
  app.get('/openapi.json', (_request, reply) => {
    document ??= JSON.stringify(openApi(operations))
    return reply.header('cache-control', 'no-cache').type('application/json; charset=utf-8').send(document)
  })
  for (const page of docsPages(operations)) app.get(page.path, (_request, reply) => reply.headers(page.headers).send(page.html))

  metrics.gauge('requests_in_flight', 'Requests that are being answered.', () => gate.inFlight())
  metrics.gauge('requests_in_flight_most', 'As many as are taken at a time; fewer when they wait for each other.', () => gate.most())
  metrics.gauge('event_streams_open', 'Server-sent event streams that are open.', () => streams.open())

  metrics.gauge('exports_running', 'Whole lists that are being answered.', () => exports.running())
  metrics.gauge('event_loop_late_ms', 'How late the event loop is; new requests are shed above a limit.', () => loop.lagMs())

  const stop = async (): Promise<void> => {
    load.draining = true
    load.ending = true
    loop.stop()
    clearInterval(looks)
    clearInterval(seconds)
    const late = new AbortController()
    const closed = Promise.all([app.close(), streams.stop()]).then(() => late.abort())
    // Browsers open connections ahead of need. Node takes one that has said nothing yet for busy.
    for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy()
    await Promise.race([closed, sleep(limits.drainMs, undefined, { signal: late.signal }).catch(() => undefined)])
    if (!late.signal.aborted) {
      log.warn({ drainMs: limits.drainMs, inFlight: gate.inFlight() }, 'requests that were not done in time are cut off')
      app.server.closeAllConnections()
      await closed
    }
  }

  return {
    app,
    start: async (where) => {
      try {
        return { url: shownUrl(await app.listen({ host: where.host, port: where.port })) }
      } catch (error) {
        throw cannotListen(error, where)
      }
    },
    drain: () => void (load.draining = true),
    stop,
  }
}

/** With content types of its own: elsewhere, a file is refused as ever. Its handler reads the body itself. */
const addUploadRoute = (app: FastifyInstance, operation: Operation, deps: RouteDeps): void =>
  void app.register((inner, _options, done) => {
    inner.removeAllContentTypeParsers()
    inner.addContentTypeParser([...(operation.bodyTypes ?? [])], (request: FastifyRequest, _body: unknown, taken: (error: Error | null) => void) => {
      try {
        checkCharset(request.headers['content-type'] ?? '')
      } catch (error) {
        return taken(asError(error))
      }
      taken(null)
    })
    addRoute(inner, operation, deps)
    done()
  })

/** Metrics without a key, for a port that only the inside can reach. */
export const serveMetrics = async (metrics: Metrics, where: Where): Promise<{ readonly url: string; stop(): Promise<void> }> => {
  const server = createServer((request, response) => {
    if (request.method !== 'GET' || pathOf(request.url ?? '/') !== '/metrics') return void response.writeHead(404).end()
    metrics.text().then(
      (text) => response.writeHead(200, { 'content-type': metrics.contentType }).end(text),
      () => response.writeHead(500).end(),
    )
  })
  const url = await listen(server, where)
  return {
    url: `${url}/metrics`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** The caller's own id, when it is fit for a header and a log. */
const requestIdOf = ({ headers }: { readonly headers: Readonly<Record<string, string | string[] | undefined>> }): string => {
  const given = headers['request-id']
  return typeof given === 'string' && /^[A-Za-z0-9_.-]{8,128}$/.test(given) ? given : `req_${randomWord(REQUEST_ID_LETTERS)}`
}
/** 100 bits. */
const REQUEST_ID_LETTERS = 20

/** What is small as JSON need not be packed, and what unpacks to gigabytes must not be. */
const checkEncoding = (encoding: string | undefined): void => {
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity')
    throw new Refused({ code: 'unsupported_media_type', detail: `Bodies are sent as they are, not packed: leave out Content-Encoding: ${shown(encoding)}.` })
}

const pathOf = (url: string): string => url.split('?', 1)[0] ?? '/'
const shown = (path: string): string => (path.length > 200 ? `${path.slice(0, 200)}…` : path)
/** Listening everywhere is no place to go to; the machine itself is. */
const shownUrl = (url: string): string => url.replace('//0.0.0.0:', '//127.0.0.1:').replace('//[::]:', '//[::1]:')

/** Which methods a path takes; nothing when there is no such path. Only asked when no route was found. */
const methodsByPath = (operations: readonly Operation[]): ((path: string) => string | undefined) => {
  const shapes = new Map<string, { readonly shape: RegExp; readonly methods: Set<string> }>()
  const add = (path: string, method: string) => {
    let entry = shapes.get(path)
    if (entry === undefined)
      shapes.set(path, (entry = { shape: new RegExp(`^${path.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, '[^/]+')}$`), methods: new Set() }))
    entry.methods.add(method)
  }
  for (const { path, method, streams } of operations) {
    add(path, method)
    if (method === 'GET' && !streams) add(path, 'HEAD')
  }
  for (const path of ['/healthz', '/readyz', '/metrics', '/openapi.json', '/docs', '/docs/problems/{code}'])
    for (const method of ['GET', 'HEAD']) add(path, method)
  return (path) => {
    const methods = new Set<string>()
    for (const entry of shapes.values()) if (entry.shape.test(path)) for (const method of entry.methods) methods.add(method)
    return methods.size === 0 ? undefined : [...methods].toSorted().join(', ')
  }
}

const RAW_HEADERS = Object.entries(dataHeaders)
  .map(([name, value]) => `${name}: ${value}\r\n`)
  .join('')

/** What never became a request is answered by hand, and its connection closed. */
const refuseRaw = (socket: Socket, code: string | undefined): void => {
  if (code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
  const refusal: Refusal =
    code === 'HPE_HEADER_OVERFLOW'
      ? { code: 'payload_too_large', detail: 'The header of the request is too large.' }
      : code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? { code: 'invalid_request', detail: 'The request did not arrive in time.' }
        : { code: 'invalid_request', detail: 'This is not a request in HTTP/1.1.' }
  const status = statusOf(refusal.code)
  const id = `req_${randomWord(REQUEST_ID_LETTERS)}`
  const body = problemBody(refusal, id)
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Type: ${PROBLEM_TYPE}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n` +
      `Request-Id: ${id}\r\n${RAW_HEADERS}Connection: close\r\n\r\n${body}`,
  )
}
