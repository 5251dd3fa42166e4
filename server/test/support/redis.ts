// A Redis of a test's own, that can be stopped in the middle of a word.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { Redis } from 'ioredis'
import { onTestFinished } from 'vitest'
import { freePort } from './free-port.ts'
import { until } from './until.ts'

/** Where there is none, what needs one is left out, and says so. */
export const hasRedis = spawnSync('redis-server', ['--version']).status === 0

export type TestRedis = {
  readonly url: string
  /** It hangs: connections stay open, and nothing is answered. */
  pause(): void
  resume(): void
  flush(): Promise<void>
  keys(): Promise<string[]>
  kill(): Promise<void>
}

export const startRedis = async (): Promise<TestRedis> => {
  const port = await freePort()
  const child = spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'], { stdio: 'ignore' })
  const gone = once(child, 'exit')
  const kill = async () => {
    // A process that is stopped takes this signal all the same.
    child.kill('SIGKILL')
    await gone
  }
  const url = `redis://127.0.0.1:${port}`
  const mine = new Redis(url, { retryStrategy: () => 50 })
  mine.on('error', () => undefined)
  onTestFinished(async () => {
    mine.disconnect()
    await kill()
  })
  await until('Redis answers', async () => mine.status === 'ready' && (await mine.ping()) === 'PONG')
  return {
    url,
    pause: () => void child.kill('SIGSTOP'),
    resume: () => void child.kill('SIGCONT'),
    flush: async () => void (await mine.flushall()),
    keys: () => mine.keys('*'),
    kill,
  }
}
