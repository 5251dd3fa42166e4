-- What the monitor has told, and what the last verification found.

-- One row for each component that was ever told of. Whoever tells a change writes it here in the same transaction, so that it is
-- told once, whichever process does it.
create table component_states (
  name text not null,
  is_down boolean not null,
  since timestamptz not null,
  -- Of the component as the subject of events.
  version int not null,
  constraint component_states_pk primary key (name)
);

-- The last one, in one row.
create table verifications (
  version int not null,
  verified_at timestamptz not null,
  duration_ms bigint not null,
  sequence bigint not null,
  levels bigint not null,
  entries bigint not null,
  holds bigint not null,
  violations json not null,
  the_last boolean not null default true,
  constraint verifications_pk primary key (the_last),
  constraint verifications_one check (the_last)
);

-- Whoever could do everything can do what is new.
update api_keys as k
   set scopes = k.scopes || '{status:read}'
 where k.scopes @> '{items:read,items:write,availability:read,stock:read,stock:adjust,stock:approve,holds:read,holds:write,webhooks:manage,users:manage,keys:manage,audit:read}'
   and not k.scopes @> '{status:read}';
