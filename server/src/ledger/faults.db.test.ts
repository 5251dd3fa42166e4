// What goes wrong outside of the ledger is nobody's loss: each caller has one answer, and it is true.
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { adminUrl } from '../../test/support/database.ts'
import { cup, line, lineAt, london, tea } from '../../test/support/given.ts'
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
  LEDGER,
  place,
  receipt,
  rowsOf,
  sqlStatesOf,
  until,
} from '../../test/support/ledger.ts'
import { Fault } from '../storage/fault.ts'
import type { Batch, LedgerStore } from '../storage/ledger-store.ts'
import type { LedgerOutcome } from './ledger.ts'

test('when the database refuses one hold of a batch, the others stand and only that one fails', async () => {
  const cell = await freshCell()
  await cell.stock.submit(ask(receipt([line(tea, 100), line(cup, 100)])))
  await cell.pool.query(`alter table stock_levels add constraint no_cup_is_held check (item_id <> ${cup} or held = 0)`)

  const outcomes = await Promise.allSettled(
    Array.from({ length: 40 }, (_, n) => cell.stock.submit(ask(hold([lineAt(london, n === 17 ? cup : tea, 1)]), { key: `hold ${n}` }))),
  )

  const failed = outcomes.flatMap((outcome, n) => (outcome.status === 'rejected' ? [n] : []))
  expect(failed).toEqual([17])
  expect(outcomes[17]).toMatchObject({ reason: { cause: { kind: 'refused', sqlState: '23514' } } })
  for (const outcome of outcomes) if (outcome.status === 'fulfilled') expect(codeOf(outcome.value)).toBe('yes')
  expect(await rowsOf(cell.pool, 'select l.item_id, l.held from stock_levels as l order by l.item_id')).toEqual([
    { item_id: tea, held: 39 },
    { item_id: cup, held: 0 },
  ])
  await expectBooksAgree(cell)
})

test('when a level was broken by hand, who needs it fails, and nobody else', async () => {
  const cell = await freshCell()
  await cell.stock.submit(ask(receipt([line(tea, 100), line(cup, 100)])))
  const cups = await place(cell.stock, [lineAt(london, cup, 5)])
  await cell.pool.query('update stock_levels set held = 0 where item_id = $1', [cup])

  const outcomes = await Promise.allSettled([
    ...Array.from({ length: 10 }, () => cell.stock.submit(ask(hold(1)))),
    cell.stock.submit(ask(execution(cups))),
    ...Array.from({ length: 10 }, () => cell.stock.submit(ask(hold(1)))),
  ])

  expect(outcomes.filter((outcome) => outcome.status === 'rejected')).toHaveLength(1)
  expect(outcomes[10]).toMatchObject({ status: 'rejected', reason: { message: expect.stringContaining('5 from held to committed') } })
  expect(await rowsOf(cell.pool, 'select l.held from stock_levels as l where l.item_id = $1', [tea])).toEqual([{ held: 20 }])
})

test('after a fault that was ours, no connection is kept from those who come later', async () => {
  const cell = await freshCell()
  await cell.stock.submit(ask(receipt(10), { key: 'delivery' }))
  // A key whose event is not there: as if a month had been archived too early.
  await cell.pool.query("update idempotency_keys set created_at = created_at - interval '1 second'")

  for (let n = 0; n < 5; n += 1) await expect(cell.stock.submit(ask(receipt(10), { key: 'delivery' }))).rejects.toThrow('which is not there')

  expect(codeOf(await cell.stock.submit(ask(hold(1))))).toBe('yes')
})

test('when the answer of a commit is lost and it stands, every caller is answered once, and nothing is done twice', async () => {
  const commits = commitsThat('lose their answer')
  const cell = await freshCell({ between: commits.between })
  await cell.stock.submit(ask(receipt(4), { key: 'delivery' }))
  const executed = holdIn(await cell.stock.submit(ask(hold(1))))
  await cell.stock.submit(ask(execution(executed)))
  commits.goWrong(1)

  const outcomes = await Promise.all(mixed(executed).map((request) => cell.stock.submit(request)))

  expectMixed(outcomes)
  expect(commits.wentWrong()).toBe(1)
  expect(await rowsOf(cell.pool, 'select l.available, l.held, l.committed, l.version from stock_levels as l')).toEqual([
    { available: 8, held: 2, committed: 1, version: 5 },
  ])
  await expectBooksAgree(cell)
})

test('when the answer of a commit is lost and it does not stand, it is done again', async () => {
  const commits = commitsThat('never arrive')
  const cell = await freshCell({ between: commits.between })
  await cell.stock.submit(ask(receipt(4), { key: 'delivery' }))
  const executed = holdIn(await cell.stock.submit(ask(hold(1))))
  await cell.stock.submit(ask(execution(executed)))
  commits.goWrong(2)

  const outcomes = await Promise.all(mixed(executed).map((request) => cell.stock.submit(request)))

  expectMixed(outcomes)
  expect(outcomes.filter((outcome) => outcome.replayed)).toHaveLength(1)
  expect(commits.wentWrong()).toBe(2)
  await expectBooksAgree(cell)
})

test('when the answers of all commits are lost, nobody is told anything wrong, and the key tells later', async () => {
  const commits = commitsThat('lose their answer')
  const cell = await freshCell({ between: commits.between })
  await cell.stock.submit(ask(receipt(4)))
  commits.goWrong(100)

  expect(codeOf(await cell.stock.submit(ask(hold(1), { key: 'cart 7' })))).toBe('unavailable')

  commits.goWrong(0)
  expect(await cell.stock.submit(ask(hold(1), { key: 'cart 7' }))).toMatchObject({ ok: true, replayed: true })
  expect(await rowsOf(cell.pool, 'select l.held from stock_levels as l')).toEqual([{ held: 1 }])
})

test('a hold without a key is not placed twice when the answer of its commit was lost', async () => {
  const commits = commitsThat('lose their answer')
  const cell = await freshCell({ between: commits.between })
  await cell.stock.submit(ask(receipt(4)))
  commits.goWrong(1)

  await Promise.allSettled([cell.stock.submit(ask(hold(1)))])

  expect(await rowsOf(cell.pool, 'select l.held from stock_levels as l')).toEqual([{ held: 1 }])
  await expectBooksAgree(cell)
})

test('connections that are killed while 32 callers buy lose nothing and double nothing', async () => {
  const cell = await freshCell()
  const processes = [cell.stock, cell.another()] as const
  await cell.stock.submit(ask(receipt(1_500)))
  let killed = 0
  let isOver = false
  const killer = (async () => {
    while (!isOver && killed < 25) {
      const rows = await rowsOf(
        cell.pool,
        "select pg_terminate_backend(a.pid) from pg_stat_activity as a where a.datname = current_database() and a.application_name = $1 and a.state <> 'idle' limit 1",
        [LEDGER],
      )
      killed += rows.length
    }
  })()

  // A caller who was not told asks again with the same key, as everybody should.
  const outcomes = await byCallers(32, 2_000, async (n) => {
    for (;;) {
      const outcome = await processes[n % 2 === 0 ? 0 : 1].submit(ask(hold(1), { key: `cart ${n}` }))
      if (codeOf(outcome) !== 'unavailable') return outcome
    }
  }).finally(() => (isOver = true))
  await killer

  expect(killed).toBeGreaterThan(5)
  expect(cell.faults.length).toBeGreaterThan(0)
  expect(outcomes.filter((outcome) => outcome.ok)).toHaveLength(1_500)
  expect(new Set(outcomes.map(codeOf))).toEqual(new Set(['yes', 'insufficient_stock']))
  const placed = outcomes.flatMap((outcome) => (outcome.ok ? [holdIn(outcome).id] : [])).toSorted()
  const stood = await rowsOf<{ id: string }>(cell.pool, 'select h.id from holds as h order by h.id')
  expect(stood.map((row) => row.id)).toEqual(placed)
  await expectBooksAgree(cell)
  expect(codeOf(await cell.stock.submit(ask(hold(1))))).toBe('insufficient_stock')
})

test('when the network swallows everything, callers are answered all the same, and the shop is open again when it is back', async () => {
  const network = await swallowingNetwork()
  const cell = await freshCell({ way: network.way, statementTimeoutMs: 500, limits: { attempts: 1 } })
  await cell.stock.submit(ask(receipt(10)))

  network.swallow()
  const outcomes = await Promise.all([1, 2, 3].map((n) => cell.stock.submit(ask(hold(1), { key: `cart ${n}` }))))
  network.deliver()

  expect(outcomes.map(codeOf)).toEqual(['unavailable', 'unavailable', 'unavailable'])
  const again = await byCallers(3, 3, async (n) => {
    for (;;) {
      const outcome = await cell.stock.submit(ask(hold(1), { key: `cart ${n + 1}` }))
      if (codeOf(outcome) !== 'unavailable') return outcome
    }
  })
  expect(again.map(codeOf)).toEqual(['yes', 'yes', 'yes'])
  expect(await rowsOf(cell.pool, 'select l.held from stock_levels as l')).toEqual([{ held: 3 }])
  await expectBooksAgree(cell)
})

test('a level that somebody else changed between the look and the write is looked at again', async () => {
  let meddle: (() => Promise<unknown>) | undefined
  const cell = await freshCell({
    between: (store) => ({
      open: async (wanted) => {
        const batch = await store.open(wanted)
        // As if the row had not been locked: what was read is older than what stands.
        return meddle === undefined ? batch : { ...batch, levels: batch.levels.map((level) => ({ ...level, version: level.version - 1 })) }
      },
    }),
  })
  await cell.stock.submit(ask(receipt(4)))
  await cell.stock.submit(ask(receipt(4)))
  meddle = async () => undefined
  const outcome = cell.stock.submit(ask(hold(1)))
  await until(() => cell.faults.length > 0)
  meddle = undefined

  expect(codeOf(await outcome)).toBe('yes')
  expect(sqlStatesOf(cell.faults)[0]).toBe('40001')
  await expectBooksAgree(cell)
})

test('a lock that is not given back in time is answered "overloaded", and nothing was done', async () => {
  const cell = await freshCell({ limits: { attempts: 2 }, between: impatient })
  await cell.stock.submit(ask(receipt(4)))
  const holder = await cell.pool.connect()
  await holder.query('begin')
  await holder.query('select from stock_levels for update')

  expect(codeOf(await cell.stock.submit(ask(hold(1), { key: 'cart 7' })))).toBe('overloaded')

  await holder.query('rollback')
  holder.release()
  expect(await cell.stock.submit(ask(hold(1), { key: 'cart 7' }))).toMatchObject({ ok: true, replayed: false })
  expect(new Set(sqlStatesOf(cell.faults))).toEqual(new Set(['57014']))
  await expectBooksAgree(cell)

  /** Cancels what waits for a lock, as the server does when the time is up. */
  function impatient(store: LedgerStore): LedgerStore {
    return {
      open: async (wanted) => {
        const opened = store.open(wanted)
        const cancel = setInterval(() => {
          void cell.pool.query(
            "select pg_cancel_backend(a.pid) from pg_stat_activity as a where a.application_name = $1 and a.datname = current_database() and a.wait_event_type = 'Lock'",
            [LEDGER],
          )
        }, 20)
        return opened.finally(() => clearInterval(cancel))
      },
    }
  }
})

/** A way to the database on which everything can be lost without anybody being told, in both directions. */
const swallowingNetwork = async () => {
  const there = new URL(adminUrl())
  const sockets: Socket[] = []
  let isSwallowing = false
  const proxy = createServer((here) => {
    const server = connect(Number(there.port), there.hostname)
    for (const [from, to] of [
      [here, server],
      [server, here],
    ] as const) {
      sockets.push(from)
      from.on('data', (bytes) => isSwallowing || to.write(bytes))
      from.on('error', () => to.destroy())
      from.on('close', () => isSwallowing || to.destroy())
    }
  })
  await once(proxy.listen(0, '127.0.0.1'), 'listening')
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    proxy.close()
  })
  const { port } = proxy.address() as AddressInfo // it listens on a port
  return {
    way: (url: string) => {
      const changed = new URL(url)
      changed.host = `127.0.0.1:${port}`
      return changed.href
    },
    swallow: () => (isSwallowing = true),
    deliver: () => {
      isSwallowing = false
      // What was lost in the meantime is not sent again: these connections are of no more use.
      for (const socket of sockets) socket.destroy()
    },
  }
}

const commitsThat = (fail: 'lose their answer' | 'never arrive') => {
  let left = 0
  let wrong = 0
  const commit = async (batch: Batch, changes: Parameters<Batch['commit']>[0]): Promise<number> => {
    if (left === 0) return batch.commit(changes)
    left -= 1
    wrong += 1
    if (fail === 'lose their answer') await batch.commit(changes)
    else await batch.abandon()
    throw new Fault('unknown', true, undefined, new Error('connection lost'))
  }
  return {
    goWrong: (times: number) => (left = times),
    wentWrong: () => wrong,
    between: (store: LedgerStore): LedgerStore => ({
      open: async (wanted) => {
        const batch = await store.open(wanted)
        return { ...batch, commit: (changes) => commit(batch, changes) }
      },
    }),
  }
}

/** One batch with a bit of everything. */
const mixed = (executed: { id: ReturnType<typeof digest> }) => [
  ask(receipt(7), { key: 'second delivery' }),
  ask(hold(2), { key: 'cart 7' }),
  ask(hold(900), { key: 'cart 8' }),
  ask(execution({ id: digest('no such hold') }), { key: 'execution' }),
  ask(execution(executed), { key: 'once more' }),
  ask(receipt(7), { key: 'delivery', request: 'another request' }),
  ask(hold(2), { key: 'cart 7' }),
  ask(receipt(3), { dryRun: true }),
]

const expectMixed = (outcomes: readonly LedgerOutcome[]) => {
  expect(outcomes.map(codeOf)).toEqual(['yes', 'yes', 'insufficient_stock', 'hold_not_found', 'yes', 'idempotency_key_reused', 'yes', 'yes'])
  const [, cart, , , , , again] = outcomes
  if (cart === undefined || again === undefined) throw new Error('too few answers')
  expect(accepted(again)).toMatchObject({ answer: accepted(cart).answer, sequence: cart.sequence, replayed: true })
}
