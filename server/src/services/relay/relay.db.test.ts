// What happened is told to whoever listens: in order, at least once, by one process at a time.
import { expect, onTestFinished, test } from 'vitest'
import { ask, byCallers, execution, freshCell, place, receipt, rowsOf, until, type Cell } from '../../../test/support/ledger.ts'
import type { WrittenEvent } from '../../domain/event.ts'
import type { Bus } from '../../messaging/bus.ts'
import { memoryBus } from '../../messaging/memory-bus.ts'
import { openPool } from '../../storage/pool.ts'
import { relay } from './relay.ts'

test('everything is told once, in the order of the ledger, and then it is out of the box', async () => {
  const cell = await freshCell({ limits: { batch: 7 } })
  const { bus, told } = listener()
  await trade(cell, 60)

  await relayOn(cell, bus, { rows: 3, events: 4 }).relay.drain()

  expect(told).toEqual(await sequences(cell))
  expect(await outbox(cell)).toBe(0)
})

test('what a listener could not take is told again, until it can, and nothing after it is told before', async () => {
  const cell = await freshCell({ limits: { batch: 7 } })
  const { bus, told, refuse } = listener()
  await trade(cell, 60)
  const { relay } = relayOn(cell, bus, { rows: 3, events: 4 })
  refuse((event) => event.sequence >= 40)

  await expect(relay.drain()).rejects.toThrow('not now')
  await expect(relay.drain()).rejects.toThrow('not now')
  expect(Math.max(...told)).toBe(39)
  expect(await outbox(cell)).toBeGreaterThan(0)

  refuse(() => false)
  await relay.drain()

  expect([...new Set(told)]).toEqual(await sequences(cell))
  expect(await outbox(cell)).toBe(0)
})

test('a relay that cannot tell says so and why, and no longer when it can', async () => {
  const cell = await freshCell()
  const { bus, refuse } = listener()
  const { relay } = relayOn(cell, bus, {})
  refuse(() => true)
  await relay.start()
  expect(relay.state?.()).toEqual({ state: 'up', why: null })

  await trade(cell, 3)
  await until(async () => relay.state?.().state === 'degraded')
  expect(relay.state?.()).toEqual({ state: 'degraded', why: 'telling events: not now' })

  refuse(() => false)
  await until(async () => relay.state?.().state === 'up')
  expect(await outbox(cell)).toBe(0)
})

test('what nobody listens to does not pile up', async () => {
  const cell = await freshCell()
  await trade(cell, 30)

  await relayOn(cell, memoryBus(), {}).relay.drain()

  expect(await outbox(cell)).toBe(0)
})

test('who begins to listen in the very moment in which it is found that nobody does misses nothing of what happens from then on', async () => {
  const cell = await freshCell()
  const { bus, told } = listener()
  await trade(cell, 3)
  const unheard = await sequences(cell)
  let isThere = false
  const isHeard = async () => {
    if (isThere) return true
    isThere = true
    await trade(cell, 3)
    return false
  }
  const { relay } = relayOn(cell, { ...bus, isHeard }, {})

  await relay.drain()
  await relay.drain()

  expect(told).toEqual((await sequences(cell)).slice(unheard.length))
})

test('while the shop trades, the relay goes on by itself', async () => {
  const cell = await freshCell()
  const { bus, told } = listener()
  const { relay } = relayOn(cell, bus, {})
  await relay.start()

  await trade(cell, 120)
  await until(async () => (await outbox(cell)) === 0)

  expect(told).toEqual(await sequences(cell))
})

test('of two processes one tells; when its session is killed the other one goes on, and nothing is left out', async () => {
  const cell = await freshCell()
  const { bus, told, tellers, heardBy } = listener()
  const processes = [relayOn(cell, heardBy(bus, 'first'), { name: 'first' }), relayOn(cell, heardBy(bus, 'second'), { name: 'second' })] as const
  await processes[0].relay.start()
  await trade(cell, 20)
  await until(async () => (await outbox(cell)) === 0)
  await processes[1].relay.start()
  await trade(cell, 20)
  await until(async () => (await outbox(cell)) === 0)
  expect(tellers).toEqual(new Set(['first']))

  // The first process is cut off: its connections are killed, and it makes no new ones.
  const stopped = processes[0].relay.stop()
  await cell.pool.query("select pg_terminate_backend(a.pid) from pg_stat_activity as a where a.datname = current_database() and a.application_name = 'first'")
  await trade(cell, 40)
  await until(async () => (await outbox(cell)) === 0)
  await stopped

  expect(tellers).toEqual(new Set(['first', 'second']))
  expect([...new Set(told)]).toEqual(await sequences(cell))
})

test('a leader that slept while another one was made removes nothing more, and says so', async () => {
  const cell = await freshCell()
  const { bus, told } = listener()
  const asleep = relayOn(cell, bus, { name: 'asleep' })
  await trade(cell, 5)
  // It has read what there is to tell, and while it tells it another leader is made.
  const slept = Promise.withResolvers<void>()
  const slow = relayOn(cell, { ...bus, publish: (events) => slept.promise.then(() => bus.publish(events)) }, { name: 'slow' })
  const telling = slow.relay.drain()
  await until(async () => (await rowsOf(cell.pool, 'select from leaderships')).length === 1)
  await cell.pool.query("update leaderships as l set term = l.term + 1 where l.name = 'relay'")
  slept.resolve()

  await expect(telling).rejects.toThrow('term 1 of the relay is over')
  expect(await outbox(cell)).toBeGreaterThan(0)

  await until(async () => (await asleep.relay.drain()) !== undefined)
  expect([...new Set(told)]).toEqual(await sequences(cell))
  expect(await outbox(cell)).toBe(0)
})

test('a relay that loses its connections again and again tells everything all the same', async () => {
  const cell = await freshCell({ limits: { batch: 4 } })
  const { bus, told } = listener()
  const { relay, faults } = relayOn(cell, bus, { rows: 2, events: 3 })
  await relay.start()
  let isOver = false
  const trading = trade(cell, 200).finally(() => (isOver = true))
  while (!isOver)
    await cell.pool.query("select pg_terminate_backend(a.pid) from pg_stat_activity as a where a.datname = current_database() and a.application_name = 'relay'")
  await trading

  await until(async () => (await outbox(cell)) === 0)

  expect(faults.length).toBeGreaterThan(0)
  // Told again at most, and then from an earlier place on: never with anything left out before it.
  expect([...new Set(told)]).toEqual(await sequences(cell))
})

/** Listens on a bus, and can be made to refuse. */
const listener = () => {
  const told: number[] = []
  const tellers = new Set<string>()
  let refused: (event: WrittenEvent) => boolean = () => false
  const bus = memoryBus()
  bus.subscribe('listener', async (events) => {
    for (const event of events) {
      if (refused(event)) throw new Error('not now')
      told.push(event.sequence)
    }
  })
  return {
    bus,
    told,
    tellers,
    refuse: (isRefused: typeof refused) => (refused = isRefused),
    /** The same bus, that notes who speaks. */
    heardBy: (bus: Bus, teller: string): Bus => ({
      ...bus,
      publish: (events) => {
        tellers.add(teller)
        return bus.publish(events)
      },
    }),
  }
}

const relayOn = (cell: Cell, bus: Bus, { name = 'relay', ...limits }: { name?: string; rows?: number; events?: number }) => {
  const faults: unknown[] = []
  const pool = openPool({ url: cell.url, size: 3, statementTimeoutMs: 5_000, lockTimeoutMs: 5_000, applicationName: name, onBroken: () => undefined })
  const service = relay({ pool, bus, limits: { rows: 100, events: 500, pollMs: 5, leaderPollMs: 10, ...limits }, onFault: (fault) => faults.push(fault) })
  onTestFinished(async () => {
    await service.stop()
    await pool.end()
  })
  return { relay: service, faults }
}

const trade = async ({ stock }: Cell, holds: number): Promise<void> => {
  await stock.submit(ask(receipt(holds)))
  await byCallers(10, holds, async () => stock.submit(ask(execution(await place(stock, 1)))))
}

const outbox = async ({ pool }: Cell): Promise<number> => (await rowsOf(pool, 'select from outbox')).length

const sequences = async ({ pool }: Cell): Promise<number[]> =>
  (await rowsOf<{ sequence: number }>(pool, 'select e.sequence from events as e order by e.sequence')).map((row) => row.sequence)
