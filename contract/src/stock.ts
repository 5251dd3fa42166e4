// What stands: stock levels, what can be sold, and the ledger entries behind them.
import { Type } from 'typebox'
import { item } from './items.ts'
import { operation } from './operation.ts'
import { closed, count, expand, id, instant, list, locationCode, minSequence, nullable, oneOf, page, quantity, sku, version } from './schema.ts'

export const stockStates = ['available', 'held', 'committed', 'damaged', 'quality_control', 'incoming'] as const
/** The states of stock, and the world outside that it comes from and goes to. */
export const places = [...stockStates, 'supplier', 'customer', 'shrinkage', 'transit'] as const

const counts = {
  on_hand: count,
  available: count,
  held: count,
  committed: count,
  damaged: count,
  quality_control: count,
  incoming: count,
  safety_stock: count,
  available_to_sell: count,
}

export const stockLevel = Type.Object({
  object: Type.Literal('stock_level'),
  sku: Type.String(),
  location: Type.String(),
  ...counts,
  version,
  updated_at: nullable(instant),
  item: Type.Optional(item),
})

export const itemStock = Type.Object({
  object: Type.Literal('item_stock'),
  sku: Type.String(),
  total: Type.Object(counts),
  locations: Type.Array(stockLevel),
})

const stale = Type.Boolean({ description: 'The database cannot be reached, and this is how it was at as_of; the header Age says how long ago that is.' })

export const availability = Type.Object({
  object: Type.Literal('availability'),
  sku: Type.String(),
  available_to_sell: count,
  locations: Type.Array(Type.Object({ location: Type.String(), available_to_sell: count, level_version: version })),
  as_of: instant,
  stale,
})

export const strategies = ['priority', 'most_stock', 'nearest', 'fewest_splits'] as const
export const sourcing = {
  strategy: Type.Optional(oneOf(strategies, 'How lines that name no location find one. Default: priority.')),
  destination: Type.Optional(
    closed(
      { latitude: Type.Number({ minimum: -90, maximum: 90 }), longitude: Type.Number({ minimum: -180, maximum: 180 }) },
      { description: 'For the strategy nearest.' },
    ),
  ),
}

const wantedLine = closed({ sku, quantity, location: Type.Optional(locationCode) })
const bulk = { minItems: 1, maxItems: 500 }

export const availabilityAnswer = Type.Object({
  object: Type.Literal('availability_list'),
  data: Type.Array(availability),
  /** Asked with lines: whether all of them can be had at once, and from where. */
  fulfillable: Type.Optional(Type.Boolean()),
  plan: Type.Optional(
    Type.Array(
      Type.Object({ sku: Type.String(), quantity: count, allocations: Type.Array(Type.Object({ location: Type.String(), quantity: count })), missing: count }),
    ),
  ),
  as_of: instant,
  stale,
})

export const ledgerEntry = Type.Object({
  object: Type.Literal('ledger_entry'),
  id: Type.String(),
  sequence: Type.Integer(),
  sku: Type.String(),
  location: Type.String(),
  from: oneOf(places),
  to: oneOf(places),
  quantity: count,
  level_version: version,
  document: Type.String({ description: 'The id of what moved it: a hold, a receipt, an adjustment, …' }),
  occurred_at: instant,
})

export const stockLevels = {
  list: operation({
    name: 'stock_levels.list',
    summary: 'List stock levels',
    method: 'GET',
    path: '/v1/stock_levels',
    service: 'inventory',
    scope: 'stock:read',
    reach: 'own_locations',
    input: {
      query: page({
        sku: Type.Optional(sku),
        location: Type.Optional(locationCode),
        ...minSequence,
        ...expand(['item']),
        low: Type.Optional(Type.Boolean({ description: 'Only levels at or below their reorder point.' })),
        as_of: Type.Optional(
          Type.String({ format: 'date-time', description: 'The levels as they were at this instant, rebuilt from the ledger. Needs sku or location.' }),
        ),
      }),
    },
    output: list(stockLevel),
    status: 200,
    rejections: ['not_found'],
    movesStock: false,
  }),
  get: operation({
    name: 'stock_levels.get',
    summary: 'Read the stock of an item everywhere, and its total',
    method: 'GET',
    path: '/v1/stock_levels/{sku}',
    service: 'inventory',
    scope: 'stock:read',
    reach: 'own_locations',
    input: { params: closed({ sku }), query: closed({ ...minSequence }) },
    output: itemStock,
    status: 200,
    rejections: ['not_found'],
    movesStock: false,
  }),
}

export const availabilities = {
  get: operation({
    name: 'availability.get',
    summary: 'Read what can be sold of an item',
    method: 'GET',
    path: '/v1/availability/{sku}',
    service: 'inventory',
    scope: 'availability:read',
    reach: 'own_locations',
    input: { params: closed({ sku }), query: closed({ ...minSequence }) },
    output: availability,
    status: 200,
    rejections: ['not_found'],
    movesStock: false,
  }),
  check: operation({
    name: 'availability.check',
    summary: 'Read what can be sold of many items, or whether lines can be fulfilled and from where',
    method: 'POST',
    path: '/v1/availability',
    service: 'inventory',
    scope: 'availability:read',
    reach: 'own_locations',
    input: {
      query: closed({ ...minSequence }),
      body: closed({ skus: Type.Optional(Type.Array(sku, bulk)), lines: Type.Optional(Type.Array(wantedLine, bulk)), ...sourcing }),
    },
    output: availabilityAnswer,
    status: 200,
    rejections: ['not_found'],
    movesStock: false,
  }),
}

/** What moves stock: the prefixes of the ids that entries name. */
const documentId = Type.String({
  pattern: '^(hold|rcpt|adj|ship|ret|tran|inb|cnt)_[0-9a-hjkmnp-tv-z]{26}$',
  description: 'The movements of this document alone. `hold` also has those of its shipments and returns.',
  examples: ['tran_01jd8w2k5v7x9n3q4r6t8y0z1b'],
})

export const ledgerEntries = {
  list: operation({
    name: 'ledger_entries.list',
    summary: 'List ledger entries, newest first',
    method: 'GET',
    path: '/v1/ledger_entries',
    service: 'inventory',
    scope: 'stock:read',
    reach: 'own_locations',
    input: {
      query: page({
        sku: Type.Optional(sku),
        location: Type.Optional(locationCode),
        hold: Type.Optional(id('hold')),
        document: Type.Optional(documentId),
        from: Type.Optional(oneOf(places)),
        to: Type.Optional(oneOf(places)),
        since: Type.Optional(instant),
        until: Type.Optional(instant),
        ...minSequence,
      }),
    },
    output: list(ledgerEntry),
    status: 200,
    rejections: ['not_found'],
    movesStock: false,
  }),
}
