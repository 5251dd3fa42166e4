// Who may take a delivery, and whose word about it counts.
import { expect, onTestFinished, test } from 'vitest'
import { freshDatabase } from '../../../test/support/database.ts'
import type { Uuid } from '../../domain/ids.ts'
import { eventUuid } from '../../domain/ids.ts'
import { uuidV7 } from '../../platform/random.ts'
import { openPool, transaction, type Pool } from '../../storage/pool.ts'
import { claimDue, disableEndpoint, forgetDeliveries, getDelivery, giveBack, insertDeliveries, insertEndpoint, recordFailure, recordSuccess } from './store.ts'

const newId = () => uuidV7() as Uuid // made as one

const open = async (): Promise<Pool> => {
  const database = await freshDatabase()
  const pool = openPool({ url: database.url, size: 8, statementTimeoutMs: 10_000, lockTimeoutMs: 1_000, applicationName: 'test' })
  onTestFinished(async () => {
    await pool.end()
    await database.drop()
  })
  return pool
}

const endpointWith = async (pool: Pool, count: number): Promise<Uuid> => {
  const id = newId()
  await transaction(pool, (connection) =>
    insertEndpoint(connection, { id, url: 'https://shop.example/', events: ['*'], description: null, metadata: {}, secret: 'sealed' }),
  )
  await insertDeliveries(pool, deliveriesOf(id, count))
  return id
}
const deliveriesOf = (endpoint: Uuid, count: number) =>
  Array.from({ length: count }, (_, index) => ({ id: newId(), endpoint, event: eventUuid(1_000, 0, index + 1), eventType: 'hold.placed' }))

const claim = (pool: Pool, { busy = new Map<Uuid, number>(), room = 5, leaseMs = 60_000 } = {}) => claimDue(pool, { busy, room, leaseMs })
const leaseEnds = (pool: Pool) => pool.query('update webhook_deliveries set next_attempt_at = now()')

test('the same events told again make no other deliveries', async () => {
  const pool = await open()
  const endpoint = await endpointWith(pool, 5)
  await insertDeliveries(pool, deliveriesOf(endpoint, 7))
  expect((await pool.query('select count(*) as there from webhook_deliveries')).rows).toEqual([{ there: 7 }])
})

test('however many processes take at once, each delivery is taken by one of them, the first ones first', async () => {
  const pool = await open()
  await endpointWith(pool, 30)
  const taken = (await Promise.all(Array.from({ length: 8 }, () => claim(pool)))).flat()
  expect(new Set(taken.map(({ id }) => id)).size).toBe(taken.length)
  for (let rest = await claim(pool); rest.length > 0; rest = await claim(pool)) taken.push(...rest)
  expect(taken).toHaveLength(30)
  expect(new Set(taken.map(({ attempt }) => attempt))).toEqual(new Set([1]))
})

test('an endpoint is given as many as it has room for, and one that is disabled none', async () => {
  const pool = await open()
  const [busy, free, disabled] = [await endpointWith(pool, 9), await endpointWith(pool, 9), await endpointWith(pool, 9)]
  await transaction(pool, (connection) => disableEndpoint(connection, disabled, 'asked'))
  const taken = await claim(pool, { busy: new Map([[busy, 4]]) })
  expect(taken.filter(({ endpoint }) => endpoint === busy)).toHaveLength(1)
  expect(taken.filter(({ endpoint }) => endpoint === free)).toHaveLength(5)
  expect(taken).toHaveLength(6)
  const full = new Map([
    [busy, 5],
    [free, 7],
  ])
  expect(await claim(pool, { busy: full })).toEqual([])
})

test('who took a delivery and then slept has nothing to say about it once another one has taken it', async () => {
  const pool = await open()
  await endpointWith(pool, 1)
  const [sleeper] = await claim(pool)
  expect(await claim(pool)).toEqual([])
  await leaseEnds(pool)
  const [other] = await claim(pool)
  if (sleeper === undefined || other === undefined) throw new Error('both took it')
  expect([sleeper.attempt, other.attempt]).toEqual([1, 2])

  expect(await recordFailure(pool, sleeper, { log: [], waitMs: null })).toBe(false)
  expect(await recordSuccess(pool, sleeper, [])).toBe(false)
  await giveBack(pool, [sleeper])
  expect(await claim(pool)).toEqual([])
  expect(await recordFailure(pool, other, { log: [], waitMs: 60_000 })).toBe(true)
  expect(await getDelivery(pool, other.id)).toMatchObject({ status: 'pending' })

  await leaseEnds(pool)
  const [last] = await claim(pool)
  if (last === undefined) throw new Error('it was due')
  expect(last.failures).toBe(1)
  expect(await recordSuccess(pool, last, [])).toBe(true)
  expect(await recordFailure(pool, last, { log: [], waitMs: null })).toBe(false)
  expect(await getDelivery(pool, last.id)).toMatchObject({ status: 'delivered', nextAttemptAt: null })
})

test('what is given back is due at once', async () => {
  const pool = await open()
  await endpointWith(pool, 3)
  const taken = await claim(pool)
  await giveBack(pool, taken)
  expect((await claim(pool)).map(({ id, attempt }) => [id, attempt])).toEqual(expect.arrayContaining(taken.map(({ id }) => [id, 2])))
})

test('a delivery that still waits is not forgotten for its age', async () => {
  const pool = await open()
  await endpointWith(pool, 3)
  const [done] = await claim(pool, { room: 1 })
  if (done === undefined) throw new Error('one was due')
  await recordSuccess(pool, done, [])
  const before = newId()
  expect(await forgetDeliveries(pool, { before, ageMs: 3_600_000, limit: 100 })).toBe(1)
  // Unless it has been due for as long: its endpoint was disabled, and nobody came back.
  await pool.query(`update webhook_deliveries set next_attempt_at = now() - interval '2 hours'`)
  expect(await forgetDeliveries(pool, { before, ageMs: 3_600_000, limit: 1 })).toBe(1)
})
