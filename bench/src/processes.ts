// Programs that the benchmark starts: run to their end, or kept until they are stopped. What is running is known, so that
// nothing is left behind, however the benchmark ends.
import { spawn, type ChildProcess } from 'node:child_process'
import { text } from 'node:stream/consumers'

export type Command = {
  readonly program: string
  readonly args: readonly string[]
  readonly env?: NodeJS.ProcessEnv
  readonly input?: string
  /** The Debian package that the program comes in, to name when it is not there. */
  readonly package?: string
}

export type Running = {
  readonly pid: number
  /** The first line of its output that `find` knows, or a later one. Fails when the program ends before, or is not heard of in time. */
  line(find: (line: string) => boolean, which?: number): Promise<string>
  /** Asks it to end and waits until it has; ends it at once if it takes too long. */
  stop(): Promise<void>
}

/** From asking a program to end until it is ended at once: longer than Holdfast and PostgreSQL give themselves. */
const STOP_MS = 45_000
const START_MS = 60_000
const SHOWN_CHARACTERS = 2_000

const children = new Set<ChildProcess>()

/** Runs a program to its end. Answers what it printed; fails when it failed. */
export const run = async (command: Command): Promise<string> => {
  const child = start(command)
  // The program may end before it has read everything; why it did is in what it said.
  child.stdin.on('error', () => undefined)
  child.stdin.end(command.input ?? '')
  const [out, complaints, ended] = await Promise.all([text(child.stdout), text(child.stderr), endOf(child, command)])
  if (ended !== 'ended with 0') throw new Error(`${inWords(command)} ${ended}: ${(complaints + out).trim().slice(-SHOWN_CHARACTERS)}`)
  return out
}

/** Starts a program that runs until it is stopped. Its standard input stays open for as long as we live. */
export const keep = (command: Command): Running => {
  const child = start(command)
  const ended = endOf(child, command)
  ended.catch(() => undefined)
  child.stdin.on('error', () => undefined)
  let out = ''
  let complaints = ''
  const listeners = new Set<() => void>()
  child.stdout.setEncoding('utf8').on('data', (data: string) => {
    out = (out + data).slice(-SHOWN_CHARACTERS * 10)
    for (const listener of listeners) listener()
  })
  child.stderr.setEncoding('utf8').on('data', (data: string) => (complaints = (complaints + data).slice(-SHOWN_CHARACTERS)))
  return {
    pid: child.pid ?? 0,
    line: (find, which = 1) =>
      new Promise((resolve, reject) => {
        const giveUp = (why: string) => reject(new Error(`${inWords(command)} ${why}: ${(complaints + out).trim()}`))
        const timer = setTimeout(() => giveUp(`said nothing for ${START_MS / 1000} s`), START_MS)
        const look = () => {
          const line = out.split('\n').slice(0, -1).filter(find)[which - 1]
          if (line === undefined) return
          clearTimeout(timer)
          listeners.delete(look)
          resolve(line)
        }
        listeners.add(look)
        ended.then(giveUp, reject)
        look()
      }),
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      const late = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
      child.kill('SIGTERM')
      await ended
      clearTimeout(late)
    },
  }
}

/** Ends whatever is still running at once. For the last moment of the process. */
export const killAll = (): void => {
  for (const child of children) child.kill('SIGKILL')
}

const start = ({ program, args, env }: Command) => {
  const child = spawn(program, args, { stdio: 'pipe', env: { ...process.env, ...env } })
  children.add(child)
  return child
}

const endOf = (child: ChildProcess, command: Command): Promise<string> =>
  new Promise((resolve, reject) => {
    child.once('error', (error: NodeJS.ErrnoException) => {
      children.delete(child)
      const missing = error.code === 'ENOENT' && command.package !== undefined
      reject(missing ? new Error(`${command.program} is not on this machine. Install it with: apt-get install ${command.package}`) : error)
    })
    child.once('close', (code, signal) => {
      children.delete(child)
      resolve(`ended with ${signal ?? code}`)
    })
  })

/** Without what may be a secret: programs are told theirs through the environment. */
const inWords = ({ program, args }: Command): string => [program.split('/').at(-1), ...args.slice(0, 3)].join(' ')
