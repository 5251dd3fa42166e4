// Items and locations by name and by number, remembered in this process. Names and numbers never change; what does change
// (archived, inactive, safety stock) is looked for in the database every few hundred milliseconds.
import { LRUCache } from 'lru-cache'
import type { ItemNumber, LocationNumber } from '../../domain/ids.ts'
import { noThresholds, type Thresholds } from '../../domain/level.ts'
import { loop } from '../../platform/loop.ts'
import { together } from '../../platform/together.ts'
import type { Candidate } from '../../domain/sourcing.ts'
import { itemsByNumber, itemsBySku, itemsChangedAfter, type Item } from '../../storage/items.ts'
import { locationsChangedAfter, type Location } from '../../storage/locations.ts'
import { headSequence } from '../../storage/events.ts'
import type { Pool } from '../../storage/pool.ts'

export type CatalogItem = Pick<Item, 'number' | 'sku' | 'status' | 'safetyStock' | 'reorderPoint' | 'purchaseLimit' | 'sequence'>
export type CatalogLocation = Pick<Location, 'number' | 'code' | 'status' | 'priority' | 'latitude' | 'longitude' | 'sequence'>

export type Catalog = {
  start(): Promise<void>
  stop(): Promise<void>
  /** Why changes could not be looked for last; null when they could. */
  failing(): string | null
  /** The items with these skus; what is not in the answer does not exist. Answers at once when all are remembered. */
  bySku(skus: Iterable<string>): ReadonlyMap<string, CatalogItem> | Promise<ReadonlyMap<string, CatalogItem>>
  /** Makes sure that `sku` knows these numbers. */
  remember(numbers: Iterable<ItemNumber>): Promise<void> | undefined
  /** The sku of an item that was remembered before. */
  sku(number: ItemNumber): string
  thresholdsOf(number: ItemNumber): Thresholds
  purchaseLimitOf(number: ItemNumber): CatalogItem['purchaseLimit']
  location(code: string): CatalogLocation | undefined | Promise<CatalogLocation | undefined>
  code(number: LocationNumber): string
  /** Looks for what other processes have changed, now. */
  lookAgain(): Promise<void>
  /** Active locations in their own order, for lines that name none. */
  candidates(): readonly Candidate[]
  /** Takes in a change that this process has made. */
  itemChanged(item: Item): void
  locationChanged(location: Location): void
}

/** A number that no location has here yet: another process made it a moment ago. */
class UnknownLocation extends Error {
  constructor(number: LocationNumber) {
    super(`location ${number} is not in the catalog`)
    this.name = 'UnknownLocation'
  }
}

/** Does what needs the names of locations, and once more when one was missing that another process has just made. */
export const named = async <Made>({ lookAgain }: Pick<Catalog, 'lookAgain'>, make: () => Made | Promise<Made>): Promise<Made> => {
  try {
    return await make()
  } catch (error) {
    if (!(error instanceof UnknownLocation)) throw error
    await lookAgain()
    return make()
  }
}

export type CatalogDeps = {
  readonly pool: Pool
  readonly limits: {
    readonly items: number
    readonly refreshMs: number
    readonly changes: number
    readonly reads: { readonly keys: number; readonly inFlight: number }
  }
  readonly onFault: (error: unknown) => void
  /** Told of items that have changed, here or elsewhere, with the sequence of the event that told of it. Not of new ones. */
  readonly onChanged?: (item: ItemNumber, sequence: number) => void
}

export const catalog = ({ pool, limits, onFault, onChanged }: CatalogDeps): Catalog => {
  const skus = new LRUCache<string, CatalogItem>({ max: limits.items })
  const items = new LRUCache<ItemNumber, CatalogItem>({ max: limits.items })
  const codes = new Map<string, CatalogLocation>()
  const locations = new Map<LocationNumber, CatalogLocation>()
  let ordered: Candidate[] = []
  let itemsSeen = 0
  let locationsSeen = 0
  let refreshing: Promise<void> | undefined

  /** Answers the newest that was heard of the item: an answer may be older than a change that was heard of while it was under way. */
  const addItem = ({ number, sku, status, safetyStock, reorderPoint, purchaseLimit, sequence }: Item): CatalogItem => {
    const known = items.get(number)
    const item = known !== undefined && known.sequence > sequence ? known : { number, sku, status, safetyStock, reorderPoint, purchaseLimit, sequence }
    skus.set(sku, item)
    items.set(number, item)
    return item
  }
  const itemChanged = (item: Item) => {
    addItem(item)
    if (item.version > 1) onChanged?.(item.number, item.sequence)
  }
  const addLocation = ({ number, code, status, priority, latitude, longitude, sequence }: Location) => {
    // Another process may have changed it since, and that may have been heard of already.
    if ((locations.get(number)?.sequence ?? 0) > sequence) return
    const location = { number, code, status, priority, latitude, longitude, sequence }
    codes.set(code, location)
    locations.set(number, location)
    ordered = [...locations.values()]
      .filter((other) => other.status === 'active')
      .toSorted((a, b) => a.priority - b.priority || a.number - b.number)
      .map((other) => ({
        location: other.number,
        point: other.latitude === null || other.longitude === null ? null : { latitude: other.latitude, longitude: other.longitude },
      }))
  }

  const refresh = async (): Promise<void> => {
    for (const location of await locationsChangedAfter(pool, locationsSeen)) {
      addLocation(location)
      locationsSeen = Math.max(locationsSeen, location.sequence)
    }
    for (;;) {
      const changed = await itemsChangedAfter(pool, itemsSeen, limits.changes)
      for (const item of changed) {
        // Also those that are not remembered: one of them may be on its way here, as it was before.
        itemChanged(item)
        itemsSeen = Math.max(itemsSeen, item.sequence)
      }
      if (changed.length < limits.changes) return
    }
  }
  const refreshOnce = () => (refreshing ??= refresh().finally(() => (refreshing = undefined)))
  const running = loop({ step: () => refreshOnce().then(() => limits.refreshMs), onFault, afterFaultMs: limits.refreshMs })

  const loadItems = together({ ask: (wanted: readonly string[]) => itemsBySku(pool, wanted), limits: limits.reads })
  const load = async (missing: readonly string[], found: Map<string, CatalogItem>) => {
    const wanted = new Set(missing)
    for (const item of await loadItems(missing)) if (wanted.has(item.sku)) found.set(item.sku, addItem(item))
    return found
  }

  return {
    failing: running.failing,
    start: async () => {
      itemsSeen = await headSequence(pool)
      await refresh()
      running.start()
    },
    stop: () => running.stop(),
    bySku: (wanted) => {
      const found = new Map<string, CatalogItem>()
      const missing: string[] = []
      for (const sku of wanted) {
        const item = skus.get(sku)
        if (item) found.set(sku, item)
        else missing.push(sku)
      }
      return missing.length === 0 ? found : load(missing, found)
    },
    remember: (numbers) => {
      const missing = [...new Set(numbers)].filter((number) => !items.has(number))
      if (missing.length === 0) return undefined
      return itemsByNumber(pool, missing).then((loaded) => {
        for (const item of loaded) addItem(item)
      })
    },
    sku: (number) => {
      const item = items.get(number)
      if (item === undefined) throw new Error(`item ${number} is not in the catalog`)
      return item.sku
    },
    thresholdsOf: (number) => items.get(number) ?? noThresholds,
    purchaseLimitOf: (number) => items.get(number)?.purchaseLimit ?? null,
    location: (code) => codes.get(code) ?? refreshOnce().then(() => codes.get(code)),
    code: (number) => {
      const location = locations.get(number)
      if (location === undefined) throw new UnknownLocation(number)
      return location.code
    },
    // A look that is under way may have begun too early to see what is missing.
    lookAgain: () => (refreshing ?? Promise.resolve()).then(refreshOnce),
    candidates: () => ordered,
    itemChanged,
    locationChanged: addLocation,
  }
}
