-- Every event that the ledger ever took, apart from its payload: narrow, and global where the log is cut by time. key stands for
-- (source, id), content for everything else (see UsageIdentity); time and position lead to the event in the log.
create table {schema}.usage_identities (
    tenant_id uuid        not null,
    key       uuid        not null,
    content   uuid        not null,
    time      timestamptz not null,
    position  bigint      not null,
    primary key (tenant_id, key)
);
create index usage_identities_time on {schema}.usage_identities using brin (time);
select {schema}.secure_tenant_table('usage_identities');
grant select, insert on {schema}.usage_identities to {app_role}, {system_role};

-- Takes what is new of a batch: one row per identity, of any tenants whose lanes the caller holds, in the order in which their
-- positions shall stand. known gives, at the place of each, the content that the ledger has of it already, null for what was
-- new. Each statement of a volatile function has a snapshot of its own, so nothing that a lane's last holder committed is missed,
-- and nobody else can take the same identity meanwhile. One generic plan: planning anew costs more than a small batch.
create function {schema}.take_usage(
    in_tenant uuid[], in_key uuid[], in_content uuid[], in_time timestamptz[], in_attempt uuid[], in_hash bytea[],
    in_source text[], in_id text[], in_type text[], in_subject text[], in_data jsonb[], in_received_at timestamptz,
    out known uuid[])
language plpgsql set plan_cache_mode = force_generic_plan as $$
declare
    places bigint[];
begin
    known := array(
        select i.content
        from unnest(in_tenant, in_key) with ordinality e (tenant, key, place)
        left join {schema}.usage_identities i on i.tenant_id = e.tenant and i.key = e.key
        order by e.place);
    places := array(select nextval('{schema}.usage_events_position_seq') from generate_series(1, cardinality(in_key)));

    insert into {schema}.usage_identities (tenant_id, key, content, time, position)
    select e.tenant, e.key, e.content, e.time, e.position
    from unnest(in_tenant, in_key, in_content, in_time, places, known) e (tenant, key, content, time, position, known)
    where e.known is null
    order by e.tenant, e.key;

    insert into {schema}.usage_events
        (tenant_id, position, time, received_at, attempt_id, content_hash, source, id, type, subject, data)
    select e.tenant, e.position, e.time, in_received_at, e.attempt, e.hash, e.source, e.id, e.type, e.subject, e.data
    from unnest(in_tenant, places, in_time, in_attempt, in_hash, in_source, in_id, in_type, in_subject, in_data, known)
        e (tenant, position, time, attempt, hash, source, id, type, subject, data, known)
    where e.known is null;
end $$;

-- Makes the partition of each month (UTC) from one instant to another, and moves what stands in the default partition into it.
-- Making tables takes their owner; this runs as the owner, for these partitions alone.
create function {schema}.make_usage_months(in_from timestamptz, in_to timestamptz) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    month timestamp := date_trunc('month', in_from at time zone 'UTC');
    name text;
begin
    perform pg_advisory_xact_lock(hashtextextended('{schema}.make_usage_months', 0));
    while month <= in_to at time zone 'UTC' loop
        name := 'usage_events_' || to_char(month, 'YYYYMM');
        if to_regclass('{schema}.' || name) is null then
            execute format('create table {schema}.%I (like {schema}.usage_events including defaults)', name);
            perform {schema}.secure_tenant_table(name);
            execute format('grant select on {schema}.%I to {app_role}, {system_role}', name);
            lock table {schema}.usage_events_other in access exclusive mode;
            execute format(
                'with moved as (delete from {schema}.usage_events_other where time >= %L and time < %L returning *) '
                'insert into {schema}.%I select * from moved',
                month at time zone 'UTC', (month + interval '1 month') at time zone 'UTC', name);
            execute format(
                'alter table {schema}.usage_events attach partition {schema}.%I for values from (%L) to (%L)',
                name, month at time zone 'UTC', (month + interval '1 month') at time zone 'UTC');
        end if;
        month := month + interval '1 month';
    end loop;
end $$;

revoke execute on function {schema}.take_usage, {schema}.make_usage_months from public;
grant execute on function {schema}.take_usage to {app_role}, {system_role};
grant execute on function {schema}.make_usage_months to {system_role};

-- What may be reported now, and two months of time for the processes to make the next ones.
select {schema}.make_usage_months(now() - interval '400 days', now() + interval '2 months');
