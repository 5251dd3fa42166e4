// A shop to begin with: places, items, and how many there are of each.
import type { CreateItem, CreateLocation, Holdfast } from '@holdfast/sdk'
import { isRefusal } from '@holdfast/sdk'

/** Where, which item, how many: `{ LON: { 'TEA-1': 10 } }`. */
export type Shelves = Readonly<Record<string, Readonly<Record<string, number>>>>

/** Makes what is named and not there yet, and receives the stock. */
export const stockUp = async (
  stock: Holdfast,
  shelves: Shelves,
  {
    items = {},
    locations = {},
  }: { readonly items?: Readonly<Record<string, Partial<CreateItem>>>; readonly locations?: Readonly<Record<string, Partial<CreateLocation>>> } = {},
): Promise<void> => {
  const isThere = (error: unknown) => {
    if (!isRefusal(error, 'already_exists')) throw error
  }
  const skus = new Set(Object.values(shelves).flatMap((shelf) => Object.keys(shelf)))
  // One after the other: lists show them in this order.
  for (const code of Object.keys(shelves)) await stock.locations.create({ code, name: `Shop in ${code}`, ...locations[code] }).catch(isThere)
  for (const sku of skus) await stock.items.create({ sku, name: `Item ${sku}`, ...items[sku] }).catch(isThere)
  for (const [location, shelf] of Object.entries(shelves)) {
    const lines = Object.entries(shelf).flatMap(([sku, quantity]) => (quantity > 0 ? [{ sku, quantity }] : []))
    if (lines.length > 0) await stock.receipts.create({ location, lines })
  }
}

/** The counts of one item at one place. */
export const levelAt = async (stock: Holdfast, sku: string, location: string) => {
  const { locations } = await stock.stockLevels.get(sku)
  const level = locations.find((one) => one.location === location)
  if (level === undefined) throw new Error(`there is no level of ${sku} at ${location}`)
  return level
}
