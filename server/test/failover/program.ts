// The real program on servers of one's own, outside of the tests as well: `holdfast serve`, and `holdfast verify`.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export const API_KEY = 'hf_for-tests-only-0123456789abcdefghijkl'

export type Program = {
  readonly url: string
  readonly pid: number
  said(): string
  stop(): Promise<void>
  /** `kill -9`. */
  kill(): Promise<void>
}

/** One process with everything in it, as an operator starts it. It ends with this one, however that ends. */
export const serve = async (databaseUrl: string): Promise<Program> => {
  const child = start(['serve'], { DATABASE_URL: databaseUrl, HOLDFAST_API_KEY: API_KEY, PORT: '0', HOLDFAST_RATE_LIMIT: 'unlimited' })
  let said = ''
  const listens = Promise.withResolvers<string>()
  for (const stream of [child.stdout, child.stderr])
    if (stream)
      createInterface(stream).on('line', (line) => {
        said += `${line}\n`
        const url = /listens on (\S+)/.exec(line)?.[1]
        if (url !== undefined) listens.resolve(url)
      })
  child.once('exit', () => listens.reject(new Error(`the program ended before it listened:\n${said}`)))
  const url = await listens.promise
  return {
    url,
    pid: child.pid ?? 0,
    said: () => said,
    stop: () => end(child, 'SIGTERM'),
    kill: () => end(child, 'SIGKILL'),
  }
}

const end = async (child: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'close')
  child.kill(signal)
  await gone
}

/** What is wrong in the books. */
export const verify = async (databaseUrl: string): Promise<readonly unknown[]> => {
  const child = start(['verify', '--json'], { DATABASE_URL: databaseUrl })
  let output = ''
  let errors = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => void (output += text))
  child.stderr?.setEncoding('utf8').on('data', (text: string) => void (errors += text))
  await once(child, 'close')
  if (output === '') throw new Error(`verify ended with ${child.exitCode}: ${errors}`)
  return (JSON.parse(output) as { violations: unknown[] }).violations // what verify --json prints
}

const program = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
/** Said to every process that is started: when nobody holds the other end of its input any more, it ends. */
const endsWithUs = `data:text/javascript,process.stdin.on('close',()=>process.kill(process.pid,'SIGKILL')).on('error',()=>{}).resume().unref()`

const start = (args: readonly string[], environment: Readonly<Record<string, string>>): ChildProcess =>
  spawn(process.execPath, ['--import', endsWithUs, program, ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'] ?? '',
      NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] ?? '',
      HOME: process.env['HOME'] ?? '',
      HOLDFAST_LOG_LEVEL: 'warn',
      ...environment,
    },
  })
