// One operation, one route: who asks → may they → is it well formed → dispatch → answer. Nothing here knows what is asked.
import type { Socket } from 'node:net'
import { accepted as acceptedSchema, type Operation, type RejectionCode } from '@holdfast/contract'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { GatewayLimits } from '../platform/limits.ts'
import type { Logger } from '../platform/log.ts'
import type { Metrics } from '../platform/metrics.ts'
import { anyone, type Accepted, type Answer, type Call, type Caller, type Refusal } from '../services/service.ts'
import type { Admission } from './admission.ts'
import { admitted, identityAway, keyIn, wrongKey, type Identify } from './authenticate.ts'
import { deprecationHeaders } from './deprecation.ts'
import { formatOf, isExportable, type Exports } from './export.ts'
import { addressOf } from './origin.ts'
import { problemBody, PROBLEM_TYPE, Refused, statusOf } from './problem.ts'
import { queryReaderOf } from './query.ts'
import type { RateLimits } from './rate-limit.ts'
import { checkSameOrigin, sessionIn, setSession, wrongSession } from './session.ts'
import { serializable } from './serialize.ts'
import type { Streams } from './stream.ts'
import { uploadOf } from './upload.ts'
import { bodyMayBeMissing, validatorOf } from './validate.ts'
import { asError } from '../platform/error.ts'

/** Runs an operation, here or where it is served. `input` has been checked against the operation's schemas. */
export type Dispatch = (operation: Operation, input: OperationInput, call: Call) => Promise<Answer<unknown>>
export type OperationInput = { readonly params: unknown; readonly query: unknown; readonly body: unknown }

/** Keeps what need not be decided, to be done later. Nothing: it must be decided now, or cannot be kept. */
export type Defer = (operation: Operation, input: OperationInput, call: Call) => Promise<Accepted | undefined>

export type RouteDeps = {
  readonly dispatch: Dispatch
  /** Asked when what an operation needs is away. Without it, everything is refused then. */
  readonly defer?: Defer | undefined
  readonly identify: Identify
  readonly identifySession: Identify
  readonly log: Logger
  readonly metrics: Metrics
  readonly limits: GatewayLimits
  /** Every request is logged, not only those that failed or were slow. */
  readonly logRequests: boolean
  readonly streams: Streams
  readonly exports: Exports
  readonly load: Load
  /** Nothing: whoever may ask may ask as often as they like. */
  readonly rates?: RateLimits | undefined
  readonly uploading: WeakSet<Socket>
  /** Told when it could not be found out whose a key is, or a session. */
  readonly keyUnchecked: (error: unknown, requestId: string) => void
}

/** What is under way in this process. When it drains, connections are closed as they are answered; when it ends, long work is cut short. */
export type Load = {
  readonly gate: Admission
  draining: boolean
  ending: boolean
  /** Slow requests within this second. */
  slowLines: number
}

declare module 'fastify' {
  interface FastifyRequest {
    caller: Caller | null
    /** The code of the refusal that was answered, for the log. */
    refused: RejectionCode | null
    /** A whole list is being answered, for as long as its reader takes. */
    isExport: boolean
  }
}

export const addRoute = (app: FastifyInstance, operation: Operation, deps: RouteDeps): void => {
  const { dispatch, defer, identify, identifySession, log, metrics, limits, logRequests, streams, exports, load, rates, keyUnchecked } = deps
  const validate = validatorOf(operation, limits)
  const readQuery = queryReaderOf(operation)
  const takesKey = operation.method === 'POST'
  const changes = operation.method !== 'GET'
  const counted = metrics.operation(operation.name)

  const admit = (request: FastifyRequest, _reply: FastifyReply, done: (error?: Error) => void): void => {
    // The cheapest checks come first, so that what is turned away has cost little.
    if (load.gate.isFull()) return done(TOO_BUSY)
    let caller: ReturnType<Identify>
    let unknown = wrongKey
    try {
      checkAddress(request.raw.url ?? '', limits.urlBytes)
      if (operation.scope === 'anyone') {
        // Signed in as somebody else without knowing it, one would work for them.
        if (changes) checkSameOrigin(request, { needsProof: false })
        request.caller = anyone
        return done()
      }
      const token = sessionIn(request)
      if (token === undefined) caller = identify(keyIn(request.headers.authorization))
      else {
        if (changes) checkSameOrigin(request, { needsProof: true })
        unknown = wrongSession
        caller = identifySession(token)
      }
      if (!(caller instanceof Promise)) request.caller = admitted(caller, operation, unknown)
    } catch (error) {
      return done(asError(error))
    }
    if (caller instanceof Promise) void admitLater(caller, request, unknown, done)
    else done()
  }

  /**
   * Whether whoever was let in would be let in now. What takes long asks again and again: a key that was revoked, a session that was
   * ended and a role that was taken away end it as they end everything else. When that cannot be found out, it goes on.
   */
  const isStillAdmitted = async (request: FastifyRequest): Promise<boolean> => {
    if (operation.scope === 'anyone') return true
    const token = sessionIn(request)
    try {
      const caller = token === undefined ? identify(keyIn(request.headers.authorization)) : identifySession(token)
      const { locations } = admitted(await checkedKey(Promise.resolve(caller), request.id), operation)
      return isSame(locations, request.caller?.locations ?? null)
    } catch (error) {
      return error instanceof Refused && error.refusal.code === 'unavailable'
    }
  }

  /** The key or the session has to be looked up first. */
  const admitLater = async (
    caller: Promise<Caller | undefined>,
    request: FastifyRequest,
    unknown: typeof wrongKey,
    done: (error?: Error) => void,
  ): Promise<void> => {
    try {
      request.caller = admitted(await checkedKey(caller, request.id), operation, unknown)
    } catch (error) {
      return done(asError(error))
    }
    done()
  }
  const checkedKey = async (caller: Promise<Caller | undefined>, requestId: string): Promise<Caller | undefined> => {
    try {
      return await caller
    } catch (error) {
      keyUnchecked(error, requestId)
      throw identityAway()
    }
  }

  const inputOf = (request: FastifyRequest): OperationInput => {
    // The framework reads a query as a record of texts and lists of texts.
    const query = readQuery(request.query as Record<string, unknown>)
    return { params: request.params, query, body: request.body === undefined && bodyMayBeMissing(operation) ? NO_BODY : request.body }
  }

  /** The caller's key, checked; refusals name it together with everything else that is wrong. */
  const checked = (input: OperationInput, key: string | undefined, { raw }: FastifyRequest): void => {
    const faults = validate(input)
    const badKey = key === undefined ? undefined : keyFault(key, raw, limits.idempotencyKeyCharacters)
    if (faults !== undefined || badKey !== undefined) {
      const errors = [...(badKey === undefined ? [] : [{ param: 'Idempotency-Key', message: badKey }]), ...(faults ?? [])]
      throw new Refused({ code: 'invalid_request', detail: summaryOf(errors), errors })
    }
    if (key === undefined && operation.movesStock && !isDryRun(input.query)) {
      throw new Refused({
        code: 'idempotency_key_required',
        detail: `${operation.name} moves stock: send an Idempotency-Key, and the same one when you send the request again.`,
      })
    }
  }

  const handle = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const input = inputOf(request)
    const key = takesKey ? keyOf(request) : undefined
    checked(input, key, request)
    const call = callOf(request, key, limits.answerMs)
    const format = exportable ? formatOf(request, input) : undefined
    if (format !== undefined)
      return exports.send(request, reply, {
        operation,
        format,
        input,
        ask: async (page, signal) => ((await isStillAdmitted(request)) ? counting(page, { ...call, signal }) : NO_LONGER),
        serialize: serializerOf(reply, operation.status),
        refuse: (refusal) => refuse(request, reply, refusal, deps),
      })
    const answer = operation.bodyTypes === undefined ? await counting(input, call) : await dispatch(operation, uploaded(request, reply, input), call)
    if (isUnavailable(answer) && defer !== undefined && operation.deferrable) {
      const accepted = await defer(operation, input, call)
      if (accepted !== undefined) return (load.draining ? reply.header('connection', 'close') : reply).code(202).send(accepted)
    }
    return answered(request, reply, answer, operation, deps)
  }
  const exportable = isExportable(operation)

  /** A file is as long as its sender likes, and says nothing about how late we are; how many come at once has a bound of its own. */
  const uploaded = (request: FastifyRequest, reply: FastifyReply, input: OperationInput): OperationInput => {
    const body = uploadOf(request, reply, { ...deps, isStillAdmitted: () => isStillAdmitted(request) })
    if (load.gate.isFull()) throw TOO_BUSY
    return { ...input, body }
  }

  /** Asks, as one of those that are under way. */
  const counting = async (input: OperationInput, call: Call): Promise<Answer<unknown>> => {
    const { gate } = load
    if (gate.isFull()) throw TOO_BUSY
    gate.began()
    const from = performance.now()
    try {
      return await dispatch(operation, input, call)
    } finally {
      gate.ended(performance.now() - from)
    }
  }

  const follow = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const input = resumed(inputOf(request), request.headers['last-event-id'])
    checked(input, undefined, request)
    return streams.follow(request, reply, (signal) => dispatch(operation, input, { ...callOf(request, undefined, limits.answerMs), signal }), {
      refuse: (refusal) => refuse(request, reply, refusal, deps),
      serialize: serializerOf(reply, operation.status),
      isStillAdmitted: () => isStillAdmitted(request),
    })
  }

  const record = (request: FastifyRequest, reply: FastifyReply, done: () => void): void => {
    done()
    const ms = reply.elapsedTime
    // A stream's length is its reader's choice and says nothing about how fast we are.
    const isLong = operation.streams === true || request.isExport || operation.bodyTypes !== undefined
    if (!isLong) counted.observe(reply.statusCode, ms / 1_000)
    // What is shed or cannot be reached is counted; a line for each would cost more than the answer did.
    const failed = reply.statusCode >= 500 && reply.statusCode !== 503
    const slow = ms > limits.slowMs && !isLong
    if (slow && !failed) load.slowLines += 1
    if (!failed && !(slow && load.slowLines <= limits.slowLines) && !logRequests) return
    const facts = {
      requestId: request.id,
      operation: operation.name,
      principal: request.caller?.principal,
      status: reply.statusCode,
      code: request.refused ?? undefined,
      ms: Math.round(ms),
    }
    if (failed) log.warn(facts, 'a request failed')
    else if (slow) log.warn(facts, 'a request was slow')
    else log.info(facts, 'request')
  }

  const farewell = deprecationHeaders(operation)
  const sayFarewell = (_request: FastifyRequest, reply: FastifyReply, done: () => void): void => {
    if (farewell !== undefined) reply.headers(farewell)
    done()
  }

  app.route({
    method: operation.method,
    url: operation.path.replaceAll(/\{(\w+)\}/g, ':$1'),
    exposeHeadRoute: operation.method === 'GET' && !operation.streams,
    schema: { response: { [operation.status]: serializable(operation.output), ...(operation.deferrable ? { 202: serializable(acceptedSchema) } : {}) } },
    onRequest: [...(farewell === undefined ? [] : [sayFarewell]), admit, ...(rates === undefined ? [] : [rates.take])],
    onResponse: record,
    handler: operation.streams ? follow : handle,
  })
}

/** Answers a problem. */
export const refuse = (request: FastifyRequest, reply: FastifyReply, refusal: Refusal, { limits, load }: Pick<RouteDeps, 'limits' | 'load'>): FastifyReply => {
  const status = statusOf(refusal.code)
  request.refused = refusal.code
  const wait = refusal.retryAfterSeconds ?? (status === 429 || status === 503 ? limits.retryAfterSeconds : undefined)
  if (wait !== undefined) reply.header('retry-after', wait)
  if (load.draining) reply.header('connection', 'close')
  return reply.code(status).header('content-type', PROBLEM_TYPE).send(problemBody(refusal, request.id))
}

const answered = (request: FastifyRequest, reply: FastifyReply, answer: Answer<unknown>, { status }: Operation, deps: RouteDeps): FastifyReply => {
  if (answer.replayed) reply.header('idempotent-replayed', 'true')
  if (!answer.ok) return refuse(request, reply, answer.refusal, deps)
  if (deps.load.draining) reply.header('connection', 'close')
  if (answer.sequence !== undefined) reply.header('stock-sequence', answer.sequence)
  if (answer.stale !== undefined) reply.header('warning', '110 - "Response is Stale"').header('age', answer.stale.ageSeconds)
  if (answer.session !== undefined) setSession(request, reply, answer.session)
  return reply.code(status).send(answer.body)
}

const callOf = (request: FastifyRequest, idempotencyKey: string | undefined, answerMs: number): Call => {
  const { caller, id: requestId } = request
  if (caller === null) throw new Error('a request reached its handler without a caller')
  const deadline = performance.now() + answerMs
  const origin = { address: addressOf(request), userAgent: request.headers['user-agent'] ?? null }
  return idempotencyKey === undefined ? { caller, requestId, origin, deadline } : { caller, requestId, origin, deadline, idempotencyKey }
}

const keyOf = (request: FastifyRequest): string | undefined => {
  const key = request.headers['idempotency-key']
  return Array.isArray(key) ? key.join(', ') : key
}

/** The route's own, from its schema. */
const serializerOf = (reply: FastifyReply, status: number) => {
  const serialize: ((event: Record<string, unknown>) => string) | undefined = reply.getSerializationFunction(String(status))
  if (serialize === undefined) throw new Error(`a stream has no serializer for ${status}`)
  return serialize
}

const keyFault = (key: string, raw: FastifyRequest['raw'], longest: number): string | undefined => {
  if (key.length > longest || !/^[\x20-\x7e]+$/.test(key)) return `must be 1 to ${longest} printable ASCII characters`
  // Two keys have been joined by Node. Whoever asks again with one of them would not find what was done under both.
  const isJoined = key.includes(', ') && (raw.headersDistinct['idempotency-key']?.length ?? 1) > 1
  return isJoined ? 'must be sent once' : undefined
}

const isDryRun = (query: unknown): boolean => (query as { readonly dry_run?: unknown }).dry_run === true // a query is a record

const summaryOf = (errors: readonly { readonly param: string; readonly message: string }[]): string => {
  const [first] = errors
  if (first === undefined) return 'The request is not well formed.'
  const said = `${first.param === '' ? 'The body' : first.param} ${first.message}`
  return errors.length === 1 ? said : `${said}, and ${errors.length - 1} more`
}

/** A reader that lost its connection says how far it had got; that is newer than what stood in its address. */
const resumed = (input: OperationInput, lastEventId: string | string[] | undefined): OperationInput => {
  if (typeof lastEventId !== 'string' || lastEventId === '') return input
  if (!/^\d{1,15}$/.test(lastEventId))
    throw new Refused({
      code: 'invalid_request',
      detail: 'Last-Event-ID must be the sequence of an event.',
      errors: [{ param: 'Last-Event-ID', message: 'must be a whole number' }],
    })
  return { ...input, query: { ...(input.query as object), after_sequence: Number(lastEventId) } } // a query is a record
}

export const checkAddress = (url: string, longest: number): void => {
  if (url.length > longest) throw new Refused({ code: 'payload_too_large', detail: `The address is longer than ${longest} characters.` })
  if (url.includes('%00')) throw new Refused({ code: 'invalid_request', detail: 'The address contains the character NUL.' })
}

/** Made once: where an error was made takes longer to find out than it takes to answer, and this one is answered when there is no time. */
const TOO_BUSY = new Refused({
  code: 'overloaded',
  detail: 'More requests are under way than can be answered in good time; nothing was done, try again.',
})

const isUnavailable = (answer: Answer<unknown>): boolean => !answer.ok && answer.refusal.code === 'unavailable'

const isSame = (one: Caller['locations'], other: Caller['locations']): boolean =>
  one === null || other === null ? one === other : one.size === other.size && [...one].every((code) => other.has(code))

/** What a handler is given where the body may be left out, and was. */
const NO_BODY = Object.freeze({})

const NO_LONGER: Answer<never> = { ok: false, refusal: { code: 'unauthenticated', detail: 'Whoever asked may no longer ask.' } }
