-- The idempotency keys of a past that history.sql has made: one for every placing, executing and releasing of a hold, of the
-- events of sequences above `after` up to and with `upto`. Keys are forgotten when they are old, so a ledger has the keys of its
-- youngest part only.
--   psql -v after=8000000 -v upto=10000000 -f history-keys.sql

set synchronous_commit = off;
set work_mem = '256MB';

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
