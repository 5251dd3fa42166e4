\set item random(1, :items)
begin;
select available >= 1 as enough from levels where item_id = :item for update \gset
\if :enough
insert into holds (item_id, quantity, expires_at) values (:item, 1, now() + interval '15 minutes');
update levels set available = available - 1, held = held + 1 where item_id = :item;
\endif
commit;
