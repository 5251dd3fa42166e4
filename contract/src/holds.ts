import { Type, type TSchema } from 'typebox'
import { operation } from './operation.ts'
import { shortage, type RejectionCode } from './problems.ts'
import {
  closed,
  count,
  dryRun,
  id,
  instant,
  list,
  locationCode,
  MAX_LINES,
  metadata,
  nullable,
  oneOf,
  page,
  quantity,
  reference,
  sku,
  version,
} from './schema.ts'
import { sourcing } from './stock.ts'

const holdStatus = oneOf(['active', 'executed', 'released', 'expired', 'canceled'])
const customer = Type.String({
  minLength: 1,
  maxLength: 256,
  description: "Who buys, in the caller's words: an account's id. Needed for items that have a purchase limit.",
})
const holdMode = oneOf(['all_or_nothing', 'best_effort'])

const counts = { quantity: count, held: count, committed: count, shipped: count, released: count }

export const hold = Type.Object({
  object: Type.Literal('hold'),
  id: Type.String(),
  status: holdStatus,
  customer: nullable(Type.String()),
  reference: nullable(Type.String()),
  mode: holdMode,
  lines: Type.Array(
    Type.Object({
      sku: Type.String(),
      ...counts,
      returned: count,
      allocations: Type.Array(Type.Object({ location: Type.String(), ...counts, level_version: version })),
    }),
  ),
  shortages: Type.Array(shortage),
  expires_at: instant,
  created_at: instant,
  ended_at: nullable(instant),
  version,
  metadata,
})

const params = closed({ id: id('hold') })
const ttlSeconds = Type.Integer({ minimum: 1, maximum: 1_000_000_000, description: "Seconds from now, by the database's clock." })
const parts = Type.Array(closed({ sku, quantity }), { minItems: 1, maxItems: MAX_LINES })

const action = <const Name extends string, const Body extends TSchema>(verb: Name, summary: string, body: Body, rejections: readonly RejectionCode[]) =>
  operation({
    name: `holds.${verb}`,
    summary,
    method: 'POST',
    path: `/v1/holds/{id}/${verb}`,
    service: 'inventory',
    scope: 'holds:write',
    reach: 'own_locations',
    input: { params, query: closed({ ...dryRun }), body },
    output: hold,
    status: 200,
    rejections: ['not_found', ...rejections],
    movesStock: true,
  })

export const holds = {
  place: operation({
    name: 'holds.place',
    summary: 'Hold stock for a buyer for a limited time',
    method: 'POST',
    path: '/v1/holds',
    service: 'inventory',
    scope: 'holds:write',
    reach: 'own_locations',
    input: {
      query: closed({ ...dryRun }),
      body: closed({
        lines: Type.Array(closed({ sku, quantity, location: Type.Optional(locationCode) }), { minItems: 1, maxItems: MAX_LINES }),
        ttl_seconds: Type.Optional(ttlSeconds),
        mode: Type.Optional(holdMode),
        ...sourcing,
        customer: Type.Optional(customer),
        reference: Type.Optional(reference),
        metadata: Type.Optional(metadata),
      }),
    },
    output: hold,
    status: 201,
    rejections: ['not_found', 'insufficient_stock', 'ttl_out_of_range', 'item_archived', 'location_inactive', 'purchase_limit_exceeded'],
    movesStock: true,
  }),
  list: operation({
    name: 'holds.list',
    summary: 'List holds, newest first',
    method: 'GET',
    path: '/v1/holds',
    service: 'inventory',
    scope: 'holds:read',
    reach: 'own_locations',
    input: {
      query: page({ status: Type.Optional(holdStatus), reference: Type.Optional(reference), sku: Type.Optional(sku), customer: Type.Optional(customer) }),
    },
    output: list(hold),
    status: 200,
    rejections: ['not_found'],
    movesStock: false,
  }),
  get: operation({
    name: 'holds.get',
    summary: 'Read a hold',
    method: 'GET',
    path: '/v1/holds/{id}',
    service: 'inventory',
    scope: 'holds:read',
    reach: 'own_locations',
    input: { params },
    output: hold,
    status: 200,
    rejections: ['not_found'],
    movesStock: false,
  }),
  execute: action(
    'execute',
    'Execute a hold: the purchase is confirmed',
    closed({ lines: Type.Optional(parts), final: Type.Optional(Type.Boolean({ default: true, description: 'Release the rest.' })) }),
    ['hold_expired', 'hold_already_released', 'quantity_exceeds_remaining'],
  ),
  release: action('release', 'Give back what is still held', closed({}), ['hold_expired', 'hold_already_executed', 'hold_already_released']),
  extend: action('extend', 'Let a hold live longer', closed({ ttl_seconds: ttlSeconds }), [
    'hold_expired',
    'hold_already_executed',
    'hold_already_released',
    'ttl_out_of_range',
  ]),
  cancel: action('cancel', 'Give back everything not yet shipped, and end the hold', closed({}), [
    'hold_expired',
    'hold_already_released',
    'quantity_exceeds_remaining',
  ]),
}
