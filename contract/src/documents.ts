// The documents that move stock in one step: receipts, adjustments, shipments, returns.
import { Type } from 'typebox'
import { hold } from './holds.ts'
import { operation } from './operation.ts'
import {
  closed,
  count,
  dryRun,
  expand,
  id,
  instant,
  list,
  locationCode,
  MAX_LINES,
  MAX_QUANTITY,
  metadata,
  nullable,
  oneOf,
  page,
  quantity,
  reference,
  sku,
  version,
} from './schema.ts'
import { stockStates } from './stock.ts'
import { documentCaller as caller, linesOf } from './work.ts'

const common = { reference: nullable(Type.String()), metadata, created_at: instant, sequence: Type.Integer() }
const moved = { sku: Type.String(), quantity: count, level_version: version }

/** States that a person may move units between, and that what arrives may be put into. */
export const adjustable = ['available', 'quality_control', 'damaged'] as const
export const adjustmentReasons = ['correction', 'count', 'damaged', 'expired', 'found', 'lost', 'quality', 'stolen', 'other'] as const

export const receipt = Type.Object({
  object: Type.Literal('receipt'),
  id: Type.String(),
  location: Type.String(),
  lines: Type.Array(Type.Object(moved)),
  ...common,
})

export const adjustment = Type.Object({
  object: Type.Literal('adjustment'),
  id: Type.String(),
  location: Type.String(),
  reason: oneOf(adjustmentReasons),
  lines: Type.Array(Type.Object({ ...moved, from: oneOf([...stockStates, 'shrinkage']), to: oneOf([...stockStates, 'shrinkage']) })),
  ...common,
})

export const shipment = Type.Object({
  object: Type.Literal('shipment'),
  id: Type.String(),
  hold: Type.Union([Type.String(), hold], { description: 'Its id, or the hold itself with expand[]=hold.' }),
  lines: Type.Array(
    Type.Object({
      sku: Type.String(),
      quantity: count,
      allocations: Type.Array(Type.Object({ location: Type.String(), quantity: count, level_version: version })),
    }),
  ),
  ...common,
})

export const returned = Type.Object({
  object: Type.Literal('return'),
  id: Type.String(),
  hold: Type.Union([Type.String(), hold, Type.Null()], { description: 'Its id, or the hold itself with expand[]=hold.' }),
  location: Type.String(),
  lines: Type.Array(Type.Object({ ...moved, to: oneOf(adjustable) })),
  ...common,
})

export const receipts = {
  create: operation({
    name: 'receipts.create',
    summary: 'Receive stock from a supplier',
    method: 'POST',
    path: '/v1/receipts',
    service: 'inventory',
    scope: 'stock:adjust',
    reach: 'own_locations',
    input: { query: closed({ ...dryRun }), body: closed({ location: locationCode, lines: linesOf({ sku, quantity }), ...caller }) },
    output: receipt,
    status: 201,
    rejections: ['not_found', 'item_archived', 'location_inactive'],
    movesStock: true,
    deferrable: true,
  }),
  list: operation({
    name: 'receipts.list',
    summary: 'List receipts, newest first',
    method: 'GET',
    path: '/v1/receipts',
    service: 'inventory',
    scope: 'stock:read',
    reach: 'own_locations',
    input: { query: page({ reference: Type.Optional(reference) }) },
    output: list(receipt),
    status: 200,
    rejections: [],
    movesStock: false,
  }),
  get: operation({
    name: 'receipts.get',
    summary: 'Read a receipt',
    method: 'GET',
    path: '/v1/receipts/{id}',
    service: 'inventory',
    scope: 'stock:read',
    reach: 'own_locations',
    input: { params: closed({ id: id('rcpt') }) },
    output: receipt,
    status: 200,
    rejections: ['not_found'],
    movesStock: false,
  }),
}

const adjustmentLine = closed(
  {
    sku,
    delta: Type.Optional(Type.Integer({ minimum: -MAX_QUANTITY, maximum: MAX_QUANTITY, description: 'More or less of what is available. Not zero.' })),
    quantity: Type.Optional(quantity),
    from: Type.Optional(oneOf([...adjustable, 'shrinkage'])),
    to: Type.Optional(oneOf([...adjustable, 'shrinkage'])),
    if_version: Type.Optional(version),
  },
  { description: 'Either `delta`, or `quantity` with `from` and `to`.' },
)

export const adjustments = {
  create: operation({
    name: 'adjustments.create',
    summary: 'Correct stock, or move it between states',
    method: 'POST',
    path: '/v1/adjustments',
    service: 'inventory',
    scope: 'stock:adjust',
    reach: 'own_locations',
    input: {
      query: closed({ ...dryRun }),
      body: closed({
        location: locationCode,
        lines: Type.Array(adjustmentLine, { minItems: 1, maxItems: MAX_LINES }),
        reason: oneOf(adjustmentReasons),
        if_version: Type.Optional(
          Type.Integer({ minimum: 0, description: 'The version the level must have. For a document of one item; with several, each line has its own.' }),
        ),
        ...caller,
      }),
    },
    output: adjustment,
    status: 201,
    rejections: ['not_found', 'insufficient_stock', 'version_conflict', 'location_inactive'],
    movesStock: true,
    deferrable: true,
  }),
  list: operation({
    name: 'adjustments.list',
    summary: 'List adjustments, newest first',
    method: 'GET',
    path: '/v1/adjustments',
    service: 'inventory',
    scope: 'stock:read',
    reach: 'own_locations',
    input: { query: page({ reference: Type.Optional(reference) }) },
    output: list(adjustment),
    status: 200,
    rejections: [],
    movesStock: false,
  }),
  get: operation({
    name: 'adjustments.get',
    summary: 'Read an adjustment',
    method: 'GET',
    path: '/v1/adjustments/{id}',
    service: 'inventory',
    scope: 'stock:read',
    reach: 'own_locations',
    input: { params: closed({ id: id('adj') }) },
    output: adjustment,
    status: 200,
    rejections: ['not_found'],
    movesStock: false,
  }),
}

export const shipments = {
  create: operation({
    name: 'shipments.create',
    summary: 'Ship what was executed, whole or in part',
    method: 'POST',
    path: '/v1/shipments',
    service: 'inventory',
    scope: 'stock:adjust',
    reach: 'own_locations',
    input: { query: closed({ ...dryRun }), body: closed({ hold: id('hold'), lines: Type.Optional(linesOf({ sku, quantity })), ...caller }) },
    output: shipment,
    status: 201,
    rejections: ['not_found', 'quantity_exceeds_remaining'],
    movesStock: true,
  }),
  list: operation({
    name: 'shipments.list',
    summary: 'List shipments, newest first',
    method: 'GET',
    path: '/v1/shipments',
    service: 'inventory',
    scope: 'stock:read',
    reach: 'own_locations',
    input: { query: page({ reference: Type.Optional(reference), hold: Type.Optional(id('hold')), ...expand(['hold']) }) },
    output: list(shipment),
    status: 200,
    rejections: [],
    movesStock: false,
  }),
  get: operation({
    name: 'shipments.get',
    summary: 'Read a shipment',
    method: 'GET',
    path: '/v1/shipments/{id}',
    service: 'inventory',
    scope: 'stock:read',
    reach: 'own_locations',
    input: { params: closed({ id: id('ship') }), query: closed({ ...expand(['hold']) }) },
    output: shipment,
    status: 200,
    rejections: ['not_found'],
    movesStock: false,
  }),
}

export const returns = {
  create: operation({
    name: 'returns.create',
    summary: 'Take back what a customer returns',
    method: 'POST',
    path: '/v1/returns',
    service: 'inventory',
    scope: 'stock:adjust',
    reach: 'own_locations',
    input: {
      query: closed({ ...dryRun }),
      body: closed({
        hold: Type.Optional(id('hold')),
        location: locationCode,
        lines: linesOf({ sku, quantity, to: Type.Optional(oneOf(adjustable, 'Default: available.')) }),
        ...caller,
      }),
    },
    output: returned,
    status: 201,
    rejections: ['not_found', 'quantity_exceeds_remaining', 'location_inactive'],
    movesStock: true,
  }),
  list: operation({
    name: 'returns.list',
    summary: 'List returns, newest first',
    method: 'GET',
    path: '/v1/returns',
    service: 'inventory',
    scope: 'stock:read',
    reach: 'own_locations',
    input: { query: page({ reference: Type.Optional(reference), hold: Type.Optional(id('hold')), ...expand(['hold']) }) },
    output: list(returned),
    status: 200,
    rejections: [],
    movesStock: false,
  }),
  get: operation({
    name: 'returns.get',
    summary: 'Read a return',
    method: 'GET',
    path: '/v1/returns/{id}',
    service: 'inventory',
    scope: 'stock:read',
    reach: 'own_locations',
    input: { params: closed({ id: id('ret') }), query: closed({ ...expand(['hold']) }) },
    output: returned,
    status: 200,
    rejections: ['not_found'],
    movesStock: false,
  }),
}
