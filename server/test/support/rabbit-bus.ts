// A bus over RabbitMQ with names of its own, so that no test meets what another one left.
import { onTestFinished } from 'vitest'
import type { Bus } from '../../src/messaging/bus.ts'
import type { Parked } from '../../src/messaging/parking.ts'
import { rabbit, type Rabbit, type RabbitLimits } from '../../src/messaging/rabbit.ts'
import { rabbitBus, type RabbitBusLimits } from '../../src/messaging/rabbit-bus.ts'
import { limits } from '../../src/platform/limits.ts'
import { until } from './until.ts'

/** What is away for now, to a consumer of a test. */
export class Passing extends Error {}

export type TestBus = { readonly bus: Bus; readonly rabbit: Rabbit; readonly parked: Parked[]; readonly faults: unknown[]; stop(): Promise<void> }

let made = 0

export const rabbitBusOn = async (
  url: string,
  {
    prefix = `test${process.pid}_${(made += 1)}`,
    consumers = ['mail'],
    ...given
  }: { readonly prefix?: string; readonly consumers?: readonly string[]; readonly limits?: Partial<RabbitLimits & RabbitBusLimits> } = {},
): Promise<TestBus> => {
  const own = { ...limits.rabbit, reconnect: { firstWaitMs: 10, longestWaitMs: 100 }, retry: { firstWaitMs: 1, longestWaitMs: 20 }, ...given.limits }
  const faults: unknown[] = []
  const onFault = (error: unknown) => void faults.push(error)
  const parked: Parked[] = []
  const broker = rabbit({ urls: [url], prefix, consumers, commands: {}, limits: own, onFault })
  const bus = rabbitBus({
    rabbit: broker,
    isPassing: (error) => error instanceof Passing,
    park: async (one) => {
      JSON.parse(one.message)
      parked.push(one)
    },
    limits: own,
    onFault,
  })
  broker.start()
  let stopped: Promise<void> | undefined
  const stop = () => (stopped ??= broker.stop())
  onTestFinished(stop)
  await until('RabbitMQ is there', () => broker.state().state === 'up')
  return { bus, rabbit: broker, parked, faults, stop }
}
