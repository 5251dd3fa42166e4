// What arrives of what was on its way: transfers and inbound shipments are received alike.
import { Type } from 'typebox'
import { adjustable } from './documents.ts'
import { closed, MAX_LINES, oneOf, quantity, sku } from './schema.ts'

/** @param words  what closing and accepting more mean to the document */
export const arrival = ({ close, acceptExcess }: { readonly close: string; readonly acceptExcess: string }) =>
  closed({
    lines: Type.Optional(
      Type.Array(closed({ sku, quantity, to: Type.Optional(oneOf(adjustable, 'Default: available.')) }), {
        maxItems: MAX_LINES,
        description: 'What has come. Left out: all that is outstanding. With `close` it is needed, and may be empty.',
      }),
    ),
    close: Type.Optional(Type.Boolean({ description: close })),
    accept_excess: Type.Optional(Type.Boolean({ description: acceptExcess })),
  })
