// Transfers, inbound shipments and counts on a real database: many at once, in both directions, while the shop goes on.
import { expect, test } from 'vitest'
import {
  announceInbound,
  approveCount,
  back,
  cancelCount,
  cancelInbound,
  cancelTransfer,
  counted,
  countItems,
  cup,
  dispatchTransfer,
  line,
  london,
  openCount,
  paris,
  planTransfer,
  pot,
  receiveInbound,
  receiveTransfer,
  tea,
} from '../../test/support/given.ts'
import {
  accepted,
  ask,
  byCallers,
  codeOf,
  digest,
  execution,
  expectBooksAgree,
  freshCell,
  LEDGER,
  newId,
  place,
  receipt,
  rowsOf,
  sqlStatesOf,
  until,
  type Cell,
} from '../../test/support/ledger.ts'
import type { Command } from '../domain/decide.ts'
import { Fault } from '../storage/fault.ts'
import { transaction } from '../storage/pool.ts'
import type { ItemNumber, Uuid } from '../domain/ids.ts'
import type { LedgerStore } from '../storage/ledger-store.ts'

const announcement = (lines: number | Parameters<typeof announceInbound>[1], rest: Parameters<typeof announceInbound>[2] = {}) =>
  announceInbound('', lines, { id: newId(), ...rest })

test('suppliers who announce the same names in another order do not wait for each other in a ring', async () => {
  const cell = await freshCell()
  const other = cell.another()
  const names = Array.from({ length: 9 }, (_, n) => digest(`po ${n}`)).toSorted()
  const announce = (item: ItemNumber, unique: Uuid) => ask(announcement([line(item, 1)], { unique }))

  // Somebody is about to take the name in the middle, and does not: until then both wait for it, with half of the names in hand.
  const outcomes = await transaction(cell.pool, async (connection) => {
    await connection.query(
      "insert into work_documents (id, kind, version, status, location_ids, unique_name, levels, body) values ($1, 'count', 1, 'open', '{}', $2, '[]', '{}')",
      [newId(), names[4]],
    )
    const asked = [...names.map((name) => cell.stock.submit(announce(tea, name))), ...names.toReversed().map((name) => other.submit(announce(cup, name)))]
    await until(async () => (await waitForLocks(cell)) === 2)
    await connection.query('delete from work_documents')
    return asked
  })
  const answers = await Promise.all(outcomes)

  expect(answers.filter((outcome) => outcome.ok)).toHaveLength(names.length)
  expect(new Set(answers.map(codeOf))).toEqual(new Set(['yes', 'already_announced']))
  expect(sqlStatesOf(cell.faults)).not.toContain('40P01')
  await expectBooksAgree(cell)
})

const waitForLocks = async ({ pool }: Cell): Promise<number> =>
  (
    await rowsOf(pool, "select from pg_stat_activity as a where a.datname = current_database() and a.application_name = $1 and a.wait_event_type = 'Lock'", [
      LEDGER,
    ])
  ).length

test('whoever announces a shipment twenty times at once has announced it once', async () => {
  const cell = await freshCell()
  const processes = [cell.stock, cell.another(), cell.another()]
  const unique = digest('acme po 7')

  const outcomes = await byCallers(20, 20, (n) =>
    (processes[n % 3] ?? cell.stock).submit(ask(announcement(n % 2 === 0 ? 5 : [line(cup, 5)], { unique }), { key: `announcement ${n}` })),
  )

  const announced = outcomes.flatMap((outcome) => (outcome.ok && outcome.answer.kind === 'inbound_shipment' ? [outcome.answer.inbound.id] : []))
  expect(announced).toHaveLength(1)
  const refused = outcomes.flatMap((outcome) => (outcome.ok ? [] : [outcome.rejection]))
  expect(refused).toEqual(Array.from({ length: 19 }, () => ({ code: 'already_announced', id: announced[0] })))
  expect(await rowsOf(cell.pool, 'select sum(l.incoming)::int as incoming from stock_levels as l')).toEqual([{ incoming: 5 }])
  await expectBooksAgree(cell)
})

test('thirty-two who move the same items in opposite directions neither lose a unit nor wait in a ring', async () => {
  const cell = await freshCell({ limits: { batch: 8 } })
  const other = cell.another({ limits: { batch: 8 } })
  const items = [tea, cup, pot]
  for (const location of [london, paris])
    await cell.stock.submit(
      ask(
        receipt(
          items.map((item) => line(item, 500)),
          { location },
        ),
      ),
    )

  const ends = await byCallers(32, 320, async (n) => {
    const stock = n % 2 === 0 ? cell.stock : other
    const id = newId()
    const [from, to] = n % 4 < 2 ? ([london, paris] as const) : ([paris, london] as const)
    const lines = (n % 3 === 0 ? items : items.toReversed()).map((item) => line(item, 1 + (n % 3)))
    accepted(await stock.submit(ask(planTransfer('', lines, { id, from, to }))))
    accepted(await stock.submit(ask({ ...dispatchTransfer(''), id })))
    if (n % 5 === 0) return codeOf(await stock.submit(ask({ ...cancelTransfer(''), id })))
    if (n % 5 === 1) accepted(await stock.submit(ask({ ...receiveTransfer('', [back(tea, 1)]), id })))
    return codeOf(await stock.submit(ask({ ...receiveTransfer(''), id })))
  })

  expect(new Set(ends)).toEqual(new Set(['yes']))
  expect(
    await rowsOf(
      cell.pool,
      'select l.item_id, sum(l.available)::int as available, sum(l.incoming)::int as incoming from stock_levels as l group by l.item_id order by l.item_id',
    ),
  ).toEqual(items.map((item) => ({ item_id: item, available: 1000, incoming: 0 })))
  expect(sqlStatesOf(cell.faults)).not.toContain('40P01')
  await expectBooksAgree(cell)
})

test('two who receive the same transfer at once receive it once', async () => {
  const cell = await freshCell()
  const other = cell.another()
  await cell.stock.submit(ask(receipt(100)))
  for (let round = 0; round < 10; round += 1) {
    const id = newId()
    accepted(await cell.stock.submit(ask(planTransfer('', 3, { id }))))
    accepted(await cell.stock.submit(ask({ ...dispatchTransfer(''), id })))
    const both = await Promise.all([cell, { stock: other }].map(({ stock }) => stock.submit(ask({ ...receiveTransfer('', 2), id }))))
    expect(both.map(codeOf).toSorted()).toEqual(['quantity_exceeds_outstanding', 'yes'])
  }
  expect(await rowsOf(cell.pool, 'select l.available, l.incoming from stock_levels as l where l.location_id = $1', [paris])).toEqual([
    { available: 20, incoming: 10 },
  ])
  await expectBooksAgree(cell)
})

/** A thousand sales and receipts, some of which are still under way when the count is taken. */
const busyShop = async (count: (cell: Cell) => Promise<void>) => {
  const cell = await freshCell({ limits: { batch: 16 } })
  const other = cell.another({ limits: { batch: 16 } })
  await cell.stock.submit(ask(receipt(2_000)))
  const sums = { received: 2_000, shipped: 0 }
  let done = 0
  const shop = byCallers(16, 1_000, async (n) => {
    const stock = n % 2 === 0 ? cell.stock : other
    if (n % 3 === 0) {
      accepted(await stock.submit(ask(receipt(2))))
      sums.received += 2
    } else {
      const held = await place(stock, 1 + (n % 2))
      if (n % 3 === 1) {
        accepted(await stock.submit(ask(execution(held))))
        accepted(await stock.submit(ask({ type: 'ShipHold', id: newId(), hold: held.id, lines: null, reference: null, metadata: {} })))
        sums.shipped += 1 + (n % 2)
      }
    }
    done += 1
  })
  await until(() => done > 200)
  await count(cell)
  expect(done, 'the shop is still open').toBeLessThan(1_000)
  await shop
  const [shelf] = await rowsOf<{ shelf: number }>(cell.pool, 'select (l.available + l.held + l.committed)::int as shelf from stock_levels as l')
  expect(sqlStatesOf(cell.faults)).not.toContain('40P01')
  await expectBooksAgree(cell)
  return { cell, shelf: shelf?.shelf ?? 0, sums }
}

const shelfAt = async ({ pool }: Cell, where: string, value: number): Promise<number> => {
  const [row] = await rowsOf<{ units: number }>(
    pool,
    `select coalesce(sum(case when e.to_state < 4 then e.quantity else 0 end - case when e.from_state < 4 then e.quantity else 0 end), 0)::int as units from ledger_entries as e where ${where} <= $1`,
    [value],
  )
  return row?.units ?? 0
}

test('a transfer that somebody else has locked for longer than a statement may take is dispatched when they are done', async () => {
  const cell = await freshCell({ statementTimeoutMs: 200 })
  const id = newId()
  accepted(await cell.stock.submit(ask(receipt([line(tea, 5)]))))
  accepted(await cell.stock.submit(ask(planTransfer('', 1, { id }))))

  const { dispatched } = await transaction(cell.pool, async (connection) => {
    await connection.query('select from work_documents as d where d.id = $1 for update', [id])
    const dispatched = cell.stock.submit(ask({ ...dispatchTransfer(''), id }))
    dispatched.catch(() => undefined)
    await until(() => cell.faults.length > 0)
    return { dispatched }
  })

  expect(accepted(await dispatched).answer).toMatchObject({ transfer: { status: 'dispatched' } })
  // Everything behind the lock failed as well, because of it: that is not the reason.
  expect(new Set(sqlStatesOf(cell.faults))).toEqual(new Set(['57014']))
})

test('seven units that are missing are found missing, though the shop sells and receives while they are counted and written off', async () => {
  const { shelf, sums } = await busyShop(async (cell) => {
    const id = newId()
    accepted(await cell.stock.submit(ask(openCount('', { id }))))
    const [head] = await rowsOf<{ sequence: number }>(cell.pool, 'select h.sequence from ledger_head as h')
    const asOf = head?.sequence ?? 0
    // Seven fewer than the books had at that moment; the counter takes a while to say so.
    const found = (await shelfAt(cell, 'e.sequence', asOf)) - 7
    accepted(await cell.stock.submit(ask({ ...countItems('', [counted(tea, found, asOf)]), id })))
    accepted(await cell.stock.submit(ask({ ...approveCount(''), id })))
  })

  expect(shelf).toBe(sums.received - sums.shipped - 7)
})

test('what is counted now is held against what the books have now, and approved later corrects by that', async () => {
  const id = newId()
  const { cell, shelf, sums } = await busyShop(async ({ stock }) => {
    accepted(await stock.submit(ask(openCount('', { id }))))
    accepted(await stock.submit(ask({ ...countItems('', 1_900), id })))
    accepted(await stock.submit(ask(receipt(1))))
    accepted(await stock.submit(ask({ ...approveCount(''), id })))
  })

  const [told] = await rowsOf<{ line: { expected: number; levelVersion: number } }>(
    cell.pool,
    "select e.data -> 'count' -> 'lines' -> 0 as line from events as e where e.type = 'count.counted'",
  )
  const { expected = 0, levelVersion = 0 } = told?.line ?? {}
  expect(expected).toBe(await shelfAt(cell, 'e.level_version', levelVersion))
  expect(shelf).toBe(sums.received + 1 - sums.shipped + 1_900 - expected)
})

test('a shelf of which nothing was known when its level was to be locked had nothing on it', async () => {
  // Somebody makes the level after the locks were taken and before the entries are read: its units came later than the count.
  const between = (store: LedgerStore): LedgerStore => ({
    open: async (wanted) => {
      const batch = await store.open(wanted)
      return { ...batch, shelves: batch.shelves.map((shelf) => ({ ...shelf, moved: 5 })) }
    },
  })
  const { stock } = await freshCell({ between })
  const id = newId()
  accepted(await stock.submit(ask(openCount('', { id }))))

  expect(await stock.submit(ask({ ...countItems('', [counted(tea, 2, 1)]), id }))).toMatchObject({
    ok: true,
    answer: { count: { lines: [{ counted: 2, expected: 0 }] } },
  })
})

/** Every command of documents, with what must have been before it. */
const stories: readonly (readonly [name: string, before: (id: Uuid) => readonly Command[], command: (id: Uuid) => Command])[] = [
  ['planning a transfer', () => [], (id) => planTransfer('', 2, { id })],
  ['dispatching a transfer', (id) => [planTransfer('', 2, { id })], (id) => ({ ...dispatchTransfer(''), id })],
  ['receiving a part of a transfer', (id) => [planTransfer('', 2, { id }), { ...dispatchTransfer(''), id }], (id) => ({ ...receiveTransfer('', 1), id })],
  ['canceling a transfer', (id) => [planTransfer('', 2, { id }), { ...dispatchTransfer(''), id }], (id) => ({ ...cancelTransfer(''), id })],
  ['announcing a shipment', () => [], (id) => announceInbound('', 2, { id, unique: digest(`name of ${id}`) })],
  ['receiving a part of a shipment', (id) => [announceInbound('', 2, { id })], (id) => ({ ...receiveInbound('', 1), id })],
  ['canceling a shipment', (id) => [announceInbound('', 2, { id })], (id) => ({ ...cancelInbound(''), id })],
  ['opening a count', () => [], (id) => openCount('', { id })],
  ['counting', (id) => [openCount('', { id })], (id) => ({ ...countItems('', [counted(tea, 7, 1)]), id })],
  ['approving a count', (id) => [openCount('', { id }), { ...countItems('', 19), id }], (id) => ({ ...approveCount(''), id })],
  ['canceling a count', (id) => [openCount('', { id }), { ...countItems('', 19), id }], (id) => ({ ...cancelCount(''), id })],
]

for (const prepare of [true, false])
  test(`whatever is done to a document is done once, though connections break and answers are lost${prepare ? '' : ', also where statements cannot be prepared'}`, async () => {
    const ends: ('broken before' | 'lost after')[] = []
    const between = (store: LedgerStore): LedgerStore => ({
      open: async (wanted) => {
        const batch = await store.open(wanted)
        return {
          ...batch,
          commit: async (changes) => {
            const wrong = ends.shift()
            if (wrong === 'broken before')
              await cell.pool.query(
                'select pg_terminate_backend(a.pid) from pg_stat_activity as a where a.datname = current_database() and a.application_name = $1',
                [LEDGER],
              )
            const first = await batch.commit(changes)
            if (wrong === 'lost after') throw new Fault('unknown', true, undefined, new Error('connection lost'))
            return first
          },
        }
      },
    })
    const cell: Cell = await freshCell({ between, prepare })
    const other = cell.another({ prepare })
    await cell.stock.submit(ask(receipt(20)))

    for (const [name, before, command] of stories) {
      const id = newId()
      for (const one of before(id)) accepted(await other.submit(ask(one)))
      const events = await eventsOf(cell)
      ends.push('broken before', 'lost after')

      const first = accepted(await cell.stock.submit(ask(command(id), { key: name })))
      // Asked again, and of another process, with the id that the service would make anew.
      const again = await Promise.all([cell.stock, other].map((stock) => stock.submit(ask(command(id), { key: name }))))

      expect(ends, name).toEqual([])
      expect(again, name).toEqual([first, first].map((outcome) => ({ ...outcome, replayed: true })))
      expect((await eventsOf(cell)) - events, name).toBe(1)
      expect(codeOf(await other.submit(ask(command(id), { key: name, request: 'another request' }))), name).toBe('idempotency_key_reused')
    }
    await expectBooksAgree(cell)
  })

const eventsOf = async ({ pool }: Cell): Promise<number> =>
  (await rowsOf<{ events: number }>(pool, "select count(*)::int as events from events as e where e.subject_kind <> 'stock_level'"))[0]?.events ?? 0
