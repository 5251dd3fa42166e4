// Events over RabbitMQ. A queue for each consuming role keeps what has happened until it was taken, whoever runs and whoever does not.
import type { Channel, ConsumeMessage } from 'amqplib'
import type { WrittenEvent } from '../domain/event.ts'
import type { Waits } from '../platform/growing-waits.ts'
import type { Bus, Overhearer, Subscriber } from './bus.ts'
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
      const whole = await tried(() => take(messages.map(eventIn)), { limits: { ...limits, tries: 1 }, isPassing, over, onFault })
      if (whole === undefined) return
      for (const message of messages) {
        const failed = await tried(() => take([eventIn(message)]), { limits, isPassing, over, onFault })
        if (failed === undefined) continue
        const parked = {
          queue: `events.${name}`,
          operation: message.fields.routingKey,
          message: message.content.toString(),
          reason: reasonOf(failed),
          attempts: limits.tries,
          caller: null,
        }
        // Until it is parked it is nowhere but here.
        await tried(() => park(parked), { limits, isPassing: () => true, over, onFault })
      }
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
            take([eventIn(message)])
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

const eventIn = ({ content }: ConsumeMessage): WrittenEvent => {
  const event = JSON.parse(content.toString()) as WrittenEvent // as messageOf wrote it; somebody else's is looked at below
  if (!Number.isSafeInteger(event?.sequence) || typeof event.type !== 'string') throw new Error('this is no event of the ledger')
  return event
}

const acknowledge = (channel: Channel, last: ConsumeMessage | undefined): void => {
  try {
    if (last !== undefined) channel.ack(last, true)
  } catch {
    // The channel has just been lost: it is told again, and taken again without effect.
  }
}
