-- Fills an empty, migrated database with a past that could have been: items that were received once, and holds of one unit
-- that were placed and then executed or released, until the ledger has `entries` entries. Written as the ledger writes it, so
-- that `verify` finds nothing wrong with it, but by the million. The keys of it come from history-keys.sql.
--   psql -v entries=10000000 -v items=10000 -v units=1000000 -f history.sql

set synchronous_commit = off;
set work_mem = '256MB';

-- All of it in this month, so that what is measured afterwards works on the same partition as the past.
select :items as items, :units as units, (:entries - :items) / 2 as holds, 500 as receipt_lines, (:items + 499) / 500 as receipts,
       extract(epoch from greatest(date_trunc('month', now()), now() - interval '12 days')) * 1000 as begins_ms,
       extract(epoch from now() - interval '1 minute') * 1000 as ends_ms
\gset
select (:ends_ms - :begins_ms) / (:receipts + 2 * :holds) as step_ms \gset

-- The n-th event of the past happened at this millisecond. Ids grow with it, as the ledger's do.
create function pg_temp.at_ms(n bigint, begins_ms float8, step_ms float8) returns bigint immutable language sql
  return floor(begins_ms + n * step_ms)::bigint;
create function pg_temp.at(ms bigint) returns timestamptz immutable language sql
  return to_timestamp(ms::float8 / 1000);
create function pg_temp.id_of(ms bigint, n bigint) returns uuid immutable language sql
  return (lpad(to_hex(ms), 12, '0') || '7' || lpad(to_hex(n & 4095), 3, '0') || '8' || lpad(to_hex(n), 15, '0'))::uuid;
create function pg_temp.allocation(item int, held int, committed int, released int, version bigint) returns text immutable language sql
  return format('[{"item":%s,"location":1,"quantity":1,"held":%s,"committed":%s,"shipped":0,"released":%s,"returned":0,"levelVersion":%s}]', item, held, committed, released, version);
create function pg_temp.hold(id uuid, version int, status text, allocations text, created_ms bigint, expires_ms bigint, ended_ms bigint) returns json immutable language sql
  return format('{"kind":"hold","hold":{"id":"%s","version":%s,"status":"%s","mode":"all_or_nothing","allocations":%s,"shortages":[],"createdAt":%s,"expiresAt":%s,"endedAt":%s,"reference":null,"metadata":{}}}',
                id, version, status, allocations, created_ms, expires_ms, coalesce(ended_ms::text, 'null'))::json;

insert into locations (code, name, sequence, created_at, updated_at)
select 'WH', 'Warehouse', 0, pg_temp.at(:begins_ms::bigint), pg_temp.at(:begins_ms::bigint);
insert into items (sku, name, sequence, created_at, updated_at)
select 'SKU-' || n, 'Item ' || n, 0, pg_temp.at(:begins_ms::bigint), pg_temp.at(:begins_ms::bigint)
  from generate_series(1, :items) as n
 order by n;

-- Receipts are the first events, each of up to 500 items.
create temporary table past_receipts as
select r as sequence, pg_temp.at_ms(r, :begins_ms, :step_ms) as ms, pg_temp.id_of(pg_temp.at_ms(r, :begins_ms, :step_ms), r) as id,
       (r - 1) * :receipt_lines + 1 as first_item, least(r * :receipt_lines, :items) as last_item
  from generate_series(1, :receipts) as r;

create temporary table past_receipt_bodies as
select r.sequence, r.ms, r.id,
       json_build_object('kind', 'receipt', 'receipt', json_build_object('id', r.id, 'location', 1,
         'lines', (select json_agg(json_build_object('item', i, 'quantity', :units, 'levelVersion', 1) order by i) from generate_series(r.first_item, r.last_item) as i),
         'createdAt', r.ms, 'reference', null, 'metadata', '{}'::json)) as body
  from past_receipts as r;

insert into events (sequence, type, subject_kind, subject_id, subject_version, actor, request_id, data, occurred_at)
select b.sequence, 'stock.received', 'receipt', b.id, 1, 'key_past', 'req_past', b.body, pg_temp.at(b.ms)
  from past_receipt_bodies as b
 order by b.sequence;
insert into documents (id, kind, reference, sequence, body)
select b.id, 'receipt', null, b.sequence, b.body
  from past_receipt_bodies as b
 order by b.sequence;
insert into ledger_entries (sequence, item_id, location_id, level_version, quantity, from_state, to_state, document_kind, document_id, occurred_at)
select r.sequence, i, 1, 1, :units, 20, 1, 2, r.id, pg_temp.at(r.ms)
  from past_receipts as r, generate_series(r.first_item, r.last_item) as i
 order by r.sequence, i;

-- Hold n: placed by event receipts + 2n - 1 and ended by the next one. Seven of ten were executed, the others released.
create function pg_temp.past_holds(first bigint, last bigint, items int, receipts bigint, begins_ms float8, step_ms float8)
returns table (n bigint, item int, placed bigint, ended bigint, placed_ms bigint, ended_ms bigint, id uuid, version bigint, is_executed boolean) language sql as $$
  select h.n, (1 + (h.n - 1) % items)::int, receipts + 2 * h.n - 1, receipts + 2 * h.n, t.placed_ms, pg_temp.at_ms(receipts + 2 * h.n, begins_ms, step_ms),
         pg_temp.id_of(t.placed_ms, h.n), 2 + 2 * ((h.n - 1) / items), h.n % 10 < 7
    from generate_series(first, last) as h (n),
         lateral (select pg_temp.at_ms(receipts + 2 * h.n - 1, begins_ms, step_ms) as placed_ms) as t
$$;

insert into holds (id, version, status, mode, expires_at, created_at, ended_at, reference, metadata, allocations, shortages)
select h.id, 2, case when h.is_executed then 'executed' else 'released' end, 'all_or_nothing', pg_temp.at(h.placed_ms + 900000), pg_temp.at(h.placed_ms), pg_temp.at(h.ended_ms), null, null,
       pg_temp.allocation(h.item, 0, h.is_executed::int, (not h.is_executed)::int, h.version + 1)::json, null
  from pg_temp.past_holds(1, :holds, :items, :receipts, :begins_ms, :step_ms) as h;

insert into events (sequence, type, subject_kind, subject_id, subject_version, actor, request_id, data, occurred_at)
select e.sequence, e.type, 'hold', h.id, e.version, 'key_past', 'req_01jd8w2k5v7x9n3q4r6t8y0z1b', e.data, pg_temp.at(e.ms)
  from pg_temp.past_holds(1, :holds, :items, :receipts, :begins_ms, :step_ms) as h,
       lateral (values
         (h.placed, h.placed_ms, 'hold.placed', 1,
          pg_temp.hold(h.id, 1, 'active', pg_temp.allocation(h.item, 1, 0, 0, h.version), h.placed_ms, h.placed_ms + 900000, null)),
         (h.ended, h.ended_ms, case when h.is_executed then 'hold.executed' else 'hold.released' end, 2,
          pg_temp.hold(h.id, 2, case when h.is_executed then 'executed' else 'released' end,
                       pg_temp.allocation(h.item, 0, h.is_executed::int, (not h.is_executed)::int, h.version + 1), h.placed_ms, h.placed_ms + 900000, h.ended_ms))
       ) as e (sequence, ms, type, version, data);

insert into ledger_entries (sequence, item_id, location_id, level_version, quantity, from_state, to_state, document_kind, document_id, occurred_at)
select e.sequence, h.item, 1, e.version, 1, e.from_state, e.to_state, 1, h.id, pg_temp.at(e.ms)
  from pg_temp.past_holds(1, :holds, :items, :receipts, :begins_ms, :step_ms) as h,
       lateral (values (h.placed, h.version, 1, 2, h.placed_ms), (h.ended, h.version + 1, 2, case when h.is_executed then 3 else 1 end, h.ended_ms))
         as e (sequence, version, from_state, to_state, ms);

insert into stock_levels (item_id, location_id, available, held, committed, damaged, quality_control, incoming, safety_stock, version, updated_at)
select i, 1, :units - coalesce(h.executed, 0), 0, coalesce(h.executed, 0), 0, 0, 0, 0, 1 + 2 * coalesce(h.holds, 0), now()
  from generate_series(1, :items) as i
  left join (select 1 + (n - 1) % :items as item, count(*) as holds, count(*) filter (where n % 10 < 7) as executed from generate_series(1, :holds) as n group by 1) as h
    on h.item = i
 order by i;

update ledger_head set sequence = :receipts + 2 * :holds, latest_at = pg_temp.at(pg_temp.at_ms(:receipts + 2 * :holds, :begins_ms, :step_ms));

vacuum (analyze) stock_levels, holds, ledger_entries, events, documents;
checkpoint;
