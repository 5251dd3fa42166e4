// The tables of webhooks: webhook_endpoints and webhook_deliveries. Nobody else reads or writes them. Times are the database's.
import type { Uuid } from '../../domain/ids.ts'
import { ms } from '../../storage/codec.ts'
import { faultOf } from '../../storage/fault.ts'
import type { Connection, Pool } from '../../storage/pool.ts'

export type EndpointStatus = 'enabled' | 'disabled' | 'deleted'
export type DisabledReason = 'asked' | 'gone' | 'failing'

export type Endpoint = {
  readonly id: Uuid
  readonly url: string
  readonly events: readonly string[]
  readonly description: string | null
  readonly metadata: Readonly<Record<string, string>>
  readonly status: EndpointStatus
  readonly disabledReason: DisabledReason | null
  readonly disabledAt: number | null
  readonly previousSecretExpiresAt: number | null
  readonly failingSince: number | null
  readonly replayAfter: number | null
  readonly replayUntil: number | null
  readonly version: number
  readonly createdAt: number
  readonly updatedAt: number
}
export type NewEndpoint = Pick<Endpoint, 'id' | 'url' | 'events' | 'description' | 'metadata'> & { readonly secret: string }
export type EndpointChanges = Pick<Endpoint, 'url' | 'events' | 'description' | 'metadata'>

/** Sealed. The second is of no use any more from its time on. */
export type Secrets = { readonly secret: string; readonly previousSecret: string | null }

export type Attempt = {
  readonly number: number
  readonly started_at: string
  readonly duration_ms: number
  readonly response_status: number | null
  readonly response_body: string | null
  readonly error: string | null
}
export type DeliveryStatus = 'pending' | 'delivered' | 'failed'
export type Delivery = {
  readonly id: Uuid
  readonly endpoint: Uuid
  readonly event: Uuid
  readonly eventType: string
  readonly status: DeliveryStatus
  readonly nextAttemptAt: number | null
  readonly log: readonly Attempt[]
  readonly createdAt: number
  readonly endedAt: number | null
}

const endpointColumns = `
       e.id, e.url, e.events, e.description, e.metadata, e.status, e.disabled_reason as "disabledReason", ${ms('e.disabled_at')} as "disabledAt",
       case when e.previous_secret_expires_at > now() then ${ms('e.previous_secret_expires_at')} end as "previousSecretExpiresAt",
       ${ms('e.failing_since')} as "failingSince", e.replay_after as "replayAfter", e.replay_until as "replayUntil",
       e.version, ${ms('e.created_at')} as "createdAt", ${ms('e.updated_at')} as "updatedAt"`
const secretColumns = `e.secret, case when e.previous_secret_expires_at > now() then e.previous_secret end as "previousSecret"`
const deliveryColumns = `
       d.id, d.endpoint_id as endpoint, d.event_id as event, d.event_type as "eventType", d.status, ${ms('d.next_attempt_at')} as "nextAttemptAt",
       d.log, ${ms('d.created_at')} as "createdAt", ${ms('d.ended_at')} as "endedAt"`

/** Those that wait for it make their endpoints one after the other, so that there are not more of them than there may be. */
export const countEndpoints = async (connection: Connection): Promise<number> => {
  await rows(connection, 'select pg_advisory_xact_lock($1, hashtext(current_schema()))', [ENDPOINTS_LOCK])
  return one(await rows<{ count: number }>(connection, `select count(*) as count from webhook_endpoints as e where e.status <> 'deleted'`, [])).count
}
const ENDPOINTS_LOCK = 7_200

export const insertEndpoint = async (connection: Connection, { id, url, events, description, metadata, secret }: NewEndpoint): Promise<Endpoint> =>
  one(
    await rows<Endpoint>(
      connection,
      `
insert into webhook_endpoints as e (id, url, events, description, metadata, secret, since_sequence)
values ($1, $2, $3, $4, $5, $6, 0)
returning ${endpointColumns}`,
      [id, url, events, description, JSON.stringify(metadata), secret],
    ),
  )

/** It is told what happens after this event. */
export const setSinceSequence = async (connection: Connection, id: Uuid, sequence: number): Promise<void> => {
  await rows(connection, 'update webhook_endpoints as e set since_sequence = $2 where e.id = $1', [id, sequence])
}

export const getEndpoint = async (pool: Pool, id: Uuid): Promise<(Endpoint & Secrets) | undefined> =>
  (
    await rows<Endpoint & Secrets>(pool, `select ${endpointColumns}, ${secretColumns} from webhook_endpoints as e where e.id = $1 and e.status <> 'deleted'`, [
      id,
    ])
  )[0]

/** Nobody else changes it until the transaction ends. */
export const lockEndpoint = async (connection: Connection, id: Uuid): Promise<(Endpoint & Secrets) | undefined> =>
  (
    await rows<Endpoint & Secrets>(
      connection,
      `select ${endpointColumns}, ${secretColumns} from webhook_endpoints as e where e.id = $1 and e.status <> 'deleted' for no key update`,
      [id],
    )
  )[0]

export const listEndpoints = (
  pool: Pool,
  { status, before, limit }: { readonly status: EndpointStatus | null; readonly before: Uuid | null; readonly limit: number },
): Promise<Endpoint[]> =>
  rows<Endpoint>(
    pool,
    `
select ${endpointColumns}
  from webhook_endpoints as e
 where e.status <> 'deleted'
   and ($1::text is null or e.status = $1)
   and ($2::uuid is null or e.id < $2)
 order by e.id desc
 limit $3`,
    [status, before, limit],
  )

export const changeEndpoint = async (connection: Connection, id: Uuid, { url, events, description, metadata }: EndpointChanges): Promise<Endpoint> =>
  one(
    await rows<Endpoint>(
      connection,
      `
update webhook_endpoints as e
   set url = $2, events = $3, description = $4, metadata = $5, version = e.version + 1, updated_at = now()
 where e.id = $1
returning ${endpointColumns}`,
      [id, url, events, description, JSON.stringify(metadata)],
    ),
  )

/** `version` is left to who changes more besides. */
export const disableEndpoint = async (connection: Connection, id: Uuid, reason: DisabledReason): Promise<void> => {
  await rows(connection, `update webhook_endpoints as e set status = 'disabled', disabled_reason = $2, disabled_at = now() where e.id = $1`, [id, reason])
}

export const enableEndpoint = async (connection: Connection, id: Uuid): Promise<void> => {
  await rows(
    connection,
    `
update webhook_endpoints as e
   set status = 'enabled', disabled_reason = null, disabled_at = null, failing_since = null, failures = 0
 where e.id = $1`,
    [id],
  )
}

/** From now on it is told nothing, and nothing of its secret is left. */
export const deleteEndpoint = async (connection: Connection, id: Uuid): Promise<Endpoint> =>
  one(
    await rows<Endpoint>(
      connection,
      `
update webhook_endpoints as e
   set status = 'deleted', disabled_reason = null, disabled_at = null, secret = null, previous_secret = null, previous_secret_expires_at = null,
       replay_after = null, replay_until = null, version = e.version + 1, updated_at = now()
 where e.id = $1
returning ${endpointColumns}`,
      [id],
    ),
  )

export const rotateSecret = async (
  connection: Connection,
  id: Uuid,
  { secret, overlapSeconds }: { secret: string; overlapSeconds: number },
): Promise<Endpoint> =>
  one(
    await rows<Endpoint>(
      connection,
      `
update webhook_endpoints as e
   set secret = $2,
       previous_secret = case when $3::int > 0 then e.secret end,
       previous_secret_expires_at = case when $3::int > 0 then now() + make_interval(secs => $3::int) end,
       version = e.version + 1, updated_at = now()
 where e.id = $1
returning ${endpointColumns}`,
      [id, secret, overlapSeconds],
    ),
  )

/** As they are kept, of every endpoint that has some. */
export const allSecrets = (pool: Pool): Promise<({ readonly id: Uuid } & Secrets)[]> =>
  rows(pool, `select e.id, e.secret, e.previous_secret as "previousSecret" from webhook_endpoints as e where e.status <> 'deleted' order by e.id`, [])

/** The same secrets under another lock; not if they have been rotated meanwhile. */
export const replaceSecrets = async (pool: Pool, id: Uuid, before: Secrets, after: Secrets): Promise<void> => {
  await rows(
    pool,
    `
update webhook_endpoints as e
   set secret = $4, previous_secret = $5
 where e.id = $1 and e.secret = $2 and e.previous_secret is not distinct from $3`,
    [id, before.secret, before.previousSecret, after.secret, after.previousSecret],
  )
}

/** Asks for a range to be queued again. One that is still being queued is made wider, so that it covers both. */
export const askReplay = async (connection: Connection, id: Uuid, { after, until }: { after: number; until: number }): Promise<Endpoint> =>
  one(
    await rows<Endpoint>(
      connection,
      `
update webhook_endpoints as e
   set replay_after = least(e.replay_after, $2::bigint), replay_until = greatest(e.replay_until, $3::bigint)
 where e.id = $1
returning ${endpointColumns}`,
      [id, after, until],
    ),
  )

export type Replay = { readonly id: Uuid; readonly events: readonly string[]; readonly after: number; readonly until: number }

export const nextReplay = async (pool: Pool): Promise<Replay | undefined> =>
  (
    await rows<Replay>(
      pool,
      `
select e.id, e.events, e.replay_after as after, e.replay_until as until
  from webhook_endpoints as e
 where e.status = 'enabled' and e.replay_after is not null
 order by e.id
 limit 1`,
      [],
    )
  )[0]

/** Says whether it was where it had been read: else another process, or another wish, was quicker. */
export const replayedTo = async (connection: Connection, { id, after, until }: Replay, to: number): Promise<boolean> =>
  (
    await rows(
      connection,
      `
update webhook_endpoints as e
   set replay_after = case when $4::bigint < $3::bigint then $4::bigint end,
       replay_until = case when $4::bigint < $3::bigint then $3::bigint end
 where e.id = $1 and e.replay_after = $2 and e.replay_until = $3
returning e.id`,
      [id, after, until, to],
    )
  ).length > 0

/** Whether anybody is to be told anything. */
export const hasListeners = async (pool: Pool): Promise<boolean> =>
  one(await rows<{ there: boolean }>(pool, `select exists (select from webhook_endpoints as e where e.status = 'enabled') as there`, [])).there

export type Listener = { readonly id: Uuid; readonly events: readonly string[]; readonly since: number }

export const listeners = (pool: Pool): Promise<Listener[]> =>
  rows<Listener>(pool, `select e.id, e.events, e.since_sequence as since from webhook_endpoints as e where e.status = 'enabled' order by e.id`, [])

export type NewDelivery = { readonly id: Uuid; readonly endpoint: Uuid; readonly event: Uuid; readonly eventType: string }

/** Each event once for each endpoint, however often it is told. */
export const insertDeliveries = async (pool: Pool, deliveries: readonly NewDelivery[]): Promise<void> => {
  await rows(pool, `${insertAll} on conflict (endpoint_id, event_id) do nothing`, columnsOf(deliveries))
}

/** The same, but what was sent before is sent again. */
export const insertAgain = async (connection: Connection, deliveries: readonly NewDelivery[]): Promise<void> => {
  await rows(
    connection,
    `${insertAll}
on conflict (endpoint_id, event_id) do update
   set status = 'pending', next_attempt_at = now(), failures = 0, ended_at = null`,
    columnsOf(deliveries),
  )
}
const insertAll = `
insert into webhook_deliveries as d (id, endpoint_id, event_id, event_type, next_attempt_at)
select n.id, n.endpoint_id, n.event_id, n.event_type, now()
  from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[]) as n (id, endpoint_id, event_id, event_type)
 order by n.endpoint_id, n.event_id`
const columnsOf = (deliveries: readonly NewDelivery[]): unknown[] => [
  deliveries.map(({ id }) => id),
  deliveries.map(({ endpoint }) => endpoint),
  deliveries.map(({ event }) => event),
  deliveries.map(({ eventType }) => eventType),
]

export type Claimed = Secrets & {
  readonly id: Uuid
  readonly endpoint: Uuid
  readonly url: string
  readonly event: Uuid
  readonly eventType: string
  /** The number of this attempt, and what its findings are written under. */
  readonly attempt: number
  readonly failures: number
  readonly log: readonly Attempt[]
  /** The endpoint has failed since its last success. */
  readonly failing: boolean
}

/**
 * Takes what is due, of each endpoint as many as it has room for, the longest due first. Nobody else takes them before the lease
 * has ended.
 * @param busy  how many are being sent to an endpoint by this process
 */
export const claimDue = (
  pool: Pool,
  { busy, room, leaseMs }: { readonly busy: ReadonlyMap<Uuid, number>; readonly room: number; readonly leaseMs: number },
): Promise<Claimed[]> =>
  rows<Claimed>(
    pool,
    {
      name: 'claim-webhook-deliveries',
      text: `
with free as (
  select e.id, e.url, e.failing_since is not null as failing, ${secretColumns}, $3::int - coalesce(b.sending, 0) as room
    from webhook_endpoints as e
    left join unnest($1::uuid[], $2::int[]) as b (endpoint_id, sending) on b.endpoint_id = e.id
   where e.status = 'enabled'),
due as (
  select d.id, f.url, f.failing, f.secret, f."previousSecret"
    from free as f
   cross join lateral (
     select w.id
       from webhook_deliveries as w
      where w.endpoint_id = f.id and w.status = 'pending' and w.next_attempt_at <= now()
      order by w.next_attempt_at, w.event_id
      limit greatest(f.room, 0)
        for update skip locked) as d)
update webhook_deliveries as d
   set attempts = d.attempts + 1, next_attempt_at = now() + make_interval(secs => $4::float8 / 1000)
  from due
 where d.id = due.id
returning d.id, d.endpoint_id as endpoint, due.url, d.event_id as event, d.event_type as "eventType", d.attempts as attempt, d.failures, d.log,
          due.failing, due.secret, due."previousSecret"`,
    },
    [[...busy.keys()], [...busy.values()], room, leaseMs],
  )

type Token = Pick<Claimed, 'id' | 'attempt'>

/** Says whether this was still the latest attempt. */
export const recordSuccess = async (pool: Pool, { id, attempt }: Token, log: readonly Attempt[]): Promise<boolean> =>
  (
    await rows(
      pool,
      {
        name: 'webhook-delivered',
        text: `
update webhook_deliveries as d
   set status = 'delivered', next_attempt_at = null, ended_at = now(), log = $3
 where d.id = $1 and d.attempts = $2 and d.status = 'pending'
returning d.id`,
      },
      [id, attempt, JSON.stringify(log)],
    )
  ).length > 0

/** `waitMs` null: it is not tried again. */
export const recordFailure = async (
  pool: Pool,
  { id, attempt }: Token,
  { log, waitMs }: { readonly log: readonly Attempt[]; readonly waitMs: number | null },
): Promise<boolean> =>
  (
    await rows(
      pool,
      `
update webhook_deliveries as d
   set status = case when $4::float8 is null then 'failed' else 'pending' end,
       next_attempt_at = now() + make_interval(secs => $4::float8 / 1000),
       ended_at = case when $4::float8 is null then now() end,
       failures = d.failures + 1,
       log = $3
 where d.id = $1 and d.attempts = $2 and d.status = 'pending'
returning d.id`,
      [id, attempt, JSON.stringify(log), waitMs],
    )
  ).length > 0

/** Gives back what was taken and not sent, or not to its end. */
export const giveBack = async (pool: Pool, claimed: readonly Token[]): Promise<void> => {
  await rows(
    pool,
    `
update webhook_deliveries as d
   set next_attempt_at = now()
  from unnest($1::uuid[], $2::int[]) as t (id, attempt)
 where d.id = t.id and d.attempts = t.attempt and d.status = 'pending'`,
    [claimed.map(({ id }) => id), claimed.map(({ attempt }) => attempt)],
  )
}

export const succeeded = async (pool: Pool, endpoint: Uuid): Promise<void> => {
  await rows(pool, 'update webhook_endpoints as e set failing_since = null, failures = 0 where e.id = $1 and e.failing_since is not null', [endpoint])
}

/** Says whether it has failed for so long, and so often, that it is hopeless. */
export const failed = async (
  pool: Pool,
  endpoint: Uuid,
  { hopelessMs, hopelessFailures }: { readonly hopelessMs: number; readonly hopelessFailures: number },
): Promise<boolean> => {
  const [row] = await rows<{ hopeless: boolean }>(
    pool,
    `
update webhook_endpoints as e
   set failing_since = coalesce(e.failing_since, now()), failures = e.failures + 1
 where e.id = $1 and e.status = 'enabled'
returning e.failures >= $3 and e.failing_since <= now() - make_interval(secs => $2::float8 / 1000) as hopeless`,
    [endpoint, hopelessMs, hopelessFailures],
  )
  return row?.hopeless === true
}

export const setVersion = async (connection: Connection, id: Uuid): Promise<Endpoint> =>
  one(
    await rows<Endpoint>(
      connection,
      `update webhook_endpoints as e set version = e.version + 1, updated_at = now() where e.id = $1 returning ${endpointColumns}`,
      [id],
    ),
  )

/** Of an endpoint that is there. */
export const getDelivery = async (on: Pool | Connection, id: Uuid): Promise<Delivery | undefined> =>
  (
    await rows<Delivery>(
      on,
      `
select ${deliveryColumns}
  from webhook_deliveries as d
  join webhook_endpoints as e on e.id = d.endpoint_id and e.status <> 'deleted'
 where d.id = $1`,
      [id],
    )
  )[0]

/** The newest events first. */
export const listDeliveries = (
  pool: Pool,
  {
    endpoint,
    status,
    before,
    limit,
  }: { readonly endpoint: Uuid; readonly status: DeliveryStatus | null; readonly before: Uuid | null; readonly limit: number },
): Promise<Delivery[]> =>
  rows<Delivery>(
    pool,
    `
select ${deliveryColumns}
  from webhook_deliveries as d
 where d.endpoint_id = $1
   and ($2::text is null or d.status = $2)
   and ($3::uuid is null or d.event_id < $3)
 order by d.event_id desc
 limit $4`,
    [endpoint, status, before, limit],
  )

export const sendAgain = async (connection: Connection, id: Uuid): Promise<Delivery> =>
  one(
    await rows<Delivery>(
      connection,
      `
update webhook_deliveries as d
   set status = 'pending', next_attempt_at = now(), failures = 0, ended_at = null
 where d.id = $1
returning ${deliveryColumns}`,
      [id],
    ),
  )

/** Deliveries made before `before` that nothing is waiting for, and those of deleted endpoints. Answers how many have gone. */
export const forgetDeliveries = async (pool: Pool, { before, ageMs, limit }: { before: Uuid; ageMs: number; limit: number }): Promise<number> =>
  (
    await rows(
      pool,
      `
delete from webhook_deliveries as d
 where d.id = any(array(select old.id
                          from webhook_deliveries as old
                         where old.id < $1
                           and (old.status <> 'pending' or old.next_attempt_at < now() - make_interval(secs => $2::float8 / 1000))
                         order by old.id
                         limit $3))
    or d.id = any(array(select left_behind.id
                          from webhook_endpoints as e
                          join webhook_deliveries as left_behind on left_behind.endpoint_id = e.id
                         where e.status = 'deleted'
                         limit $3))
returning d.id`,
      [before, ageMs, limit],
    )
  ).length

/** Endpoints that were deleted, and of which nothing is left. */
export const forgetEndpoints = async (pool: Pool): Promise<void> => {
  await rows(
    pool,
    `
delete from webhook_endpoints as e
 where e.status = 'deleted'
   and not exists (select from webhook_deliveries as d where d.endpoint_id = e.id)`,
    [],
  )
}

const rows = async <Row>(on: Pool | Connection, sql: string | { readonly name: string; readonly text: string }, values: readonly unknown[]): Promise<Row[]> => {
  try {
    const statement = typeof sql === 'string' ? { text: sql } : sql
    return (await on.query({ ...statement, values: [...values] })).rows as Row[] // the columns are named in the statement
  } catch (error) {
    throw faultOf(error) ?? error
  }
}

const one = <Row>([row]: readonly Row[]): Row => {
  if (row === undefined) throw new Error('a row that is there was not found')
  return row
}
