// The real command line, as a process of its own.
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { onTestFinished, vi } from 'vitest'

/** A process takes a tenth of a second to start, and much more where many tests run at once. */
const TEST_TIMEOUT_MS = 30_000
vi.setConfig({ testTimeout: TEST_TIMEOUT_MS })

export const mainPath = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

export type Ended = { readonly code: number | null; readonly signal: NodeJS.Signals | null; readonly stdout: string; readonly stderr: string }

/** Runs to its end. Of the surroundings only the path is passed on, so that nothing of this machine speaks in. */
export const holdfast = (args: readonly string[], { url, env = {} }: { url?: string; env?: Record<string, string> } = {}): Promise<Ended> =>
  startNode([mainPath, ...args], { HOLDFAST_API_KEY: 'hf_0123456789abcdef0123456789abcdef', ...(url === undefined ? {} : { HOLDFAST_URL: url }), ...env }).ended

export function startNode(args: readonly string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, args, {
    env: { PATH: process.env['PATH'], NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  // Whatever became of the test, nothing of it goes on.
  onTestFinished(() => void child.kill('SIGKILL'))
  const said = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said.stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said.stderr += text))
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ code, signal, ...said }))
  })
  const untilSaid = (words: string) =>
    new Promise<void>((resolve) => {
      const look = () => said.stdout.includes(words) && resolve()
      child.stdout.on('data', look)
      look()
    })
  return { child, ended, untilSaid }
}
