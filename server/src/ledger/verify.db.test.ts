// The auditor, audited: it finds nothing where nothing is wrong, and every kind of damage that a hand can do.
import { expect, test } from 'vitest'
import {
  announceInbound,
  approveCount,
  countItems,
  cup,
  dispatchTransfer,
  line,
  lineAt,
  london,
  openCount,
  planTransfer,
  receiveInbound,
  receiveTransfer,
  tea,
} from '../../test/support/given.ts'
import { ask, byCallers, codeOf, expectBooksAgree, freshCell, hold, LEDGER, place, receipt, rowsOf, shopsDay, type Cell } from '../../test/support/ledger.ts'
import type { Command } from '../domain/decide.ts'
import type { LedgerOutcome } from './ledger.ts'
import { rebuild, ruleCount, verify } from './verify.ts'

test('a few days in the shop leave books that agree', async () => {
  const cell = await freshCell()
  // As many days as it takes until everything has happened that can: chance and the eight at the counter have it in another order each time.
  const outcomes: LedgerOutcome[] = []
  const types = async () => (await rowsOf<{ type: string }>(cell.pool, 'select distinct e.type from events as e order by e.type')).map((row) => row.type)
  for (let day = 0; day < MOST_DAYS && (new Set(outcomes.map(codeOf)).size < everyCode.length || (await types()).length < everyType.length); day += 1)
    outcomes.push(...(await shopsDay(cell.stock, { seed: 7 + day, commands: 600 })))

  const rules: string[] = []
  const { violations, ...found } = await verify(cell.pool, (rule, broken) => rules.push(`${rule}: ${broken}`))

  expect(violations).toEqual([])
  expect(rules).toHaveLength(ruleCount)
  expect(found).toEqual(await countsOf(cell))
  expect([...new Set(outcomes.map(codeOf))].toSorted()).toEqual(everyCode.toSorted())
  expect(await types()).toEqual(everyType)
})

const MOST_DAYS = 12
const everyCode = [
  'yes',
  'insufficient_stock',
  'hold_expired',
  'hold_already_executed',
  'hold_already_released',
  'quantity_exceeds_remaining',
  'ttl_out_of_range',
  'already_announced',
  'not_in_state',
  'quantity_exceeds_outstanding',
]
const everyType = [
  'count.approved',
  'count.canceled',
  'count.counted',
  'count.opened',
  'hold.canceled',
  'hold.executed',
  'hold.expired',
  'hold.extended',
  'hold.placed',
  'hold.released',
  'inbound.announced',
  'inbound.canceled',
  'inbound.received',
  'stock.adjusted',
  'stock.back',
  'stock.moved',
  'stock.out',
  'stock.received',
  'stock.returned',
  'stock.shipped',
  'transfer.canceled',
  'transfer.created',
  'transfer.dispatched',
  'transfer.received',
]

test('an auditor who has not seen the code agrees, too', async () => {
  const cell = await freshCell()
  await shopsDay(cell.stock, { seed: 11, commands: 400 })

  // Nothing but additions, of what came from outside and of what is there.
  const [sums] = await rowsOf(
    cell.pool,
    `
select (select sum(case when e.from_state >= 20 then e.quantity else 0 end - case when e.to_state >= 20 then e.quantity else 0 end)::int from ledger_entries as e) as came_in,
       (select sum(l.available + l.held + l.committed + l.damaged + l.quality_control + l.incoming)::int from stock_levels as l) as is_there,
       (select sum(l.held)::int from stock_levels as l) as held,
       (select sum((a ->> 'held')::int)::int from holds as h, json_array_elements(h.allocations) as a) as held_by_holds`,
  )
  expect(sums?.['came_in']).toBe(sums?.['is_there'])
  expect(sums?.['held']).toBe(sums?.['held_by_holds'])

  // The last version of each hold's event is the hold as it stands.
  const other = await rowsOf(
    cell.pool,
    `
select h.id
  from holds as h
  join events as e on e.subject_id = h.id::text and e.subject_version = h.version
 where e.data -> 'hold' is not null
   and ((e.data -> 'hold' -> 'allocations')::jsonb <> h.allocations::jsonb or e.data -> 'hold' ->> 'status' <> h.status)`,
  )
  expect(other).toEqual([])
})

const told = 'a transfer, an inbound shipment or a count is what its last event tells, and stands under its own columns'
const counts = 'what a transfer or an inbound shipment counts is what its entries say'
const corrected = 'an approved count has corrected by what it found, and no other count anything'
const signaled = 'what was told of a level is counted beside it, and is the last that was told'

/** What a hand can do, and the rule that finds it. */
const damages: readonly (readonly [damage: string, sql: string, rule: string])[] = [
  ['a unit is added to a level', 'update stock_levels set available = available + 1 where item_id = 1', 'a level is the sum of its entries'],
  [
    'two states of a level are exchanged',
    'update stock_levels set damaged = available, available = damaged where item_id = 1',
    'a level is the sum of its entries',
  ],
  ['a level is set back to an earlier version', 'update stock_levels set version = version - 1 where item_id = 1', 'a level is the sum of its entries'],
  ['a level is removed', 'delete from stock_levels where item_id = 1', 'a level is the sum of its entries'],
  ['a level is made of nothing', 'insert into stock_levels values (99, 1, 1, 0, 0, 0, 0, 0, 0, 1, now())', 'a level is the sum of its entries'],
  ['an entry moves one unit more', 'update ledger_entries set quantity = quantity + 1 where sequence = 1', 'a level is the sum of its entries'],
  ['an entry moves to another state', 'update ledger_entries set to_state = 4 where sequence = 1', 'no state was ever below zero'],
  ['an entry is removed', 'delete from ledger_entries where sequence = 2', 'versions of a level are 1 to n, each made by one command'],
  [
    'a hold says that it holds less',
    `update holds set allocations = replace(allocations::text, '"held":2', '"held":1')::json`,
    'what is held and committed is what holds say',
  ],
  [
    'a hold says that it was for more',
    `update holds set allocations = replace(allocations::text, '"quantity":2', '"quantity":3')::json`,
    "a hold's counts add up, and nothing is held by a hold that has ended",
  ],
  ['a hold is removed', "delete from holds where status = 'active'", 'what is held and committed is what holds say'],
  [
    'a hold is ended by hand',
    "update holds set status = 'released', ended_at = now() where status = 'active'",
    "a hold's counts add up, and nothing is held by a hold that has ended",
  ],
  ['a hold is given more time', "update holds set expires_at = expires_at + interval '1 hour' where status = 'active'", 'a hold is what its last event tells'],
  [
    'a hold is given to another item',
    `update holds set allocations = replace(allocations::text, '"item":1', '"item":2')::json`,
    'a hold is what its last event tells',
  ],
  [
    'what a hold was placed for is told in another way',
    `update events set data = replace(data::text, '"quantity":2', '"quantity":3')::json where type = 'hold.placed'`,
    'a hold is what its last event tells',
  ],
  ['a receipt is removed', 'delete from documents', 'a document is what its event tells, and neither is without the other'],
  [
    'a receipt is written over',
    `update documents set body = replace(body::text, '"quantity":10', '"quantity":11')::json`,
    'a document is what its event tells, and neither is without the other',
  ],
  [
    'a receipt is written twice',
    "insert into documents select '00000000-0000-0000-0000-000000000000', kind, hold_id, reference, 77, body from documents",
    'a document is what its event tells, and neither is without the other',
  ],
  ['an event will never be told', 'delete from outbox where first_sequence = 2', 'what is still to be told has no gap and ends at the head'],
  [
    'the last event will never be told',
    'delete from outbox where first_sequence = (select max(first_sequence) from outbox)',
    'what is still to be told has no gap and ends at the head',
  ],
  [
    'two movements of a level are said to be one command',
    'update ledger_entries set sequence = 3 where sequence = 2',
    'versions of a level are 1 to n, each made by one command',
  ],
  ['an event is removed', "delete from events where type = 'hold.executed'", 'sequences have no gap'],
  ['the last event is removed', 'delete from events where sequence = (select max(sequence) from events)', 'sequences have no gap'],
  ['an event is told of another version', "update events set subject_version = 7 where type = 'hold.executed'", 'versions of a subject are 1 to n'],
  [
    'an event happened at another time',
    "update events set occurred_at = occurred_at + interval '1 second' where type = 'hold.placed'",
    'an entry belongs to an event, and its level to that instant',
  ],
  [
    'an execution is moved behind the end of its hold',
    `update events set occurred_at = occurred_at + interval '1 day' where type = 'hold.executed'`,
    'no hold was executed or extended after its time, and none expired before',
  ],
  ['a key points into nothing', 'update idempotency_keys set sequence = 999 where sequence is not null', 'a key points to its event'],
  ['the head is moved on', 'update ledger_head set sequence = sequence + 1', 'sequences have no gap'],
]

test('every damage that a hand can do is found', async () => {
  const cell = await freshCell()
  await cell.stock.submit(ask(receipt(10), { key: 'delivery' }))
  const executed = await place(cell.stock, 3)
  await place(cell.stock, 2)
  expect(codeOf(await cell.stock.submit(ask({ type: 'ExecuteHold', id: executed.id, lines: null, final: true })))).toBe('yes')
  await expectBooksAgree(cell)

  const missed: string[] = []
  for (const [damage, sql, rule] of damages) {
    const found = await whileDamaged(cell, sql)
    if (!found.includes(rule)) missed.push(`${damage}: found ${found.join(', ') || 'nothing'}, and not: ${rule}`)
  }

  expect(missed).toEqual([])
  await expectBooksAgree(cell)
})

const workDamages: readonly (readonly [damage: string, sql: string, rule: string])[] = [
  ['a transfer is removed', "delete from work_documents where kind = 'transfer'", told],
  [
    'a document is made of nothing',
    'insert into work_documents select gen_random_uuid(), kind, version, status, reference, location_ids, null, levels, body from work_documents limit 1',
    told,
  ],
  ['a document says that more has come', `update work_documents set body = replace(body::text, '"received":1', '"received":2')::json`, told],
  ['a document is set back to an earlier version', 'update work_documents set version = version - 1 where version > 1', told],
  ['a document is said to have ended', "update work_documents set status = 'canceled' where status = 'dispatched'", told],
  ['a document is found under another location', "update work_documents set location_ids = '{7}' where kind = 'count'", told],
  ['a document locks too little', "update work_documents set levels = '[]' where kind = 'inbound_shipment'", told],
  ['a document is called otherwise', "update work_documents set reference = 'another'", told],
  [
    'an event tells another document',
    `update events set data = replace(data::text, '"quantity":5', '"quantity":6')::json where type = 'transfer.received'`,
    told,
  ],
  [
    'units that arrived are said to be another document’s',
    'update ledger_entries set document_id = gen_random_uuid() where document_kind = 6 and to_state = 1',
    counts,
  ],
  ['a unit more has arrived', 'update ledger_entries set quantity = quantity + 1 where document_kind = 7 and from_state = 6', counts],
  ['a unit more has left than has come', 'update ledger_entries set quantity = quantity + 1 where to_state = 23', 'nothing rests in transit'],
  [
    'document and event agree on more than the entries',
    `update work_documents set body = replace(body::text, '"received":1', '"received":2')::json; update events set data = replace(data::text, '"received":1', '"received":2')::json`,
    counts,
  ],
  ['a count has corrected by more', 'update ledger_entries set quantity = quantity + 1 where document_kind = 8', corrected],
  ['a count has corrected nothing', 'delete from ledger_entries where document_kind = 8', corrected],
  [
    'a count found something else than it corrected',
    `update work_documents set body = replace(body::text, '"counted":12', '"counted":11')::json; update events set data = replace(data::text, '"counted":12', '"counted":11')::json`,
    corrected,
  ],
  ['a unit more is on its way', 'update stock_levels set incoming = incoming + 1', 'what is incoming is what documents have outstanding'],
  ['what is on its way is forgotten', "delete from work_documents where status = 'dispatched'", 'what is incoming is what documents have outstanding'],
  ['a level forgets what it told', 'update stock_levels set signals = 0', signaled],
  ['a level is said to be sold out', "update stock_levels set signal = 'out' where signals = 0", signaled],
  ['a level is no longer said to be sold out', "update stock_levels set signal = 'in_stock' where signal = 'out'", signaled],
  ['a signal is removed', "delete from events where type = 'stock.out'", signaled],
  [
    'a signal is told twice',
    "insert into events select sequence + 1000, type, subject_kind, subject_id, subject_version + 1, actor, request_id, data, occurred_at from events where type = 'stock.out'",
    signaled,
  ],
]

test('every damage that a hand can do to documents and signals is found', async () => {
  const cell = await freshCell()
  const submit = async (command: Command) => expect(codeOf(await cell.stock.submit(ask(command)))).toBe('yes')
  await submit(receipt([line(tea, 10), line(cup, 1)]))
  await place(cell.stock, [lineAt(london, cup, 1)])
  await submit(planTransfer('t1', 5))
  await submit(dispatchTransfer('t1'))
  await submit(receiveTransfer('t1', 1))
  await submit(announceInbound('i1', 7))
  await submit(receiveInbound('i1', 3))
  await submit(openCount('c1'))
  await submit(countItems('c1', 12))
  await submit(approveCount('c1'))
  await expectBooksAgree(cell)

  const missed: string[] = []
  for (const [damage, sql, rule] of workDamages) {
    const found = await whileDamaged(cell, sql)
    if (!found.includes(rule)) missed.push(`${damage}: found ${found.join(', ') || 'nothing'}, and not: ${rule}`)
  }

  expect(missed).toEqual([])
  await expectBooksAgree(cell)
})

test('what was found is said so that a person can look for it', async () => {
  const cell = await freshCell()
  await cell.stock.submit(ask(receipt(10)))
  await cell.pool.query('update stock_levels set available = 9')

  const { violations } = await verify(cell.pool)

  expect(violations).toHaveLength(1)
  expect(violations[0]?.found).toBe(
    'item 1 at location 1: stands {"available":9,"held":0,"committed":0,"damaged":0,"quality_control":0,"incoming":0,"version":1}, ' +
      'entries add up to {"available":10,"held":0,"committed":0,"damaged":0,"quality_control":0,"incoming":0,"version":1}',
  )
})

test('levels that were made anew from the entries are the levels that stood', async () => {
  const cell = await freshCell()
  await shopsDay(cell.stock, { seed: 3, commands: 300 })
  await cell.pool.query('update stock_levels set safety_stock = item_id')
  const before = await rowsOf(cell.pool, levels)

  expect(await rebuild(cell.pool)).toEqual({ levels: before.length, changed: 0 })
  expect(await rowsOf(cell.pool, levels)).toEqual(before)

  // A level that is wrong, one that is gone, and one that never was.
  await cell.pool.query('update stock_levels set available = available + 5, held = 1 where (item_id, location_id) = ($1, $2)', [tea, london])
  await cell.pool.query('delete from stock_levels where (item_id, location_id) = ($1, $2)', [cup, london])
  await cell.pool.query('insert into stock_levels values (99, 1, 1, 0, 0, 0, 0, 0, 0, 1, now())')

  expect(await rebuild(cell.pool)).toEqual({ levels: before.length, changed: 3 })
  await expectBooksAgree(cell)
  const withoutSafety = (rows: readonly Record<string, unknown>[]) => rows.map((row) => ({ ...row, safety_stock: 'as it is' }))
  expect(withoutSafety(await rowsOf(cell.pool, levels))).toEqual(withoutSafety(before))
})

test('while the books are verified and the levels made anew, the shop stays open', async () => {
  const cell = await freshCell()
  await cell.stock.submit(ask(receipt(10_000)))
  let isOver = false
  const shop = byCallers(16, 5_000, async () => (isOver ? undefined : cell.stock.submit(ask(hold(1)))))

  const verified = []
  for (let n = 0; n < 5; n += 1) {
    verified.push(await verify(cell.pool))
    expect((await rebuild(cell.pool)).changed).toBe(0)
  }
  isOver = true

  expect(verified.flatMap(({ violations }) => violations)).toEqual([])
  expect(verified.at(-1)?.sequence).toBeGreaterThan(verified[0]?.sequence ?? 0)
  const outcomes = (await shop).filter((outcome) => outcome !== undefined)
  expect(new Set(outcomes.map(codeOf))).toEqual(new Set(['yes']))
  expect(cell.faults).toEqual([])
  await expectBooksAgree(cell)
})

test('an audit keeps nobody waiting, and leaves no connection behind when it fails', async () => {
  const cell = await freshCell()
  await cell.stock.submit(ask(receipt(5)))
  const during: ReturnType<typeof cell.stock.submit>[] = []
  await verify(cell.pool, () => during.push(cell.stock.submit(ask(hold(1)))))
  const outcomes = await Promise.all(during)
  await cell.pool.query('alter table idempotency_keys rename to lost')

  await expect(verify(cell.pool)).rejects.toThrow('idempotency_keys')

  expect(outcomes.filter((outcome) => outcome.ok)).toHaveLength(5)
  expect(
    await rowsOf(cell.pool, "select from pg_stat_activity as a where a.datname = current_database() and a.state like 'idle in%' and a.application_name <> $1", [
      LEDGER,
    ]),
  ).toEqual([])
})

const levels = `
select l.item_id, l.location_id, l.available, l.held, l.committed, l.damaged, l.quality_control, l.incoming, l.safety_stock, l.signal, l.signals, l.version, l.updated_at
  from stock_levels as l
 order by l.item_id, l.location_id`

const countsOf = async ({ pool }: Cell) => {
  const [counts] = await rowsOf(
    pool,
    `
select h.sequence, (select count(*) from stock_levels) as levels, (select count(*) from ledger_entries) as entries, (select count(*) from holds) as holds
  from ledger_head as h`,
  )
  return { ...counts, at: expect.any(Number) }
}

/** The rules that were broken by a statement which the owner of the tables ran with the triggers off. It is undone afterwards. */
const whileDamaged = async ({ pool }: Cell, sql: string): Promise<string[]> => {
  const tables = ['stock_levels', 'holds', 'ledger_entries', 'events', 'idempotency_keys', 'ledger_head', 'documents', 'outbox', 'work_documents']
  await pool.query(tables.map((table) => `create table kept_${table} as select * from ${table};`).join('\n'))
  await pool.query('alter table ledger_entries disable trigger user; alter table events disable trigger user;')
  try {
    await pool.query(sql)
    const { violations } = await verify(pool)
    return [...new Set(violations.map((violation) => violation.rule))]
  } finally {
    await pool.query(tables.map((table) => `delete from ${table}; insert into ${table} select * from kept_${table}; drop table kept_${table};`).join('\n'))
    await pool.query('alter table ledger_entries enable trigger user; alter table events enable trigger user;')
  }
}
