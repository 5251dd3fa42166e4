// Commands over RabbitMQ: operations that others ask for by message, and those that we keep for ourselves while the database is
// away. Several are worked on at a time. So there is no order among them: what depends on another waits for its answer.
import type { ConsumeMessage } from 'amqplib'
import { uuidV7 } from '../platform/random.ts'
import type { Rabbit } from './rabbit.ts'
import { NotTaken } from './rabbit-publisher.ts'
import { Over, tried, type Tries } from './tried.ts'

/** The queues, and the operations that lead to each. */
export const commandQueues = {
  /** The catalogue. */
  items: ['items.*', 'locations.*'],
  /** What physically happens to stock. */
  stock: ['receipts.*', 'adjustments.*', 'transfers.*', 'inbound_shipments.*', 'counts.*', 'returns.*'],
  /** The way of a purchase. */
  orders: ['holds.*', 'shipments.*', 'orders.*'],
} as const satisfies Record<string, readonly string[]>
export type CommandQueue = keyof typeof commandQueues
/** Whether an operation leads to a queue, as RabbitMQ would have it. */
export const leadsTo = (queue: CommandQueue, operation: string): boolean => commandQueues[queue].some((pattern) => operation.startsWith(pattern.slice(0, -1)))
export const leadsSomewhere = (operation: string): boolean => (Object.keys(commandQueues) as CommandQueue[]).some((queue) => leadsTo(queue, operation)) // its keys are its queues

export type CommandMessage = {
  readonly content: Buffer
  readonly headers: Readonly<Record<string, unknown>>
  readonly routingKey: string
  readonly messageId: string | undefined
  readonly appId: string | undefined
  readonly replyTo: string | undefined
  readonly correlationId: string | undefined
  /** When its sender says that they first sent it. */
  readonly sentAt: number | undefined
}

export type Delivery = CommandMessage & {
  /** It has been delivered so often without an answer that it may be what ends the processes that take it. */
  readonly isHopeless: boolean
  /** The queue that it was in before it was parked, as RabbitMQ tells it. */
  readonly from: string | undefined
  /** Why, when RabbitMQ did that by itself. */
  readonly died: string | undefined
  readonly over: AbortSignal
}

export type Reply = { readonly to: string; readonly correlationId: string | undefined; readonly content: string; readonly contentType: string }

export type RabbitCommands = {
  /** Is answered to RabbitMQ when `handle` resolves; tried again when it rejects. Answers how to leave. */
  consume(queue: CommandQueue, handle: (delivery: Delivery) => Promise<void>): () => Promise<void>
  /** What nobody could take. */
  consumeParked(handle: (delivery: Delivery) => Promise<void>): () => Promise<void>
  /** Resolves when RabbitMQ keeps it. */
  send(message: { readonly operation: string; readonly content: Buffer; readonly headers: Readonly<Record<string, string>> }): Promise<void>
  /** To a queue that the message came from, such as `commands.stock`. */
  sendAgain(queue: string, message: { readonly content: Buffer; readonly headers: Readonly<Record<string, string>> }): Promise<void>
  /** Answers whether there was anybody to take it. */
  reply(reply: Reply): Promise<boolean>
  /** Whether it is a queue of ours, which nobody may name as theirs. */
  isOurs(queue: string): boolean
}

export const rabbitCommands = ({
  rabbit,
  prefix,
  limits,
  onFault,
}: {
  readonly rabbit: Rabbit
  readonly prefix: string
  readonly limits: Tries['limits'] & { readonly commandsAtOnce: number; readonly deliveries: number }
  readonly onFault: (error: unknown) => void
}): RabbitCommands => {
  const { names } = rabbit
  const persistent = (content: Buffer, headers: Readonly<Record<string, string>>) => ({
    content,
    properties: { messageId: uuidV7(), contentType: 'application/json', headers },
  })

  const consumeFrom = (queue: string, handle: (delivery: Delivery) => Promise<void>): (() => Promise<void>) =>
    rabbit.attend(async (connection) => {
      const channel = await connection.createChannel()
      channel.on('error', onFault)
      const over = new AbortController()
      const underWay = new Set<Promise<void>>()
      channel.on('close', () => {
        if (!over.signal.aborted) rabbit.renew('lost a channel that was consumed on')
        over.abort()
      })
      await channel.prefetch(limits.commandsAtOnce)
      // What came back unanswered is looked at one after the other: if one of them ends this process again, those before it are done.
      let suspects: Promise<void> = Promise.resolve()
      let hasGivenUp = false

      const work = async (message: ConsumeMessage, isHopeless: boolean): Promise<void> => {
        const delivery = deliveryOf(message, isHopeless, over.signal)
        try {
          await tried(() => handle(delivery), { limits: { ...limits, tries: Number.POSITIVE_INFINITY }, isPassing: () => true, over: over.signal, onFault })
          channel.ack(message)
        } catch (error) {
          // Given back, or its channel has just been lost: it comes again.
          if (!(error instanceof Over)) onFault(error)
        }
      }
      /** What was answered is known to RabbitMQ, before the next one may end this process. */
      const arrived = () => (over.signal.aborted ? undefined : channel.checkQueue(queue).then(nothing, nothing))
      const take = (message: ConsumeMessage): Promise<void> => {
        const before = deliveriesOf(message)
        if (before < SUSPECT_FROM) return work(message, false)
        return (suspects = suspects.then(() => {
          // Only the first: those behind it may have been taken along each time.
          const isHopeless = before >= limits.deliveries && !hasGivenUp
          hasGivenUp ||= isHopeless
          return work(message, isHopeless).then(arrived)
        }))
      }
      const { consumerTag } = await channel.consume(queue, (message) => {
        if (message === null) return rabbit.renew(`lost its queue ${queue}`)
        const taken = take(message)
        underWay.add(taken)
        void taken.finally(() => underWay.delete(taken))
      })
      return {
        end: async () => {
          await channel.cancel(consumerTag).catch(() => undefined)
          over.abort()
          await Promise.all(underWay)
          await channel.close().catch(() => undefined)
        },
      }
    })

  return {
    consume: (queue, handle) => consumeFrom(names.commandsOf(queue), handle),
    consumeParked: (handle) => consumeFrom(names.parking, handle),
    send: ({ operation, content, headers }) => rabbit.publish([{ exchange: names.commands, routingKey: operation, ...persistent(content, headers) }]),
    sendAgain: (queue, { content, headers }) => rabbit.publish([{ exchange: '', routingKey: `${prefix}.${queue}`, ...persistent(content, headers) }]),
    reply: async ({ to, correlationId, content, contentType }) => {
      const properties = { messageId: uuidV7(), contentType, ...(correlationId === undefined ? {} : { correlationId }) }
      try {
        await rabbit.publish([{ exchange: '', routingKey: to, content: Buffer.from(content), properties }])
        return true
      } catch (error) {
        if (error instanceof NotTaken) return false
        throw error
      }
    },
    isOurs: (queue) => queue.startsWith(`${prefix}.`),
  }
}

const nothing = () => undefined

/** Once may be a process that was replaced. */
const SUSPECT_FROM = 2

const deliveryOf = ({ content, fields, properties }: ConsumeMessage, isHopeless: boolean, over: AbortSignal): Delivery => {
  const headers: Readonly<Record<string, unknown>> = properties.headers ?? {}
  return {
    content,
    headers,
    routingKey: fields.routingKey,
    messageId: textOf(properties.messageId),
    appId: textOf(properties.appId),
    replyTo: textOf(properties.replyTo),
    correlationId: textOf(properties.correlationId),
    sentAt: timeOf(properties.timestamp),
    isHopeless,
    from: textOf(headers['x-first-death-queue']),
    died: textOf(headers['x-first-death-reason']),
    over,
  }
}
const textOf = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined)
/** AMQP has seconds; some clients write milliseconds. */
const timeOf = (timestamp: unknown): number | undefined => {
  if (typeof timestamp !== 'number') return undefined
  return timestamp > LATEST_SECOND ? timestamp : timestamp * 1_000
}
const LATEST_SECOND = 100_000_000_000
const deliveriesOf = ({ properties }: ConsumeMessage): number => {
  const count: unknown = properties.headers?.['x-delivery-count']
  return typeof count === 'number' ? count : 0
}
