// Several processes of the same roles on one machine, behind one port: one that dies is replaced, and all are replaced one after the
// other, without a request that fails, when SIGHUP asks for it.
import cluster, { type Worker } from 'node:cluster'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from './platform/log.ts'

export type WorkersDeps = {
  readonly count: number
  /** What each is started with: the program's own words, and what it must find in its environment. */
  readonly args: readonly string[]
  readonly environment: Readonly<Record<string, string>>
  /** Waits before one that died is replaced: longer each time, up to the last. */
  readonly limits: { readonly firstWaitMs: number; readonly longestWaitMs: number; readonly steadyMs: number; readonly startMs: number; readonly endMs: number }
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

/** What a worker says when it takes requests, and what it is told when it is to end. */
const READY = 'ready'
const END = 'end'
export const isWorker = (): boolean => cluster.isWorker
export const tellReady = (): void => void process.send?.(READY)
/** Told by its primary, and not by a signal: service managers and terminals send theirs to every process of a group, and a second one ends at once. */
export const onEnd = (end: () => void): void => void process.on('message', (message) => message === END && end())

export const workers = ({ count, args, environment, limits, log }: WorkersDeps): Workers => {
  cluster.setupPrimary({ args: [...args] })
  const running = new Set<Worker>()
  /** Those that were asked to end, and what becomes of that. */
  const ending = new WeakMap<Worker, Promise<boolean>>()
  let stopping = false
  let replacing = Promise.resolve()
  let waitMs = limits.firstWaitMs

  /** Starts one. Resolves when it takes requests; rejects when it ends before, or does not come to it. */
  const begin = async (): Promise<void> => {
    const worker = cluster.fork(environment)
    running.add(worker)
    worker.on('error', (error) => log.error({ err: error, worker: worker.process.pid }, 'a worker could not be started or spoken to'))
    const ready = Promise.withResolvers<boolean>()
    worker.on('message', (message) => message === READY && ready.resolve(true))
    let readyAt: number | undefined
    worker.once('exit', (code: number | null, signal: string | null) => {
      running.delete(worker)
      ready.resolve(false)
      if (readyAt === undefined || stopping || ending.has(worker)) return
      if (performance.now() - readyAt > limits.steadyMs) waitMs = limits.firstWaitMs
      log.error({ worker: worker.process.pid, code, signal }, 'a worker died; another one takes its place')
      void another()
    })
    const late = setTimeout(() => worker.process.kill('SIGKILL'), limits.startMs)
    const isReady = await ready.promise
    clearTimeout(late)
    if (!isReady) throw new Error('a worker ended before it took requests; what it said stands above')
    readyAt = performance.now()
  }
  const another = async (): Promise<void> => {
    while (!stopping) {
      await sleep(waitMs)
      waitMs = Math.min(waitMs * 2, limits.longestWaitMs)
      if (stopping) return
      try {
        return await begin()
      } catch (error) {
        log.error({ err: error }, 'a worker did not start; it is tried again')
      }
    }
  }
  const end = (worker: Worker): Promise<boolean> => {
    const asked = ending.get(worker)
    if (asked !== undefined) return asked
    const ended = Promise.withResolvers<boolean>()
    ending.set(worker, ended.promise)
    worker.once('exit', (code: number | null) => ended.resolve(code === 0))
    if (worker.isDead()) ended.resolve(worker.process.exitCode === 0)
    else worker.send(END, (error) => error && worker.process.kill('SIGTERM'))
    const late = setTimeout(() => worker.process.kill('SIGKILL'), limits.endMs)
    return ended.promise.finally(() => clearTimeout(late))
  }
  const replaceAll = async (): Promise<void> => {
    // Those that are made meanwhile are new.
    const before = Array.from(running)
    for (const old of before) {
      // One that has died by itself meanwhile has been replaced.
      if (stopping) return
      if (ending.has(old) || old.isDead()) continue
      await begin()
      await end(old)
    }
    log.info({ workers: running.size }, 'all workers have been replaced')
  }

  return {
    start: async () => {
      await Promise.all(Array.from({ length: count }, begin))
      log.info({ workers: count }, 'all workers take requests')
    },
    replace: () =>
      (replacing = replacing
        .then(replaceAll)
        .catch((error: unknown) => log.error({ err: error }, 'the workers could not all be replaced; those that were there go on'))),
    stop: async () => {
      stopping = true
      return (await Promise.all(Array.from(running, end))).every(Boolean)
    },
  }
}
