// Lists are read a page at a time while the shop is open: nothing is left out, and nothing is shown twice.
import { expect, test } from 'vitest'
import { cup, line, lineAt, london, paris, pot, tea } from '../../test/support/given.ts'
import { accepted, ask, byCallers, execution, freshCell, hold, newId, place, receipt, rowsOf, shopsDay, untilClockIs } from '../../test/support/ledger.ts'
import type { Hold } from '../domain/hold.ts'
import { itemNumber, locationNumber } from '../domain/ids.ts'
import { instant } from '../domain/instant.ts'
import { placeNumber } from './codec.ts'
import { documentIdsOfHold, getDocument, listDocuments } from './documents.ts'
import { listEntries, type EntryFilter, type WrittenEntry } from './entries.ts'
import { eventsAfter, eventsBefore, getEvent, headSequence } from './events.ts'
import { dueHolds, getHold, getHolds, listHolds, nextExpiry, type HoldFilter } from './holds.ts'
import { hasStock, levelsAsOf, levelsOfItems, listLevels, setThresholds, type LevelFilter, type StoodLevel } from './levels.ts'
import { transaction } from './pool.ts'

test('stock levels are listed by item and location, page by page', async () => {
  const { stock, pool } = await freshCell()
  for (let location = 1; location <= 3; location += 1)
    await stock.submit(
      ask(
        receipt(
          Array.from({ length: 7 }, (_, n) => line(itemNumber(n + 1), n + location)),
          { location: locationNumber(location) },
        ),
      ),
    )

  for (const limit of [1, 2, 5, 21, 50]) {
    const levels = await pages((after: StoodLevel | null, limit) => listLevels(pool, { ...anyLevel, after, limit }).then((read) => read.levels), limit)
    expect(levels.map(({ item, location, available }) => ({ item, location, available }))).toEqual(
      Array.from({ length: 21 }, (_, n) => ({ item: Math.floor(n / 3) + 1, location: (n % 3) + 1, available: Math.floor(n / 3) + (n % 3) + 1 })),
    )
  }

  const atTwo = await pages(
    (after: StoodLevel | null, limit) => listLevels(pool, { ...anyLevel, location: locationNumber(2), after, limit }).then((read) => read.levels),
    2,
  )
  expect(atTwo.map((level) => level.item)).toEqual([1, 2, 3, 4, 5, 6, 7])
  const ofFive = await listLevels(pool, { ...anyLevel, item: itemNumber(5), limit: 50 })
  expect(ofFive.levels.map((level) => level.location)).toEqual([1, 2, 3])
  expect(ofFive).toMatchObject({ sequence: 3, now: expect.any(Number) })
})

test('levels that run low are those that can sell no more than their reorder point', async () => {
  const { stock, pool } = await freshCell()
  await stock.submit(ask(receipt([1, 2, 3, 4].map((item) => line(itemNumber(item), [5, 6, 9, 1][item - 1] ?? 0)))))
  for (const [item, safetyStock] of [
    [1, 0],
    [2, 0],
    [3, 4],
  ] as const)
    await transaction(pool, (connection) => setThresholds(connection, [{ number: itemNumber(item), safetyStock, reorderPoint: 5 }]))

  const { levels } = await listLevels(pool, { ...anyLevel, low: true })

  expect(levels.map((level) => level.item)).toEqual([1, 3])
})

test('the levels of some items come with the sequence they were read at, also where there are none', async () => {
  const { stock, pool } = await freshCell()
  expect(await levelsOfItems(pool, [tea])).toMatchObject({ levels: [], sequence: 0 })
  expect(await levelsOfItems(pool, [])).toMatchObject({ levels: [], sequence: 0 })
  await stock.submit(ask(receipt([line(tea, 3), line(cup, 4)])))

  const read = await levelsOfItems(pool, [cup, pot, tea])

  expect(read.sequence).toBe(1)
  expect(read.levels).toMatchObject([
    { item: tea, location: london, available: 3, version: 1, safetyStock: 0 },
    { item: cup, location: london, available: 4, version: 1 },
  ])
})

test('what a buyer reads never is of two different moments', async () => {
  const { stock, pool } = await freshCell()
  await stock.submit(ask(receipt([line(tea, 201), line(cup, 201)])))
  let isOver = false
  const readers = byCallers(2, 2_000, async () => (isOver ? undefined : levelsOfItems(pool, [tea, cup])))
  // Always one of each: whoever sees another number of teas than of cups has seen half a hold.
  await byCallers(16, 200, () => stock.submit(ask(hold([lineAt(london, tea, 1), lineAt(london, cup, 1)]))))
  isOver = true

  for (const read of await readers) {
    if (read === undefined) continue
    const [teas, cups] = read.levels
    expect(teas?.available).toBe(cups?.available)
    expect(read.sequence).toBe(1 + (teas?.held ?? -1))
  }
})

test('levels as of an instant are what the entries until then add up to', async () => {
  const { stock, pool } = await freshCell()
  const instants: { at: number; levels: StoodLevel[] }[] = []
  const asOf = async (at: number, filter: Partial<LevelFilter> = {}) => counted((await levelsAsOf(pool, instant(at), { ...anyLevel, ...filter })).levels)
  for (let seed = 1; seed <= 4; seed += 1) {
    await shopsDay(stock, { seed, commands: 40 })
    const { levels } = await listLevels(pool, { ...anyLevel, limit: 100 })
    const [head] = await rowsOf<{ at: number }>(pool, '(select (extract(epoch from h.latest_at) * 1000)::bigint as at from ledger_head as h)')
    instants.push({ at: head?.at ?? 0, levels: counted(levels) })
    // What comes next has an instant of its own.
    await untilClockIs(pool, (head?.at ?? 0) + 1)
  }

  for (const { at, levels } of instants) {
    expect(await asOf(at)).toEqual(levels)
    expect(await pages((after: StoodLevel | null, limit) => asOf(at, { after, limit }), 1)).toEqual(levels)
    expect(await asOf(at, { item: tea })).toEqual(levels.filter((level) => level.item === tea))
    expect(await asOf(at, { location: paris })).toEqual(levels.filter((level) => level.location === paris))
  }
  expect(await asOf(1)).toEqual([])
})

test('holds are listed newest first, page by page, by status, reference and item', async () => {
  const { stock, pool } = await freshCell()
  await stock.submit(ask(receipt([line(tea, 100), line(cup, 100)])))
  const placed: Hold[] = []
  for (let n = 0; n < 25; n += 1) placed.push(await place(stock, [lineAt(london, n % 3 === 0 ? cup : tea, 1)], { reference: n % 5 === 0 ? 'web' : null }))
  for (const [n, held] of placed.entries()) if (n % 4 === 0) accepted(await stock.submit(ask(execution(held))))
  const listed = async (filter: Partial<HoldFilter>, limit: number) =>
    (await pages((last: Hold | null, limit) => listHolds(pool, { ...anyHold, ...filter, before: last?.id ?? null, limit }), limit)).map((held) => held.id)
  const idsWhere = (isWanted: (n: number) => boolean) => placed.flatMap((held, n) => (isWanted(n) ? [held.id] : [])).toReversed()

  for (const limit of [1, 4, 25, 100]) expect(await listed({}, limit)).toEqual(idsWhere(() => true))
  expect(await listed({ status: 'executed' }, 2)).toEqual(idsWhere((n) => n % 4 === 0))
  expect(await listed({ status: 'active', reference: 'web' }, 2)).toEqual(idsWhere((n) => n % 4 > 0 && n % 5 === 0))
  expect(await listed({ item: cup }, 2)).toEqual(idsWhere((n) => n % 3 === 0))
  expect(await listed({ item: pot }, 2)).toEqual([])

  const first = placed[0]
  if (first === undefined) throw new Error('nothing was placed')
  expect(await getHold(pool, first.id)).toMatchObject({ id: first.id, status: 'executed', version: 2, endedAt: expect.any(Number) })
  expect(await getHold(pool, newId())).toBeUndefined()
  expect(await getHolds(pool, [first.id, newId()])).toHaveLength(1)
})

test('what is due is found earliest first, and the next expiry of a level is the next of a hold that still holds there', async () => {
  const { stock, pool } = await freshCell()
  await stock.submit(ask(receipt([line(tea, 100), line(cup, 100)])))
  const late = await place(stock, 1, { ttlMs: 30 })
  const early = await place(stock, 1, { ttlMs: 10 })
  const later = await place(stock, 1, { ttlMs: 900_000 })
  const soon = await place(stock, 1, { ttlMs: 600_000 })
  await place(stock, [lineAt(london, cup, 1)], { ttlMs: 300_000 })
  await untilClockIs(pool, Math.max(late.expiresAt, early.expiresAt))

  expect(await dueHolds(pool, 9)).toEqual([late, early].toSorted((a, b) => a.expiresAt - b.expiresAt).map((held) => held.id))
  expect(await dueHolds(pool, 1)).toHaveLength(1)
  expect(await nextExpiry(pool, tea, london, 100)).toBe(soon.expiresAt)
  expect(await nextExpiry(pool, tea, null, 100)).toBe(soon.expiresAt)
  expect(await nextExpiry(pool, tea, paris, 100)).toBeNull()
  // What the soonest hold no longer holds is not waited for.
  accepted(await stock.submit(ask(execution(soon, { lines: [line(tea, 1)], final: false }))))
  expect(await nextExpiry(pool, tea, london, 100)).toBe(later.expiresAt)
})

test('ledger entries are listed newest first, page by page, also over the borders of the windows they are looked for in', async () => {
  const { stock, pool } = await freshCell()
  await stock.submit(ask(receipt([line(tea, 3), line(cup, 5)])))
  await byCallers(8, 30, (n) => stock.submit(ask(receipt([line(tea, 1), line(pot, n + 1)], { location: n % 2 === 0 ? london : paris }))))
  // As many sequences as several windows hold, without entries: as items and locations are changed for a year.
  // The first window from the end, which will be 45002, ends between the two receipts of cups.
  await pool.query('update ledger_head set sequence = 45002 - 4096 - 1')
  await stock.submit(ask(receipt([line(cup, 7)])))
  await stock.submit(ask(receipt([line(cup, 7)])))
  await pool.query('update ledger_head set sequence = 45000')
  await stock.submit(ask(receipt([line(cup, 7), line(tea, 7)])))
  await stock.submit(
    ask({
      type: 'AdjustStock',
      id: newId(),
      location: london,
      reason: 'count',
      reference: null,
      metadata: {},
      lines: [
        { item: tea, from: 'available', to: 'damaged', quantity: 1, ifVersion: null },
        { item: tea, from: 'available', to: 'shrinkage', quantity: 1, ifVersion: null },
        { item: tea, from: 'shrinkage', to: 'available', quantity: 2, ifVersion: null },
      ],
    }),
  )
  const all = await rowsOf<{ sequence: number; item: number; location: number; from: number; to: number }>(pool, allEntries)
  expect(all).toHaveLength(2 + 60 + 2 + 2 + 3)
  expect(all[5]).toMatchObject({ sequence: 45_002 - 4_096 + 1 })
  expect(all[6]).toMatchObject({ sequence: 45_002 - 4_096 })

  const entries = async (filter: Partial<EntryFilter>) => (await listEntries(pool, { ...anyEntry, ...filter })).entries
  const listed = async (filter: Partial<EntryFilter>, limit: number) => {
    const found = await pages((last: WrittenEntry | null, limit) => entries({ ...filter, before: last && placeOf(last), limit }), limit)
    return found.map(placeOf)
  }
  for (const limit of [1, 3, 7, 100]) {
    expect(await listed({}, limit)).toEqual(all)
    expect(await listed({ item: tea }, limit)).toEqual(all.filter((entry) => entry.item === tea))
    expect(await listed({ location: paris }, limit)).toEqual(all.filter((entry) => entry.location === paris))
  }
  expect(await listed({ item: pot, location: london, from: 'supplier', to: 'available' }, 4)).toEqual(
    all.filter((entry) => entry.item === pot && entry.location === london),
  )
  expect(await listed({ to: 'damaged' }, 4)).toEqual(all.filter((entry) => entry.to === placeNumber('damaged')))
  expect(await listed({ from: 'customer' }, 4)).toEqual([])
})

test('ledger entries are found by document and by time', async () => {
  const { stock, pool } = await freshCell()
  await stock.submit(ask(receipt(9)))
  const placed = await place(stock, 4)
  await untilClockIs(pool, placed.createdAt + 1)
  accepted(await stock.submit(ask(execution(placed))))
  const shipped = accepted(await stock.submit(ask({ type: 'ShipHold', id: newId(), hold: placed.id, lines: [line(tea, 1)], reference: null, metadata: {} })))
  const returned = accepted(
    await stock.submit(
      ask({
        type: 'ReturnStock',
        id: newId(),
        hold: placed.id,
        location: london,
        lines: [{ item: tea, quantity: 1, to: 'damaged' }],
        reference: 'box 4',
        metadata: {},
      }),
    ),
  )
  if (shipped.answer.kind !== 'shipment' || returned.answer.kind !== 'return') throw new Error('another document')

  const documents = await documentIdsOfHold(pool, placed.id)
  expect(documents).toEqual([shipped.answer.shipment.id, returned.answer.return.id])
  const ofHold = await listEntries(pool, { ...anyEntry, documents: [placed.id, ...documents] })
  expect(ofHold.sequence).toBe(5)
  expect(ofHold.entries.map((entry) => `${entry.quantity} ${entry.from} to ${entry.to}, ${entry.document.kind}`)).toEqual([
    '1 customer to damaged, return',
    '1 committed to customer, shipment',
    '4 held to committed, hold',
    '4 available to held, hold',
  ])
  const since = instant(placed.createdAt + 1)
  expect((await listEntries(pool, { ...anyEntry, since })).entries).toHaveLength(3)
  expect((await listEntries(pool, { ...anyEntry, until: since })).entries).toHaveLength(2)

  expect(await getDocument(pool, 'return', returned.answer.return.id)).toEqual({
    id: returned.answer.return.id,
    sequence: returned.sequence,
    body: returned.answer,
  })
  expect(await getDocument(pool, 'receipt', returned.answer.return.id)).toBeUndefined()
  expect(await listDocuments(pool, 'return', { reference: 'box 4', hold: placed.id, locations: null, before: null, limit: 9 })).toHaveLength(1)
  expect(await listDocuments(pool, 'return', { reference: 'box 5', hold: null, locations: null, before: null, limit: 9 })).toEqual([])
})

test('documents of one kind are listed newest first, page by page', async () => {
  const { stock, pool } = await freshCell()
  const made: string[] = []
  for (let n = 0; n < 11; n += 1) {
    const { answer } = accepted(await stock.submit(ask(receipt(1, { reference: n % 2 === 0 ? 'even' : 'odd' }))))
    if (answer.kind === 'receipt') made.unshift(answer.receipt.id)
  }
  const listed = async (reference: string | null, limit: number) => {
    const found = await pages(
      (last: { id: Hold['id'] } | null, limit) => listDocuments(pool, 'receipt', { reference, hold: null, locations: null, before: last?.id ?? null, limit }),
      limit,
    )
    return found.map((document) => document.id)
  }

  for (const limit of [1, 3, 11]) expect(await listed(null, limit)).toEqual(made)
  expect(await listed('odd', 2)).toEqual(made.filter((_, n) => n % 2 === 1))
})

test('events are read in both directions, by type, up to where a reader wants', async () => {
  const { stock, pool } = await freshCell()
  await stock.submit(ask(receipt(50)))
  for (let n = 0; n < 10; n += 1) {
    const placed = await place(stock, 1)
    if (n % 2 === 0) accepted(await stock.submit(ask(execution(placed))))
  }
  const head = await headSequence(pool)
  expect(head).toBe(16)
  const upwards = async (types: string[] | null, limit: number) => {
    const seen: number[] = []
    for (;;) {
      const events = await eventsAfter(pool, { after: seen.at(-1) ?? 0, upTo: null, types, limit })
      seen.push(...events.map((event) => event.sequence))
      if (events.length < limit) return seen
    }
  }
  const downwards = async (types: string[] | null, limit: number) => {
    const seen: number[] = []
    for (;;) {
      const events = await eventsBefore(pool, { before: seen.at(-1) ?? null, types, limit })
      seen.push(...events.map((event) => event.sequence))
      if (events.length < limit) return seen
    }
  }

  const everything = Array.from({ length: head }, (_, n) => n + 1)
  const executions = await rowsOf<{ sequence: number }>(pool, "select e.sequence from events as e where e.type = 'hold.executed' order by e.sequence")
  for (const limit of [1, 3, 16, 99]) {
    expect(await upwards(null, limit)).toEqual(everything)
    expect(await downwards(null, limit)).toEqual(everything.toReversed())
    expect(await upwards(['hold.executed'], limit)).toEqual(executions.map((row) => row.sequence))
    expect(await downwards(['hold.executed', 'stock.received'], limit)).toEqual([...executions.map((row) => row.sequence).toReversed(), 1])
  }
  expect((await eventsAfter(pool, { after: 2, upTo: 5, types: null, limit: 99 })).map((event) => event.sequence)).toEqual([3, 4, 5])
  expect(await getEvent(pool, 1)).toMatchObject({
    sequence: 1,
    type: 'stock.received',
    actor: 'key_shop',
    requestId: 'req_test',
    subject: { kind: 'receipt', version: 1 },
  })
  expect(await getEvent(pool, 99)).toBeUndefined()
})

test('a location has stock as long as a single unit is there, in whatever state', async () => {
  const { stock, pool } = await freshCell()
  await stock.submit(ask(receipt(1)))
  const has = (location: typeof london) => transaction(pool, (connection) => hasStock(connection, location))
  expect([await has(london), await has(paris)]).toEqual([true, false])
  const placed = await place(stock, 1)
  expect(await has(london)).toBe(true)

  accepted(await stock.submit(ask(execution(placed))))
  accepted(await stock.submit(ask({ type: 'ShipHold', id: newId(), hold: placed.id, lines: null, reference: null, metadata: {} })))

  expect(await has(london)).toBe(false)
})

test('safety stock is kept back from the next buyer on', async () => {
  const cell = await freshCell()
  await cell.stock.submit(ask(receipt(5)))
  await cell.stock.submit(ask(receipt(5, { location: paris })))
  await transaction(cell.pool, (connection) => setThresholds(connection, [{ number: tea, safetyStock: 3, reorderPoint: null }]))

  expect(await cell.stock.submit(ask(hold(3)))).toMatchObject({ rejection: { shortages: [{ available: 2 }] } })
  expect(await cell.stock.submit(ask(hold(2)))).toMatchObject({ ok: true })
})

const anyLevel: LevelFilter = { item: null, location: null, locations: null, low: false, after: null, limit: 100 }
const anyHold: HoldFilter = { status: null, reference: null, customer: null, item: null, locations: null, before: null, limit: 100 }
const anyEntry: EntryFilter = {
  item: null,
  location: null,
  locations: null,
  documents: null,
  from: null,
  to: null,
  since: null,
  until: null,
  before: null,
  limit: 100,
}

/** All of a list, page by page, each from the last row of the one before. */
const pages = async <Row>(read: (last: Row | null, limit: number) => Promise<Row[]>, limit: number): Promise<Row[]> => {
  const rows: Row[] = []
  for (;;) {
    const page = await read(rows.at(-1) ?? null, limit)
    expect(page.length).toBeLessThanOrEqual(limit)
    rows.push(...page)
    if (page.length < limit) return rows
  }
}

/** The levels, without the moment at which they were read, and without what was told of them: that is no count. */
const counted = (levels: readonly StoodLevel[]): StoodLevel[] =>
  levels.map(({ item, location, available, held, committed, damaged, quality_control, incoming, safetyStock, reorderPoint, version, updatedAt }) => ({
    item,
    location,
    available,
    held,
    committed,
    damaged,
    quality_control,
    incoming,
    safetyStock,
    reorderPoint,
    signal: null,
    signals: 0,
    version,
    updatedAt,
  }))

const placeOf = ({ sequence, item, location, from, to }: WrittenEntry) => ({
  sequence,
  item: Number(item),
  location: Number(location),
  from: placeNumber(from),
  to: placeNumber(to),
})

const allEntries = `
select e.sequence, e.item_id as item, e.location_id as location, e.from_state as "from", e.to_state as "to"
  from ledger_entries as e
 order by e.sequence desc, e.item_id desc, e.location_id desc, e.from_state desc, e.to_state desc`
