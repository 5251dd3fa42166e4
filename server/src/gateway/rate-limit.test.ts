import { allOperations, scopes } from '@holdfast/contract'
import { describe, expect, onTestFinished, test } from 'vitest'
import { hasRedis, startRedis, type TestRedis } from '../../test/support/redis.ts'
import { until } from '../../test/support/until.ts'
import { limits } from '../platform/limits.ts'
import { openRedis, type Redis } from '../platform/redis.ts'
import type { Caller } from '../services/service.ts'
import { KEY, stubGateway, type Stub } from './gateway.fixture.ts'
import { networkOf } from './origin.ts'
import { memoryCounter, rateLimits, redisCounter, type Counter, type Rate, type RateOptions } from './rate-limit.ts'

/** Keys by what they may: `hf_slow` and `hf_slow_too` share a principal, as a key and the one it is rotated to do. */
const callers: Readonly<Record<string, Partial<Caller>>> = {
  [KEY]: { principal: 'shop' },
  hf_free: { principal: 'owner', rate: 'unlimited' },
  hf_slow: { principal: 'slow', rate: { limit: 2, windowSeconds: 10 } },
  hf_slow_too: { principal: 'slow', rate: { limit: 2, windowSeconds: 10 } },
  hf_person: { principal: 'user:1', person: { id: '1', session: 's', role: 'manager' } },
}

const limited = (changes: Partial<RateOptions> = {}): Stub & { pass(ms: number): void } => {
  let at = 0
  const stub = stubGateway(undefined, {
    operations: allOperations.filter(({ name }) => name === 'items.list'),
    rates: rateLimits({
      counter: memoryCounter({ subjects: 1_000, now: () => at }),
      callers: { limit: 3, windowSeconds: 1 },
      addresses: { limit: 4, windowSeconds: 60 },
      rates: 10,
      ...changes,
    }),
    identify: (key) => {
      const caller = callers[key]
      return caller === undefined ? undefined : { principal: 'x', scopes: new Set(scopes), locations: null, ...caller }
    },
  })
  onTestFinished(() => stub.stop())
  return Object.assign(stub, { pass: (ms: number) => void (at += ms) })
}
const ask = (stub: Stub, key: string, { from = '192.0.2.1', url = '/v1/items' }: { from?: string; url?: string } = {}) =>
  stub.app.inject({ url, remoteAddress: from, headers: { authorization: `Bearer ${key}` } })
const told = ({ headers }: { headers: Record<string, unknown> }) => [headers['ratelimit-policy'], headers['ratelimit'], headers['retry-after']]

describe('a key', () => {
  test('is told with every answer how much is left, and beyond that when to come back', async () => {
    const stub = limited()
    expect(told(await ask(stub, KEY))).toEqual(['"key";q=3;w=1', '"key";r=2;t=1', undefined])
    await ask(stub, KEY)
    expect(told(await ask(stub, KEY))).toEqual(['"key";q=3;w=1', '"key";r=0;t=1', undefined])
    const refused = await ask(stub, KEY)
    expect(refused.json()).toMatchObject({ status: 429, code: 'rate_limited', retryable: true })
    expect(told(refused)).toEqual(['"key";q=3;w=1', '"key";r=0;t=1', '1'])
    expect(stub.asked).toHaveLength(3)
    stub.pass(1_000)
    expect((await ask(stub, KEY)).statusCode).toBe(200)
  })

  test('has the limit that is its own, through all its rotations', async () => {
    const stub = limited()
    expect(told(await ask(stub, 'hf_slow'))).toEqual(['"key";q=2;w=10', '"key";r=1;t=10', undefined])
    stub.pass(3_500)
    expect(told(await ask(stub, 'hf_slow_too'))).toEqual(['"key";q=2;w=10', '"key";r=0;t=7', undefined])
    expect(told(await ask(stub, 'hf_slow'))).toEqual(['"key";q=2;w=10', '"key";r=0;t=7', '7'])
    expect((await ask(stub, KEY)).statusCode).toBe(200)
  })

  test('without a limit is neither counted nor told', async () => {
    const counted: string[] = []
    const stub = limited({ counter: { add: (subject) => (counted.push(subject), { count: 1, endsInMs: 1 }) } })
    for (let i = 0; i < 20; i += 1) expect(told(await ask(stub, 'hf_free'))).toEqual([undefined, undefined, undefined])
    expect(counted).toEqual([])
  })

  test('is held to its limit by what is refused, too', async () => {
    const stub = limited()
    for (let i = 0; i < 3; i += 1) expect((await ask(stub, KEY, { url: '/v1/items?limit=0' })).statusCode).toBe(400)
    expect((await ask(stub, KEY, { url: '/v1/items?limit=0' })).statusCode).toBe(429)
  })
})

test('a person has one limit, whatever address they come from', async () => {
  const stub = limited()
  expect(told(await ask(stub, 'hf_person'))[0]).toBe('"person";q=3;w=1')
  await ask(stub, 'hf_person', { from: '192.0.2.2' })
  await ask(stub, 'hf_person', { from: '192.0.2.3' })
  expect((await ask(stub, 'hf_person', { from: '192.0.2.4' })).statusCode).toBe(429)
})

describe('an address', () => {
  test('that sends wrong keys is held back, and keys that are known are not held back with it', async () => {
    const stub = limited()
    for (let i = 0; i < 4; i += 1) expect((await ask(stub, 'hf_wrong')).json()).toMatchObject({ code: 'unauthenticated' })
    const held = await ask(stub, 'hf_another')
    expect(held.json()).toMatchObject({ status: 429, code: 'rate_limited' })
    expect(told(held)).toEqual(['"address";q=4;w=60', '"address";r=0;t=60', '60'])
    expect((await ask(stub, KEY)).statusCode).toBe(200)
    expect((await ask(stub, 'hf_wrong', { from: '192.0.2.2' })).statusCode).toBe(401)
    stub.pass(60_000)
    expect((await ask(stub, 'hf_wrong')).statusCode).toBe(401)
  })

  test('in IPv6 is a network of 64 bits, in which its owner has more addresses than could be counted', async () => {
    const stub = limited()
    for (let i = 0; i < 4; i += 1) await ask(stub, 'hf_wrong', { from: `2001:db8:1:2::${i + 1}` })
    expect((await ask(stub, 'hf_wrong', { from: '2001:db8:1:2:ffff:ffff:ffff:ffff' })).statusCode).toBe(429)
    expect((await ask(stub, 'hf_wrong', { from: '2001:db8:1:3::1' })).statusCode).toBe(401)
    expect(['2001:db8:1:2::9', '2001:0db8:0001:0002:1:2:3:4', '2001:db8:1:2::%eth0'].map(networkOf)).toEqual(
      Array.from({ length: 3 }, () => '2001:db8:1:2::/64'),
    )
    expect([networkOf('::1'), networkOf('fe80::1:2'), networkOf('192.0.2.1')]).toEqual(['0:0:0:0::/64', 'fe80:0:0:0::/64', '192.0.2.1'])
  })
})

test('more subjects than are counted: the one not seen for longest begins anew, and memory does not grow', () => {
  const counter = memoryCounter({ subjects: 2, now: () => 0 })
  for (const subject of ['a', 'b', 'a', 'c']) counter.add(subject, 1_000)
  expect([counter.add('a', 1_000).count, counter.add('b', 1_000).count]).toEqual([3, 1])
})

describe.skipIf(!hasRedis)('with Redis', () => {
  const faults: unknown[] = []
  /** How often Redis was asked. */
  let asks = 0
  const counterAt = (url: string, awayMs = 1_000): Counter => {
    const real = openRedis({ url, limits: limits.redis, onBroken: () => undefined })
    onTestFinished(() => real.disconnect())
    const evaluate = (...words: Parameters<typeof real.eval>) => {
      asks += 1
      return real.eval(...words)
    }
    const redis = { eval: evaluate } as Pick<Redis, 'eval'> // one of its forms is used
    return redisCounter({ redis, memory: memoryCounter({ subjects: 100 }), awayMs, onFault: (error) => faults.push(error) })
  }
  const rate: Rate = { limit: 5, windowSeconds: 60 }
  const gatewayWith = (counter: Counter) => limited({ counter, callers: rate })
  /** Until it counts there what it is asked to; what failed before that is forgotten. */
  const counts = async (counter: Counter, { keys }: TestRedis, subject: string) => {
    await until('Redis counts', async () => {
      await counter.add(subject, 60_000)
      return (await keys()).includes(`holdfast:rate:${subject}`)
    })
    faults.length = 0
  }

  test('several processes count together', async () => {
    const redis = await startRedis()
    const counters = [counterAt(redis.url), counterAt(redis.url)]
    for (const [index, counter] of counters.entries()) await counts(counter, redis, `warm-${index}`)
    const gateways = counters.map(gatewayWith)
    const statuses: number[] = []
    for (let i = 0; i < 4; i += 1) for (const gateway of gateways) statuses.push((await ask(gateway, KEY)).statusCode)
    expect(statuses).toEqual([200, 200, 200, 200, 200, 429, 429, 429])
    expect(faults).toEqual([])
    // Flushed, everybody begins anew; nobody is refused for it.
    await redis.flush()
    expect(await Promise.all(gateways.map(async (gateway) => (await ask(gateway, KEY)).statusCode))).toEqual([200, 200])
  })

  test('Redis hung, gone or back fails no request and keeps none waiting', async () => {
    const redis = await startRedis()
    const counter = counterAt(redis.url, 100)
    await counts(counter, redis, 'warm')
    const gateway = limited({ counter, callers: { limit: 1_000_000, windowSeconds: 60 } })
    redis.pause()
    asks = 0
    const from = performance.now()
    for (let i = 0; i < 300; i += 1) expect((await ask(gateway, KEY)).statusCode).toBe(200)
    // One in each tenth of a second asks whether it is back, and waits for that; the others do not.
    expect(asks).toBeLessThanOrEqual(2 + (performance.now() - from) / 100)
    expect(faults).toHaveLength(1)
    redis.resume()
    await counts(counter, redis, 'back')
    await redis.kill()
    for (let i = 0; i < 50; i += 1) expect((await ask(gateway, KEY)).statusCode).toBe(200)
  })

  test('Redis that holds something else under the name keeps nobody out', async () => {
    const redis = await startRedis()
    faults.length = 0
    const counter = redisCounter({
      redis: { eval: () => Promise.reject(new Error('WRONGTYPE')) },
      memory: memoryCounter({ subjects: 10 }),
      awayMs: 1_000,
      onFault: (error) => faults.push(error),
    })
    expect((await counter.add(redis.url, 1_000)).count).toBe(1)
    expect(faults).toHaveLength(1)
  })
})
