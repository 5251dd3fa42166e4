// From a record to a row: its cells under their columns, or its JSON, read as the request of one item would be, and checked as that.
import type { ImportRow, RejectionCode } from '@holdfast/contract'
import type { ImportError } from '../../storage/imports.ts'
import type { SourceRecord } from './csv.ts'
import { Refused } from '../answer.ts'

type Fault = { readonly param: string; readonly message: string }
/** What the gateway knows of reading and checking bodies, for rows. */
export type RowReader = {
  faultsOf(row: unknown): readonly Fault[]
  parse(text: string): { readonly row: unknown } | { readonly faults: readonly Fault[] }
}

export type RowError = ImportError & { readonly code: RejectionCode }
/** A row that can be understood; whether it can be done is seen when its item is known. */
export type Row = { readonly row: number; readonly record: SourceRecord; readonly fields: ImportRow }
export type Read = Row | { readonly error: RowError }

const plain = ['sku', 'name', 'description', 'brand', 'category', 'barcode', 'location'] as const
const whole = ['price_amount', 'safety_stock', 'reorder_point', 'purchase_limit_quantity', 'purchase_limit_window_seconds', 'quantity'] as const
const columnNames: ReadonlySet<string> = new Set([...plain, ...whole, 'price_currency', 'error'])
const wholeNames: ReadonlySet<string> = new Set(whole)

/** Reads the header, and answers who reads the rows below it. Throws when a column is not known, is there twice, or is missing. */
export const csvRows = (header: SourceRecord, reader: RowReader, { columns: most }: { readonly columns: number }) => {
  const columns = header.cells.map((cell) => cell.trim())
  // Of a header without an end, its first columns say enough.
  const errors: Fault[] = columns.length > most ? [{ param: 'columns', message: `are ${columns.length}; ${most} are the most` }] : []
  const seen = new Set<string>()
  for (const [index, column] of columns.slice(0, most).entries()) {
    const param = column === '' ? `column ${index + 1}` : column.slice(0, 100)
    if (column === '') errors.push({ param, message: 'has no name' })
    else if (seen.has(column)) errors.push({ param, message: 'is there twice' })
    else if (!columnNames.has(column) && !/^(attributes|metadata)\.(?!__proto__$)[^\0]+$/.test(column)) errors.push({ param, message: 'is not known' })
    seen.add(column)
  }
  if (!seen.has('sku')) errors.push({ param: 'sku', message: 'is missing' })
  if (errors.length > 0)
    throw new Refused(
      'invalid_request',
      `The header: ${errors.map(({ param, message }) => `${param} ${message}`).join(', ')}. Columns are ${[...columnNames].join(', ')}, attributes.… and metadata.…`,
      { errors: errors.slice(0, most) },
    )
  return {
    bringsStock: seen.has('quantity'),
    read: (record: SourceRecord, row: number): Read => {
      if (record.cells.length !== columns.length)
        return failed(record, row, record.cells[columns.indexOf('sku')] ?? null, 'invalid_request', [
          { param: '', message: `has ${record.cells.length} cells, and the header has ${columns.length}` },
        ])
      const fields = fieldsOf(columns, record.cells)
      const faults = record.raw.includes('\0')
        ? columns.flatMap((param, index) => (record.cells[index]?.includes('\0') ? [{ param, message: 'must not contain the character NUL' }] : []))
        : reader.faultsOf(fields).map(({ param, message }) => ({ param: param.replace(/^(price|purchase_limit)\./, '$1_'), message }))
      if (faults.length > 0) return failed(record, row, typeof fields['sku'] === 'string' ? fields['sku'] : null, 'invalid_request', faults)
      return { row, record, fields: fields as ImportRow } // checked
    },
  }
}

export const jsonRows = (reader: RowReader) => ({
  read: (record: SourceRecord, row: number): Read => {
    const parsed = reader.parse(record.raw)
    if ('faults' in parsed) return failed(record, row, null, 'invalid_request', parsed.faults)
    const { error: _told, ...fields } = Object(parsed.row) as Record<string, unknown> // of what is no object, no fields
    const faults = reader.faultsOf(Object(parsed.row) === parsed.row && !Array.isArray(parsed.row) ? fields : parsed.row)
    if (faults.length > 0) return failed(record, row, typeof fields['sku'] === 'string' ? fields['sku'] : null, 'invalid_request', faults)
    return { row, record, fields: fields as ImportRow } // checked
  },
})

export const failed = (record: SourceRecord, row: number, sku: string | null, code: RejectionCode, errors: readonly Fault[]): { readonly error: RowError } => ({
  error: {
    row,
    line: record.line,
    // PostgreSQL keeps no NUL.
    sku: sku?.replaceAll('\0', '\uFFFD') ?? null,
    code,
    message: errors.map(({ param, message }) => (param === '' ? `the row ${message}` : `${param} ${message}`).replaceAll('\0', '\uFFFD')).join('; '),
    errors,
    raw: record.raw.replaceAll('\0', '\uFFFD'),
  },
})

/** An empty cell says nothing. What should be a number and is none stays text, and is told as that. */
const fieldsOf = (columns: readonly string[], cells: readonly string[]): Record<string, unknown> => {
  const fields: Record<string, unknown> = {}
  for (const [index, column] of columns.entries()) {
    const cell = cells[index] ?? ''
    if (cell === '' || column === 'error') continue
    const value = wholeNames.has(column) && /^\s*-?\d{1,15}\s*$/.test(cell) ? Number(cell) || 0 : cell
    const [group, name] = partsOf(column)
    if (name === undefined) fields[group] = value
    else (fields[group] = (fields[group] ?? Object.create(null)) as Record<string, unknown>)[name] = value // made here: a name like __proto__ is one like others
  }
  return fields
}

/** `attributes.colour` is colour among the attributes; `price_amount` is the amount of the price. */
const partsOf = (column: string): [group: string, name?: string] => {
  const [, group, field] = /^(price|purchase_limit)_(.+)$/.exec(column) ?? []
  if (group !== undefined && field !== undefined) return [group, field]
  const dot = column.indexOf('.')
  return dot === -1 ? [column] : [column.slice(0, dot), column.slice(dot + 1)]
}
