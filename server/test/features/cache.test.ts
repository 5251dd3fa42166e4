// What a cache of versioned values promises, whichever it is; and reading through it.
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import type { Cache, Codec, Key, NearCache } from '../../src/cache/cache.ts'
import { memoryCache } from '../../src/cache/memory.ts'
import { readThrough, type Read, type ReadThroughOptions } from '../../src/cache/read-through.ts'
import { redisCache, type RedisCache } from '../../src/cache/redis.ts'
import { twoLevelCache } from '../../src/cache/two-level.ts'
import { limits } from '../../src/platform/limits.ts'
import { openRedis, type Redis } from '../../src/platform/redis.ts'
import { hasRedis, startRedis } from '../support/redis.ts'
import { until } from '../support/until.ts'

/** Everything that may be known of a key: it tells by itself what is true of it. */
type Stock = { readonly units: number }
const codec: Codec<Stock> = {
  write: JSON.stringify,
  read: (text) => {
    try {
      const found = JSON.parse(text) as { readonly units?: unknown } | null
      return typeof found?.units === 'number' ? { units: found.units } : undefined
    } catch {
      return undefined
    }
  },
}
const TTL_MS = 60_000
const small = { ...limits.cache, keys: 2, floors: 2 }

const inMemory = (bounds = limits.cache, now?: () => number) =>
  memoryCache<Stock>({ limits: bounds, ttlMs: () => TTL_MS, sizeOf: () => 1, random: () => 0, ...(now === undefined ? {} : { now }) })
const connectTo = async (url: string): Promise<Redis> => {
  // A machine that is busy with other tests is no fault of Redis.
  const redis = openRedis({ url, limits: { ...limits.redis, commandMs: 5_000 }, onBroken: () => undefined })
  // What nobody waits for is done before it goes.
  onTestFinished(async () => {
    await redis.eval('return 1', 0)
    redis.disconnect()
  })
  await until('Redis is there', () => redis.status === 'ready')
  return redis
}
const countingAsks = (redis: Redis, onAsk: () => void): Pick<Redis, 'eval'> => {
  const evaluate = (...words: Parameters<Redis['eval']>) => {
    onAsk()
    return redis.eval(...words)
  }
  return { eval: evaluate } as Pick<Redis, 'eval'> // one of its forms is used
}
/** Where nothing is wrong with Redis, nothing goes wrong with it. */
const redisFaults: unknown[] = []
beforeEach(() => void (redisFaults.length = 0))
afterEach(() => expect(redisFaults).toEqual([]))
let prefixes = 0
const inRedis = (redis: Pick<Redis, 'eval'>, prefix = `test:${(prefixes += 1)}:`): RedisCache<Stock> =>
  redisCache<Stock>({
    redis,
    prefix: () => prefix,
    codec,
    limits: limits.cache,
    ttlMs: () => TTL_MS,
    keepMs: TTL_MS,
    onFault: (error) => redisFaults.push(error),
  })
const inBoth = (redis: Pick<Redis, 'eval'>, { prefix, bounds = limits.cache }: { readonly prefix?: string; readonly bounds?: typeof limits.cache } = {}) =>
  twoLevelCache({ memory: inMemory(bounds), shared: inRedis(redis, prefix), limits: limits.cache, wait: async () => undefined })

const known = async (cache: Cache<Stock>, key: Key) => {
  const [held] = await cache.get([key])
  return held && { units: held.value.units, version: held.version, isFresh: held.isFresh }
}
const put = (cache: Cache<Stock>, key: Key, version: number, units = version * 10, askedAt = performance.now()) =>
  cache.put([{ key, value: { units }, version, askedAt }])

const variants: readonly (readonly [name: string, needsRedis: boolean, make: () => Promise<Cache<Stock>>])[] = [
  ['in memory', false, async () => inMemory()],
  ['in Redis', true, async () => inRedis(await connectTo((await startRedis()).url))],
  ['in both', true, async () => inBoth(await connectTo((await startRedis()).url))],
]

describe.each(variants)('%s', (_name, needsRedis, make) => {
  const it = test.skipIf(needsRedis && !hasRedis)

  it('what was put is there, and what was not is not', async () => {
    const cache = await make()
    put(cache, 1, 5, 7)
    expect(await known(cache, 1)).toEqual({ units: 7, version: 5, isFresh: true })
    expect(await cache.get([1, 2, 3])).toMatchObject([{ version: 5 }, undefined, undefined])
  })

  it('an older value never replaces a newer one', async () => {
    const cache = await make()
    put(cache, 1, 5)
    put(cache, 1, 4)
    expect(await known(cache, 1)).toMatchObject({ version: 5, isFresh: true })
    put(cache, 1, 6)
    expect(await known(cache, 1)).toMatchObject({ version: 6, units: 60 })
  })

  it('what is outdated is no longer fresh, is kept, and gives way to what is newer', async () => {
    const cache = await make()
    put(cache, 1, 5)
    cache.outdate([1, 2], 8)
    expect(await known(cache, 1)).toEqual({ units: 50, version: 5, isFresh: false })
    put(cache, 1, 8)
    expect(await known(cache, 1)).toMatchObject({ version: 8, isFresh: true })
  })

  it('whoever loaded for too long brings nothing back, known before or not', async () => {
    const cache = await make()
    put(cache, 1, 5)
    cache.outdate([1, 2], 8)
    put(cache, 1, 7)
    put(cache, 2, 7)
    expect(await known(cache, 1)).toMatchObject({ version: 5, isFresh: false })
    expect(await known(cache, 2)).toBeUndefined()
  })

  it('a word that is older than what is known outdates nothing', async () => {
    const cache = await make()
    put(cache, 1, 5)
    cache.outdate([1], 5)
    cache.outdate([1], 3)
    expect(await known(cache, 1)).toMatchObject({ isFresh: true })
    cache.outdate([1], 9)
    cache.outdate([1], 6)
    put(cache, 1, 7)
    expect(await known(cache, 1)).toMatchObject({ version: 5, isFresh: false })
  })

  it('what was asked for too long ago is not fresh, when it is there at all', async () => {
    const cache = await make()
    put(cache, 1, 5, 50, performance.now() - TTL_MS)
    expect((await known(cache, 1))?.isFresh ?? false).toBe(false)
  })

  it('however loads, changes and words of changes fall together, nobody is given as fresh what was outdated, or less than before', async () => {
    const cache = await make()
    let run = 0
    await fc.assert(
      fc.asyncProperty(steps, async (taken) => {
        run += 1
        await play(taken, [{ cache, hears: (keys, version) => cache.outdate(keys, version) }], (key) => `${run}-${key}`)
      }),
      { numRuns: 150 },
    )
  })
})

/** What may happen, to one of a few keys, at one of the processes. */
type Step =
  | { readonly does: 'change' | 'hear' | 'begin' | 'read'; readonly key: number; readonly at: number }
  | { readonly does: 'land'; readonly which: number; readonly at: number }
  | { readonly does: 'flush'; readonly at: number }
const at = fc.nat(1)
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: fc.record({ does: fc.constantFrom('change', 'hear', 'begin', 'begin', 'read', 'read'), key: fc.nat(2), at }) },
    { weight: 5, arbitrary: fc.record({ does: fc.constant('land'), which: fc.nat(9), at }) },
  ),
  { minLength: 20, maxLength: 80 },
)
const stepsWithFlushes: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof({ weight: 30, arbitrary: steps.map(([first]) => first as Step) }, { weight: 1, arbitrary: fc.record({ does: fc.constant('flush'), at }) }), // five at least
  { minLength: 5, maxLength: 60 },
)

type Process = { readonly cache: Cache<Stock>; readonly hears: (keys: readonly Key[], version: number) => void }

/** Holds against a database of one sequence what the caches of processes say. */
const play = async (taken: readonly Step[], processes: readonly Process[], named: (key: number) => Key, flush?: () => Promise<void>): Promise<void> => {
  let sequence = 1
  const changedAt = new Map<number, number>()
  const loads: { readonly key: number; readonly version: number; readonly units: number; readonly askedAt: number }[] = []
  const heard = processes.map(() => new Map<number, number>())
  const seen = processes.map(() => new Map<number, number>())
  for (const step of taken) {
    const where = step.at % processes.length
    const { cache, hears } = processes[where] as Process // one of them
    const floors = heard[where] as Map<number, number>
    const before = seen[where] as Map<number, number>
    switch (step.does) {
      case 'change':
        changedAt.set(step.key, (sequence += 1))
        break
      case 'hear': {
        const version = changedAt.get(step.key)
        if (version === undefined) break
        hears([named(step.key)], version)
        floors.set(step.key, version)
        break
      }
      case 'begin':
        loads.push({ key: step.key, version: sequence, units: changedAt.get(step.key) ?? 0, askedAt: performance.now() })
        break
      case 'land': {
        const [load] = loads.splice(step.which % Math.max(1, loads.length), 1)
        if (load !== undefined) put(cache, named(load.key), load.version, load.units, load.askedAt)
        break
      }
      case 'flush':
        await flush?.()
        break
      case 'read': {
        const [held] = await cache.get([named(step.key)])
        if (held === undefined || !held.isFresh) break
        expect(held.version).toBeGreaterThanOrEqual(Math.max(floors.get(step.key) ?? 0, before.get(step.key) ?? 0))
        // What it says is what was so at its version, as far as anybody here has heard.
        expect(held.value.units).toBeGreaterThanOrEqual(floors.get(step.key) ?? 0)
        before.set(step.key, held.version)
      }
    }
  }
}

describe('what little memory there is', () => {
  test('room is made for what is asked for, and the least used goes', () => {
    const cache = inMemory(small)
    for (const key of [1, 2, 1, 3]) if (cache.peek(key) === undefined) put(cache, key, 5)
    expect([1, 2, 3].map((key) => cache.peek(key) !== undefined)).toEqual([true, false, true])
    expect(cache.size()).toBe(2)
  })

  test('large values make room sooner', () => {
    const cache = memoryCache<Stock>({ limits: { ...limits.cache, bytes: 100 }, ttlMs: () => TTL_MS, sizeOf: ({ units }) => units })
    for (const key of [1, 2, 3]) put(cache, key, 5, 40)
    expect(cache.size()).toBe(2)
  })

  test('what was outdated stays so, when nobody remembers since when', () => {
    const cache = inMemory(small)
    put(cache, 1, 5)
    cache.outdate([1], 8)
    cache.outdate([2, 3, 4], 9)
    put(cache, 1, 7)
    expect(cache.peek(1)).toMatchObject({ version: 5, isFresh: false })
    put(cache, 1, 9)
    expect(cache.peek(1)).toMatchObject({ version: 9, isFresh: true })
  })

  test('nobody is given as fresh what was outdated, or less than before', async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (taken) => {
        const cache = inMemory(small)
        await play(taken, [{ cache, hears: cache.outdate }], (key) => key)
      }),
      { numRuns: 2_000 },
    )
  })

  test('when something may have been missed, nothing is fresh but what is asked for afterwards', () => {
    let at = 1_000
    const cache = inMemory(limits.cache, () => at)
    put(cache, 1, 5, 50, at)
    const askedBefore = at
    at += 1
    cache.outdateAll()
    expect(cache.peek(1)).toMatchObject({ version: 5, isFresh: false })
    put(cache, 2, 9, 90, askedBefore)
    expect(cache.peek(2)?.isFresh).toBe(false)
    at += 1
    put(cache, 1, 5, 50, at)
    expect(cache.peek(1)?.isFresh).toBe(true)
  })

  test('what is fresh for long while changes are heard of is so no longer when they are not, though it was read before', () => {
    let at = 0
    let ttlMs = TTL_MS
    const cache = memoryCache<Stock>({ limits: limits.cache, ttlMs: () => ttlMs, sizeOf: () => 1, random: () => 0, now: () => at })
    put(cache, 1, 5, 50, at)
    at = 30_000
    expect(cache.peek(1)?.isFresh).toBe(true)
    ttlMs = 1_000
    expect(cache.peek(1)?.isFresh).toBe(false)
    put(cache, 1, 5, 50, at)
    at += 999
    expect(cache.peek(1)?.isFresh).toBe(true)
    at += 1
    expect(cache.peek(1)?.isFresh).toBe(false)
  })

  test('what was read together is not read again together', () => {
    let at = 0
    const cache = memoryCache<Stock>({ limits: limits.cache, ttlMs: () => TTL_MS, sizeOf: () => 1, now: () => at })
    for (let key = 0; key < 1_000; key += 1) put(cache, key, 5, 50, 0)
    const fresh = () => Array.from({ length: 1_000 }, (_, key) => cache.peek(key)?.isFresh === true).filter(Boolean).length
    at = TTL_MS * (1 - limits.cache.jitter) - 1
    expect(fresh()).toBe(1_000)
    at = TTL_MS * (1 - limits.cache.jitter / 2)
    expect(fresh()).toBeGreaterThan(0)
    expect(fresh()).toBeLessThan(1_000)
    at = TTL_MS
    expect(fresh()).toBe(0)
  })
})

describe.skipIf(!hasRedis)('processes that share a Redis', () => {
  test('whatever is flushed, and whatever little they remember, each is given as fresh nothing that it knows to be outdated', async () => {
    const server = await startRedis()
    const redis = await connectTo(server.url)
    await fc.assert(
      fc.asyncProperty(stepsWithFlushes, async (taken) => {
        const prefix = `run:${(prefixes += 1)}:`
        const process = (): Process => {
          const cache = inBoth(redis, { prefix, bounds: small })
          return { cache, hears: cache.outdateHere }
        }
        await play(taken, [process(), process()], (key) => key, server.flush)
      }),
      { numRuns: 150 },
    )
  })

  test('one is given what another has read', async () => {
    const redis = await connectTo((await startRedis()).url)
    const [one, other] = [inBoth(redis, { prefix: 'shop:' }), inBoth(redis, { prefix: 'shop:' })]
    put(one, 1, 5)
    expect(await known(other, 1)).toMatchObject({ version: 5, isFresh: true })
    expect(other.peek(1)).toMatchObject({ version: 5, isFresh: true })
    one.outdate([1], 8)
    // It was not told, and remembers: that is what the time to live is for. Who asks Redis learns of it.
    expect(await known(inBoth(redis, { prefix: 'shop:' }), 1)).toMatchObject({ version: 5, isFresh: false })
  })

  test('another shop that uses the same Redis is another shop', async () => {
    const redis = await connectTo((await startRedis()).url)
    put(inBoth(redis, { prefix: 'shop:' }), 1, 5)
    expect(await known(inBoth(redis, { prefix: 'bakery:' }), 1)).toBeUndefined()
  })

  test.each([
    ['nothing like it', (redis: Redis) => redis.set('shop:1', 'garbage')],
    ['a list', (redis: Redis) => redis.rpush('shop:1', 'a', 'b')],
    ['other fields', (redis: Redis) => redis.hset('shop:1', { colour: 'green' })],
    ['a value of another shape', (redis: Redis) => redis.hset('shop:1', { version: '5', at: '1', value: '{"units":"many"}' })],
    ['half a value', (redis: Redis) => redis.hset('shop:1', { version: '5', at: '1', value: '{"uni' })],
    ['a version that is none', (redis: Redis) => redis.hset('shop:1', { version: 'new', at: 'now', value: '{"units":1}' })],
  ])('%s under its name is as if nothing were there, and gives way', async (_what, spoil) => {
    const redis = await connectTo((await startRedis()).url)
    await spoil(redis)
    const cache = inRedis(redis, 'shop:')
    put(cache, 2, 3)
    expect(await cache.get([1, 2])).toMatchObject([undefined, { version: 3, isFresh: true }])
    put(cache, 1, 6)
    expect(await known(cache, 1)).toMatchObject({ version: 6, isFresh: true })
    await redis.del('shop:1')
    await spoil(redis)
    cache.outdate([1], 8)
    put(cache, 1, 7)
    expect((await known(cache, 1))?.version).not.toBe(7)
  })

  test('many keys are asked for at once', async () => {
    const redis = await connectTo((await startRedis()).url)
    let asked = 0
    const counted = countingAsks(redis, () => (asked += 1))
    const cache = inRedis(counted, 'shop:')
    const keys = Array.from({ length: 1_200 }, (_, key) => key)
    cache.put(keys.map((key) => ({ key, value: { units: key }, version: 5, askedAt: performance.now() })))
    asked = 0
    expect((await cache.get(keys)).map((held) => held?.value.units)).toEqual(keys)
    expect(asked).toBe(3)
  })

  test('hung, gone or back, Redis fails nobody, is told of once, and then left alone', async () => {
    const server = await startRedis()
    const real = openRedis({ url: server.url, limits: limits.redis, onBroken: () => undefined })
    onTestFinished(() => real.disconnect())
    const faults: unknown[] = []
    let [asked, at] = [0, 0]
    const redis = countingAsks(real, () => (asked += 1))
    const shared = redisCache<Stock>({
      redis,
      prefix: () => 'shop:',
      codec,
      limits: limits.cache,
      ttlMs: () => TTL_MS,
      keepMs: TTL_MS,
      onFault: (error) => faults.push(error),
      now: () => at,
    })
    const cache = twoLevelCache({ memory: inMemory(limits.cache, () => at), shared, limits: limits.cache, wait: async () => undefined })
    const serves = async () => {
      at += limits.cache.redisAwayMs
      put(cache, 'warm', at, 1, at)
      return (await shared.get(['warm']))[0] !== undefined
    }
    await until('Redis remembers', serves)
    faults.length = 0
    server.pause()
    asked = 0
    for (let key = 1; key <= 50; key += 1) {
      put(cache, key, at, 1, at)
      cache.outdate([key], 1)
      expect(await known(cache, key)).toMatchObject({ isFresh: true })
      expect(await known(cache, -key)).toBeUndefined()
    }
    expect(faults).toHaveLength(1)
    expect(asked).toBeLessThanOrEqual(3)
    server.resume()
    await until('Redis remembers again', serves)
    await server.kill()
    for (let key = 1; key <= 50; key += 1) expect(await known(cache, key)).toMatchObject({ isFresh: true })
  })
})

type Source = {
  readonly reader: ReturnType<typeof readThrough<Stock>>
  readonly cache: NearCache<Stock>
  readonly loads: (readonly Key[])[]
  readonly told: unknown[]
  readonly from: Record<string, number>
  /** What is so now. */
  set(key: Key, units: number): number
  /** Holds back every answer, until it is let go. */
  hold(): { letGo(): void }
  fail(error: Error | undefined): void
  pass(ms: number): void
}
class Away extends Error {}

const sourced = (options: Partial<ReadThroughOptions<Stock>> & { readonly makeCache?: (now: () => number) => NearCache<Stock> } = {}): Source => {
  let [at, sequence] = [1_000, 1]
  const units = new Map<Key, number>()
  const loads: (readonly Key[])[] = []
  const told: unknown[] = []
  const from: Record<string, number> = {}
  let gate: Promise<void> | undefined
  let failing: Error | undefined
  const cache = options.makeCache?.(() => at) ?? inMemory(limits.cache, () => at)
  const reader = readThrough<Stock>({
    cache,
    load: async (keys) => {
      loads.push(keys)
      const [answer, error] = [keys.map((key) => ({ value: { units: units.get(key) ?? 0 }, version: sequence })), failing]
      await gate
      if (error) throw error
      return answer
    },
    isAway: (error) => error instanceof Away,
    limits: limits.cache,
    staleMs: 3_600_000,
    onAway: (error) => told.push(error),
    onRead: (where, count) => void (from[where] = (from[where] ?? 0) + count),
    now: () => at,
    ...options,
  })
  return {
    reader,
    cache,
    loads,
    told,
    from,
    set: (key, count) => {
      units.set(key, count)
      sequence += 1
      cache.outdate([key], sequence)
      return sequence
    },
    hold: () => {
      const { promise, resolve } = Promise.withResolvers<void>()
      gate = promise
      return {
        letGo: () => {
          gate = undefined
          resolve()
        },
      }
    },
    fail: (error) => void (failing = error),
    pass: (ms) => void (at += ms),
  }
}
const unitsIn = ({ held }: Read<Stock>) => held.map(({ value }) => value.units)

describe('reading through it', () => {
  test('what is known is answered at once, without asking anybody', async () => {
    const { reader, loads, from } = sourced()
    await reader.read([1])
    const again = reader.read([1])
    expect(again).not.toBeInstanceOf(Promise)
    expect(loads).toHaveLength(1)
    expect(from).toMatchObject({ source: 1, memory: 1 })
  })

  test('many who want the same ask once', async () => {
    const { reader, loads, set, hold } = sourced()
    set(1, 7)
    const { letGo } = hold()
    const all = Array.from({ length: 100 }, async () => reader.read([1]))
    await until('somebody asked', () => loads.length > 0)
    letGo()
    for (const read of await Promise.all(all)) expect(unitsIn(read)).toEqual([7])
    expect(loads).toEqual([[1]])
  })

  test('who comes after a change is not given what somebody asked for before it', async () => {
    const { reader, loads, set, hold } = sourced()
    set(1, 7)
    const { letGo } = hold()
    const before = reader.read([1])
    await until('somebody asked', () => loads.length === 1)
    set(1, 3)
    const after = reader.read([1])
    letGo()
    expect(unitsIn(await before)).toEqual([7])
    expect(unitsIn(await after)).toEqual([3])
    // The late answer was not remembered.
    expect(unitsIn(await reader.read([1]))).toEqual([3])
    expect(loads).toHaveLength(2)
  })

  test('only what is missing, or older than was asked for, is read again', async () => {
    const { reader, loads, set } = sourced()
    set(1, 7)
    await reader.read([1])
    const sequence = set(2, 9)
    expect(unitsIn(await reader.read([1, 2]))).toEqual([7, 9])
    expect(unitsIn(await reader.read([1, 2], sequence))).toEqual([7, 9])
    expect(loads).toEqual([[1], [2], [1]])
  })

  test('an error that is none of the world is nobody else’s, and is not covered up', async () => {
    const { reader, fail, set } = sourced()
    await reader.read([1])
    set(1, 3)
    fail(new RangeError('a defect'))
    await expect(reader.read([1])).rejects.toThrow('a defect')
    fail(undefined)
    expect(unitsIn(await reader.read([1]))).toEqual([3])
  })

  test('however it falls together, nobody is given what was outdated before they asked, or less than they had before', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.array(fc.record({ does: fc.constantFrom('change', 'read', 'read'), key: fc.nat(3), reader: fc.nat(2) }), { minLength: 4, maxLength: 40 }),
        async (scheduler, taken) => {
          const cache = inMemory(small)
          let sequence = 1
          const changedAt = new Map<Key, number>()
          const { read } = readThrough<Stock>({
            cache,
            // What it answers is of when it was asked, and comes when it comes.
            load: scheduler.scheduleFunction(async (keys: readonly Key[]) =>
              keys.map((key) => ({ value: { units: changedAt.get(key) ?? 0 }, version: sequence })),
            ),
            isAway: () => false,
            limits: limits.cache,
            staleMs: 0,
            onAway: () => expect.unreachable(),
            onRead: () => undefined,
          })
          const wrong: string[] = []
          const readers = Map.groupBy(taken.keys(), (index) => taken[index]?.reader ?? 0)
          const play = async (mine: readonly number[]) => {
            const seen = new Map<Key, number>()
            for (const index of mine) {
              await scheduler.schedule(Promise.resolve(index))
              const { does, key } = taken[index] as (typeof taken)[number] // one of them
              if (does === 'change') {
                changedAt.set(key, (sequence += 1))
                cache.outdate([key], sequence)
                continue
              }
              const least = Math.max(changedAt.get(key) ?? 0, seen.get(key) ?? 0)
              const { held } = await read([key])
              const { version = 0, value } = held[0] ?? {}
              if (version < least || ((value?.units ?? 0) < (changedAt.get(key) ?? 0) && version >= (changedAt.get(key) ?? 0)))
                wrong.push(`${key}: ${version} after ${least}`)
              seen.set(key, version)
            }
          }
          const all = Promise.all(Array.from(readers.values(), play))
          await scheduler.waitFor(all)
          expect(wrong).toEqual([])
        },
      ),
      { numRuns: 300 },
    )
  })
})

describe('while nobody can be asked', () => {
  test('what was known is answered as it was, with its age; what was not, is not', async () => {
    const { reader, set, fail, pass, told, from } = sourced()
    set(1, 7)
    await reader.read([1])
    pass(5_000)
    set(1, 3)
    fail(new Away('the database is away'))
    expect(await reader.read([1])).toEqual({ held: [expect.objectContaining({ value: { units: 7 } })], staleMs: 5_000 })
    await expect(reader.read([2])).rejects.toThrow('the database is away')
    await expect(reader.read([1, 2])).rejects.toThrow('the database is away')
    expect(told).toHaveLength(1)
    expect(from['stale']).toBe(1)
  })

  test('what is still fresh is not called stale', async () => {
    const { reader, fail } = sourced()
    await reader.read([1])
    fail(new Away())
    expect(await reader.read([1])).toMatchObject({ staleMs: null })
  })

  test('nobody is given less than they have seen', async () => {
    const { reader, set, fail } = sourced()
    await reader.read([1])
    const sequence = set(1, 3)
    fail(new Away())
    await expect(reader.read([1], sequence)).rejects.toThrow(Away)
    expect(await reader.read([1], sequence - 1)).toMatchObject({ staleMs: 0 })
  })

  test('what is too old is no answer', async () => {
    const { reader, set, fail, pass } = sourced({ staleMs: 10_000 })
    await reader.read([1])
    set(1, 3)
    fail(new Away())
    pass(9_999)
    expect(await reader.read([1])).toMatchObject({ staleMs: 9_999 })
    pass(1)
    await expect(reader.read([1])).rejects.toThrow(Away)
  })

  test('an operator who wants none of it gets none of it', async () => {
    const { reader, set, fail } = sourced({ staleMs: 0 })
    await reader.read([1])
    set(1, 3)
    fail(new Away())
    await expect(reader.read([1])).rejects.toThrow(Away)
  })

  test('one in half a second asks for all whether it is back, and nobody waits for that', async () => {
    const { reader, set, fail, pass, loads, hold } = sourced()
    await reader.read([1])
    set(1, 3)
    fail(new Away())
    await reader.read([1])
    const asked = loads.length
    for (let n = 0; n < 100; n += 1) await reader.read([1])
    expect(loads).toHaveLength(asked)
    pass(limits.cache.probeMs)
    // It hangs now.
    const { letGo } = hold()
    for (let n = 0; n < 100; n += 1) expect(await reader.read([1])).toMatchObject({ staleMs: expect.any(Number) })
    expect(loads).toHaveLength(asked + 1)
    letGo()
    fail(undefined)
    pass(limits.cache.probeMs)
    await until('it is back', async () => {
      pass(limits.cache.probeMs)
      return (await reader.read([1])).staleMs === null
    })
    expect(unitsIn(await reader.read([1]))).toEqual([3])
  })

  test('a database that hangs keeps nobody waiting who could be told what was', async () => {
    const { reader, set, hold, told } = sourced({ limits: { patienceMs: 1, probeMs: 500 } })
    await reader.read([1])
    set(1, 3)
    const { letGo } = hold()
    expect(unitsIn(await reader.read([1]))).toEqual([0])
    expect(told).toHaveLength(1)
    letGo()
    await until('it answers', async () => (await reader.read([1])).staleMs === null)
    expect(unitsIn(await reader.read([1]))).toEqual([3])
  })
})

describe.skipIf(!hasRedis)('processes that read through one Redis', () => {
  const shop = (redis: Redis, wait: () => Promise<void>) =>
    sourced({
      makeCache: (now) =>
        twoLevelCache({
          memory: inMemory(limits.cache, now),
          shared: redisCache<Stock>({
            redis,
            prefix: () => 'shop:',
            codec,
            limits: limits.cache,
            ttlMs: () => TTL_MS,
            keepMs: TTL_MS,
            onFault: () => undefined,
            now,
          }),
          limits: limits.cache,
          wait,
        }),
    })

  test('when nobody knows anything, one of them asks for all', async () => {
    const redis = await connectTo((await startRedis()).url)
    const one = shop(redis, async () => undefined)
    const { letGo } = one.hold()
    const first = one.reader.read([1])
    await until('one asks', () => one.loads.length === 1)
    const other = shop(redis, async () => {
      letGo()
      await first
    })
    expect(await other.reader.read([1])).toMatchObject({ staleMs: null })
    expect(other.loads).toEqual([])
    expect(other.from).toMatchObject({ shared: 1 })
  })

  test('who waited for one that has died asks alone, and not later than the bound', async () => {
    const redis = await connectTo((await startRedis()).url)
    const one = shop(redis, async () => undefined)
    one.hold()
    void one.reader.read([1])
    await until('one asks', () => one.loads.length === 1)
    let waits = 0
    const other = shop(redis, async () => void (waits += 1))
    expect(await other.reader.read([1])).toMatchObject({ staleMs: null })
    expect(other.loads).toEqual([[1]])
    expect(waits * limits.cache.leaseWaitMs).toBeLessThanOrEqual(50)
  })

  test('what was changed a moment ago is waited for by nobody', async () => {
    const redis = await connectTo((await startRedis()).url)
    const one = shop(redis, async () => undefined)
    await one.reader.read([1])
    one.set(1, 3)
    one.hold()
    void one.reader.read([1])
    await until('one asks', () => one.loads.length === 2)
    const other = shop(redis, () => expect.unreachable('it waited'))
    expect(await other.reader.read([1])).toMatchObject({ staleMs: null })
    expect(other.loads).toEqual([[1]])
  })
})
