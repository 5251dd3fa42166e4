// Which pages of other origins may ask from within a browser. None, unless they are named; and never with cookies.
import type { FastifyReply, FastifyRequest } from 'fastify'

export type Cors = {
  /** Lets the page read the answer. True when the request was a preflight and has been answered. */
  greet(request: FastifyRequest, reply: FastifyReply): boolean
}

/** Nothing when no origin is named. */
export const corsFor = (origins: readonly string[]): Cors | undefined => {
  if (origins.length === 0) return undefined
  const allowed = new Set(origins)
  return {
    greet: (request, reply) => {
      // Also for those who are not let in: a shared cache must not give one origin's answer to another.
      reply.header('vary', 'Origin')
      const { origin, 'access-control-request-method': wanted } = request.headers
      if (origin === undefined || !allowed.has(origin)) return false
      reply.header('access-control-allow-origin', origin)
      if (request.method !== 'OPTIONS' || wanted === undefined) {
        reply.header('access-control-expose-headers', EXPOSED)
        return false
      }
      reply.headers({ 'access-control-allow-methods': METHODS, 'access-control-allow-headers': TAKEN, 'access-control-max-age': MAX_AGE_SECONDS })
      reply.code(204).send()
      return true
    },
  }
}

const METHODS = 'GET, HEAD, POST, PATCH, DELETE'
/** What a caller may send. */
const TAKEN = 'Authorization, Content-Type, Accept, Idempotency-Key, Request-Id, Last-Event-ID, Prefer'
/** What a client in a browser has to read of an answer besides its body. */
const EXPOSED =
  'Request-Id, Stock-Sequence, Idempotent-Replayed, RateLimit, RateLimit-Policy, Retry-After, Content-Disposition, Deprecation, Sunset, Link, Warning, Age, Allow, WWW-Authenticate'
/** Chromium remembers for two hours at most. */
const MAX_AGE_SECONDS = 7_200
