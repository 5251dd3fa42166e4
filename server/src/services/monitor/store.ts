// What the monitor asks PostgreSQL, and what it keeps there.
import type { Verified } from '../../ledger/verify.ts'
import { ms } from '../../storage/codec.ts'
import { appendEvent } from '../../storage/events.ts'
import { transaction, type Connection, type Pool } from '../../storage/pool.ts'

export type DatabaseSeen = {
  readonly isStandby: boolean
  /** Sessions that keep a transaction open and do nothing, and since how many seconds, the longest first. */
  readonly idle: readonly Session[]
  /** Statements that wait for somebody's lock. */
  readonly blocked: readonly Session[]
}
type Session = { readonly seconds: number }

/** Both no sooner than after as many seconds. Sessions of other databases do not keep us waiting. */
export const lookAtDatabase = async (pool: Pool, { idleSeconds, blockedSeconds }: { idleSeconds: number; blockedSeconds: number }): Promise<DatabaseSeen> => {
  const { rows } = await pool.query({
    name: 'monitor-database',
    text: `
with sessions as (
  select a.state, a.wait_event_type,
         extract(epoch from clock_timestamp() - a.state_change)::int as idle_seconds,
         extract(epoch from clock_timestamp() - a.query_start)::int as query_seconds
    from pg_stat_activity as a
   where a.datname = current_database())
select pg_is_in_recovery() as "isStandby",
       coalesce((select json_agg(json_build_object('seconds', s.idle_seconds) order by s.idle_seconds desc)
                   from sessions as s
                  where s.state like 'idle in transaction%' and s.idle_seconds >= $1), '[]') as idle,
       coalesce((select json_agg(json_build_object('seconds', s.query_seconds) order by s.query_seconds desc)
                   from sessions as s
                  where s.state = 'active' and s.wait_event_type = 'Lock' and s.query_seconds >= $2), '[]') as blocked`,
    values: [idleSeconds, blockedSeconds],
  })
  return rows[0] as DatabaseSeen // the columns above
}

export type StandbySeen = {
  readonly name: string
  readonly state: string
  readonly syncState: string
  /** Null when it has nothing to catch up with, or when this account may not see it. */
  readonly lagSeconds: number | null
}

/** @returns  whether commits wait for a standby, and the standbys that are connected */
export const lookAtStandbys = async (pool: Pool): Promise<{ readonly commitsWait: boolean; readonly standbys: readonly StandbySeen[] }> => {
  const { rows } = await pool.query({
    name: 'monitor-standbys',
    text: `
select current_setting('synchronous_standby_names') <> '' and current_setting('synchronous_commit') not in ('off', 'local') as "commitsWait",
       coalesce((select json_agg(json_build_object('name', coalesce(nullif(r.application_name, ''), r.client_addr::text, 'a standby'), 'state', coalesce(r.state, 'streaming'),
                                                   'syncState', coalesce(r.sync_state, 'async'), 'lagSeconds', extract(epoch from r.replay_lag)::float8) order by r.application_name, r.pid)
                   from pg_stat_replication as r), '[]') as standbys`,
    values: [],
  })
  return rows[0]
}

/** How long the oldest event that was not told yet has waited. */
export const outboxSeconds = async (pool: Pool): Promise<number> => {
  const { rows } = await pool.query({
    name: 'monitor-outbox',
    text: `
select coalesce((select greatest(0, extract(epoch from clock_timestamp() - o.occurred_at))::float8
                   from outbox as o
                  order by o.first_sequence
                  limit 1), 0) as seconds`,
    values: [],
  })
  return rows[0].seconds
}

export type Verification = Omit<Verified, 'at'> & { readonly version: number; readonly verifiedAt: number; readonly durationMs: number }

export const lastVerification = async (pool: Pool): Promise<Verification | undefined> => {
  const { rows } = await pool.query({
    name: 'monitor-verification',
    text: `
select v.version, ${ms('v.verified_at')} as "verifiedAt", v.duration_ms as "durationMs", v.sequence, v.levels, v.entries, v.holds, v.violations
  from verifications as v`,
    values: [],
  })
  return rows[0]
}

/** Keeps what was found, and tells it, in one transaction. */
export const recordVerification = (pool: Pool, found: Verified, durationMs: number, tell: (verification: Verification) => Told): Promise<Verification> =>
  transaction(pool, async (connection) => {
    const { rows } = await connection.query(
      `
insert into verifications as v (version, verified_at, duration_ms, sequence, levels, entries, holds, violations)
values (1, to_timestamp($1::float8 / 1000), $2, $3, $4, $5, $6, $7)
on conflict (the_last) do update
   set version = v.version + 1, verified_at = excluded.verified_at, duration_ms = excluded.duration_ms, sequence = excluded.sequence,
       levels = excluded.levels, entries = excluded.entries, holds = excluded.holds, violations = excluded.violations
 where v.verified_at < excluded.verified_at
returning v.version`,
      [found.at, durationMs, found.sequence, found.levels, found.entries, found.holds, JSON.stringify(found.violations)],
    )
    if (rows[0] === undefined) throw new Error('the books were verified by another process meanwhile, and what this one found is old')
    const { at, ...rest } = found
    const verification: Verification = { ...rest, verifiedAt: at, durationMs, version: rows[0].version }
    await append(connection, { ...tell(verification), subject: { kind: 'ledger', id: 'ledger', version: verification.version } })
    return verification
  })

/** What is told, before it has its place. */
export type Told = { readonly type: string; readonly data: unknown }

export type ToldState = { readonly name: string; readonly isDown: boolean }

/** Of everything that was ever told of. */
export const toldStates = async (pool: Pool): Promise<readonly ToldState[]> => {
  const { rows } = await pool.query(`select s.name, s.is_down as "isDown" from component_states as s order by s.name`)
  return rows
}

/** Tells that a component is down, or no longer. Not again when that was told already, nor when another process leads by now. */
export const tellState = (
  pool: Pool,
  { name, isDown, since, term }: ToldState & { readonly since: number; readonly term: number },
  told: Told,
): Promise<void> =>
  transaction(pool, async (connection) => {
    const { rows } = await connection.query(
      `
insert into component_states as s (name, is_down, since, version)
select $1::text, $2::boolean, to_timestamp($3::float8 / 1000), 1
  from leaderships as l
 where l.name = 'monitor'
   and l.term = $4
   and ($2 or exists (select from component_states as there where there.name = $1))
on conflict (name) do update
   set is_down = excluded.is_down, since = excluded.since, version = s.version + 1
 where s.is_down <> excluded.is_down
returning s.version`,
      [name, isDown, since, term],
    )
    const version: number | undefined = rows[0]?.version
    if (version !== undefined) await append(connection, { ...told, subject: { kind: 'service', id: name, version } })
  })

const append = (connection: Connection, event: Told & { readonly subject: { readonly kind: string; readonly id: string; readonly version: number } }) =>
  appendEvent(connection, { ...event, actor: 'system', requestId: 'monitor' })
