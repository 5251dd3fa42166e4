// Messages that nobody could take.
import { uuidV7 } from '../platform/random.ts'
import { ms } from './codec.ts'
import { digest } from './idempotency.ts'
import type { Connection, Pool } from './pool.ts'

export type NewParkedMessage = {
  readonly queue: string
  readonly operation: string | null
  /** JSON. */
  readonly message: string
  readonly reason: string
  readonly attempts: number
  readonly caller: unknown
}

export type ParkedMessage = {
  readonly id: string
  readonly queue: string
  readonly operation: string | null
  readonly message: string
  readonly caller: { readonly principal: string } | null
  readonly reason: string
  readonly attempts: number
  readonly parkedAt: number
  readonly resentAt: number | null
}

/** The same message of the same sender stands there once, with what was found wrong with it last. */
export const parkMessage = async (pool: Pool, { queue, operation, message, reason, attempts, caller }: NewParkedMessage): Promise<void> => {
  const sender = caller === null ? null : JSON.stringify(caller)
  await pool.query(
    `
insert into parked_messages as p (id, queue, operation, message, caller, reason, attempts, parked_at, fingerprint)
values ($1, $2, $3, $4, $5, $6, $7, clock_timestamp(), $8)
on conflict (fingerprint) do update
   set reason = excluded.reason, attempts = p.attempts + excluded.attempts, parked_at = excluded.parked_at, resent_at = null, caller = excluded.caller`,
    [
      uuidV7(),
      keepable(queue),
      operation === null ? null : keepable(operation),
      message,
      sender,
      keepable(reason),
      attempts,
      digest(`${queue}\n${message}\n${senderName(caller)}`),
    ],
  )
}
/** What others wrote: without what PostgreSQL cannot keep, and no longer than anybody reads. */
const keepable = (text: string): string => text.replaceAll('\0', '').toWellFormed().slice(0, LONGEST_TEXT)
const LONGEST_TEXT = 2_000
const senderName = (caller: unknown): string => (caller as { readonly principal?: string } | null)?.principal ?? ''

const columns = `p.id, p.queue, p.operation, p.message::text as message, p.caller, p.reason, p.attempts, ${ms('p.parked_at')} as "parkedAt",
       ${ms('p.resent_at')} as "resentAt"`

/** The newest first. */
export const listParkedMessages = async (
  pool: Pool,
  { queue, resent, before, limit }: { readonly queue: string | null; readonly resent: boolean | null; readonly before: string | null; readonly limit: number },
): Promise<ParkedMessage[]> => {
  const { rows } = await pool.query(
    `
select ${columns}
  from parked_messages as p
 where ($1::text is null or p.queue = $1)
   and ($2::boolean is null or (p.resent_at is not null) = $2)
   and ($3::uuid is null or p.id < $3)
 order by p.id desc
 limit $4`,
    [queue, resent, before, limit],
  )
  return rows
}

export const getParkedMessage = async (pool: Pool, id: string): Promise<ParkedMessage | undefined> => {
  const { rows } = await pool.query(`select ${columns} from parked_messages as p where p.id = $1`, [id])
  return rows[0]
}

/** Not when it has come back meanwhile: then it is parked again, whoever was quicker. */
export const markResent = async (connection: Connection, { id, attempts }: Pick<ParkedMessage, 'id' | 'attempts'>): Promise<void> => {
  await connection.query('update parked_messages as p set resent_at = clock_timestamp() where p.id = $1 and p.attempts = $2 and p.resent_at is null', [
    id,
    attempts,
  ])
}

export const deleteParkedMessage = async (connection: Connection, id: string): Promise<ParkedMessage | undefined> => {
  const { rows } = await connection.query(`delete from parked_messages as p where p.id = $1 returning ${columns}`, [id])
  return rows[0]
}

/** Those that were sent again long ago, and did not come back. */
export const forgetResent = async (pool: Pool, ageMs: number, limit: number): Promise<void> => {
  await pool.query(
    `
delete from parked_messages as p
 where p.id = any(array(select old.id from parked_messages as old
                         where old.resent_at < clock_timestamp() - make_interval(secs => $1::float8 / 1000)
                         order by old.id
                         limit $2))`,
    [ageMs, limit],
  )
}

export const countParked = async (pool: Pool, most: number): Promise<number> => {
  const { rows } = await pool.query('select count(*) as parked from (select from parked_messages as p where p.resent_at is null limit $1) as counted', [most])
  return rows[0].parked
}
