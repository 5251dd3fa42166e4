\set item random(1, :items)
with taken as (update levels set available = available - 1, held = held + 1 where item_id = :item and available >= 1 returning item_id) insert into holds (item_id, quantity, expires_at) select item_id, 1, now() + interval '15 minutes' from taken;
