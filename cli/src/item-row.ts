// One row of a CSV file as an item. The columns are named as the HTTP API names the fields.
import type { CreateItem } from '@holdfast/sdk'

const texts = ['name', 'description', 'brand', 'category', 'barcode'] as const
export const knownColumns = ['sku', ...texts, 'price', 'currency', 'safety_stock', 'reorder_point'] as const

/** What is wrong with the names of the columns; undefined when nothing is. */
export function faultOfHeader(header: readonly string[]): string | undefined {
  const unknown = header.filter((column) => !knownColumns.some((known) => known === column) && !/^(attributes|metadata)\../s.test(column))
  if (unknown.length > 0)
    return `unknown columns: ${unknown.map((column) => JSON.stringify(column)).join(', ')}; known are ${knownColumns.join(', ')}, attributes.NAME and metadata.NAME`
  const twice = header.find((column, index) => header.indexOf(column) !== index)
  if (twice !== undefined) return `the column ${twice} is there twice`
  return header.includes('sku') ? undefined : 'there is no column sku'
}

/** The row's item, or what is wrong with it. What is empty is left out. */
export function readItem(header: readonly string[], fields: readonly string[]): { readonly item: CreateItem } | { readonly fault: string } {
  if (fields.length !== header.length) return { fault: `has ${fields.length} fields, not ${header.length}` }
  const given = Object.fromEntries(header.map((column, index) => [column, fields[index] ?? '']).filter(([, field]) => field !== ''))
  const { sku, name = sku, price, currency, safety_stock: safetyStock, reorder_point: reorderPoint } = given
  if (sku === undefined || name === undefined) return { fault: 'has no sku' }
  if ((price === undefined) !== (currency === undefined)) return { fault: 'has a price without a currency, or a currency without a price' }
  const numbers = { price, safety_stock: safetyStock, reorder_point: reorderPoint }
  const wrong = Object.entries(numbers).find(([, text]) => text !== undefined && !/^\d{1,15}$/.test(text))
  if (wrong !== undefined) return { fault: `has the ${wrong[0]} ${JSON.stringify(wrong[1])}, which is not a whole number` }

  return {
    item: {
      sku,
      name,
      ...Object.fromEntries(texts.filter((column) => column !== 'name' && given[column] !== undefined).map((column) => [column, given[column]])),
      ...(price === undefined || currency === undefined ? {} : { price: { amount: Number(price), currency } }),
      ...(safetyStock === undefined ? {} : { safetyStock: Number(safetyStock) }),
      ...(reorderPoint === undefined ? {} : { reorderPoint: Number(reorderPoint) }),
      ...own('attributes', given),
      ...own('metadata', given),
    },
  }
}

function own(prefix: 'attributes' | 'metadata', given: Readonly<Record<string, string>>) {
  const start = `${prefix}.`
  const pairs = Object.entries(given).filter(([column]) => column.startsWith(start))
  return pairs.length === 0 ? {} : { [prefix]: Object.fromEntries(pairs.map(([column, field]) => [column.slice(start.length), field])) }
}
