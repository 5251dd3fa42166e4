// What a chunk of rows means for the items that are there: which are made, which are changed, what is received, and which rows fail.
// Nothing is asked and nothing is written here.
import { MAX_ATTRIBUTES, MAX_METADATA } from '@holdfast/contract'
import type { LocationNumber } from '../../domain/ids.ts'
import type { Item, ItemFields } from '../../storage/items.ts'
import type { Dealt, ImportCounts } from '../../storage/imports.ts'
import { failed, type Read, type Row, type RowError } from './import-rows.ts'
import { limitOf } from './items.ts'

/** A location that was named, or why it cannot be used. */
export type Named = { readonly number: LocationNumber } | { readonly code: 'not_found' | 'location_inactive'; readonly message: string }

export type ChunkView = {
  readonly onExisting: 'refuse' | 'skip' | 'update'
  readonly defaultLocation: string | null
  readonly mayReceive: boolean
  readonly items: ReadonlyMap<string, Item>
  /** What earlier chunks of this import have done about these skus. */
  readonly dealt: readonly Dealt[]
  readonly locationOf: (code: string) => Named
}

export type Chunk = {
  readonly created: readonly ItemFields[]
  readonly updated: readonly { readonly before: Item; readonly after: ItemFields }[]
  readonly stock: ReadonlyMap<LocationNumber, ReadonlyMap<string, number>>
  readonly dealt: readonly Dealt[]
  readonly errors: readonly RowError[]
  readonly counts: Omit<ImportCounts, 'bytes'>
}

/** An item as this import sees it while it goes along. */
type Seen = {
  readonly before: Item | undefined
  fields: ItemFields | undefined
  /** Done by a row of this import: what comes later must agree with it. */
  isOurs: boolean
  readonly locations: Set<number>
  change: 'created' | 'updated' | 'unchanged' | undefined
}

export const decideChunk = (rows: readonly Read[], view: ChunkView): Chunk => {
  const seen = new Map<string, Seen>()
  const stock = new Map<LocationNumber, Map<string, number>>()
  const dealt: { readonly sku: string; readonly location: number }[] = []
  const errors: RowError[] = []
  const earlier = Map.groupBy(view.dealt, ({ sku }) => sku)
  let skipped = 0
  let units = 0

  const seenOf = (sku: string): Seen => {
    const known = seen.get(sku)
    if (known !== undefined) return known
    const before = view.items.get(sku)
    const done = earlier.get(sku) ?? []
    const made: Seen = {
      before,
      fields: done.find(({ fields }) => fields !== null)?.fields ?? before,
      isOurs: done.length > 0,
      locations: new Set(done.map(({ location }) => location)),
      change: undefined,
    }
    seen.set(sku, made)
    return made
  }

  const decide = (row: Row): { readonly error: RowError } | undefined => {
    const { sku, quantity = 0, location = view.defaultLocation, ...said } = row.fields
    const item = seenOf(sku)
    const no = (code: RowError['code'], param: string, message: string) => failed(row.record, row.row, sku, code, [{ param, message }])

    if (item.before !== undefined && !item.isOurs) {
      if (view.onExisting === 'skip') {
        skipped += 1
        return undefined
      }
      if (view.onExisting === 'refuse')
        return no('already_exists', 'sku', `is there already: ${sku}; on_existing=update changes it, on_existing=skip leaves it`)
    }
    if (item.before?.status === 'archived') return no('item_archived', 'sku', `is archived: ${sku}`)
    if (item.fields === undefined && said.name === undefined) return no('invalid_request', 'name', 'is required for a new item')

    const after = saidOf(sku, item.fields, said)
    // A row keeps to the bound by itself; together with what stood before it may not.
    const crowded = bounded.find(([group, most]) => Object.keys(after[group]).length > most)
    if (crowded) return no('invalid_request', crowded[0], `would be more than ${crowded[1]}, together with those that the item has`)
    const hasChanged = item.fields === undefined || !isSame(item.fields, after)
    if (item.isOurs && hasChanged)
      return no('invalid_request', 'sku', `came before in this file, and ${differences(item.fields, after).join(', ')} was something else there`)

    if (quantity > 0) {
      if (!view.mayReceive) return no('permission_denied', 'quantity', 'needs the scope stock:adjust')
      if (location === null) return no('invalid_request', 'location', 'is required for stock')
      const named = view.locationOf(location)
      if ('code' in named) return no(named.code, 'location', named.message)
      if (item.locations.has(named.number)) return no('invalid_request', 'location', `has stock of ${sku} from a row before: ${location}`)
      // From here the row is done.
      item.locations.add(named.number)
      dealt.push({ sku, location: named.number })
      units += quantity
      let lines = stock.get(named.number)
      if (lines === undefined) stock.set(named.number, (lines = new Map()))
      lines.set(sku, quantity)
    } else dealt.push({ sku, location: NOWHERE })

    if (!item.isOurs) item.change = item.fields === undefined ? 'created' : hasChanged ? 'updated' : 'unchanged'
    item.fields = after
    item.isOurs = true
    return undefined
  }

  for (const row of rows) {
    const no = 'error' in row ? row : decide(row)
    if (no !== undefined) errors.push(no.error)
  }

  const all = [...seen.values()]
  const changed = (change: Seen['change']) => all.filter((item) => item.change === change)
  return {
    created: changed('created').flatMap(({ fields }) => fields ?? []),
    updated: changed('updated').flatMap(({ before, fields }) => (before && fields ? [{ before, after: fields }] : [])),
    stock,
    dealt: dealt.map((one) => ({ ...one, fields: seen.get(one.sku)?.fields ?? null })),
    errors,
    counts: {
      rowsRead: rows.length,
      itemsCreated: changed('created').length,
      itemsUpdated: changed('updated').length,
      itemsUnchanged: changed('unchanged').length,
      unitsReceived: units,
      rowsSkipped: skipped,
      rowsFailed: errors.length,
    },
  }
}

/** Where an item is noted that received nothing. */
const NOWHERE = 0

/** The item with what a row says of it. Attributes and metadata that a row does not name stay as they are. */
const saidOf = (sku: string, before: ItemFields | undefined, said: Omit<Row['fields'], 'sku' | 'quantity' | 'location'>): ItemFields => {
  const { safety_stock: safetyStock, reorder_point: reorderPoint, purchase_limit: limit, attributes, metadata, ...rest } = said
  const stood = before ?? nothingSaid
  return {
    sku,
    name: rest.name ?? stood.name,
    description: rest.description === undefined ? stood.description : rest.description,
    brand: rest.brand === undefined ? stood.brand : rest.brand,
    category: rest.category === undefined ? stood.category : rest.category,
    price: rest.price === undefined ? stood.price : rest.price,
    barcode: rest.barcode === undefined ? stood.barcode : rest.barcode,
    attributes: attributes === undefined ? stood.attributes : { ...stood.attributes, ...attributes },
    metadata: metadata === undefined ? stood.metadata : { ...stood.metadata, ...metadata },
    safetyStock: safetyStock ?? stood.safetyStock,
    reorderPoint: reorderPoint === undefined ? stood.reorderPoint : reorderPoint,
    purchaseLimit: limit === undefined ? stood.purchaseLimit : limitOf(limit),
    status: stood.status,
  }
}

const nothingSaid: Omit<ItemFields, 'sku'> = {
  name: '',
  description: null,
  brand: null,
  category: null,
  price: null,
  barcode: null,
  attributes: {},
  metadata: {},
  safetyStock: 0,
  reorderPoint: null,
  purchaseLimit: null,
  status: 'active',
}

/** How many pairs an item may have, as when it is made or changed by itself. */
const bounded = [
  ['attributes', MAX_ATTRIBUTES],
  ['metadata', MAX_METADATA],
] as const

const compared = ['name', 'description', 'brand', 'category', 'barcode', 'safetyStock', 'reorderPoint'] as const

const differences = (a: ItemFields | undefined, b: ItemFields): string[] => [
  ...compared.filter((field) => a?.[field] !== b[field]).map((field) => field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)),
  ...(a?.price?.amount === b.price?.amount && a?.price?.currency === b.price?.currency ? [] : ['price']),
  ...(a?.purchaseLimit?.quantity === b.purchaseLimit?.quantity && a?.purchaseLimit?.windowSeconds === b.purchaseLimit?.windowSeconds ? [] : ['purchase_limit']),
  ...(['attributes', 'metadata'] as const).flatMap((group) =>
    Object.entries(b[group]).flatMap(([name, value]) => (a?.[group][name] === value ? [] : [`${group}.${name}`])),
  ),
]
const isSame = (a: ItemFields, b: ItemFields): boolean => differences(a, b).length === 0
