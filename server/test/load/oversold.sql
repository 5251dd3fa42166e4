-- What was promised against what there was. What there was is added up from the receipts, and what is promised from the holds:
-- neither asks the levels or the ledger's entries, which are what might be wrong. Answers one line of JSON.
with received as (
  select l.item, r.location, sum(l.quantity) as units
    from documents as d
   cross join json_to_record(d.body -> 'receipt') as r (location int, lines json)
   cross join json_to_recordset(r.lines) as l (item int, quantity bigint)
   where d.kind = 'receipt'
   group by l.item, r.location
),
promised as (
  select a.item, a.location, sum(a.held + a.committed + a.shipped - a.returned) as units
    from holds as h
   cross join json_to_recordset(h.allocations) as a (item int, location int, held bigint, committed bigint, shipped bigint, returned bigint)
   group by a.item, a.location
),
compared as (
  select coalesce(r.item, p.item) as item, coalesce(r.location, p.location) as location, coalesce(r.units, 0) as received, coalesce(p.units, 0) as promised
    from received as r
    full join promised as p
      on (p.item, p.location) = (r.item, r.location)
)
select json_build_object(
         'holds', (select count(*) from holds),
         'received', coalesce(sum(c.received), 0),
         'promised', coalesce(sum(c.promised), 0),
         'oversold', coalesce(sum(greatest(0, c.promised - c.received)), 0),
         -- Levels that say otherwise than the receipts and the holds.
         'astray', count(*) filter (where l.held + l.committed <> c.promised or l.available <> c.received - c.promised or l.item_id is null)
       )
  from compared as c
  left join stock_levels as l
    on (l.item_id, l.location_id) = (c.item, c.location);
