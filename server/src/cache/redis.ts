// What several processes remember together. It may be wiped, hung, away or full of somebody else's values at any moment: then
// nothing is held, and nobody is told of an error.
import type { CacheLimits } from '../platform/limits.ts'
import { patiently, type Redis } from '../platform/redis.ts'
import type { Cache, Codec, Held, Key, Loaded } from './cache.ts'

export type RedisCacheOptions<Value> = {
  readonly redis: Pick<Redis, 'eval'>
  /** What the names of its keys begin with: two that share one Redis must not read each other's. Undefined: not known yet, and Redis is not asked. */
  readonly prefix: () => string | undefined
  readonly codec: Codec<Value>
  readonly limits: Pick<CacheLimits, 'floorMs' | 'leaseMs' | 'redisKeys' | 'redisAwayMs' | 'jitter'>
  readonly ttlMs: () => number
  /** How long an old value is kept for when nothing newer can be had. */
  readonly keepMs: number
  /** Told once for each time that Redis goes. */
  readonly onFault: (error: unknown) => void
  readonly now?: () => number
}

export type RedisCache<Value> = Cache<Value> & {
  get(keys: readonly Key[]): Promise<readonly (Held<Value> | undefined)[]>
  /** As `get`, by one who will read what is not there. Where another one does so already, it says so. */
  getOrClaim(keys: readonly Key[]): Promise<readonly Claimed<Value>[]>
}
export type Claimed<Value> = { readonly held: Held<Value> | undefined; readonly isBeingRead: boolean }

export const redisCache = <Value>({
  redis,
  prefix,
  codec,
  limits,
  ttlMs,
  keepMs,
  onFault,
  now = () => performance.now(),
}: RedisCacheOptions<Value>): RedisCache<Value> => {
  const { ask } = patiently({ awayMs: limits.redisAwayMs, onFault, now })

  /** What cannot be done now is not done. */
  const run = async (script: string, keys: readonly Key[], words: readonly (string | number)[]): Promise<unknown> => {
    const begin = prefix()
    return begin === undefined ? undefined : ask(() => redis.eval(script, keys.length, ...keys.map((key) => `${begin}${key}`), ...words))
  }
  const inParts = <One>(all: readonly One[]): (readonly One[])[] =>
    Array.from({ length: Math.ceil(all.length / limits.redisKeys) }, (_, part) => all.slice(part * limits.redisKeys, (part + 1) * limits.redisKeys))

  const read = async (keys: readonly Key[], claims: boolean): Promise<Claimed<Value>[]> => {
    const askedFrom = now()
    const words = [claims ? 1 : 0, limits.leaseMs, Math.floor(ttlMs() * (1 - limits.jitter))]
    const answers = await Promise.all(
      inParts(keys).map(async (part) => {
        const found = (await run(READ, part, words)) as readonly Found[] | undefined // what the script returns
        return part.map((_, index) => claimedOf(found?.[index], askedFrom))
      }),
    )
    return answers.flat()
  }
  const claimedOf = (found: Found | undefined, askedFrom: number): Claimed<Value> => {
    if (found === undefined) return { held: undefined, isBeingRead: false }
    const [floor, version, ageMs, text, isBeingRead] = found
    return { held: heldOf({ floor, version, ageMs, text, askedFrom }), isBeingRead: isBeingRead === 1 }
  }
  const heldOf = ({ floor, version: versionText, ageMs, text, askedFrom }: Written): Held<Value> | undefined => {
    if (versionText === null || text === null || ageMs === null) return undefined
    const version = Number(versionText)
    const value = codec.read(text)
    if (!Number.isSafeInteger(version) || value === undefined) return undefined
    const isOutdated = floor !== null && Number(floor) > version
    return { value, version, askedAt: askedFrom - ageMs, isFresh: !isOutdated && ageMs >= 0 && ageMs < ttlMs() }
  }

  return {
    get: async (keys) => (await read(keys, false)).map(({ held }) => held),
    getOrClaim: (keys) => read(keys, true),
    put: (loaded: readonly Loaded<Value>[]) => {
      const at = now()
      // What is too old to be fresh came too late, perhaps after its floor was forgotten.
      const timely = loaded.filter(({ askedAt }) => at - askedAt < Math.min(ttlMs(), limits.floorMs))
      for (const part of inParts(timely))
        void run(
          PUT,
          part.map(({ key }) => key),
          [
            Math.ceil(Math.max(keepMs, ttlMs(), limits.floorMs)),
            ...part.flatMap(({ version, askedAt, value }) => [version, Math.max(0, Math.round(at - askedAt)), codec.write(value)]),
          ],
        )
    },
    outdate: (keys, version) => {
      for (const part of inParts(keys)) void run(OUTDATE, part, [version, limits.floorMs])
    },
  }
}

type Found = readonly [floor: string | null, version: string | null, ageMs: number | null, text: string | null, isBeingRead: 0 | 1]
type Written = {
  readonly floor: string | null
  readonly version: string | null
  readonly ageMs: number | null
  readonly text: string | null
  readonly askedFrom: number
}

// A key is a hash of the least version that may be put (floor), and what was put: version, value, and when it was asked for by
// the clock of Redis (at), so that processes whose clocks differ agree on its age. What is no hash is none of ours, and goes.

/** Who reads for the others is whoever finds nothing, or what is too old. What was changed is read by everybody: to wait would take as long. */
const READ = `
local time = redis.call('time')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local answers = {}
for i, key in ipairs(KEYS) do
  local held = redis.pcall('hmget', key, 'floor', 'version', 'at', 'value')
  if held.err then held = { false, false, false, false } end
  local floor, version, at = tonumber(held[1]), tonumber(held[2]), tonumber(held[3])
  local age = at and math.floor(now - at)
  local read = 0
  if ARGV[1] == '1' and not (version and age and age < tonumber(ARGV[3])) and not (floor and floor > (version or 0)) then
    if not redis.call('set', key .. ':read', '1', 'nx', 'px', ARGV[2]) then read = 1 end
  end
  answers[i] = { held[1], held[2], age or false, held[4], read }
end
return answers`

const PUT = `
local time = redis.call('time')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for i, key in ipairs(KEYS) do
  local version, age, value = ARGV[3 * i - 1], ARGV[3 * i], ARGV[3 * i + 1]
  local held = redis.pcall('hmget', key, 'floor', 'version', 'at')
  if held.err then
    redis.call('del', key)
    held = { false, false, false }
  end
  local floor, current, at = tonumber(held[1]), tonumber(held[2]), tonumber(held[3])
  local new, asked = tonumber(version), now - age
  if not (floor and new < floor) and not (current and (new < current or new == current and at and asked <= at)) then
    redis.call('hset', key, 'version', version, 'value', value, 'at', string.format('%.0f', asked))
    redis.call('pexpire', key, ARGV[1])
  end
  redis.call('del', key .. ':read')
end`

const OUTDATE = `
for i, key in ipairs(KEYS) do
  local held = redis.pcall('hget', key, 'floor')
  if type(held) == 'table' and held.err then
    redis.call('del', key)
    held = false
  end
  local floor = tonumber(held)
  if not (floor and floor >= tonumber(ARGV[1])) then redis.call('hset', key, 'floor', ARGV[1]) end
  if redis.call('pttl', key) < tonumber(ARGV[2]) then redis.call('pexpire', key, ARGV[2]) end
end`
