// How often somebody may ask: so many requests in a window, for each key, each person, and each address that nobody is known behind.
import type { FastifyReply, FastifyRequest } from 'fastify'
import { LRUCache } from 'lru-cache'
import { patiently, type Redis } from '../platform/redis.ts'
import { anyone, type Caller } from '../services/service.ts'
import { addressOf, networkOf } from './origin.ts'
import { Refused } from './problem.ts'
import { asError } from '../platform/error.ts'

export type Rate = { readonly limit: number; readonly windowSeconds: number }

/** How many there were in a subject's window with this one, and when the window ends. */
export type Counted = { readonly count: number; readonly endsInMs: number }
export type Counter = { add(subject: string, windowMs: number): Counted | Promise<Counted> }

export type RateLimits = {
  /** Takes one from what the caller has left and says so in the answer; refuses when nothing is left. Unlimited keys cost a comparison. */
  take(request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void): void
  /** Whoever was turned away at the door is counted by address: answers the refusal that they get instead, once there were too many. */
  turnedAway(request: FastifyRequest, reply: FastifyReply): Promise<Refused | undefined>
}

export type RateOptions = {
  readonly counter: Counter
  /** For keys that have no rate of their own, and for people. */
  readonly callers: Rate | 'unlimited'
  readonly addresses: Rate | 'unlimited'
  /** Kinds of limits whose headers are remembered. */
  readonly rates: number
}

type Kind = 'key' | 'person' | 'address'
type Subject = { readonly kind: Kind; readonly name: string; readonly rate: Rate | 'unlimited' }

export const rateLimits = ({ counter, callers, addresses, rates }: RateOptions): RateLimits => {
  const policies = new LRUCache<string, string>({ max: rates })
  const policyOf = (kind: Kind, { limit, windowSeconds }: Rate): string => {
    const name = `${kind}/${limit}/${windowSeconds}`
    let policy = policies.get(name)
    if (policy === undefined) policies.set(name, (policy = `"${kind}";q=${limit};w=${windowSeconds}`))
    return policy
  }

  const count = (subject: Subject, rate: Rate): Counted | Promise<Counted> => counter.add(`${subject.kind}:${subject.name}`, rate.windowSeconds * 1_000)

  /** Says in the answer what is left, and answers the refusal when it is less than nothing. */
  const judge = (reply: FastifyReply, { kind }: Subject, rate: Rate, counted: Counted): Refused | undefined => {
    const seconds = Math.max(1, Math.ceil(counted.endsInMs / 1_000))
    reply.header('ratelimit-policy', policyOf(kind, rate))
    reply.header('ratelimit', `"${kind}";r=${Math.max(0, rate.limit - counted.count)};t=${seconds}`)
    if (counted.count <= rate.limit) return undefined
    return new Refused({
      code: 'rate_limited',
      detail: `This ${kind} may make ${rate.limit} requests in ${rate.windowSeconds} s, and has made them; it may make more in ${seconds} s.`,
      retryAfterSeconds: seconds,
    })
  }

  const subjectOf = (caller: Caller, request: FastifyRequest): Subject => {
    const { person, rate = callers, principal } = caller
    if (person !== undefined) return { kind: 'person', name: person.id, rate }
    return caller === anyone ? addressSubject(request) : { kind: 'key', name: principal, rate }
  }
  const addressSubject = (request: FastifyRequest): Subject => ({ kind: 'address', name: networkOf(addressOf(request)), rate: addresses })

  return {
    take: (request, reply, done) => {
      const { caller } = request
      if (caller === null || caller.rate === 'unlimited') return done()
      const subject = subjectOf(caller, request)
      const { rate } = subject
      if (rate === 'unlimited') return done()
      const counted = count(subject, rate)
      if (counted instanceof Promise) void takeLater(counted, (later) => judge(reply, subject, rate, later), done)
      else done(judge(reply, subject, rate, counted))
    },
    turnedAway: async (request, reply) => {
      const subject = addressSubject(request)
      return subject.rate === 'unlimited' ? undefined : judge(reply, subject, subject.rate, await count(subject, subject.rate))
    },
  }
}

const takeLater = async (counted: Promise<Counted>, judge: (counted: Counted) => Refused | undefined, done: (error?: Error) => void): Promise<void> => {
  let refused: Error | undefined
  try {
    refused = judge(await counted)
  } catch (error) {
    refused = asError(error)
  }
  done(refused)
}

export type MemoryCounterOptions = {
  /** Subjects counted at a time; the one not seen for longest is forgotten, and begins anew. */ readonly subjects: number
  readonly now?: () => number
}

/** For one process. */
export const memoryCounter = ({ subjects, now = () => performance.now() }: MemoryCounterOptions): { add(subject: string, windowMs: number): Counted } => {
  const windows = new LRUCache<string, { count: number; readonly endsAt: number }>({ max: subjects })
  return {
    add: (subject, windowMs) => {
      const at = now()
      let window = windows.get(subject)
      if (window === undefined || window.endsAt <= at) windows.set(subject, (window = { count: 0, endsAt: at + windowMs }))
      window.count += 1
      return { count: window.count, endsInMs: window.endsAt - at }
    },
  }
}

export type RedisCounterOptions = {
  readonly redis: Pick<Redis, 'eval'>
  /** Counts while Redis does not: away, hung or full, it keeps nobody out and nobody waiting. */
  readonly memory: Counter
  /** After it has failed once, Redis is left alone for so long; then one request asks it again, for all. */
  readonly awayMs: number
  readonly onFault: (error: unknown) => void
  readonly now?: () => number
}

/** For several processes together. */
export const redisCounter = ({ redis, memory, ...patience }: RedisCounterOptions): Counter => {
  const { ask } = patiently(patience)
  const counted = async (asked: Promise<unknown>, subject: string, windowMs: number): Promise<Counted> => {
    const answer = (await asked) as readonly [number, number] | undefined // what the script returns
    return answer === undefined ? memory.add(subject, windowMs) : { count: answer[0], endsInMs: answer[1] }
  }
  return {
    add: (subject, windowMs) => {
      const asked = ask(() => redis.eval(COUNT, 1, `holdfast:rate:${subject}`, windowMs))
      return asked === undefined ? memory.add(subject, windowMs) : counted(asked, subject, windowMs)
    },
  }
}

/** A window that lost its end would never begin anew. */
const COUNT = `
local count = redis.call('incr', KEYS[1])
local ends = redis.call('pttl', KEYS[1])
if ends < 0 then
  redis.call('pexpire', KEYS[1], ARGV[1])
  ends = tonumber(ARGV[1])
end
return { count, ends }`
