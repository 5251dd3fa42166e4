-- What was promised against what there was. Every item was received once, `units` of it at one location; what is promised is
-- added up from the holds themselves, not from the levels. Answers one line of JSON.
with promised as (
  select a.item, sum(a.held + a.committed + a.shipped - a.returned) as units
    from holds as h
   cross join json_to_recordset(h.allocations) as a (item int, held bigint, committed bigint, shipped bigint, returned bigint)
   group by a.item
),
counted as (
  select l.item_id as item, l.available, l.available + l.held + l.committed + l.damaged + l.quality_control as on_hand, l.held + l.committed as promised
    from stock_levels as l
)
select json_build_object(
         'holds', (select count(*) from holds),
         'promised', coalesce(sum(p.units), 0),
         'oversold', coalesce(sum(greatest(0, p.units - :units)), 0),
         'left', sum(c.available),
         -- Levels that do not have what was received, or that say otherwise than the holds what of it is promised.
         'astray', count(*) filter (where c.on_hand <> :units or c.promised <> coalesce(p.units, 0) or c.available < 0)
       )
  from counted as c
  full join promised as p
    on p.item = c.item;
