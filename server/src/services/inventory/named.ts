// What a request names, looked up: skus, locations, ids. What is not there is refused, all of it at once.
import { prefixes, type IdKind, type ItemNumber, type Uuid } from '../../domain/ids.ts'
import type { Catalog, CatalogItem, CatalogLocation } from './catalog.ts'
import { inShort } from './submit.ts'
import { namedId, Refused } from '../answer.ts'

/** The items of lines, by sku. Throws `not_found`, or `item_archived` unless archived items will do. */
export const namedItems = async (
  catalog: Catalog,
  lines: readonly { readonly sku: string }[],
  { archived, at = (index) => `lines[${index}].sku` }: { archived: 'refused' | 'taken'; at?: (index: number) => string },
): Promise<(sku: string) => ItemNumber> => {
  const found = catalog.bySku(new Set(lines.map((line) => line.sku)))
  const items = found instanceof Promise ? await found : found
  const errors = lines.flatMap(({ sku }, index) => (items.has(sku) ? [] : [{ param: at(index), message: `there is no item ${sku}` }]))
  if (errors.length > 0) throw new Refused('not_found', inShort(errors.map((error) => error.message)), { errors })
  if (archived === 'refused') {
    const gone = lines.flatMap(({ sku }, index) => (items.get(sku)?.status === 'archived' ? [{ param: at(index), message: `${sku} is archived` }] : []))
    if (gone.length > 0) throw new Refused('item_archived', inShort(gone.map((error) => error.message)), { errors: gone })
  }
  return (sku) => numberOf(items, sku)
}

const numberOf = (items: ReadonlyMap<string, CatalogItem>, sku: string): ItemNumber => {
  const item = items.get(sku)
  if (item === undefined) throw new Error(`${sku} was not looked up`)
  return item.number
}

export const namedItem = async (catalog: Catalog, sku: string): Promise<CatalogItem> => {
  const item = (await catalog.bySku([sku])).get(sku)
  if (item === undefined) throw new Refused('not_found', `there is no item ${sku}`)
  return item
}

export const namedLocation = async (catalog: Catalog, code: string, { inactive }: { inactive: 'refused' | 'taken' }): Promise<CatalogLocation> => {
  const location = await catalog.location(code)
  if (location === undefined) throw new Refused('not_found', `there is no location ${code}`)
  if (inactive === 'refused' && location.status === 'inactive') throw new Refused('location_inactive', `${code} is inactive`)
  return location
}

/** The uuid behind an id of whatever moves stock. */
export const namedDocument = (id: string): Uuid => {
  const kind = (Object.keys(prefixes) as IdKind[]).find((one) => id.startsWith(`${prefixes[one]}_`)) // the keys of a constant
  if (kind === undefined) throw new Refused('not_found', `there is no document ${id}`)
  return namedId(kind, id)
}
