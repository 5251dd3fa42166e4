// What one customer may have is decided by one transaction at a time, however many ask, and wherever.
import { expect, test } from 'vitest'
import { line, lineAt, london, paris, tea } from '../../test/support/given.ts'
import {
  ask,
  byCallers,
  codeOf,
  execution,
  expectBooksAgree,
  freshCell,
  hold,
  LEDGER,
  place,
  receipt,
  rowsOf,
  sqlStatesOf,
  until,
  untilClockIs,
  type Cell,
} from '../../test/support/ledger.ts'
import type { PlaceHold } from '../domain/hold.ts'
import type { LedgerStore } from '../storage/ledger-store.ts'

const limited = (quantity: number, rest: Partial<PlaceHold> = {}): Partial<PlaceHold> => ({
  customer: 'ada',
  purchaseLimits: [{ item: tea, quantity, windowMs: 3_600_000 }],
  ...rest,
})

test('of fifty who ask at once for one customer, five units are had, and no more', async () => {
  // One at a time in each batch, and the two locations at once: nothing but the customer is locked by both.
  const cell = await freshCell({ limits: { batch: 1 } })
  const other = cell.another({ limits: { batch: 1 } })
  for (const location of [london, paris]) await cell.stock.submit(ask(receipt(100, { location })))

  for (const customer of ['ada', 'bob', 'cyd', 'dan', 'eve', 'fay', 'gus', 'hal']) {
    const outcomes = await Promise.all(
      Array.from({ length: 50 }, (_, n) => {
        const [stock, location] = n % 2 === 0 ? ([cell.stock, london] as const) : ([other, paris] as const)
        return stock.submit(ask(hold([lineAt(location, tea, 1)], limited(5, { customer })), { key: `cart ${n} of ${customer}` }))
      }),
    )

    expect(outcomes.filter((outcome) => outcome.ok)).toHaveLength(5)
    expect(new Set(outcomes.map(codeOf))).toEqual(new Set(['yes', 'purchase_limit_exceeded']))
  }
  expect((await heldBy(cell)).map(({ units }) => units)).toEqual(Array.from({ length: 8 }, () => 5))
  expect(sqlStatesOf(cell.faults)).not.toContain('40P01')
  await expectBooksAgree(cell)
})

test('customers do not wait in rings for each other, though each batch is of many', async () => {
  const cell = await freshCell({ limits: { batch: 8 } })
  const other = cell.another({ limits: { batch: 8 } })
  await cell.stock.submit(ask(receipt(10_000)))
  const customers = ['ada', 'bob', 'cyd', 'dan', 'eve', 'fay', 'gus']

  const outcomes = await byCallers(32, 700, (n) =>
    (n % 2 === 0 ? cell.stock : other).submit(ask(hold(1, limited(20, { customer: customers[(n * 5 + (n % 2)) % customers.length] ?? 'ada' })))),
  )

  expect(outcomes.filter((outcome) => outcome.ok)).toHaveLength(20 * customers.length)
  expect((await heldBy(cell)).map(({ units }) => units)).toEqual(customers.map(() => 20))
  expect(sqlStatesOf(cell.faults)).not.toContain('40P01')
  await expectBooksAgree(cell)
})

test('what is bought in the last moment of its hold counts for who asks in the next', async () => {
  const gate = Promise.withResolvers<void>()
  const cell = await freshCell()
  const slow = cell.another({ between: slowToCommit(gate.promise) })
  await cell.stock.submit(ask(receipt([line(tea, 9)])))
  await cell.stock.submit(ask(receipt(9, { location: paris })))
  const first = await place(cell.stock, 5, limited(5, { ttlMs: 2_000 }))

  // Decided before the end of the hold, and written after it; nothing that the other one needs is locked but the customer's hold.
  const bought = slow.submit(ask(execution(first)))
  await untilClockIs(cell.pool, first.expiresAt)
  let isOver = false
  const second = cell.stock.submit(ask(hold([lineAt(paris, tea, 5)], limited(5)))).finally(() => (isOver = true))
  await until(async () => isOver || (await waitForLocks(cell)) > 0)
  gate.resolve()

  expect(codeOf(await bought)).toBe('yes')
  expect(await second).toMatchObject({ ok: false, rejection: { code: 'purchase_limit_exceeded', requested: 5, remaining: 0 } })
  await expectBooksAgree(cell)
})

test('who had all that he may have gets it again when his hold has expired, though nobody has cleaned it up', async () => {
  const cell = await freshCell()
  await cell.stock.submit(ask(receipt(20)))
  const first = await place(cell.stock, 5, limited(5, { ttlMs: 50 }))
  await untilClockIs(cell.pool, first.expiresAt)

  expect(codeOf(await cell.stock.submit(ask(hold(5, limited(5)))))).toBe('yes')
  expect(await heldBy(cell)).toEqual([{ customer: 'ada', units: 5 }])
  await expectBooksAgree(cell)
})

const heldBy = ({ pool }: Cell) =>
  rowsOf<{ customer: string; units: number }>(
    pool,
    `
select h.customer, sum((a ->> 'held')::int + (a ->> 'committed')::int)::int as units
  from holds as h, json_array_elements(h.allocations) as a
 group by h.customer
 order by h.customer`,
  )

const waitForLocks = async ({ pool }: Cell): Promise<number> =>
  (
    await rowsOf(pool, "select from pg_stat_activity as a where a.datname = current_database() and a.application_name = $1 and a.wait_event_type = 'Lock'", [
      LEDGER,
    ])
  ).length

/** Decides, and then does not commit before it is allowed to. */
const slowToCommit =
  (allowed: Promise<void>) =>
  (store: LedgerStore): LedgerStore => ({
    open: async (wanted) => {
      const batch = await store.open(wanted)
      return {
        ...batch,
        commit: async (changes) => {
          await allowed
          return batch.commit(changes)
        },
      }
    },
  })
