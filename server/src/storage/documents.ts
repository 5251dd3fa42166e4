// Reading receipts, adjustments, shipments and returns. They are written by the ledger alone.
import type { DocumentAnswer } from '../domain/event.ts'
import type { LocationNumber, Uuid } from '../domain/ids.ts'
import type { Pool } from './pool.ts'

export type DocumentKind = Extract<DocumentAnswer['kind'], 'receipt' | 'adjustment' | 'shipment' | 'return'>
export type WrittenDocument<Kind extends DocumentKind> = {
  readonly id: Uuid
  readonly sequence: number
  readonly body: Extract<DocumentAnswer, { kind: Kind }>
}

export const getDocument = async <Kind extends DocumentKind>(pool: Pool, kind: Kind, id: Uuid): Promise<WrittenDocument<Kind> | undefined> => {
  const { rows } = await pool.query({
    name: 'get-document',
    text: 'select d.id, d.sequence, d.body from documents as d where d.kind = $1 and d.id = $2',
    values: [kind, id],
  })
  return rows[0]
}

export type DocumentFilter = {
  readonly reference: string | null
  readonly hold: Uuid | null
  /** The only locations that the reader may see: documents that lie wholly elsewhere are left out; null: none are. */
  readonly locations: readonly LocationNumber[] | null
  readonly before: Uuid | null
  readonly limit: number
}

/** Newest first. Wherever a document says `location` in its body, that is where it lies. */
export const listDocuments = async <Kind extends DocumentKind>(
  pool: Pool,
  kind: Kind,
  { reference, hold, locations, before, limit }: DocumentFilter,
): Promise<WrittenDocument<Kind>[]> => {
  const { rows } = await pool.query(
    `
select d.id, d.sequence, d.body
  from documents as d
 where d.kind = $1
   and ($2::text is null or d.reference = $2)
   and ($3::uuid is null or d.hold_id = $3)
   and ($4::uuid is null or d.id < $4)
   and ($6::int[] is null or jsonb_path_exists(d.body::jsonb, '$.**.location ? (@ == $here[*])', jsonb_build_object('here', $6::int[])))
 order by d.id desc
 limit $5`,
    [kind, reference, hold, before, limit, locations],
  )
  return rows
}

/** The shipments and returns of a hold. */
export const documentIdsOfHold = async (pool: Pool, hold: Uuid): Promise<Uuid[]> => {
  const { rows } = await pool.query('select d.id from documents as d where d.hold_id = $1 order by d.id', [hold])
  return rows.map((row) => row.id)
}
