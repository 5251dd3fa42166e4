// Stock that a supplier says is coming.
import { Type } from 'typebox'
import { arrival } from './arrival.ts'
import { documentCaller, documentFields, expectedLine, linesOf, workOperations } from './work.ts'
import { closed, id, instant, locationCode, nullable, oneOf, page, quantity, reference, sku, version } from './schema.ts'

/** Not blank, not padded: a stray space would make two suppliers of one. */
const supplier = Type.String({
  minLength: 1,
  maxLength: 256,
  pattern: '^[^\\s\\u0000-\\u001f](?:[^\\u0000-\\u001f]*[^\\s\\u0000-\\u001f])?$',
  examples: ['Acme Teas'],
})
const inboundStatus = oneOf(['announced', 'received', 'canceled'])

export const inboundShipment = Type.Object({
  object: Type.Literal('inbound_shipment'),
  id: id('inb'),
  status: inboundStatus,
  supplier: Type.String(),
  location: Type.String(),
  expected_at: nullable(instant),
  lines: Type.Array(
    Type.Object(
      {
        ...expectedLine,
        level_version: nullable(version),
      },
      { description: 'quantity = outstanding + received + missing + withdrawn. Excess came on top of it.' },
    ),
  ),
  ended_at: nullable(instant),
  ...documentFields,
})

export const inboundShipments = workOperations({
  resource: 'inbound_shipments',
  what: 'an inbound shipment',
  prefix: 'inb',
  output: inboundShipment,
  create: {
    summary: 'Announce what a supplier is sending. A supplier and its reference belong to one shipment, for ever',
    body: closed({
      supplier,
      location: locationCode,
      lines: linesOf({ sku, quantity }),
      expected_at: Type.Optional(instant),
      ...documentCaller,
    }),
    rejections: ['already_exists', 'item_archived', 'location_inactive'],
  },
  query: page({
    status: Type.Optional(inboundStatus),
    location: Type.Optional(locationCode),
    reference: Type.Optional(reference),
  }),
  actions: {
    receive: {
      summary: 'Receive an inbound shipment, whole or in part, and close it short',
      body: arrival({
        close: 'Nothing more will come: what is outstanding is no longer expected.',
        acceptExcess: 'More may have come than was announced; otherwise that is refused.',
      }),
      scope: 'stock:adjust',
      rejections: ['quantity_exceeds_remaining', 'invalid_state'],
      deferrable: true,
    },
    cancel: {
      summary: 'Cancel an inbound shipment: what has not come is no longer expected',
      body: closed({}),
      scope: 'stock:adjust',
      rejections: ['invalid_state'],
    },
  },
})
