-- What is stocked and where. Items and locations are numbered; a cell knows them by these numbers.
-- `sequence` is that of the event that last changed the row, so that a reader can ask for what changed since.

create table items (
  id int generated always as identity,
  sku text collate "C" not null,
  name text not null,
  description text,
  brand text,
  category text,
  price_amount bigint,
  price_currency text,
  barcode text,
  attributes json not null default '{}',
  metadata json not null default '{}',
  safety_stock bigint not null default 0,
  reorder_point bigint,
  status text not null default 'active',
  version int not null default 1,
  sequence bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  constraint items_pk primary key (id),
  constraint items_sku_unique unique (sku),
  constraint items_status_known check (status in ('active', 'archived')),
  constraint items_safety_stock_not_negative check (safety_stock >= 0),
  constraint items_price_whole check ((price_amount is null) = (price_currency is null))
);
create index items_by_sequence on items (sequence);
create index items_by_brand on items (brand, id) where brand is not null;
create index items_by_category on items (category, id) where category is not null;

create table locations (
  id int generated always as identity,
  code text collate "C" not null,
  name text not null,
  kind text not null default 'warehouse',
  priority int not null default 100,
  address json,
  latitude double precision,
  longitude double precision,
  metadata json not null default '{}',
  status text not null default 'active',
  version int not null default 1,
  sequence bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  constraint locations_pk primary key (id),
  constraint locations_code_unique unique (code),
  constraint locations_status_known check (status in ('active', 'inactive')),
  constraint locations_kind_known check (kind in ('warehouse', 'store', 'third_party'))
);
create index locations_by_sequence on locations (sequence);
