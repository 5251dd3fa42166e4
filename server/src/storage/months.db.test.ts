// The ledger's months: made ahead, each once, and every instant belongs to one of them.
import { expect, onTestFinished, test } from 'vitest'
import { ask, byCallers, freshCell, hold, receipt, rowsOf, type Cell } from '../../test/support/ledger.ts'
import { freshDatabase } from '../../test/support/database.ts'
import { makeMonths } from './months.ts'
import { openPool } from './pool.ts'

test('a month is made once, however often it is asked for', async () => {
  const { pool } = await freshCell()

  for (const day of ['2031-01-01', '2031-01-31', '2031-01-15']) await pool.query('select make_month($1)', [day])

  expect(await tables(pool, '%2031%')).toEqual(['events_2031_01', 'ledger_entries_2031_01'])
})

test('processes that start at once make the same months without one of them failing', async () => {
  const { pool } = await freshCell()
  const before = await tables(pool, '%')

  await Promise.all(Array.from({ length: 8 }, () => makeMonths(pool, 18)))

  expect(await tables(pool, '%')).toHaveLength(before.length + 2 * 15)
})

test('months are made ahead while buyers buy', async () => {
  const cell = await freshCell()
  await cell.stock.submit(ask(receipt(1_000)))
  let isOver = false
  const buying = byCallers(4, 1_000, async () => (isOver ? undefined : cell.stock.submit(ask(hold(1)))))

  for (let ahead = 4; ahead < 12; ahead += 1) await makeMonths(cell.pool, ahead)
  isOver = true

  const bought = (await buying).filter((outcome) => outcome?.ok)
  expect(bought.length).toBeGreaterThan(0)
  expect(cell.faults).toEqual([])
})

test('months are made while somebody reads the whole ledger, and buyers do not wait for either', async () => {
  const cell = await freshCell()
  await cell.stock.submit(ask(receipt(5)))
  const auditor = await cell.pool.connect()
  await auditor.query('begin isolation level repeatable read, read only')
  await auditor.query('select count(*) from ledger_entries, events')

  await makeMonths(cell.pool, 12)

  expect(await cell.stock.submit(ask(hold(1)))).toMatchObject({ ok: true })
  await auditor.query('commit')
  auditor.release()
})

test('the last instant of a month stands in that month, the next one in the next', async () => {
  const cell = await freshCell()
  await cell.pool.query("select make_month('2031-01-01'), make_month('2031-02-01')")
  await cell.stock.submit(ask(receipt(5)))

  await at(cell, '2031-01-31 23:59:59.999Z', () => cell.stock.submit(ask(hold(1), { key: 'cart 1' })))
  await at(cell, '2031-02-01 00:00:00.000Z', () => cell.stock.submit(ask(hold(1), { key: 'cart 2' })))

  const places = `
select e.tableoid::regclass::text as month, to_char(e.occurred_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.MS') as at`
  const expected = (table: string) => [
    { month: `${table}_2031_01`, at: '2031-01-31 23:59:59.999' },
    { month: `${table}_2031_02`, at: '2031-02-01 00:00:00.000' },
  ]
  expect(await rowsOf(cell.pool, `${places} from ledger_entries as e where e.to_state = 2 order by e.sequence`)).toEqual(expected('ledger_entries'))
  expect(await rowsOf(cell.pool, `${places} from events as e where e.type = 'hold.placed' order by e.sequence`)).toEqual(expected('events'))
  // A key finds its event in whichever month it stands.
  expect(await cell.stock.submit(ask(hold(1), { key: 'cart 1' }))).toMatchObject({ ok: true, replayed: true, sequence: 2 })
})

test('months begin at midnight in Greenwich, wherever the server believes to be', async () => {
  const database = await freshDatabase()
  const url = new URL(database.url)
  url.searchParams.set('options', '-c timezone=America/New_York')
  const pool = openPool({ url: url.href, size: 1, statementTimeoutMs: 5_000, lockTimeoutMs: 5_000, applicationName: 'test' })
  onTestFinished(async () => {
    await pool.end()
    await database.drop()
  })
  expect(await rowsOf(pool, 'show timezone')).toEqual([{ TimeZone: 'America/New_York' }])

  // Daylight saving time ends within November.
  await pool.query("select make_month('2031-11-01'), make_month('2031-12-01')")
  await pool.query(`
insert into events
select n, 'hold.placed', 'hold', 'h1', n, 'key_shop', 'req_test', '{}', at::timestamptz
  from (values (1, '2031-11-01 00:00:00Z'), (2, '2031-11-30 23:59:59.999Z'), (3, '2031-12-01 00:00:00Z')) as told (n, at)`)

  expect(await rowsOf(pool, 'select e.tableoid::regclass::text as month from events as e order by e.sequence')).toEqual([
    { month: 'events_2031_11' },
    { month: 'events_2031_11' },
    { month: 'events_2031_12' },
  ])
})

const tables = async (pool: Cell['pool'], like: string): Promise<string[]> => {
  const rows = await rowsOf<{ name: string }>(
    pool,
    "select c.oid::regclass::text as name from pg_class as c where c.relispartition and c.relkind = 'r' and c.relname like $1 order by 1",
    [like],
  )
  return rows.map((row) => row.name)
}

/** Lets the ledger decide at an instant to come: its time never runs back. */
const at = async <Answer>({ pool }: Cell, instant: string, decide: () => Promise<Answer>): Promise<Answer> => {
  await pool.query('update ledger_head set latest_at = $1', [instant])
  return decide()
}
