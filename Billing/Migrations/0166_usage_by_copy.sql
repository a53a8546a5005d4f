-- The way of large batches into the log. PostgreSQL copies into no table with row-level security, so they go in through a table above it
-- that nobody reads. Who writes there cannot name a tenant: it is the one that the transaction shows, and where that is none, or several, no
-- row is a row.
create table {schema}.usage_log (like {schema}.usage_events) partition by range (time);
alter table {schema}.usage_log alter tenant_id set default btrim(current_setting('platform.tenants'), '{}')::uuid;
alter table {schema}.usage_log attach partition {schema}.usage_events for values from (minvalue) to (maxvalue);
grant insert (position, time, received_at, attempt_id, content_hash, source, id, type, subject, data) on {schema}.usage_log to {app_role};

-- Takes the identities of what is new of one tenant's batch: each once, in the order in which their positions shall stand. known gives,
-- at the place of each, the content that the ledger has of it already, null for what was new, and is null where all was new. Positions are
-- given 1,024 at a time: befores gives the one before the first of each 1,024 places.
create function {schema}.take_usage_identities(
    in_tenant uuid, in_key uuid[], in_content uuid[], in_time timestamptz[], in_range_first uuid[], in_range_last uuid[],
    out known uuid[], out befores bigint[])
language plpgsql security definer
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
declare
    size int := cardinality(in_key);
    few constant int := 32;
    near uuid[];
begin
    if not in_tenant = any (coalesce(nullif(current_setting('platform.tenants', true), ''), '{}')::uuid[]) then
        raise insufficient_privilege using message = 'take_usage_identities was called for a tenant that is not the caller''s';
    end if;

    befores := array(select nextval('{schema}.usage_events_position_seq') - 1 from generate_series(1, size, 1024));
    near := array(
        select it.key from unnest(in_range_first, in_range_last) range (first, last)
        join {schema}.usage_identities it on it.tenant_id = in_tenant and it.key between range.first and range.last
        limit few + 1);
    if cardinality(near) > few or near && in_key then
        known := array(
            select case when cardinality(near) > few or in_key[place] = any (near) then (
                select it.content from {schema}.usage_identities it where it.tenant_id = in_tenant and it.key = in_key[place]) end
            from generate_series(1, size) place
            order by place);
    end if;

    insert into {schema}.usage_identities (tenant_id, key, content, time, position)
    select in_tenant, in_key[place], in_content[place], in_time[place], befores[1 + (place - 1) / 1024] + 1 + (place - 1) % 1024
    from generate_series(1, size) place
    where known[place] is null
    order by in_key[place];
end $$;

revoke execute on function {schema}.take_usage_identities from public;
grant execute on function {schema}.take_usage_identities to {app_role};
