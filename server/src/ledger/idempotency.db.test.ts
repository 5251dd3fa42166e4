// A request that is made again has one effect and one answer.
import { expect, test } from 'vitest'
import { line, tea } from '../../test/support/given.ts'
import {
  accepted,
  ask,
  byCallers,
  codeOf,
  digest,
  execution,
  expectBooksAgree,
  freshCell,
  hold,
  holdIn,
  place,
  receipt,
  rowsOf,
  until,
  type Cell,
} from '../../test/support/ledger.ts'
import type { LedgerStore } from '../storage/ledger-store.ts'

test('a hold that is asked for 50 times at once with one key is placed once, and everybody is told the same', async () => {
  const cell = await freshCell()
  await cell.stock.submit(ask(receipt(100)))

  const outcomes = await byCallers(50, 50, () => cell.stock.submit(ask(hold(2), { key: 'cart 7' })))

  expectOneAnswer(outcomes)
  expect(await held(cell)).toBe(2)
  await expectBooksAgree(cell)
})

test('over two processes, too', async () => {
  const cell = await freshCell()
  const processes = [cell.stock, cell.another()] as const
  await cell.stock.submit(ask(receipt(100)))

  for (let cart = 1; cart <= 10; cart += 1) {
    const outcomes = await byCallers(50, 50, (n) => processes[n % 2 === 0 ? 0 : 1].submit(ask(hold(2), { key: `cart ${cart}` })))
    expectOneAnswer(outcomes)
  }

  expect(await held(cell)).toBe(20)
  expect(cell.faults.length).toBeLessThan(50)
  await expectBooksAgree(cell)
})

test('two requests with one key that arrive in the same batch are one request', async () => {
  const cell = await freshCell()
  let batches = 0
  const stock = cell.another({ between: counting(() => (batches += 1)) })

  const [first, second, other] = await Promise.all([
    stock.submit(ask(receipt(5), { key: 'delivery' })),
    stock.submit(ask(receipt(5), { key: 'delivery' })),
    stock.submit(ask(receipt(6), { key: 'delivery', request: 'another request' })),
  ])

  expect(batches).toBe(1)
  expect(first).toMatchObject({ ok: true, replayed: false, sequence: 1 })
  expect(second).toEqual({ ...first, replayed: true })
  expect(other).toMatchObject({ ok: false, rejection: { code: 'idempotency_key_reused' } })
  expect(await rowsOf(cell.pool, 'select l.available from stock_levels as l')).toEqual([{ available: 5 }])
})

test('a key that is used for another request is refused, and that request has no effect', async () => {
  const cell = await freshCell()
  await cell.stock.submit(ask(receipt(100)))
  const first = await cell.stock.submit(ask(hold(2), { key: 'cart 7', request: 'two' }))

  expect(await cell.stock.submit(ask(hold(3), { key: 'cart 7', request: 'three' }))).toMatchObject({ ok: false, rejection: { code: 'idempotency_key_reused' } })

  expect(await held(cell)).toBe(2)
  expect(await cell.stock.submit(ask(hold(2), { key: 'cart 7', request: 'two' }))).toEqual({ ...first, replayed: true })
})

test('a "no" that may become a "yes" is not remembered', async () => {
  const { stock } = await freshCell()
  expect(codeOf(await stock.submit(ask(hold(1), { key: 'cart 7' })))).toBe('insufficient_stock')
  await stock.submit(ask(receipt(1)))

  expect(await stock.submit(ask(hold(1), { key: 'cart 7' }))).toMatchObject({ ok: true, replayed: false })
})

test('a final "no" is remembered, with all its facts', async () => {
  const { stock, pool } = await freshCell()
  await stock.submit(ask(receipt(5)))
  const placed = await place(stock, 2)
  const tooMany = execution(placed, { lines: [line(tea, 3)] })

  const first = await stock.submit(ask(tooMany, { key: 'execution' }))
  accepted(await stock.submit(ask(execution(placed))))

  expect(first).toMatchObject({ ok: false, rejection: { code: 'quantity_exceeds_remaining', requested: 3, remaining: 2 } })
  expect(await stock.submit(ask(tooMany, { key: 'execution' }))).toMatchObject({ ok: false, replayed: true, rejection: first.ok ? null : first.rejection })
  expect(await rowsOf(pool, 'select k.replays, k.sequence from idempotency_keys as k')).toEqual([{ replays: 1, sequence: null }])
})

test('a repeated request is answered as the first time, whatever became of its hold since', async () => {
  const { stock } = await freshCell()
  await stock.submit(ask(receipt(5)))
  const first = await stock.submit(ask(hold(2), { key: 'cart 7' }))
  accepted(await stock.submit(ask(execution(holdIn(first)))))

  const again = await stock.submit(ask(hold(2), { key: 'cart 7' }))

  expect(again).toEqual({ ...first, replayed: true })
  expect(holdIn(again).status).toBe('active')
})

test('what was so already is remembered as an answer, too', async () => {
  const { stock } = await freshCell()
  await stock.submit(ask(receipt(5)))
  const placed = await place(stock, 2)
  accepted(await stock.submit(ask(execution(placed))))

  const first = await stock.submit(ask(execution(placed), { key: 'execution' }))
  accepted(await stock.submit(ask({ type: 'CancelHold', id: placed.id })))
  const again = await stock.submit(ask(execution(placed), { key: 'execution' }))

  expect(holdIn(first).status).toBe('executed')
  expect(again).toMatchObject({ answer: accepted(first).answer, replayed: true })
})

test('every repetition is counted', async () => {
  const { stock, pool } = await freshCell()
  await stock.submit(ask(receipt(5), { key: 'delivery' }))
  for (let n = 0; n < 3; n += 1) expect(await stock.submit(ask(receipt(5), { key: 'delivery' }))).toMatchObject({ replayed: true })

  expect(await rowsOf(pool, 'select k.replays from idempotency_keys as k')).toEqual([{ replays: 3 }])
})

test('the same words as key of two callers are two keys, and a request without a key is always a new one', async () => {
  const { stock, pool } = await freshCell()
  await stock.submit(ask(receipt(5), { key: 'first caller, delivery' }))
  await stock.submit(ask(receipt(5), { key: 'second caller, delivery' }))
  await stock.submit(ask(receipt(5)))
  await stock.submit(ask(receipt(5)))

  expect(await rowsOf(pool, 'select l.available from stock_levels as l')).toEqual([{ available: 20 }])
})

test('a key that another process is about to write is waited for, also when its hold takes the last unit', async () => {
  const cell = await freshCell()
  await cell.stock.submit(ask(receipt(2)))
  // Somebody has the level, so that both processes decide before either of them has written its key.
  const holder = await cell.pool.connect()
  await holder.query('begin')
  await holder.query('select from stock_levels for update')
  const both = [cell.stock, cell.another()].map((process) => process.submit(ask(hold(2), { key: 'cart 7' })))
  await until(async () => {
    const [row] = await rowsOf<{ waiting: number }>(
      cell.pool,
      "select count(*) as waiting from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()",
    )
    return row?.waiting === 2
  })
  await holder.query('commit')
  holder.release()

  expectOneAnswer(await Promise.all(both))
  expect(await held(cell)).toBe(2)
})

test('refusals that only write keys are remembered over two processes, too', async () => {
  const cell = await freshCell()
  const processes = [cell.stock, cell.another()] as const
  const unknown = digest('no such hold')

  const outcomes = await byCallers(40, 40, (n) => processes[n % 2 === 0 ? 0 : 1].submit(ask(execution({ id: unknown }), { key: `execution ${n % 4}` })))

  expect(new Set(outcomes.map(codeOf))).toEqual(new Set(['hold_not_found']))
  expect(outcomes.filter((outcome) => !outcome.replayed)).toHaveLength(4)
  expect(await rowsOf(cell.pool, 'select count(*) from idempotency_keys')).toEqual([{ count: 4 }])
})

const expectOneAnswer = (outcomes: Awaited<ReturnType<Cell['stock']['submit']>>[]) => {
  expect(outcomes.filter((outcome) => !outcome.replayed)).toHaveLength(1)
  const answers = outcomes.map((outcome) => JSON.stringify({ answer: accepted(outcome).answer, sequence: outcome.sequence }))
  expect(new Set(answers).size).toBe(1)
}

const held = async ({ pool }: Cell): Promise<number> => {
  const [sum] = await rowsOf<{ held: number }>(pool, 'select sum(l.held)::int as held from stock_levels as l')
  return sum?.held ?? 0
}

const counting =
  (count: () => void) =>
  (store: LedgerStore): LedgerStore => ({
    open: (wanted) => {
      count()
      return store.open(wanted)
    },
  })
