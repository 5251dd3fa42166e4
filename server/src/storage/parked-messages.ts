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
  readonly sentAt?: number | undefined
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
  /** When it was first sent; when nobody says so, when it was first parked. */
  readonly sentAt: number
}

/** The same message of the same sender stands there once, with what was found wrong with it last. */
export const parkMessage = async (pool: Pool, { queue, operation, message, reason, attempts, caller, sentAt }: NewParkedMessage): Promise<void> => {
  const kept = caller === null && queue.startsWith('commands') ? beginningOf(message) : message
  const sender = caller === null ? null : JSON.stringify(caller)
  await pool.query(
    `
insert into parked_messages as p (id, queue, operation, message, caller, reason, attempts, parked_at, fingerprint, sent_at)
values ($1, $2, $3, $4, $5, $6, $7, clock_timestamp(), $8, least(to_timestamp($9::float8 / 1000), clock_timestamp()))
on conflict (fingerprint) do update
   set reason = excluded.reason, attempts = p.attempts + excluded.attempts, parked_at = excluded.parked_at, resent_at = null, caller = excluded.caller,
       sent_at = least(p.sent_at, excluded.sent_at)`,
    [
      uuidV7(),
      keepable(queue),
      operation === null ? null : keepable(operation),
      kept,
      sender,
      keepable(reason),
      attempts,
      digest(`${queue}\n${message}\n${senderName(caller)}`),
      sentAt ?? null,
    ],
  )
}
/** What others wrote: without what PostgreSQL cannot keep, and no longer than anybody reads. */
const keepable = (text: string): string => text.replaceAll('\0', '').toWellFormed().slice(0, LONGEST_TEXT)
const LONGEST_TEXT = 2_000
/** Of somebody we do not know nothing is ever done, so enough is kept to see what it was. */
const beginningOf = (message: string): string => (message.length > LONGEST_TEXT ? JSON.stringify(message.slice(0, LONGEST_TEXT)) : message)
const senderName = (caller: unknown): string => (caller as { readonly principal?: string } | null)?.principal ?? ''

const columnsWith = (message: string) => `p.id, p.queue, p.operation, ${message} as message, p.caller, p.reason, p.attempts, ${ms('p.parked_at')} as "parkedAt",
       ${ms('p.resent_at')} as "resentAt", ${ms('p.sent_at')} as "sentAt"`
const columns = columnsWith('p.message::text')

/** The newest first, of each message the beginning: a page of them would be a hundred megabytes. */
export const listParkedMessages = async (
  pool: Pool,
  { queue, resent, before, limit }: { readonly queue: string | null; readonly resent: boolean | null; readonly before: string | null; readonly limit: number },
): Promise<ParkedMessage[]> => {
  const { rows } = await pool.query(
    `
select ${columnsWith(`left(p.message::text, ${LONGEST_TEXT})`)}
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

export const lockParkedMessage = async (connection: Connection, id: string): Promise<ParkedMessage | undefined> => {
  const { rows } = await connection.query(`select ${columns} from parked_messages as p where p.id = $1 for update`, [id])
  return rows[0]
}

export const markResent = async (connection: Connection, id: string): Promise<ParkedMessage> => {
  const { rows } = await connection.query(`update parked_messages as p set resent_at = clock_timestamp() where p.id = $1 returning ${columns}`, [id])
  return rows[0]
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

/** Of messages of nobody we know only the newest are kept: whoever can write to the broker could fill the database with them. */
export const forgetStrangers = async (pool: Pool, kept: number, limit: number): Promise<void> => {
  await pool.query(
    `
delete from parked_messages as p
 where p.id = any(array(select old.id from parked_messages as old
                         where old.caller is null and old.queue like 'commands%'
                         order by old.id desc
                         offset $1
                         limit $2))`,
    [kept, limit],
  )
}

export const countParked = async (pool: Pool, most: number): Promise<number> => {
  const { rows } = await pool.query('select count(*) as parked from (select from parked_messages as p where p.resent_at is null limit $1) as counted', [most])
  return rows[0].parked
}
