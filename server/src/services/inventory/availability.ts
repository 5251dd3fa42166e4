// What can be sold, as it was read a moment ago. Nothing is decided by it: whoever takes stock asks the ledger.
import type { Codec, NearCache } from '../../cache/cache.ts'
import { memoryCache } from '../../cache/memory.ts'
import { readThrough, type ReadFrom } from '../../cache/read-through.ts'
import { redisCache } from '../../cache/redis.ts'
import { twoLevelCache } from '../../cache/two-level.ts'
import { locationNumber, type ItemNumber, type LocationNumber } from '../../domain/ids.ts'
import { availableToSell } from '../../domain/level.ts'
import type { Overhearer } from '../../messaging/bus.ts'
import type { CacheLimits } from '../../platform/limits.ts'
import type { Redis } from '../../platform/redis.ts'
import { turnOver } from '../../platform/turn.ts'
import { isAway } from '../../storage/fault.ts'
import type { LevelsRead } from '../../storage/levels.ts'
import type { LevelReader } from './level-reader.ts'
import { isOfStock, itemsOfEvent } from './render.ts'

/** One level of an item, as far as selling it goes. */
export type Sellable = { readonly location: LocationNumber; readonly sellable: number; readonly version: number }

/** An item's levels, the ledger's sequence that they were read at, and when that was by the database's clock. */
export type ItemAvailability = { readonly levels: readonly Sellable[]; readonly sequence: number; readonly now: number }
type Snapshot = Omit<ItemAvailability, 'sequence'>

export type AvailabilityRead = {
  /** Of each item, in their order. Each is of a moment of its own. */
  readonly items: readonly ItemAvailability[]
  /** The least of theirs. */
  readonly sequence: number
  /** How old they are, when the database could not be asked; otherwise null. */
  readonly staleMs: number | null
}
export type ReadAvailability = (items: readonly ItemNumber[], minSequence?: number) => Promise<AvailabilityRead>

export type Availability = {
  readonly read: ReadAvailability
  /** Items whose levels this process has changed, at a sequence. */
  changed(items: Iterable<ItemNumber>, sequence: number): void
  /** Something may have changed, and nobody knows what. */
  unsure(): void
  /** For what others tell. */
  readonly overhearer: Overhearer
  /** Items that are remembered. */
  size(): number
}

export type AvailabilityDeps = {
  readonly readLevels: LevelReader
  readonly limits: CacheLimits
  /** How long an item is fresh, as things are now. */
  readonly ttlMs: () => number
  readonly staleMs: number
  /** Where processes remember together; `prefix` tells apart who shares one Redis. */
  readonly shared?: { readonly redis: Redis; readonly prefix: () => string | undefined; readonly onFault: (error: unknown) => void } | undefined
  readonly wait: (ms: number) => Promise<void>
  readonly onAway: (error: unknown) => void
  readonly onRead: (from: ReadFrom, items: number) => void
}

export const availability = ({ readLevels, limits, ttlMs, staleMs, shared, wait, onAway, onRead }: AvailabilityDeps): Availability => {
  const memory = memoryCache<Snapshot>({ limits, ttlMs, sizeOf: ({ levels }) => SNAPSHOT_BYTES + levels.length * LEVEL_BYTES })
  const cache: NearCache<Snapshot> =
    shared === undefined
      ? memory
      : twoLevelCache({ memory, shared: redisCache({ ...shared, codec: snapshotCodec, limits, ttlMs, keepMs: staleMs }), limits, wait })
  const { read } = readThrough<Snapshot>({
    cache,
    load: async (keys) => {
      const items = keys as readonly ItemNumber[] // nothing else is asked for
      const loaded = snapshotsOf(items, await readLevels(items))
      return loaded.map(({ sequence, ...value }) => ({ value, version: sequence }))
    },
    isAway,
    limits,
    staleMs,
    onAway,
    onRead,
  })
  return {
    read: async (items, minSequence) => {
      const found = read(items, minSequence)
      if (found instanceof Promise) return asRead(await found)
      await turnOver()
      return asRead(found)
    },
    changed: (items, sequence) => cache.outdate([...items], sequence),
    unsure: () => cache.outdateAll(),
    overhearer: {
      take: (events) => {
        for (const { data, sequence } of events) if (isOfStock(data)) cache.outdateHere(itemsOfEvent(data), sequence)
      },
      missed: () => cache.outdateAll(),
    },
    size: () => cache.size(),
  }
}

/** Reads as new as the ledger, and remembers nothing. */
export const uncachedAvailability = (readLevels: LevelReader): Availability => ({
  read: async (items) => {
    const read = await readLevels(items)
    return { items: snapshotsOf(items, read), sequence: read.sequence, staleMs: null }
  },
  changed: () => undefined,
  unsure: () => undefined,
  overhearer: { take: () => undefined, missed: () => undefined },
  size: () => 0,
})

/** As they are in memory, and in a number that is no more than a guess. */
const SNAPSHOT_BYTES = 250
const LEVEL_BYTES = 80

const asRead = ({
  held,
  staleMs,
}: {
  readonly held: readonly { readonly value: Snapshot; readonly version: number }[]
  readonly staleMs: number | null
}): AvailabilityRead => {
  const items = held.map(({ value, version }) => ({ levels: value.levels, now: value.now, sequence: version }))
  return { items, sequence: items.reduce((least, { sequence }) => Math.min(least, sequence), Number.POSITIVE_INFINITY), staleMs }
}

const snapshotsOf = (items: readonly ItemNumber[], { levels, sequence, now }: LevelsRead): ItemAvailability[] => {
  const byItem = Map.groupBy(levels, (level) => level.item)
  return items.map((item) => ({
    sequence,
    now,
    levels: (byItem.get(item) ?? []).map((level) => ({ location: level.location, sellable: availableToSell(level), version: level.version })),
  }))
}

/** Numbers only: `[now, [[location, sellable, version], …]]`. */
const snapshotCodec: Codec<Snapshot> = {
  write: ({ now, levels }) => JSON.stringify([now, levels.map(({ location, sellable, version }) => [location, sellable, version])]),
  read: (text) => {
    let found: unknown
    try {
      found = JSON.parse(text)
    } catch {
      return undefined
    }
    if (!Array.isArray(found) || found.length !== 2) return undefined
    const [now, rows] = found as readonly unknown[]
    if (!isCount(now) || !Array.isArray(rows)) return undefined
    const levels: Sellable[] = []
    for (const row of rows as readonly unknown[]) {
      if (!Array.isArray(row) || row.length !== 3 || !row.every(isCount)) return undefined
      const [location, sellable, version] = row as [number, number, number] // just looked at
      if (location < 1 || location > LAST_LOCATION) return undefined
      levels.push({ location: locationNumber(location), sellable, version })
    }
    return { now, levels }
  },
}
const LAST_LOCATION = 2_147_483_647
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0 // a number, as just seen
