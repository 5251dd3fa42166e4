-- What the baselines keep: as little as one can and still be sure. The same half page is left free as in Holdfast's levels.
create table levels (
  item_id int primary key,
  available bigint not null check (available >= 0),
  held bigint not null check (held >= 0)
) with (fillfactor = 50);

create table holds (
  id bigint generated always as identity primary key,
  item_id int not null,
  quantity bigint not null check (quantity > 0),
  status text not null default 'active',
  created_at timestamptz not null default now(),
  expires_at timestamptz not null
);

insert into levels (item_id, available, held)
select item_id, :units, 0 from generate_series(1, :items) as item_id;

vacuum analyze levels;
