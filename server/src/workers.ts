// Several processes of the same roles on one machine, behind one port: one that dies is replaced, and all are replaced one after the
// other, without a request that fails, when SIGHUP asks for it.
import cluster, { type Worker } from 'node:cluster'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from './platform/log.ts'

export type WorkersDeps = {
  readonly count: number
  /** What each is started with: the program's own words, and what it must find in its environment. */
  readonly args: readonly string[]
  readonly environment: Readonly<Record<string, string>>
  /** Waits before one that died is replaced: longer each time, up to the last. */
  readonly limits: { readonly firstWaitMs: number; readonly longestWaitMs: number; readonly steadyMs: number }
  readonly log: Pick<Logger, 'info' | 'warn' | 'error'>
}

export type Workers = {
  /** Resolves when all of them take requests. Rejects when one ends before it does. */
  start(): Promise<void>
  /** Replaces each by a new one, which takes requests before the old one is asked to end. */
  replace(): Promise<void>
  /** Asks all to end, and says whether all ended well. */
  stop(): Promise<boolean>
}

/** What a worker says when it takes requests. */
const READY = 'ready'
export const isWorker = (): boolean => cluster.isWorker
export const tellReady = (): void => void process.send?.(READY)

export const workers = ({ count, args, environment, limits, log }: WorkersDeps): Workers => {
  cluster.setupPrimary({ args: [...args] })
  const running = new Set<Worker>()
  let stopping = false
  let replacing = Promise.resolve()
  let waitMs = limits.firstWaitMs

  /** Starts one. Resolves when it takes requests; rejects when it ends before. */
  const begin = async (): Promise<Worker> => {
    const worker = cluster.fork(environment)
    running.add(worker)
    const ended = once(worker, 'exit').then(() => running.delete(worker))
    const isReady = await Promise.race([said(worker), ended.then(() => false)])
    if (!isReady) throw new Error('a worker ended before it took requests; what it said stands above')
    const readyAt = performance.now()
    void ended.then(() => {
      if (stopping || worker.exitedAfterDisconnect || asked.has(worker)) return
      if (performance.now() - readyAt > limits.steadyMs) waitMs = limits.firstWaitMs
      log.error({ worker: worker.process.pid, code: worker.process.exitCode, signal: worker.process.signalCode }, 'a worker died; another one takes its place')
      void another()
    })
    return worker
  }
  const another = async (): Promise<void> => {
    while (!stopping) {
      await sleep(waitMs)
      waitMs = Math.min(waitMs * 2, limits.longestWaitMs)
      if (stopping) return
      try {
        await begin()
        return
      } catch (error) {
        log.error({ err: error }, 'a worker did not start; it is tried again')
      }
    }
  }
  /** Those that were asked to end. */
  const asked = new Set<Worker>()
  const end = async (worker: Worker): Promise<boolean> => {
    asked.add(worker)
    if (worker.isDead()) return true
    const gone = once(worker, 'exit')
    worker.process.kill('SIGTERM')
    const [code] = await gone
    return code === 0
  }

  return {
    start: async () => {
      await Promise.all(Array.from({ length: count }, begin))
      log.info({ workers: count }, 'all workers take requests')
    },
    replace: () =>
      (replacing = replacing.then(async () => {
        for (const old of [...running].filter((worker) => !asked.has(worker))) {
          if (stopping) return
          await begin()
          await end(old)
        }
        log.info({ workers: running.size }, 'all workers have been replaced')
      })).catch((error: unknown) => log.error({ err: error }, 'the workers could not all be replaced; those that were there go on')),
    stop: async () => {
      stopping = true
      return (await Promise.all(Array.from(running, end))).every(Boolean)
    },
  }
}

const said = async (worker: Worker): Promise<boolean> => {
  for (;;) {
    const [message] = (await once(worker, 'message')) as [unknown]
    if (message === READY) return true
  }
}
