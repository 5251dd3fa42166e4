// Expiry is exact: from its instant on a hold is dead, whoever looks, and no sweeper is needed for it.
import { expect, onTestFinished, test, vi } from 'vitest'
import { cup, line, lineAt, london, paris, tea } from '../../test/support/given.ts'
import {
  accepted,
  ask,
  byCallers,
  codeOf,
  execution,
  expectBooksAgree,
  freshCell,
  hold,
  holdIn,
  place,
  receipt,
  rowsOf,
  untilClockIs,
} from '../../test/support/ledger.ts'
import type { LedgerStore } from '../storage/ledger-store.ts'

const SHORT_MS = 40

test('units of a hold that is due can be held by the next buyer at once', async () => {
  const cell = await freshCell()
  await cell.stock.submit(ask(receipt(3)))
  // In one batch, so at one instant, however busy the machine is.
  const [first, early] = await Promise.all([place(cell.stock, 3, { ttlMs: SHORT_MS }), cell.stock.submit(ask(hold(1)))])
  expect(codeOf(early)).toBe('insufficient_stock')
  await untilClockIs(cell.pool, first.expiresAt)

  const second = await place(cell.stock, 3)

  expect(second.createdAt).toBeGreaterThanOrEqual(first.expiresAt)
  expect(await statusOf(cell.pool, first.id)).toBe('expired')
  expect(await rowsOf(cell.pool, 'select l.available, l.held, l.version from stock_levels as l')).toEqual([{ available: 0, held: 3, version: 4 }])
  await expectBooksAgree(cell)
})

test('who takes what there is takes the units of due holds, too', async () => {
  const cell = await freshCell()
  await cell.stock.submit(ask(receipt(5)))
  const first = await place(cell.stock, 3, { ttlMs: SHORT_MS })
  await untilClockIs(cell.pool, first.expiresAt)

  const second = await place(cell.stock, 9, { mode: 'best_effort' })

  expect(second.allocations).toMatchObject([{ quantity: 5 }])
  expect(second.shortages).toMatchObject([{ requested: 9, available: 5, held: 0 }])
  await expectBooksAgree(cell)
})

test('a line that names no location finds the units of due holds, wherever they are', async () => {
  const cell = await freshCell()
  await cell.stock.submit(ask(receipt(2)))
  await cell.stock.submit(ask(receipt(2, { location: paris })))
  const dead = await place(cell.stock, [lineAt(london, tea, 2)], { ttlMs: SHORT_MS })
  const alsoDead = await place(cell.stock, [lineAt(paris, tea, 2)], { ttlMs: SHORT_MS })
  await untilClockIs(cell.pool, alsoDead.expiresAt)

  const found = await place(cell.stock, [lineAt(null, tea, 4)])

  expect(found.allocations).toMatchObject([
    { location: london, quantity: 2 },
    { location: paris, quantity: 2 },
  ])
  expect(await statusOf(cell.pool, dead.id)).toBe('expired')
  await expectBooksAgree(cell)
})

test('a hold cannot be executed, released or extended once it is due, and its expiry is written by whoever asks', async () => {
  const cell = await freshCell()
  await cell.stock.submit(ask(receipt(9)))
  const holds = [
    await place(cell.stock, 3, { ttlMs: SHORT_MS }),
    await place(cell.stock, 3, { ttlMs: SHORT_MS }),
    await place(cell.stock, 3, { ttlMs: SHORT_MS }),
  ] as const
  await untilClockIs(cell.pool, holds[2].expiresAt)

  const outcomes = [
    await cell.stock.submit(ask(execution(holds[0]))),
    await cell.stock.submit(ask({ type: 'ReleaseHold', id: holds[1].id })),
    await cell.stock.submit(ask({ type: 'ExtendHold', id: holds[2].id, ttlMs: 60_000, longestMs: 3_600_000 })),
  ]

  expect(outcomes.map(codeOf)).toEqual(['hold_expired', 'hold_expired', 'hold_expired'])
  expect(await rowsOf(cell.pool, 'select h.status, h.ended_at >= h.expires_at as in_time from holds as h')).toEqual(
    holds.map(() => ({ status: 'expired', in_time: true })),
  )
  expect(await rowsOf(cell.pool, "select count(*), min(e.actor) as actor from events as e where e.type = 'hold.expired'")).toEqual([
    { count: 3, actor: 'system' },
  ])
  expect(await rowsOf(cell.pool, 'select l.available, l.held from stock_levels as l')).toEqual([{ available: 9, held: 0 }])
  await expectBooksAgree(cell)
})

test('a buyer who waits for the lock until the hold is due is too late', async () => {
  const cell = await freshCell()
  await cell.stock.submit(ask(receipt(3)))
  const placed = await place(cell.stock, 3, { ttlMs: 150 })
  const holder = await cell.pool.connect()
  await holder.query('begin')
  await holder.query('select from holds for update')
  const execute = cell.stock.submit(ask(execution(placed)))
  await untilClockIs(cell.pool, placed.expiresAt)
  await holder.query('rollback')
  holder.release()

  expect(codeOf(await execute)).toBe('hold_expired')
  await expectBooksAgree(cell)
})

test('an execution and an expiry that meet leave one of the two', async () => {
  const cell = await freshCell()
  const processes = [cell.stock, cell.another()] as const
  await cell.stock.submit(ask(receipt(60)))
  const holds = await byCallers(60, 60, () => place(cell.stock, 1, { ttlMs: 120 }))

  // Executions start before the holds are due and go on until all of them are.
  const outcomes = await byCallers(8, 60, async (n) => {
    const held = holds[n]
    if (held === undefined) throw new Error('no such hold')
    const [executed] = await Promise.all([processes[0].submit(ask(execution(held))), processes[1].submit(ask({ type: 'ExpireHold', id: held.id }))])
    if (n % 12 === 11) await untilClockIs(cell.pool, held.createdAt + n * 2)
    return executed
  })

  const executed = outcomes.filter((outcome) => outcome.ok).length
  for (const outcome of outcomes) expect(['yes', 'hold_expired']).toContain(codeOf(outcome))
  expect(await rowsOf(cell.pool, 'select l.committed from stock_levels as l')).toEqual([{ committed: executed }])
  await expectBooksAgree(cell)
})

test('the books agree when a partly executed hold is due: what was executed stays, the rest comes back', async () => {
  const cell = await freshCell()
  await cell.stock.submit(ask(receipt(5)))
  // In one batch, so that the hold is alive when some of it is executed, however busy the machine is.
  const asked = hold(5, { ttlMs: SHORT_MS })
  const [placed, part] = await Promise.all([
    cell.stock.submit(ask(asked)).then(holdIn),
    cell.stock.submit(ask(execution(asked, { lines: [line(tea, 2)], final: false }))),
  ])
  accepted(part)
  await untilClockIs(cell.pool, placed.expiresAt)

  const next = await place(cell.stock, 3)
  const shipped = await cell.stock.submit(ask({ type: 'ShipHold', id: next.id, hold: placed.id, lines: null, reference: null, metadata: {} }))

  expect(accepted(shipped).answer).toMatchObject({ kind: 'shipment', shipment: { lines: [{ item: tea, quantity: 2 }] } })
  await expectBooksAgree(cell)
})

test('a thousand due holds of one item are no reason to refuse the next buyer', async () => {
  // Fewer at a time than there are: the buyer is decided again until enough have expired.
  const cell = await freshCell({ limits: { due: 64, deferrals: 100 } })
  await cell.stock.submit(ask(receipt(1_000)))
  const holds = await byCallers(250, 1_000, () => place(cell.stock, 1, { ttlMs: SHORT_MS }))
  await untilClockIs(cell.pool, Math.max(...holds.map((held) => held.expiresAt)))

  const next = await place(cell.stock, 1_000)

  expect(next.allocations).toMatchObject([{ quantity: 1_000 }])
  expect(await rowsOf(cell.pool, "select count(*) from holds as h where h.status = 'expired'")).toEqual([{ count: 1_000 }])
  await expectBooksAgree(cell)
})

test('whoever is short of many things waits for the due holds of all of them, once', async () => {
  let batches = 0
  const cell = await freshCell({
    between: (store) => ({
      open: (wanted) => {
        batches += 1
        return store.open(wanted)
      },
    }),
  })
  await cell.stock.submit(ask(receipt([line(tea, 2), line(cup, 2)])))
  await place(cell.stock, [lineAt(london, tea, 2)], { ttlMs: SHORT_MS })
  const last = await place(cell.stock, [lineAt(london, cup, 2)], { ttlMs: SHORT_MS })
  await untilClockIs(cell.pool, last.expiresAt)
  batches = 0

  const [both, tooMuch, none] = await Promise.all([
    cell.stock.submit(ask(hold([lineAt(london, tea, 1), lineAt(london, cup, 1)]))),
    cell.stock.submit(ask(hold([lineAt(london, tea, 3)]))),
    cell.stock.submit(ask(hold([lineAt(paris, tea, 1)]))),
  ])

  expect(batches).toBe(2)
  expect([both, tooMuch, none].map(codeOf)).toEqual(['yes', 'insufficient_stock', 'insufficient_stock'])
  expect(tooMuch).toMatchObject({ rejection: { shortages: [{ available: 1, held: 1 }] } })
})

test('a buyer whose due holds never end is told that there is too much to do', async () => {
  const blind: (store: LedgerStore) => LedgerStore = (store) => ({
    open: async (wanted) => {
      const batch = await store.open(wanted)
      return { ...batch, due: async () => [holds[0]?.id ?? fail()] }
    },
  })
  const fail = () => {
    throw new Error('nothing was held')
  }
  const cell = await freshCell({ between: blind, limits: { deferrals: 3 } })
  await cell.stock.submit(ask(receipt(1)))
  const holds = [await place(cell.stock, 1)]

  expect(codeOf(await cell.stock.submit(ask(hold(1))))).toBe('overloaded')
})

test('when the clock of a new database server is behind, time stands still until it has caught up', async () => {
  const cell = await freshCell()
  await cell.stock.submit(ask(receipt(2)))
  await cell.pool.query("update ledger_head set latest_at = date_trunc('milliseconds', clock_timestamp()) + interval '1 hour'")
  const [head] = await rowsOf<{ at: number }>(cell.pool, '(select (extract(epoch from h.latest_at) * 1000)::bigint as at from ledger_head as h)')

  const first = holdIn(await cell.stock.submit(ask(hold(1, { ttlMs: 60_000 }))))
  const second = holdIn(await cell.stock.submit(ask(hold(1, { ttlMs: 60_000 }))))

  expect([first.createdAt, second.createdAt]).toEqual([head?.at, head?.at])
  expect(codeOf(await cell.stock.submit(ask(execution(first))))).toBe('yes')
  await expectBooksAgree(cell)
})

test.each([1, -1])('a process whose clock is %i hour off ends no hold early, and keeps none alive', async (hours) => {
  const cell = await freshCell()
  await cell.stock.submit(ask(receipt(2)))
  const lives = await place(cell.stock, 1, { ttlMs: 60_000 })
  const dies = await place(cell.stock, 1, { ttlMs: SHORT_MS })
  await untilClockIs(cell.pool, dies.expiresAt)
  const rightTime = Date.now
  vi.spyOn(Date, 'now').mockImplementation(() => rightTime() + hours * 3_600_000)
  onTestFinished(() => void vi.restoreAllMocks())

  expect(codeOf(await cell.stock.submit(ask(execution(lives))))).toBe('yes')
  expect(codeOf(await cell.stock.submit(ask(execution(dies))))).toBe('hold_expired')
  const next = await place(cell.stock, 1, { ttlMs: 60_000 })
  expect(Math.abs(next.createdAt - rightTime())).toBeLessThan(1_800_000)
  await expectBooksAgree(cell)
})

const statusOf = async (pool: Parameters<typeof rowsOf>[0], id: string): Promise<string | undefined> => {
  const [row] = await rowsOf<{ status: string }>(pool, 'select h.status from holds as h where h.id = $1', [id])
  return row?.status
}
