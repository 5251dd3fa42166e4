// What waits to be done, as it stands in the database: for whoever looks at night whether something is stuck.
import type { Pool } from './pool.ts'

export type Backlog = {
  /** Since when the oldest event that was not told yet has waited. */
  readonly outboxSeconds: number
  /** Deliveries to endpoints that are enabled, those that wait for another attempt among them. */
  readonly deliveries: number
  /** How long the one that has been due for longest has waited to be taken. */
  readonly overdueSeconds: number
  /** Imports that somebody works on, and those that broke off and wait for their sender to come back. */
  readonly importsRunning: number
  readonly importsLeft: number
  readonly sessions: number
}

/** @param most  deliveries that are counted: beyond, it is enough to know that there are as many */
export const readBacklog = async (pool: Pool, { most, idleMs }: { readonly most: number; readonly idleMs: number }): Promise<Backlog> => {
  const { rows } = await pool.query({
    name: 'read-backlog',
    text: `
select coalesce((select ${secondsSince('o.occurred_at')} from outbox as o order by o.first_sequence limit 1), 0) as "outboxSeconds",
       (select count(*)
          from (select
                  from webhook_endpoints as e
                  join webhook_deliveries as d on d.endpoint_id = e.id and d.status = 'pending'
                 where e.status = 'enabled'
                 limit $1) as pending) as deliveries,
       coalesce((select max(${secondsSince('first.next_attempt_at')})
                   from webhook_endpoints as e
                  cross join lateral (select d.next_attempt_at
                                        from webhook_deliveries as d
                                       where d.endpoint_id = e.id and d.status = 'pending'
                                       order by d.next_attempt_at
                                       limit 1) as first
                  where e.status = 'enabled'), 0) as "overdueSeconds",
       (select count(*) from imports as p where p.status = 'running' and p.working_until > clock_timestamp()) as "importsRunning",
       (select count(*) from imports as p where p.status = 'running' and coalesce(p.working_until <= clock_timestamp(), true)) as "importsLeft",
       (select count(*)
          from sessions as s
         where s.expires_at > now()
           and s.last_seen_at > now() - make_interval(secs => $2::float8 / 1000)) as sessions`,
    values: [most, idleMs],
  })
  return rows[0] as Backlog // the columns above, in the one row that there always is
}

const secondsSince = (instant: string): string => `greatest(0, extract(epoch from clock_timestamp() - ${instant}))::float8`
