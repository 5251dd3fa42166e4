// The session of a person: a cookie that only the browser sends. So whoever sends it must also have meant to: another site could
// make a browser ask here, with the cookie, and does not get through.
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { SessionChange } from '../services/service.ts'
import { Refused } from './problem.ts'

/** The token in the cookie, if there is one. Who sends a key asks with the key, whatever cookies come along. A longer one than ours is none. */
export const sessionIn = (request: FastifyRequest): string | undefined => {
  const { authorization, cookie } = request.headers
  if (authorization !== undefined || cookie === undefined) return undefined
  const name = cookieName(request)
  for (const pair of cookie.split(';')) {
    const at = pair.indexOf('=')
    if (at > 0 && pair.slice(0, at).trim() === name)
      return pair
        .slice(at + 1)
        .trim()
        .slice(0, LONGEST_TOKEN)
  }
  return undefined
}

/** Gives the browser the cookie of a session that has begun, or takes it away. */
export const setSession = (request: FastifyRequest, reply: FastifyReply, change: SessionChange): void => {
  const [value, maxAge] = change === 'ended' ? ['', 0] : [change.token, Math.floor(change.maxAgeSeconds)]
  reply.header('set-cookie', `${cookieName(request)}=${value}; Path=/; Max-Age=${maxAge}; HttpOnly; SameSite=Lax${isPlainLoopback(request) ? '' : '; Secure'}`)
}

/**
 * Refuses what a page of another site has made the browser ask. Every browser of the last years says so itself; of an older one
 * the origin must be exactly ours.
 * @param needsProof  true where a cookie speaks for the person: who sends neither header is then refused, too
 */
export const checkSameOrigin = (request: FastifyRequest, { needsProof }: { readonly needsProof: boolean }): void => {
  const { 'sec-fetch-site': site, origin } = request.headers
  if (site !== undefined) {
    if (site !== 'same-origin' && site !== 'none') throw fromElsewhere()
  } else if (origin !== undefined) {
    if (origin !== `${isPlainLoopback(request) ? 'http' : 'https'}://${request.host}`) throw fromElsewhere()
  } else if (needsProof) throw fromElsewhere()
}

export const wrongSession = (): Refused => new Refused({ code: 'unauthenticated', detail: 'The session has ended; sign in again.' })

/** A token of ours has 43 letters. */
const LONGEST_TOKEN = 100

/**
 * A cookie by this name is kept by browsers only over TLS, for this host alone, and cannot be set by another. Over plain http
 * they would drop it; so for someone who tries things out on their own machine there is the other one.
 */
const cookieName = (request: FastifyRequest): string => (isPlainLoopback(request) ? 'holdfast' : '__Host-holdfast')

/** Asked by a browser on this very machine, with nothing in between. */
const isPlainLoopback = ({ protocol, hostname, headers }: FastifyRequest): boolean =>
  protocol === 'http' &&
  headers['x-forwarded-for'] === undefined &&
  headers['x-forwarded-proto'] === undefined &&
  headers.forwarded === undefined &&
  /^(localhost|127(\.\d{1,3}){3}|\[::1\]|::1)$/.test(hostname)

const fromElsewhere = (): Refused =>
  new Refused({ code: 'permission_denied', detail: 'A session is only for pages of this very origin. Programs ask with a key in the Authorization header.' })
