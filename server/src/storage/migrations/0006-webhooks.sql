-- Who is told of events, and what became of telling them.

create table webhook_endpoints (
  id uuid not null,
  url text not null,
  -- Types of events, families such as hold.*, or * for everything.
  events text[] not null,
  description text,
  metadata json not null default '{}',
  -- A deleted one is kept until its deliveries are gone, which takes more than one transaction.
  status text not null default 'enabled',
  disabled_reason text,
  disabled_at timestamptz,
  -- Sealed; see platform/secret-box.ts.
  secret text,
  previous_secret text,
  previous_secret_expires_at timestamptz,
  -- What happened up to this event it is not told: it was made, or enabled again, by it.
  since_sequence bigint not null,
  -- Since when it has not succeeded once, and how often it has failed since.
  failing_since timestamptz,
  failures int not null default 0,
  -- What is still to be queued of a replay: sequences above the first, up to and with the second.
  replay_after bigint,
  replay_until bigint,
  version int not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint webhook_endpoints_pk primary key (id),
  constraint webhook_endpoints_status_known check (status in ('enabled', 'disabled', 'deleted')),
  constraint webhook_endpoints_disabled_for_a_reason check ((status = 'disabled') = (disabled_reason is not null) and (status = 'disabled') = (disabled_at is not null)),
  constraint webhook_endpoints_secret_until_deleted check ((status = 'deleted') = (secret is null)),
  constraint webhook_endpoints_previous_secret_expires check ((previous_secret is null) = (previous_secret_expires_at is null)),
  constraint webhook_endpoints_replay_has_an_end check ((replay_after is null) = (replay_until is null))
);

-- One for each event and endpoint. It keeps neither the event, which the ledger has, nor a foreign key to its endpoint, which
-- would lock the endpoint's row for every delivery; an endpoint's row goes after the last of its deliveries.
create table webhook_deliveries (
  id uuid not null,
  endpoint_id uuid not null,
  event_id uuid not null,
  event_type text not null,
  status text not null default 'pending',
  -- When it is due. Whoever takes it moves this ahead, which is its lease, and counts the attempt, which is its token: what it
  -- found is written only while no later attempt has begun.
  next_attempt_at timestamptz,
  attempts int not null default 0,
  -- Attempts that failed since it was last asked for: they say how long the next wait is.
  failures int not null default 0,
  log json not null default '[]',
  created_at timestamptz not null default now(),
  ended_at timestamptz,
  constraint webhook_deliveries_pk primary key (id),
  constraint webhook_deliveries_once unique (endpoint_id, event_id),
  constraint webhook_deliveries_status_known check (status in ('pending', 'delivered', 'failed')),
  constraint webhook_deliveries_due_or_ended check ((status = 'pending') = (next_attempt_at is not null) and (status = 'pending') = (ended_at is null))
);
create index webhook_deliveries_due on webhook_deliveries (endpoint_id, next_attempt_at, event_id) where status = 'pending';
create index webhook_deliveries_failed on webhook_deliveries (endpoint_id, event_id) where status = 'failed';
