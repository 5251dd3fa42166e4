// Reads what is remembered, and otherwise asks where it is known: once for all who want the same. When nobody can be asked, what is
// old is better than nothing, and is said to be old.
import type { CacheLimits } from '../platform/limits.ts'
import type { Held, Key, Loaded, NearCache } from './cache.ts'

export type ReadThroughOptions<Value> = {
  readonly cache: NearCache<Value>
  /** What is so now, of each key, in their order. */
  readonly load: (keys: readonly Key[]) => Promise<readonly { readonly value: Value; readonly version: number }[]>
  /** Whether an error says that nobody could be asked, rather than that something is wrong. */
  readonly isAway: (error: unknown) => boolean
  readonly limits: Pick<CacheLimits, 'patienceMs' | 'probeMs'>
  /** How old an answer may be when nobody can be asked. 0: there is none. */
  readonly staleMs: number
  /** Told once for each time that it goes. */
  readonly onAway: (error: unknown) => void
  readonly onRead: (from: ReadFrom, keys: number) => void
  readonly now?: () => number
}
export type ReadFrom = 'memory' | 'shared' | 'source' | 'stale'

export type Read<Value> = {
  /** Of each key, in their order. */
  readonly held: readonly Pick<Held<Value>, 'value' | 'version'>[]
  /** How old the oldest of them is, when nothing newer could be had; otherwise null. */
  readonly staleMs: number | null
}

export type ReadThrough<Value> = {
  /**
   * At once when this process remembers it. Rejects when nobody can be asked, and nothing is remembered that would do.
   * @param atLeast  what is of an older version is not answered from memory
   */
  read(keys: readonly Key[], atLeast?: number): Read<Value> | Promise<Read<Value>>
}

type Flight<Value> = {
  /** Its place among all flights and reads: who came after it may know of something that it will not see. */
  readonly began: number
  readonly landed: Promise<ReadonlyMap<Key, Loaded<Value>>>
  /** Resolves when it takes longer than anybody waits who has something to fall back on. */
  readonly late: Promise<undefined>
}

export const readThrough = <Value>({
  cache,
  load,
  isAway,
  limits,
  staleMs,
  onAway,
  onRead,
  now = () => performance.now(),
}: ReadThroughOptions<Value>): ReadThrough<Value> => {
  const flights = new Map<Key, Flight<Value>>()
  let places = 0
  let isGone = false
  let awayUntil = 0
  let probe: Flight<Value> | undefined

  const gone = (error: unknown) => {
    awayUntil = now() + limits.probeMs
    if (!isGone) onAway(error)
    isGone = true
  }

  /** Begins to load keys that nobody is loading. */
  const begin = (keys: readonly Key[]): Flight<Value> => {
    const askedAt = now()
    const late = Promise.withResolvers<undefined>()
    const timer = setTimeout(() => {
      gone(new Error(`no answer within ${limits.patienceMs} ms`))
      late.resolve(undefined)
    }, limits.patienceMs)
    timer.unref()
    const landed = fetched(keys, askedAt).finally(() => {
      clearTimeout(timer)
      for (const key of keys) flights.delete(key)
    })
    // Everybody who waits for it hears of it; it may be that nobody does.
    landed.catch(() => undefined)
    const flight = { began: (places += 1), landed, late: late.promise }
    for (const key of keys) flights.set(key, flight)
    return flight
  }
  const fetched = async (keys: readonly Key[], askedAt: number): Promise<ReadonlyMap<Key, Loaded<Value>>> => {
    try {
      const found = await load(keys)
      isGone = false
      awayUntil = 0
      const loaded = keys.map((key, index): Loaded<Value> => {
        const one = found[index]
        if (one === undefined) throw new Error(`asked for ${keys.length} keys, told of ${found.length}`)
        return { key, askedAt, ...one }
      })
      cache.put(loaded)
      return new Map(loaded.map((one) => [one.key, one]))
    } catch (error) {
      if (isAway(error)) gone(error)
      throw error
    }
  }

  /** Answers from what is old, when all of it will do. */
  const stale = (held: readonly (Held<Value> | undefined)[], atLeast: number): Read<Value> | undefined => {
    const at = now()
    const old = held.filter((one) => one !== undefined)
    const oldest = Math.min(...old.map(({ askedAt }) => askedAt))
    if (old.length < held.length || !(at - oldest < staleMs) || old.some(({ version }) => version < atLeast)) return undefined
    return { held: old, staleMs: at - oldest }
  }
  const answerStale = (keys: readonly Key[], answer: Read<Value>): Read<Value> => {
    onRead('stale', keys.length)
    // One of them asks again for all, and does not wait for it either.
    if (now() >= awayUntil) {
      awayUntil = now() + limits.probeMs
      const wanted = keys.filter((key) => !flights.has(key) && cache.peek(key)?.isFresh !== true)
      if (probe === undefined && wanted.length > 0) {
        probe = begin(wanted)
        probe.landed.then(
          () => (probe = undefined),
          () => (probe = undefined),
        )
      }
    }
    return answer
  }

  const readLater = async (keys: readonly Key[], known: readonly (Held<Value> | undefined)[], atLeast: number): Promise<Read<Value>> => {
    const place = (places += 1)
    const found = known.every((one) => one?.isFresh) ? known : await cache.get(keys)
    const isGood = (one: Held<Value> | undefined): one is Held<Value> => one?.isFresh === true && one.version >= atLeast
    const held = new Map(keys.map((key, index) => [key, found[index]]))
    const answered = () => ({ held: keys.map((key) => held.get(key) as Held<Value>), staleMs: null }) // all of them are good
    const sought = Array.from(held.keys()).filter((key) => !isGood(held.get(key)))
    onRead('shared', held.size - sought.length)
    if (sought.length === 0) return answered()
    if (isGone) {
      const old = stale(found, atLeast)
      if (old !== undefined) return answerStale(keys, old)
    }
    onRead('source', sought.length)
    for (let missing = sought; missing.length > 0;) {
      const alone = missing.filter((key) => !flights.has(key))
      if (alone.length > 0) begin(alone)
      const joined = new Map(missing.map((key) => [key, flights.get(key) as Flight<Value>])) // just begun, or under way
      const old = stale(found, atLeast)
      try {
        for (const { landed, late } of new Set(joined.values())) {
          const loaded = await (old === undefined ? landed : Promise.race([landed, late]))
          if (loaded === undefined && old !== undefined) return answerStale(keys, old)
        }
      } catch (error) {
        if (old !== undefined && isAway(error)) return answerStale(keys, old)
        throw error
      }
      const left: Key[] = []
      for (const [key, flight] of joined) {
        const near = cache.peek(key)
        const one = (await flight.landed).get(key)
        if (isGood(near)) held.set(key, near)
        // What was asked for after we came has seen all that we may know of. Whoever joined others asks once more.
        else if (flight.began > place && one !== undefined) held.set(key, { ...one, isFresh: true })
        else left.push(key)
      }
      missing = left
    }
    return answered()
  }

  return {
    read: (keys, atLeast = 0) => {
      const known = keys.map((key) => cache.peek(key))
      if (known.every((one) => one?.isFresh && one.version >= atLeast)) {
        onRead('memory', keys.length)
        return { held: known as readonly Held<Value>[], staleMs: null } // every one of them is there
      }
      return readLater(keys, known, atLeast)
    },
  }
}
