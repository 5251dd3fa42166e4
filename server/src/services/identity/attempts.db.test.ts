import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { freshDatabase, type FreshDatabase } from '../../../test/support/database.ts'
import { openPool, transaction, type Pool } from '../../storage/pool.ts'
import { attempts, networkOf, type Tried } from './attempts.ts'

let database: FreshDatabase
let pool: Pool
beforeEach(async () => {
  database = await freshDatabase()
  pool = openPool({ url: database.url, size: 8, statementTimeoutMs: 5_000, lockTimeoutMs: 5_000, applicationName: 'test' })
})
afterEach(async () => {
  await pool.end()
  await database.drop()
})

const patience = { free: 3, firstWaitMs: 60_000, longestWaitMs: 600_000 }
const limits = { forgottenMs: 3_600_000, account: patience, address: { ...patience, free: 10 }, registration: patience, forgottenAtOnce: 100 }
const ada: Tried = { what: 'account', whose: 'ada@example.com' }
const home: Tried = { what: 'address', whose: '203.0.113.7' }
const rows = async () => (await pool.query<{ tries: number }>('select a.tries from attempts as a order by a.tries')).rows.map(({ tries }) => tries)

describe('tries', () => {
  test('that come at once are counted one by one: no more get through than are free', async () => {
    const { count } = attempts({ pool, limits })
    const waits = await Promise.all(Array.from({ length: 40 }, (_, n) => count(n % 2 === 0 ? [ada, home] : [home, ada])))
    expect(waits.filter((wait) => wait === 0)).toHaveLength(3)
    expect(waits.filter((wait) => wait === 60 || wait === 59)).toHaveLength(37)
  })

  test('that have to wait are not counted, so waiting is enough', async () => {
    const { count } = attempts({ pool, limits })
    for (let n = 0; n < 20; n += 1) await count([ada])
    expect(await rows()).toEqual([3])
  })

  test('in a flood do not wait for each other once there is a wait', async () => {
    const { count } = attempts({ pool, limits })
    for (let n = 0; n < 3; n += 1) await count([ada])
    const holder = await pool.connect()
    await holder.query('begin')
    await holder.query('select from attempts for update')
    const waits = await Promise.all(Array.from({ length: 100 }, () => count([ada, home])))
    expect(Math.min(...waits)).toBeGreaterThan(0)
    await holder.query('rollback')
    holder.release()
  })

  test('at one account do not slow down another, in whatever letters it is written', async () => {
    const { count } = attempts({ pool, limits })
    for (let n = 0; n < 3; n += 1) expect(await count([{ what: 'account', whose: 'Ada@Example.com' }])).toBe(0)
    expect(await count([ada])).toBeGreaterThan(0)
    expect(await count([{ what: 'account', whose: 'bob@example.com' }])).toBe(0)
  })

  test('are forgiven to who knew the password, but not what others tried from there', async () => {
    const { count, forgive } = attempts({ pool, limits })
    await count([{ what: 'account', whose: 'bob@example.com' }, home])
    await count([ada, home])
    await transaction(pool, (connection) => forgive(connection, [ada, home]))
    expect(await rows()).toEqual([1, 1])
  })

  test('of long ago are forgotten, by the next try and by the upkeep', async () => {
    const { count, upkeep } = attempts({ pool, limits })
    for (let n = 0; n < 3; n += 1) await count([ada])
    await pool.query("update attempts set latest_at = now() - interval '61 minutes', blocked_until = now()")
    expect(await count([ada])).toBe(0)
    expect(await rows()).toEqual([1])
    await upkeep()
    expect(await rows()).toEqual([1])
    await pool.query("update attempts set latest_at = now() - interval '61 minutes'")
    await upkeep()
    expect(await rows()).toEqual([])
  })

  test('wait longer each time, and never longer than the longest', async () => {
    const { count } = attempts({ pool, limits })
    const waits: number[] = []
    for (let n = 0; n < 8; n += 1) {
      await pool.query('update attempts set blocked_until = null')
      await count([ada])
      waits.push(await count([ada]))
    }
    expect(waits).toEqual([0, 60, 120, 240, 480, 600, 600, 600])
  })
})

test('an address is the network that its owner has: one in IPv4, a whole /64 in IPv6', () => {
  expect(networkOf('203.0.113.7')).toBe('203.0.113.7')
  expect(networkOf('::ffff:203.0.113.7')).toBe('203.0.113.7')
  expect(networkOf('2001:db8:1:2:3:4:5:6')).toBe('2001:db8:1:2::/64')
  expect(networkOf('2001:0DB8:1:2::9')).toBe('2001:db8:1:2::/64')
  expect(networkOf('2001:db8::1')).toBe('2001:db8:0:0::/64')
  expect(networkOf('fe80::1%eth0')).toBe('fe80:0:0:0::/64')
  expect(networkOf('::1')).toBe('0:0:0:0::/64')
})
