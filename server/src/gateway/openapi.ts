// OpenAPI 3.1, made from the table of operations. Whatever has a name in the API (`"object": "hold"`) is a named schema.
import { accepted, everywhere, problem, problems, rejectionCodes, scopes, whenMovingStock, type Operation, type RejectionCode } from '@holdfast/contract'
import { exampleBody, exampleOf, exampleUpload } from './example.ts'
import { exportTypes, isExportable } from './export.ts'

type Json = { [name: string]: unknown }

export const openApi = (operations: readonly Operation[]): Json => {
  const components = new Map<string, Json>()
  const paths: { [path: string]: Json } = {}
  for (const operation of operations) {
    paths[operation.path] ??= {}
    Object.assign(paths[operation.path] ?? {}, { [operation.method.toLowerCase()]: operationObject(operation, components) })
  }
  components.set('Problem', { ...named(problem, components), description: 'RFC 9457, with what a program needs to go on.' })
  return {
    openapi: '3.1.0',
    info: {
      title: 'Holdfast',
      version: '1',
      description:
        'Counts stock and promises it to buyers without ever promising a unit twice. Hold stock while a buyer pays, then execute the hold or release it.',
      license: { name: 'Apache 2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    security: [{ apiKey: [] }],
    tags: [...new Set(operations.map(tagOf))].map((name) => ({ name, description: tagTexts[name] ?? '' })),
    paths,
    components: {
      schemas: Object.fromEntries([...components].toSorted(([a], [b]) => (a < b ? -1 : 1))),
      securitySchemes: {
        apiKey: { type: 'http', scheme: 'bearer', bearerFormat: 'hf_…', description: `An API key. Keys have scopes: ${scopes.join(', ')}.` },
        session: {
          type: 'apiKey',
          in: 'cookie',
          name: '__Host-holdfast',
          description: 'The session of a person, set by auth.login. For pages of this origin; over plain http on the machine itself it is called holdfast.',
        },
      },
      headers: {
        'Request-Id': {
          description: "The request's id: the caller's own when it is well formed, else a new one. It stands in problems and logs, too.",
          schema: { type: 'string' },
        },
        'Stock-Sequence': {
          description: 'The place in the ledger that this answer is as new as. Sent back as min_sequence, a read is at least that new.',
          schema: { type: 'integer' },
        },
        Warning: {
          description: 'Present when the database cannot be reached and the answer is an old one.',
          schema: { type: 'string', enum: ['110 - "Response is Stale"'] },
        },
        Age: { description: 'How many seconds old such an answer is.', schema: { type: 'integer' } },
        'Idempotent-Replayed': { description: 'true when this is the answer that the same key got before.', schema: { type: 'string', enum: ['true'] } },
        'RateLimit-Policy': {
          description: 'How many requests (`q`) there may be in how many seconds (`w`), for this key, person or address. Not there where there is no limit.',
          schema: { type: 'string', examples: ['"key";q=100;w=1'] },
        },
        RateLimit: {
          description: 'How many requests are left (`r`), and for how many seconds (`t`).',
          schema: { type: 'string', examples: ['"key";r=98;t=1'] },
        },
        ...(operations.some(({ deprecated }) => deprecated !== undefined) ? farewellDescriptions : {}),
        'Retry-After': { description: 'Seconds to wait before the request is sent again.', schema: { type: 'integer' } },
      },
    },
  }
}

/** What an operation may refuse: its own, and what every operation may. */
export const codesOf = (operation: Operation): readonly RejectionCode[] => {
  const { rejections, movesStock, input, bodyTypes, method } = operation
  const all = new Set<RejectionCode>([...rejections, ...everywhere, ...(movesStock ? whenMovingStock : []), ...(honoursKey(operation) ? whenKeyed : [])])
  // Nobody reads a body of a GET. An address can be too long everywhere.
  const noBody: readonly RejectionCode[] = input.body === undefined && bodyTypes === undefined && method === 'GET' ? ['unsupported_media_type'] : []
  return rejectionCodes.filter((code) => all.has(code) && !noBody.includes(code))
}
/** A key is honoured on every POST but those of sessions, which are never the same twice; so it can be wrong there. */
const honoursKey = ({ method, scope }: Operation): boolean => method === 'POST' && scope !== 'anyone' && scope !== 'person'
const whenKeyed: readonly RejectionCode[] = ['idempotency_key_reused']

/** `holds.place` → `holdsPlace`, which every generator of clients can use as a name. */
export const operationId = ({ name }: Operation): string => name.replaceAll(/[._](\w)/g, (_, letter: string) => letter.toUpperCase())
export const tagOf = ({ name }: Operation): string => name.split('.', 1)[0] ?? name

const operationObject = (operation: Operation, components: Map<string, Json>): Json => {
  const { input, output, status, streams } = operation
  const type = streams ? 'text/event-stream' : 'application/json'
  return {
    operationId: operationId(operation),
    summary: operation.summary,
    description: describe(operation),
    ...(operation.deprecated === undefined ? {} : { deprecated: true }),
    tags: [tagOf(operation)],
    security: operation.scope === 'anyone' ? [] : [...(operation.scope === 'person' ? [] : [{ apiKey: [] }]), { session: [] }],
    'x-scope': operation.scope,
    parameters: [
      ...parameters(input.params, 'path', components),
      ...parameters(input.query, 'query', components),
      ...(honoursKey(operation) ? [idempotencyKey(operation)] : []),
      ...(streams
        ? [
            {
              name: 'Last-Event-ID',
              in: 'header',
              required: false,
              description: 'The sequence of the last event that was read; goes before after_sequence.',
              schema: { type: 'integer', minimum: 0 },
            },
          ]
        : []),
    ],
    ...(operation.bodyTypes === undefined ? {} : { requestBody: uploadBody(operation.bodyTypes) }),
    ...(input.body === undefined ? {} : { requestBody: requestBody(operation, components) }),
    responses: {
      [status]: {
        description: streams ? 'Events as they happen: `id` is the sequence, `data` is the event.' : 'Done.',
        headers: {
          ...headerRefs('Request-Id', 'RateLimit-Policy', 'RateLimit', ...farewellHeaders(operation)),
          ...(streams ? {} : { 'Stock-Sequence': { $ref: '#/components/headers/Stock-Sequence' } }),
          ...(mayBeStale(operation) ? headerRefs('Warning', 'Age') : {}),
          ...(honoursKey(operation) ? { 'Idempotent-Replayed': { $ref: '#/components/headers/Idempotent-Replayed' } } : {}),
        },
        content: {
          [type]: { schema: named(output, components), ...(streams ? {} : { example: exampleOf(output) }) },
          ...(isExportable(operation) ? exportContent : {}),
        },
      },
      ...(operation.deferrable
        ? {
            202: {
              description: 'Taken while the database is away, and done once afterwards. Only where a broker keeps it.',
              headers: headerRefs('Request-Id', 'RateLimit-Policy', 'RateLimit'),
              content: { 'application/json': { schema: named(accepted, components), example: exampleOf(accepted) } },
            },
          }
        : {}),
      ...refusals(operation),
    },
  }
}

/** What is answered from memory says in its body whether it is old. */
const mayBeStale = ({ output }: Operation): boolean => 'properties' in output && 'stale' in (output.properties as object)

/** A sentence for each resource; a test holds it against the table. */
export const tagTexts: Readonly<Record<string, string>> = {
  parked_messages: 'Messages that nobody could take, with the reason: sent again, or discarded.',
  items: 'What is stocked, known by its sku.',
  imports: 'Files of items and their opening stock: how far they are, and which rows failed.',
  locations: 'Places that hold stock, known by their code.',
  receipts: 'Stock that came from suppliers.',
  adjustments: 'Stock that was found, lost, damaged, or set aside.',
  holds: 'Promises of stock to one buyer for a limited time: placed, then executed or released.',
  shipments: 'Stock that went to customers.',
  returns: 'Stock that came back from customers.',
  transfers: 'Stock that goes from one location to another: planned, dispatched, received in parts.',
  inbound_shipments: 'What suppliers say is coming, and what of it has come.',
  counts: 'What was found on the shelves of a location, and how the books are corrected by it.',
  stock_levels: 'The counts of one item at one location, now or then.',
  availability: 'What can be sold, and from where.',
  ledger_entries: 'Every movement of stock there ever was.',
  events: 'Facts that happened, in their order.',
  auth: 'Signing in and out, and who is asking.',
  users: 'The people who may sign in, each with a role.',
  api_keys: 'Keys of programs: what each may do, where, and how often.',
  audit_log: 'Who did what to users, keys and sessions, from where.',
  webhook_endpoints: 'Urls that are told of events, each with a secret of its own.',
  webhook_deliveries: 'What became of telling them: one event for one endpoint, with its attempts.',
  status: 'What is up and what is down, and what that means for users.',
  integrity: 'Whether the books agree.',
}

const farewellDescriptions: Json = {
  Deprecation: { description: 'Since when this operation is deprecated (RFC 9745).', schema: { type: 'string', examples: ['@1767225600'] } },
  Sunset: { description: 'From when on this operation is gone (RFC 8594).', schema: { type: 'string' } },
  Link: { description: 'With `rel="successor-version"`: what to use instead.', schema: { type: 'string' } },
}

const headerRefs = (...names: readonly string[]): Json => Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]))

const farewellHeaders = ({ deprecated }: Operation): readonly string[] =>
  deprecated === undefined
    ? []
    : ['Deprecation', ...(deprecated.sunset === undefined ? [] : ['Sunset']), ...(deprecated.successor === undefined ? [] : ['Link'])]

/** What the parameter format, or the header Accept, gives instead of a page. */
const exportContent: Json = {
  [exportTypes.csv]: { schema: { type: 'string', description: 'The whole list: RFC 4180, one column for each field, what is nested as JSON.' } },
  [exportTypes.ndjson]: { schema: { type: 'string', description: 'The whole list: one JSON object a line, each as in `data`.' } },
}

/** What is needed where it is no scope. */
export const neededWords: { readonly [scope: string]: string } = {
  anyone: 'For anyone: needs no key.',
  caller: 'For any key, and for everybody who is signed in.',
  person: 'For people who are signed in.',
}

const describe = (operation: Operation): string => {
  const { scope, movesStock, streams } = operation
  return [
    neededWords[scope] ?? `Needs the scope \`${scope}\`.`,
    movesStock ? 'Moves stock: takes an `Idempotency-Key`, and with `dry_run=true` decides and answers without changing anything.' : '',
    streams ? 'The answer does not end until the reader leaves.' : '',
    isExportable(operation) ? 'With `format` the whole list in one answer; one that is cut before its end is not whole.' : '',
    farewellOf(operation),
  ]
    .filter((line) => line !== '')
    .join(' ')
}

/** What is said of an operation that will go. */
export const farewellOf = ({ deprecated }: Operation): string => {
  if (deprecated === undefined) return ''
  const { since, sunset, successor } = deprecated
  const end = sunset === undefined ? '' : `, gone from ${sunset.slice(0, 10)} on`
  return `Deprecated since ${since.slice(0, 10)}${end}.${successor === undefined ? '' : ` Use ${successor} instead.`}`
}

const idempotencyKey = ({ movesStock }: Operation): Json => ({
  name: 'Idempotency-Key',
  in: 'header',
  required: false,
  description: movesStock
    ? 'Required, unless `dry_run=true`. The same key with the same request gets the same answer again; with another request it is refused.'
    : 'The same key with the same request gets the same answer again.',
  schema: { type: 'string', minLength: 1, maxLength: 255, pattern: '^[\\x20-\\x7e]+$', examples: ['cart-8841'] },
})

const parameters = (schema: unknown, where: 'path' | 'query', components: Map<string, Json>): Json[] => {
  const { properties = {}, required = [] } = (schema ?? {}) as { properties?: Json; required?: string[] } // JSON schema's own words
  return Object.entries(properties).map(([name, property]) => {
    const { description, ...rest } = named(property, components)
    return { name, in: where, required: where === 'path' || required.includes(name), ...(description === undefined ? {} : { description }), schema: rest }
  })
}

const requestBody = (operation: Operation, components: Map<string, Json>): Json => {
  const { input } = operation
  const name = `${pascal(operation.name)}Request`
  components.set(name, named(input.body, components))
  const required = (input.body as { readonly required?: readonly string[] }).required ?? [] // JSON schema's own word
  return { required: required.length > 0, content: { 'application/json': { schema: ref(name), example: exampleBody(operation) } } }
}

/** A file, in one of several forms. */
const uploadBody = (types: readonly string[]): Json => ({
  required: true,
  content: Object.fromEntries(types.map((type) => [type, { schema: { type: 'string', format: 'binary' }, example: exampleUpload(type) }])),
})

const refusals = (operation: Operation): Json => {
  const byStatus = new Map<number, RejectionCode[]>()
  for (const code of codesOf(operation)) byStatus.set(problems[code].status, [...(byStatus.get(problems[code].status) ?? []), code])
  return Object.fromEntries(
    [...byStatus]
      .toSorted(([a], [b]) => a - b)
      .map(([status, codes]) => [
        status,
        {
          description: codes.map((code) => `\`${code}\`: ${problems[code].title}.`).join(' '),
          headers: {
            ...headerRefs('Request-Id', ...(status === 429 ? ['RateLimit-Policy', 'RateLimit'] : []), ...farewellHeaders(operation)),
            ...(status === 429 || status === 503 ? { 'Retry-After': { $ref: '#/components/headers/Retry-After' } } : {}),
          },
          content: {
            'application/problem+json': {
              schema: { allOf: [ref('Problem'), { type: 'object', properties: { code: { type: 'string', enum: codes } } }] },
              example: problemExample(codes[0] ?? 'internal_error'),
            },
          },
        },
      ]),
  )
}

export const problemExample = (code: RejectionCode): Json => {
  const { status, title, retryable } = problems[code]
  const base = { type: `/docs/problems/${code}`, title, status, code, detail: `${title}.`, retryable, request_id: 'req_7k2m9q4t6v8x0z1b3d5f' }
  switch (code) {
    case 'insufficient_stock':
      return {
        ...base,
        detail: '3 of TEA-1 asked at LON: 2 available',
        shortages: [
          { sku: 'TEA-1', location: 'LON', requested: 3, available: 2, held: 4, next_expiry_at: '2026-11-21T10:15:00.000Z', incoming: 10, level_version: 12 },
        ],
      }
    case 'invalid_request':
      return { ...base, detail: 'lines[0].quantity must be 1 or more', errors: [{ param: 'lines[0].quantity', message: 'must be 1 or more' }] }
    case 'quantity_exceeds_remaining':
      return { ...base, remaining: 2 }
    case 'version_conflict':
      return { ...base, current_version: 12 }
    default:
      return base
  }
}

/** The schema as plain JSON, in which everything that has a name is a reference to it. */
const named = (schema: unknown, components: Map<string, Json>): Json => {
  if (typeof schema !== 'object' || schema === null) return {}
  const inner = (value: unknown, key: string): unknown => {
    if (Array.isArray(value)) return value.map((each) => (typeof each === 'object' ? inner(each, key) : each))
    if (typeof value !== 'object' || value === null) return value
    const object = value as Json // neither null nor a list
    const name = key === 'properties' ? undefined : nameOf(object)
    const copy = Object.fromEntries(
      Object.entries(object).map(([field, each]) => [field, keptAsIs.has(field) && key !== 'properties' ? each : inner(each, field)]),
    )
    if (name === undefined) return copy
    if (!components.has(name)) components.set(name, copy)
    return ref(name)
  }
  return inner(schema, '') as Json // an object went in
}

const keptAsIs = new Set(['enum', 'const', 'examples', 'default', 'required'])

/** `{ object: 'hold', … }` is a Hold; a list of holds is a HoldList; a shortage is known by its fields. */
const nameOf = (schema: Json): string | undefined => {
  const properties = schema['properties'] as { [field: string]: Json } | undefined // JSON schema's own word
  if (properties === undefined) return undefined
  if ('next_expiry_at' in properties && 'requested' in properties) return 'Shortage'
  const kind = properties['object']?.['const']
  if (typeof kind !== 'string') return undefined
  if (kind !== 'list') return pascal(kind)
  const row = properties['data']?.['items'] as Json | undefined // a list of ours has rows
  return row === undefined ? undefined : `${nameOf(row) ?? 'Row'}List`
}

const pascal = (text: string): string => text.replaceAll(/(?:^|[._])(\w)/g, (_, letter: string) => letter.toUpperCase())
const ref = (name: string): Json => ({ $ref: `#/components/schemas/${name}` })
