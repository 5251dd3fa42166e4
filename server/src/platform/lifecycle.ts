// Parts are stopped in the reverse of the order in which they were started, each within its time; signals ask for it.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from './log.ts'

export type Part = { readonly name: string; stop(): Promise<void> | void; readonly stopMs: number }

export type Lifecycle = {
  /** A part that now runs. */
  started(part: Part): void
  /** Stops what runs, last started first. Asked again, it is the same stop. Says whether every part stopped in its time. */
  stop(): Promise<boolean>
}

export const lifecycle = ({ log }: { readonly log: Pick<Logger, 'info' | 'warn' | 'error'> }): Lifecycle => {
  const running: Part[] = []
  let stopping: Promise<boolean> | undefined

  const stopAll = async (): Promise<boolean> => {
    let clean = true
    for (let part = running.pop(); part !== undefined; part = running.pop()) {
      if (!(await stopOne(part, log))) clean = false
    }
    return clean
  }

  return {
    started: (part) => void running.push(part),
    stop: () => (stopping ??= stopAll()),
  }
}

const stopOne = async (part: Part, log: Pick<Logger, 'warn' | 'error'>): Promise<boolean> => {
  const { name, stopMs } = part
  const giveUp = new AbortController()
  const stopped = (async () => part.stop())().then(() => 'stopped' as const)
  const late = sleep(stopMs, 'late' as const, { signal: giveUp.signal }).catch(() => 'late' as const)
  try {
    if ((await Promise.race([stopped, late])) === 'stopped') return true
    log.warn({ part: name, stopMs }, 'did not stop in its time and is left behind')
  } catch (error) {
    log.error({ part: name, err: error }, 'failed while it was stopped')
  } finally {
    giveUp.abort()
  }
  return false
}

type Stoppable = 'SIGTERM' | 'SIGINT'
const signals: readonly Stoppable[] = ['SIGTERM', 'SIGINT']

/**
 * Ends the process when it is asked to: first as `stop` says, and at once when asked again. What nobody caught is logged and
 * ends the process too: its state is no longer known, and another process takes over from what is committed.
 */
export const endOnSignals = ({
  stop,
  log,
  exit = (code) => process.exit(code),
}: {
  /** `isAsked`: by a signal. Otherwise it ends because its state is no longer known. */
  readonly stop: (why: { readonly isAsked: boolean }) => Promise<boolean>
  readonly log: Pick<Logger, 'info' | 'error'>
  readonly exit?: (code: number) => void
}): (() => void) => {
  let asked = false
  const end = (code: number) =>
    void stop({ isAsked: code === 0 }).then(
      (clean) => exit(clean ? code : 1),
      () => exit(1),
    )
  const onSignal = (signal: Stoppable) => {
    if (asked) return exit(signal === 'SIGINT' ? 130 : 143)
    asked = true
    log.info({ signal }, 'asked to stop')
    end(0)
  }
  const onDefect = (error: unknown) => {
    log.error({ err: error }, 'nobody caught this; the process ends')
    if (asked) return
    asked = true
    end(1)
  }
  for (const signal of signals) process.on(signal, onSignal)
  process.on('uncaughtException', onDefect)
  process.on('unhandledRejection', onDefect)
  return () => {
    for (const signal of signals) process.off(signal, onSignal)
    process.off('uncaughtException', onDefect)
    process.off('unhandledRejection', onDefect)
  }
}
