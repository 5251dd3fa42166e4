// Who is asking: the caller behind a key or a session, and everything that is asked about people and keys. And who the first ones are.
import { roleScopes, scopes as allScopes, withIncluded, type Scope } from '@holdfast/contract'
import { encodeId, type Uuid } from '../../domain/ids.ts'
import type { IdentityLimits } from '../../platform/limits.ts'
import { randomPassword, secretLetters, uuidV7 } from '../../platform/random.ts'
import { audit, changesBetween, type AskedBy } from '../../storage/audit.ts'
import { transaction, type Pool } from '../../storage/pool.ts'
import type { Caller, Service } from '../service.ts'
import { looksLikeApiKey, newApiKey } from './api-keys.ts'
import { attempts } from './attempts.ts'
import { auditHandlers } from './audit-log.ts'
import { authHandlers, TOKEN_BYTES } from './auth.ts'
import { weaknessOf } from './common-passwords.ts'
import { keyHandlers, makeKey, told, type KeyWanted as NewKeyWanted } from './keys.ts'
import { passwordGate, type PasswordGate } from './password-gate.ts'
import { hashPassword } from './password.ts'
import { digestOf, recall } from './recall.ts'
import {
  aloneInFirstStart,
  counts,
  forgetSessions,
  insertKey,
  insertUser,
  keyByDigest,
  keysPage,
  liveKeys,
  liveSessions,
  lockKey,
  revoke,
  touchKeys,
  type KeyRow,
  type LiveKey,
  type LiveSession,
} from './store.ts'
import { userHandlers } from './users.ts'

export type IdentityDeps = {
  readonly pool: Pool
  /** For the callers behind keys and sessions: no long list may keep these waiting. */
  readonly lookUps: Pool
  readonly limits: IdentityLimits
  /** May anybody become a shopper? */
  readonly registration: boolean
  /** How long who was known goes on being known while the database is away. */
  readonly staleMs: number
  /** Told when the time of last use could not be written, or a key could not be asked for again. Nobody waits for either. */
  readonly onFault: (error: unknown) => void
  /** Milliseconds that only grow. Tests have their own. */
  readonly now?: () => number
  /** Tests count what is hashed. */
  readonly passwords?: PasswordGate
}

export type Identity = Service<'identity'> & {
  /** The caller behind a key, at once when it was seen lately. Rejects when that cannot be found out now. */
  identify(key: string): Caller | undefined | Promise<Caller | undefined>
  /** The same behind the token of a session. */
  identifySession(token: string): Caller | undefined | Promise<Caller | undefined>
  /** Remembers nobody any more: something was ended elsewhere. */
  forget(): void
}

export const identity = ({ pool, lookUps, limits, registration, staleMs, onFault, now = () => performance.now(), passwords }: IdentityDeps): Identity => {
  const keys = recall<LiveKey>({
    looksRight: looksLikeApiKey,
    lookUp: (digests) => liveKeys(lookUps, digests),
    toCaller: callerOfKey,
    limits,
    staleMs,
    onFault,
    now,
  })
  const sessions = recall<LiveSession>({
    looksRight: (token) => tokenShape.test(token),
    lookUp: (digests) => liveSessions(lookUps, digests, { idleMs: limits.sessionIdleMs, seenMs: limits.lastUsedMs }),
    toCaller: callerOfSession,
    limits,
    // That somebody is still there cannot be written meanwhile: whoever has gone must not stay signed in for longer than otherwise.
    staleMs: Math.min(staleMs, limits.sessionIdleMs),
    onFault,
    now,
  })
  const tries = attempts({ pool, limits: limits.attempts })
  const parts = { pool, keys, sessions, passwords: passwords ?? passwordGate({ limits }), attempts: tries, limits, registration }
  let timer: NodeJS.Timeout | undefined
  let working: Promise<void> | undefined

  const writeLastUsed = async (): Promise<void> => {
    const used = keys.used()
    // In one order: two processes would otherwise wait for each other's rows.
    if (used.length > 0) await touchKeys(lookUps, used.toSorted())
  }
  const upkeep = async (): Promise<void> => {
    await writeLastUsed()
    await forgetSessions(lookUps, limits.sessionIdleMs, SESSIONS_FORGOTTEN)
    await tries.upkeep()
  }

  return {
    name: 'identity',
    handlers: { auth: authHandlers(parts), users: userHandlers(parts), api_keys: keyHandlers(parts), audit_log: auditHandlers(parts) },
    identify: keys.callerOf,
    identifySession: sessions.callerOf,
    forget: () => {
      keys.forget(() => true)
      sessions.forget(() => true)
    },
    start: async () => {
      timer = setInterval(() => {
        working ??= upkeep()
          .catch(onFault)
          .finally(() => (working = undefined))
      }, limits.lastUsedMs)
      timer.unref()
    },
    stop: async () => {
      clearInterval(timer)
      await Promise.all([keys.settled(), sessions.settled(), working])
      await writeLastUsed().catch(onFault)
    },
  }
}

const SESSIONS_FORGOTTEN = 5_000
const tokenShape = new RegExp(`^[0-9A-Za-z]{${secretLetters(TOKEN_BYTES)}}$`)

const callerOfKey = ({ id, principal, scopes, locations, rate_limit: rate }: LiveKey): Caller => ({
  principal,
  scopes: new Set(withIncluded(scopes)),
  locations: locations && new Set(locations),
  apiKey: { id: encodeId('api_key', id as Uuid) }, // the column is a uuid
  ...(rate === null ? {} : { rate: rate === 'unlimited' ? rate : { limit: rate.limit, windowSeconds: rate.window_seconds } }),
})

const callerOfSession = ({ id, user_id: user, role, locations }: LiveSession): Caller => {
  const principal = encodeId('user', user as Uuid) // the column is a uuid
  return {
    principal,
    scopes: new Set(roleScopes[role]),
    locations: locations && new Set(locations),
    person: { id: principal, session: encodeId('session', id as Uuid), role }, // the column is a uuid
  }
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
  const weakness = before.users === 0 && adminPassword !== undefined ? weaknessOf(adminPassword, adminEmail ?? FIRST_ADMIN) : undefined
  if (weakness !== undefined) throw new Error(`HOLDFAST_ADMIN_PASSWORD ${weakness}; choose another one, or leave it out to have one made.`)
  const password = adminPassword ?? randomPassword(PASSWORD_LETTERS)
  // Before the transaction: it takes the time of many statements.
  const passwordHash = before.users === 0 ? await hashPassword(password) : undefined

  return aloneInFirstStart(pool, async (connection) => {
    const there = await counts(connection)
    let ones: FirstOnes = {}
    if (there.users === 0 && passwordHash !== undefined) {
      const email = adminEmail ?? FIRST_ADMIN
      const id = uuidV7()
      await insertUser(connection, { id, email, passwordHash, role: 'administrator' })
      await audit(connection, system, {
        action: 'user.created',
        subject: { kind: 'user', id: encodeId('user', id as Uuid) }, // uuidV7 makes uuids
        changes: changesBetween(null, { email, role: 'administrator' }),
      })
      ones = { admin: adminPassword === undefined ? { email, madePassword: password } : { email } }
    }
    if (there.keys > 0 && apiKey === undefined) return ones

    const id = uuidV7()
    const key = apiKey ?? newApiKey(id)
    const made = await insertKey(connection, {
      id,
      principal: FIRST_PRINCIPAL,
      name: 'First key',
      digest: digestOf(key),
      scopes: allScopes,
      rateLimit: 'unlimited',
    })
    if (made) {
      await told(connection, system, 'api_key.created', null, made)
      return apiKey === undefined ? { ...ones, madeKey: key } : ones
    }
    return (await keyByDigest(connection, digestOf(key)))?.revoked_at ? { ...ones, keyIsRevoked: true } : ones
  })
}

const FIRST_ADMIN = 'admin@localhost'
/** The first key and those that replace it are one and the same caller. */
const FIRST_PRINCIPAL = 'owner'
/** 100 bits. */
const PASSWORD_LETTERS = 20
const system: AskedBy = { caller: { principal: 'system' }, origin: { address: 'local' }, requestId: 'first-start' }
/** Whoever may run the program beside the database needs no key for it. */
const commandLine: AskedBy = { caller: { principal: 'command-line' }, origin: { address: 'local' }, requestId: 'command' }

export type ApiKey = Omit<KeyRow, 'scopes'> & { readonly scopes: readonly Scope[] }
export type KeyWanted = NewKeyWanted & { readonly scopes: readonly Scope[] }

/** Makes a key. `key` is the only copy there will ever be. */
export const createKey = async (pool: Pool, wanted: KeyWanted): Promise<ApiKey & { readonly key: string }> => {
  const { row, key } = await transaction(pool, (connection) => makeKey(connection, commandLine, wanted))
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
export const revokeKey = async (pool: Pool, id: string): Promise<ApiKey | undefined> =>
  transaction(pool, async (connection) => {
    const before = await lockKey(connection, id)
    const after = before && (await revoke(connection, id))
    if (before === undefined || after === undefined) return undefined
    if (before.revoked_at === null) await told(connection, commandLine, 'api_key.revoked', before, after)
    return asKey(after)
  })

const KEYS_PAGE = 100
const asKey = (row: KeyRow): ApiKey => ({ ...row, scopes: allScopes.filter((scope) => row.scopes.includes(scope)) })
