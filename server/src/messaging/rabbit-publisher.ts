// Publishing that can be believed: a message is published when RabbitMQ has said so, in time, and has had a queue for it. Without
// a connection, or while the broker takes nothing, it fails at once: nothing waits here for better days.
import { IllegalOperationError, type ChannelModel, type ConfirmChannel, type Options } from 'amqplib'
import { messageOf } from '../platform/error.ts'
import { rabbitLink, type LinkLimits } from './rabbit-link.ts'
import { declare, type Topology } from './rabbit-topology.ts'

export type PublisherLimits = {
  /** A confirm that is not here by then is taken for lost. The library itself would wait for ever. */
  readonly confirmMs: number
  /** Messages unconfirmed at a time. */
  readonly window: number
  /** Messages that wait for a place in it. */
  readonly waiting: number
}

/** `messageId` tells returned messages apart. */
export type Message = {
  readonly exchange: string
  readonly routingKey: string
  readonly content: Buffer
  readonly properties: Options.Publish & { readonly messageId: string }
}

/** RabbitMQ cannot be reached, or did not answer. Whether the message arrived is not known. */
class BrokerAway extends Error {
  constructor(why: string) {
    super(`RabbitMQ does not take messages: ${why}`)
    this.name = 'BrokerAway'
  }
}
/** There is no queue for it, or it has no room, or it cannot be written at all. The message is not there. */
export class NotTaken extends Error {
  constructor({ exchange, routingKey }: Message, why: string) {
    super(`a message to ${exchange === '' ? 'the queue' : exchange} ${routingKey} was not taken: ${why}`)
    this.name = 'NotTaken'
  }
}

export type RabbitPublisher = {
  start(): void
  stop(): Promise<void>
  /** Resolves when every one of them is safe. Rejects when one may not be. */
  publish(messages: readonly Message[]): Promise<void>
  unconfirmed(): number
  /** Why nothing can be published; null: it can. */
  why(): string | null
  made(): number
}

type Outlet = {
  readonly channel: ConfirmChannel
  readonly returned: Set<string>
  unconfirmed: number
  /** Why nothing more goes out of it. */
  closed: string | undefined
  blocked: string | undefined
  /** Something had no queue: what is missing is declared before the next message. */
  isIncomplete: boolean
}

export const rabbitPublisher = ({
  urls,
  topology,
  limits,
  onFault,
}: {
  readonly urls: readonly string[]
  readonly topology: Topology
  readonly limits: PublisherLimits & LinkLimits
  readonly onFault: (error: unknown) => void
}): RabbitPublisher => {
  let outlet: Outlet | undefined
  const waiting: (() => void)[] = []

  const setUp = async (connection: ChannelModel): Promise<void> => {
    const channel = await connection.createConfirmChannel()
    const made: Outlet = { channel, returned: new Set(), unconfirmed: 0, closed: undefined, blocked: undefined, isIncomplete: false }
    channel.on('error', onFault)
    channel.on('return', ({ properties }: { properties: { messageId?: unknown } }) => void made.returned.add(String(properties.messageId)))
    channel.on('close', () => {
      made.closed = 'the channel was closed'
      if (outlet === made) outlet = undefined
      // A channel that the broker closed takes its connection with it: that is what is made again.
      if (link.live() === connection) link.sever('lost its channel')
      wakeAll()
    })
    // The broker is short of memory or disk. It says so to whoever publishes, reads no more, and may be so for hours.
    connection.on('blocked', (reason: string) => {
      made.blocked = `the broker is blocked (${reason})`
      wakeAll()
    })
    connection.on('unblocked', () => (made.blocked = undefined))
    await declare(channel, topology)
    if (made.closed === undefined) outlet = made
  }
  const link = rabbitLink({ urls, name: 'holdfast publisher', limits, setUp, onFault })

  const wakeAll = () => {
    for (const wake of waiting.splice(0)) wake()
  }
  const why = (): string | null => (outlet === undefined ? (link.why() ?? 'the connection is being made') : (outlet.closed ?? outlet.blocked ?? null))
  const open = (): Outlet => {
    const reason = why()
    if (outlet === undefined || reason !== null) throw new BrokerAway(reason ?? 'there is no connection')
    return outlet
  }

  /** Waits for a place among the unconfirmed. */
  const place = async (): Promise<Outlet> => {
    for (;;) {
      const found = open()
      if (found.unconfirmed < limits.window) return found
      if (waiting.length >= limits.waiting) throw new BrokerAway(`${waiting.length} messages wait to be sent already`)
      await new Promise<void>((resolve) => void waiting.push(resolve))
    }
  }

  const send = (to: Outlet, message: Message): Promise<void> =>
    new Promise((resolve, reject) => {
      const { messageId } = message.properties
      let isSettled = false
      const settle = (error?: Error) => {
        if (isSettled) return
        isSettled = true
        clearTimeout(late)
        to.unconfirmed -= 1
        waiting.shift()?.()
        if (error === undefined) resolve()
        else reject(error)
      }
      const late = setTimeout(() => {
        settle(new BrokerAway(`no confirm within ${limits.confirmMs} ms`))
        // Of a blocked broker it is known why, and nothing more is sent to it. One that hangs is left, with all that it was sent.
        if (to.blocked === undefined && outlet === to) link.sever(`brought no confirm within ${limits.confirmMs} ms`)
      }, limits.confirmMs)
      to.unconfirmed += 1
      try {
        const { exchange, routingKey, content, properties } = message
        to.channel.publish(exchange, routingKey, content, { ...properties, mandatory: true, persistent: true }, (error: unknown) => {
          // A returned message is confirmed, too: there was nothing to wait for.
          if (to.returned.delete(messageId)) {
            // To a queue that others named there is nothing to declare.
            to.isIncomplete ||= exchange !== ''
            return settle(new NotTaken(message, 'there is no queue for it'))
          }
          if (error === null || error === undefined) return settle()
          settle(to.closed === undefined ? new NotTaken(message, 'the queue refused it; it may be full') : new BrokerAway(to.closed))
        })
      } catch (error) {
        const why = messageOf(error)
        // What AMQP cannot write, such as a name of more than 255 bytes, it never can.
        settle(error instanceof IllegalOperationError ? new BrokerAway(why) : new NotTaken(message, why))
      }
    })

  return {
    start: link.start,
    stop: link.stop,
    why,
    made: link.made,
    unconfirmed: () => outlet?.unconfirmed ?? 0,
    publish: async (messages) => {
      const first = open()
      if (first.isIncomplete) {
        await declare(first.channel, topology)
        first.isIncomplete = false
      }
      let failure: unknown
      const sent: Promise<void>[] = []
      for (const message of messages) {
        const to = await place()
        if (failure !== undefined) {
          // The place that it waited for is another's.
          waiting.shift()?.()
          break
        }
        sent.push(send(to, message).catch((error: unknown) => void (failure ??= error)))
      }
      await Promise.all(sent)
      if (failure !== undefined) throw failure
    },
  }
}
