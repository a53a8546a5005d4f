-- As in 0165, but a few identities are each looked up at once: of what many callers send at the same time hardly two are of one tenant and
-- near each other, and a range costs more than a key.
create or replace function {schema}.take_usage(
    in_tenant uuid[], in_key uuid[], in_content uuid[], in_time timestamptz[], in_attempt uuid[], in_hash bytea[],
    in_source text[], in_id text[], in_type text[], in_subject text[], in_data jsonb[], in_received_at timestamptz,
    in_range_tenant uuid[], in_range_first uuid[], in_range_last uuid[],
    out known uuid[])
language plpgsql security definer
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
declare
    before bigint := nextval('{schema}.usage_events_position_seq') - 1;
    size int := cardinality(in_key);
    few constant int := 64;
    one_by_one boolean := size <= few;
    near uuid[];
begin
    if not in_tenant <@ coalesce(nullif(current_setting('platform.tenants', true), ''), '{}')::uuid[] then
        raise insufficient_privilege using message = 'take_usage was called for a tenant that is not the caller''s';
    end if;

    if not one_by_one then
        near := array(
            select it.key from unnest(in_range_tenant, in_range_first, in_range_last) range (tenant, first, last)
            join {schema}.usage_identities it on it.tenant_id = range.tenant and it.key between range.first and range.last
            limit few + 1);
        one_by_one := cardinality(near) > few;
    end if;
    if one_by_one or near && in_key then
        known := array(
            select case when one_by_one or in_key[place] = any (near) then (
                select it.content from {schema}.usage_identities it where it.tenant_id = in_tenant[place] and it.key = in_key[place]) end
            from generate_series(1, size) place
            order by place);
    end if;

    insert into {schema}.usage_identities (tenant_id, key, content, time, position)
    select in_tenant[place], in_key[place], in_content[place], in_time[place], before + place
    from generate_series(1, size) place
    where known[place] is null
    order by in_tenant[place], in_key[place];

    insert into {schema}.usage_events
        (tenant_id, position, time, received_at, attempt_id, content_hash, source, id, type, subject, data)
    select in_tenant[place], before + place, in_time[place], in_received_at, in_attempt[place], in_hash[place], in_source[place],
           in_id[place], in_type[place], in_subject[place], in_data[place]
    from generate_series(1, size) place
    where known[place] is null;

    -- Sorted, so that two calls cannot wait for each other in a ring.
    insert into {schema}.usage_heads as head (tenant_id, type, position)
    select in_tenant[place], in_type[place], before + max(place)
    from generate_series(1, size) place
    where known[place] is null
    group by 1, 2 order by 1, 2
    on conflict (tenant_id, type) do update set position = greatest(head.position, excluded.position);
end $$;
