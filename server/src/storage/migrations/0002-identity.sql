-- Who may ask: keys of programs, and people. Of keys and passwords only digests are kept.

create table api_keys (
  id uuid not null,
  -- Whose key it is. Idempotency keys belong to the principal, so they outlive the change of an API key.
  principal text not null,
  name text not null,
  digest bytea not null,
  scopes text[] not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  revoked_at timestamptz,
  last_used_at timestamptz,
  constraint api_keys_pk primary key (id),
  constraint api_keys_digest_unique unique (digest),
  constraint api_keys_digest_is_sha256 check (octet_length(digest) = 32)
);

create table users (
  id uuid not null,
  email text not null,
  password_hash text not null,
  role text not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  disabled_at timestamptz,
  constraint users_pk primary key (id),
  constraint users_email_unique unique (email),
  constraint users_email_lower check (email = lower(email)),
  constraint users_role_known check (role in ('viewer', 'operator', 'manager', 'admin', 'auditor'))
);
