// One who asks until the answer is definite: the same request under the same key, each time at another gateway.
import { setTimeout as sleep } from 'node:timers/promises'
import { Pool } from 'undici'
import type { Random } from '../simulation/random.ts'
import { isKept, type Attempt, type History, type Operation } from './history.ts'
import { API_KEY } from './stack.ts'

export type Wish = Omit<Operation, 'i' | 'attempts'> & { readonly method: 'GET' | 'POST' }

export type Caller = {
  /** Asks until it knows. Answers the last attempt; one that is still `unknown` was the last of many. */
  ask(wish: Wish): Promise<{ readonly operation: Operation; readonly last: Attempt }>
  underWay(): number
  /** How long an answer takes, lately, in milliseconds. */
  latencyMs(): number
  close(): Promise<void>
}

const TRIES = 12
/** A caller that has heard nothing for so long does not know, and asks another gateway. */
const PATIENCE_MS = 5_000
const CONNECT_MS = 1_000
const FIRST_WAIT_MS = 50
const LONGEST_WAIT_MS = 3_000
const CONNECTIONS = 256
/** Who did not even take a connection is left alone for so long, if there is another. */
const AWAY_MS = 300
/** Of those who are told that it is kept for later, so many ask again. The others believe it, and go away. */
const DOUBTS = 0.5

export const caller = ({ history, gateways, random }: { history: History; gateways: readonly { name: string; url: string }[]; random: Random }): Caller => {
  const pools = gateways.map(({ name, url }) => ({
    name,
    awayUntilMs: 0,
    pool: new Pool(url, { connections: CONNECTIONS, connectTimeout: CONNECT_MS, headersTimeout: PATIENCE_MS, bodyTimeout: PATIENCE_MS }),
  }))
  let underWay = 0
  let latencyMs = 10
  let next = 0

  /** In turn, but for those that are away. */
  const nextPool = () => {
    for (let tried = 1; ; tried += 1) {
      const found = pools[next++ % pools.length]
      if (found === undefined) throw new Error('nobody can be asked')
      if (found.awayUntilMs <= performance.now() || tried >= pools.length) return found
    }
  }

  const attempt = async (operation: Operation, { method }: Wish, gateway: (typeof pools)[number]): Promise<Attempt> => {
    const { name, pool } = gateway
    const one = history.began(operation, name)
    const { path, body } = operation.args
    const sent = performance.now()
    try {
      const response = await pool.request({
        method,
        path,
        headers: {
          authorization: `Bearer ${API_KEY}`,
          'request-id': one.requestId,
          ...(operation.key === null ? {} : { 'idempotency-key': operation.key }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(PATIENCE_MS),
      })
      const text = await response.body.text()
      const parsed = jsonOf(text)
      const sequence = response.headers['stock-sequence']
      latencyMs += (performance.now() - sent - latencyMs) / 16
      history.ended(operation, one, {
        outcome: outcomeOf(response.statusCode, parsed),
        status: response.statusCode,
        body: parsed,
        sequence: typeof sequence === 'string' ? Number(sequence) : null,
        replayed: response.headers['idempotent-replayed'] === 'true',
      })
    } catch (error) {
      if (messageOf(error) === 'ECONNREFUSED') gateway.awayUntilMs = performance.now() + AWAY_MS
      history.ended(operation, one, { outcome: 'unknown', status: null, body: { lost: messageOf(error) }, sequence: null, replayed: false })
    }
    return one
  }

  return {
    ask: async (wish) => {
      const { method: _, ...asked } = wish
      const operation = history.add(asked)
      underWay += 1
      try {
        for (let number = 1; ; number += 1) {
          const last = await attempt(operation, wish, nextPool())
          if (last.outcome !== 'unknown' || number === TRIES || (isKept(last) && !random.chance(DOUBTS))) return { operation, last }
          await sleep(random.fraction() * Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** number))
        }
      } finally {
        underWay -= 1
      }
    },
    underWay: () => underWay,
    latencyMs: () => latencyMs,
    close: async () => void (await Promise.all(pools.map(({ pool }) => pool.destroy()))),
  }
}

/** Definite is what Holdfast itself has said for good. */
const outcomeOf = (status: number, body: unknown): Attempt['outcome'] => {
  // What became of it is told to whoever asks again.
  if (isKept({ status })) return 'unknown'
  if (status >= 200 && status < 300 && body !== undefined) return 'ok'
  if (status < 400 || status >= 500 || status === 429 || status === 408) return 'unknown'
  const code = (body as { code?: string } | undefined)?.code // a problem's
  return code === undefined || code === 'idempotency_key_in_use' ? 'unknown' : 'fail'
}

const jsonOf = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const messageOf = (error: unknown): string =>
  error instanceof Error ? ('code' in error && typeof error.code === 'string' ? error.code : error.message) : String(error)
