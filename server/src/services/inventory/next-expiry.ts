// When somebody who is short may try again. Asked once a second for each level, however many are short.
import { LRUCache } from 'lru-cache'
import type { ItemNumber, LocationNumber } from '../../domain/ids.ts'
import { nextExpiry as readNextExpiry } from '../../storage/holds.ts'
import type { Pool } from '../../storage/pool.ts'

export type NextExpiry = (item: ItemNumber, location: LocationNumber | null) => Promise<number | null>

export const nextExpiry = ({
  pool,
  limits,
}: {
  pool: Pool
  limits: { readonly remembered: number; readonly ttlMs: number; readonly depth: number }
}): NextExpiry => {
  const asked = new LRUCache<string, Promise<number | null>>({ max: limits.remembered, ttl: limits.ttlMs })
  return (item, location) => {
    const key = location === null ? `${item}` : `${item}@${location}`
    const known = asked.get(key)
    if (known) return known
    // It is advice beside a refusal: without it the refusal still stands.
    const answer = readNextExpiry(pool, item, location, limits.depth).catch(() => null)
    asked.set(key, answer)
    return answer
  }
}
