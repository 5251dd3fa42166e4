-- Imports of items and of their opening stock: what was asked for, how far each one is, and which rows failed.

create table imports (
  id uuid not null,
  -- The Idempotency-Key of the caller, which names the import for ever. A dry run has none.
  key uuid,
  fingerprint uuid not null,
  format text not null,
  dry_run boolean not null,
  on_existing text not null,
  location text,
  status text not null default 'running',
  failure json,
  -- Up to here it is done: so many rows of the file, which had this digest.
  rows_read int not null default 0,
  digest bytea,
  items_created int not null default 0,
  items_updated int not null default 0,
  items_unchanged int not null default 0,
  units_received bigint not null default 0,
  rows_skipped int not null default 0,
  rows_failed int not null default 0,
  bytes bigint not null default 0,
  -- Stock of the last rows, written with them, that the ledger may or may not have received.
  receipts json not null default '[]',
  -- Who works on it, and until when it may be taken to be alive.
  worker uuid,
  working_until timestamptz,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  completed_at timestamptz,
  constraint imports_pk primary key (id),
  constraint imports_key_unique unique (key),
  constraint imports_status_known check (status in ('running', 'completed', 'failed')),
  constraint imports_completed_at_the_end check ((status = 'completed') = (completed_at is not null)),
  constraint imports_worker_for_a_time check ((worker is null) = (working_until is null))
);

-- The items that an import has dealt with, and where it received stock of them, so that a sku that comes again is known for one
-- that came before. Thrown away when the import is completed. A dry run makes no items, so it notes here what they would be.
create table import_items (
  import_id uuid not null,
  sku text collate "C" not null,
  location_id int not null,
  fields json,
  constraint import_items_pk primary key (import_id, sku, location_id)
);

create table import_errors (
  import_id uuid not null,
  row_number int not null,
  line_number int not null,
  sku text,
  code text not null,
  message text not null,
  errors json not null,
  raw text not null,
  constraint import_errors_pk primary key (import_id, row_number)
);
