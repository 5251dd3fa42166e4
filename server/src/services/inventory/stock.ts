// What stands: levels, what can be sold, and the entries behind them.
import { instant, type Instant } from '../../domain/instant.ts'
import type { ItemNumber, LocationNumber } from '../../domain/ids.ts'
import { levelKey, places, type Place } from '../../domain/level.ts'
import { source } from '../../domain/sourcing.ts'
import { summedByItem } from '../../domain/hold.ts'
import { placeNumber } from '../../storage/codec.ts'
import { documentIdsOfHold } from '../../storage/documents.ts'
import { listEntries, type EntryFilter, type EntryPlace } from '../../storage/entries.ts'
import { itemsByNumber } from '../../storage/items.ts'
import { levelsAsOf, listLevels } from '../../storage/levels.ts'
import { Refused, invalidCursor, iso, namedId, pageOf } from '../answer.ts'
import type { Handlers } from '../service.ts'
import type { AvailabilityRead, ItemAvailability, Sellable } from './availability.ts'
import type { InventoryDeps } from './inventory.ts'
import { namedDocument, namedItem, namedItems, namedLocation } from './named.ts'
import { candidatesWithin, listed, reachOf, within, type Reach } from './reach.ts'
import { entryId, renderEntry, renderItem, renderLevel, renderTotal, type WireItem } from './render.ts'

export const stockHandlers = (deps: InventoryDeps): Pick<Handlers, 'stock_levels' | 'availability' | 'ledger_entries'> => {
  const { catalog, pool, readAvailability, readLevels, wait } = deps

  /** Reads until it is as new as was asked: at once on the primary, a moment later on what follows it. */
  const fresh = async <Read extends { readonly sequence: number }>(minSequence: number | undefined, read: () => Promise<Read>): Promise<Read> => {
    for (let attempt = 0; ; attempt += 1) {
      const found = await read()
      if (minSequence === undefined || found.sequence >= minSequence) return found
      if (attempt === FRESH_ATTEMPTS)
        throw new Refused('unavailable', `sequence ${minSequence} is not here yet; the latest is ${found.sequence}`, { retryAfterSeconds: 1 })
      await wait(FRESH_WAIT_MS)
    }
  }
  /** What the caller is shown of levels that were read for everybody at once. */
  const shown = <Level extends { readonly location: LocationNumber }>(reach: Reach, levels: readonly Level[]): readonly Level[] =>
    reach === null ? levels : levels.filter((level) => reach.has(level.location))
  const availabilityOf = (sku: string, levels: readonly Sellable[], now: number, stale: boolean) => {
    const locations = levels.map(({ location, sellable, version }) => ({
      location: catalog.code(location),
      available_to_sell: sellable,
      level_version: version,
    }))
    return {
      object: 'availability' as const,
      sku,
      available_to_sell: locations.reduce((sum, location) => sum + location.available_to_sell, 0),
      locations,
      as_of: iso(now),
      stale,
    }
  }
  const staleness = ({ staleMs }: AvailabilityRead) => (staleMs === null ? {} : { stale: { ageSeconds: Math.floor(staleMs / 1_000) } })

  return {
    stock_levels: {
      get: async ({ params, query }, { caller }) => {
        const item = await namedItem(catalog, params.sku)
        const reach = await reachOf(catalog, caller)
        const { levels: all, sequence } = await fresh(query.min_sequence, () => readLevels([item.number]))
        const levels = shown(reach, all)
        return {
          ok: true,
          sequence,
          body: { object: 'item_stock', sku: item.sku, total: renderTotal(levels), locations: levels.map((level) => renderLevel(level, catalog)) },
        }
      },
      list: async ({ query }, { caller }) => {
        const reach = await reachOf(catalog, caller)
        const item = query.sku === undefined ? null : (await namedItem(catalog, query.sku)).number
        const location = query.location === undefined ? null : within(reach, await namedLocation(catalog, query.location, { inactive: 'taken' })).number
        const at = query.as_of === undefined ? null : instantOf(query.as_of)
        if (at !== null && item === null && location === null)
          throw new Refused('invalid_request', 'as_of needs sku or location', { errors: [{ param: 'as_of', message: 'needs sku or location' }] })
        if (at !== null && query.low === true)
          throw new Refused('invalid_request', 'low is of now, not of the past', { errors: [{ param: 'low', message: 'cannot be asked together with as_of' }] })
        const after = query.starting_after === undefined ? null : levelPlace(query.starting_after)
        let sequence = 0
        let items: ReadonlyMap<ItemNumber, WireItem> = new Map()
        const answer = await pageOf(query, {
          read: async (limit) => {
            const filter = { item, location, locations: listed(reach), low: query.low === true, after, limit }
            const read = await fresh(query.min_sequence, () => (at === null ? listLevels(pool, filter) : levelsAsOf(pool, at, filter)))
            sequence = read.sequence
            const numbers = [...new Set(read.levels.map((level) => level.item))]
            await catalog.remember(numbers)
            if (query.expand?.includes('item')) items = new Map((await itemsByNumber(pool, numbers)).map((found) => [found.number, renderItem(found)]))
            return read.levels
          },
          render: (level) => {
            const expanded = items.get(level.item)
            return expanded === undefined ? renderLevel(level, catalog) : { ...renderLevel(level, catalog), item: expanded }
          },
          cursorOf: (level) => `${level.item}.${level.location}`,
        })
        return answer.ok ? { ...answer, sequence } : answer
      },
    },

    availability: {
      get: async ({ params, query }, { caller }) => {
        const item = await namedItem(catalog, params.sku)
        const reach = await reachOf(catalog, caller)
        const read = await fresh(query.min_sequence, () => readAvailability([item.number], query.min_sequence))
        const { levels, now } = only(read.items)
        const body = availabilityOf(item.sku, shown(reach, levels), now, read.staleMs !== null)
        return { ok: true, body, sequence: read.sequence, ...staleness(read) }
      },
      check: async ({ body, query }, { caller }) => {
        if ((body.skus === undefined) === (body.lines === undefined))
          throw new Refused('invalid_request', 'either skus or lines', { errors: [{ param: 'skus', message: 'give either skus or lines' }] })
        const wanted = body.lines ?? (body.skus ?? []).map((sku) => ({ sku }))
        const item = await namedItems(catalog, wanted, { archived: 'taken' })
        const skus = [...new Set(wanted.map((line) => line.sku))]
        const reach = await reachOf(catalog, caller)
        const numbers = skus.map(item)
        const read = await fresh(query.min_sequence, () => readAvailability(numbers, query.min_sequence))
        const { items, sequence } = read
        const isStale = read.staleMs !== null
        const seen = items.map(({ levels }) => shown(reach, levels))
        const data = skus.map((sku, index) => availabilityOf(sku, seen[index] ?? [], items[index]?.now ?? 0, isStale))
        const asOf = items.reduce((earliest, { now }) => Math.min(earliest, now), Number.POSITIVE_INFINITY)
        const common = { object: 'availability_list' as const, data, as_of: iso(asOf), stale: isStale }
        if (body.lines === undefined) return { ok: true, body: common, sequence, ...staleness(read) }

        const lines = []
        for (const { sku, quantity, location } of body.lines)
          lines.push({
            item: item(sku),
            quantity,
            location: location === undefined ? null : within(reach, await namedLocation(catalog, location, { inactive: 'refused' })).number,
          })
        const levels = seen.flatMap((own, index) => own.map(({ location, sellable }) => ({ item: numbers[index] as ItemNumber, location, sellable }))) // one for each
        const plan = planOf(lines, levels, candidatesWithin(reach, catalog.candidates()), body.strategy ?? 'priority', body.destination ?? null)
        const rendered = skus.map((sku) => {
          const part = plan.get(item(sku))
          return {
            sku,
            quantity: part?.quantity ?? 0,
            missing: part?.missing ?? 0,
            allocations: (part?.allocations ?? []).map(({ location, quantity }) => ({ location: catalog.code(location), quantity })),
          }
        })
        return { ok: true, sequence, body: { ...common, fulfillable: rendered.every((line) => line.missing === 0), plan: rendered }, ...staleness(read) }
      },
    },

    ledger_entries: {
      list: async ({ query }, { caller }) => {
        const reach = await reachOf(catalog, caller)
        const item = query.sku === undefined ? null : (await namedItem(catalog, query.sku)).number
        const location = query.location === undefined ? null : within(reach, await namedLocation(catalog, query.location, { inactive: 'taken' })).number
        const hold = query.hold === undefined ? null : namedId('hold', query.hold)
        const document = query.document === undefined ? null : namedDocument(query.document)
        const ofHold = hold === null ? null : [hold, ...(await documentIdsOfHold(pool, hold))]
        const documents = document === null ? ofHold : (ofHold ?? [document]).filter((id) => id === document)
        const before = query.starting_after === undefined ? null : entryPlace(query.starting_after)
        let sequence = 0
        const answer = await pageOf(query, {
          read: async (limit) => {
            const filter: EntryFilter = {
              item,
              location,
              locations: listed(reach),
              documents,
              from: query.from ?? null,
              to: query.to ?? null,
              since: query.since === undefined ? null : instantOf(query.since),
              until: query.until === undefined ? null : instantOf(query.until),
              before,
              limit,
            }
            const read = await fresh(query.min_sequence, () => listEntries(pool, filter))
            sequence = read.sequence
            await catalog.remember(read.entries.map((entry) => entry.item))
            return read.entries
          },
          render: (entry) => renderEntry(entry, catalog),
          cursorOf: entryId,
        })
        return answer.ok ? { ...answer, sequence } : answer
      },
    },
  }
}

const only = (items: readonly ItemAvailability[]): ItemAvailability => {
  const [item] = items
  if (item === undefined) throw new Error('one item was asked for, and none was read')
  return item
}

const FRESH_ATTEMPTS = 20
const FRESH_WAIT_MS = 50

/** The gateway has checked that it is a date and time. */
const instantOf = (text: string): Instant => instant(Date.parse(text))

const levelPlace = (cursor: string): { item: number; location: number } => {
  const match = /^(\d{1,10})\.(\d{1,10})$/.exec(cursor)
  const [item, location] = [Number(match?.[1]), Number(match?.[2])]
  if (!(item <= LAST_NUMBER && location <= LAST_NUMBER)) throw invalidCursor(cursor)
  return { item, location }
}

const entryPlace = (cursor: string): EntryPlace => {
  const match = /^ent_(\d{1,16})-(\d{1,10})-(\d{1,10})-([a-z_]+)-([a-z_]+)$/.exec(cursor)
  const [from, to] = [match?.[4], match?.[5]]
  const [sequence, item, location] = [Number(match?.[1]), Number(match?.[2]), Number(match?.[3])]
  if (!isPlace(from) || !isPlace(to) || !Number.isSafeInteger(sequence) || !(item <= LAST_NUMBER && location <= LAST_NUMBER)) throw invalidCursor(cursor)
  return { sequence, item, location, from: placeNumber(from), to: placeNumber(to) }
}

/** The largest number that an item or a location can have in the database. */
const LAST_NUMBER = 2_147_483_647
const isPlace = (word: string | undefined): word is Place => places.some((place) => place === word)

type WantedLine = { readonly item: ItemNumber; readonly quantity: number; readonly location: LocationNumber | null }
type PlannedLine = { quantity: number; missing: number; allocations: { location: LocationNumber; quantity: number }[] }

/** Where lines would be taken from now, as a hold would take them: those that name a location first. */
const planOf = (
  lines: readonly WantedLine[],
  levels: readonly { readonly item: ItemNumber; readonly location: LocationNumber; readonly sellable: number }[],
  candidates: Parameters<typeof source>[1],
  strategy: Parameters<typeof source>[3],
  destination: Parameters<typeof source>[4],
) => {
  const left = new Map(levels.map(({ item, location, sellable }) => [levelKey(item, location), sellable]))
  const plan = new Map<ItemNumber, PlannedLine>()
  const take = (item: ItemNumber, location: LocationNumber, quantity: number) => {
    left.set(levelKey(item, location), (left.get(levelKey(item, location)) ?? 0) - quantity)
    if (quantity > 0) plan.get(item)?.allocations.push({ location, quantity })
  }
  for (const { item, quantity } of summedByItem(lines)) plan.set(item, { quantity, missing: quantity, allocations: [] })
  for (const { item, quantity, location } of lines)
    if (location !== null) take(item, location, Math.max(0, Math.min(quantity, left.get(levelKey(item, location)) ?? 0)))
  const anywhere = summedByItem(lines.filter((line) => line.location === null))
  for (const { item, location, quantity } of source(anywhere, candidates, (item, location) => left.get(levelKey(item, location)) ?? 0, strategy, destination)
    .allocations)
    take(item, location, quantity)
  for (const line of plan.values()) line.missing = line.quantity - line.allocations.reduce((sum, allocation) => sum + allocation.quantity, 0)
  return plan
}
