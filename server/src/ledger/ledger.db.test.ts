// Many buyers at once, over one and over several processes.
import { expect, onTestFinished, test } from 'vitest'
import { cup, line, lineAt, london, pot, tea } from '../../test/support/given.ts'
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
  LEDGER,
  place,
  receipt,
  rowsOf,
  sqlStatesOf,
  until,
} from '../../test/support/ledger.ts'
import type { LedgerStore } from '../storage/ledger-store.ts'
import type { Ledger } from './ledger.ts'

test('of 5,000 holds by 64 callers on the last 500 units of one item, 500 stand and everybody else hears why', async () => {
  const cell = await freshCell()
  await cell.stock.submit(ask(receipt(500)))

  const outcomes = await byCallers(64, 5_000, (n) => cell.stock.submit(ask(hold(1), { key: `caller ${n}` })))

  expectOnly500(outcomes)
  await expectHeld(cell.pool, 500)
  await expectBooksAgree(cell)
})

test('two processes on one database do not promise a unit twice either', async () => {
  const cell = await freshCell()
  const processes = [cell.stock, cell.another()] as const
  await cell.stock.submit(ask(receipt(500)))

  const outcomes = await byCallers(64, 5_000, (n) => processes[n % 2 === 0 ? 0 : 1].submit(ask(hold(1), { key: `caller ${n}` })))

  expectOnly500(outcomes)
  await expectHeld(cell.pool, 500)
  await expectBooksAgree(cell)
})

test('who waits for a shelf that is being filled is answered by what stands when the wait is over', async () => {
  const cell = await freshCell()
  await cell.stock.submit(ask(receipt(1)))
  const mayCommit = Promise.withResolvers<void>()
  const filling = Promise.withResolvers<void>()
  const slow = cell.another({
    between: (store: LedgerStore): LedgerStore => ({
      open: async (wanted) => {
        const batch = await store.open(wanted)
        filling.resolve()
        return { ...batch, commit: (changes) => mayCommit.promise.then(() => batch.commit(changes)) }
      },
    }),
  })
  const delivery = slow.submit(ask(receipt(4)))
  await filling.promise

  const bought = cell.stock.submit(ask(hold(5)))
  await until(async () => {
    const waiting = "select from pg_stat_activity as a where a.application_name = $1 and a.datname = current_database() and a.wait_event_type = 'Lock'"
    return (await rowsOf(cell.pool, waiting, [LEDGER])).length > 0
  })
  mayCommit.resolve()

  expect([codeOf(await delivery), codeOf(await bought)]).toEqual(['yes', 'yes'])
  expect(holdIn(await bought).allocations).toMatchObject([{ quantity: 5, levelVersion: 3 }])
  expect(cell.faults).toEqual([])
  await expectBooksAgree(cell)
})

test('buyers who name the same items in another order do not wait for each other in a ring', async () => {
  const cell = await freshCell({ limits: { batch: 4 } })
  const processes = [cell.stock, cell.another({ limits: { batch: 4 } })] as const
  await cell.stock.submit(ask(receipt([line(tea, 120), line(cup, 120)])))

  const outcomes = await byCallers(200, 200, (n) => {
    const lines = [lineAt(london, tea, 1), lineAt(london, cup, 1)]
    return processes[n % 2 === 0 ? 0 : 1].submit(ask(hold(n % 2 === 0 ? lines : lines.toReversed())))
  })

  expect(outcomes.filter((outcome) => outcome.ok)).toHaveLength(120)
  expect(new Set(outcomes.map(codeOf))).toEqual(new Set(['yes', 'insufficient_stock']))
  expect(sqlStatesOf(cell.faults)).not.toContain('40P01')
  await expectBooksAgree(cell)
})

test('who wants what nobody else is buying does not wait for those who do', async () => {
  const cell = await freshCell()
  await cell.stock.submit(ask(receipt([line(tea, 10), line(cup, 10)])))
  const somebody = await cell.pool.connect()
  onTestFinished(() => somebody.release())
  await somebody.query('begin')
  await somebody.query('select from stock_levels as l where l.item_id = $1 for update', [tea])
  const first = cell.stock.submit(ask(hold([lineAt(london, tea, 1)])))
  await until(() => cell.stock.load().inFlight === 1)

  const second = cell.stock.submit(ask(hold([lineAt(london, tea, 1)])))
  const another = cell.stock.submit(ask(hold([lineAt(london, cup, 1)])))

  expect(codeOf(await another)).toBe('yes')
  await somebody.query('commit')
  expect([codeOf(await first), codeOf(await second)]).toEqual(['yes', 'yes'])
  await expectBooksAgree(cell)
})

test('who wants two things is not overtaken by those who want one of them', async () => {
  const cell = await freshCell()
  await cell.stock.submit(ask(receipt([line(tea, 10), line(cup, 10), line(pot, 10)])))
  const somebody = await cell.pool.connect()
  onTestFinished(() => somebody.release())
  await somebody.query('begin')
  await somebody.query('select from stock_levels as l where l.item_id = $1 for update', [tea])
  const first = cell.stock.submit(ask(hold([lineAt(london, tea, 1)])))
  await until(() => cell.stock.load().inFlight === 1)

  const both = cell.stock.submit(ask(hold([lineAt(london, tea, 1), lineAt(london, cup, 1)])))
  const one = cell.stock.submit(ask(hold([lineAt(london, cup, 1)])))
  const others = [1, 2].map(() => cell.stock.submit(ask(hold([lineAt(london, pot, 1)]))))
  expect((await Promise.all(others)).map(codeOf)).toEqual(['yes', 'yes'])
  await somebody.query('commit')

  expect(codeOf(await first)).toBe('yes')
  const versionOfCups = (outcome: Awaited<typeof one>) => holdIn(outcome).allocations.find((allocation) => allocation.item === cup)?.levelVersion
  expect([versionOfCups(await both), versionOfCups(await one)]).toEqual([2, 3])
  await expectBooksAgree(cell)
})

test('executions, releases and new holds of the same stock do not wait for each other in a ring', async () => {
  const cell = await freshCell({ limits: { batch: 4 } })
  const processes = [cell.stock, cell.another({ limits: { batch: 4 } })] as const
  await cell.stock.submit(ask(receipt([line(tea, 1_000), line(cup, 1_000)])))
  const lines = [lineAt(london, cup, 1), lineAt(london, tea, 1)]
  const holds = await byCallers(32, 150, () => place(cell.stock, lines))

  const outcomes = await byCallers(64, 450, (n) => {
    const held = holds[n % 150]
    if (held === undefined) throw new Error('no such hold')
    const process = processes[n % 2 === 0 ? 0 : 1]
    if (n < 150) return process.submit(ask(execution(held, { lines: [line(tea, 1)], final: false })))
    if (n < 300) return process.submit(ask(hold(lines.toReversed())))
    return process.submit(ask({ type: 'ReleaseHold', id: held.id }))
  })

  expect(new Set(outcomes.map(codeOf))).toEqual(new Set(['yes']))
  expect(sqlStatesOf(cell.faults)).not.toContain('40P01')
  await expectBooksAgree(cell)
})

test('many receipts into an empty shop at once add up, whoever makes the level', async () => {
  const cell = await freshCell()
  const processes = [cell.stock, cell.another()] as const

  const outcomes = await byCallers(40, 40, (n) => processes[n % 2 === 0 ? 0 : 1].submit(ask(receipt([line(tea, 1), line(cup, 2)]))))

  expect(new Set(outcomes.map(codeOf))).toEqual(new Set(['yes']))
  expect(await rowsOf(cell.pool, 'select l.item_id, l.available, l.version from stock_levels as l order by l.item_id')).toEqual([
    { item_id: tea, available: 40, version: 40 },
    { item_id: cup, available: 80, version: 40 },
  ])
  await expectBooksAgree(cell)
})

test('the versions that answers and refusals tell are those of the level, each told once', async () => {
  const cell = await freshCell()
  const processes = [cell.stock, cell.another()] as const
  await cell.stock.submit(ask(receipt(300)))

  const outcomes = await byCallers(32, 400, (n) => processes[n % 2 === 0 ? 0 : 1].submit(ask(hold(1))))

  const made = outcomes.flatMap((outcome) => (outcome.ok ? holdIn(outcome).allocations.map((allocation) => allocation.levelVersion) : []))
  expect(made.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 300 }, (_, n) => n + 2))
  for (const outcome of outcomes) if (!outcome.ok) expect(outcome.rejection).toMatchObject({ code: 'insufficient_stock', shortages: [{ levelVersion: 301 }] })
})

test('a refusal tells what is missing, to each line', async () => {
  const { stock } = await freshCell()
  await stock.submit(ask(receipt([line(tea, 3), line(cup, 10)])))
  await place(stock, 2)

  const outcome = await stock.submit(ask(hold([lineAt(london, tea, 2), lineAt(london, cup, 1)])))

  expect(outcome).toMatchObject({
    ok: false,
    rejection: { code: 'insufficient_stock', shortages: [{ item: tea, location: london, requested: 2, available: 1, held: 2, incoming: 0, levelVersion: 2 }] },
  })
})

test('what is told, written and still to be told is one row of numbers without a gap', async () => {
  const cell = await freshCell()
  const processes = [cell.stock, cell.another()] as const
  await cell.stock.submit(ask(receipt(200), { key: 'receipt' }))
  const outcomes = await byCallers(32, 300, async (n) => {
    const process = processes[n % 2 === 0 ? 0 : 1]
    const placed = await process.submit(ask(hold(1), { key: `hold ${n}` }))
    if (!placed.ok || n % 3 > 0) return placed
    accepted(await process.submit(ask(execution(holdIn(placed)), { key: `execution ${n}` })))
    return process.submit(
      ask({ type: 'ShipHold', id: holdIn(placed).id, hold: holdIn(placed).id, lines: null, reference: null, metadata: {} }, { key: `shipment ${n}` }),
    )
  })

  const [head] = await rowsOf<{ sequence: number }>(cell.pool, 'select h.sequence from ledger_head as h')
  const events = await rowsOf<{ sequence: number }>(cell.pool, 'select e.sequence from events as e order by e.sequence')
  expect(events.map((event) => event.sequence)).toEqual(Array.from({ length: head?.sequence ?? 0 }, (_, n) => n + 1))
  const outbox = await rowsOf<{ first: number; last: number }>(
    cell.pool,
    'select o.first_sequence as first, o.last_sequence as last from outbox as o order by first',
  )
  expect(outbox[0]?.first).toBe(1)
  expect(outbox.at(-1)?.last).toBe(head?.sequence)
  for (const [index, { first }] of outbox.entries()) if (index > 0) expect(first).toBe((outbox[index - 1]?.last ?? 0) + 1)

  // Every entry and every document belongs to the event that tells of it.
  const strangers = await rowsOf(
    cell.pool,
    `
select e.sequence
  from ledger_entries as e
  left join events as v on v.sequence = e.sequence
 where coalesce(v.data -> 'hold' ->> 'id', v.data -> 'receipt' ->> 'id', v.data -> 'shipment' ->> 'id') is distinct from e.document_id::text
 union all
select d.sequence
  from documents as d
  left join events as v on v.sequence = d.sequence
 where v.data::text is distinct from d.body::text`,
  )
  expect(strangers).toEqual([])
  expect(await rowsOf(cell.pool, "select count(*) from documents as d where d.kind = 'shipment'")).toEqual([
    { count: outcomes.filter((outcome) => outcome.ok && outcome.answer.kind === 'shipment').length },
  ])

  // Every answer tells the sequence of its event, and every key points to it.
  for (const outcome of outcomes) {
    if (!outcome.ok) continue
    const [event] = await rowsOf<{ data: unknown }>(cell.pool, 'select e.data from events as e where e.sequence = $1', [outcome.sequence])
    expect(event?.data).toEqual(outcome.answer)
  }
  const lostKeys = await rowsOf(
    cell.pool,
    'select k.key from idempotency_keys as k left join events as e on e.sequence = k.sequence where k.sequence is not null and e.sequence is null',
  )
  expect(lostKeys).toEqual([])
  await expectBooksAgree(cell)
})

test('a buyer hears at once that too many are waiting', async () => {
  const door = closedDoor()
  const { stock } = await freshCell({ between: door.between, limits: { queue: 3, batch: 1, inFlight: 1 } })
  const first = stock.submit(ask(receipt(1)))
  await until(() => stock.load().inFlight === 1)
  const waiting = [1, 2, 3].map(() => stock.submit(ask(hold(1))))

  expect(await stock.submit(ask(hold(1)))).toMatchObject({ ok: false, rejection: { code: 'overloaded' } })

  expect(stock.load()).toEqual({ waiting: 3, inFlight: 1 })
  door.open()
  expect(codeOf(await first)).toBe('yes')
  expect((await Promise.all(waiting)).map(codeOf)).toEqual(['yes', 'insufficient_stock', 'insufficient_stock'])
})

test('a ledger that stops answers what it has taken, and takes nothing more', async () => {
  const door = closedDoor()
  const { stock, pool } = await freshCell({ between: door.between, limits: { batch: 2, inFlight: 1 } })
  const taken = [ask(receipt(5)), ...Array.from({ length: 9 }, () => ask(hold(1)))].map((request) => stock.submit(request))
  let hasStopped = false
  const stopped = stock.stop().then(() => (hasStopped = true))

  expect(await stock.submit(ask(hold(1)))).toMatchObject({ ok: false, rejection: { code: 'unavailable' } })
  expect(hasStopped).toBe(false)

  door.open()
  await stopped
  expect((await Promise.all(taken)).filter((outcome) => outcome.ok)).toHaveLength(6)
  expect(stock.load()).toEqual({ waiting: 0, inFlight: 0 })
  await expectHeld(pool, 5)
  await stock.stop()
})

test('a dry run says what would be, and changes nothing', async () => {
  const { stock, pool } = await freshCell()
  await stock.submit(ask(receipt(5)))
  const held = await place(stock, 2)
  const before = await everything(pool)
  const dry = async (command: Parameters<typeof ask>[0]) => codeOf(await stock.submit(ask(command, { key: 'dry', dryRun: true })))

  expect(await dry(hold(3))).toBe('yes')
  expect(await dry(hold(4))).toBe('insufficient_stock')
  expect(await dry(execution(held))).toBe('yes')
  expect(await dry({ type: 'ReleaseHold', id: held.id })).toBe('yes')
  expect(await dry({ type: 'ExtendHold', id: held.id, ttlMs: 10, longestMs: 1 })).toBe('ttl_out_of_range')
  expect(await dry(receipt(7))).toBe('yes')
  expect(await dry(execution({ id: receipt(1).id }))).toBe('hold_not_found')

  expect(await everything(pool)).toEqual(before)
  expect(codeOf(await stock.submit(ask(hold(3), { key: 'dry' })))).toBe('yes')
})

test('the ledger works the same where statements cannot be prepared', async () => {
  const cell = await freshCell({ prepare: false })
  await cell.stock.submit(ask(receipt(50)))

  const outcomes = await byCallers(16, 100, (n) => cell.stock.submit(ask(hold(1), { key: `caller ${n}` })))

  expect(outcomes.filter((outcome) => outcome.ok)).toHaveLength(50)
  expect(cell.faults).toEqual([])
  await expectBooksAgree(cell)
})

test('all kinds of documents, states and texts come back as they were given', async () => {
  const { stock, pool } = await freshCell()
  const texts = { reference: `"quoted", {braced} \\ and 'ticked' – 茶 🍵 NULL`, metadata: { 'a "key"': '\\ {}, \n\t', empty: '', null: 'NULL' } }
  accepted(await stock.submit(ask(receipt([line(tea, 10), line(cup, 4)], texts), { key: 'receipt' })))
  const placed = await stock.submit(ask(hold([lineAt(london, tea, 3), lineAt(london, cup, 9)], { mode: 'best_effort', ...texts }), { key: 'hold' }))

  const again = await stock.submit(ask(hold(1), { key: 'hold' }))

  expect(again).toEqual({ ...placed, replayed: true })
  expect(holdIn(again)).toMatchObject({ ...texts, shortages: [{ item: cup, requested: 9, available: 4 }] })
  const [stood] = await rowsOf(pool, 'select h.reference, h.metadata, h.shortages from holds as h')
  expect(stood).toMatchObject({ ...texts, shortages: holdIn(again).shortages })
})

const expectOnly500 = (outcomes: Awaited<ReturnType<Ledger['submit']>>[]) => {
  expect(outcomes).toHaveLength(5_000)
  expect(outcomes.filter((outcome) => outcome.ok)).toHaveLength(500)
  expect(new Set(outcomes.flatMap((outcome) => (outcome.ok ? [holdIn(outcome).id] : []))).size).toBe(500)
  for (const outcome of outcomes) {
    if (outcome.ok) continue
    if (outcome.rejection.code !== 'insufficient_stock') throw new Error(`an unexpected ${outcome.rejection.code}`)
    // Whoever lost did so when everything was held: its refusal says so.
    expect(outcome.rejection.shortages).toEqual([{ item: tea, location: london, requested: 1, available: 0, held: 500, incoming: 0, levelVersion: 501 }])
  }
}

const expectHeld = async (pool: Parameters<typeof rowsOf>[0], held: number) => {
  const [stands] = await rowsOf(
    pool,
    `
select (select sum(l.held)::int from stock_levels as l) as by_levels,
       (select count(*)::int from holds as h where h.status = 'active') as by_holds,
       (select sum(e.quantity)::int from ledger_entries as e where e.to_state = 2) as by_entries,
       (select count(*)::int from events as e where e.type = 'hold.placed') as by_events`,
  )
  expect(stands).toEqual({ by_levels: held, by_holds: held, by_entries: held, by_events: held })
}

/** Every row of every table. */
const everything = (pool: Parameters<typeof rowsOf>[0]) =>
  Promise.all(
    ['stock_levels', 'holds', 'documents', 'ledger_head', 'ledger_entries', 'events', 'outbox', 'idempotency_keys'].map((table) =>
      rowsOf(pool, `select t::text from ${table} as t order by 1`),
    ),
  )

/** A database that nobody is let in to, until it is opened. */
const closedDoor = () => {
  let open = () => {}
  const opened = new Promise<void>((resolve) => (open = resolve))
  return {
    open: () => open(),
    between: (store: LedgerStore): LedgerStore => ({
      open: async (wanted) => {
        await opened
        return store.open(wanted)
      },
    }),
  }
}
