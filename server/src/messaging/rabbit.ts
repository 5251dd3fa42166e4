// RabbitMQ as this process uses it: one connection to publish on and one to consume on, because a broker that is short of memory
// stops the publishers and must not stop those who empty its queues.
import type { ChannelModel } from 'amqplib'
import { rabbitLink, type LinkLimits } from './rabbit-link.ts'
import { rabbitPublisher, type Message, type PublisherLimits } from './rabbit-publisher.ts'
import { declare, namesOf, type Names, type TopologyLimits } from './rabbit-topology.ts'

export type RabbitLimits = LinkLimits & PublisherLimits & TopologyLimits

/** What stands on a connection and is to be ended in peace: nothing more is taken, and what was taken is finished. */
export type Attendance = { end(): Promise<void> }
type Attend = (connection: ChannelModel) => Promise<Attendance>

export type Rabbit = {
  readonly names: Names
  start(): void
  /** When those who left have finished what they had taken. */
  stop(): Promise<void>
  publish(messages: readonly Message[]): Promise<void>
  /** Is begun on every connection anew. Answers how to leave. */
  attend(begin: Attend): () => Promise<void>
  /** The connection that is consumed on is made again. */
  renew(reason: string): void
  /** Whether every message reaches RabbitMQ, and we are told of every one. Asked often. */
  isUp(): boolean
  state(): { readonly state: 'up' | 'down'; readonly why: string | null }
  /** Messages sent that RabbitMQ has not confirmed yet. */
  unconfirmed(): number
  /** Connections made again after the first. */
  reconnections(): number
}

export const rabbit = ({
  urls,
  prefix,
  consumers,
  commands,
  limits,
  onFault,
}: {
  readonly urls: readonly string[]
  /** Several installations may share a broker. */
  readonly prefix: string
  readonly consumers: readonly string[]
  readonly commands: Readonly<Record<string, readonly string[]>>
  readonly limits: RabbitLimits
  readonly onFault: (error: unknown) => void
}): Rabbit => {
  const names = namesOf(prefix)
  const topology = { names, consumers, commands, limits }
  const publisher = rabbitPublisher({ urls, topology, limits, onFault })
  const attending = new Map<Attend, Promise<Attendance> | undefined>()
  const leaving = new Set<Promise<unknown>>()

  const beginOn = (connection: ChannelModel, begin: Attend): Promise<unknown> => {
    const begun = begin(connection)
    attending.set(begin, begun)
    return begun
  }
  const link = rabbitLink({
    urls,
    name: 'holdfast consumer',
    limits,
    onFault,
    setUp: async (connection) => {
      const channel = await connection.createChannel()
      channel.on('error', onFault)
      await declare(channel, topology)
      await channel.close()
      for (const begin of attending.keys()) await beginOn(connection, begin)
    },
  })

  return {
    names,
    start: () => {
      publisher.start()
      link.start()
    },
    stop: async () => {
      await Promise.all(leaving)
      await Promise.all([publisher.stop(), link.stop()])
    },
    publish: publisher.publish,
    attend: (begin) => {
      // One function of its own for each, so that the same may attend twice.
      const own: Attend = (connection) => begin(connection)
      attending.set(own, undefined)
      const live = link.live()
      if (live !== undefined) beginOn(live, own).catch((error: unknown) => link.sever(`could not be consumed on (${String(error)})`))
      return async () => {
        const begun = attending.get(own)
        attending.delete(own)
        const left = begun?.catch(() => undefined).then((attendance) => attendance?.end())
        if (left === undefined) return
        leaving.add(left)
        await left.finally(() => leaving.delete(left))
      }
    },
    renew: link.sever,
    isUp: () => link.why() === null && publisher.why() === null,
    state: () => {
      const why = publisher.why() ?? link.why()
      return { state: why === null ? 'up' : 'down', why }
    },
    unconfirmed: publisher.unconfirmed,
    reconnections: () => Math.max(0, publisher.made() - 1) + Math.max(0, link.made() - 1),
  }
}
