// Requests for an operation, made from nothing but what its document says of it: as they should be, and wrong in every way that callers find.
import fc from 'fast-check'
import type { DescribedOperation, Schema } from './contract-check.ts'

/** A request before it is sent: what names something that is there is filled in then. */
export type Draft = {
  readonly kind: Kind
  readonly params: Readonly<Record<string, unknown>>
  readonly query: readonly (readonly [name: string, value: unknown])[]
  /** Undefined: none. */
  readonly body: unknown
  /** Sent to the letter instead of `body`. */
  readonly text?: string | Uint8Array<ArrayBuffer> | undefined
  readonly contentType?: string | undefined
  readonly key: 'fresh' | 'again' | 'none' | 'odd'
  readonly who: 'known' | 'nobody' | 'wrong'
}

const kinds = {
  /** As the document says. */
  right: 10,
  /** Something in it is replaced, left out or added. */
  spoiled: 8,
  /** JSON that is none, or says more than it seems to. */
  raw: 2,
  /** Another content type. */
  typed: 1,
  keyed: 1,
  stranger: 1,
} as const
type Kind = keyof typeof kinds

export const draftOf = (operation: DescribedOperation): fc.Arbitrary<Draft> =>
  fc.oneof(
    ...Object.entries(kinds).map(([kind, weight]) => ({
      // What is archived is of no use to the others.
      weight: kind === 'right' && operation.method === 'DELETE' ? 1 : weight,
      arbitrary: draftOfKind(operation, kind as Kind), // a key of the object
    })),
  )

const draftOfKind = (operation: DescribedOperation, kind: Kind): fc.Arbitrary<Draft> => {
  const { parameters, body, method, otherBodies } = operation
  const isRight = kind !== 'spoiled'
  const part = (schema: Schema, name: string) => (isRight ? valueOf(schema, name) : spoiled(valueOf(schema, name), 4))
  const query = parameters.filter((parameter) => parameter.in === 'query')
  const takesBody = method !== 'GET'
  const otherText = fc.constantFrom('sku,name\r\nTEA-9,Tea\r\n', '{"sku":"TEA-9","name":"Tea"}\n', '\n\n', '\0', 'sku,quantity\r\n"')
  return fc.record<Draft>({
    kind: fc.constant(kind),
    params: fc.record(Object.fromEntries(parameters.filter((one) => one.in === 'path').map(({ name, schema }) => [name, part(schema, name)]))),
    query: fc
      .tuple(...query.map(({ name, schema, required }) => (required && isRight ? part(schema, name) : seldom(part(schema, name)))))
      .map((values) => [
        ...values.flatMap((value, index): [string, unknown][] => (value === ABSENT ? [] : [[query[index]?.name ?? '', value]])),
        ...(kind === 'spoiled' && values.length % 3 === 0 ? [['unknown', '1'] as [string, unknown]] : []),
      ]),
    body: body === undefined ? (takesBody && !isRight ? fc.oneof(fc.constant(undefined), junk) : fc.constant(undefined)) : part(body, ''),
    text:
      takesBody && kind === 'raw'
        ? rawText
        : takesBody && (kind === 'typed' || (otherBodies.length > 0 && body === undefined))
          ? otherText
          : fc.constant(undefined),
    contentType:
      kind === 'typed'
        ? fc.constantFrom('text/plain', 'application/xml', 'multipart/form-data; boundary=x', 'application/json; charset=latin1', 'text/csv', 'x')
        : fc.constantFrom(...(otherBodies.length > 0 && body === undefined ? otherBodies : [undefined])),
    key: kind === 'keyed' ? fc.constantFrom('again', 'none', 'odd') : fc.constant('fresh'),
    who: kind === 'stranger' ? fc.constantFrom('nobody', 'wrong') : fc.constant('known'),
  })
}

const ABSENT = Symbol('absent')

/** Names something that is there, by the prefix of its id or by the field that such names stand in. */
class Known {
  readonly of: string
  readonly place: number
  readonly otherwise: string
  constructor(of: string, place: number, otherwise: string) {
    this.of = of
    this.place = place
    this.otherwise = otherwise
  }
}

export type Pool = {
  /** Keeps what an answer names. */
  gather(value: unknown): void
  add(field: string, ...values: string[]): void
  /** The draft with names of what is there. */
  fill(value: unknown): unknown
}

/** The latest of each kind. Old ones are often at their end: released, archived, revoked. */
const KEPT = 60
const LATEST = 4
const anId = /^([a-z]+)_[0-9a-hjkmnp-tv-z]{26}$/

export const openPool = (): Pool => {
  const pools = new Map<string, string[]>()
  const add = (kind: string, value: string) => {
    const pool = pools.get(kind) ?? []
    pools.set(kind, pool)
    // What was named last is named more often.
    const before = pool.indexOf(value)
    if (before !== -1) pool.splice(before, 1)
    pool.push(value)
    if (pool.length > KEPT) pool.shift()
  }
  const gather = (value: unknown, field: string): void => {
    if (typeof value === 'string' && value !== '') {
      add(field, value)
      const prefix = anId.exec(value)?.[1]
      if (prefix !== undefined) add(`${prefix}_`, value)
    } else if (Array.isArray(value)) for (const each of value) gather(each, singular(field))
    else if (typeof value === 'object' && value !== null) for (const [name, inner] of Object.entries(value)) gather(inner, name)
  }
  const fill = (value: unknown): unknown => {
    if (value instanceof Known) {
      const pool = pools.get(value.of) ?? []
      const back = value.place % Math.max(1, Math.min(pool.length, value.place % 2 === 0 ? LATEST : KEPT))
      return pool.at(-1 - back) ?? value.otherwise
    }
    if (Array.isArray(value)) return value.map(fill)
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, fill(inner)]))
  }
  return { gather: (value) => gather(value, ''), add: (field, ...values) => void values.map((value) => add(field, value)), fill }
}

const singular = (field: string): string => (field.endsWith('s') && field.length > 1 ? field.slice(0, -1) : field)
const known = (of: string, otherwise: string): fc.Arbitrary<unknown> => fc.nat().map((place) => new Known(of, place, otherwise))

/** A value as its schema wants it. */
const valueOf = (schema: Schema, field: string): fc.Arbitrary<unknown> => {
  const { type, enum: words, const: constant, anyOf, items, minimum, maximum, minItems } = schema
  if (constant !== undefined) return fc.constant(constant)
  if (Array.isArray(words)) return fc.constantFrom<unknown>(...words)
  const branches = anyOf ?? schema['oneOf']
  if (Array.isArray(branches)) return fc.oneof(...(branches as Schema[]).map((branch) => valueOf(branch, field))) // JSON schema's own word
  switch (type) {
    case 'null':
      return fc.constant(null)
    case 'boolean':
      return fc.boolean()
    case 'integer':
    case 'number':
      return numberOf(type, typeof minimum === 'number' ? minimum : -5, typeof maximum === 'number' ? maximum : 1_000_000)
    case 'array':
      return fc.array(valueOf((items ?? {}) as Schema, singular(field)), { minLength: typeof minItems === 'number' ? minItems : 0, maxLength: 2 }) // JSON schema's own word
    case 'object':
      return objectOf(schema)
    case 'string':
      return textFor(schema, field)
    default:
      return fc.jsonValue({ maxDepth: 2 })
  }
}

const objectOf = ({ properties, required, patternProperties, additionalProperties }: Schema): fc.Arbitrary<unknown> => {
  const free = patternProperties === undefined ? additionalProperties : Object.values(patternProperties as object)[0] // JSON schema's own word
  if (properties === undefined)
    return fc.dictionary(
      fc.string({ unit: 'grapheme', maxLength: 10 }).filter((name) => name !== '__proto__'),
      typeof free === 'object' && free !== null ? valueOf(free as Schema, '') : textOf(0, 20), // a schema is a record
      { maxKeys: 3 },
    )
  const wanted = Array.isArray(required) ? required : []
  const all = Object.entries(properties as Record<string, Schema>) // JSON schema's own word
  // Much of what may be said does not go together, so little is said at a time.
  const fields = all.map(([name, inner]) => (wanted.includes(name) ? valueOf(inner, name) : seldom(valueOf(inner, name))))
  return fc.tuple(...fields).map((values) => Object.fromEntries(values.flatMap((value, index) => (value === ABSENT ? [] : [[all[index]?.[0] ?? '', value]]))))
}

const seldom = (value: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> => fc.oneof({ weight: 2, arbitrary: fc.constant(ABSENT) }, { weight: 1, arbitrary: value })

const numberOf = (type: 'integer' | 'number', least: number, most: number): fc.Arbitrary<number> => {
  const [from, to] = [Math.ceil(least), Math.floor(most)]
  const small = fc.integer({ min: Math.max(from, Math.min(to, -5)), max: Math.min(to, Math.max(from, 0) + 5) })
  if (type === 'integer') return fc.oneof({ weight: 20, arbitrary: small }, { weight: 1, arbitrary: fc.integer({ min: from, max: to }) })
  return fc.oneof(
    small,
    fc.integer({ min: Math.ceil(least * 10), max: Math.floor(most * 10) }).map((tenths) => tenths / 10),
  )
}

const textFor = ({ pattern, format, minLength, maxLength }: Schema, field: string): fc.Arbitrary<unknown> => {
  const [least, most] = [typeof minLength === 'number' ? minLength : 0, Math.min(typeof maxLength === 'number' ? maxLength : 30, 30)]
  const prefix = typeof pattern === 'string' ? /^\^\(?(?:\?:)?([a-z]+)_/.exec(pattern)?.[1] : undefined
  const made =
    format === 'date-time'
      ? fc.date({ min: new Date('2020-01-01'), max: new Date('2100-01-01'), noInvalidDate: true }).map((date) => date.toISOString())
      : format === 'uuid'
        ? fc.uuid()
        : format === 'email' || field === 'email'
          ? fc.emailAddress()
          : typeof pattern === 'string'
            ? matching(pattern, Math.max(least, most))
            : textOf(least, Math.max(least, most))
  if (prefix !== undefined)
    return fc.oneof(
      { weight: 6, arbitrary: known(`${prefix}_`, `${prefix}_01jd8w2k5v7x9n3q4r6t8y0z1b`) },
      { weight: 1, arbitrary: fc.constant(`${prefix}_01jd8w2k5v7x9n3q4r6t8y0z1b`) },
    )
  return format === 'date-time' ? made : fc.oneof({ weight: 12, arbitrary: known(field, 'none-yet') }, { weight: 1, arbitrary: made })
}

const matching = (pattern: string, most: number): fc.Arbitrary<string> => {
  try {
    return fc.stringMatching(new RegExp(pattern)).map((text) => text.slice(0, most).trim().toWellFormed())
  } catch {
    // Not every expression can be turned round. What it is not made for is then refused, which is a case, too.
    return textOf(1, most)
  }
}

const textOf = (minLength: number, maxLength: number) => fc.string({ unit: 'grapheme', minLength, maxLength })

/** One in so many stays as it is; in the others something is replaced, left out or added. */
const spoiled = (good: fc.Arbitrary<unknown>, oneIn: number): fc.Arbitrary<unknown> =>
  fc.oneof(
    { weight: 1, arbitrary: good },
    { weight: oneIn - 1, arbitrary: fc.tuple(good, junk, fc.nat(), fc.nat()).map(([value, wrong, where, how]) => spoil(value, wrong, where, how)) },
  )

const spoil = (value: unknown, wrong: unknown, where: number, how: number): unknown => {
  const inner = typeof value === 'object' && value !== null && !(value instanceof Known) ? Object.keys(value) : []
  const name = inner[where % (inner.length + 1)]
  if (name === undefined) return how % 3 === 0 && inner.length > 0 && !Array.isArray(value) ? { ...(value as object), unknown: wrong } : wrong // it has names
  const copy: Record<string, unknown> = { ...(value as object) } // it has names
  if (how % 4 === 0) delete copy[name]
  else copy[name] = spoil(copy[name], wrong, Math.floor(where / (inner.length + 1)), how)
  return Array.isArray(value) ? Object.values(copy) : copy
}

const junk: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    -1,
    0,
    1.5,
    1e-7,
    2 ** 31,
    2 ** 53,
    1e21,
    '',
    ' ',
    '%',
    '%00',
    "'; drop table items; --",
    '../../etc/passwd',
    '{{7*7}}',
    '\0',
    '\ud800',
    '\ufeff',
    '\u202etxt',
    '👩‍👩‍👧‍👦',
    'İ'.repeat(64),
    [],
    {},
    [[]],
    [null],
    [[[[[[[[[[[[1]]]]]]]]]]]],
    { __proto__: null, constructor: 1 },
    '9999-12-31T23:59:60Z',
    'x'.repeat(1_500),
  ),
  fc.jsonValue({ maxDepth: 3 }),
  fc.string({ unit: 'binary', maxLength: 20 }),
)

const rawText: fc.Arbitrary<string | Uint8Array<ArrayBuffer>> = fc.constantFrom<string | Uint8Array<ArrayBuffer>>(
  '{',
  '',
  'null',
  '[]',
  '"text"',
  '{"a":1e400}',
  '{"a":-0}',
  '{"quantity":9007199254740993,"lines":[{"quantity":1e3}]}',
  `${'['.repeat(20_000)}${']'.repeat(20_000)}`,
  `{"lines":[${'{"sku":"A","quantity":1},'.repeat(3_000)}{"sku":"A","quantity":1}]}`,
  '{"__proto__":{"admin":true}}',
  '{"a":1,"a":2}',
  '\ufeff{}',
  '{"a":"\\ud800"}',
  '{"a":"\\u0000"}',
  new Uint8Array([0x7b, 0xff, 0x7d]),
  'NaN',
  "{'a':1}",
)
