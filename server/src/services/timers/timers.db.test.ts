// What time itself brings: due holds give their stock back though nobody asks, and old keys are forgotten.
import { expect, onTestFinished, test } from 'vitest'
import {
  ask,
  byCallers,
  digest,
  execution,
  expectBooksAgree,
  freshCell,
  hold,
  place,
  receipt,
  rowsOf,
  until,
  untilClockIs,
  type Cell,
} from '../../../test/support/ledger.ts'
import type { Ledger } from '../../ledger/ledger.ts'
import { forgetOldKeys } from '../../storage/idempotency.ts'
import { timers, type TimersDeps } from './timers.ts'

test('due holds give their stock back by themselves, and holds that are not due stay', async () => {
  const cell = await freshCell()
  await cell.stock.submit(ask(receipt(100)))
  const kept = await place(cell.stock, 5)
  await byCallers(10, 30, () => place(cell.stock, 3, { ttlMs: 30 }))
  const { service } = timersOn(cell, { sweep: 7 })

  await service.start()
  await until(async () => (await statuses(cell)).every(({ status, count }) => status !== 'active' || count === 1))

  expect(await statuses(cell)).toEqual([
    { status: 'active', count: 1 },
    { status: 'expired', count: 30 },
  ])
  expect(await rowsOf(cell.pool, 'select l.available, l.held from stock_levels as l')).toEqual([{ available: 95, held: 5 }])
  expect(await rowsOf(cell.pool, "select distinct e.actor from events as e where e.type = 'hold.expired'")).toEqual([{ actor: 'system' }])
  expect(await cell.stock.submit(ask(execution(kept)))).toMatchObject({ ok: true })
  await expectBooksAgree(cell)
})

test('two processes that sweep at once expire each hold once', async () => {
  const cell = await freshCell()
  const processes = [timersOn(cell, { sweep: 20 }), timersOn(cell, { sweep: 20 }, cell.another())] as const
  await cell.stock.submit(ask(receipt(100)))
  const holds = await byCallers(10, 100, () => place(cell.stock, 1, { ttlMs: 40 }))
  await untilClockIs(cell.pool, Math.max(...holds.map((held) => held.expiresAt)))

  for (const { service } of processes) await service.start()
  await until(async () => (await statuses(cell)).every(({ status }) => status === 'expired'))

  expect(await rowsOf(cell.pool, "select count(*) from events as e where e.type = 'hold.expired'")).toEqual([{ count: 100 }])
  expect(processes.flatMap(({ faults }) => faults)).toEqual([])
  await expectBooksAgree(cell)
})

test('who is due by what was decided before gives stock back, though the clock was set back since', async () => {
  const cell = await freshCell()
  await cell.stock.submit(ask(receipt(10)))
  await place(cell.stock, 3, { ttlMs: 60_000 })
  // As a clock leaves it that was an hour ahead when something was decided, and was then put right.
  await cell.pool.query("update ledger_head set latest_at = clock_timestamp() + interval '1 hour'")
  const { service } = timersOn(cell, { sweep: 7 })

  await service.start()
  await until(async () => (await statuses(cell)).every(({ status }) => status === 'expired'))

  expect(await rowsOf(cell.pool, 'select l.available, l.held from stock_levels as l')).toEqual([{ available: 10, held: 0 }])
})

test('only keys that are old enough are forgotten, a few at a time', async () => {
  const cell = await freshCell()
  await cell.pool.query(`
insert into idempotency_keys (key, fingerprint, answer, created_at)
select gen_random_uuid(), gen_random_uuid(), '{}', clock_timestamp() - make_interval(hours => n)
  from generate_series(1, 50) as n`)
  const { service } = timersOn(cell, { keyAgeMs: 24.5 * 3_600_000, keysForgotten: 10 })

  await service.start()
  await until(async () => (await keys(cell)) === 24)
  await service.stop()

  expect(await rowsOf(cell.pool, "select from idempotency_keys as k where k.created_at < clock_timestamp() - interval '25 hours'")).toEqual([])
  expect(await forgetOldKeys(cell.pool, 24.5 * 3_600_000, 10)).toBe(0)
})

test('a key that is repeated while it is forgotten is either answered as before or is a new one', async () => {
  const cell = await freshCell()
  await cell.stock.submit(ask(receipt(10)))
  await cell.stock.submit(ask(hold(1), { key: 'cart 7' }))
  await cell.pool.query("insert into idempotency_keys (key, fingerprint, answer, created_at) values ($1, $1, '{}', clock_timestamp() - interval '9 days')", [
    digest('old'),
  ])

  const [forgotten, again] = await Promise.all([forgetOldKeys(cell.pool, 48 * 3_600_000, 100), cell.stock.submit(ask(hold(1), { key: 'cart 7' }))])

  expect(forgotten).toBe(1)
  expect(again).toMatchObject({ ok: true, replayed: true })
})

test('the months to come are made before they come', async () => {
  const cell = await freshCell()
  const { service } = timersOn(cell, { monthsAhead: 9 })

  await service.start()

  const month = "'ledger_entries_' || to_char(now() at time zone 'UTC' + interval '9 months', 'YYYY_MM')"
  await until(async () => (await rowsOf(cell.pool, `select 1 where to_regclass(${month}) is not null`)).length === 1)
})

test('a sweeper that gets no answer does not ask again at once', async () => {
  const cell = await freshCell()
  await cell.stock.submit(ask(receipt(10)))
  const holds = await byCallers(5, 5, () => place(cell.stock, 1, { ttlMs: 1 }))
  await untilClockIs(cell.pool, Math.max(...holds.map((held) => held.expiresAt)))
  let asked = 0
  const overloaded: Ledger = {
    ...cell.stock,
    submit: async () => {
      asked += 1
      return { ok: false, rejection: { code: 'overloaded' }, sequence: 0, replayed: false }
    },
  }
  const { service } = timersOn(cell, { sweep: 5, sweepMs: 60_000 }, overloaded)

  await service.start()
  await until(() => asked === 5)
  // Time enough for many another question.
  for (let n = 0; n < 20; n += 1) await rowsOf(cell.pool, 'select 1')

  expect(asked).toBe(5)
})

const timersOn = (cell: Cell, limits: Partial<TimersDeps['limits']>, ledger: Ledger = cell.stock) => {
  const faults: unknown[] = []
  const service = timers({
    pool: cell.pool,
    ledger,
    limits: {
      sweepMs: 5,
      leaderPollMs: 5,
      sweep: 500,
      upkeepMs: 20,
      keyAgeMs: 48 * 3_600_000,
      keysForgotten: 5_000,
      monthsAhead: 3,
      lookMs: 60_000,
      counted: 100,
      ...limits,
    },
    sessionIdleMs: 60_000,
    onBacklog: () => undefined,
    onFault: (fault) => faults.push(fault),
  })
  onTestFinished(() => service.stop())
  return { service, faults }
}

const statuses = ({ pool }: Cell) =>
  rowsOf<{ status: string; count: number }>(pool, 'select h.status, count(*) from holds as h group by h.status order by h.status')
const keys = async ({ pool }: Cell): Promise<number> => (await rowsOf(pool, 'select from idempotency_keys')).length
