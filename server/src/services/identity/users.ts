// People, as administrators see them: made, changed, disabled, given a new password.
import { roleScopes, type OutputOf, type Operations } from '@holdfast/contract'
import { encodeId, type Uuid } from '../../domain/ids.ts'
import { uuidV7 } from '../../platform/random.ts'
import { audit, changesBetween } from '../../storage/audit.ts'
import { keyOf } from '../../storage/idempotency.ts'
import { transaction, type Connection } from '../../storage/pool.ts'
import { Refused, byId, guarded, invalid, iso, namedId, noSuch, pageOf, placeOf } from '../answer.ts'
import type { Answer, Call, Handlers } from '../service.ts'
import { weaknessOf } from './common-passwords.ts'
import { checkGiving, checkLocations, isWithin, orderedLocations, withinOf } from './giving.ts'
import type { Parts } from './parts.ts'
import { once } from './once.ts'
import { busy, type Busy } from './password-gate.ts'
import {
  endSessions,
  insertUser,
  lockAdministrators,
  lockUser,
  setPasswordHash,
  updateUser,
  userById,
  usersPage,
  type UserChanges,
  type UserRow,
} from './store.ts'

export type WireUser = OutputOf<Operations['users']['get']>

export const userHandlers = ({ pool, sessions, passwords }: Parts): Handlers['users'] => {
  /** A user whom the caller may change: there for them, and able to do no more than they can. */
  const locked = async (connection: Connection, id: string, { caller }: Call): Promise<UserRow> => {
    const row = await lockUser(connection, namedId('user', id))
    if (row === undefined || !isWithin(caller, row.locations)) throw noSuch('user', id)
    checkGiving(caller, powersOf(row))
    return row
  }

  const change = async (id: string, call: Call, wanted: (before: UserRow) => UserChanges, action: string): Promise<Answer<WireUser>> => {
    const user = await transaction(pool, async (connection) => {
      // Before the user: everybody who changes somebody takes these rows first, and so never waits in a ring.
      const administrators = await lockAdministrators(connection)
      const before = await locked(connection, id, call)
      const after = wanted(before)
      checkGiving(call.caller, powersOf(after))
      const stays = after.role === 'administrator' && after.locations === null && !after.disabled
      if (administrators.includes(before.id) && !stays && administrators.length === 1)
        throw new Refused('last_administrator', `${before.email} is the last administrator of all locations; make another one first`)
      const row = await updateUser(connection, before.id, after)
      const changes = changesBetween(render(before), { ...render(row), updated_at: render(before).updated_at })
      if (Object.keys(changes).length === 0) return { row, isOther: false }
      // What somebody may do is decided when they sign in; with other powers they do that anew.
      const isOther = 'role' in changes || 'locations' in changes || 'disabled' in changes
      if (isOther) await endSessions(connection, before.id)
      await audit(connection, call, { action, subject: { kind: 'user', id }, changes })
      return { row, isOther }
    })
    if (user.isOther) sessions.forget(({ person }) => person?.id === id)
    return { ok: true, body: render(user.row), ...(user.isOther && call.caller.person?.id === id ? { session: 'ended' } : {}) }
  }

  return guarded({
    create: async ({ body }, call) => {
      const email = body.email.toLowerCase()
      const locations = body.locations === undefined ? withinOf(call.caller) : orderedLocations(body.locations)
      checkGiving(call.caller, powersOf({ role: body.role, locations }))
      checkPassword('password', body.password, email)
      await checkLocations(pool, body.locations)
      const passwordHash = unlessBusy(await passwords.hash(body.password))
      // Without the password: a digest of it beside known words is a gift to whoever would guess it.
      const { password: _, ...input } = body
      return once(pool, keyOf({ operation: 'users.create', input, call }), async (connection) => {
        const row = await insertUser(connection, { id: uuidV7(), email, passwordHash, role: body.role, name: body.name ?? null, locations })
        if (row === undefined) throw new Refused('already_exists', `there is a user ${email} already`)
        const made = render(row)
        await audit(connection, call, { action: 'user.created', subject: { kind: 'user', id: made.id }, changes: changesBetween(null, made) })
        return { now: made, again: made }
      })
    },
    list: ({ query }, { caller }) =>
      pageOf(
        query,
        byId(async (limit) =>
          (
            await usersPage(pool, {
              email: query.email?.toLowerCase() ?? null,
              role: query.role ?? null,
              disabled: query.disabled ?? null,
              within: withinOf(caller),
              before: placeOf('user', query.starting_after),
              limit,
            })
          ).map(render),
        ),
      ),
    get: async ({ params }, { caller }) => {
      const row = await userById(pool, namedId('user', params.id))
      if (row === undefined || !isWithin(caller, row.locations)) throw noSuch('user', params.id)
      return { ok: true, body: render(row) }
    },
    update: async ({ params, body }, call) => {
      await checkLocations(pool, body.locations)
      return change(
        params.id,
        call,
        (before) => ({
          name: body.name === undefined ? before.name : body.name,
          role: body.role ?? before.role,
          locations: body.locations === undefined ? before.locations : orderedLocations(body.locations),
          disabled: body.disabled ?? before.disabled_at !== null,
        }),
        'user.updated',
      )
    },
    disable: ({ params }, call) => change(params.id, call, (before) => ({ ...before, disabled: true }), 'user.disabled'),
    set_password: async ({ params, body }, call) => {
      const { id } = params
      // Whoever finds a session of theirs open must not be able to take the account with it.
      if (call.caller.person?.id === id)
        throw new Refused('permission_denied', 'your own password is changed with auth.change_password, which asks for the current one')
      const target = await userById(pool, namedId('user', id))
      if (target === undefined || !isWithin(call.caller, target.locations)) throw noSuch('user', id)
      checkPassword('password', body.password, target.email)
      const passwordHash = unlessBusy(await passwords.hash(body.password))
      const user = await transaction(pool, async (connection) => {
        const row = await locked(connection, id, call)
        await setPasswordHash(connection, row.id, passwordHash)
        await endSessions(connection, row.id)
        await audit(connection, call, { action: 'user.password_set', subject: { kind: 'user', id } })
        return row
      })
      sessions.forget(({ person }) => person?.id === id)
      return { ok: true, body: render(user) }
    },
  })
}

export const render = (row: UserRow): WireUser => ({
  object: 'user',
  id: encodeId('user', row.id as Uuid), // the column is a uuid
  email: row.email,
  name: row.name,
  role: row.role,
  locations: row.locations === null ? null : [...row.locations],
  disabled: row.disabled_at !== null,
  created_at: iso(row.created_at),
  updated_at: iso(row.updated_at),
})

const powersOf = ({ role, locations }: Pick<UserRow, 'role' | 'locations'>) => ({ scopes: roleScopes[role], locations })

export const checkPassword = (param: string, password: string, email: string): void => {
  const weakness = weaknessOf(password, email)
  if (weakness !== undefined) throw invalid(param, weakness)
}

export const unlessBusy = <Value>(value: Value | Busy): Value => {
  if (value !== busy) return value
  throw new Refused('rate_limited', 'too many passwords are being checked at once; try again in a moment', { retryAfterSeconds: 1 })
}
