// Stock that goes from one location to another.
import { Type } from 'typebox'
import { arrival } from './arrival.ts'
import { documentCaller, documentFields, expectedLine, linesOf, workOperations } from './work.ts'
import { closed, id, instant, locationCode, nullable, oneOf, page, quantity, reference, sku, version } from './schema.ts'

const transferStatus = oneOf(['open', 'dispatched', 'received', 'canceled'])

export const transfer = Type.Object({
  object: Type.Literal('transfer'),
  id: id('tran'),
  status: transferStatus,
  from: Type.String(),
  to: Type.String(),
  lines: Type.Array(
    Type.Object(
      {
        ...expectedLine,
        from_level_version: nullable(version),
        to_level_version: nullable(version),
      },
      { description: 'On its way, quantity = outstanding + received + missing + withdrawn. Excess came on top of it.' },
    ),
  ),
  dispatched_at: nullable(instant),
  ended_at: nullable(instant),
  ...documentFields,
})

export const transfers = workOperations({
  resource: 'transfers',
  what: 'a transfer',
  prefix: 'tran',
  output: transfer,
  create: {
    summary: 'Plan a transfer of stock from one location to another',
    body: closed({ from: locationCode, to: locationCode, lines: linesOf({ sku, quantity }), ...documentCaller }),
    rejections: ['location_inactive'],
  },
  query: page({
    status: Type.Optional(transferStatus),
    location: Type.Optional(locationCode),
    reference: Type.Optional(reference),
  }),
  actions: {
    dispatch: {
      summary: 'Dispatch a transfer: its stock leaves, and is on its way',
      body: closed({}),
      scope: 'stock:adjust',
      rejections: ['insufficient_stock', 'invalid_state', 'location_inactive'],
    },
    receive: {
      summary: 'Receive a transfer, whole or in part, with what is missing, damaged or too many',
      body: arrival({
        close: 'Nothing more will come: what is outstanding is written off as missing.',
        acceptExcess: 'More may have come than was sent; otherwise that is refused.',
      }),
      scope: 'stock:adjust',
      rejections: ['quantity_exceeds_remaining', 'invalid_state'],
    },
    cancel: {
      summary: 'Cancel a transfer; what is on its way goes back to where it came from',
      body: closed({}),
      scope: 'stock:adjust',
      rejections: ['invalid_state'],
    },
  },
})
