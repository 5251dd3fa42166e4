// A connection to Redis that never makes anybody wait for it: what cannot be said at once fails at once, and whoever asked goes on without.
import { Redis } from 'ioredis'

export type { Redis }

export type RedisLimits = {
  /** An answer that takes longer is no help to a request that wants to be quick. */
  readonly commandMs: number
  readonly connectMs: number
  /** Silence after which a connection with questions open is given up, and made anew. */
  readonly silenceMs: number
  /** The longest wait before a lost connection is made again. */
  readonly reconnectMs: number
}

export const openRedis = ({
  url,
  limits,
  onBroken,
}: {
  readonly url: string
  readonly limits: RedisLimits
  readonly onBroken: (error: Error) => void
}): Redis => {
  const redis = new Redis(url, {
    // Without a connection there is no queue to wait in: it would grow for as long as Redis is away.
    enableOfflineQueue: false,
    enableAutoPipelining: true,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    commandTimeout: limits.commandMs,
    connectTimeout: limits.connectMs,
    socketTimeout: limits.silenceMs,
    retryStrategy: (times) => Math.min(times * 100, limits.reconnectMs),
  })
  // Without a listener, an error of the connection would end the process.
  redis.on('error', onBroken)
  return redis
}

export type Asking = {
  /** Nothing, at once: it is left alone for now. Nothing, later: it has just failed. Never rejects. */
  ask<Answer>(question: () => Promise<Answer>): Promise<Answer | undefined> | undefined
}

/** Asks what may be away. When it has failed once, it is left alone for a while; then one question finds out for all whether it is back. */
export const patiently = ({
  awayMs,
  onFault,
  now = () => performance.now(),
}: {
  readonly awayMs: number
  /** Told once for each time that it goes, not once for each question. */
  readonly onFault: (error: unknown) => void
  readonly now?: () => number
}): Asking => {
  let awayUntil = 0
  let isAway = false

  const answerTo = async <Answer>(question: () => Promise<Answer>): Promise<Answer | undefined> => {
    try {
      const answer = await question()
      isAway = false
      awayUntil = 0
      return answer
    } catch (error) {
      awayUntil = now() + awayMs
      if (!isAway) onFault(error)
      isAway = true
      return undefined
    }
  }

  return {
    ask: (question) => {
      const at = now()
      if (at < awayUntil) return undefined
      if (isAway) awayUntil = at + awayMs
      return answerTo(question)
    },
  }
}
