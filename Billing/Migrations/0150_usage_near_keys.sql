-- As in 0120, but contents are asked for only where a key that came is among those near it: what many callers send at the same time lies
-- between each other's keys.
create or replace function {schema}.take_usage(
    in_tenant uuid[], in_key uuid[], in_content uuid[], in_time timestamptz[], in_attempt uuid[], in_hash bytea[],
    in_source text[], in_id text[], in_type text[], in_subject text[], in_data jsonb[], in_received_at timestamptz,
    in_range_tenant uuid[], in_range_first uuid[], in_range_last uuid[],
    out known uuid[])
language plpgsql security definer
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
declare
    before bigint := nextval('{schema}.usage_events_position_seq') - 1;
    few constant int := 32;
    near uuid[];
begin
    if not in_tenant <@ coalesce(nullif(current_setting('platform.tenants', true), ''), '{}')::uuid[] then
        raise insufficient_privilege using message = 'take_usage was called for a tenant that is not the caller''s';
    end if;

    near := array(
        select it.key from unnest(in_range_tenant, in_range_first, in_range_last) range (tenant, first, last)
        join {schema}.usage_identities it on it.tenant_id = range.tenant and it.key between range.first and range.last
        limit few + 1);
    if cardinality(near) > few or near && in_key then
        known := array(
            select case when cardinality(near) > few or given.key = any (near) then (
                select it.content from {schema}.usage_identities it where it.tenant_id = given.tenant and it.key = given.key) end
            from unnest(in_tenant, in_key) with ordinality given (tenant, key, place)
            order by place);
    end if;

    insert into {schema}.usage_identities (tenant_id, key, content, time, position)
    select tenant, key, content, time, before + place
    from unnest(in_tenant, in_key, in_content, in_time, known) with ordinality given (tenant, key, content, time, known, place)
    where given.known is null
    order by tenant, key;

    insert into {schema}.usage_events
        (tenant_id, position, time, received_at, attempt_id, content_hash, source, id, type, subject, data)
    select tenant, before + place, time, in_received_at, attempt, hash, source, id, type, subject, data
    from unnest(in_tenant, in_time, in_attempt, in_hash, in_source, in_id, in_type, in_subject, in_data, known) with ordinality
        given (tenant, time, attempt, hash, source, id, type, subject, data, known, place)
    where given.known is null;

    -- Sorted, so that two calls cannot wait for each other in a ring.
    insert into {schema}.usage_heads as head (tenant_id, type, position)
    select tenant, type, before + max(place)
    from unnest(in_tenant, in_type, known) with ordinality given (tenant, type, known, place)
    where given.known is null
    group by tenant, type order by tenant, type
    on conflict (tenant_id, type) do update set position = greatest(head.position, excluded.position);
end $$;
