// Signing in and out, one's own password, one's own sessions, and who one is.
import { roleScopes, scopes as allScopes, type OutputOf, type Operations } from '@holdfast/contract'
import { encodeId, type Uuid } from '../../domain/ids.ts'
import { randomSecret, uuidV7 } from '../../platform/random.ts'
import { audit, changesBetween } from '../../storage/audit.ts'
import { transaction, type Connection } from '../../storage/pool.ts'
import { Refused, byId, guarded, invalid, iso, namedId, noSuch, pageOf, placeOf } from '../answer.ts'
import type { Call, Handlers, SessionChange } from '../service.ts'
import type { Tried } from './attempts.ts'
import type { Parts } from './parts.ts'
import { busy } from './password-gate.ts'
import { needsNewHash } from './password.ts'
import { digestOf } from './recall.ts'
import {
  endSessions,
  insertSession,
  insertUser,
  lockUser,
  passwordOf,
  renewToken,
  sessionsPage,
  setPasswordHash,
  userById,
  type SessionRow,
  type UserRow,
} from './store.ts'
import { checkPassword, render, unlessBusy } from './users.ts'

type WireCaller = OutputOf<Operations['auth']['me']>
type WireSession = OutputOf<Operations['auth']['list_sessions']>['data'][number]

/** 256 bits. */
export const TOKEN_BYTES = 32

export const authHandlers = ({ pool, sessions, passwords, attempts, limits, registration }: Parts): Handlers['auth'] => {
  const count = async (tried: readonly Tried[]): Promise<void> => {
    const wait = await attempts.count(tried)
    if (wait > 0) throw new Refused('rate_limited', `this was tried too often; try again in ${wait} seconds`, { retryAfterSeconds: wait })
  }

  /** A new session, always under a new token: one that somebody brought along is worth nothing. */
  const signIn = async (connection: Connection, user: UserRow, call: Call): Promise<{ readonly body: WireCaller; readonly session: SessionChange }> => {
    const id = uuidV7()
    const token = randomSecret(TOKEN_BYTES)
    const { address, userAgent } = call.origin
    await insertSession(
      connection,
      { id, user: user.id, digest: digestOf(token), lifeMs: limits.sessionLifeMs, address, userAgent: userAgent?.slice(0, USER_AGENT_CHARACTERS) ?? null },
      limits.sessionsOfUser,
    )
    return { body: personOf(user, encodeId('session', id as Uuid)), session: { token, maxAgeSeconds: limits.sessionLifeMs / 1_000 } } // uuidV7 makes uuids
  }
  /** By themselves, although they were nobody when they asked. */
  const byUser = (call: Call, user: { readonly id: string }) => ({ ...call, caller: { principal: encodeId('user', user.id as Uuid) } }) // the column is a uuid

  return guarded({
    register: async ({ body }, call) => {
      if (!registration) throw new Refused('permission_denied', 'nobody can register here; an administrator makes users')
      const email = body.email.toLowerCase()
      checkPassword('password', body.password, email)
      await count([{ what: 'registration', whose: call.origin.address }])
      const passwordHash = unlessBusy(await passwords.hash(body.password))
      const signedIn = await transaction(pool, async (connection) => {
        const user = await insertUser(connection, { id: uuidV7(), email, passwordHash, role: 'shopper', name: body.name ?? null })
        if (user === undefined) throw new Refused('already_exists', 'there is an account with this e-mail address already; sign in')
        await audit(connection, byUser(call, user), {
          action: 'user.registered',
          subject: { kind: 'user', id: render(user).id },
          changes: changesBetween(null, render(user)),
        })
        return signIn(connection, user, call)
      })
      return { ok: true, ...signedIn }
    },

    login: async ({ body }, call) => {
      const email = body.email.toLowerCase()
      const tried: readonly Tried[] = [
        { what: 'account', whose: email },
        { what: 'address', whose: call.origin.address },
      ]
      await count(tried)
      const found = await passwordOf(pool, { email })
      const isRight = unlessBusy(await passwords.check(body.password, found?.password_hash))
      if (!isRight || found === undefined || found.disabled_at !== null) {
        const id = found === undefined ? null : encodeId('user', found.id as Uuid) // the column is a uuid
        await transaction(pool, (connection) => audit(connection, call, { action: 'auth.login_failed', subject: { kind: 'user', id } }))
        throw wrongLogin()
      }
      const newHash = needsNewHash(found.password_hash) ? await passwords.hash(body.password) : busy
      const signedIn = await transaction(pool, async (connection) => {
        const user = await lockUser(connection, found.id)
        // Meanwhile somebody may have changed the password or disabled them, and ended all sessions but this one that is not yet there.
        const now = await passwordOf(connection, { id: found.id })
        if (user === undefined || user.disabled_at !== null || now?.password_hash !== found.password_hash) throw wrongLogin()
        if (newHash !== busy) await setPasswordHash(connection, user.id, newHash)
        await attempts.forgive(connection, tried)
        await audit(connection, byUser(call, user), { action: 'auth.logged_in', subject: { kind: 'user', id: render(user).id } })
        return signIn(connection, user, call)
      })
      return { ok: true, ...signedIn }
    },

    logout: async (_, call) => {
      const me = personOfCall(call)
      const count = await transaction(pool, async (connection) => {
        await audit(connection, call, { action: 'auth.logged_out', subject: { kind: 'user', id: me.id } })
        return endSessions(connection, me.user, { only: me.session })
      })
      sessions.forget(({ person }) => person?.session === me.sessionId)
      return { ok: true, body: { object: 'sessions_ended', count }, session: 'ended' }
    },

    me: async (_, { caller }) => {
      if (caller.person === undefined) return { ok: true, body: { ...programOf(caller), api_key: caller.apiKey?.id ?? null } }
      const user = await userById(pool, namedId('user', caller.person.id))
      if (user === undefined) throw noSuch('user', caller.person.id)
      return { ok: true, body: personOf(user, caller.person.session) }
    },

    change_password: async ({ body }, call) => {
      const me = personOfCall(call)
      const before = await passwordOf(pool, { id: me.user })
      if (before === undefined) throw noSuch('user', me.id)
      const tried: readonly Tried[] = [{ what: 'account', whose: before.email }]
      checkPassword('new_password', body.new_password, before.email)
      await count(tried)
      if (!unlessBusy(await passwords.check(body.current_password, before.password_hash))) {
        await transaction(pool, (connection) => audit(connection, call, { action: 'auth.password_refused', subject: { kind: 'user', id: me.id } }))
        throw invalid('current_password', 'is not right')
      }
      if (body.new_password === body.current_password) throw invalid('new_password', 'must be another one than the current one')
      const passwordHash = unlessBusy(await passwords.hash(body.new_password))
      const token = randomSecret(TOKEN_BYTES)
      const changed = await transaction(pool, async (connection) => {
        const user = await lockUser(connection, me.user)
        const now = await passwordOf(connection, { id: me.user })
        const secondsLeft = await renewToken(connection, me.session, digestOf(token))
        if (user === undefined || now?.password_hash !== before.password_hash || secondsLeft === undefined)
          throw new Refused('unauthenticated', 'The session has ended; sign in again.')
        await setPasswordHash(connection, me.user, passwordHash)
        await endSessions(connection, me.user, { except: me.session })
        await attempts.forgive(connection, tried)
        await audit(connection, call, { action: 'auth.password_changed', subject: { kind: 'user', id: me.id } })
        return { body: personOf(user, me.sessionId), session: { token, maxAgeSeconds: secondsLeft } }
      })
      sessions.forget(({ person }) => person?.id === me.id)
      return { ok: true, ...changed }
    },

    list_sessions: async ({ query }, call) => {
      const me = personOfCall(call)
      return pageOf(
        query,
        byId(async (limit) =>
          (await sessionsPage(pool, { user: me.user, idleMs: limits.sessionIdleMs, before: placeOf('session', query.starting_after), limit })).map((row) =>
            renderSession(row, me.session),
          ),
        ),
      )
    },

    end_session: async ({ params }, call) => {
      const me = personOfCall(call)
      const session = namedId('session', params.id)
      const count = await transaction(pool, async (connection) => {
        const ended = await endSessions(connection, me.user, { only: session })
        // Somebody else's is told like one that never was.
        if (ended === 0) throw noSuch('session', params.id)
        await audit(connection, call, { action: 'auth.sessions_ended', subject: { kind: 'user', id: me.id } })
        return ended
      })
      sessions.forget(({ person }) => person?.session === params.id)
      return { ok: true, body: { object: 'sessions_ended', count }, ...(session === me.session ? { session: 'ended' } : {}) }
    },

    end_other_sessions: async (_, call) => {
      const me = personOfCall(call)
      const count = await transaction(pool, async (connection) => {
        const ended = await endSessions(connection, me.user, { except: me.session })
        if (ended > 0) await audit(connection, call, { action: 'auth.sessions_ended', subject: { kind: 'user', id: me.id } })
        return ended
      })
      sessions.forget(({ person }) => person?.id === me.id && person.session !== me.sessionId)
      return { ok: true, body: { object: 'sessions_ended', count } }
    },
  })
}

const USER_AGENT_CHARACTERS = 256

/** Whoever guesses learns nothing from it: neither whether there is such an account, nor whether it is disabled. */
const wrongLogin = () => new Refused('unauthenticated', 'The e-mail address or the password is not right.')

const personOf = (user: UserRow, session: string): WireCaller => {
  const { id, role, locations } = render(user)
  return { object: 'caller', principal: id, user: render(user), role, api_key: null, session, scopes: [...roleScopes[role]], locations }
}
const programOf = ({ principal, scopes, locations }: Call['caller']) => ({
  object: 'caller' as const,
  principal,
  user: null,
  role: null,
  session: null,
  scopes: allScopes.filter((scope) => scopes.has(scope)),
  locations: locations && [...locations],
})

/** The gateway lets only people in. */
const personOfCall = ({ caller: { person } }: Call) => {
  if (person === undefined) throw new Error('an operation for people was asked by somebody who is none')
  return { id: person.id, sessionId: person.session, user: namedId('user', person.id), session: namedId('session', person.session) }
}

const renderSession = (row: SessionRow, current: string): WireSession => ({
  object: 'session',
  id: encodeId('session', row.id as Uuid), // the column is a uuid
  created_at: iso(row.created_at),
  last_seen_at: iso(row.last_seen_at),
  expires_at: iso(row.expires_at),
  address: row.address,
  user_agent: row.user_agent,
  current: row.id === current,
})
