// Why the ledger has a head, and why the outbox is emptied as it is told. The two usual ways of reading events in order are
// played here as far as they fail, so that nobody has to believe it; then ours, under load.
import type pg from 'pg'
import { expect, onTestFinished, test } from 'vitest'
import { cup, line, lineAt, london, tea } from '../../test/support/given.ts'
import { ask, byCallers, codeOf, execution, freshCell, hold, holdIn, receipt, rowsOf, until } from '../../test/support/ledger.ts'
import { freshDatabase } from '../../test/support/database.ts'
import { appendEvent, eventsAfter } from './events.ts'
import { readOutbox } from './outbox.ts'
import { openPool, transaction } from './pool.ts'

test('who remembers the last number of an ordinary identity column loses an event whose smaller number commits later', async () => {
  const { slow, quick, reader } = await threeSessions()
  const read = async (after: number) => (await reader.query('select t.seq from told as t where t.seq > $1 order by t.seq', [after])).rows.map((row) => row.seq)

  await slow.query('begin')
  await slow.query("insert into told (subject, version) values ('tea', 1)")
  await quick.query("insert into told (subject, version) values ('cup', 1)")
  const first = await read(0)
  await slow.query('commit')
  const second = await read(first.at(-1) ?? 0)

  expect(first).toEqual([2])
  expect(second).toEqual([])
  expect(await read(0)).toEqual([1, 2])
})

test('who remembers the last number and waits for older transactions loses it all the same', async () => {
  const { slow, quick, reader } = await threeSessions()
  const settled = `
select t.seq
  from told as t
 where t.seq > $1
   and t.xid < pg_snapshot_xmin(pg_current_snapshot())
 order by t.seq`
  const read = async (after: number) => (await reader.query(settled, [after])).rows.map((row) => row.seq)

  // The older transaction takes its number later.
  await quick.query('begin')
  await quick.query('select pg_current_xact_id()')
  await slow.query('begin')
  await slow.query("insert into told (subject, version) values ('tea', 1)")
  await quick.query("insert into told (subject, version) values ('cup', 1)")
  await quick.query('commit')
  // Other databases of the server have transactions, too, and those count among the older ones.
  await until(async () => (await read(0)).length === 1)
  const first = await read(0)
  await slow.query('commit')
  await until(async () => (await read(0)).length === 2)
  const second = await read(first.at(-1) ?? 0)

  expect(first).toEqual([2])
  expect(second).toEqual([])
})

test('who reads by transaction is told version 2 of a subject before version 1', async () => {
  const { slow, quick, reader } = await threeSessions()
  const settled = `
select t.subject, t.version
  from told as t
 where t.xid < pg_snapshot_xmin(pg_current_snapshot())
 order by t.xid, t.seq`

  // As a command does: its key first, which gives the transaction its id; then the lock of the stock; then the event.
  await slow.query('begin')
  await slow.query("insert into keys values ('first')")
  await quick.query('begin')
  await quick.query("insert into keys values ('second')")
  await quick.query("select from stock where item = 'tea' for update")
  await quick.query("insert into told (subject, version) values ('tea', 1)")
  await quick.query('commit')
  await slow.query("select from stock where item = 'tea' for update")
  await slow.query("insert into told (subject, version) values ('tea', 2)")
  await slow.query('commit')

  await until(async () => (await reader.query(settled)).rows.length === 2)
  expect((await reader.query(settled)).rows).toEqual([
    { subject: 'tea', version: 2 },
    { subject: 'tea', version: 1 },
  ])
})

test('who reads the ledger by its sequence, while many write, sees no gap, and the versions of each subject in order', async () => {
  const cell = await freshCell({ limits: { batch: 8 } })
  const processes = [cell.stock, cell.another({ limits: { batch: 8 } })] as const
  await cell.stock.submit(ask(receipt([line(tea, 400), line(cup, 400)])))
  let isOver = false

  const seen: { sequence: number; subject: string; version: number }[] = []
  const outboxSeen: number[] = []
  let looks = 0
  const readAll = async () => {
    for (const event of await eventsAfter(cell.pool, { after: seen.length, upTo: null, types: null, limit: 10_000 }))
      seen.push({ sequence: event.sequence, subject: `${event.subject.kind} ${event.subject.id}`, version: event.subject.version })
    for (const row of await readOutbox(cell.pool, 10_000)) {
      // Rows are read again until somebody removes them; a new one follows the last one seen.
      if (row.first <= (outboxSeen.at(-1) ?? 0)) continue
      expect(row.first).toBe((outboxSeen.at(-1) ?? 0) + 1)
      for (let sequence = row.first; sequence <= row.last; sequence += 1) outboxSeen.push(sequence)
    }
    looks += 1
  }
  const reader = (async () => {
    while (!isOver) await readAll()
    await readAll()
  })()
  const cataloguers = byCallers(2, 60, (n) =>
    transaction(cell.pool, (connection) =>
      appendEvent(connection, {
        type: 'item.updated',
        subject: { kind: 'item', id: `TEA-${n}`, version: 1 },
        actor: 'key_shop',
        requestId: 'req_test',
        data: {},
      }),
    ),
  )
  const buyers = byCallers(24, 400, async (n) => {
    const process = processes[n % 2 === 0 ? 0 : 1]
    const placed = await process.submit(ask(hold([lineAt(london, n % 3 === 0 ? cup : tea, 1)])))
    if (n % 2 === 0) return placed
    // The next version of the same hold, through another process.
    return processes[n % 4 === 1 ? 0 : 1].submit(ask(execution(holdIn(placed))))
  })
  const [outcomes] = await Promise.all([buyers, cataloguers]).finally(() => (isOver = true))
  await reader

  expect(new Set(outcomes.map(codeOf))).toEqual(new Set(['yes']))
  expect(seen).toHaveLength(1 + 400 + 200 + 60)
  expect(seen.map((event) => event.sequence)).toEqual(seen.map((_, n) => n + 1))
  expect(outboxSeen).toEqual(seen.map((_, n) => n + 1))
  const versions = new Map<string, number>()
  for (const { subject, version } of seen) {
    expect(version).toBe((versions.get(subject) ?? 0) + 1)
    versions.set(subject, version)
  }
  // It was read while it was written, and not only afterwards.
  expect(looks).toBeGreaterThan(5)
  expect(await rowsOf(cell.pool, 'select h.sequence from ledger_head as h')).toEqual([{ sequence: seen.length }])
})

/** An outbox as it is often made, and three connections to it. */
const threeSessions = async (): Promise<Record<'slow' | 'quick' | 'reader', pg.PoolClient>> => {
  const database = await freshDatabase()
  const pool = openPool({ url: database.url, size: 3, statementTimeoutMs: 5_000, lockTimeoutMs: 5_000, applicationName: 'test' })
  const sessions = { slow: await pool.connect(), quick: await pool.connect(), reader: await pool.connect() }
  onTestFinished(async () => {
    for (const session of Object.values(sessions)) session.release()
    await pool.end()
    await database.drop()
  })
  await sessions.reader.query(`
create table keys (key text primary key);
create table stock (item text primary key);
insert into stock values ('tea');
create table told (seq bigint generated always as identity, subject text not null, version int not null, xid xid8 not null default pg_current_xact_id());`)
  return sessions
}
