// What the server says of itself in /openapi.json is what it does: with input as it should be, as it might be, and as it must not be.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readContract, type DescribedOperation, type Schema } from '../support/contract-check.ts'
import { API_KEY, ownDatabase, startServer, verifyBooks, type Answered } from '../support/server.ts'
import { stockUp } from '../support/shop.ts'

// Fixed, so that what is found once is found again; others, and more of them, for whoever wants to look longer.
const SEED = Number(process.env['HOLDFAST_TEST_SEED'] ?? 20_261_121)
const REQUESTS = Number(process.env['HOLDFAST_TEST_REQUESTS'] ?? 400)

const database = await ownDatabase()
const server = await startServer(database)
const { stock } = server
const contract = await readContract(server)

const operation = (id: string): DescribedOperation => {
  const found = contract.operations.find((one) => one.id === id)
  if (found === undefined) throw new Error(`there is no operation ${id}`)
  return found
}

type Input = {
  readonly params?: Readonly<Record<string, string>>
  readonly query?: readonly (readonly [name: string, value: string])[]
  readonly body?: unknown
  readonly key?: string
}

let keys = 0
const call = ({ method, path }: DescribedOperation, { params = {}, query = [], body, key }: Input): Promise<Answered> => {
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(inAddress(params[name] ?? '')))
  const text = query.length === 0 ? '' : `?${new URLSearchParams(query.map(([name, value]): [string, string] => [name, value])).toString()}`
  const idempotencyKey = key ?? (method === 'POST' ? `shape-${(keys += 1)}` : undefined)
  return server.request(method, filled + text, { body, ...(idempotencyKey === undefined ? {} : { idempotencyKey }) })
}

/** Half a letter cannot stand in an address, and dots alone would lead to another one. */
const inAddress = (text: string): string => (text === '.' || text === '..' ? 'dots' : text.toWellFormed())

test('every operation, called as it should be, answers what it promises', async () => {
  const called = new Set<string>()
  const ok = async (id: string, input: Input = {}): Promise<Record<string, unknown>> => {
    const one = operation(id)
    called.add(id)
    const answer = await call(one, input)
    expect(contract.faultOf(one, answer)).toBeUndefined()
    expect(answer.status, answer.text).toBeLessThan(300)
    return answer.body as Record<string, unknown> // as the document says, which was just checked
  }
  const idOf = (document: Record<string, unknown>) => ({ params: { id: String(document['id']) } })

  await ok('locationsCreate', {
    body: { code: 'LON', name: 'London', kind: 'store', priority: 5, address: { city: 'London' }, latitude: 51.5, longitude: -0.1, metadata: { a: 'b' } },
  })
  await ok('locationsCreate', { body: { code: 'TMP', name: 'For a while' } })
  await ok('locationsList', {
    query: [
      ['status', 'active'],
      ['kind', 'store'],
      ['limit', '1'],
    ],
  })
  await ok('locationsGet', { params: { code: 'LON' } })
  await ok('locationsUpdate', { params: { code: 'LON' }, body: { name: 'London Bridge', address: null } })
  await ok('locationsDeactivate', { params: { code: 'TMP' } })
  await ok('itemsCreate', {
    body: {
      sku: 'TEA-1',
      name: 'Tea',
      description: 'Leaves',
      brand: 'B',
      category: 'C',
      price: { amount: 450, currency: 'GBP' },
      barcode: '501',
      attributes: { grade: 'A' },
      safety_stock: 1,
      reorder_point: 500,
    },
  })
  await ok('itemsCreate', { body: { sku: 'Ünï cöde & 100 %', name: 'Odd, but a name' } })
  await ok('itemsCreate', { body: { sku: 'OLD-1', name: 'Old' } })
  await ok('itemsList', {
    query: [
      ['q', 'tea'],
      ['brand', 'B'],
      ['category', 'C'],
      ['status', 'active'],
    ],
  })
  await ok('itemsGet', { params: { sku: 'Ünï cöde & 100 %' } })
  await ok('itemsUpdate', { params: { sku: 'TEA-1' }, body: { price: null, if_version: 1 } })
  await ok('itemsArchive', { params: { sku: 'OLD-1' } })

  const receipt = await ok('receiptsCreate', {
    body: {
      location: 'LON',
      lines: [
        { sku: 'TEA-1', quantity: 100 },
        { sku: 'Ünï cöde & 100 %', quantity: 5 },
      ],
      reference: 'PO',
      metadata: {},
    },
  })
  await ok('receiptsList', { query: [['reference', 'PO']] })
  await ok('receiptsGet', idOf(receipt))
  const adjustment = await ok('adjustmentsCreate', {
    body: {
      location: 'LON',
      reason: 'damaged',
      lines: [
        { sku: 'TEA-1', quantity: 2, from: 'available', to: 'damaged' },
        { sku: 'TEA-1', delta: 1 },
      ],
    },
  })
  await ok('adjustmentsList')
  await ok('adjustmentsGet', idOf(adjustment))

  const lines = [{ sku: 'TEA-1', quantity: 2 }]
  const hold = await ok('holdsPlace', {
    body: {
      lines: [{ ...lines[0], location: 'LON' }],
      ttl_seconds: 60,
      mode: 'best_effort',
      strategy: 'nearest',
      destination: { latitude: 1, longitude: 2.5 },
      reference: 'cart',
    },
  })
  const short = await ok('holdsPlace', { body: { lines: [{ sku: 'TEA-1', quantity: 1_000 }], mode: 'best_effort' } })
  expect(short['shortages']).toHaveLength(1)
  await ok('holdsRelease', { ...idOf(short), body: {} })
  const third = await ok('holdsPlace', { body: { lines } })
  await ok('holdsExtend', { ...idOf(hold), body: { ttl_seconds: 600 } })
  await ok('holdsExecute', { ...idOf(hold), body: { lines: [{ sku: 'TEA-1', quantity: 1 }], final: false } })
  await ok('holdsExecute', idOf(hold))
  await ok('holdsCancel', idOf(third))
  await ok('holdsList', {
    query: [
      ['sku', 'TEA-1'],
      ['status', 'executed'],
      ['reference', 'cart'],
    ],
  })
  await ok('holdsGet', idOf(hold))
  const shipment = await ok('shipmentsCreate', { body: { hold: hold['id'], lines: [{ sku: 'TEA-1', quantity: 1 }] } })
  await ok('shipmentsList', { query: [['hold', String(hold['id'])]] })
  await ok('shipmentsGet', idOf(shipment))
  const returned = await ok('returnsCreate', { body: { hold: hold['id'], location: 'LON', lines: [{ sku: 'TEA-1', quantity: 1, to: 'damaged' }] } })
  await ok('returnsCreate', { body: { location: 'LON', lines } })
  await ok('returnsList', { query: [['hold', String(hold['id'])]] })
  await ok('returnsGet', idOf(returned))

  await ok('stockLevelsList', {
    query: [
      ['sku', 'TEA-1'],
      ['location', 'LON'],
      ['low', 'true'],
      ['min_sequence', '1'],
    ],
  })
  await ok('stockLevelsList', {
    query: [
      ['sku', 'TEA-1'],
      ['as_of', new Date().toISOString()],
    ],
  })
  await ok('stockLevelsGet', { params: { sku: 'TEA-1' } })
  await ok('stockLevelsGet', { params: { sku: 'OLD-1' } })
  await ok('availabilityGet', { params: { sku: 'TEA-1' }, query: [['min_sequence', '2']] })
  await ok('availabilityCheck', { body: { skus: ['TEA-1', 'OLD-1'] } })
  await ok('availabilityCheck', { body: { lines, strategy: 'fewest_splits' } })
  await ok('ledgerEntriesList', {
    query: [
      ['hold', String(hold['id'])],
      ['from', 'available'],
      ['to', 'held'],
      ['since', '2020-01-01T00:00:00Z'],
      ['until', '2999-01-01T00:00:00.000Z'],
    ],
  })
  const events = await ok('eventsList', {
    query: [
      ['type', 'hold.placed'],
      ['type', 'hold.executed'],
      ['after_sequence', '0'],
    ],
  })
  for (const event of events['data'] as Record<string, unknown>[]) await ok('eventsGet', idOf(event)) // as the document says
  called.add('eventsStream')
  expect(await firstEvents(20)).toHaveLength(20)

  expect([...called].toSorted()).toEqual(contract.operations.map(({ id }) => id).toSorted())
})

/** The first events of the stream, each of them as described. */
const firstEvents = async (count: number): Promise<unknown[]> => {
  const gone = new AbortController()
  const events: unknown[] = []
  for await (const event of stock.events.stream({ afterSequence: 0 }, { signal: gone.signal })) {
    events.push(event)
    if (events.length === count) break
  }
  gone.abort()
  const response = await fetch(`${server.url}/v1/events/stream?after_sequence=0`, {
    headers: { authorization: `Bearer ${API_KEY}` },
    signal: AbortSignal.timeout(10_000),
  })
  expect(response.headers.get('content-type')).toBe('text/event-stream')
  let text = ''
  for await (const bytes of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += bytes
    if (text.split('\n\n').length > count + 1) break
  }
  for (const message of text.split('\n\n').slice(1, count + 1)) {
    const [id, data] = message.split('\n')
    const event = JSON.parse(data?.slice('data: '.length) ?? '') as { sequence: number } // what it is, is checked next
    expect(contract.faultOfEvent(operation('eventsStream'), event)).toBeUndefined()
    expect(id).toBe(`id: ${event.sequence}`)
  }
  return events
}

test(`${REQUESTS} requests, right ones and wrong ones, are answered as described, and none with a 500`, async () => {
  await stockUp(stock, { LON: { 'FUZZ-1': 50, 'FUZZ-2': 3 }, PAR: { 'FUZZ-1': 5 } })
  const known = await knownNames()
  const seen = new Map<number, number>()

  await fc.assert(
    fc.asyncProperty(
      requestOf(
        contract.operations.filter((one) => !one.streams),
        known,
      ),
      async ({ id, input }) => {
        const one = operation(id)
        const answer = await call(one, input)
        seen.set(answer.status, (seen.get(answer.status) ?? 0) + 1)
        expect(answer.status, `${answer.text} ${server.said()}`).not.toBe(500)
        expect(contract.faultOf(one, answer)).toBeUndefined()
      },
    ),
    { seed: SEED, numRuns: REQUESTS },
  )
  // Both kinds were met, often: requests that are all refused prove little.
  expect((seen.get(200) ?? 0) + (seen.get(201) ?? 0)).toBeGreaterThan(REQUESTS / 8)
  expect(seen.get(400)).toBeGreaterThan(REQUESTS / 8)
  expect(seen.get(404)).toBeGreaterThan(0)
  expect(seen.get(409)).toBeGreaterThan(0)
  expect((await verifyBooks(database)).violations).toEqual([])
})

/** Names of things that are there, for each kind of name: most requests are about something that exists. */
type Names = Readonly<Record<'sku' | 'location' | 'hold' | 'rcpt' | 'adj' | 'ship' | 'ret' | 'evt', readonly string[]>>

const knownNames = async (): Promise<Names> => {
  const lines = [{ sku: 'FUZZ-1', quantity: 2, location: 'LON' }]
  const [active, executed, shipped] = await Promise.all([0, 1, 2].map(() => stock.holds.place({ lines })))
  if (!active || !executed || !shipped) throw new Error('three holds were placed')
  await stock.holds.execute(executed.id)
  await stock.holds.execute(shipped.id)
  const shipment = await stock.shipments.create({ hold: shipped.id, lines: [{ sku: 'FUZZ-1', quantity: 1 }] })
  const returned = await stock.returns.create({ hold: shipped.id, location: 'PAR', lines: [{ sku: 'FUZZ-1', quantity: 1 }] })
  const receipt = await stock.receipts.create({ location: 'LON', lines: [{ sku: 'FUZZ-2', quantity: 1 }] })
  const adjustment = await stock.adjustments.create({ location: 'LON', lines: [{ sku: 'FUZZ-2', delta: -1 }], reason: 'lost' })
  const events = await stock.events.list({ limit: 5 }).page()
  return {
    sku: ['FUZZ-1', 'FUZZ-2', 'TEA-1'],
    location: ['LON', 'PAR'],
    hold: [active.id, executed.id, shipped.id],
    rcpt: [receipt.id],
    adj: [adjustment.id],
    ship: [shipment.id],
    ret: [returned.id],
    evt: events.data.map((event) => event.id),
  }
}

type Request = { readonly id: string; readonly input: Input }

const requestOf = (operations: readonly DescribedOperation[], names: Names): fc.Arbitrary<Request> =>
  fc.constantFrom(...operations).chain((operation) => {
    const path = operation.parameters.filter((parameter) => parameter.in === 'path')
    const query = operation.parameters.filter((parameter) => parameter.in === 'query')
    return fc
      .record({
        params: fc.record(Object.fromEntries(path.map(({ name, schema }) => [name, spoiled(valueOf(schema, names, name), 12).map(asText)]))),
        query: fc
          .tuple(
            ...query.map(({ name, schema }) =>
              fc.option(
                spoiled(valueOf(schema, names, name), 12).map((value) => [name, asText(value)] as const),
                { freq: 2 },
              ),
            ),
          )
          .chain((chosen) => {
            const there = chosen.filter((pair) => pair !== null)
            return fc.oneof({ weight: 12, arbitrary: fc.constant(there) }, { weight: 1, arbitrary: fc.constant([...there, ['unknown', '1'] as const]) })
          }),
        body: operation.body === undefined ? bodyWhereNoneIs(operation) : spoiled(valueOf(operation.body, names, ''), 3),
      })
      .map((input) => ({ id: operation.id, input }))
  })

/** A GET with a body cannot even be sent by fetch. */
const bodyWhereNoneIs = ({ method }: DescribedOperation): fc.Arbitrary<unknown> =>
  method === 'GET' ? fc.constant(undefined) : fc.oneof({ weight: 5, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.constant({}) })

const asText = (value: unknown): string => (typeof value === 'string' ? value : (JSON.stringify(value) ?? ''))

/** A value as its schema wants it. */
const valueOf = (schema: Schema, names: Names, field: string): fc.Arbitrary<unknown> => {
  const {
    type,
    enum: words,
    const: constant,
    anyOf,
    properties,
    required,
    items,
    patternProperties,
    pattern,
    format,
    minimum,
    maximum,
    minLength,
    maxLength,
    minItems,
  } = schema
  if (constant !== undefined) return fc.constant(constant)
  if (Array.isArray(words)) return fc.constantFrom<unknown>(...words)
  if (Array.isArray(anyOf)) return fc.oneof(...(anyOf as Schema[]).map((branch) => valueOf(branch, names, field))) // JSON schema's own word
  switch (type) {
    case 'null':
      return fc.constant(null)
    case 'boolean':
      return fc.boolean()
    case 'integer':
    case 'number': {
      const [least, most] = [typeof minimum === 'number' ? minimum : -5, typeof maximum === 'number' ? maximum : 1_000_000]
      const small = fc.integer({ min: least, max: Math.min(most, Math.max(least, 0) + 5) })
      return type === 'integer'
        ? fc.oneof({ weight: 4, arbitrary: small }, { weight: 1, arbitrary: fc.integer({ min: Math.ceil(least), max: Math.floor(most) }) })
        : fc.oneof(
            small,
            fc.integer({ min: Math.ceil(least * 10), max: Math.floor(most * 10) }).map((tenths) => tenths / 10),
          )
    }
    case 'array':
      return fc.array(valueOf((items ?? {}) as Schema, names, field), { minLength: typeof minItems === 'number' ? minItems : 0, maxLength: 3 }) // JSON schema's own word
    case 'object': {
      if (patternProperties !== undefined)
        return fc.dictionary(
          fc.string({ unit: 'grapheme', maxLength: 10 }).filter((name) => name !== '__proto__'),
          textOf(0, 20),
          { maxKeys: 3 },
        )
      const all = Object.entries((properties ?? {}) as Record<string, Schema>) // JSON schema's own word
      const model = Object.fromEntries(all.map(([name, inner]) => [name, valueOf(inner, names, name)]))
      return fc.record(model, { requiredKeys: Array.isArray(required) ? (required as string[]) : [] }) // JSON schema's own word
    }
    case 'string': {
      const prefix = typeof pattern === 'string' ? /^\^(hold|rcpt|adj|ship|ret|evt)_/.exec(pattern)?.[1] : undefined
      if (prefix !== undefined) return mostly(names[prefix as keyof Names], fc.constant(`${prefix}_01jd8w2k5v7x9n3q4r6t8y0z1b`)) // one of the words of the pattern
      if (field === 'sku' || field === 'skus')
        return mostly(
          names.sku,
          textOf(1, 20).filter((text) => /^[^\s/](.*[^\s/])?$/.test(text)),
        )
      if (field === 'location' || field === 'code') return mostly(names.location, fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,9}$/))
      if (field === 'currency') return fc.stringMatching(/^[A-Z]{3}$/)
      if (format === 'date-time') return fc.date({ min: new Date(0), max: new Date('2100-01-01'), noInvalidDate: true }).map((date) => date.toISOString())
      if (pattern !== undefined) throw new Error(`no texts are known for ${JSON.stringify(pattern)}; give this test some`)
      return textOf(typeof minLength === 'number' ? minLength : 0, Math.min(typeof maxLength === 'number' ? maxLength : 30, 30))
    }
    default:
      throw new Error(`no values are known for ${JSON.stringify(schema)}`)
  }
}

const textOf = (minLength: number, maxLength: number) => fc.string({ unit: 'grapheme', minLength, maxLength })
const mostly = (some: readonly string[], other: fc.Arbitrary<string>) =>
  fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...some) }, { weight: 1, arbitrary: other })

/** One in so many is spoiled: something in it is replaced, left out or added. */
const spoiled = (good: fc.Arbitrary<unknown>, oneIn: number): fc.Arbitrary<unknown> =>
  fc.oneof(
    { weight: oneIn - 1, arbitrary: good },
    { weight: 1, arbitrary: fc.tuple(good, junk, fc.nat(), fc.nat()).map(([value, wrong, where, how]) => spoil(value, wrong, where, how)) },
  )

const spoil = (value: unknown, wrong: unknown, where: number, how: number): unknown => {
  const inner = typeof value === 'object' && value !== null ? Object.keys(value) : []
  const name = inner[where % (inner.length + 1)]
  if (name === undefined) return how % 3 === 0 && typeof value === 'object' && value !== null ? { ...value, unknown: wrong } : wrong
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
    2 ** 53,
    1e21,
    '',
    ' ',
    '..',
    '.',
    '%',
    "'; drop table items; --",
    '\0',
    '\ud800',
    '﻿',
    [],
    {},
    [[]],
    [null],
    [[[[[[[[[[[[1]]]]]]]]]]]],
    'x'.repeat(3_000),
  ),
  fc.jsonValue({ maxDepth: 3 }),
  fc.string({ unit: 'binary', maxLength: 20 }),
)
