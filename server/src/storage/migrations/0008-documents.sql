-- Documents with a life of their own (transfers, inbound shipments, counts), limits for one customer, and what is told of levels.

-- The body is the document as the rules have it. What lists filter by stands beside it, and so do the levels that its next step
-- may touch, so that they can be locked with it.
create table work_documents (
  id uuid not null,
  kind text not null,
  version int not null,
  status text not null,
  reference text,
  location_ids int[] not null,
  -- A digest of what only one document may be called.
  unique_name uuid,
  levels json not null,
  body json not null,
  constraint work_documents_pk primary key (id),
  constraint work_documents_unique_name unique (unique_name),
  constraint work_documents_kind_known check (kind in ('transfer', 'inbound_shipment', 'count'))
);
create index work_documents_by_kind on work_documents (kind, id);
create index work_documents_by_reference on work_documents (kind, reference, id) where reference is not null;

-- Who buys, where it was said. Limits for one customer look at the holds placed lately.
alter table holds add column customer text;
create index holds_by_customer on holds (customer, created_at) where customer is not null;

alter table items add column purchase_limit_quantity bigint;
alter table items add column purchase_limit_seconds bigint;
alter table items add constraint items_purchase_limit_whole check ((purchase_limit_quantity is null) = (purchase_limit_seconds is null));

-- Beside a level, like its safety stock: when it is low, and what was told last of it.
alter table stock_levels add column reorder_point bigint;
alter table stock_levels add column signal text;
alter table stock_levels add column signals int not null default 0;
alter table stock_levels add constraint stock_levels_signal_known check (signal in ('in_stock', 'low', 'out'));
update stock_levels as l set reorder_point = i.reorder_point from items as i where i.id = l.item_id and i.reorder_point is not null;
