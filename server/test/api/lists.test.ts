// Lists and streams, while shops go on selling: whoever reads page after page misses nothing and sees nothing twice.
import { holdfast, responseOf, type LedgerEntry, type Listing, type StockEvent } from '@holdfast/sdk'
import { describe, expect, test } from 'vitest'
import { API_KEY, ownDatabase, startServer, type TestServer } from '../support/server.ts'
import { levelAt, stockUp } from '../support/shop.ts'

const database = await ownDatabase()
const [london, paris] = await Promise.all([startServer(database), startServer(database)])
const { stock } = london

const PAGE = 4
const ROWS = 15

const all = <Row>(listing: Listing<Row>): Promise<Row[]> => Array.fromAsync(listing)
const times = <Made>(count: number, make: (index: number) => Promise<Made>): Promise<Made[]> =>
  // One after the other: their order is known.
  Array.from({ length: count }, (_, index) => index).reduce<Promise<Made[]>>(
    async (before, index) => [...(await before), await make(index)],
    Promise.resolve([]),
  )

/** Reads page after page, and lets something happen after each of them. */
const readWhile = async <Row>(listing: Listing<Row>, happens: (page: number) => Promise<unknown>): Promise<Row[]> => {
  const rows: Row[] = []
  let pages = 0
  for await (const page of listing.pages()) {
    pages += 1
    rows.push(...page.data)
    expect(page.data.length).toBe(page.hasMore ? PAGE : page.data.length)
    expect(page.nextCursor === null).toBe(!page.hasMore)
    if (page.hasMore) await happens(pages)
  }
  expect(pages).toBeGreaterThan(2)
  return rows
}

await stockUp(stock, { LON: { 'LIST-1': 10_000, 'LIST-2': 10_000 }, PAR: { 'LIST-1': 100, 'LIST-2': 100 } })
const one = (sku: string, location = 'LON') => [{ sku, quantity: 1, location }]
const shippedHold = async () => {
  const hold = await stock.holds.place({ lines: [{ sku: 'LIST-1', quantity: 50, location: 'LON' }] })
  await stock.holds.execute(hold.id)
  await stock.shipments.create({ hold: hold.id, lines: [{ sku: 'LIST-1', quantity: 20 }] })
  return hold.id
}

describe('page after page, newest first, while more is added', () => {
  type Case = {
    readonly name: string
    prepare?(): Promise<string>
    list(about: string): Listing<object>
    make(index: string, about: string): Promise<object>
    readonly id: string
  }
  const cases: Case[] = [
    {
      name: 'items',
      id: 'sku',
      list: () => stock.items.list({ limit: PAGE, category: 'paged' }),
      make: (index) => paris.stock.items.create({ sku: `PAGED-${index}`, name: `Item ${index}`, category: 'paged' }),
    },
    {
      name: 'items that are searched for',
      id: 'sku',
      list: () => stock.items.list({ limit: PAGE, q: 'needle' }),
      make: (index) => paris.stock.items.create({ sku: `FOUND-${index}`, name: `The needle ${index}` }),
    },
    {
      name: 'locations',
      id: 'code',
      list: () => stock.locations.list({ limit: PAGE, kind: 'third_party' }),
      make: (index) => paris.stock.locations.create({ code: `P-${index}`, name: `Place ${index}`, kind: 'third_party' }),
    },
    {
      name: 'holds of a reference',
      id: 'id',
      list: () => stock.holds.list({ limit: PAGE, reference: 'paged' }),
      make: () => paris.stock.holds.place({ lines: one('LIST-2'), reference: 'paged' }),
    },
    {
      name: 'holds of an item',
      id: 'id',
      prepare: async () => (await stock.items.create({ sku: 'HELD-1', name: 'Held' }), await stockUp(stock, { LON: { 'HELD-1': 100 } }), ''),
      list: () => stock.holds.list({ limit: PAGE, sku: 'HELD-1' }),
      make: () => paris.stock.holds.place({ lines: [...one('LIST-2'), ...one('HELD-1')] }),
    },
    {
      name: 'executed holds',
      id: 'id',
      list: () => stock.holds.list({ limit: PAGE, status: 'executed' }),
      make: async () => stock.holds.execute((await paris.stock.holds.place({ lines: one('LIST-2') })).id),
    },
    {
      name: 'receipts',
      id: 'id',
      list: () => stock.receipts.list({ limit: PAGE, reference: 'paged' }),
      make: () => paris.stock.receipts.create({ location: 'LON', lines: [{ sku: 'LIST-1', quantity: 1 }], reference: 'paged' }),
    },
    {
      name: 'adjustments',
      id: 'id',
      list: () => stock.adjustments.list({ limit: PAGE, reference: 'paged' }),
      make: () => paris.stock.adjustments.create({ location: 'LON', lines: [{ sku: 'LIST-1', delta: 1 }], reason: 'found', reference: 'paged' }),
    },
    {
      name: 'shipments of a hold',
      id: 'id',
      prepare: shippedHold,
      list: (hold) => stock.shipments.list({ limit: PAGE, hold }),
      make: (_, hold) => paris.stock.shipments.create({ hold, lines: [{ sku: 'LIST-1', quantity: 1 }] }),
    },
    {
      name: 'returns of a hold',
      id: 'id',
      prepare: shippedHold,
      list: (hold) => stock.returns.list({ limit: PAGE, hold }),
      make: (_, hold) => paris.stock.returns.create({ hold, location: 'LON', lines: [{ sku: 'LIST-1', quantity: 1 }] }),
    },
    {
      name: 'transfers to a place',
      id: 'id',
      list: () => stock.transfers.list({ limit: PAGE, location: 'PAR', status: 'open' }),
      make: () => paris.stock.transfers.create({ from: 'LON', to: 'PAR', lines: [{ sku: 'LIST-1', quantity: 1 }] }),
    },
    {
      name: 'inbound shipments of a reference',
      id: 'id',
      list: () => stock.inboundShipments.list({ limit: PAGE, reference: 'paged' }),
      make: (index) =>
        paris.stock.inboundShipments.create({ supplier: `Supplier ${index}`, location: 'LON', lines: [{ sku: 'LIST-1', quantity: 1 }], reference: 'paged' }),
    },
    {
      name: 'open counts',
      id: 'id',
      list: () => stock.counts.list({ limit: PAGE, status: 'open', location: 'LON' }),
      make: () => paris.stock.counts.create({ location: 'LON' }),
    },
    {
      name: 'ledger entries',
      id: 'sequence',
      prepare: async () => (await stock.items.create({ sku: 'MOVED-1', name: 'Moved' })).sku,
      list: (sku) => stock.ledgerEntries.list({ limit: PAGE, sku }),
      make: async (_, sku) => ({ sequence: (await paris.stock.receipts.create({ location: 'LON', lines: [{ sku, quantity: 1 }] })).sequence }),
    },
    {
      name: 'events of a type',
      id: 'sequence',
      list: () => stock.events.list({ limit: PAGE, type: 'location.updated' }),
      make: async (index) => ({ sequence: responseOf(await paris.stock.locations.update('PAR', { name: `Paris ${index}` })).sequence }),
    },
  ]

  test.each(cases)('$name', async ({ id, prepare, list, make }) => {
    const about = (await prepare?.()) ?? ''
    const nameOf = (row: object) => new Map<string, unknown>(Object.entries(row)).get(id)
    const before = (await all(list(about))).map(nameOf)
    const made = await times(ROWS, (index) => make(String(index), about))
    const there = [...made.map(nameOf).toReversed(), ...before]
    expect((await all(list(about))).map(nameOf)).toEqual(there)

    // What is added goes before the first page, so it is not seen, and nothing is pushed out of sight or seen again.
    const read = await readWhile(list(about), (page) => make(`late-${page}`, about))
    expect(read.map(nameOf)).toEqual(there)
  })
})

test('holds of a status: those that keep it are seen once, whatever becomes of the others meanwhile', async () => {
  const holds = await times(ROWS, () => stock.holds.place({ lines: one('LIST-2') }))
  const changing = [holds.at(-2), holds.at(3), holds.at(1)]
  const read = await readWhile(stock.holds.list({ limit: PAGE, status: 'active' }), async () => {
    const hold = changing.shift()
    if (hold) await paris.stock.holds.release(hold.id)
  })
  const seen = read.map((hold) => hold.id)
  expect(new Set(seen).size).toBe(seen.length)
  const stillActive = await all(stock.holds.list({ status: 'active' }))
  for (const hold of stillActive) expect(seen).toContain(hold.id)
  expect(stillActive.length).toBeGreaterThanOrEqual(ROWS - 3)
})

describe('stock levels', () => {
  const codes = Array.from({ length: 7 }, (_, index) => `S${index}`)
  const skus = Array.from({ length: 7 }, (_, index) => `STAND-${index}`)
  const stood = stockUp(
    stock,
    Object.fromEntries(codes.map((code, place) => [code, Object.fromEntries(skus.map((sku, item) => [sku, 5 + ((place + item) % 7)]))])),
    { items: Object.fromEntries(skus.map((sku, item) => [sku, item % 2 === 0 ? { reorderPoint: 8, safetyStock: 1 } : {}])) },
  )
  const nameOf = ({ sku, location }: { sku: string; location: string }) => `${sku} at ${location}`

  test('of a place, of an item, and all of them, while they change', async () => {
    await stood
    const change = async () => {
      for (const place of ['S3', 'S6']) await paris.stock.adjustments.create({ location: place, lines: [{ sku: 'STAND-3', delta: 1 }], reason: 'found' })
    }
    const readAll = async (filter: { location?: string; sku?: string }) => {
      const rows: string[] = []
      for await (const page of stock.stockLevels.list({ limit: PAGE, ...filter }).pages()) {
        rows.push(...page.data.map(nameOf))
        if (page.hasMore) await change()
      }
      return rows
    }
    expect(await readAll({ location: 'S3' })).toEqual(skus.map((sku) => `${sku} at S3`))
    expect(await readAll({ sku: 'STAND-2' })).toEqual(codes.map((code) => `STAND-2 at ${code}`))
    const everything = await readAll({})
    expect(new Set(everything).size).toBe(everything.length)
    expect(everything).toEqual(expect.arrayContaining(codes.flatMap((code) => skus.map((sku) => `${sku} at ${code}`))))
    expect(await all(stock.stockLevels.list({ sku: 'STAND-2', location: 'S4' }))).toEqual([await levelAt(stock, 'STAND-2', 'S4')])
  })

  test('that are low are those at or below their reorder point, counted without the safety stock', async () => {
    await stood
    const levels = (await Promise.all(skus.map((sku) => all(stock.stockLevels.list({ sku }))))).flat()
    const expected = levels.filter(({ sku, available }) => Number(sku.at(-1)) % 2 === 0 && Math.max(0, available - 1) <= 8).map(nameOf)
    const low = (await all(stock.stockLevels.list({ limit: PAGE, low: true }))).map(nameOf)
    expect(low.filter((name) => name.startsWith('STAND'))).toEqual(expected)
    expect(expected.length).toBeGreaterThan(0)
    expect(expected.length).toBeLessThan(levels.length / 2)
  })

  test('as they were at an instant are what the entries until then add up to', async () => {
    await stood
    await stockUp(stock, { LON: { 'PAST-1': 30 }, PAR: { 'PAST-1': 7 } })
    const hold = await stock.holds.place({ lines: one('PAST-1') })
    await stock.holds.execute(hold.id)
    await stock.adjustments.create({ location: 'LON', lines: [{ sku: 'PAST-1', quantity: 4, from: 'available', to: 'damaged' }], reason: 'damaged' })
    await stock.shipments.create({ hold: hold.id })
    await stock.returns.create({ location: 'PAR', lines: [{ sku: 'PAST-1', quantity: 2, to: 'quality_control' }] })

    const entries = await all(stock.ledgerEntries.list({ sku: 'PAST-1' }))
    expect(entries).toHaveLength(7)
    for (const { occurredAt: asOf } of entries) {
      const past = await all(stock.stockLevels.list({ sku: 'PAST-1', asOf, limit: 1 }))
      for (const { location, version, ...level } of past) {
        const until = entries.filter((entry) => entry.location === location && entry.occurredAt <= asOf)
        const count = (state: string) => until.reduce((sum, { from, to, quantity }) => sum + (to === state ? quantity : 0) - (from === state ? quantity : 0), 0)
        expect(version).toBe(Math.max(...until.map((entry) => entry.levelVersion)))
        expect(level).toMatchObject({
          available: count('available'),
          held: count('held'),
          committed: count('committed'),
          damaged: count('damaged'),
          qualityControl: count('quality_control'),
        })
      }
      expect(past.map(({ location }) => location).toSorted()).toEqual(
        [...new Set(entries.filter((entry) => entry.occurredAt <= asOf).map(({ location }) => location))].toSorted(),
      )
    }
    // What is past does not change, whatever happens while it is read.
    const asOf = entries[3]?.occurredAt ?? ''
    const first = await all(stock.stockLevels.list({ location: 'S1', asOf }))
    const sell = () => paris.stock.holds.place({ lines: [{ sku: 'STAND-1', quantity: 1, location: 'S1' }] })
    const again: unknown[] = []
    for await (const page of stock.stockLevels.list({ location: 'S1', asOf, limit: 2 }).pages()) {
      again.push(...page.data)
      await sell()
    }
    expect(again).toEqual(first)
    expect(await all(stock.stockLevels.list({ sku: 'PAST-1', asOf: '2020-01-01T00:00:00.000Z' }))).toEqual([])
  })
})

test('ledger entries: each filter shows what it is for, and all that it is for', async () => {
  await stockUp(stock, { LON: { 'ENTRY-1': 50 }, PAR: { 'ENTRY-1': 50, 'ENTRY-2': 50 } })
  const hold = await stock.holds.place({ lines: [...one('ENTRY-1'), { sku: 'ENTRY-2', quantity: 2, location: 'PAR' }] })
  await stock.holds.execute(hold.id, {
    lines: [
      { sku: 'ENTRY-2', quantity: 1 },
      { sku: 'ENTRY-1', quantity: 1 },
    ],
  })
  const shipment = await stock.shipments.create({ hold: hold.id })
  const returned = await stock.returns.create({ hold: hold.id, location: 'LON', lines: [{ sku: 'ENTRY-2', quantity: 1, to: 'damaged' }] })
  await stock.holds.release((await stock.holds.place({ lines: one('ENTRY-1', 'PAR') })).id)

  const everything = await all(stock.ledgerEntries.list())
  expect(everything.length).toBeGreaterThan(100)
  expect(new Set(everything.map((entry) => entry.id)).size).toBe(everything.length)
  expect(everything.map((entry) => entry.sequence)).toEqual(everything.map((entry) => entry.sequence).toSorted((a, b) => b - a))
  const middle = everything[Math.floor(everything.length / 2)]?.occurredAt ?? ''
  const filters: [Parameters<typeof stock.ledgerEntries.list>[0], (entry: LedgerEntry) => boolean][] = [
    [{ sku: 'ENTRY-1' }, (entry) => entry.sku === 'ENTRY-1'],
    [{ location: 'PAR' }, (entry) => entry.location === 'PAR'],
    [{ sku: 'ENTRY-1', location: 'PAR' }, (entry) => entry.sku === 'ENTRY-1' && entry.location === 'PAR'],
    [{ hold: hold.id }, (entry) => [hold.id, shipment.id, returned.id].includes(entry.document)],
    [{ from: 'available' }, (entry) => entry.from === 'available'],
    [{ to: 'held' }, (entry) => entry.to === 'held'],
    [{ from: 'held', to: 'committed' }, (entry) => entry.from === 'held' && entry.to === 'committed'],
    [{ from: 'committed', to: 'customer', sku: 'ENTRY-2' }, (entry) => entry.to === 'customer' && entry.sku === 'ENTRY-2'],
    [{ since: middle }, (entry) => entry.occurredAt >= middle],
    [{ until: middle }, (entry) => entry.occurredAt < middle],
    [{ since: middle, until: '2999-01-01T00:00:00Z', location: 'LON' }, (entry) => entry.occurredAt >= middle && entry.location === 'LON'],
  ]
  for (const [filter, isMeant] of filters) {
    const expected = everything.filter(isMeant)
    expect(expected.length, JSON.stringify(filter)).toBeGreaterThan(0)
    expect(await all(stock.ledgerEntries.list({ ...filter, limit: 23 })), JSON.stringify(filter)).toEqual(expected)
  }
  expect((await all(stock.ledgerEntries.list({ hold: hold.id }))).map(({ from, to }) => `${from} to ${to}`).toSorted()).toEqual([
    'available to held',
    'available to held',
    'committed to customer',
    'committed to customer',
    'customer to damaged',
    'held to available',
    'held to committed',
    'held to committed',
  ])
})

test('events after a sequence come oldest first, and what is added meanwhile comes at the end', async () => {
  const from = responseOf(await stock.items.update('LIST-1', { name: 'A beginning' })).sequence ?? 0
  await times(ROWS, () => stock.holds.place({ lines: one('LIST-2') }))
  const read = await readWhile(stock.events.list({ limit: PAGE, afterSequence: from }), () => paris.stock.items.update('LIST-1', { name: 'And more' }))
  expect(read.map((event) => event.sequence)).toEqual(Array.from({ length: read.length }, (_, index) => from + 1 + index))
  expect(read.length).toBeGreaterThan(ROWS)
  expect(await all(stock.events.list({ afterSequence: from }))).toEqual(expect.arrayContaining(read))

  const types = ['hold.placed', 'item.updated'] as const
  const placed = await all(stock.events.list({ limit: PAGE, afterSequence: from, type: 'hold.placed' }))
  expect(placed).toEqual(read.filter((event) => event.type === 'hold.placed'))
  expect((await all(stock.events.list({ limit: PAGE, afterSequence: from, type: [...types] }))).length).toBeGreaterThanOrEqual(read.length)
  // A stranger's list of types in one address.
  const { body } = await london.request('GET', `/v1/events?after_sequence=${from}&type=hold.placed&type=item.updated&limit=100`)
  expect((body as { data: { type: string }[] }).data.every(({ type }) => types.some((wanted) => wanted === type))).toBe(true) // a list of events
  const newest = await all(stock.events.list({ limit: PAGE, type: 'hold.placed' }))
  expect(newest.map((event) => event.sequence)).toEqual(newest.map((event) => event.sequence).toSorted((a, b) => b - a))
})

describe('the stream of events', () => {
  /** Reads so many messages as they come over the wire, and hangs up. */
  const listen = async (
    server: TestServer,
    count: number,
    { lastEventId, query = '' }: { readonly lastEventId?: number; readonly query?: string } = {},
  ): Promise<{ id: number; event: StockEvent }[]> => {
    const gone = new AbortController()
    const response = await fetch(`${server.url}/v1/events/stream${query}`, {
      headers: { authorization: `Bearer ${API_KEY}`, ...(lastEventId === undefined ? {} : { 'last-event-id': String(lastEventId) }) },
      signal: AbortSignal.any([gone.signal, AbortSignal.timeout(15_000)]),
    })
    const messages: { id: number; event: StockEvent }[] = []
    let text = ''
    for await (const bytes of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      text += bytes
      const blocks = text.split('\n\n')
      text = blocks.pop() ?? ''
      for (const block of blocks) {
        const match = /^id: (\d+)\ndata: (.*)$/.exec(block)
        if (match) messages.push({ id: Number(match[1]), event: JSON.parse(match[2] ?? '') as StockEvent }) // in the words of the wire
      }
      if (messages.length >= count) break
    }
    gone.abort()
    return messages
  }

  test('tells each event once and in order, to a reader that hangs up and comes back to either server', async () => {
    const from = responseOf(await stock.items.update('LIST-1', { name: 'Now listen' })).sequence ?? 0
    let selling = true
    const sold = (async () => {
      for (let sale = 0; selling; sale += 1) await (sale % 2 === 0 ? london : paris).stock.holds.place({ lines: one('LIST-2') })
    })()
    const heard: { id: number; event: StockEvent }[] = []
    let at = from
    for (let visit = 0; visit < 6; visit += 1) {
      // As a browser does: the address stays as it was, the header says how far it had got.
      const messages = await listen(visit % 2 === 0 ? london : paris, 10 + visit, { lastEventId: at, query: `?after_sequence=${from}` })
      heard.push(...messages)
      at = messages.at(-1)?.id ?? at
    }
    selling = false
    await sold
    expect(heard.map(({ id }) => id)).toEqual(Array.from({ length: heard.length }, (_, index) => from + 1 + index))
    expect(heard.length).toBeGreaterThan(60)
    const { body } = await london.request('GET', `/v1/events?after_sequence=${from}&limit=50`)
    expect(heard.slice(0, 50).map(({ event }) => event)).toEqual((body as { data: unknown[] }).data) // a list of events
  })

  test('tells only the types that are asked for, and skips none of them', async () => {
    const from = responseOf(await stock.items.update('LIST-1', { name: 'Only releases' })).sequence ?? 0
    const released = await times(5, async () => {
      const hold = await stock.holds.place({ lines: one('LIST-2') })
      return paris.stock.holds.release(hold.id)
    })
    const heard = await listen(london, 5, { query: `?after_sequence=${from}&type=hold.released` })
    expect(heard.map(({ event }) => event.subject.id)).toEqual(released.map((hold) => hold.id))
  })

  test('goes on at another server when the one that told it dies', async () => {
    const third = await startServer(database)
    let at = third.url
    const reader = holdfast({
      url: 'http://shop',
      apiKey: API_KEY,
      fetch: (input, init) => (typeof input === 'string' ? fetch(input.replace('http://shop', at), init) : fetch(input, init)),
    })
    const from = responseOf(await stock.items.update('LIST-1', { name: 'Until death' })).sequence ?? 0
    let selling = true
    const sold = (async () => {
      while (selling) await london.stock.holds.place({ lines: one('LIST-2') })
    })()
    const heard: number[] = []
    for await (const event of reader.events.stream({ afterSequence: from })) {
      heard.push(event.sequence)
      if (heard.length === 20) {
        await third.kill()
        at = paris.url
      }
      if (heard.length === 60) break
    }
    selling = false
    await sold
    expect(heard).toEqual(Array.from({ length: heard.length }, (_, index) => from + 1 + index))
  })
})

test('who has written on one server reads it on the other', async () => {
  await stockUp(stock, { LON: { 'OWN-1': 1_000 } })
  await Promise.all(
    Array.from({ length: 8 }, async (_, reader) => {
      const [here, there] = reader % 2 === 0 ? [london, paris] : [paris, london]
      for (let round = 0; round < 10; round += 1) {
        const hold = await here.stock.holds.place({ lines: one('OWN-1') })
        const minSequence = responseOf(hold).sequence
        const version = hold.lines[0]?.allocations[0]?.levelVersion ?? Infinity
        const [level, availability, levels] = await Promise.all([
          there.stock.stockLevels.get('OWN-1', { minSequence }),
          there.stock.availability.get('OWN-1', { minSequence }),
          there.stock.stockLevels.list({ sku: 'OWN-1' }, { minSequence }).page(),
        ])
        expect(level.locations[0]?.version).toBeGreaterThanOrEqual(version)
        expect(availability.locations[0]?.levelVersion).toBeGreaterThanOrEqual(version)
        expect(levels.data[0]?.version).toBeGreaterThanOrEqual(version)
        for (const answer of [level, availability, levels]) expect(responseOf(answer).sequence).toBeGreaterThanOrEqual(minSequence ?? Infinity)
        const entries = await there.stock.ledgerEntries.list({ hold: hold.id }, { minSequence }).page()
        expect(entries.data).toHaveLength(1)
      }
    }),
  )
})
