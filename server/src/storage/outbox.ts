// What is still to be told to others. Emptied as it is told: a row goes only after its events were taken.
import { ms } from './codec.ts'
import type { Pool } from './pool.ts'

/** The events of one transaction. */
export type OutboxRow = { readonly first: number; readonly last: number; readonly occurredAt: number }

/** In the order of the ledger. */
export const readOutbox = async (pool: Pool, limit: number): Promise<OutboxRow[]> => {
  const { rows } = await pool.query({
    name: 'read-outbox',
    text: `
select o.first_sequence as first, o.last_sequence as last, ${ms('o.occurred_at')} as "occurredAt"
  from outbox as o
 order by o.first_sequence
 limit $1`,
    values: [limit],
  })
  return rows
}

/** Removes what was told, if `term` is the relay's latest. Answers whether it is: somebody else may lead by now, and has told it, too. */
export const removeFromOutbox = async (pool: Pool, firsts: readonly number[], term: number): Promise<boolean> => {
  const { rows } = await pool.query({
    name: 'remove-from-outbox',
    text: `
with latest as materialized (select from leaderships as l where l.name = 'relay' and l.term = $2),
removed as (delete from outbox as o where o.first_sequence = any($1::bigint[]) and exists (select from latest))
select exists (select from latest) as leads`,
    values: [firsts, term],
  })
  return rows[0].leads
}
