// The database as it stands after the last crash, read in one snapshot and as rows: the checker adds up for itself.
import type pg from 'pg'

export type EntryRow = {
  readonly sequence: number
  readonly item: number
  readonly location: number
  readonly version: number
  readonly quantity: number
  readonly from: number
  readonly to: number
  readonly documentKind: number
  readonly document: string
  readonly atMs: number
}
export type LevelRow = {
  readonly item: number
  readonly location: number
  readonly counts: Readonly<Record<State, number>>
  readonly safetyStock: number
  readonly version: number
}
export type HoldRow = {
  readonly id: string
  readonly version: number
  readonly status: string
  readonly expiresAtMs: number
  readonly createdAtMs: number
  readonly endedAtMs: number | null
  readonly allocations: readonly AllocationRow[]
}
export type AllocationRow = {
  readonly item: number
  readonly location: number
  readonly quantity: number
  readonly held: number
  readonly committed: number
  readonly shipped: number
  readonly released: number
}
export type EventRow = {
  readonly sequence: number
  readonly type: string
  readonly subjectKind: string
  readonly subject: string
  readonly subjectVersion: number
  readonly actor: string
  readonly requestId: string
  readonly atMs: number
  /** The transaction that wrote it. */
  readonly xmin: string
  /** Of an event about a hold: when it was to end, and where its units were, after it. */
  readonly hold: { readonly expiresAtMs: number; readonly status: string; readonly allocations: readonly AllocationRow[] } | null
}
export type KeyRow = { readonly key: string; readonly sequence: number | null; readonly replays: number; readonly xmin: string }
export type DeliveryRow = { readonly event: string; readonly status: string; readonly failures: number; readonly inFuture: boolean }

export const states = ['available', 'held', 'committed', 'damaged', 'quality_control', 'incoming'] as const
export type State = (typeof states)[number]
/** As entries name them. */
export const stateNumbers: Readonly<Record<number, State>> = { 1: 'available', 2: 'held', 3: 'committed', 4: 'damaged', 5: 'quality_control', 6: 'incoming' }

export type Snapshot = {
  /** The database's own time. */
  readonly nowMs: number
  readonly head: number
  readonly entries: readonly EntryRow[]
  readonly levels: readonly LevelRow[]
  readonly holds: readonly HoldRow[]
  readonly events: readonly EventRow[]
  readonly keys: readonly KeyRow[]
  readonly outbox: readonly { readonly first: number; readonly last: number }[]
  readonly deliveries: readonly DeliveryRow[]
  /** The callers' own keys of what was kept by the broker, could not be done, and waits for a person. */
  readonly parked: readonly string[]
  /** How callers call what is numbered here. */
  readonly skus: ReadonlyMap<number, string>
  readonly codes: ReadonlyMap<number, string>
}

const MS = (column: string) => `trunc(extract(epoch from ${column}) * 1000)::float8`

/** @param client  reads whole numbers as JavaScript's */
export const readSnapshot = async (client: pg.Client): Promise<Snapshot> => {
  await client.query('begin isolation level repeatable read, read only')
  const rows = async <Row>(sql: string): Promise<Row[]> => (await client.query(sql)).rows as Row[] // each statement's own columns, named in it
  const [head] = await rows<{ sequence: number; now: number }>(`select h.sequence::float8 as sequence, ${MS('clock_timestamp()')} as now from ledger_head as h`)
  const entries = await rows<EntryRow>(`
select e.sequence::float8 as sequence, e.item_id as item, e.location_id as location, e.level_version::float8 as version, e.quantity::float8 as quantity,
       e.from_state as "from", e.to_state as "to", e.document_kind as "documentKind", e.document_id as document, ${MS('e.occurred_at')} as "atMs"
  from ledger_entries as e
 order by e.item_id, e.location_id, e.level_version, e.sequence`)
  const levels = await rows<Record<State, number> & Omit<LevelRow, 'counts'>>(`
select l.item_id as item, l.location_id as location, ${states.map((state) => `l.${state}::float8 as ${state}`).join(', ')},
       l.safety_stock::float8 as "safetyStock", l.version::float8 as version
  from stock_levels as l`)
  const holds = await rows<HoldRow>(`
select h.id, h.version, h.status, ${MS('h.expires_at')} as "expiresAtMs", ${MS('h.created_at')} as "createdAtMs", ${MS('h.ended_at')} as "endedAtMs", h.allocations
  from holds as h`)
  const events = await rows<EventRow>(`
select e.sequence::float8 as sequence, e.type, e.subject_kind as "subjectKind", e.subject_id as subject, e.subject_version as "subjectVersion", e.actor,
       e.request_id as "requestId", ${MS('e.occurred_at')} as "atMs", e.xmin::text as xmin,
       case when e.data -> 'hold' -> 'allocations' is not null then json_build_object('expiresAtMs', e.data -> 'hold' -> 'expiresAt', 'status', e.data -> 'hold' ->> 'status',
            'allocations', e.data -> 'hold' -> 'allocations') end as hold
  from events as e
 order by e.sequence`)
  const keys = await rows<KeyRow>(`select k.key, k.sequence::float8 as sequence, k.replays, k.xmin::text as xmin from idempotency_keys as k`)
  const outbox = await rows<Snapshot['outbox'][number]>(
    'select o.first_sequence::float8 as first, o.last_sequence::float8 as last from outbox as o order by o.first_sequence',
  )
  const deliveries = await rows<DeliveryRow>(`
select d.event_id as event, d.status, d.failures, coalesce(d.next_attempt_at > now(), false) as "inFuture"
  from webhook_deliveries as d`)
  const parked = await rows<{ key: string }>(
    "select p.message ->> 'idempotency_key' as key from parked_messages as p where p.message ->> 'idempotency_key' is not null",
  )
  const skus = await rows<{ id: number; sku: string }>('select i.id, i.sku from items as i')
  const codes = await rows<{ id: number; code: string }>('select l.id, l.code from locations as l')
  await client.query('commit')
  return {
    nowMs: head?.now ?? 0,
    head: head?.sequence ?? 0,
    entries,
    levels: levels.map((row) => ({
      item: row.item,
      location: row.location,
      counts: Object.fromEntries(states.map((state) => [state, row[state]])) as Record<State, number>, // all of them
      safetyStock: row.safetyStock,
      version: row.version,
    })),
    holds,
    events,
    keys,
    outbox,
    deliveries,
    parked: parked.map(({ key }) => key),
    skus: new Map(skus.map(({ id, sku }) => [id, sku])),
    codes: new Map(codes.map(({ id, code }) => [id, code])),
  }
}
