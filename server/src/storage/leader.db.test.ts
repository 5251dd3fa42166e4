// One leader among all processes, and another one when it is gone.
import { expect, onTestFinished, test } from 'vitest'
import { freshDatabase } from '../../test/support/database.ts'
import { rowsOf, until } from '../../test/support/ledger.ts'
import { leader, type Leader } from './leader.ts'
import { openPool, type Pool } from './pool.ts'

test('of two processes one leads, and the other one when it resigns', async () => {
  const [first, second] = await twoProcesses()

  expect([await first.leader.term(), await second.leader.term()]).toEqual([1, undefined])
  expect([await first.leader.term(), await second.leader.term()]).toEqual([1, undefined])

  await first.leader.resign()
  await until(leads(second))
  expect(await first.leader.term()).toBe(undefined)
  expect(await second.leader.term()).toBe(2)
})

test('when the session of the leader is killed, another one leads, and it knows', async () => {
  const [first, second] = await twoProcesses()
  await first.leader.term()

  await killLeader(second.pool)
  await until(leads(second))

  expect(await first.leader.term()).toBe(undefined)
})

test('a leader that lost its session many times has as many connections as before', async () => {
  const [first, second] = await twoProcesses()

  for (let n = 0; n < 6; n += 1) {
    await until(leads(first))
    await killLeader(second.pool)
    // Without asking: it hears of it by itself.
    await until(() => first.pool.totalCount === 0)
  }

  expect(await first.leader.term()).toBe(7)
})

test('the relay and the timers are led apart from each other', async () => {
  const [first, second] = await twoProcesses()
  const timers = leader(second.pool, 'timers')

  expect(await first.leader.term()).toBe(1)
  expect(await timers.term()).toBe(1)
  await timers.resign()
})

const twoProcesses = async (): Promise<[{ leader: Leader; pool: Pool }, { leader: Leader; pool: Pool }]> => {
  const database = await freshDatabase()
  const open = () => {
    const pool = openPool({ url: database.url, size: 4, statementTimeoutMs: 5_000, lockTimeoutMs: 5_000, applicationName: 'test', onBroken: () => undefined })
    return { pool, leader: leader(pool, 'relay') }
  }
  const processes: [{ leader: Leader; pool: Pool }, { leader: Leader; pool: Pool }] = [open(), open()]
  onTestFinished(async () => {
    for (const { leader, pool } of processes) {
      await leader.resign()
      await pool.end()
    }
    await database.drop()
  })
  return processes
}

const leads = (one: { readonly leader: Leader }) => async () => (await one.leader.term()) !== undefined

const killLeader = (pool: Pool) =>
  rowsOf(
    pool,
    "select pg_terminate_backend(l.pid) from pg_locks as l where l.locktype = 'advisory' and l.database = (select d.oid from pg_database as d where d.datname = current_database())",
  )
