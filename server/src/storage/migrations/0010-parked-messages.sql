-- Messages that nobody could take, with the reason, until a person has sent them again or thrown them away.

create table parked_messages (
  id uuid not null,
  -- The queue that it came from, without the prefix.
  queue text not null,
  operation text,
  -- As it came; what was no JSON is a text in JSON.
  message json not null,
  -- Who sent it, as they were known then: in their name it is sent again. No key of theirs is kept.
  caller json,
  reason text not null,
  attempts int not null,
  parked_at timestamptz not null,
  resent_at timestamptz,
  -- The same message, parked again, is one message.
  fingerprint uuid not null,
  constraint parked_messages_pk primary key (id),
  constraint parked_messages_once unique (fingerprint)
);
create index parked_messages_resent on parked_messages (resent_at) where resent_at is not null;

-- Whoever could do everything can do what is new.
update api_keys as k
   set scopes = k.scopes || '{messages:manage}'
 where k.scopes @> '{items:read,items:write,availability:read,stock:read,stock:adjust,stock:approve,holds:read,holds:write,webhooks:manage,users:manage,keys:manage,audit:read}';
