// Who is behind a credential, a key or the token of a session: answered from memory for a few seconds at most, and looked up
// many at a time. While the database is away, who was known goes on being known: nobody can end a key there meanwhile. Nobody who was
// refused comes back by it.
import { hash, timingSafeEqual } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { IdentityLimits } from '../../platform/limits.ts'
import { Fault, isAway } from '../../storage/fault.ts'
import type { Caller } from '../service.ts'

export type Recall = {
  /** The caller, at once when they were seen lately. Rejects when that cannot be found out now. */
  callerOf(credential: string): Caller | undefined | Promise<Caller | undefined>
  /** No longer from memory: what this process has ended itself, it refuses at once. */
  forget(isMeant: (caller: Caller) => boolean): void
  /** The ids that were asked with since this was last called. */
  used(): string[]
  /** Resolves when nothing is being looked up. */
  settled(): Promise<void>
}

export type RecallDeps<Row> = {
  /** Could it be one at all? Most that cannot are refused without a look into the database. */
  readonly looksRight: (credential: string) => boolean
  /** The rows with these digests that may be used now. */
  readonly lookUp: (digests: readonly Buffer[]) => Promise<Row[]>
  readonly toCaller: (row: Row) => Caller
  readonly limits: Pick<IdentityLimits, 'keyCacheMs' | 'keyRefreshMs' | 'keyRetryMs' | 'keysCached' | 'unknownKeysCached' | 'lookups' | 'lookUpMs'>
  /** How long after it was last asked for one goes on being known while the database is away. 0: not at all. */
  readonly staleMs: number
  /** Told once when the database goes, and when one that is remembered could not be asked for again for another reason. */
  readonly onFault: (error: unknown) => void
  /** Milliseconds that only grow. */
  readonly now: () => number
}

type Found = {
  readonly id: string
  readonly digest: Buffer
  /** How much longer it may be used at all; null: nobody has set an end to it. */
  readonly lives_ms: number | null
}

export const recall = <Row extends Found>({ looksRight, lookUp, toCaller, limits, staleMs, onFault, now }: RecallDeps<Row>): Recall => {
  const known = new LRUCache<string, Known>({ max: limits.keysCached })
  const unknown = new LRUCache<string, number>({ max: limits.unknownKeysCached })
  /** What is to be looked up next, all in one statement: what was made up cannot take more than this one connection. */
  let waiting = new Map<string, Waiting>()
  let lookingUp: Promise<void> | undefined
  /** What was asked for before something was forgotten may be what was to be forgotten. */
  let forgotAt = Number.NEGATIVE_INFINITY
  let isGone = false
  let probedAt = Number.NEGATIVE_INFINITY

  const ask = (text: string, digest: Buffer): Promise<Caller | undefined> => {
    const others = waiting.get(text)
    if (others) return others.promise
    if (waiting.size >= limits.lookups) return Promise.reject(new Error(`${limits.lookups} credentials are being looked up already`))
    const asked = Promise.withResolvers<Caller | undefined>()
    waiting.set(text, { ...asked, digest })
    lookingUp ??= work()
    return asked.promise
  }

  const work = async (): Promise<void> => {
    // Those that come in the same turn go together.
    await Promise.resolve()
    while (waiting.size > 0) {
      const batch = waiting
      waiting = new Map()
      // The age of an answer counts from when it was asked for: what is ended meanwhile must not live longer by the time of the query.
      const askedAt = now()
      try {
        const rows = await inTime(lookUp(Array.from(batch.values(), ({ digest }) => digest)), limits.lookUpMs)
        isGone = false
        const found = new Map(rows.map((row) => [row.digest.toString('hex'), row]))
        for (const [text, { digest, resolve }] of batch) resolve(take(text, digest, found.get(text), askedAt))
      } catch (error) {
        if (isAway(error)) {
          if (!isGone) onFault(error)
          isGone = true
        }
        for (const { reject } of batch.values()) reject(error)
      }
    }
    // In the same turn in which nobody was found waiting: whoever comes after this begins anew, and is not left waiting for us.
    lookingUp = undefined
  }

  const take = (text: string, digest: Buffer, row: Row | undefined, askedAt: number): Caller | undefined => {
    if (row === undefined || !timingSafeEqual(row.digest, digest)) {
      known.delete(text)
      unknown.set(text, askedAt)
      return undefined
    }
    const before = known.peek(text)
    const caller = toCaller(row)
    if (askedAt > forgotAt) {
      const goodUntil = askedAt + Math.min(staleMs, row.lives_ms ?? staleMs)
      known.set(text, { id: row.id, caller, askedAt, goodUntil, askedAgainAt: 0, used: before?.used ?? true })
    }
    return caller
  }

  /** The database is asked, and what was known of them counts if it is away. */
  const askAnew = async (text: string, digest: Buffer, entry: Known): Promise<Caller | undefined> => {
    try {
      return await ask(text, digest)
    } catch (error) {
      // Only if nobody has ended it here meanwhile.
      if (isAway(error) && known.get(text) === entry && now() < entry.goodUntil) return entry.caller
      throw error
    }
  }

  return {
    callerOf: (credential) => {
      const text = digestText(credential)
      const entry = known.get(text)
      if (entry !== undefined) {
        entry.used = true
        const at = now()
        const age = at - entry.askedAt
        if (age >= limits.keyCacheMs) {
          if (!isGone || at >= entry.goodUntil) return askAnew(text, digestOf(credential), entry)
          // One request finds out for all whether it is back, and nobody waits for that.
          if (at - probedAt >= limits.keyRetryMs) {
            probedAt = at
            ask(text, digestOf(credential)).catch(() => undefined)
          }
          return entry.caller
        }
        // One request asks again for all; a database that is away is not asked by each of them.
        if (age >= limits.keyRefreshMs && age - entry.askedAgainAt >= limits.keyRetryMs) {
          entry.askedAgainAt = age
          ask(text, digestOf(credential)).catch((error: unknown) => {
            // That the database is away has been told.
            if (!isAway(error)) onFault(error)
          })
        }
        return entry.caller
      }
      if (!looksRight(credential)) return undefined
      const refusedAt = unknown.get(text)
      if (refusedAt !== undefined && now() - refusedAt < limits.keyRefreshMs) return undefined
      return ask(text, digestOf(credential))
    },
    forget: (isMeant) => {
      forgotAt = now()
      for (const [text, { caller }] of known.entries()) if (isMeant(caller)) known.delete(text)
    },
    used: () => {
      const used: string[] = []
      for (const entry of known.values()) {
        if (entry.used) used.push(entry.id)
        entry.used = false
      }
      return used
    },
    settled: async () => {
      await lookingUp
    },
  }
}

/** What is kept of a credential. All of them have more than 112 bits of chance, so that a plain digest will do: nobody can try them all. */
export const digestOf = (credential: string): Buffer => hash('sha256', credential, 'buffer')
/** The same as text, to be looked up in memory. A digest tells nothing of its credential, so comparing it needs no constant time. */
const digestText = (credential: string): string => hash('sha256', credential, 'hex')

type Known = {
  readonly id: string
  readonly caller: Caller
  readonly askedAt: number
  /** While the database is away. */ readonly goodUntil: number
  /** At what age. */ askedAgainAt: number
  used: boolean
}
type Waiting = {
  readonly digest: Buffer
  readonly promise: Promise<Caller | undefined>
  readonly resolve: (caller: Caller | undefined) => void
  readonly reject: (error: unknown) => void
}

const inTime = async <Answer>(asked: Promise<Answer>, ms: number): Promise<Answer> => {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new Fault('unavailable', false, undefined, new Error(`no answer within ${ms} ms`))), ms)
  try {
    return await Promise.race([asked, late.promise])
  } finally {
    clearTimeout(timer)
  }
}
