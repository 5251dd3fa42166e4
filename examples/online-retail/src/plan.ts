// What a file means in stock, by arithmetic alone: no clock, no server, nothing that could come out differently tomorrow.
import { createHash } from 'node:crypto'

/** Lines in one document, as the server takes them. */
export const MAX_DOCUMENT_LINES = 2_000
/** The largest quantity the server takes in a line. */
const MAX_QUANTITY = 1_000_000_000

export type Opening = 'ample' | 'scarce'
export const locationCodes = ['LON', 'DUB', 'HAM', 'LIL', 'RTM'] as const
export type LocationCode = (typeof locationCodes)[number]

export type StockLine = { readonly sku: string; readonly quantity: number }
export type PurchaseLine = StockLine & { readonly location: LocationCode }
export type LocalLines = { readonly location: LocationCode; readonly lines: readonly StockLine[] }

export type Item = { readonly sku: string; readonly name: string }

/** One invoice of the file, without the lines that are not stock. Lines with one item and location are one line. */
export type Invoice = {
  readonly number: string
  /** Lines of the file that are in it. */
  readonly fileLines: number
  /** Sold whole or not at all. Empty when nothing was sold. */
  readonly purchase: readonly PurchaseLine[]
  readonly returns: readonly LocalLines[]
  readonly writeOffs: readonly LocalLines[]
}

/** What the file moves of one item at one location. */
export type Movement = {
  readonly sku: string
  readonly location: LocationCode
  readonly opening: number
  readonly sold: number
  readonly returned: number
  readonly writtenOff: number
}

export type SkipReason = 'not stock' | 'quantity 0' | 'unreadable'

export type Plan = {
  readonly opening: Opening
  /** The same for files that mean the same, however they are packed or spelled. */
  readonly fingerprint: string
  readonly linesRead: number
  readonly linesSkipped: Readonly<Record<SkipReason, number>>
  readonly invoicesRead: number
  readonly items: readonly Item[]
  readonly locations: readonly LocationCode[]
  /** Opening stock, in documents that the server takes. */
  readonly receipts: readonly LocalLines[]
  /** In the order of the file; those that move no stock are left out. */
  readonly invoices: readonly Invoice[]
  /** By `levelKey`. */
  readonly movements: ReadonlyMap<string, Movement>
}

export const levelKey = (sku: string, location: string): string => `${location} ${sku}`

/**
 * What is on hand in the end when every purchase and every write-off went through in full: with ample opening stock, always.
 * All of it is available then, because everything that was held was shipped.
 */
export const finalOnHand = ({ opening, sold, returned, writtenOff }: Movement): number => opening - sold + returned - writtenOff

const columns = ['InvoiceNo', 'StockCode', 'Description', 'Quantity', 'Country'] as const

/** Takes a file's records, the header apart, and makes plans of them. */
export const planner = (header: readonly string[]) => {
  const place = Object.fromEntries(columns.map((column) => [column, header.findIndex((name) => name.trim() === column)]))
  const missing = columns.filter((column) => place[column] === -1)
  if (missing.length > 0) throw new Error(`the file has no column ${missing.join(', ')}; its first line says ${JSON.stringify(header.join(',').slice(0, 200))}`)

  const names = new Map<string, string>()
  const drafts = new Map<string, Draft>()
  const skipped: Record<SkipReason, number> = { 'not stock': 0, 'quantity 0': 0, unreadable: 0 }
  let read = 0

  const add = (record: readonly string[]): void => {
    read += 1
    const field = (column: (typeof columns)[number]) => record[place[column] ?? -1]?.trim() ?? ''
    const number = field('InvoiceNo')
    // A field too many or too few means that the others may not be what their column says.
    if (record.length !== header.length || number === '') return void (skipped.unreadable += 1)
    const draft = drafts.get(number) ?? { fileLines: 0, purchase: new Map(), returns: new Map(), writeOffs: new Map() }
    drafts.set(number, draft)
    draft.fileLines += 1

    const sku = field('StockCode').toUpperCase()
    if (!/^[0-9]{5}/.test(sku)) return void (skipped['not stock'] += 1)
    const name = field('Description')
    if (name !== '' || !names.has(sku)) names.set(sku, name)

    const quantity = wholeNumber(field('Quantity'))
    if (quantity === undefined) return void (skipped.unreadable += 1)
    if (quantity === 0) return void (skipped['quantity 0'] += 1)

    const location = locationOf(field('Country'))
    const lines = quantity > 0 ? draft.purchase : number.startsWith('C') ? draft.returns : draft.writeOffs
    const key = levelKey(sku, location)
    lines.set(key, { sku, location, quantity: (lines.get(key)?.quantity ?? 0) + Math.abs(quantity) })
  }

  const plan = (opening: Opening): Plan => {
    const items = Array.from(names, ([sku, name]) => ({ sku, name: name === '' ? sku : name }))
    const invoices = Array.from(drafts, ([number, draft]) => invoiceOf(number, draft)).filter(
      ({ purchase, returns, writeOffs }) => purchase.length + returns.length + writeOffs.length > 0,
    )
    const movements = movementsOf(invoices, opening)
    const stocked = new Set([...movements.values()].map(({ location }) => location))
    const locations = locationCodes.filter((location) => stocked.has(location))

    return {
      opening,
      items,
      locations,
      invoices,
      movements,
      fingerprint: fingerprintOf(items, invoices),
      linesRead: read,
      linesSkipped: { ...skipped },
      invoicesRead: drafts.size,
      receipts: locations.flatMap((location) => receiptsAt(location, movements)),
    }
  }

  return { add, plan }
}

type Lines = Map<string, PurchaseLine>
type Draft = { fileLines: number; readonly purchase: Lines; readonly returns: Lines; readonly writeOffs: Lines }

const invoiceOf = (number: string, { fileLines, purchase, returns, writeOffs }: Draft): Invoice => {
  for (const lines of [purchase, returns, writeOffs]) {
    if (lines.size > MAX_DOCUMENT_LINES)
      throw new Error(`invoice ${number} has ${lines.size} different items; a document takes ${MAX_DOCUMENT_LINES}, and an invoice is not split`)
  }
  return { number, fileLines, purchase: [...purchase.values()], returns: byLocation(returns), writeOffs: byLocation(writeOffs) }
}

const byLocation = (lines: Lines): LocalLines[] =>
  Array.from(
    Map.groupBy(lines.values(), ({ location }) => location),
    ([location, local]) => ({
      location,
      lines: local.map(({ sku, quantity }) => ({ sku, quantity })),
    }),
  )

const movementsOf = (invoices: readonly Invoice[], opening: Opening): Map<string, Movement> => {
  const sums = new Map<string, { -readonly [Field in keyof Movement]: Movement[Field] }>()
  const at = (sku: string, location: LocationCode) => {
    const key = levelKey(sku, location)
    const sum = sums.get(key) ?? { sku, location, opening: 0, sold: 0, returned: 0, writtenOff: 0 }
    sums.set(key, sum)
    return sum
  }
  for (const { purchase, returns, writeOffs } of invoices) {
    for (const { sku, location, quantity } of purchase) at(sku, location).sold += quantity
    for (const { location, lines } of returns) for (const { sku, quantity } of lines) at(sku, location).returned += quantity
    for (const { location, lines } of writeOffs) for (const { sku, quantity } of lines) at(sku, location).writtenOff += quantity
  }
  for (const sum of sums.values()) sum.opening = opening === 'ample' ? sum.sold + sum.writtenOff : Math.floor(sum.sold / 2)
  return sums
}

const receiptsAt = (location: LocationCode, movements: ReadonlyMap<string, Movement>): LocalLines[] => {
  const lines = [...movements.values()]
    .filter((movement) => movement.location === location && movement.opening > 0)
    .map(({ sku, opening }) => ({ sku, quantity: opening }))
  return Array.from({ length: Math.ceil(lines.length / MAX_DOCUMENT_LINES) }, (_, index) => ({
    location,
    lines: lines.slice(index * MAX_DOCUMENT_LINES, (index + 1) * MAX_DOCUMENT_LINES),
  }))
}

const fingerprintOf = (items: readonly Item[], invoices: readonly Invoice[]): string =>
  createHash('sha256')
    .update(JSON.stringify([items, invoices.map(({ number, purchase, returns, writeOffs }) => [number, purchase, returns, writeOffs])]))
    .digest('hex')
    .slice(0, 32)

/** `6`, `-12`, and `6.0` as some tools write it. */
const wholeNumber = (text: string): number | undefined => {
  if (!/^[+-]?\d+(\.0+)?$/.test(text)) return undefined
  const value = Number(text)
  return Math.abs(value) <= MAX_QUANTITY ? value : undefined
}

const locationOf = (country: string): LocationCode => countries.get(country) ?? 'RTM'

const countries: ReadonlyMap<string, LocationCode> = new Map([
  ['United Kingdom', 'LON'],
  ['EIRE', 'DUB'],
  ...(['Germany', 'Austria', 'Switzerland'] as const).map((country) => [country, 'HAM'] as const),
  ...(['France', 'Belgium', 'Spain', 'Portugal', 'Italy'] as const).map((country) => [country, 'LIL'] as const),
])
