// What has to be there at the broker, and its names. Declared by whoever connects, so that nothing has to be set up by hand and
// nothing is told to a queue that is not there yet. RabbitMQ refuses to declare a thing again in another way: what is changed
// here needs a new name.
import type { Channel } from 'amqplib'

export type Names = {
  /** A topic exchange: the routing key is the type of the event. */
  readonly events: string
  /** A topic exchange: the routing key is the name of the operation. */
  readonly commands: string
  /** A fanout exchange and its queue: what nobody could take. */
  readonly parking: string
  eventsOf(consumer: string): string
  commandsOf(queue: string): string
}

export const namesOf = (prefix: string): Names => ({
  events: `${prefix}.events`,
  commands: `${prefix}.commands`,
  parking: `${prefix}.parking`,
  eventsOf: (consumer) => `${prefix}.events.${consumer}`,
  commandsOf: (queue) => `${prefix}.commands.${queue}`,
})

export type TopologyLimits = {
  /** Deliveries of one message after which RabbitMQ parks it by itself. */
  readonly brokerDeliveries: number
  /** The same of what is parked: it is dropped then, as there is nowhere else for it to go. */
  readonly parkingDeliveries: number
  /** Commands that may wait in one queue; one more is refused to its sender. */
  readonly commandsWaiting: number
}

export type Topology = {
  readonly names: Names
  /** The roles that events are kept for. */
  readonly consumers: readonly string[]
  /** Queues of commands, and the routing keys that lead to each. */
  readonly commands: Readonly<Record<string, readonly string[]>>
  readonly limits: TopologyLimits
}

export const declare = async (channel: Channel, { names, consumers, commands, limits }: Topology): Promise<void> => {
  await channel.assertExchange(names.parking, 'fanout', { durable: true })
  await channel.assertQueue(names.parking, { durable: true, arguments: { 'x-queue-type': 'quorum', 'x-delivery-limit': limits.parkingDeliveries } })
  await channel.bindQueue(names.parking, names.parking, '')

  await channel.assertExchange(names.events, 'topic', { durable: true })
  for (const consumer of consumers) {
    const queue = names.eventsOf(consumer)
    await channel.assertQueue(queue, {
      durable: true,
      arguments: {
        ...quorum(names, limits.brokerDeliveries),
        // Of several processes one consumes: so what happened to one subject is taken in its order.
        'x-single-active-consumer': true,
        // No bound of its own: a queue that takes the later of two events after it refused the earlier would break the order. A
        // broker whose disk or memory is full takes nothing from anybody, and the outbox keeps it.
      },
    })
    await channel.bindQueue(queue, names.events, '#')
  }

  // What leads to no queue is parked where it is seen, instead of being dropped without a word.
  await channel.assertExchange(names.commands, 'topic', { durable: true, alternateExchange: names.parking })
  for (const [name, patterns] of Object.entries(commands)) {
    const queue = names.commandsOf(name)
    await channel.assertQueue(queue, {
      durable: true,
      arguments: { ...quorum(names, limits.brokerDeliveries), 'x-max-length': limits.commandsWaiting },
    })
    for (const pattern of patterns) await channel.bindQueue(queue, names.commands, pattern)
  }
}

/**
 * Kept by several nodes. What is delivered again and again is parked by whoever consumes it, one at a time. The broker's own limit is
 * far beyond that, and takes all that was under way; but newer brokers have a low one, and drop, where none is set. What it parks
 * leaves this queue when it is in the other one, not before.
 */
const quorum = (names: Names, deliveries: number) => ({
  'x-queue-type': 'quorum',
  'x-delivery-limit': deliveries,
  'x-dead-letter-exchange': names.parking,
  'x-dead-letter-strategy': 'at-least-once',
  'x-overflow': 'reject-publish',
})
