// One connection to RabbitMQ, made again whenever it is lost, with everything that stands on it. We do it ourselves: the library's
// own recovery waits without end for a broker that hangs, and keeps whoever asks for a channel meanwhile in a list without a bound.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Duplex } from 'node:stream'
import { connect, type ChannelModel } from 'amqplib'
import { messageOf } from '../platform/error.ts'
import { growingWait, type Waits } from '../platform/growing-waits.ts'

export type LinkLimits = {
  /** For the handshake, and then for what is set up on it. A broker that hangs takes the connection and says nothing. */
  readonly connectMs: number
  readonly setUpMs: number
  /** Silence of twice this is the end of a connection. */
  readonly heartbeatSeconds: number
  readonly reconnect: Waits
  /** How long a farewell may take. */
  readonly closeMs: number
}

export type RabbitLink = {
  start(): void
  stop(): Promise<void>
  /** The connection, once it has been set up. */
  live(): ChannelModel | undefined
  /** Gives the connection up, to have a new one. */
  sever(reason: string): void
  /** Why there is none. */
  why(): string | null
  /** Connections made, the first among them. */
  made(): number
}

/**
 * @param urls  of the nodes of a cluster: they are tried in turn
 * @param setUp  makes what stands on the connection; when it rejects, the connection is made again
 */
export const rabbitLink = ({
  urls,
  name,
  limits,
  setUp,
  onFault,
}: {
  readonly urls: readonly string[]
  readonly name: string
  readonly limits: LinkLimits
  readonly setUp: (connection: ChannelModel) => Promise<void>
  readonly onFault: (error: unknown) => void
}): RabbitLink => {
  let running: Promise<void> | undefined
  let current: ChannelModel | undefined
  let isSetUp = false
  let why: string | null = 'there has been no connection yet'
  let made = 0
  const stopping = new AbortController()

  /** Resolves when the connection has ended. */
  const connected = async (url: string): Promise<void> => {
    const connection = await connect(withHeartbeat(url, limits.heartbeatSeconds), {
      timeout: limits.connectMs,
      noDelay: true,
      keepAlive: true,
      clientProperties: { connection_name: name },
    })
    const ended = Promise.withResolvers<unknown>()
    // Without a listener, an error of the connection would end the process.
    connection.on('error', (error: unknown) => ended.resolve(error))
    connection.on('close', (error: unknown) => ended.resolve(error ?? new Error('the connection was closed')))
    current = connection
    if (stopping.signal.aborted) return
    const late = setTimeout(() => cut(connection, `was not set up within ${limits.setUpMs} ms`), limits.setUpMs)
    try {
      await Promise.race([setUp(connection), ended.promise.then((error) => Promise.reject(error))])
    } finally {
      clearTimeout(late)
    }
    made += 1
    isSetUp = true
    why = null
    onEnd(await ended.promise)
  }
  const onEnd = (error: unknown) => {
    if (stopping.signal.aborted) return
    why = messageOf(error)
    onFault(error)
  }

  const run = async () => {
    let failures = 0
    for (let tries = 0; !stopping.signal.aborted; tries += 1) {
      const before = made
      try {
        await connected(urls[tries % urls.length] ?? '')
      } catch (error) {
        onEnd(error)
      }
      const left = current
      current = undefined
      isSetUp = false
      // What was half set up must not go on beside what takes its place.
      if (left !== undefined && !stopping.signal.aborted) cut(left, 'is made again')
      failures = made > before ? 1 : failures + 1
      await sleep(growingWait(failures, limits.reconnect), undefined, { signal: stopping.signal }).catch(() => undefined)
    }
  }

  return {
    start: () => void (running ??= run()),
    live: () => (isSetUp ? current : undefined),
    sever: (reason) => current && cut(current, reason),
    why: () => why,
    made: () => made,
    stop: async () => {
      stopping.abort()
      const last = current
      if (last !== undefined) {
        await Promise.race([last.close().catch(() => undefined), sleep(limits.closeMs)])
        cut(last, 'was closed')
      }
      await running
    },
  }
}

/** The library asks the broker politely, which is no use with one that hangs. Its socket is not in its types. */
const cut = (connection: ChannelModel, reason: string): void =>
  void (connection.connection as unknown as { readonly stream: Duplex }).stream.destroy(new Error(`the connection to RabbitMQ ${reason}`))

const withHeartbeat = (url: string, seconds: number): string => {
  const parsed = new URL(url)
  if (!parsed.searchParams.has('heartbeat')) parsed.searchParams.set('heartbeat', String(seconds))
  return parsed.href
}
