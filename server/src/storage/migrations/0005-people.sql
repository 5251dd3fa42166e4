-- People and keys: sessions, restrictions to locations, limits of keys, what was tried in vain, and who did what.

-- What a role is called changed with the table of permissions (contract/src/permissions.ts).
alter table users drop constraint users_role_known;
update users set role = 'administrator' where role = 'admin';
alter table users add constraint users_role_known check (role in ('shopper', 'viewer', 'operator', 'manager', 'auditor', 'administrator'));
alter table users add column name text;
-- The codes of the only locations that somebody may work with; null: all of them. Nobody is restricted to nothing.
alter table users add column locations text[];
alter table users add constraint users_locations_not_empty check (cardinality(locations) > 0);

alter table api_keys add column locations text[];
alter table api_keys add constraint api_keys_locations_not_empty check (cardinality(locations) > 0);
-- 'unlimited', or { limit, window_seconds }; null: the limit that everybody has.
alter table api_keys add column rate_limit json;

-- A key that had every scope there was has every scope there is: whoever made it meant "everything", and without the new ones
-- nobody could make the keys that have them. Others stay as they are.
update api_keys
   set scopes = array['items:read', 'items:write', 'availability:read', 'stock:read', 'stock:adjust', 'stock:approve', 'holds:read', 'holds:write',
                      'webhooks:manage', 'users:manage', 'keys:manage', 'audit:read']
 where scopes @> array['items:read', 'items:write', 'stock:read', 'stock:adjust', 'holds:read', 'holds:write', 'audit:read'];
-- The first start's keys are the operator's own, and have no limit.
update api_keys set rate_limit = '"unlimited"' where principal = 'owner';

-- Of a session's token only the digest is kept. Rows of sessions that ended go at once; those that ran out, with the upkeep.
create table sessions (
  id uuid not null,
  user_id uuid not null,
  digest bytea not null,
  created_at timestamptz not null default now(),
  last_seen_at timestamptz not null default now(),
  expires_at timestamptz not null,
  address text not null,
  user_agent text,
  constraint sessions_pk primary key (id),
  constraint sessions_digest_unique unique (digest),
  constraint sessions_digest_is_sha256 check (octet_length(digest) = 32),
  constraint sessions_of_a_user foreign key (user_id) references users (id)
);
create index sessions_by_user on sessions (user_id, id);
create index sessions_by_end on sessions (expires_at);

-- How often something was tried lately, and until when it may not be tried again. A subject is the digest of an account or of
-- an address, so that rows are small and tell of nobody.
create table attempts (
  subject bytea not null,
  tries int not null default 0,
  latest_at timestamptz not null default clock_timestamp(),
  blocked_until timestamptz,
  constraint attempts_pk primary key (subject),
  constraint attempts_subject_is_sha256 check (octet_length(subject) = 32)
);
create index attempts_by_age on attempts (latest_at);

-- Who did what. Written in the transaction of the act itself, and only ever added to.
create table audit_log (
  id uuid not null,
  occurred_at timestamptz not null,
  actor text not null,
  action text not null,
  subject_kind text not null,
  subject_id text,
  address text not null,
  request_id text not null,
  changes json not null,
  constraint audit_log_pk primary key (id)
);
create index audit_log_by_time on audit_log (occurred_at, id);
create index audit_log_by_actor on audit_log (actor, occurred_at, id);
create index audit_log_by_subject on audit_log (subject_id, occurred_at, id) where subject_id is not null;

create trigger audit_log_append_only before update or delete on audit_log for each row execute function refuse_change();
create trigger audit_log_no_truncate before truncate on audit_log for each statement execute function refuse_change();
