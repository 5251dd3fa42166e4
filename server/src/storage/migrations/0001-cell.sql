-- A cell: the stock of some locations, its ledger, its events and its outbox. Nothing here names a schema, and nothing refers
-- to a table outside the cell: items and locations are known by number.

create table stock_levels (
  item_id int not null,
  location_id int not null,
  available bigint not null,
  held bigint not null,
  committed bigint not null,
  damaged bigint not null,
  quality_control bigint not null,
  incoming bigint not null,
  safety_stock bigint not null,
  version bigint not null,
  updated_at timestamptz not null,
  constraint stock_levels_pk primary key (item_id, location_id),
  constraint stock_levels_available_not_negative check (available >= 0),
  constraint stock_levels_held_not_negative check (held >= 0),
  constraint stock_levels_committed_not_negative check (committed >= 0),
  constraint stock_levels_damaged_not_negative check (damaged >= 0),
  constraint stock_levels_quality_control_not_negative check (quality_control >= 0),
  constraint stock_levels_incoming_not_negative check (incoming >= 0),
  constraint stock_levels_safety_stock_not_negative check (safety_stock >= 0)
) with (fillfactor = 50); -- half a page stays free, so that a level's next version stands beside the last one and no index is touched

create index stock_levels_by_location on stock_levels (location_id, item_id);

-- Allocations are one json array: a hold's lines are never looked up by themselves, and one row is cheaper than one a line.
-- json, not jsonb: it is kept as it was written and only checked to be well formed.
create table holds (
  id uuid not null,
  version int not null,
  status text not null,
  mode text not null,
  expires_at timestamptz not null,
  created_at timestamptz not null,
  ended_at timestamptz,
  reference text,
  metadata json,
  allocations json not null,
  shortages json,
  constraint holds_pk primary key (id),
  constraint holds_status_known check (status in ('active', 'executed', 'released', 'expired', 'canceled')),
  constraint holds_ended_when_not_active check ((status = 'active') = (ended_at is null)),
  constraint holds_never_expire_early check (status <> 'expired' or ended_at >= expires_at)
);

-- The sweeper, and decisions that would be short, look for holds that are due.
create index holds_due on holds (expires_at) where status = 'active';
create index holds_by_reference on holds (reference, id) where reference is not null;

-- Receipts, adjustments, shipments and returns: written once, never changed.
create table documents (
  id uuid not null,
  kind text not null,
  hold_id uuid,
  reference text,
  sequence bigint not null,
  body json not null,
  constraint documents_pk primary key (kind, id)
);

create index documents_by_reference on documents (kind, reference, id) where reference is not null;
create index documents_by_hold on documents (hold_id, kind, id) where hold_id is not null;

-- The head of the ledger. Each batch takes the next sequences from it as the last thing before it commits, and holds the row
-- until it has: so sequences have no gaps, and who sees one sees all before it.
create table ledger_head (
  only_row boolean not null default true,
  cell int not null default 0,
  sequence bigint not null,
  latest_at timestamptz not null,
  constraint ledger_head_pk primary key (only_row),
  constraint ledger_head_is_one_row check (only_row)
);
insert into ledger_head (sequence, latest_at) values (0, to_timestamp(0));

create table ledger_entries (
  sequence bigint not null,
  item_id int not null,
  location_id int not null,
  level_version bigint not null,
  quantity bigint not null,
  from_state smallint not null,
  to_state smallint not null,
  document_kind smallint not null,
  document_id uuid not null,
  occurred_at timestamptz not null,
  constraint ledger_entries_quantity_positive check (quantity > 0),
  constraint ledger_entries_move check (from_state <> to_state)
) partition by range (occurred_at);

create table events (
  sequence bigint not null,
  type text not null,
  subject_kind text not null,
  subject_id text not null,
  subject_version int not null,
  actor text not null,
  request_id text not null,
  data json not null,
  occurred_at timestamptz not null
) partition by range (occurred_at);

-- One row a batch: the sequences of the events that are still to be told. Deleted when they have been.
create table outbox (
  first_sequence bigint not null,
  last_sequence bigint not null,
  occurred_at timestamptz not null,
  constraint outbox_pk primary key (first_sequence),
  constraint outbox_range check (last_sequence >= first_sequence)
);

-- A key is written with its effect, in one transaction. Its answer is the event of that sequence, or `answer` where there was none.
create table idempotency_keys (
  key uuid not null,
  fingerprint uuid not null,
  sequence bigint,
  answer json,
  replays int not null default 0,
  created_at timestamptz not null,
  constraint idempotency_keys_pk primary key (key),
  constraint idempotency_keys_have_an_answer check ((sequence is null) <> (answer is null))
);
create index idempotency_keys_by_age on idempotency_keys using brin (created_at) with (autosummarize = on, pages_per_range = 32);

-- Rows were locked and read before they are written, so a write that finds fewer of them is a transaction to be run again.
create function expect_rows(what text, touched bigint, expected bigint) returns void language plpgsql as $$
begin
  if touched <> expected then
    raise exception '% of % % were as they had been read', touched, expected, what using errcode = 'serialization_failure';
  end if;
end $$;

-- Entries and events are only ever added to.
create function refuse_change() returns trigger language plpgsql as $$
begin
  raise exception '% is append-only: % refused', tg_table_name, tg_op using errcode = 'insufficient_privilege';
end $$;

create trigger ledger_entries_append_only before update or delete on ledger_entries for each row execute function refuse_change();
create trigger events_append_only before update or delete on events for each row execute function refuse_change();
create trigger ledger_entries_no_truncate before truncate on ledger_entries for each statement execute function refuse_change();
create trigger events_no_truncate before truncate on events for each statement execute function refuse_change();

-- One partition a month: reads of some time look at its months only. Made months ahead, by the start and by the timers.
-- A month is made beside the ledger and then attached. Made in its place, it would wait for every batch and every long read,
-- all batches would wait behind it, and with one that has the events and wants the entries it would wait in a ring.
create function make_month(month date) returns void language plpgsql as $$
declare
  suffix text := to_char(month, 'YYYY_MM');
  lower_bound timestamptz := date_trunc('month', month)::timestamp at time zone 'UTC';
  upper_bound timestamptz := (date_trunc('month', month) + interval '1 month')::timestamp at time zone 'UTC';
  parent text;
  partition text;
begin
  -- Processes that start together make the same months: one after the other. The number is the same in every release.
  perform pg_advisory_xact_lock(7000, hashtext(current_schema()));
  if to_regclass('ledger_entries_' || suffix) is not null then
    return;
  end if;
  foreach parent in array array['ledger_entries', 'events'] loop
    partition := parent || '_' || suffix;
    execute format('create table %I (like %I including defaults including constraints)', partition, parent);
    if parent = 'ledger_entries' then
      execute format('create unique index %I on %I (item_id, location_id, level_version, from_state, to_state)', partition || '_by_level', partition);
      execute format('create index %I on %I using brin (sequence) with (autosummarize = on, pages_per_range = 32)', partition || '_by_sequence', partition);
    else
      execute format('create unique index %I on %I (sequence)', partition || '_by_sequence', partition);
    end if;
    execute format('create trigger %I before truncate on %I for each statement execute function refuse_change()', partition || '_no_truncate', partition);
    execute format('alter table %I attach partition %I for values from (%L) to (%L)', parent, partition, lower_bound, upper_bound);
  end loop;
end $$;

select make_month((current_date at time zone 'UTC' + make_interval(months => n))::date) from generate_series(-1, 3) as n;
