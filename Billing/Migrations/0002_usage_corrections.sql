-- Events that were refused because their identity was in the ledger with other content, beside what the ledger kept. The same
-- content refused again is listed once. Of what the ledger kept only the time is known once retention has taken its month.
create table {schema}.usage_conflicts (
    tenant_id    uuid        not null,
    source       text        not null,
    event_id     text        not null,
    content_hash bytea       not null,
    position     bigint      not null generated always as identity,
    type         text        not null,
    subject      text,
    time         timestamptz not null,
    data         jsonb       not null,
    kept_type    text,
    kept_subject text,
    kept_time    timestamptz not null,
    kept_data    jsonb       check ((kept_data is null) = (kept_type is null)),
    reported_by  text        not null,
    reported_at  timestamptz not null,
    primary key (tenant_id, source, event_id, content_hash)
);
create index usage_conflicts_position on {schema}.usage_conflicts (tenant_id, position);

-- What was said about an event later. Takes its positions from the ledger's own sequence, so that one position tells what a
-- reader has seen of events and of corrections. type and time are the event's.
create table {schema}.usage_corrections (
    tenant_id    uuid        not null,
    id           uuid        not null,
    position     bigint      not null default nextval('{schema}.usage_events_position_seq'),
    kind         text        not null check (kind in ('void', 'amend')),
    source       text        not null,
    event_id     text        not null,
    type         text        not null,
    time         timestamptz not null,
    before       jsonb       not null,
    after        jsonb       check ((after is null) = (kind = 'void')),
    reason       text        not null,
    actor        text        not null,
    corrected_at timestamptz not null,
    primary key (tenant_id, id)
);
create index usage_corrections_event on {schema}.usage_corrections (tenant_id, source, event_id, position);
create index usage_corrections_type_time on {schema}.usage_corrections (tenant_id, type, time);
create index usage_corrections_position on {schema}.usage_corrections (tenant_id, position);

-- The ledger as it counts: an event adds its data; a correction takes back what counted before it and adds what counts instead,
-- at its own position. Sums of sign times quantity over any range of positions are therefore exact.
create view {schema}.usage_entries with (security_invoker = true) as
select tenant_id, position, type, time, 1 as sign, data from {schema}.usage_events
union all
select tenant_id, position, type, time, -1, before from {schema}.usage_corrections
union all
select tenant_id, position, type, time, 1, after from {schema}.usage_corrections where after is not null;

select {schema}.secure_tenant_table(name) from unnest(array['usage_conflicts', 'usage_corrections']) name;

-- Append-only, like the ledger.
grant select, insert on {schema}.usage_conflicts, {schema}.usage_corrections to {app_role}, {system_role};
grant select on {schema}.usage_entries to {app_role}, {system_role};
