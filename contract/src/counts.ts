// Counting what is on the shelf.
import { Type } from 'typebox'
import { documentCaller, documentFields, workOperations } from './work.ts'
import {
  closed,
  count as units,
  id,
  instant,
  locationCode,
  MAX_LINES,
  MAX_QUANTITY,
  nullable,
  oneOf,
  page,
  reference,
  sequence,
  sku,
  version,
} from './schema.ts'

const countStatus = oneOf(['open', 'approved', 'canceled'])

export const count = Type.Object({
  object: Type.Literal('count'),
  id: id('cnt'),
  status: countStatus,
  location: Type.String(),
  skus: nullable(Type.Array(Type.String(), { description: 'What is to be counted; null: whatever is found.' })),
  lines: Type.Array(
    Type.Object({
      sku: Type.String(),
      counted: units,
      expected: Type.Integer({ description: 'What the books said was on the shelf (available, held and committed) when it was counted.' }),
      difference: Type.Integer({ description: 'counted - expected: what approval corrects by.' }),
      counted_at: instant,
      as_of_sequence: nullable(sequence),
      level_version: version,
    }),
  ),
  ended_at: nullable(instant),
  ...documentFields,
})

export const counts = workOperations({
  resource: 'counts',
  what: 'a count',
  prefix: 'cnt',
  output: count,
  create: {
    summary: 'Open a count of a location, of some items or of whatever is found',
    body: closed({
      location: locationCode,
      skus: Type.Optional(Type.Array(sku, { minItems: 1, maxItems: MAX_LINES, description: 'What is to be counted. Left out: whatever is found.' })),
      ...documentCaller,
    }),
    rejections: ['location_inactive'],
  },
  query: page({ status: Type.Optional(countStatus), location: Type.Optional(locationCode), reference: Type.Optional(reference) }),
  actions: {
    lines: {
      summary: 'Say what was counted; counted again, an item replaces its earlier line',
      body: closed({
        lines: Type.Array(
          closed({
            sku,
            quantity: Type.Integer({ minimum: 0, maximum: MAX_QUANTITY, description: 'Units found on the shelf.' }),
            as_of_sequence: Type.Optional(
              Type.Integer({
                minimum: 0,
                description:
                  'The Stock-Sequence that was read when the item was counted: what was sold or received since is not taken for a difference. Default: counted now.',
              }),
            ),
          }),
          { minItems: 1, maxItems: MAX_LINES },
        ),
      }),
      scope: 'stock:adjust',
      rejections: ['invalid_state', 'location_inactive'],
    },
    approve: {
      summary: 'Approve a count: stock is corrected by the differences that were found',
      body: closed({}),
      scope: 'stock:approve',
      rejections: ['insufficient_stock', 'invalid_state', 'location_inactive'],
    },
    cancel: {
      summary: 'Cancel a count: nothing is corrected',
      body: closed({}),
      scope: 'stock:adjust',
      rejections: ['invalid_state'],
    },
  },
})
