// Small builders for the shapes that every resource uses: enums, instants, ids, lists.
import { Type, type TSchema, type TProperties, type TObject } from 'typebox'

/** The largest quantity a line may name. Sums of many lines stay far below 2^53. */
export const MAX_QUANTITY = 1_000_000_000
/** Lines in one document. Real invoices have over 1,000. */
export const MAX_LINES = 2_000
/** Rows in one page of a list. */
export const MAX_PAGE = 100

/** One of a few words, as `enum` rather than `anyOf`, which reads better in OpenAPI and validates faster. */
export const oneOf = <const Values extends readonly string[]>(values: Values, description?: string) =>
  Type.Unsafe<Values[number]>({ type: 'string', enum: values, ...(description ? { description } : {}) })

export const nullable = <Schema extends TSchema>(schema: Schema) => Type.Union([schema, Type.Null()])

/** An object that refuses what it does not know. For requests. */
export const closed = <Properties extends TProperties>(properties: Properties, options: { description?: string } = {}) =>
  Type.Object(properties, { additionalProperties: false, ...options })

export const instant = Type.String({ format: 'date-time', description: 'UTC, ISO 8601 with milliseconds.' })
export const quantity = Type.Integer({ minimum: 1, maximum: MAX_QUANTITY, description: 'Units of the item, a whole number.' })
export const count = Type.Integer({ minimum: 0 })
export const version = Type.Integer({ minimum: 0, description: 'Grows by one with every change.' })
export const sequence = Type.Integer({ minimum: 0, description: 'Place in the order in which the ledger committed.' })

/** No control characters; not blank, not padded: a stray space would make two items of one. */
export const sku = Type.String({
  minLength: 1,
  maxLength: 128,
  pattern: '^[^\\s\\u0000-\\u001f/](?:[^\\u0000-\\u001f/]*[^\\s\\u0000-\\u001f/])?$',
  examples: ['TEA-1'],
})
export const locationCode = Type.String({ minLength: 1, maxLength: 64, pattern: '^[A-Za-z0-9][A-Za-z0-9_.-]*$', examples: ['LON'] })
export const name = Type.String({ minLength: 1, maxLength: 256 })
export const reference = Type.String({ minLength: 1, maxLength: 256, description: "The caller's own word for this document." })
/** Pairs of strings that we keep and do not look at. */
export const pairs = (maxProperties: number, description: string) =>
  Type.Record(Type.String(), Type.String({ maxLength: 500 }), { maxProperties, propertyNames: { maxLength: 64 }, description })
export const MAX_METADATA = 50
export const MAX_ATTRIBUTES = 100
export const metadata = pairs(MAX_METADATA, 'Up to 50 pairs of strings, kept and given back as they are.')

export const id = (prefix: string) => Type.String({ pattern: `^${prefix}_[0-9a-hjkmnp-tv-z]{26}$`, examples: [`${prefix}_01jd8w2k5v7x9n3q4r6t8y0z1b`] })

/** What every list answers. */
export const list = <Row extends TSchema>(row: Row) =>
  Type.Object({
    object: Type.Literal('list'),
    data: Type.Array(row),
    has_more: Type.Boolean(),
    next_cursor: nullable(Type.String()),
  })

/** The query of a list, with the filters of its resource. */
export const page = <Filters extends TProperties>(filters: Filters): TObject<Filters & typeof pageQuery> => closed({ ...pageQuery, ...filters })

/** What a whole list can be taken as, besides page after page. */
export const exportFormats = ['csv', 'ndjson'] as const
export type ExportFormat = (typeof exportFormats)[number]

const pageQuery = {
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_PAGE, default: 20 })),
  starting_after: Type.Optional(Type.String({ minLength: 1, maxLength: 256, description: 'An id, or the next_cursor of the page before.' })),
  format: Type.Optional(oneOf(exportFormats, 'The whole list in one answer, row after row, instead of a page of it; without limit.')),
}

/** `expand[]=`: references that are to be filled in with what they refer to. */
export const expand = <const Names extends readonly string[]>(names: Names) => ({
  expand: Type.Optional(Type.Array(oneOf(names), { maxItems: names.length, description: 'Fills in what is referred to.' })),
})
export const minSequence = { min_sequence: Type.Optional(sequence) }
export const dryRun = { dry_run: Type.Optional(Type.Boolean({ description: 'Decide and answer, but change nothing.' })) }
