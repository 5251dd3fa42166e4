// Reading documents with a life of their own: transfers, inbound shipments, counts. They are written by the ledger alone.
import type { LocationNumber, Uuid } from '../domain/ids.ts'
import type { Work, WorkKind } from '../domain/work.ts'
import type { Pool } from './pool.ts'

export type WorkOf<Kind extends WorkKind> = Extract<Work, { kind: Kind }>

export const getWork = async <Kind extends WorkKind>(pool: Pool, kind: Kind, id: Uuid): Promise<WorkOf<Kind> | undefined> => {
  const { rows } = await pool.query({
    name: 'get-work',
    text: 'select w.body from work_documents as w where w.kind = $1 and w.id = $2',
    values: [kind, id],
  })
  return rows[0]?.body
}

export type WorkFilter = {
  readonly status: string | null
  readonly reference: string | null
  /** Documents that concern it. */
  readonly location: LocationNumber | null
  /** The only locations that the reader may see: what lies wholly elsewhere is left out; null: nothing is. */
  readonly locations: readonly LocationNumber[] | null
  readonly before: Uuid | null
  readonly limit: number
}

/** Newest first. */
export const listWorks = async <Kind extends WorkKind>(
  pool: Pool,
  kind: Kind,
  { status, reference, location, locations, before, limit }: WorkFilter,
): Promise<WorkOf<Kind>[]> => {
  const { rows } = await pool.query(
    `
select w.body
  from work_documents as w
 where w.kind = $1
   and ($2::text is null or w.status = $2)
   and ($3::text is null or w.reference = $3)
   and ($4::int is null or $4 = any(w.location_ids))
   and ($5::uuid is null or w.id < $5)
   and ($7::int[] is null or w.location_ids && $7)
 order by w.id desc
 limit $6`,
    [kind, status, reference, location, before, limit, locations],
  )
  return rows.map((row) => row.body)
}
