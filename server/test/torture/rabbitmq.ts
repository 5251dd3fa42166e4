// A RabbitMQ node of the run's own, with ports, a name and a directory that nobody else has.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { freePort } from '../support/free-port.ts'
import { until } from '../support/until.ts'
import { child, type Child } from './child.ts'
import { RABBIT_CONTROL, rabbitProgram } from './programs.ts'

export type OwnRabbit = {
  readonly port: number
  readonly child: Child
  start(): Promise<void>
  killAll(): Promise<void>
  /** All that belongs to the node stands still, or goes on. */
  signalAll(signal: 'SIGSTOP' | 'SIGCONT'): void
  /** It believes that its disk is full, and takes nothing more. */
  alarm(on: boolean): Promise<void>
  stop(): Promise<void>
}

const READY_MS = 60_000

export const ownRabbit = async (directory: string, logFile: string): Promise<OwnRabbit> => {
  if (rabbitProgram === undefined) throw new Error('RabbitMQ is not installed here')
  mkdirSync(directory, { recursive: true })
  chmodSync(directory, 0o777)
  const plugins = join(directory, 'enabled_plugins')
  writeFileSync(plugins, '[].\n')
  // What is set for the machine's own broker is none of ours.
  const environment = join(directory, 'environment')
  writeFileSync(environment, '')
  const port = await freePort()
  const env = {
    PATH: process.env['PATH'] ?? '',
    HOME: directory,
    RABBITMQ_NODENAME: `torture${process.pid}@localhost`,
    RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
    RABBITMQ_NODE_PORT: String(port),
    RABBITMQ_DIST_PORT: String(await freePort()),
    ERL_EPMD_PORT: String(await freePort()),
    RABBITMQ_MNESIA_BASE: join(directory, 'mnesia'),
    RABBITMQ_LOG_BASE: join(directory, 'log'),
    RABBITMQ_ENABLED_PLUGINS_FILE: plugins,
    RABBITMQ_CONFIG_FILE: join(directory, 'none'),
    RABBITMQ_CONF_ENV_FILE: environment,
    LC_ALL: 'C.UTF-8',
  }
  const server = child({ name: 'rabbitmq', command: rabbitProgram, args: [], env, logFile })
  const isOpen = () =>
    new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1')
      socket.on('error', () => resolve(false))
      // It speaks AMQP as soon as it answers a wrong greeting with the right one.
      socket.on('connect', () => socket.write('AMQP\0\0\0\0'))
      socket.on('data', () => {
        socket.destroy()
        resolve(true)
      })
      socket.setTimeout(1_000, () => {
        socket.destroy()
        resolve(false)
      })
    })
  const own = () => processesWithHome(directory)
  const signalAll = (signal: NodeJS.Signals) => {
    for (const pid of own()) {
      try {
        process.kill(pid, signal)
      } catch {
        // It has ended meanwhile.
      }
    }
  }
  const killAll = async () => {
    const gone = server.gone()
    signalAll('SIGKILL')
    server.signal('SIGKILL')
    await gone
  }
  // The program that was started is not the one that runs.
  process.on('exit', () => signalAll('SIGKILL'))
  const control = async (args: readonly string[]) => {
    const asked = spawn(RABBIT_CONTROL, args, { env, stdio: 'ignore', timeout: 20_000 })
    await once(asked, 'exit')
  }
  return {
    port,
    child: server,
    start: async () => {
      await until('the processes of the dead node are gone', () => own().length === 0)
      server.start()
      await until('RabbitMQ answers', isOpen, { withinMs: READY_MS })
    },
    killAll,
    signalAll,
    alarm: (on) => control(['set_disk_free_limit', on ? '1000000GB' : '50MB']),
    stop: killAll,
  }
}

/** The node, its port mapper and its helpers have one home, and nobody else has it. */
const processesWithHome = (home: string): number[] =>
  readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((pid) => {
      try {
        return pid !== process.pid && readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(`HOME=${home}`)
      } catch {
        return false
      }
    })
