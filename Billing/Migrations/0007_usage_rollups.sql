-- The newest position of each tenant's usage of each type. Written with the entries, so whoever sees it sees them: what is to be
-- rolled up is found here and not in the log.
create table {schema}.usage_heads (
    tenant_id uuid   not null,
    type      text   not null,
    position  bigint not null,
    primary key (tenant_id, type)
) with (fillfactor = 50);

-- Sums by hour (UTC) and the values of the meter version's dimensions, in their order, null for events without the member.
-- Corrected entries are taken back and counted anew, so an hour whose events were all voided has a row of zeros.
create table {schema}.usage_rollups (
    tenant_id  uuid        not null,
    meter_id   uuid        not null,
    version    int         not null,
    hour       timestamptz not null,
    dimensions text[]      not null,
    quantity   numeric     not null,
    events     bigint      not null,
    quantities bigint      not null,
    primary key (tenant_id, meter_id, version, hour, dimensions)
) with (fillfactor = 80);

-- How far the ledger is in the roll-ups, per tenant and type of usage, and which versions of meters are rolled up to there.
create table {schema}.usage_rollup_marks (
    tenant_id  uuid        not null,
    type       text        not null,
    position   bigint      not null,
    reached_at timestamptz not null,
    meters     text[]      not null,
    primary key (tenant_id, type)
) with (fillfactor = 50);

-- Months (UTC) that retention took from the log, when the ledger was at position. Belongs to no tenant. Their roll-ups can no
-- longer be made again.
create table {schema}.usage_gone_months (
    month    timestamptz primary key,
    position bigint not null
);

-- Statements of several tenants are sorted, so that two of them cannot wait for each other in a ring.
create function {schema}.note_usage_heads() returns trigger language plpgsql as $$
begin
    insert into {schema}.usage_heads as head (tenant_id, type, position)
    select tenant_id, type, max(position) from fresh group by tenant_id, type order by tenant_id, type
    on conflict (tenant_id, type) do update set position = greatest(head.position, excluded.position);
    return null;
end $$;

create trigger note_usage_heads after insert on {schema}.usage_events
referencing new table as fresh for each statement execute function {schema}.note_usage_heads();
create trigger note_usage_heads after insert on {schema}.usage_corrections
referencing new table as fresh for each statement execute function {schema}.note_usage_heads();

select {schema}.secure_tenant_table(name) from unnest(array['usage_heads', 'usage_rollups', 'usage_rollup_marks']) name;
grant select, insert, update on {schema}.usage_heads, {schema}.usage_rollups, {schema}.usage_rollup_marks to {app_role}, {system_role};
grant delete on {schema}.usage_rollups to {system_role};
grant select on {schema}.usage_gone_months to {app_role}, {system_role};
