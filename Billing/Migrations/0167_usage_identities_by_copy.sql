-- Identities of large batches go the way of their events (0166): by COPY, through a table above theirs that nobody reads. A setting that is
-- one id says whose the rows are, which costs a row half of what taking it out of a list did; begin_usage_copy makes it once it has seen that
-- the tenant is one that the transaction shows. Without it no row is a row.
drop function {schema}.take_usage_identities;
alter table {schema}.usage_log alter tenant_id set default nullif(current_setting('platform.tenant', true), '')::uuid;

create table {schema}.usage_identity_log (like {schema}.usage_identities) partition by range (time);
alter table {schema}.usage_identity_log alter tenant_id set default nullif(current_setting('platform.tenant', true), '')::uuid;
alter table {schema}.usage_identity_log attach partition {schema}.usage_identities for values from (minvalue) to (maxvalue);
grant insert (key, content, time, position) on {schema}.usage_identity_log to {app_role};

-- What follows in the transaction may be copied as this tenant's. known_key and known_content give what the ledger has already: all of
-- in_key that is known, and possibly some of what else is near; null where nothing is. Positions are given 1,024 at a time: befores gives
-- the one before the first of each so many keys.
create function {schema}.begin_usage_copy(
    in_tenant uuid, in_key uuid[], in_range_first uuid[], in_range_last uuid[],
    out known_key uuid[], out known_content uuid[], out befores bigint[])
language plpgsql security definer
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
declare
    few constant int := 32;
begin
    if not in_tenant = any (coalesce(nullif(current_setting('platform.tenants', true), ''), '{}')::uuid[]) then
        raise insufficient_privilege using message = 'begin_usage_copy was called for a tenant that is not the caller''s';
    end if;

    perform set_config('platform.tenant', in_tenant::text, true);
    befores := array(select nextval('{schema}.usage_events_position_seq') - 1 from generate_series(1, cardinality(in_key), 1024));

    -- As take_usage: keys are looked for one by one only where much is near them.
    select array_agg(near.key), array_agg(near.content) into known_key, known_content
    from (
        select it.key, it.content from unnest(in_range_first, in_range_last) range (first, last)
        join {schema}.usage_identities it on it.tenant_id = in_tenant and it.key between range.first and range.last
        limit few + 1) near;
    if cardinality(known_key) > few then
        select array_agg(it.key), array_agg(it.content) into known_key, known_content
        from unnest(in_key) given (key)
        join {schema}.usage_identities it on it.tenant_id = in_tenant and it.key = given.key;
    end if;
end $$;

revoke execute on function {schema}.begin_usage_copy from public;
grant execute on function {schema}.begin_usage_copy to {app_role};
