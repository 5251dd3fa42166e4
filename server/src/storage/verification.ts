// Looking for what must never be: each query answers the places where the books do not agree. Nothing at all is the answer
// that is wanted.
import { ms } from './codec.ts'
import { folded } from './levels.ts'
import { faultOf } from './fault.ts'
import { connect, type Connection, type Pool } from './pool.ts'

export type Violation = { readonly rule: string; readonly found: string }
export type Verified = {
  readonly violations: Violation[]
  readonly sequence: number
  readonly levels: number
  readonly entries: number
  readonly holds: number
  readonly at: number
}

/** Violations of one rule that are reported; one is bad enough. */
const REPORTED = 100

const states = ['available', 'held', 'committed', 'damaged', 'quality_control', 'incoming'] as const

/** What a rule found, as the query names it. Documents among it are shown as JSON. */
type Row = Readonly<Record<string, string | number | null>>

type Rule = { readonly name: string; readonly sql: string; readonly says: (row: Row) => string }

const rules: readonly Rule[] = [
  {
    name: 'a level is the sum of its entries',
    sql: `
select coalesce(l.item_id, f.item) as item, coalesce(l.location_id, f.location) as location,
       json_build_object(${states.map((state) => `'${state}', l.${state}`).join(', ')}, 'version', l.version) as stands,
       json_build_object(${states.map((state) => `'${state}', f.${state}`).join(', ')}, 'version', f.version) as adds_up_to
  from stock_levels as l
  full join (select ${folded} from ledger_entries as e group by e.item_id, e.location_id) as f
    on (l.item_id, l.location_id) = (f.item, f.location)
 where ${states.map((state) => `coalesce(l.${state}, 0) <> coalesce(f.${state}, 0)`).join(' or ')}
    or coalesce(l.version, 0) <> coalesce(f.version, 0)`,
    says: (row) =>
      `item ${row['item']} at location ${row['location']}: stands ${JSON.stringify(row['stands'])}, entries add up to ${JSON.stringify(row['adds_up_to'])}`,
  },
  {
    name: 'no state was ever below zero',
    sql: `
select r.item_id as item, r.location_id as location, r.level_version as version
  from (select e.item_id, e.location_id, e.level_version,
               ${states.map((state, index) => `sum(sum(case when e.to_state = ${index + 1} then e.quantity else 0 end - case when e.from_state = ${index + 1} then e.quantity else 0 end)) over w as ${state}`).join(',\n               ')}
          from ledger_entries as e
         group by e.item_id, e.location_id, e.level_version
        window w as (partition by e.item_id, e.location_id order by e.level_version)) as r
 where ${states.map((state) => `r.${state} < 0`).join(' or ')}`,
    says: (row) => `item ${row['item']} at location ${row['location']}, version ${row['version']}`,
  },
  {
    name: 'versions of a level are 1 to n, each made by one command',
    sql: `
select e.item_id as item, e.location_id as location, max(e.level_version) as highest, count(distinct e.level_version) as versions, count(distinct e.sequence) as commands
  from ledger_entries as e
 group by e.item_id, e.location_id
having max(e.level_version) <> count(distinct e.level_version)
    or count(distinct e.level_version) <> count(distinct e.sequence)
    or count(distinct e.sequence) <> count(distinct (e.level_version, e.sequence))`,
    says: (row) => `item ${row['item']} at location ${row['location']}: highest ${row['highest']}, ${row['versions']} versions, ${row['commands']} commands`,
  },
  {
    name: 'what is held and committed is what holds say',
    sql: `
select l.item_id as item, l.location_id as location, l.held, l.committed, coalesce(a.held, 0) as holds_held, coalesce(a.committed, 0) as holds_committed
  from stock_levels as l
  full join (select a.item, a.location, sum(a.held) as held, sum(a.committed) as committed
               from holds as h
              cross join json_to_recordset(h.allocations) as a (item int, location int, held bigint, committed bigint)
              group by a.item, a.location) as a
    on (l.item_id, l.location_id) = (a.item, a.location)
 where coalesce(l.held, 0) <> coalesce(a.held, 0) or coalesce(l.committed, 0) <> coalesce(a.committed, 0)`,
    says: (row) =>
      `item ${row['item']} at location ${row['location']}: held ${row['held']}, by holds ${row['holds_held']}; committed ${row['committed']}, by holds ${row['holds_committed']}`,
  },
  {
    name: "a hold's counts add up, and nothing is held by a hold that has ended",
    sql: `
select h.id
  from holds as h
 cross join json_to_recordset(h.allocations) as a (quantity bigint, held bigint, committed bigint, shipped bigint, released bigint, returned bigint)
 where a.quantity <> a.held + a.committed + a.shipped + a.released
    or least(a.held, a.committed, a.shipped, a.released, a.returned, a.shipped - a.returned) < 0
    or (h.status <> 'active' and a.held <> 0)`,
    says: (row) => `hold ${row['id']}`,
  },
  {
    name: 'a hold is what its last event tells',
    sql: `
select h.id, h.version, e.sequence
  from holds as h
  left join events as e
    on e.subject_kind = 'hold' and e.subject_id = h.id::text and e.subject_version = h.version
 where e.sequence is null
    or e.data ->> 'kind' = 'hold'
       and ((e.data -> 'hold' ->> 'status') <> h.status
            or (e.data -> 'hold' ->> 'expiresAt')::bigint <> ${ms('h.expires_at')}
            or (e.data -> 'hold' -> 'allocations')::jsonb <> h.allocations::jsonb)`,
    says: (row) => `hold ${row['id']}, version ${row['version']}: ${row['sequence'] === null ? 'no event' : `another one at sequence ${row['sequence']}`}`,
  },
  {
    name: 'a document is what its event tells, and neither is without the other',
    sql: `
select coalesce(d.sequence, e.sequence) as sequence, d.kind, d.id
  from documents as d
  full join (select v.sequence, v.data from events as v where v.data ->> 'kind' in ('receipt', 'adjustment', 'shipment', 'return')) as e
    on e.sequence = d.sequence
 where d.sequence is null
    or e.sequence is null
    or e.data::jsonb <> d.body::jsonb`,
    says: (row) => (row['id'] === null ? `no document of sequence ${row['sequence']}` : `${row['kind']} ${row['id']} of sequence ${row['sequence']}`),
  },
  {
    name: 'a transfer, an inbound shipment or a count is what its last event tells, and stands under its own columns',
    sql: `
select coalesce(w.id::text, e.subject_id) as id, coalesce(w.kind, e.subject_kind) as kind, w.version, e.sequence
  from work_documents as w
  full join (select distinct on (v.subject_kind, v.subject_id) v.subject_kind, v.subject_id, v.subject_version, v.sequence, v.data
               from events as v
              where v.subject_kind in ('transfer', 'inbound_shipment', 'count')
              order by v.subject_kind, v.subject_id, v.subject_version desc) as e
    on (e.subject_kind, e.subject_id) = (w.kind, w.id::text)
 where w.id is null
    or e.sequence is null
    or e.subject_version <> w.version
    or (e.data -> (case w.kind when 'inbound_shipment' then 'inbound' else w.kind end))::jsonb <> w.body::jsonb
    or (w.body ->> 'status', (w.body ->> 'version')::int) <> (w.status, w.version)
    or (w.body ->> 'reference') is distinct from w.reference
    or w.location_ids <> case w.kind when 'transfer' then array[(w.body ->> 'from')::int, (w.body ->> 'to')::int] else array[(w.body ->> 'location')::int] end
    or w.levels::jsonb <> (select coalesce(jsonb_agg(jsonb_build_object('item', l.line -> 'item', 'location', p.location) order by p.place, l.place), '[]')
                             from unnest(w.location_ids) with ordinality as p (location, place)
                            cross join json_array_elements(w.body -> 'lines') with ordinality as l (line, place))`,
    says: (row) =>
      `${row['kind']} ${row['id']}, version ${row['version']}: ${row['sequence'] === null ? 'no event' : `another one at sequence ${row['sequence']}`}`,
  },
  {
    // Places by their numbers, as codec.ts has them: 1, 4 and 5 are where units arrive, 6 is incoming, 20 and up is outside, 23 is transit.
    name: 'what a transfer or an inbound shipment counts is what its entries say',
    sql: `
select coalesce(l.id, e.document_id) as id, coalesce(l.item, e.item_id) as item, e.begun, e.received, e.gone, e.excess, e.left_source, e.came_back
  from (select w.id, w.kind, w.status, l.*,
               w.kind = 'inbound_shipment' or (w.body ->> 'dispatchedAt') is not null as was_on_its_way
          from work_documents as w
         cross join json_to_recordset(w.body -> 'lines') as l (item int, quantity bigint, received bigint, missing bigint, withdrawn bigint, excess bigint)
         where w.kind in ('transfer', 'inbound_shipment')) as l
  full join (select v.document_id, v.item_id,
                    coalesce(sum(v.quantity) filter (where v.to_state = 6), 0) as begun,
                    coalesce(sum(v.quantity) filter (where v.from_state = 6 and v.to_state in (1, 4, 5)), 0) as received,
                    coalesce(sum(v.quantity) filter (where v.from_state = 6 and v.to_state >= 20), 0) as gone,
                    coalesce(sum(v.quantity) filter (where v.from_state in (20, 22) and v.to_state in (1, 4, 5)), 0) as excess,
                    coalesce(sum(v.quantity) filter (where v.from_state = 1 and v.to_state = 23), 0) as left_source,
                    coalesce(sum(v.quantity) filter (where v.from_state = 23 and v.to_state = 1), 0) as came_back
               from ledger_entries as v
              where v.document_kind in (6, 7)
              group by v.document_id, v.item_id) as e
    on (e.document_id, e.item_id) = (l.id, l.item)
 where l.id is null
    or coalesce(e.begun, 0) <> case when l.was_on_its_way then l.quantity else 0 end
    or coalesce(e.received, 0) <> l.received
    or coalesce(e.gone, 0) <> l.missing + l.withdrawn
    or coalesce(e.excess, 0) <> l.excess
    or coalesce(e.left_source, 0) <> case when l.kind = 'transfer' then coalesce(e.begun, 0) else 0 end
    or coalesce(e.came_back, 0) <> case when l.kind = 'transfer' then l.withdrawn else 0 end
    or least(l.received, l.missing, l.withdrawn, l.excess, l.quantity - l.received - l.missing - l.withdrawn) < 0
    or (l.status in ('received', 'canceled') and l.was_on_its_way and l.quantity <> l.received + l.missing + l.withdrawn)`,
    says: (row) =>
      `document ${row['id']}, item ${row['item']}: its entries say begun ${row['begun']}, received ${row['received']}, gone ${row['gone']}, excess ${row['excess']}, left ${row['left_source']}, came back ${row['came_back']}`,
  },
  {
    name: 'an approved count has corrected by what it found, and no other count anything',
    sql: `
select coalesce(l.id, e.document_id) as id, coalesce(l.item, e.item_id) as item, coalesce(l.found, 0) as found, coalesce(e.corrected, 0) as corrected
  from (select w.id, l.item, case when w.status = 'approved' then l.counted - l.expected else 0 end as found
          from work_documents as w
         cross join json_to_recordset(w.body -> 'lines') as l (item int, counted bigint, expected bigint)
         where w.kind = 'count') as l
  full join (select v.document_id, v.item_id, sum(case when v.to_state = 1 then v.quantity else 0 end - case when v.from_state = 1 then v.quantity else 0 end) as corrected
               from ledger_entries as v
              where v.document_kind = 8
              group by v.document_id, v.item_id) as e
    on (e.document_id, e.item_id) = (l.id, l.item)
 where coalesce(l.found, 0) <> coalesce(e.corrected, 0)`,
    says: (row) => `count ${row['id']}, item ${row['item']}: found ${row['found']}, corrected ${row['corrected']}`,
  },
  {
    name: 'what is incoming is what documents have outstanding',
    sql: `
select coalesce(l.item_id, w.item) as item, coalesce(l.location_id, w.location) as location, coalesce(l.incoming, 0) as incoming, coalesce(w.outstanding, 0) as outstanding
  from stock_levels as l
  full join (select i.item, coalesce((d.body ->> 'to')::int, (d.body ->> 'location')::int) as location, sum(i.quantity - i.received - i.missing - i.withdrawn) as outstanding
               from work_documents as d
              cross join json_to_recordset(d.body -> 'lines') as i (item int, quantity bigint, received bigint, missing bigint, withdrawn bigint)
              where d.status in ('dispatched', 'announced')
              group by 1, 2) as w
    on (l.item_id, l.location_id) = (w.item, w.location)
 where coalesce(l.incoming, 0) <> coalesce(w.outstanding, 0)`,
    says: (row) => `item ${row['item']} at location ${row['location']}: incoming ${row['incoming']}, by documents ${row['outstanding']}`,
  },
  {
    name: 'nothing rests in transit',
    sql: `
select e.sequence, e.item_id as item, sum(case when e.to_state = 23 then e.quantity else -e.quantity end) as left_there
  from ledger_entries as e
 where e.from_state = 23 or e.to_state = 23
 group by e.sequence, e.item_id
having sum(case when e.to_state = 23 then e.quantity else -e.quantity end) <> 0`,
    says: (row) => `item ${row['item']}: ${row['left_there']} after sequence ${row['sequence']}`,
  },
  {
    name: 'what was told of a level is counted beside it, and is the last that was told',
    sql: `
select coalesce(l.item_id || '@' || l.location_id, e.subject_id) as level, l.signal, l.signals, e.events, e.signal as told
  from stock_levels as l
  full join (select distinct on (v.subject_id) v.subject_id, count(*) over (partition by v.subject_id) as events, v.data -> 'level' ->> 'signal' as signal
               from events as v
              where v.subject_kind = 'stock_level'
              order by v.subject_id, v.subject_version desc) as e
    on e.subject_id = l.item_id || '@' || l.location_id
 where coalesce(l.signals, 0) <> coalesce(e.events, 0)
    or (e.signal is not null and l.signal is distinct from e.signal and not (e.signal = 'low' and l.signal = 'in_stock'))
    or (e.signal is null and l.signal <> 'in_stock')`,
    says: (row) => `level ${row['level']}: ${row['signal']}, told ${row['signals']} times; ${row['events']} events, the last says ${row['told']}`,
  },
  {
    name: 'what is still to be told has no gap and ends at the head',
    sql: `
select o.first_sequence, o.last_sequence, o.next_sequence
  from (select r.first_sequence, r.last_sequence, lead(r.first_sequence, 1, h.sequence + 1) over (order by r.first_sequence) as next_sequence
          from outbox as r
         cross join ledger_head as h) as o
 where o.next_sequence <> o.last_sequence + 1`,
    says: (row) => `${row['first_sequence']} to ${row['last_sequence']}, then ${row['next_sequence']}`,
  },
  {
    name: 'no hold was executed or extended after its time, and none expired before',
    sql: `
select e.subject_id as hold, e.type, e.sequence
  from events as e
  join events as before
    on before.subject_kind = 'hold' and before.subject_id = e.subject_id and before.subject_version = e.subject_version - 1
 where e.subject_kind = 'hold'
   and e.type in ('hold.executed', 'hold.extended', 'hold.released', 'hold.expired')
   and before.data -> 'hold' is not null
   and (e.type = 'hold.expired') <> (${ms('e.occurred_at')} >= (before.data -> 'hold' ->> 'expiresAt')::bigint)`,
    says: (row) => `hold ${row['hold']}: ${row['type']} at sequence ${row['sequence']}`,
  },
  {
    name: 'sequences have no gap',
    sql: `
select h.sequence as head, count(e.sequence) as events, coalesce(max(e.sequence), 0) as highest
  from ledger_head as h
  left join events as e on true
 group by h.sequence
having count(e.sequence) <> h.sequence or coalesce(max(e.sequence), 0) <> h.sequence`,
    says: (row) => `head ${row['head']}, ${row['events']} events, the highest ${row['highest']}`,
  },
  {
    name: 'versions of a subject are 1 to n',
    sql: `
select e.subject_kind as kind, e.subject_id as id, max(e.subject_version) as highest, count(*) as events
  from events as e
 group by e.subject_kind, e.subject_id
having max(e.subject_version) <> count(*) or count(*) <> count(distinct e.subject_version)`,
    says: (row) => `${row['kind']} ${row['id']}: highest version ${row['highest']}, ${row['events']} events`,
  },
  {
    name: 'an entry belongs to an event, and its level to that instant',
    sql: `
select e.sequence
  from ledger_entries as e
  left join events as v on v.sequence = e.sequence and v.occurred_at = e.occurred_at
 where v.sequence is null`,
    says: (row) => `sequence ${row['sequence']}`,
  },
  {
    name: 'a key points to its event',
    sql: `
select k.key
  from idempotency_keys as k
  left join events as v on v.sequence = k.sequence and v.occurred_at = k.created_at
 where k.sequence is not null and v.sequence is null`,
    says: (row) => `key ${row['key']}`,
  },
]

/** How many rules there are, for who shows progress. */
export const ruleCount = rules.length

/**
 * Checks every rule in one snapshot, beside whatever else goes on.
 * @param signal  ends it, with the statement that runs
 */
export const verifyLedger = async (pool: Pool, onRule: (name: string, violations: number) => void, signal?: AbortSignal): Promise<Verified> => {
  const connection = await connect(pool)
  let isUnderWay = true
  const cancel = (pid: number) => {
    // Over another connection, so that the statement ends in the server, too. One that has ended by itself is left alone.
    if (isUnderWay) pool.query('select pg_cancel_backend($1)', [pid]).catch(() => undefined)
  }
  try {
    if (signal) {
      const { rows } = await connection.query('select pg_backend_pid() as pid')
      signal.addEventListener('abort', () => cancel(rows[0].pid), { once: true })
    }
    await connection.query('begin isolation level repeatable read, read only')
    const {
      rows: [head],
    } = await connection.query(
      `select h.sequence, ${ms('clock_timestamp()')} as at, (select count(*) from stock_levels) as levels, (select count(*) from ledger_entries) as entries, (select count(*) from holds) as holds from ledger_head as h`,
    )
    const violations: Violation[] = []
    for (const rule of rules) {
      signal?.throwIfAborted()
      const found = await check(connection, rule)
      violations.push(...found)
      onRule(rule.name, found.length)
    }
    await connection.query('commit')
    connection.release()
    return { ...head, violations }
  } catch (error) {
    connection.release(error instanceof Error ? error : true)
    throw faultOf(error) ?? error
  } finally {
    isUnderWay = false
  }
}

const check = async (connection: Connection, { name, sql, says }: Rule): Promise<Violation[]> => {
  const { rows } = await connection.query(`${sql}\n limit ${REPORTED}`)
  return rows.map((row) => ({ rule: name, found: says(row) }))
}

/**
 * Makes the levels anew from nothing but the entries, while nobody else writes. Answers what was different before.
 * Safety stock is no movement, so it stays as it was; and so does what was told of a level, or its events say it where the level was gone.
 */
export const rebuildLevels = async (connection: Connection): Promise<{ levels: number; changed: number }> => {
  await connection.query('lock table stock_levels in exclusive mode')
  const {
    rows: [kept],
  } = await connection.query('select h.sequence as head, (select count(*) from events) as events from ledger_head as h')
  if (kept.events !== kept.head)
    throw new Error(`only ${kept.events} of ${kept.head} events are here: levels made of a part of the ledger would be wrong, and nothing was changed`)
  const {
    rows: [{ changed }],
  } = await connection.query(`
with folded as materialized (select ${folded} from ledger_entries as e group by e.item_id, e.location_id),
told as (
  select distinct on (v.subject_id) v.subject_id, (count(*) over (partition by v.subject_id))::int as signals, v.data -> 'level' ->> 'signal' as signal
    from events as v
   where v.subject_kind = 'stock_level'
   order by v.subject_id, v.subject_version desc),
gone as (
  delete from stock_levels as l
   where not exists (select from folded as f where (f.item, f.location) = (l.item_id, l.location_id))
  returning 1),
written as (
  insert into stock_levels as l (item_id, location_id, available, held, committed, damaged, quality_control, incoming, safety_stock, reorder_point, version, updated_at, signal, signals)
  select f.item, f.location, f.available, f.held, f.committed, f.damaged, f.quality_control, f.incoming, coalesce((select i.safety_stock from items as i where i.id = f.item), 0), (select i.reorder_point from items as i where i.id = f.item), f.version, to_timestamp(f."updatedAt"::float8 / 1000), t.signal, coalesce(t.signals, 0)
    from folded as f
    left join told as t on t.subject_id = f.item || '@' || f.location
  on conflict (item_id, location_id) do update
     set available = excluded.available, held = excluded.held, committed = excluded.committed, damaged = excluded.damaged,
         quality_control = excluded.quality_control, incoming = excluded.incoming, version = excluded.version, updated_at = excluded.updated_at
   where (l.available, l.held, l.committed, l.damaged, l.quality_control, l.incoming, l.version)
      <> (excluded.available, excluded.held, excluded.committed, excluded.damaged, excluded.quality_control, excluded.incoming, excluded.version)
  returning 1)
select (select count(*) from gone) + (select count(*) from written) as changed`)
  const {
    rows: [{ levels }],
  } = await connection.query('select count(*) as levels from stock_levels')
  return { levels, changed }
}
