// The tables of identity: api_keys and users. Nobody else reads or writes them. Times are the database's.
import { faultOf } from '../../storage/fault.ts'
import { transaction, type Connection, type Pool } from '../../storage/pool.ts'

export type KeyRow = {
  readonly id: string
  readonly principal: string
  readonly name: string
  readonly scopes: readonly string[]
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
  readonly expiresInSeconds?: number | undefined
}
export type LiveKey = { readonly id: string; readonly digest: Buffer; readonly principal: string; readonly scopes: readonly string[] }
export type NewUser = { readonly id: string; readonly email: string; readonly passwordHash: string; readonly role: 'admin' }

const columns = 'k.id, k.principal, k.name, k.scopes, k.created_at, k.expires_at, k.revoked_at, k.last_used_at'

/** The keys with these digests that may be used now. */
export const liveKeys = (pool: Pool, digests: readonly Buffer[]): Promise<LiveKey[]> =>
  rows<LiveKey>(
    pool,
    `
    select k.id, k.digest, k.principal, k.scopes
      from api_keys as k
     where k.digest = any($1)
       and k.revoked_at is null
       and (k.expires_at is null or k.expires_at > now())`,
    [digests],
  )

/** Says whether it was new: a key that was made before, even one that was revoked since, stays as it is. */
export const insertKey = async (on: Pool | Connection, { id, principal, name, digest, scopes, expiresInSeconds }: NewKey): Promise<KeyRow | undefined> =>
  (
    await rows<KeyRow>(
      on,
      `
    insert into api_keys as k (id, principal, name, digest, scopes, expires_at)
    values ($1, $2, $3, $4, $5, now() + make_interval(secs => $6))
    on conflict (digest) do nothing
    returning ${columns}`,
      [id, principal, name, digest, scopes, expiresInSeconds ?? null],
    )
  )[0]

export const keyByDigest = async (on: Pool | Connection, digest: Buffer): Promise<KeyRow | undefined> =>
  (await rows<KeyRow>(on, `select ${columns} from api_keys as k where k.digest = $1`, [digest]))[0]

export const keysPage = (pool: Pool, { before, limit }: { before: string | null; limit: number }): Promise<KeyRow[]> =>
  rows<KeyRow>(
    pool,
    `
    select ${columns}
      from api_keys as k
     where ($1::uuid is null or k.id < $1)
     order by k.id desc
     limit $2`,
    [before, limit],
  )

/** Revoked once is revoked: the first time stays. Nothing when there is no such key. */
export const revoke = async (pool: Pool, id: string): Promise<KeyRow | undefined> =>
  (await rows<KeyRow>(pool, `update api_keys as k set revoked_at = coalesce(k.revoked_at, now()) where k.id = $1 returning ${columns}`, [id]))[0]

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

export const insertUser = async (on: Connection, { id, email, passwordHash, role }: NewUser): Promise<void> => {
  await rows(on, `insert into users (id, email, password_hash, role) values ($1, $2, $3, $4)`, [id, email, passwordHash, role])
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
