// Who a key belongs to, answered from memory for a few seconds at most; and who the first ones are.
import { timingSafeEqual } from 'node:crypto'
import { scopes as allScopes, withIncluded, type Scope } from '@holdfast/contract'
import { LRUCache } from 'lru-cache'
import type { IdentityLimits } from '../../platform/limits.ts'
import { randomPassword, uuidV7 } from '../../platform/random.ts'
import type { Pool } from '../../storage/pool.ts'
import type { Caller, Service } from '../service.ts'
import { digestOf, digestText, looksLikeApiKey, newApiKey } from './api-keys.ts'
import { hashPassword } from './password.ts'
import { aloneInFirstStart, counts, insertKey, insertUser, keyByDigest, keysPage, liveKeys, revoke, touchKeys, type KeyRow, type LiveKey } from './store.ts'

export type IdentityDeps = {
  readonly pool: Pool
  readonly limits: IdentityLimits
  /** Told when the time of last use could not be written, or a key could not be asked for again. Nobody waits for either. */
  readonly onFault: (error: unknown) => void
  /** Milliseconds that only grow. Tests have their own. */
  readonly now?: () => number
}

export type Identity = Service<'identity'> & {
  /** The caller behind a key, at once when it was seen lately. Rejects when that cannot be found out now. */
  identify(key: string): Caller | undefined | Promise<Caller | undefined>
}

export const identity = ({ pool, limits, onFault, now = () => performance.now() }: IdentityDeps): Identity => {
  const known = new LRUCache<string, Known>({ max: limits.keysCached })
  const unknown = new LRUCache<string, number>({ max: limits.unknownKeysCached })
  /** What is to be looked up next, all in one statement: made-up keys cannot take more than this one connection. */
  let waiting = new Map<string, Waiting>()
  let lookingUp: Promise<void> | undefined
  let timer: NodeJS.Timeout | undefined

  const lookUp = (text: string, digest: Buffer): Promise<Caller | undefined> => {
    const others = waiting.get(text)
    if (others) return others.promise
    if (waiting.size >= limits.lookups) return Promise.reject(new Error(`${limits.lookups} keys are being looked up already`))
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
      // The age of an answer counts from when it was asked for: a key revoked meanwhile must not live longer by the time of the query.
      const askedAt = now()
      try {
        const rows = await liveKeys(
          pool,
          Array.from(batch.values(), ({ digest }) => digest),
        )
        const found = new Map(rows.map((row) => [row.digest.toString('hex'), row]))
        for (const [text, { digest, resolve }] of batch) resolve(take(text, digest, found.get(text), askedAt))
      } catch (error) {
        for (const { reject } of batch.values()) reject(error)
      }
    }
    // In the same turn in which nobody was found waiting: whoever comes after this begins anew, and is not left waiting for us.
    lookingUp = undefined
  }

  const take = (text: string, digest: Buffer, row: LiveKey | undefined, askedAt: number): Caller | undefined => {
    if (row === undefined || !timingSafeEqual(row.digest, digest)) {
      known.delete(text)
      unknown.set(text, askedAt)
      return undefined
    }
    const before = known.peek(text)
    const caller = { principal: row.principal, scopes: new Set(withIncluded(row.scopes)), locations: null }
    known.set(text, { id: row.id, caller, askedAt, askedAgainAt: 0, used: before?.used ?? true })
    return caller
  }

  const writeLastUsed = async (): Promise<void> => {
    const used: string[] = []
    for (const entry of known.values()) {
      if (entry.used) used.push(entry.id)
      entry.used = false
    }
    // In one order: two processes would otherwise wait for each other's rows.
    if (used.length > 0) await touchKeys(pool, used.toSorted())
  }

  return {
    name: 'identity',
    handlers: {},
    identify: (key) => {
      const text = digestText(key)
      const entry = known.get(text)
      if (entry !== undefined) {
        entry.used = true
        const age = now() - entry.askedAt
        if (age >= limits.keyCacheMs) return lookUp(text, digestOf(key))
        // One request asks again for all; a database that is away is not asked by each of them.
        if (age >= limits.keyRefreshMs && age - entry.askedAgainAt >= limits.keyRetryMs) {
          entry.askedAgainAt = age
          lookUp(text, digestOf(key)).catch(onFault)
        }
        return entry.caller
      }
      if (!looksLikeApiKey(key)) return undefined
      const refusedAt = unknown.get(text)
      if (refusedAt !== undefined && now() - refusedAt < limits.keyRefreshMs) return undefined
      return lookUp(text, digestOf(key))
    },
    start: async () => {
      timer = setInterval(() => void writeLastUsed().catch(onFault), limits.lastUsedMs)
      timer.unref()
    },
    stop: async () => {
      clearInterval(timer)
      await lookingUp
      await writeLastUsed().catch(onFault)
    },
  }
}

type Known = { readonly id: string; readonly caller: Caller; readonly askedAt: number; /** At what age. */ askedAgainAt: number; used: boolean }
type Waiting = {
  readonly digest: Buffer
  readonly promise: Promise<Caller | undefined>
  readonly resolve: (caller: Caller | undefined) => void
  readonly reject: (error: unknown) => void
}

export type FirstStart = {
  readonly adminEmail: string | undefined
  readonly adminPassword: string | undefined
  readonly apiKey: string | undefined
}

/** What was made. What somebody chose is not told again. */
export type FirstOnes = {
  readonly admin?: { readonly email: string; readonly madePassword?: string }
  readonly madeKey?: string
  /** A key that was given is there, but has been revoked. It stays so. */
  readonly keyIsRevoked?: true
}

/**
 * Makes the first administrator and the first key with all scopes, when there are none. Kept are only their hashes, so what is
 * answered here is the one occasion to show them.
 */
export const makeFirstOnes = async (pool: Pool, { adminEmail, adminPassword, apiKey }: FirstStart): Promise<FirstOnes> => {
  const before = await counts(pool)
  if (before.users > 0 && before.keys > 0 && apiKey === undefined) return {}
  const password = adminPassword ?? randomPassword(PASSWORD_LETTERS)
  // Before the transaction: it takes the time of many statements.
  const passwordHash = before.users === 0 ? await hashPassword(password) : undefined

  return aloneInFirstStart(pool, async (connection) => {
    const there = await counts(connection)
    let ones: FirstOnes = {}
    if (there.users === 0 && passwordHash !== undefined) {
      const email = adminEmail ?? FIRST_ADMIN
      await insertUser(connection, { id: uuidV7(), email, passwordHash, role: 'admin' })
      ones = { admin: adminPassword === undefined ? { email, madePassword: password } : { email } }
    }
    if (there.keys > 0 && apiKey === undefined) return ones

    const id = uuidV7()
    const key = apiKey ?? newApiKey(id)
    const made = await insertKey(connection, { id, principal: FIRST_PRINCIPAL, name: 'First key', digest: digestOf(key), scopes: allScopes })
    if (made) return apiKey === undefined ? { ...ones, madeKey: key } : ones
    return (await keyByDigest(connection, digestOf(key)))?.revoked_at ? { ...ones, keyIsRevoked: true } : ones
  })
}

const FIRST_ADMIN = 'admin@localhost'
/** The first key and those that replace it are one and the same caller. */
const FIRST_PRINCIPAL = 'owner'
/** 100 bits. */
const PASSWORD_LETTERS = 20

export type ApiKey = Omit<KeyRow, 'scopes'> & { readonly scopes: readonly Scope[] }
export type KeyWanted = {
  readonly name: string
  readonly scopes: readonly Scope[]
  readonly principal?: string | undefined
  readonly expiresInSeconds?: number | undefined
}

/** Makes a key. `key` is the only copy there will ever be. */
export const createKey = async (pool: Pool, { name, scopes, principal, expiresInSeconds }: KeyWanted): Promise<ApiKey & { readonly key: string }> => {
  const id = uuidV7()
  const key = newApiKey(id)
  const row = await insertKey(pool, { id, principal: principal ?? id, name, digest: digestOf(key), scopes, expiresInSeconds })
  if (row === undefined) throw new Error('a key with this digest exists: the random numbers of this machine repeat')
  return { ...asKey(row), key }
}

/** Every key there is, the newest first. */
export async function* listKeys(pool: Pool): AsyncGenerator<ApiKey> {
  for (let before: string | null = null; ;) {
    const page: KeyRow[] = await keysPage(pool, { before, limit: KEYS_PAGE })
    yield* page.map(asKey)
    const last = page.at(-1)
    if (last === undefined || page.length < KEYS_PAGE) return
    before = last.id
  }
}

/** Refused from now on, in every process within seconds. Nothing when there is no such key. */
export const revokeKey = async (pool: Pool, id: string): Promise<ApiKey | undefined> => {
  const row = await revoke(pool, id)
  return row && asKey(row)
}

const KEYS_PAGE = 100
const asKey = (row: KeyRow): ApiKey => ({ ...row, scopes: allScopes.filter((scope) => row.scopes.includes(scope)) })
