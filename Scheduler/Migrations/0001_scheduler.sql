select {schema}.create_document_table('job_views');
select {schema}.create_document_table('worker_views');

-- The newest progress of each running job: shaped like a document, but reported and not folded, so no rebuild touches it.
create table {schema}.job_progress (
    tenant_id uuid not null,
    id uuid not null,
    version bigint not null,
    data jsonb not null,
    primary key (tenant_id, id)
);
select {schema}.secure_tenant_table('job_progress');
grant select, insert, update on {schema}.job_progress to {app_role}, {system_role};

-- The planner reads these every second; jobs that are over are most of the table.
create index job_views_waiting_or_open on {schema}.job_views ((data->>'status'), id)
    where data->>'status' in ('queued', 'placed', 'running');

-- Who may call. A replica of what Billing publishes, read before the caller's tenant is known: the system role alone.
create table {schema}.tenants (
    tenant_id uuid primary key,
    name text
);
create table {schema}.api_keys (
    tenant_id uuid not null,
    api_key_id uuid not null,
    scope text,
    key_hash text,
    revoked_at timestamptz,
    primary key (tenant_id, api_key_id)
);
create unique index api_keys_hash on {schema}.api_keys (key_hash);
alter table {schema}.tenants enable row level security;
alter table {schema}.api_keys enable row level security;
create policy system on {schema}.tenants for all to {system_role} using (true);
create policy system on {schema}.api_keys for all to {system_role} using (true);
grant select, insert, update on {schema}.tenants, {schema}.api_keys to {system_role};

-- The fleet's pulse belongs to no tenant, so it has no row-level security; the system role alone may see it.
create table {schema}.worker_heartbeats (
    worker_id uuid not null,
    session_id uuid not null,
    received_at timestamptz not null,
    primary key (worker_id, session_id)
);
create table {schema}.attempt_sightings (
    attempt_id uuid primary key,
    seen_at timestamptz not null
);
grant select, insert, update, delete on {schema}.worker_heartbeats, {schema}.attempt_sightings to {system_role};

-- Which instance places jobs: one row, no tenant. The application's role reads it to fence its commits.
create table {schema}.placement_terms (
    one boolean primary key default true check (one),
    term bigint not null
);
insert into {schema}.placement_terms (term) values (0);
grant select, update on {schema}.placement_terms to {system_role};
grant select on {schema}.placement_terms to {app_role};
