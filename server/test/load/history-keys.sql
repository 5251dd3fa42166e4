-- The idempotency keys of a past that history.sql has made: one for every placing, executing and releasing of a hold, of the
-- events above `after_share` of the head's sequence up to and with `upto_share` of it. Keys are forgotten when they are old, so
-- a ledger has the keys of its youngest part only.
--   psql -v after_share=0.8333 -v upto_share=1 -f history-keys.sql

set synchronous_commit = off;
set work_mem = '256MB';

select ceil(h.sequence * :after_share) as after, ceil(h.sequence * :upto_share) as upto from ledger_head as h \gset

-- Written in the order of the index, which is quicker by far than at random. Keys that came one by one would have left its pages
-- about seven tenths full, so that is how full they are made.
alter index idempotency_keys_pk set (fillfactor = 70);
insert into idempotency_keys (key, fingerprint, sequence, answer, created_at)
select md5('key' || e.sequence)::uuid, md5('fingerprint' || e.sequence)::uuid, e.sequence, null, e.occurred_at
  from events as e
 where e.sequence > :after
   and e.sequence <= :upto
   and e.subject_kind = 'hold'
 order by md5('key' || e.sequence)::uuid;
alter index idempotency_keys_pk reset (fillfactor);

vacuum (analyze) idempotency_keys;
checkpoint;
