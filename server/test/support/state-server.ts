// A process of its own that answers for roles as those of Holdfast do, and can be stopped, hung and started again on the same port.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { onTestFinished } from 'vitest'
import { freePort } from './free-port.ts'

export const SERVICE_KEY = 'service-key-for-tests'

export type StateServer = {
  readonly url: string
  start(): Promise<void>
  /** `kill -9`. */
  kill(): Promise<void>
  hang(): void
  goOn(): void
}

/** @param answer  to GET /state, whoever asks with the key */
export const stateServer = async (answer: unknown): Promise<StateServer> => {
  const port = await freePort()
  let running: { readonly pid: number; kill(): Promise<void> } | undefined
  const kill = async () => {
    await running?.kill()
    running = undefined
  }
  const signal = (name: 'SIGSTOP' | 'SIGCONT') => {
    if (running) process.kill(running.pid, name)
  }
  const start = async () => {
    const child = spawn(process.execPath, ['-e', program, String(port), SERVICE_KEY, JSON.stringify(answer)], { stdio: ['ignore', 'pipe', 'inherit'] })
    const gone = once(child, 'exit')
    await once(child.stdout, 'data')
    running = {
      pid: child.pid ?? 0,
      kill: async () => {
        // A process that hangs takes this signal all the same.
        child.kill('SIGKILL')
        await gone
      },
    }
  }
  onTestFinished(kill)
  await start()
  return { url: `http://127.0.0.1:${port}`, start, kill, hang: () => signal('SIGSTOP'), goOn: () => signal('SIGCONT') }
}

const program = `
const [port, key, answer] = process.argv.slice(1)
require('node:http')
  .createServer((request, response) => {
    const isRight = request.url === '/state' && request.headers.authorization === 'Bearer ' + key
    response.writeHead(isRight ? 200 : 401).end(isRight ? answer : '')
  })
  .listen(Number(port), '127.0.0.1', () => console.log('listens'))
`
