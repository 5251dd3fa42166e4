// Events: reading them in order, and adding those of things that are not stock.
import type { WrittenEvent } from '../domain/event.ts'
import { ms } from './codec.ts'
import type { Connection, Pool } from './pool.ts'

export type NewEvent = Omit<WrittenEvent, 'sequence' | 'occurredAt'>

/**
 * Takes the next sequence, and with it the head of the ledger until the transaction ends: call it last.
 * @returns the sequence
 */
export const appendEvent = async (connection: Connection, event: NewEvent): Promise<number> => {
  const { rows } = await connection.query(
    `
with head as (
  update ledger_head
     set sequence = sequence + 1, latest_at = greatest(latest_at, date_trunc('milliseconds', clock_timestamp()))
  returning sequence, latest_at),
told as (
  insert into events (sequence, type, subject_kind, subject_id, subject_version, actor, request_id, data, occurred_at)
  select head.sequence, $1, $2, $3, $4, $5, $6, $7, head.latest_at from head),
queued as (
  insert into outbox (first_sequence, last_sequence, occurred_at)
  select head.sequence, head.sequence, head.latest_at from head)
select head.sequence from head`,
    [event.type, event.subject.kind, event.subject.id, event.subject.version, event.actor, event.requestId, JSON.stringify(event.data)],
  )
  return rows[0].sequence
}

/**
 * Takes the next sequences, one for each event, and with them the head of the ledger until the transaction ends: call it last.
 * @returns the first sequence
 */
export const appendEvents = async (connection: Connection, events: readonly NewEvent[]): Promise<number> => {
  const { rows } = await connection.query(
    `
with head as (
  update ledger_head
     set sequence = sequence + cardinality($1::text[]), latest_at = greatest(latest_at, date_trunc('milliseconds', clock_timestamp()))
  returning sequence - cardinality($1::text[]) as before, sequence, latest_at),
told as (
  insert into events (sequence, type, subject_kind, subject_id, subject_version, actor, request_id, data, occurred_at)
  select head.before + n.place, n.type, n.subject_kind, n.subject_id, n.subject_version, n.actor, n.request_id, n.data, head.latest_at
    from head,
         unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::text[], $6::text[], $7::json[])
         with ordinality as n (type, subject_kind, subject_id, subject_version, actor, request_id, data, place)),
queued as (
  insert into outbox (first_sequence, last_sequence, occurred_at)
  select head.before + 1, head.sequence, head.latest_at from head)
select head.before + 1 as first from head`,
    [
      events.map((event) => event.type),
      events.map((event) => event.subject.kind),
      events.map((event) => event.subject.id),
      events.map((event) => event.subject.version),
      events.map((event) => event.actor),
      events.map((event) => event.requestId),
      events.map((event) => JSON.stringify(event.data)),
    ],
  )
  return rows[0].first
}

const columns = `e.sequence, e.type, e.subject_kind, e.subject_id, e.subject_version, e.actor, e.request_id, e.data, ${ms('e.occurred_at')} as occurred_at`

type EventRow = {
  sequence: number
  type: string
  subject_kind: string
  subject_id: string
  subject_version: number
  actor: string
  request_id: string
  data: unknown
  occurred_at: number
}
const eventOf = (row: EventRow): WrittenEvent => ({
  sequence: row.sequence,
  type: row.type,
  subject: { kind: row.subject_kind, id: row.subject_id, version: row.subject_version },
  actor: row.actor,
  requestId: row.request_id,
  data: row.data,
  occurredAt: row.occurred_at,
})

export const getEvent = async (pool: Pool, sequence: number): Promise<WrittenEvent | undefined> => {
  const { rows } = await pool.query(`select ${columns} from events as e where e.sequence = $1`, [sequence])
  return rows[0] ? eventOf(rows[0]) : undefined
}

export const headSequence = async (pool: Pool): Promise<number> => {
  const { rows } = await pool.query({ name: 'head-sequence', text: 'select h.sequence from ledger_head as h', values: [] })
  return rows[0].sequence
}

/** Oldest first, of sequences above `after` up to and with `upTo`. */
export const eventsAfter = async (
  pool: Pool,
  { after, upTo, types, limit }: { after: number; upTo: number | null; types: readonly string[] | null; limit: number },
): Promise<WrittenEvent[]> => {
  const { rows } = await pool.query({
    name: 'events-after',
    text: `
select ${columns}
  from events as e
 where e.sequence > $1
   and ($2::bigint is null or e.sequence <= $2)
   and ($3::text[] is null or e.type = any($3))
 order by e.sequence
 limit $4`,
    values: [after, upTo, types, limit],
  })
  return rows.map(eventOf)
}

/** Newest first, of sequences below `before`. */
export const eventsBefore = async (
  pool: Pool,
  { before, types, limit }: { before: number | null; types: readonly string[] | null; limit: number },
): Promise<WrittenEvent[]> => {
  const { rows } = await pool.query(
    `
select ${columns}
  from events as e
 where ($1::bigint is null or e.sequence < $1)
   and ($2::text[] is null or e.type = any($2))
 order by e.sequence desc
 limit $3`,
    [before, types, limit],
  )
  return rows.map(eventOf)
}

/**
 * The last sequence of what happened before an instant; 0 when nothing did. Sequences and instants grow together, so it is found
 * by halving, in as many looks as the head has bits: an index on the instant would be written for every event.
 */
export const sequenceBefore = async (pool: Pool, instantMs: number): Promise<number> => {
  let [before, from] = [0, (await headSequence(pool)) + 1]
  while (from - before > 1) {
    const middle = Math.floor((before + from) / 2)
    const { rows } = await pool.query(`select ${ms('e.occurred_at')} as at from events as e where e.sequence = $1`, [middle])
    // What is no longer there was archived, so it is old.
    if (rows[0] === undefined || rows[0].at < instantMs) before = middle
    else from = middle
  }
  return before
}
