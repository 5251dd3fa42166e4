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
