// Events over RabbitMQ. A queue for each consuming role keeps what has happened until it was taken, whoever runs and whoever does not.
import type { Channel, ConsumeMessage } from 'amqplib'
import type { WrittenEvent } from '../domain/event.ts'
import type { Waits } from '../platform/growing-waits.ts'
import type { Bus, Overhearer, Subscriber } from './bus.ts'
import { keptMessage } from './kept-message.ts'
import type { Park } from './parking.ts'
import type { Rabbit } from './rabbit.ts'
import type { Message } from './rabbit-publisher.ts'
import { Over, tried } from './tried.ts'

export type RabbitBusLimits = {
  /** Events that a consumer is sent ahead, and takes at a time. */
  readonly eventsAhead: number
  /** Times that an event is tried before it is parked. What fails because something is away does not count. */
  readonly tries: number
  readonly retry: Waits
}

export const rabbitBus = ({
  rabbit,
  isPassing,
  park,
  limits,
  onFault,
}: {
  readonly rabbit: Rabbit
  /** Whether an error says that something is away for now, and nothing of the event that was being taken. */
  readonly isPassing: (error: unknown) => boolean
  readonly park: Park
  readonly limits: RabbitBusLimits
  readonly onFault: (error: unknown) => void
}): Bus => {
  const { names } = rabbit

  const subscribe = (name: string, take: Subscriber): Leave => {
    const queue = names.eventsOf(name)
    // A consumer that lost its connection in the middle of something finishes it before the one that takes its place begins.
    let before: Promise<void> = Promise.resolve()

    /** Takes some, in their order; what cannot be taken for its own sake is parked, and those behind it go on. */
    const deliver = async (messages: readonly ConsumeMessage[], over: AbortSignal): Promise<void> => {
      const events: { readonly message: ConsumeMessage; readonly event: WrittenEvent }[] = []
      for (const message of messages) {
        // What is no event never becomes one: it is read once, and not as something that may pass.
        const event = eventIn(message)
        if (event === undefined) await putAside(message, 'this is no event of the ledger', 1, over)
        else events.push({ message, event })
      }
      if (events.length === 0) return
      const whole = await tried(() => take(events.map(({ event }) => event)), { limits: { ...limits, tries: 1 }, isPassing, over, onFault })
      if (whole === undefined) return
      for (const { message, event } of events) {
        const failed = await tried(() => take([event]), { limits, isPassing, over, onFault })
        if (failed !== undefined) await putAside(message, reasonOf(failed), limits.tries, over)
      }
    }
    const putAside = async ({ content, fields, properties }: ConsumeMessage, reason: string, attempts: number, over: AbortSignal): Promise<void> => {
      const { routingKey } = fields
      const { message } = keptMessage({ content, routingKey })
      const parked = { queue: `events.${name}`, operation: routingKey, message, messageId: idOf(properties), sentAt: undefined, reason, attempts, caller: null }
      // Until it is parked it is nowhere but here.
      await tried(() => park(parked), { limits, isPassing: () => true, over, onFault })
    }

    return rabbit.attend(async (connection) => {
      const channel = await connection.createChannel()
      channel.on('error', onFault)
      const over = new AbortController()
      const { signal } = over
      channel.on('close', () => {
        // The broker closes a channel whose messages were not answered for half an hour.
        if (!signal.aborted) rabbit.renew('lost a channel that was consumed on')
        over.abort()
      })
      await channel.prefetch(limits.eventsAhead)
      const waiting: ConsumeMessage[] = []
      let working: Promise<void> | undefined
      const work = async () => {
        await before
        while (!signal.aborted && waiting.length > 0) {
          const some = waiting.splice(0, limits.eventsAhead)
          await deliver(some, signal)
          acknowledge(channel, some.at(-1))
        }
      }
      const wake = () => {
        working ??= work()
          .catch((error: unknown) => {
            // Over in the middle of it: RabbitMQ tells it again to whoever is there.
            if (!(error instanceof Over)) onFault(error)
          })
          .finally(() => {
            working = undefined
            if (!signal.aborted && waiting.length > 0) wake()
          })
        before = working
      }
      await channel.consume(queue, (message) => {
        if (message === null) return rabbit.renew(`lost its queue ${queue}`)
        waiting.push(message)
        wake()
      })
      return {
        end: async () => {
          over.abort()
          await working
          await channel.close().catch(() => undefined)
        },
      }
    })
  }

  const overhear = ({ take, missed }: Overhearer): Leave =>
    rabbit.attend(async (connection) => {
      const channel = await connection.createChannel()
      channel.on('error', onFault)
      // With this connection it comes and goes, and so does what is in it.
      const { queue } = await channel.assertQueue('', { exclusive: true, autoDelete: true, durable: false })
      await channel.bindQueue(queue, names.events, '#')
      await channel.consume(
        queue,
        (message) => {
          if (message === null) return rabbit.renew('lost a queue that was overheard')
          try {
            const event = eventIn(message)
            if (event !== undefined) take([event])
          } catch (error) {
            onFault(error)
          }
        },
        { noAck: true },
      )
      missed()
      return { end: () => channel.close().catch(() => undefined) }
    })

  return {
    publish: (events) => rabbit.publish(events.map((event) => messageOf(names.events, event))),
    // Its queues are there whether anybody runs or not.
    isHeard: async () => true,
    subscribe: (name, take) => leaving(subscribe(name, take)),
    overhear: (overhearer) => leaving(overhear(overhearer)),
  }
}

type Leave = () => Promise<void>
/** Nobody waits for it but whoever stops RabbitMQ. */
const leaving = (leave: Leave) => (): void => void leave()

const reasonOf = ({ error }: { readonly error: unknown }): string => (error instanceof Error ? `${error.name}: ${error.message}` : String(error))

const messageOf = (exchange: string, event: WrittenEvent): Message => ({
  exchange,
  routingKey: event.type,
  content: Buffer.from(JSON.stringify(event)),
  properties: { messageId: String(event.sequence), contentType: 'application/json', type: event.type },
})

/** Nothing when it is none: then somebody else has written it. */
const eventIn = ({ content }: ConsumeMessage): WrittenEvent | undefined => {
  try {
    const event = JSON.parse(content.toString()) as WrittenEvent | null // as messageOf wrote it; somebody else's is looked at below
    return Number.isSafeInteger(event?.sequence) && typeof event?.type === 'string' ? event : undefined
  } catch {
    return undefined
  }
}
const idOf = ({ messageId }: ConsumeMessage['properties']): string | undefined => (typeof messageId === 'string' ? messageId : undefined)

const acknowledge = (channel: Channel, last: ConsumeMessage | undefined): void => {
  try {
    if (last !== undefined) channel.ack(last, true)
  } catch {
    // The channel has just been lost: it is told again, and taken again without effect.
  }
}
