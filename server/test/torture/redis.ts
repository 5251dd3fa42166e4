// A Redis of the run's own, which may be wiped, hung or killed at any time.
import { Redis } from 'ioredis'
import { freePort } from '../support/free-port.ts'
import { hasProgram } from './programs.ts'
import { until } from '../support/until.ts'
import { child, type Child } from './child.ts'

export const hasRedis = hasProgram('redis-server')

export type OwnRedis = { readonly port: number; readonly child: Child; start(): Promise<void>; wipe(): Promise<void>; stop(): Promise<void> }

export const ownRedis = async (logFile: string): Promise<OwnRedis> => {
  const port = await freePort()
  const server = child({
    name: 'redis',
    command: 'redis-server',
    args: ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'],
    env: { PATH: process.env['PATH'] ?? '' },
    logFile,
  })
  const withRedis = async <Result>(ask: (redis: Redis) => Promise<Result>): Promise<Result> => {
    const redis = new Redis({ port, host: '127.0.0.1', lazyConnect: true, retryStrategy: null, commandTimeout: 2_000, connectTimeout: 2_000 })
    redis.on('error', () => undefined)
    try {
      await redis.connect()
      return await ask(redis)
    } finally {
      redis.disconnect()
    }
  }
  return {
    port,
    child: server,
    start: async () => {
      server.start()
      await until('Redis answers', () => withRedis(async (redis) => (await redis.ping()) === 'PONG').catch(() => false))
    },
    // It may be away just now, and then there is nothing in it.
    wipe: () => withRedis(async (redis) => void (await redis.flushall())).catch(() => undefined),
    stop: async () => void (await server.end('SIGTERM', 5_000)),
  }
}
