-- As in 0004, in one statement that reads the arrays once: for a batch of a few events, beginning a statement costs more than its rows.
-- Each identity is looked for by its whole key in a subquery, which has one good plan whatever is known of the table; the plan of a join
-- is made before the first analyze and then reads the whole table at every call. The function runs as the tables' owner and checks once
-- a call that the tenants are the caller's, where row-level security would compare every row with each of them.
create or replace function {schema}.take_usage(
    in_tenant uuid[], in_key uuid[], in_content uuid[], in_time timestamptz[], in_attempt uuid[], in_hash bytea[],
    in_source text[], in_id text[], in_type text[], in_subject text[], in_data jsonb[], in_received_at timestamptz,
    out known uuid[])
language plpgsql security definer
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
begin
    if not in_tenant <@ coalesce(nullif(current_setting('platform.tenants', true), ''), '{}')::uuid[] then
        raise insufficient_privilege using message = 'take_usage was called for a tenant that is not the caller''s';
    end if;

    with event as materialized (
        select given.*, nextval('{schema}.usage_events_position_seq') as position,
               (select it.content from {schema}.usage_identities it where it.tenant_id = given.tenant and it.key = given.key) as known
        from unnest(in_tenant, in_key, in_content, in_time, in_attempt, in_hash, in_source, in_id, in_type, in_subject, in_data)
            given (tenant, key, content, time, attempt, hash, source, id, type, subject, data)),
    identities as (
        insert into {schema}.usage_identities (tenant_id, key, content, time, position)
        select tenant, key, content, time, position from event where event.known is null order by tenant, key),
    events as (
        insert into {schema}.usage_events
            (tenant_id, position, time, received_at, attempt_id, content_hash, source, id, type, subject, data)
        select tenant, position, time, in_received_at, attempt, hash, source, id, type, subject, data
        from event where event.known is null),
    -- Sorted, so that two calls cannot wait for each other in a ring.
    heads as (
        insert into {schema}.usage_heads as head (tenant_id, type, position)
        select tenant, type, max(position) from event where event.known is null group by tenant, type order by tenant, type
        on conflict (tenant_id, type) do update set position = greatest(head.position, excluded.position))
    select array_agg(event.known) into known from event;
end $$;
revoke execute on function {schema}.take_usage from {system_role};

-- take_usage is the only way into the log and notes the heads itself.
drop trigger note_usage_heads on {schema}.usage_events;
