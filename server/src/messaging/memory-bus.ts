// The bus of a single process. It keeps nothing: what has not been taken by every subscriber stays in the outbox.
import type { Bus, Subscriber } from './bus.ts'

export const memoryBus = (): Bus => {
  const subscribers = new Map<string, Subscriber>()
  return {
    publish: async (events) => {
      for (const event of events) for (const subscriber of subscribers.values()) await subscriber(event)
    },
    isHeard: () => subscribers.size > 0,
    subscribe: (name, subscriber) => {
      if (subscribers.has(name)) throw new Error(`the bus of one process has one consumer ${name}, and it is there already`)
      subscribers.set(name, subscriber)
      return () => void subscribers.delete(name)
    },
  }
}
