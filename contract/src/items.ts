import { Type } from 'typebox'
import { operation } from './operation.ts'
import { closed, count, instant, list, MAX_ATTRIBUTES, metadata, name, nullable, oneOf, page, pairs, sku, version } from './schema.ts'

const itemStatus = oneOf(['active', 'archived'])

const price = closed({
  amount: Type.Integer({ minimum: 0, description: "In the currency's smallest unit." }),
  currency: Type.String({ pattern: '^[A-Z]{3}$', description: 'ISO 4217.' }),
})
const attributes = pairs(MAX_ATTRIBUTES, 'What the item is like: colour, size, …')
const purchaseLimit = closed(
  {
    quantity: Type.Integer({ minimum: 1, maximum: 1_000_000_000 }),
    window_seconds: Type.Integer({
      minimum: 1,
      maximum: 31_622_400,
      description: 'Holds placed within this time count, whatever has become of them but release and expiry.',
    }),
  },
  { description: 'How many units one customer may buy within a time.' },
)
const text = (maxLength: number) => Type.String({ maxLength })

export const item = Type.Object({
  object: Type.Literal('item'),
  sku,
  name: Type.String(),
  description: nullable(Type.String()),
  brand: nullable(Type.String()),
  category: nullable(Type.String()),
  price: nullable(price),
  barcode: nullable(Type.String()),
  attributes,
  metadata,
  safety_stock: count,
  reorder_point: nullable(count),
  purchase_limit: nullable(purchaseLimit),
  status: itemStatus,
  version,
  created_at: instant,
  updated_at: instant,
})

/** What may be said of an item besides its sku and name. */
export const changeable = {
  description: Type.Optional(nullable(text(10_000))),
  brand: Type.Optional(nullable(text(256))),
  category: Type.Optional(nullable(text(256))),
  price: Type.Optional(nullable(price)),
  barcode: Type.Optional(nullable(text(64))),
  attributes: Type.Optional(attributes),
  metadata: Type.Optional(metadata),
  safety_stock: Type.Optional(Type.Integer({ minimum: 0, maximum: 1_000_000_000, description: 'Kept back from sale at every location.' })),
  reorder_point: Type.Optional(
    nullable(Type.Integer({ minimum: 0, maximum: 1_000_000_000, description: 'At or below it the item is low at a location, and stock.low is told.' })),
  ),
  purchase_limit: Type.Optional(nullable(purchaseLimit)),
}
const params = closed({ sku })

export const items = {
  create: operation({
    name: 'items.create',
    summary: 'Make an item',
    method: 'POST',
    path: '/v1/items',
    service: 'inventory',
    scope: 'items:write',
    reach: 'everywhere',
    input: { body: closed({ sku, name, ...changeable }) },
    output: item,
    status: 201,
    rejections: ['already_exists', 'idempotency_key_reused'],
    movesStock: false,
  }),
  list: operation({
    name: 'items.list',
    summary: 'List items',
    method: 'GET',
    path: '/v1/items',
    service: 'inventory',
    scope: 'items:read',
    reach: 'nowhere',
    input: {
      query: page({ q: Type.Optional(text(256)), brand: Type.Optional(text(256)), category: Type.Optional(text(256)), status: Type.Optional(itemStatus) }),
    },
    output: list(item),
    status: 200,
    rejections: [],
    movesStock: false,
  }),
  get: operation({
    name: 'items.get',
    summary: 'Read an item',
    method: 'GET',
    path: '/v1/items/{sku}',
    service: 'inventory',
    scope: 'items:read',
    reach: 'nowhere',
    input: { params },
    output: item,
    status: 200,
    rejections: ['not_found'],
    movesStock: false,
  }),
  update: operation({
    name: 'items.update',
    summary: 'Change an item',
    method: 'PATCH',
    path: '/v1/items/{sku}',
    service: 'inventory',
    scope: 'items:write',
    reach: 'everywhere',
    input: {
      params,
      body: closed({ name: Type.Optional(name), ...changeable, status: Type.Optional(itemStatus), if_version: Type.Optional(version) }),
    },
    output: item,
    status: 200,
    rejections: ['not_found', 'version_conflict'],
    movesStock: false,
  }),
  archive: operation({
    name: 'items.archive',
    summary: 'Archive an item: it is kept, and can no longer be held or received',
    method: 'DELETE',
    path: '/v1/items/{sku}',
    service: 'inventory',
    scope: 'items:write',
    reach: 'everywhere',
    input: { params },
    output: item,
    status: 200,
    rejections: ['not_found'],
    movesStock: false,
  }),
}
