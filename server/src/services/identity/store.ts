// The tables of identity: api_keys, users and sessions. Nobody else reads or writes them. Times are the database's.
import type { Role } from '@holdfast/contract'
import { faultOf } from '../../storage/fault.ts'
import { transaction, type Connection, type Pool } from '../../storage/pool.ts'

/** A limit of its own; null: the one that everybody has. */
export type RateLimit = { readonly limit: number; readonly window_seconds: number } | 'unlimited' | null

export type KeyRow = {
  readonly id: string
  readonly principal: string
  readonly name: string
  readonly scopes: readonly string[]
  readonly locations: readonly string[] | null
  readonly rate_limit: RateLimit
  readonly created_at: Date
  readonly expires_at: Date | null
  readonly revoked_at: Date | null
  readonly last_used_at: Date | null
}
export type NewKey = {
  readonly id: string
  readonly principal: string
  readonly name: string
  readonly digest: Buffer
  readonly scopes: readonly string[]
  readonly locations?: readonly string[] | null
  readonly rateLimit?: RateLimit
  readonly expiresInSeconds?: number | null | undefined
}
export type LiveKey = Pick<KeyRow, 'id' | 'principal' | 'scopes' | 'locations' | 'rate_limit'> & { readonly digest: Buffer; readonly lives_ms: number | null }

const keyColumns = 'k.id, k.principal, k.name, k.scopes, k.locations, k.rate_limit, k.created_at, k.expires_at, k.revoked_at, k.last_used_at'

/** The keys with these digests that may be used now. */
export const liveKeys = (pool: Pool, digests: readonly Buffer[]): Promise<LiveKey[]> =>
  rows<LiveKey>(
    pool,
    `
    select k.id, k.digest, k.principal, k.scopes, k.locations, k.rate_limit, (extract(epoch from k.expires_at - now()) * 1000)::float8 as lives_ms
      from api_keys as k
     where k.digest = any($1)
       and k.revoked_at is null
       and (k.expires_at is null or k.expires_at > now())`,
    [digests],
  )

/** Nothing when it is not new: a key that was made before, even one that was revoked since, stays as it is. */
export const insertKey = async (
  on: Pool | Connection,
  { id, principal, name, digest, scopes, locations = null, rateLimit = null, expiresInSeconds }: NewKey,
): Promise<KeyRow | undefined> =>
  (
    await rows<KeyRow>(
      on,
      `
    insert into api_keys as k (id, principal, name, digest, scopes, locations, rate_limit, expires_at)
    values ($1, $2, $3, $4, $5, $6, $7, now() + make_interval(secs => $8))
    on conflict (digest) do nothing
    returning ${keyColumns}`,
      [id, principal, name, digest, scopes, locations, jsonOf(rateLimit), expiresInSeconds ?? null],
    )
  )[0]

export const keyByDigest = async (on: Pool | Connection, digest: Buffer): Promise<KeyRow | undefined> =>
  (await rows<KeyRow>(on, `select ${keyColumns} from api_keys as k where k.digest = $1`, [digest]))[0]

export const keyById = async (on: Pool | Connection, id: string): Promise<KeyRow | undefined> =>
  (await rows<KeyRow>(on, `select ${keyColumns} from api_keys as k where k.id = $1`, [id]))[0]

/** `live`: it may be used now. */
export const lockKey = async (connection: Connection, id: string): Promise<(KeyRow & { readonly live: boolean }) | undefined> =>
  (
    await rows<KeyRow & { live: boolean }>(
      connection,
      `select ${keyColumns}, k.revoked_at is null and coalesce(k.expires_at > now(), true) as live from api_keys as k where k.id = $1 for update`,
      [id],
    )
  )[0]

/** @param within  the locations that all of a key's locations are among; null for all keys */
export const keysPage = (
  pool: Pool,
  {
    principal = null,
    within = null,
    before,
    limit,
  }: { readonly principal?: string | null; readonly within?: readonly string[] | null; readonly before: string | null; readonly limit: number },
): Promise<KeyRow[]> =>
  rows<KeyRow>(
    pool,
    `
    select ${keyColumns}
      from api_keys as k
     where ($1::uuid is null or k.id < $1)
       and ($2::text is null or k.principal = $2)
       and ($3::text[] is null or k.locations <@ $3)
     order by k.id desc
     limit $4`,
    [before, principal, within, limit],
  )

/** Revoked once is revoked: the first time stays. Nothing when there is no such key. */
export const revoke = async (on: Pool | Connection, id: string): Promise<KeyRow | undefined> =>
  (await rows<KeyRow>(on, `update api_keys as k set revoked_at = coalesce(k.revoked_at, now()) where k.id = $1 returning ${keyColumns}`, [id]))[0]

export type KeyChanges = Pick<KeyRow, 'name' | 'scopes' | 'locations' | 'rate_limit'>

export const updateKey = async (connection: Connection, id: string, { name, scopes, locations, rate_limit: rateLimit }: KeyChanges): Promise<KeyRow> =>
  theOne(
    await rows<KeyRow>(connection, `update api_keys as k set name = $2, scopes = $3, locations = $4, rate_limit = $5 where k.id = $1 returning ${keyColumns}`, [
      id,
      name,
      scopes,
      locations,
      jsonOf(rateLimit),
    ]),
  )

/** Expires after so many seconds, or earlier if it would have; at once with none. */
export const expireKey = async (connection: Connection, id: string, seconds: number): Promise<KeyRow> =>
  theOne(
    await rows<KeyRow>(
      connection,
      `update api_keys as k set expires_at = least(k.expires_at, now() + make_interval(secs => $2)) where k.id = $1 returning ${keyColumns}`,
      [id, seconds],
    ),
  )

export const touchKeys = async (pool: Pool, ids: readonly string[]): Promise<void> => {
  // In the order of ids: two processes would otherwise wait for each other.
  await rows(
    pool,
    `
    update api_keys as k
       set last_used_at = now()
      from (select id from api_keys where id = any($1) order by id for update) as used
     where k.id = used.id`,
    [ids],
  )
}

export const counts = async (on: Pool | Connection): Promise<{ keys: number; users: number }> =>
  (await rows<{ keys: number; users: number }>(on, `select (select count(*) from api_keys) as keys, (select count(*) from users) as users`, []))[0] ?? {
    keys: 0,
    users: 0,
  }

export type UserRow = {
  readonly id: string
  readonly email: string
  readonly name: string | null
  readonly role: Role
  readonly locations: readonly string[] | null
  readonly created_at: Date
  readonly updated_at: Date
  readonly disabled_at: Date | null
}
export type NewUser = {
  readonly id: string
  readonly email: string
  readonly passwordHash: string
  readonly role: Role
  readonly name?: string | null
  readonly locations?: readonly string[] | null
}

const userColumns = 'u.id, u.email, u.name, u.role, u.locations, u.created_at, u.updated_at, u.disabled_at'

/** Nothing when there is one with this address already. */
export const insertUser = async (
  connection: Connection,
  { id, email, passwordHash, role, name = null, locations = null }: NewUser,
): Promise<UserRow | undefined> =>
  (
    await rows<UserRow>(
      connection,
      `
    insert into users as u (id, email, password_hash, role, name, locations)
    values ($1, $2, $3, $4, $5, $6)
    on conflict (email) do nothing
    returning ${userColumns}`,
      [id, email, passwordHash, role, name, locations],
    )
  )[0]

export const userById = async (on: Pool | Connection, id: string): Promise<UserRow | undefined> =>
  (await rows<UserRow>(on, `select ${userColumns} from users as u where u.id = $1`, [id]))[0]

export const lockUser = async (connection: Connection, id: string): Promise<UserRow | undefined> =>
  (await rows<UserRow>(connection, `select ${userColumns} from users as u where u.id = $1 for update`, [id]))[0]

/** With the hash of the password, for those who sign in. */
export const passwordOf = async (
  on: Pool | Connection,
  by: { readonly email: string } | { readonly id: string },
): Promise<{ readonly id: string; readonly email: string; readonly password_hash: string; readonly disabled_at: Date | null } | undefined> =>
  (
    await rows<{ id: string; email: string; password_hash: string; disabled_at: Date | null }>(
      on,
      `select u.id, u.email, u.password_hash, u.disabled_at from users as u where ${'email' in by ? 'u.email' : 'u.id'} = $1`,
      ['email' in by ? by.email : by.id],
    )
  )[0]

export type UserFilter = {
  readonly email: string | null
  readonly role: Role | null
  readonly disabled: boolean | null
  /** The locations that all of a user's locations are among; null for all users. */
  readonly within: readonly string[] | null
  readonly before: string | null
  readonly limit: number
}

/** Newest first. */
export const usersPage = (pool: Pool, { email, role, disabled, within, before, limit }: UserFilter): Promise<UserRow[]> =>
  rows<UserRow>(
    pool,
    `
    select ${userColumns}
      from users as u
     where ($1::uuid is null or u.id < $1)
       and ($2::text is null or u.email = $2)
       and ($3::text is null or u.role = $3)
       and ($4::boolean is null or (u.disabled_at is not null) = $4)
       and ($5::text[] is null or u.locations <@ $5)
     order by u.id desc
     limit $6`,
    [before, email, role, disabled, within, limit],
  )

export type UserChanges = Pick<UserRow, 'name' | 'role' | 'locations'> & { readonly disabled: boolean }

export const updateUser = async (connection: Connection, id: string, { name, role, locations, disabled }: UserChanges): Promise<UserRow> =>
  theOne(
    await rows<UserRow>(
      connection,
      `
    update users as u
       set name = $2, role = $3, locations = $4, disabled_at = case when $5 then coalesce(u.disabled_at, now()) end, updated_at = now()
     where u.id = $1
    returning ${userColumns}`,
      [id, name, role, locations, disabled],
    ),
  )

export const setPasswordHash = async (connection: Connection, id: string, passwordHash: string): Promise<void> => {
  await rows(connection, 'update users as u set password_hash = $2, updated_at = now() where u.id = $1', [id, passwordHash])
}

/**
 * Locks the users who may do everything everywhere, and answers their ids: two who leave at once would otherwise each find the
 * other one still there.
 */
export const lockAdministrators = async (connection: Connection): Promise<string[]> =>
  (
    await rows<{ id: string }>(
      connection,
      `
    select u.id
      from users as u
     where u.role = 'administrator'
       and u.disabled_at is null
       and u.locations is null
     order by u.id
       for update`,
      [],
    )
  ).map(({ id }) => id)

export type SessionRow = {
  readonly id: string
  readonly created_at: Date
  readonly last_seen_at: Date
  readonly expires_at: Date
  readonly address: string
  readonly user_agent: string | null
}
export type NewSession = {
  readonly id: string
  readonly user: string
  readonly digest: Buffer
  readonly lifeMs: number
  readonly address: string
  readonly userAgent: string | null
}
export type LiveSession = Pick<UserRow, 'role' | 'locations'> & {
  readonly id: string
  readonly digest: Buffer
  readonly lives_ms: number | null
  readonly user_id: string
}

/** A session, and no more of one user than so many: the oldest make room. */
export const insertSession = async (connection: Connection, { id, user, digest, lifeMs, address, userAgent }: NewSession, most: number): Promise<void> => {
  await rows(
    connection,
    `
    insert into sessions (id, user_id, digest, expires_at, address, user_agent)
    values ($1, $2, $3, now() + make_interval(secs => $4::float8 / 1000), $5, $6)`,
    [id, user, digest, lifeMs, address, userAgent],
  )
  await rows(
    connection,
    `
    delete from sessions as s
     where s.user_id = $1
       and s.id in (select old.id from sessions as old where old.user_id = $1 order by old.id desc offset $2)`,
    [user, most],
  )
}

/**
 * The sessions with these digests that are still good, of users who may come in. That somebody was here is written at most once
 * a minute, with the look-up itself: a session in use is looked up every few seconds, so it cannot be taken for idle.
 */
export const liveSessions = (
  pool: Pool,
  digests: readonly Buffer[],
  { idleMs, seenMs }: { readonly idleMs: number; readonly seenMs: number },
): Promise<LiveSession[]> =>
  rows<LiveSession>(
    pool,
    `
    with live as (
      select s.id, s.digest, s.user_id, u.role, u.locations, s.last_seen_at, (extract(epoch from s.expires_at - now()) * 1000)::float8 as lives_ms
        from sessions as s
        join users as u on u.id = s.user_id
       where s.digest = any($1)
         and s.expires_at > now()
         and s.last_seen_at > now() - make_interval(secs => $2::float8 / 1000)
         and u.disabled_at is null),
    seen as (
      update sessions as s
         set last_seen_at = now()
       where s.id in (select old.id
                        from sessions as old
                       where old.id in (select live.id from live where live.last_seen_at < now() - make_interval(secs => $3::float8 / 1000))
                         for update skip locked))
    select live.id, live.digest, live.user_id, live.role, live.locations, live.lives_ms from live`,
    [digests, idleMs, seenMs],
  )

/** One's own that are still good, newest first. */
export const sessionsPage = (
  pool: Pool,
  { user, idleMs, before, limit }: { readonly user: string; readonly idleMs: number; readonly before: string | null; readonly limit: number },
): Promise<SessionRow[]> =>
  rows<SessionRow>(
    pool,
    `
    select s.id, s.created_at, s.last_seen_at, s.expires_at, s.address, s.user_agent
      from sessions as s
     where s.user_id = $1
       and s.expires_at > now()
       and s.last_seen_at > now() - make_interval(secs => $2::float8 / 1000)
       and ($3::uuid is null or s.id < $3)
     order by s.id desc
     limit $4`,
    [user, idleMs, before, limit],
  )

/** Ends sessions of a user: one, all but one, or all. Answers how many. */
export const endSessions = async (
  connection: Connection,
  user: string,
  { only = null, except = null }: { readonly only?: string | null; readonly except?: string | null } = {},
): Promise<number> =>
  (
    await rows(
      connection,
      `
    delete from sessions as s
     where s.user_id = $1
       and ($2::uuid is null or s.id = $2)
       and ($3::uuid is null or s.id <> $3)
    returning s.id`,
      [user, only, except],
    )
  ).length

/** The same session under another token. Answers the seconds that it has left, or nothing when it was gone. */
export const renewToken = async (connection: Connection, id: string, digest: Buffer): Promise<number | undefined> =>
  (
    await rows<{ left: number }>(
      connection,
      `
    update sessions as s
       set digest = $2, last_seen_at = now()
     where s.id = $1
    returning greatest(0, floor(extract(epoch from s.expires_at - now())))::int as left`,
      [id, digest],
    )
  )[0]?.left

/** Those that ran out, or that nobody came back to. */
export const forgetSessions = async (pool: Pool, idleMs: number, limit: number): Promise<void> => {
  await rows(
    pool,
    `
    delete from sessions as s
     where s.id in (select old.id
                      from sessions as old
                     where old.expires_at < now()
                        or old.last_seen_at < now() - make_interval(secs => $1::float8 / 1000)
                     limit $2
                       for update skip locked)`,
    [idleMs, limit],
  )
}

/** Two processes that start for the first time at once make one administrator and one key. */
export const aloneInFirstStart = <Result>(pool: Pool, body: (connection: Connection) => Promise<Result>): Promise<Result> =>
  transaction(pool, async (connection) => {
    await connection.query('select pg_advisory_xact_lock($1, hashtext(current_schema()))', [FIRST_START_LOCK])
    return body(connection)
  })

const FIRST_START_LOCK = 7_100

const rows = async <Row>(on: Pool | Connection, sql: string, values: readonly unknown[]): Promise<Row[]> => {
  try {
    return (await on.query(sql, [...values])).rows as Row[] // the columns are named in the statement
  } catch (error) {
    throw faultOf(error) ?? error
  }
}

/** Of a row that is locked there is one. */
const theOne = <Row>([row]: readonly Row[]): Row => {
  if (row === undefined) throw new Error('a row that was locked is gone')
  return row
}

const jsonOf = (value: RateLimit): string | null => (value === null ? null : JSON.stringify(value))
