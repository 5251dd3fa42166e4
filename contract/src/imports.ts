import { Type, type Static } from 'typebox'
import { changeable } from './items.ts'
import { operation } from './operation.ts'
import { rejectionCodes } from './problems.ts'
import { closed, count, dryRun, id, instant, list, locationCode, MAX_QUANTITY, name, nullable, oneOf, page, sku } from './schema.ts'

/** What becomes of a row whose item was there before the import. */
const onExisting = ['refuse', 'skip', 'update'] as const
const importFormats = ['csv', 'ndjson'] as const

/** One row. In CSV the fields of `price` and `purchase_limit` are columns such as price_amount, and each attribute has a column of its own. */
export const importRow = closed({
  sku,
  name: Type.Optional(name),
  ...changeable,
  quantity: Type.Optional(Type.Integer({ minimum: 0, maximum: MAX_QUANTITY, description: 'Units that are received; none when it is 0 or missing.' })),
  location: Type.Optional(locationCode),
})
export type ImportRow = Static<typeof importRow>

const row = Type.Integer({ minimum: 1, description: 'Counted from 1. The header and blank lines are no rows.' })
const line = Type.Integer({ minimum: 1, description: 'Where it begins in the file.' })
const fault = Type.Object({ param: Type.String(), message: Type.String() })

export const itemImport = Type.Object({
  object: Type.Literal('import'),
  id: id('imp'),
  status: oneOf(['running', 'completed', 'failed'], 'A failed one goes on when the corrected file is sent with the same Idempotency-Key.'),
  dry_run: Type.Boolean(),
  format: oneOf(importFormats),
  on_existing: oneOf(onExisting),
  location: nullable(Type.String({ description: 'For stock in rows that name no location.' })),
  rows_read: count,
  items_created: count,
  items_updated: count,
  items_unchanged: count,
  units_received: count,
  rows_skipped: count,
  rows_failed: count,
  bytes: count,
  failure: nullable(Type.Object({ line: Type.Integer({ minimum: 0 }), code: oneOf(rejectionCodes), message: Type.String() })),
  created_at: instant,
  updated_at: instant,
  completed_at: nullable(instant),
})

export const importError = Type.Object({
  object: Type.Literal('import_error'),
  row,
  line,
  sku: nullable(Type.String()),
  code: oneOf(rejectionCodes),
  message: Type.String({ description: 'Everything that is wrong with the row, in one sentence.' }),
  errors: Type.Array(fault),
  raw: Type.String({ description: 'The row as it was sent, to be corrected and sent again.' }),
})

const params = closed({ id: id('imp') })

export const importItems = operation({
  name: 'items.import',
  summary: 'Make or change many items, and receive their opening stock, from a file',
  method: 'POST',
  path: '/v1/items/import',
  service: 'inventory',
  scope: 'items:write',
  reach: 'everywhere',
  input: {
    query: closed({
      ...dryRun,
      on_existing: Type.Optional(oneOf(onExisting, 'What becomes of a row whose item is there already. Refused, unless said otherwise.')),
      location: Type.Optional({ ...locationCode, description: 'For stock in rows that name no location.' }),
    }),
  },
  bodyTypes: ['text/csv', 'application/x-ndjson'],
  output: itemImport,
  status: 201,
  rejections: ['not_found', 'location_inactive'],
  movesStock: true,
})

export const imports = {
  list: operation({
    name: 'imports.list',
    summary: 'List imports',
    method: 'GET',
    path: '/v1/imports',
    service: 'inventory',
    scope: 'items:write',
    reach: 'everywhere',
    input: {
      query: page({
        idempotency_key: Type.Optional(Type.String({ minLength: 1, maxLength: 255, description: 'The one that this key of the caller names.' })),
      }),
    },
    output: list(itemImport),
    status: 200,
    rejections: [],
    movesStock: false,
  }),
  get: operation({
    name: 'imports.get',
    summary: 'Read an import: how far it is, or what it did',
    method: 'GET',
    path: '/v1/imports/{id}',
    service: 'inventory',
    scope: 'items:write',
    reach: 'everywhere',
    input: { params },
    output: itemImport,
    status: 200,
    rejections: ['not_found'],
    movesStock: false,
  }),
  errors: operation({
    name: 'imports.errors',
    summary: 'List the rows of an import that failed, in the order of the file; the first 10,000 are kept',
    method: 'GET',
    path: '/v1/imports/{id}/errors',
    service: 'inventory',
    scope: 'items:write',
    reach: 'everywhere',
    input: { params, query: page({}) },
    output: list(importError),
    status: 200,
    rejections: ['not_found'],
    movesStock: false,
  }),
}
