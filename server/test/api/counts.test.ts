// Counting while the shop is open: what is missing or too many is found, and nothing that was sold or received meanwhile is taken for it.
import { holdfast, responseOf, type Count } from '@holdfast/sdk'
import { describe, expect, test } from 'vitest'
import { createKey, ownDatabase, startServer, verifyBooks } from '../support/server.ts'
import { levelAt, stockUp } from '../support/shop.ts'

const database = await ownDatabase()
const [london, paris] = await Promise.all([startServer(database), startServer(database)])
const { stock } = london
const { counts } = stock

const opened = (...skus: string[]): Promise<Count> => counts.create({ location: 'LON', ...(skus.length === 0 ? {} : { skus }) })
const at = (sku: string) => levelAt(stock, sku, 'LON')
const sold = async (sku: string, quantity: number) => {
  const hold = await stock.holds.place({ lines: [{ sku, quantity, location: 'LON' }] })
  await stock.holds.execute(hold.id)
  await stock.shipments.create({ hold: hold.id })
}

describe('a count', () => {
  test('finds what is missing and what is too many, and approval corrects the books by that', async () => {
    await stockUp(stock, { LON: { 'CNT-1': 10, 'CNT-2': 5, 'CNT-3': 7 } })
    const count = await counts.create({ location: 'LON', skus: ['CNT-1', 'CNT-2', 'CNT-1', 'CNT-3'], reference: 'monday', metadata: { by: 'Ada' } })
    expect(count).toMatchObject({ object: 'count', status: 'open', version: 1, location: 'LON', reference: 'monday', metadata: { by: 'Ada' }, endedAt: null })
    expect(count).toMatchObject({ skus: ['CNT-1', 'CNT-2', 'CNT-3'], lines: [] })

    // CNT-1 stands in two places.
    const counted = await counts.lines(count.id, {
      lines: [
        { sku: 'CNT-1', quantity: 6 },
        { sku: 'CNT-2', quantity: 6 },
        { sku: 'CNT-1', quantity: 1 },
      ],
    })
    expect(counted).toMatchObject({ status: 'open', version: 2 })
    expect(counted.lines).toMatchObject([
      { sku: 'CNT-1', counted: 7, expected: 10, difference: -3, asOfSequence: null, levelVersion: 1 },
      { sku: 'CNT-2', counted: 6, expected: 5, difference: 1 },
    ])
    expect(await at('CNT-1')).toMatchObject({ available: 10, version: 1 })
    // Somebody looks once more.
    expect(await counts.lines(count.id, { lines: [{ sku: 'CNT-1', quantity: 8 }] })).toMatchObject({ lines: [{ counted: 8, difference: -2 }, { counted: 6 }] })

    const approved = await counts.approve(count.id)
    expect(approved).toMatchObject({
      status: 'approved',
      version: 4,
      lines: [
        { difference: -2, levelVersion: 2 },
        { difference: 1, levelVersion: 2 },
      ],
    })
    expect(approved.endedAt).not.toBeNull()
    expect(await at('CNT-1')).toMatchObject({ onHand: 8, available: 8 })
    expect(await at('CNT-2')).toMatchObject({ onHand: 6, available: 6 })
    // What nobody counted stays as it is.
    expect(await at('CNT-3')).toMatchObject({ onHand: 7, version: 1 })
    expect(await counts.get(count.id)).toEqual(approved)
    expect(await counts.approve(count.id)).toEqual(approved)

    const entries = await Array.fromAsync(stock.ledgerEntries.list({ document: count.id }))
    expect(entries.map(({ sku, from, to, quantity }) => `${quantity} of ${sku}: ${from} > ${to}`).toSorted()).toEqual([
      '1 of CNT-2: shrinkage > available',
      '2 of CNT-1: available > shrinkage',
    ])
    const { data } = await stock.events.list({ type: ['count.opened', 'count.counted', 'count.approved'] }).page()
    expect(data.map(({ type }) => type)).toEqual(['count.approved', 'count.counted', 'count.counted', 'count.opened'])
  })

  test('expects on the shelf what is promised and not yet sent, and not what is damaged', async () => {
    await stockUp(stock, { LON: { 'SHELF-1': 20 } })
    await stock.holds.place({ lines: [{ sku: 'SHELF-1', quantity: 3, location: 'LON' }] })
    const executed = await stock.holds.place({ lines: [{ sku: 'SHELF-1', quantity: 4, location: 'LON' }] })
    await stock.holds.execute(executed.id)
    await stock.adjustments.create({ location: 'LON', lines: [{ sku: 'SHELF-1', quantity: 2, from: 'available', to: 'damaged' }], reason: 'damaged' })
    const { id } = await opened('SHELF-1')
    expect(await counts.lines(id, { lines: [{ sku: 'SHELF-1', quantity: 18 }] })).toMatchObject({ lines: [{ expected: 18, difference: 0 }] })
    await counts.approve(id)
    expect(await at('SHELF-1')).toMatchObject({ onHand: 20, available: 11, held: 3, committed: 4, damaged: 2 })
  })

  test('loses nothing that was sold or received between counting and approval', async () => {
    await stockUp(stock, { LON: { 'OPEN-1': 10 } })
    const { id } = await opened('OPEN-1')
    await counts.lines(id, { lines: [{ sku: 'OPEN-1', quantity: 8 }] })
    await sold('OPEN-1', 3)
    await stockUp(stock, { LON: { 'OPEN-1': 20 } })
    await counts.approve(id)
    // 10, of which 2 were missing, less 3, and 20 more. "8" was never the truth again.
    expect(await at('OPEN-1')).toMatchObject({ onHand: 25, available: 25 })
  })

  test('told later is held against the books as they were when it was counted', async () => {
    await stockUp(stock, { LON: { 'THEN-1': 10, 'THEN-2': 10 } })
    const { id } = await opened('THEN-1', 'THEN-2')
    const then = responseOf(await stock.stockLevels.get('THEN-1')).sequence
    await sold('THEN-1', 4)
    await sold('THEN-2', 4)
    const counted = await counts.lines(id, {
      lines: [
        { sku: 'THEN-1', quantity: 9, asOfSequence: then },
        { sku: 'THEN-2', quantity: 9 },
      ],
    })
    expect(counted.lines).toMatchObject([
      { sku: 'THEN-1', counted: 9, expected: 10, difference: -1, asOfSequence: then },
      // The same words about the shelf as it is now: three more than there can be.
      { sku: 'THEN-2', counted: 9, expected: 6, difference: 3, asOfSequence: null },
    ])
    await counts.approve(id)
    expect(await at('THEN-1')).toMatchObject({ onHand: 5 })
    expect(await at('THEN-2')).toMatchObject({ onHand: 9 })
  })

  test('may find what the books know nothing of', async () => {
    await stockUp(stock, { LON: {}, PAR: { 'FOUND-1': 1 } }, { items: { 'FOUND-1': { safetyStock: 2 } } })
    const { id } = await opened()
    expect(await counts.lines(id, { lines: [{ sku: 'FOUND-1', quantity: 3 }] })).toMatchObject({
      skus: null,
      lines: [{ expected: 0, difference: 3, levelVersion: 0 }],
    })
    // By a server that has not met the item: it is asked what the item keeps back.
    const fresh = await startServer(database)
    await fresh.stock.counts.approve(id)
    await fresh.stop()
    expect(await at('FOUND-1')).toMatchObject({ onHand: 3, safetyStock: 2, availableToSell: 1 })
  })

  test('that is canceled corrects nothing', async () => {
    await stockUp(stock, { LON: { 'DROP-1': 10 } })
    const { id } = await opened('DROP-1')
    await counts.lines(id, { lines: [{ sku: 'DROP-1', quantity: 1 }] })
    const canceled = await counts.cancel(id)
    expect(canceled).toMatchObject({ status: 'canceled', version: 3, lines: [{ difference: -9 }] })
    expect(await at('DROP-1')).toMatchObject({ onHand: 10, version: 1 })
    expect(await counts.cancel(id)).toEqual(canceled)
    await expect(counts.approve(id)).rejects.toMatchObject({ code: 'invalid_state', status: 409, detail: `${id} is canceled, and can no longer be approved` })
    await expect(counts.lines(id, { lines: [{ sku: 'DROP-1', quantity: 1 }] })).rejects.toMatchObject({ code: 'invalid_state' })
  })
})

describe('approval', () => {
  test('breaks no promise: what is missing is taken from what is for sale, or not at all', async () => {
    await stockUp(stock, { LON: { 'OWED-1': 10, 'OWED-2': 10 } })
    const hold = await stock.holds.place({ lines: [{ sku: 'OWED-1', quantity: 8, location: 'LON' }] })
    const { id } = await opened('OWED-1', 'OWED-2')
    await counts.lines(id, {
      lines: [
        { sku: 'OWED-1', quantity: 5 },
        { sku: 'OWED-2', quantity: 9 },
      ],
    })
    await expect(counts.approve(id)).rejects.toMatchObject({
      code: 'insufficient_stock',
      detail: '5 of OWED-1 are missing at LON, and only 2 are available: release, cancel or ship what is promised first',
      shortages: [{ sku: 'OWED-1', location: 'LON', requested: 5, available: 2, held: 8, nextExpiryAt: hold.expiresAt }],
    })
    expect(await at('OWED-2')).toMatchObject({ available: 10, version: 1 })
    expect(await counts.get(id)).toMatchObject({ status: 'open' })
    await stock.holds.release(hold.id)
    expect(await counts.approve(id)).toMatchObject({ status: 'approved' })
    expect(await at('OWED-1')).toMatchObject({ available: 5 })
    expect(await at('OWED-2')).toMatchObject({ available: 9 })
  })

  test('is for those who may approve; counting is for everybody who works there', async () => {
    await stockUp(stock, { LON: { 'MAY-1': 10 } })
    const { key } = await createKey(database, 'counter', { scopes: ['stock:adjust', 'stock:read'] })
    const counter = holdfast({ url: paris.url, apiKey: key, retries: 0 })
    const { id } = await counter.counts.create({ location: 'LON', skus: ['MAY-1'] })
    await counter.counts.lines(id, { lines: [{ sku: 'MAY-1', quantity: 9 }] })
    await expect(counter.counts.approve(id)).rejects.toMatchObject({ code: 'permission_denied', status: 403 })
    expect(await at('MAY-1')).toMatchObject({ available: 10 })
    await counts.approve(id)
    expect(await at('MAY-1')).toMatchObject({ available: 9 })
  })

  test('corrects once, however many servers are asked at once', async () => {
    await stockUp(stock, { LON: { 'TWICE-1': 100 } })
    const { id } = await opened('TWICE-1')
    await counts.lines(id, { lines: [{ sku: 'TWICE-1', quantity: 90 }] })
    const answers = await Promise.all(
      [london, paris, london, paris].map((server, index) => server.stock.counts.approve(id, { idempotencyKey: `approve-${index % 3}` })),
    )
    for (const answer of answers) expect(answer).toEqual(answers[0])
    expect(await at('TWICE-1')).toMatchObject({ available: 90, version: 2 })
  })
})

test('a count that cannot be is refused', async () => {
  await stockUp(stock, { LON: { 'NO-1': 10, 'NO-2': 1 }, SHUT: {} })
  const atShut = await counts.create({ location: 'SHUT' })
  await stock.locations.deactivate('SHUT')
  await expect(counts.create({ location: 'SHUT' })).rejects.toMatchObject({ code: 'location_inactive', status: 422 })
  await expect(counts.lines(atShut.id, { lines: [{ sku: 'NO-1', quantity: 1 }] })).rejects.toMatchObject({ code: 'location_inactive' })
  await expect(counts.approve(atShut.id)).rejects.toMatchObject({ code: 'location_inactive' })
  expect(await counts.cancel(atShut.id)).toMatchObject({ status: 'canceled' })
  await expect(counts.create({ location: 'NOWHERE' })).rejects.toMatchObject({ code: 'not_found' })
  await expect(opened('NO-1', 'NO-1', 'NOTHING')).rejects.toMatchObject({ code: 'not_found', errors: [{ param: 'skus[2]' }] })
  await expect(counts.create({ location: 'LON', skus: [] })).rejects.toMatchObject({ code: 'invalid_request' })

  const { id } = await opened('NO-1')
  const wrong = (line: object, more: object) => expect(counts.lines(id, { lines: [{ sku: 'NO-1', quantity: 1, ...line }] })).rejects.toMatchObject(more)
  await wrong({ sku: 'NO-2' }, { code: 'invalid_request', detail: `NO-2 is not among what ${id} counts` })
  await wrong({ sku: 'NOTHING' }, { code: 'not_found', errors: [{ param: 'lines[0].sku' }] })
  await wrong({ quantity: -1 }, { code: 'invalid_request', errors: [{ param: 'lines[0].quantity' }] })
  // Nobody has seen yet what is still to happen.
  await wrong({ asOfSequence: 1_000_000_000 }, { code: 'invalid_request', errors: [{ param: 'lines[0].as_of_sequence' }] })
  await expect(counts.lines(id, { lines: [] })).rejects.toMatchObject({ code: 'invalid_request' })
  const none = 'cnt_01jd8w2k5v7x9n3q4r6t8y0z1b'
  for (const ask of [counts.get, counts.approve, counts.cancel, (name: string) => counts.lines(name, { lines: [{ sku: 'NO-1', quantity: 1 }] })])
    await expect(ask(none)).rejects.toMatchObject({ code: 'not_found', status: 404, detail: `there is no count ${none}` })

  // What is only tried out changes nothing; an empty shelf is a count, too.
  const dry = { dryRun: true }
  expect(await counts.lines(id, { lines: [{ sku: 'NO-1', quantity: 0 }] }, dry)).toMatchObject({ lines: [{ counted: 0, difference: -10 }] })
  expect(await counts.approve(id, dry)).toMatchObject({ status: 'approved' })
  expect(await counts.cancel(id, dry)).toMatchObject({ status: 'canceled' })
  expect(await counts.get(id)).toMatchObject({ status: 'open', version: 1, lines: [] })
  await counts.lines(id, { lines: [{ sku: 'NO-1', quantity: 0 }] })
  await counts.approve(id)
  expect(await at('NO-1')).toMatchObject({ onHand: 0 })
  await expect(counts.cancel(id)).rejects.toMatchObject({ code: 'invalid_state', detail: `${id} is approved, and can no longer be canceled` })
})

test('counts are found by status, place and reference', async () => {
  await stockUp(stock, { ROOM: {} })
  const make = (reference: string) => counts.create({ location: 'ROOM', reference })
  const [first, second] = [await make('week-47'), await make('week-48')]
  await counts.cancel(first.id)
  const found = async (filter: Parameters<typeof counts.list>[0]) => (await counts.list(filter).page()).data.map(({ id }) => id)
  expect(await found({ location: 'ROOM' })).toEqual([second.id, first.id])
  expect(await found({ location: 'ROOM', status: 'open' })).toEqual([second.id])
  expect(await found({ reference: 'week-47' })).toEqual([first.id])
})

test('a count that is taken during 1,000 sales on two servers ends right, whenever it is approved', { timeout: 90_000 }, async () => {
  const [units, sales, stolen] = [3_000, 1_000, 7]
  await stockUp(stock, { LON: { 'BUSY-1': units, 'BUSY-2': units } })
  const { id } = await opened('BUSY-1', 'BUSY-2')
  let made = 0
  const sell = async (seller: number) => {
    while (made < sales) {
      made += 1
      const [here, there] = (seller + made) % 2 === 0 ? [london, paris] : [paris, london]
      const hold = await here.stock.holds.place({
        lines: [
          { sku: 'BUSY-1', quantity: 1, location: 'LON' },
          { sku: 'BUSY-2', quantity: 2, location: 'LON' },
        ],
      })
      await there.stock.holds.execute(hold.id)
      if (made % 4 !== 0) await here.stock.shipments.create({ hold: hold.id })
    }
  }
  /** Who stands before the shelf sees what the books say at that moment, less what was stolen long ago. */
  const look = async (sku: string) => {
    const answer = await (made % 2 === 0 ? london : paris).stock.stockLevels.get(sku)
    const { available = 0, held = 0, committed = 0 } = answer.locations.find(({ location }) => location === 'LON') ?? {}
    return { sku, quantity: available + held + committed - stolen, asOfSequence: responseOf(answer).sequence }
  }
  const seen: number[] = []
  let approvedAt = 0
  const takeCount = async () => {
    while (made < sales / 2) {
      const counted = await paris.stock.counts.lines(id, { lines: [await look('BUSY-1'), await look('BUSY-2')] })
      seen.push(...counted.lines.map(({ difference }) => difference))
    }
    await london.stock.counts.approve(id)
    approvedAt = made
  }
  await Promise.all([takeCount(), ...Array.from({ length: 16 }, (_, seller) => sell(seller))])
  expect(approvedAt).toBeLessThan(sales)
  expect(seen.length).toBeGreaterThan(2)
  expect(new Set(seen)).toEqual(new Set([-stolen]))

  const first = await at('BUSY-1')
  expect(first.available).toBe(units - stolen - made)
  expect(await at('BUSY-2')).toMatchObject({ available: units - stolen - 2 * made, held: 0, committed: 2 * first.committed })
  // Whoever counts again finds nothing.
  const again = await opened('BUSY-1')
  const { available, committed } = await at('BUSY-1')
  expect(await counts.lines(again.id, { lines: [{ sku: 'BUSY-1', quantity: available + committed }] })).toMatchObject({ lines: [{ difference: 0 }] })
})

test('after all of this, the books are right', async () => {
  expect((await verifyBooks(database)).violations).toEqual([])
})
