// What this process remembers, in front of what all of them do.
import type { CacheLimits } from '../platform/limits.ts'
import type { Held, Key, NearCache } from './cache.ts'
import type { RedisCache } from './redis.ts'

export type TwoLevelOptions<Value> = {
  readonly memory: NearCache<Value>
  readonly shared: RedisCache<Value>
  readonly limits: Pick<CacheLimits, 'leaseWaitMs' | 'leaseLooks'>
  readonly wait: (ms: number) => Promise<void>
}

export const twoLevelCache = <Value>({ memory, shared, limits, wait }: TwoLevelOptions<Value>): NearCache<Value> => {
  const { peek } = memory

  /** Takes in what the others have put, as far as it may be put here, and answers the best there is. */
  const taken = (key: Key, found: Held<Value> | undefined): Held<Value> | undefined => {
    if (found === undefined) return peek(key)
    const { value, version, askedAt } = found
    if (found.isFresh) memory.put([{ key, value, version, askedAt }])
    const near = peek(key)
    // What may not be put here may still be the best of what is old.
    return near === undefined || (!near.isFresh && near.version < version) ? { ...found, isFresh: false } : near
  }

  const getShared = async (keys: readonly Key[]): Promise<(Held<Value> | undefined)[]> => {
    const found = new Map<Key, Held<Value> | undefined>()
    let asked = keys.filter((key) => peek(key)?.isFresh !== true)
    // When nobody has it and another process is reading it, that is waited for: but not for long.
    for (let look = 0; asked.length > 0; look += 1) {
      if (look > 0) await wait(limits.leaseWaitMs)
      const claimed = await shared.getOrClaim(asked)
      for (const [index, key] of asked.entries()) found.set(key, taken(key, claimed[index]?.held))
      if (look === limits.leaseLooks) break
      asked = asked.filter((_, index) => claimed[index]?.isBeingRead === true)
    }
    return keys.map((key) => {
      const near = peek(key)
      return near?.isFresh === true ? near : (found.get(key) ?? near)
    })
  }

  return {
    ...memory,
    get: (keys) => {
      const near = keys.map(peek)
      return near.every((held) => held?.isFresh) ? near : getShared(keys)
    },
    put: (loaded) => {
      memory.put(loaded)
      shared.put(loaded)
    },
    outdate: (keys, version) => {
      memory.outdate(keys, version)
      shared.outdate(keys, version)
    },
  }
}
