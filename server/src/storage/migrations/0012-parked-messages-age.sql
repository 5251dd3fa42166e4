-- How old a parked message is, whatever became of it since: its idempotency key is not remembered for ever. What is parked already was
-- parked after it was sent.

alter table parked_messages add column sent_at timestamptz;
update parked_messages as p set sent_at = p.parked_at;
alter table parked_messages alter column sent_at set not null;

-- Those of nobody we know, of which only the newest are kept.
create index parked_messages_strangers on parked_messages (id) where caller is null;
