// Who did what: one row for each administrative act, in the transaction of the act, and only ever added to.
import { uuidV7 } from '../platform/random.ts'
import { ms } from './codec.ts'
import type { Connection, Pool } from './pool.ts'

/** Who asks, from where, in which request: as much of a call as is kept. A call of a handler is one. */
export type AskedBy = {
  readonly caller: { readonly principal: string }
  readonly origin: { readonly address: string }
  readonly requestId: string
}

/** The fields that changed, each as it was and as it is. Secrets have no place here: say that they changed by the action. */
export type Changes = Readonly<Record<string, { readonly before: unknown; readonly after: unknown }>>

export type Act = {
  /** What was done, in the past tense, after its resource: `user.created`. */
  readonly action: string
  /** `id` is null where nobody is known by what was given, as when somebody signs in as whom there is not. */
  readonly subject: { readonly kind: string; readonly id: string | null }
  readonly changes?: Changes
}

/** Tells of an act in its own transaction: it is told of if and only if it was done. */
export const audit = async (connection: Connection, { caller, origin, requestId }: AskedBy, { action, subject, changes = {} }: Act): Promise<void> => {
  await connection.query(
    `
insert into audit_log (id, occurred_at, actor, action, subject_kind, subject_id, address, request_id, changes)
values ($1, date_trunc('milliseconds', clock_timestamp()), $2, $3, $4, $5, $6, $7, $8)`,
    [uuidV7(), caller.principal, action, subject.kind, subject.id, origin.address, requestId, JSON.stringify(changes)],
  )
}

/** What differs between two forms of one thing, by field. What was not there before was null; which thing it is stands beside it. */
export const changesBetween = (before: object | null, after: object | null): Changes => {
  const [was, is]: Record<string, unknown>[] = [{ ...before }, { ...after }]
  const changes: Record<string, { before: unknown; after: unknown }> = {}
  for (const field of new Set([...Object.keys(was ?? {}), ...Object.keys(is ?? {})])) {
    if (field === 'object' || field === 'id') continue
    const pair = { before: was?.[field] ?? null, after: is?.[field] ?? null }
    if (JSON.stringify(pair.before) !== JSON.stringify(pair.after)) changes[field] = pair
  }
  return changes
}

export type AuditEntry = {
  readonly id: string
  readonly occurredAt: number
  readonly actor: string
  readonly action: string
  readonly subjectKind: string
  readonly subjectId: string | null
  readonly address: string
  readonly requestId: string
  readonly changes: Changes
}

export type AuditFilter = {
  readonly actor: string | null
  readonly action: string | null
  readonly subject: string | null
  readonly since: number | null
  readonly until: number | null
  /** The last row of the page before. */
  readonly before: string | null
  readonly limit: number
}

/** Newest first. */
export const listAudit = async (pool: Pool, { actor, action, subject, since, until, before, limit }: AuditFilter): Promise<AuditEntry[]> => {
  const { rows } = await pool.query(
    `
select a.id, ${ms('a.occurred_at')} as "occurredAt", a.actor, a.action, a.subject_kind as "subjectKind", a.subject_id as "subjectId", a.address,
       a.request_id as "requestId", a.changes
  from audit_log as a
 where ($1::text is null or a.actor = $1)
   and ($2::text is null or a.action = $2)
   and ($3::text is null or a.subject_id = $3)
   and ($4::float8 is null or a.occurred_at >= to_timestamp($4 / 1000))
   and ($5::float8 is null or a.occurred_at < to_timestamp($5 / 1000))
   and ($6::uuid is null or (a.occurred_at, a.id) < (select last.occurred_at, last.id from audit_log as last where last.id = $6))
 order by a.occurred_at desc, a.id desc
 limit $7`,
    [actor, action, subject, since, until, before, limit],
  )
  return rows
}
