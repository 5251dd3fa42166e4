// One process of the run's own: started as a direct child, known by its number, ended by its number, and never left behind.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

export type ChildSpec = {
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** Where what it says is appended. */
  readonly logFile: string
  readonly account?: { readonly uid: number; readonly gid: number } | undefined
  readonly cwd?: string
}

export type Child = {
  readonly name: string
  /** Nothing while it does not run. */
  pid(): number | undefined
  isStopped(): boolean
  start(): void
  signal(signal: 'SIGKILL' | 'SIGTERM' | 'SIGINT' | 'SIGSTOP' | 'SIGCONT'): void
  /** Resolves when it has ended and was buried; at once when it does not run. */
  gone(): Promise<void>
  /** Asks it to end, and ends it when it has not done so in its time. Says whether it ended by itself, and well. */
  end(signal: 'SIGTERM' | 'SIGINT', withinMs: number): Promise<boolean>
  /** Told of every end, asked for or not. */
  onEnd(listener: (code: number | null, signal: NodeJS.Signals | null) => void): void
}

/** Whoever is left when this process ends is ended with it, whatever it was that ended it, but for a `kill -9`. */
const all = new Set<Child>()
process.on('exit', () => {
  for (const child of all) child.signal('SIGKILL')
})

export const child = (spec: ChildSpec): Child => {
  let running: ChildProcess | undefined
  let stopped = false
  const listeners: ((code: number | null, signal: NodeJS.Signals | null) => void)[] = []
  const one: Child = {
    name: spec.name,
    pid: () => running?.pid,
    isStopped: () => stopped,
    start: () => {
      if (running !== undefined) throw new Error(`${spec.name} runs already`)
      const log = openSync(spec.logFile, 'a')
      // Its input ends with us: programs of ours end with it (see `endsWithUs`).
      const started = spawn(spec.command, spec.args, { stdio: ['pipe', log, log], env: { ...spec.env }, cwd: spec.cwd ?? '/', ...spec.account })
      closeSync(log)
      started.stdin?.on('error', () => undefined)
      running = started
      stopped = false
      const ended = (code: number | null, signal: NodeJS.Signals | null) => {
        if (running !== started) return
        running = undefined
        stopped = false
        for (const listener of listeners) listener(code, signal)
      }
      started.on('error', () => ended(null, null))
      started.on('exit', ended)
    },
    signal: (signal) => {
      if (running?.pid === undefined) return
      running.kill(signal)
      if (signal === 'SIGSTOP') stopped = true
      if (signal === 'SIGCONT') stopped = false
    },
    gone: async () => {
      // One that has ended already never says so again.
      const waited = running
      if (waited !== undefined && waited.exitCode === null && waited.signalCode === null) await once(waited, 'exit')
    },
    end: async (signal, withinMs) => {
      const ending = running
      if (ending === undefined) return true
      one.signal('SIGCONT')
      one.signal(signal)
      const enough = new AbortController()
      const late = sleep(withinMs, 'late' as const, { signal: enough.signal }).catch(() => 'late' as const)
      if ((await Promise.race([one.gone(), late])) === 'late') {
        one.signal('SIGKILL')
        await one.gone()
        return false
      }
      enough.abort()
      return ending.exitCode === 0
    },
    onEnd: (listener) => void listeners.push(listener),
  }
  all.add(one)
  return one
}

/** Said to programs of Node's: when nobody holds the other end of its input any more, it ends. */
export const endsWithUs = `data:text/javascript,process.stdin.on('close',()=>process.kill(process.pid,'SIGKILL')).on('error',()=>{}).resume().unref()`
