// The last line of defence: what the database refuses, whoever asks.
import { expect, test } from 'vitest'
import { ask, freshCell, hold, place, receipt, rowsOf } from '../../test/support/ledger.ts'

test('nobody changes or removes an entry or an event, in any way', async () => {
  const { stock, pool } = await freshCell()
  await stock.submit(ask(receipt(5)))
  await stock.submit(ask(hold(1)))
  const [month] = await rowsOf<{ entries: string; events: string }>(
    pool,
    `
select (select distinct e.tableoid::regclass::text from ledger_entries as e) as entries,
       (select distinct e.tableoid::regclass::text from events as e) as events`,
  )
  if (month === undefined) throw new Error('nothing was written')

  const refused = 'is append-only'
  for (const table of ['ledger_entries', month.entries]) {
    await expect(pool.query(`update ${table} set quantity = 9`)).rejects.toThrow(refused)
    await expect(pool.query(`update ${table} set occurred_at = occurred_at + interval '1 month'`)).rejects.toThrow(refused)
  }
  for (const table of ['events', month.events]) await expect(pool.query(`update ${table} set data = '{}'`)).rejects.toThrow(refused)
  for (const table of ['ledger_entries', 'events', month.entries, month.events]) {
    await expect(pool.query(`delete from ${table}`)).rejects.toThrow(refused)
    await expect(pool.query(`truncate ${table}`)).rejects.toThrow(refused)
    await expect(pool.query(`truncate ${table} cascade`)).rejects.toThrow(refused)
  }

  expect(await rowsOf(pool, 'select (select count(*) from ledger_entries) as entries, (select count(*) from events) as events')).toEqual([
    { entries: 2, events: 2 },
  ])
})

test('a month that is made later is append-only, too', async () => {
  const { pool } = await freshCell()
  await pool.query("select make_month('2031-05-01')")
  await pool.query("insert into events values (1, 'hold.placed', 'hold', 'h1', 1, 'key_shop', 'req_test', '{}', '2031-05-05Z')")

  await expect(pool.query('delete from events_2031_05')).rejects.toThrow('is append-only')
  await expect(pool.query('truncate events_2031_05')).rejects.toThrow('is append-only')
  await expect(pool.query('truncate ledger_entries_2031_05')).rejects.toThrow('is append-only')
})

test('the same sequence, and the same movement of the same version of a level, are not written twice', async () => {
  const { stock, pool } = await freshCell()
  await stock.submit(ask(receipt(5)))

  await expect(pool.query('insert into events select e.* from events as e')).rejects.toMatchObject({ code: '23505' })
  await expect(pool.query('insert into ledger_entries select e.* from ledger_entries as e')).rejects.toMatchObject({ code: '23505' })
})

test('a write that finds fewer rows than were read is a transaction to be run again', async () => {
  const { pool } = await freshCell()

  await expect(pool.query("select expect_rows('stock levels', 1, 2)")).rejects.toMatchObject({
    code: '40001',
    message: '1 of 2 stock levels were as they had been read',
  })
  await pool.query("select expect_rows('stock levels', 2, 2)")
})

test('no count of a level can be made negative, and no hold can expire before its time', async () => {
  const { stock, pool } = await freshCell()
  await stock.submit(ask(receipt(5)))
  await place(stock, 2)

  for (const state of ['available', 'held', 'committed', 'damaged', 'quality_control', 'incoming', 'safety_stock'])
    await expect(pool.query(`update stock_levels set ${state} = -1`)).rejects.toMatchObject({ constraint: `stock_levels_${state}_not_negative` })
  await expect(pool.query("update holds set status = 'expired', ended_at = created_at")).rejects.toMatchObject({ constraint: 'holds_never_expire_early' })
  await expect(pool.query("update holds set status = 'released'")).rejects.toMatchObject({ constraint: 'holds_ended_when_not_active' })
  await expect(pool.query('insert into ledger_head (sequence, latest_at) values (0, now())')).rejects.toMatchObject({ code: '23505' })
  await expect(pool.query('insert into ledger_head (only_row, sequence, latest_at) values (false, 0, now())')).rejects.toMatchObject({ code: '23514' })
})
