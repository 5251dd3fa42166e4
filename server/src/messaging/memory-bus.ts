// The bus of a single process. It keeps nothing: what has not been taken by every subscriber stays in the outbox.
import type { Bus, Overhearer, Subscriber } from './bus.ts'

export const memoryBus = (): Bus => {
  const subscribers = new Map<string, { readonly take: Subscriber; readonly listens: () => Promise<boolean> }>()
  const listeners = new Set<Overhearer>()
  return {
    publish: async (events) => {
      for (const { take } of listeners) take(events)
      for (const { take } of subscribers.values()) await take(events)
    },
    isHeard: async () => {
      for (const { listens } of subscribers.values()) if (await listens()) return true
      return false
    },
    subscribe: (name, take, listens = () => Promise.resolve(true)) => {
      if (subscribers.has(name)) throw new Error(`the bus of one process has one consumer ${name}, and it is there already`)
      subscribers.set(name, { take, listens })
      return () => void subscribers.delete(name)
    },
    overhear: (listener) => {
      listeners.add(listener)
      listener.missed()
      return () => void listeners.delete(listener)
    },
  }
}
