// Holds what the server says against what the file says, without asking what the replay did. With ample opening stock every
// level follows from the file; with scarce stock the documents on the server say what was sold, and the file says which
// documents there may be.
import type { Holdfast, StockLevel } from '@holdfast/sdk'
import { finalOnHand, levelKey, type LocalLines, type Movement, type Plan, type StockLine } from './plan.ts'
import { openingReference } from './replay.ts'

/** Rows asked for at a time: the most the server gives. */
const PAGE_ROWS = 100

export type Difference = { readonly sku: string; readonly location: string; readonly expected: number; readonly found: FoundCounts }
type FoundCounts = Pick<StockLevel, (typeof counts)[number]>
export const counts = ['onHand', 'available', 'held', 'committed', 'damaged', 'qualityControl', 'incoming'] as const

export type Verification = {
  readonly levels: number
  readonly onHand: number
  readonly differences: readonly Difference[]
  readonly audit: Audit | undefined
}

export const verify = async (stock: Holdfast, plan: Plan): Promise<Verification> => {
  if (plan.opening === 'ample') {
    const expected = new Map(Array.from(plan.movements, ([key, movement]) => [key, finalOnHand(movement)]))
    return { ...(await compareLevels(stock, plan, expected)), audit: undefined }
  }
  const documents = await readDocuments(stock, plan)
  return { ...(await compareLevels(stock, plan, onHandAfter(documents))), audit: audit(plan, documents) }
}

export const isRight = ({ differences, audit }: Verification): boolean => differences.length === 0 && (audit?.faults.length ?? 0) === 0

/** Everything of the file's items at the file's locations must be on hand as expected, available, and in no other state. */
const compareLevels = async (stock: Holdfast, plan: Plan, expected: ReadonlyMap<string, number>) => {
  const unseen = new Map(plan.movements)
  const skus = new Set(plan.items.map(({ sku }) => sku))
  const differences: Difference[] = []
  let levels = 0
  let onHand = 0
  const compare = (sku: string, location: string, found: FoundCounts) => {
    const wanted = expected.get(levelKey(sku, location)) ?? 0
    levels += 1
    onHand += found.onHand
    const isAsExpected = counts.every((count) => found[count] === (count === 'onHand' || count === 'available' ? wanted : 0))
    if (!isAsExpected) differences.push({ sku, location, expected: wanted, found })
  }

  for (const location of plan.locations) {
    for await (const level of stock.stockLevels.list({ location, limit: PAGE_ROWS })) {
      // What else the shop has there is not the file's business.
      if (!skus.has(level.sku)) continue
      unseen.delete(levelKey(level.sku, location))
      compare(level.sku, location, level)
    }
  }
  for (const { sku, location } of unseen.values()) compare(sku, location, nothing)
  return { levels, onHand, differences }
}

const nothing: FoundCounts = { onHand: 0, available: 0, held: 0, committed: 0, damaged: 0, qualityControl: 0, incoming: 0 }

/** A document that moved stock of the file's items, in the plainest words: what it is, and what it put on hand or took off. */
export type StockDocument = {
  readonly kind: 'receipt' | 'shipment' | 'return' | 'adjustment'
  readonly id: string
  readonly reference: string | null
  /** Its place in the order in which the ledger committed. */
  readonly sequence: number
  readonly lines: readonly { readonly sku: string; readonly location: string; readonly change: number }[]
}

/** Every document on the server that touches the file's items at the file's locations, oldest first. */
const readDocuments = async (stock: Holdfast, plan: Plan): Promise<StockDocument[]> => {
  const documents: StockDocument[] = []
  const keep = (document: StockDocument) => {
    const lines = document.lines.filter(({ sku, location, change }) => change !== 0 && plan.movements.has(levelKey(sku, location)))
    if (lines.length > 0) documents.push({ ...document, lines })
  }
  const page = { limit: PAGE_ROWS }

  for await (const { id, reference, sequence, location, lines } of stock.receipts.list(page)) {
    keep({ kind: 'receipt', id, reference, sequence, lines: lines.map(({ sku, quantity }) => ({ sku, location, change: quantity })) })
  }
  for await (const { id, reference, sequence, lines } of stock.shipments.list(page)) {
    const allocations = lines.flatMap(({ sku, allocations }) => allocations.map(({ location, quantity }) => ({ sku, location, change: -quantity })))
    keep({ kind: 'shipment', id, reference, sequence, lines: allocations })
  }
  for await (const { id, reference, sequence, location, lines } of stock.returns.list(page)) {
    keep({ kind: 'return', id, reference, sequence, lines: lines.map(({ sku, quantity }) => ({ sku, location, change: quantity })) })
  }
  for await (const { id, reference, sequence, location, lines } of stock.adjustments.list(page)) {
    const changes = lines.map(({ sku, quantity, from, to }) => ({
      sku,
      location,
      change: to === 'shrinkage' ? -quantity : from === 'shrinkage' ? quantity : 0,
    }))
    keep({ kind: 'adjustment', id, reference, sequence, lines: changes })
  }
  return documents.toSorted((a, b) => a.sequence - b.sequence)
}

const onHandAfter = (documents: readonly StockDocument[]): Map<string, number> => {
  const onHand = new Map<string, number>()
  for (const { lines } of documents) for (const { sku, location, change } of lines) addTo(onHand, levelKey(sku, location), change)
  return onHand
}

export type Audit = {
  readonly documents: number
  readonly purchases: { readonly shipped: number; readonly rejected: number; readonly units: number }
  readonly writtenOff: number
  /** In words, each with the document or the invoice it is about. */
  readonly faults: readonly string[]
}

/**
 * The rules of a replay with scarce stock, checked on the documents alone, given in the order in which they were committed:
 * no level below zero at any time; every purchase shipped in full or not at all; opening stock and returns as the file has
 * them; no more written off than the file says; and no document that the file knows nothing of.
 */
export const audit = (plan: Plan, documents: readonly StockDocument[]): Audit => {
  const faults: string[] = []
  const moved = new Map<string, Map<string, number>>()
  const onHand = new Map<string, number>()
  for (const { kind, id, reference, lines } of documents) {
    const what = `${kind} ${reference ?? ''}`
    const sums = moved.get(what) ?? new Map<string, number>()
    moved.set(what, sums)
    for (const { sku, location, change } of lines) {
      const level = levelKey(sku, location)
      addTo(sums, level, change)
      const now = addTo(onHand, level, change)
      if (now < 0) faults.push(`${kind} ${id} left ${now} of ${sku} at ${location}`)
    }
  }

  const take = (what: string): ReadonlyMap<string, number> => {
    const sums = moved.get(what) ?? new Map<string, number>()
    moved.delete(what)
    return sums
  }
  const mustEqual = (what: string, wanted: ReadonlyMap<string, number>) => {
    if (!isEqual(take(what), wanted)) faults.push(`${what} is not as the file has it`)
  }

  for (const [index, receipt] of plan.receipts.entries()) mustEqual(`receipt ${openingReference(plan, index)}`, changesOf([receipt], 1))

  const purchases = { shipped: 0, rejected: 0, units: 0 }
  let writtenOff = 0
  for (const { number, purchase, returns, writeOffs } of plan.invoices) {
    const wanted = new Map(purchase.map(({ sku, location, quantity }) => [levelKey(sku, location), -quantity]))
    const shipped = take(`shipment ${number}`)
    if (shipped.size > 0 && !isEqual(shipped, wanted)) faults.push(`shipment ${number} is neither the whole purchase nor nothing of it`)
    if (purchase.length > 0) purchases[shipped.size > 0 ? 'shipped' : 'rejected'] += 1
    purchases.units -= sumOf(shipped)

    mustEqual(`return ${number}`, changesOf(returns, 1))

    const limit = changesOf(writeOffs, -1)
    const adjusted = take(`adjustment ${number}`)
    const isTooMuch = Array.from(adjusted).some(([level, change]) => change > 0 || change < (limit.get(level) ?? 0))
    if (isTooMuch) faults.push(`adjustment ${number} is more than the file writes off`)
    writtenOff -= sumOf(adjusted)
  }
  for (const what of moved.keys()) faults.push(`${what}: the file knows nothing of it`)

  return { documents: documents.length, purchases, writtenOff, faults }
}

const changesOf = (local: readonly LocalLines[], sign: 1 | -1): Map<string, number> =>
  new Map(local.flatMap(({ location, lines }) => lines.map(({ sku, quantity }: StockLine) => [levelKey(sku, location), sign * quantity] as const)))

const addTo = (sums: Map<string, number>, level: string, change: number): number => {
  const sum = (sums.get(level) ?? 0) + change
  sums.set(level, sum)
  return sum
}

const isEqual = (a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>): boolean =>
  a.size === b.size && Array.from(a).every(([level, change]) => b.get(level) === change)

const sumOf = (sums: ReadonlyMap<string, number>): number => [...sums.values()].reduce((sum, change) => sum + change, 0)

/** What the plan moves, all levels together. */
export const totalsOf = (plan: Plan): Omit<Movement, 'sku' | 'location'> => {
  const totals = { opening: 0, sold: 0, returned: 0, writtenOff: 0 }
  for (const { opening, sold, returned, writtenOff } of plan.movements.values()) {
    totals.opening += opening
    totals.sold += sold
    totals.returned += returned
    totals.writtenOff += writtenOff
  }
  return totals
}
