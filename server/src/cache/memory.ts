// What one process remembers: the keys asked for lately, within a number and a size.
import { LRUCache } from 'lru-cache'
import type { CacheLimits } from '../platform/limits.ts'
import type { Held, Key, NearCache } from './cache.ts'

export type MemoryOptions<Value> = {
  readonly limits: Pick<CacheLimits, 'keys' | 'bytes' | 'floors' | 'jitter'>
  /** How long a value is fresh when nobody says that it is not. Asked each time that it is judged: it may change, for what is here already, too. */
  readonly ttlMs: () => number
  /** About how many bytes a value takes. */
  readonly sizeOf: (value: Value) => number
  readonly now?: () => number
  /** From 0 to 1. */
  readonly random?: () => number
}

type Stored<Value> = { readonly value: Value; readonly version: number; readonly askedAt: number; readonly part: number }

export const memoryCache = <Value>({
  limits,
  ttlMs,
  sizeOf,
  now = () => performance.now(),
  random = Math.random,
}: MemoryOptions<Value>): NearCache<Value> & { get(keys: readonly Key[]): readonly (Held<Value> | undefined)[] } => {
  /** The least version that a key may have: what was outdated, and what was given away before it had to make room. */
  const floors = new LRUCache<Key, number>({
    max: limits.floors,
    dispose: (floor, _key, reason) => {
      if (reason === 'evict') lowest = Math.max(lowest, floor)
    },
  })
  /** The floor of every key that has none of its own any more: none of those forgotten was higher. */
  let lowest = Number.NEGATIVE_INFINITY
  /** What was asked for by then is old. */
  let outdatedAt = Number.NEGATIVE_INFINITY
  const values = new LRUCache<Key, Stored<Value>>({
    max: limits.keys,
    maxSize: limits.bytes,
    sizeCalculation: ({ value }) => Math.max(1, Math.ceil(sizeOf(value))),
    dispose: ({ version }, key, reason) => {
      if (reason === 'evict') raise(key, version)
    },
  })

  const floorOf = (key: Key): number => floors.peek(key) ?? lowest
  const raise = (key: Key, version: number) => {
    const floor = floorOf(key)
    if (version > floor || !floors.has(key)) floors.set(key, Math.max(floor, version))
  }
  const heldOf = (key: Key): Held<Value> | undefined => {
    const stored = values.get(key)
    if (stored === undefined) return undefined
    const { value, version, askedAt, part } = stored
    return { value, version, askedAt, isFresh: version >= floorOf(key) && askedAt > outdatedAt && now() < askedAt + ttlMs() * part }
  }
  const outdate = (keys: readonly Key[], version: number) => {
    for (const key of keys) raise(key, version)
  }

  return {
    peek: heldOf,
    get: (keys) => keys.map(heldOf),
    put: (loaded) => {
      for (const { key, value, version, askedAt } of loaded) {
        const stored = values.peek(key)
        if (stored !== undefined && (stored.version > version || (stored.version === version && stored.askedAt >= askedAt))) continue
        if (version < floorOf(key)) continue
        // Values that came together do not go together.
        values.set(key, { value, version, askedAt, part: 1 - limits.jitter * random() })
      }
    },
    outdate,
    outdateHere: outdate,
    outdateAll: () => void (outdatedAt = now()),
    size: () => values.size,
  }
}
