-- The log, its outbox and inbox, and what other migrations build tenant tables with.
-- {app_role} is bound by row-level security to the tenants named in the transaction's setting platform.tenants;
-- {system_role} sees every tenant. Neither owns anything.

grant usage on schema {schema} to {app_role}, {system_role};

-- Row-level security for a table with a tenant_id. Grants are the caller's: an append-only table gives fewer.
create function {schema}.secure_tenant_table(name text) returns void language plpgsql as $$
begin
    execute format('alter table {schema}.%I enable row level security', name);
    -- The inner select runs once per statement instead of once per row; a list, so that one commit can hold several tenants.
    execute format(
        'create policy tenant on {schema}.%I for all to {app_role} using '
        '(tenant_id = any ((select nullif(current_setting(''platform.tenants'', true), '''')::uuid[])::uuid[]))', name);
    execute format('create policy system on {schema}.%I for all to {system_role} using (true)', name);
end $$;

-- Heads of the lanes. Belongs to no tenant. Numbers have no gap within a lane, because the row rolls back with its writer,
-- and the head of a lane never runs ahead of its committed events, because both commit together.
create table {schema}.lanes (
    lane smallint primary key,
    number bigint not null default 0,
    outbox_number bigint not null default 0,
    recorded_at timestamptz not null default '-infinity'
) with (fillfactor = 10);
insert into {schema}.lanes (lane) select generate_series(0, {lanes} - 1);
grant select, update on {schema}.lanes to {app_role}, {system_role};

-- A stream is its events: its version is the greatest one here, so no second table can disagree with it.
create table {schema}.events (
    tenant_id uuid not null,
    stream_id uuid not null,
    version bigint not null,
    number bigint not null,
    recorded_at timestamptz not null,
    lane smallint not null,
    write_id uuid not null,
    correlation_id uuid,
    causation_id uuid,
    stream_type text collate "C" not null,
    type text collate "C" not null,
    actor text,
    data jsonb not null,
    primary key (tenant_id, stream_type, stream_id, version)
);
create unique index events_in_lane_order on {schema}.events (lane, number);
select {schema}.secure_tenant_table('events');
grant select, insert on {schema}.events to {app_role}, {system_role};

create table {schema}.outbox (
    tenant_id uuid not null,
    message_id uuid not null,
    number bigint not null,
    recorded_at timestamptz not null,
    lane smallint not null,
    correlation_id uuid,
    causation_id uuid,
    queue text,
    type text not null,
    body jsonb not null,
    primary key (tenant_id, message_id)
);
create unique index outbox_in_lane_order on {schema}.outbox (lane, number);
select {schema}.secure_tenant_table('outbox');
grant select, insert on {schema}.outbox to {app_role};
grant select, insert, delete on {schema}.outbox to {system_role};

create table {schema}.inbox (
    tenant_id uuid not null,
    consumer text collate "C" not null,
    message_id uuid not null,
    received_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, consumer, message_id)
);
select {schema}.secure_tenant_table('inbox');
grant select, insert on {schema}.inbox to {app_role}, {system_role};

create table {schema}.idempotency_keys (
    tenant_id uuid not null,
    key text collate "C" not null,
    request_id uuid not null,
    claim_id uuid not null,
    leased_until timestamptz not null,
    created_at timestamptz not null default clock_timestamp(),
    fingerprint bytea not null,
    status_code integer,
    content_type text,
    location text,
    body bytea,
    primary key (tenant_id, key)
);
create index idempotency_keys_by_age on {schema}.idempotency_keys (created_at);
select {schema}.secure_tenant_table('idempotency_keys');
grant select, insert, update on {schema}.idempotency_keys to {app_role};
grant select, delete on {schema}.idempotency_keys to {system_role};

-- Checkpoints of background readers, and what they claim a lane by. Belongs to no tenant.
create table {schema}.readers (
    name text collate "C" not null,
    lane smallint not null,
    number bigint not null default 0,
    primary key (name, lane)
) with (fillfactor = 50);
grant select, insert, update on {schema}.readers to {system_role};

-- Appends a batch of writes to one or more lanes, in the order of the arrays, in the caller's transaction.
-- in_lanes: ascending and distinct, so that two batches cannot wait for each other in a ring; in_events, in_messages: how many
-- rows each of them gets; in_patient: wait for a lane as long as it takes, else 50 ms; a_*: streams with the version they must
-- be at; e_*: events, e_place counting them within their lane, e_at and m_at the place of the lane in in_lanes, from 1; m_*:
-- messages; *_write: the write (1, 2, ..) each belongs to. A write with a stream of a_* at another version is left out whole and
-- named in "failed", with the place of that stream in the a_* arrays in "stale"; the others are appended. A new stream need not be
-- in a_*: where it exists already, the key of the events refuses the whole batch. heads and times stand at the place of the lane.
-- Each statement of a volatile function has a snapshot of its own, so those after the locks see what the lanes' last holders
-- committed. One generic plan: planning anew for each length of the arrays costs more than the insert. Assignments of single
-- expressions run without a plan at all.
create function {schema}.append(
    in_tenants text, in_lock_space int, in_patient boolean, in_lanes smallint[], in_events bigint[], in_messages bigint[],
    a_write int[], a_tenant uuid[], a_type text[], a_stream uuid[], a_expected bigint[],
    e_write int[], e_at int[], e_place bigint[], e_tenant uuid[], e_stream_type text[], e_stream uuid[],
    e_version bigint[], e_type text[], e_data jsonb[], e_write_id uuid[], e_correlation uuid[], e_causation uuid[], e_actor text[],
    m_write int[], m_at int[], m_tenant uuid[], m_id uuid[], m_queue text[], m_type text[], m_body jsonb[],
    m_correlation uuid[], m_causation uuid[],
    out heads bigint[], out times timestamptz[], out failed int[], out stale int[])
language plpgsql set plan_cache_mode = force_generic_plan as $$
declare
    in_lane smallint;
    head bigint;
    outbox_head bigint;
    outbox_heads bigint[];
    at timestamptz;
    done text := set_config('platform.tenants', in_tenants, true);
begin
    if not in_patient then
        -- Somebody's long transaction in one lane must not keep the others waiting.
        done := set_config('lock_timeout', '50ms', true);
    end if;
    foreach in_lane in array in_lanes loop
        done := pg_advisory_xact_lock(in_lock_space, in_lane);
    end loop;

    if cardinality(a_write) > 0 then
        select array_agg(a.write), array_agg(a.place) into failed, stale
        from unnest(a_write, a_tenant, a_type, a_stream, a_expected) with ordinality
            a (write, tenant, type, stream, expected, place)
        where a.expected <> coalesce((
            select max(e.version) from {schema}.events e
            where e.tenant_id = a.tenant and e.stream_type = a.type and e.stream_id = a.stream), 0);
        if failed is not null then
            select array_agg((select count(*) from unnest(e_write, e_at) e (write, at) where e.at = l.at and e.write <> all (failed))),
                   array_agg((select count(*) from unnest(m_write, m_at) m (write, at) where m.at = l.at and m.write <> all (failed)))
            into in_events, in_messages
            from generate_series(1, cardinality(in_lanes)) l (at);
        end if;
    end if;

    if cardinality(in_lanes) = 1 then
        update {schema}.lanes l
        set number = l.number + in_events[1],
            outbox_number = l.outbox_number + in_messages[1],
            recorded_at = greatest(l.recorded_at, clock_timestamp())
        where l.lane = in_lanes[1]
        returning l.number - in_events[1], l.outbox_number - in_messages[1], l.recorded_at into strict head, outbox_head, at;
        heads := array[head];
        outbox_heads := array[outbox_head];
        times := array[at];
    else
        -- The same at once for all: a statement for each lane costs more than its row.
        with moved as (
            update {schema}.lanes l
            set number = l.number + taken.events,
                outbox_number = l.outbox_number + taken.messages,
                recorded_at = greatest(l.recorded_at, clock_timestamp())
            from unnest(in_lanes, in_events, in_messages) taken (lane, events, messages)
            where l.lane = taken.lane
            returning l.lane, l.number - taken.events as head, l.outbox_number - taken.messages as outbox_head, l.recorded_at)
        select array_agg(moved.head order by lane), array_agg(moved.outbox_head order by lane), array_agg(recorded_at order by lane)
        into strict heads, outbox_heads, times from moved
        having count(*) = cardinality(in_lanes);
    end if;

    if failed is null then
        insert into {schema}.events (tenant_id, stream_id, version, number, recorded_at, lane, write_id, correlation_id,
            causation_id, stream_type, type, actor, data)
        select e.tenant, e.stream, e.version, heads[e.at] + e.place, times[e.at], in_lanes[e.at], e.write_id, e.correlation,
            e.causation, e.stream_type, e.type, e.actor, e.data
        from unnest(e_at, e_place, e_tenant, e_stream_type, e_stream, e_version, e_type, e_data, e_write_id, e_correlation,
                e_causation, e_actor)
            e (at, place, tenant, stream_type, stream, version, type, data, write_id, correlation, causation, actor);
    else
        insert into {schema}.events (tenant_id, stream_id, version, number, recorded_at, lane, write_id, correlation_id,
            causation_id, stream_type, type, actor, data)
        select e.tenant, e.stream, e.version, heads[e.at] + row_number() over (partition by e.at order by e.place),
            times[e.at], in_lanes[e.at], e.write_id, e.correlation, e.causation, e.stream_type, e.type, e.actor, e.data
        from unnest(e_write, e_at, e_place, e_tenant, e_stream_type, e_stream, e_version, e_type, e_data, e_write_id,
                e_correlation, e_causation, e_actor)
            e (write, at, place, tenant, stream_type, stream, version, type, data, write_id, correlation, causation, actor)
        where e.write <> all (failed);
    end if;

    if cardinality(m_write) > 0 then
        -- A message whose write is tried again after a lost connection may stand here already.
        insert into {schema}.outbox (tenant_id, message_id, number, recorded_at, lane, correlation_id, causation_id, queue,
            type, body)
        select m.tenant, m.id, outbox_heads[m.at] + row_number() over (partition by m.at order by m.place),
            times[m.at], in_lanes[m.at], m.correlation, m.causation, m.queue, m.type, m.body
        from unnest(m_write, m_at, m_tenant, m_id, m_queue, m_type, m_body, m_correlation, m_causation) with ordinality
            m (write, at, tenant, id, queue, type, body, correlation, causation, place)
        where failed is null or m.write <> all (failed)
        on conflict (tenant_id, message_id) do nothing;
    end if;
end $$;

-- Tables that a rebuild may replace. Belongs to no tenant.
create table {schema}.projection_tables (name text primary key);

-- For a projection's own table with a tenant_id: row-level security, grants, and leave to rebuild it.
create function {schema}.register_projection_table(name text) returns void language plpgsql as $$
begin
    perform {schema}.secure_tenant_table(name);
    execute format('grant select, insert, update, delete on {schema}.%I to {app_role}, {system_role}', name);
    insert into {schema}.projection_tables values (name);
end $$;

-- The table of a document projection; version is the lane number of the last event folded into the document.
create function {schema}.create_document_table(name text) returns void language plpgsql as $$
begin
    execute format(
        'create table {schema}.%I (tenant_id uuid not null, id uuid not null, version bigint not null, data jsonb not null, '
        'primary key (tenant_id, id))', name);
    perform {schema}.register_projection_table(name);
end $$;

-- A rebuild creates and renames tables, which takes their owner. These two run as the owner, for registered tables alone.
create function {schema}.begin_rebuild(name text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    if not exists (select from {schema}.projection_tables t where t.name = begin_rebuild.name) then
        raise exception '% is no projection table', name;
    end if;
    execute format('drop table if exists {schema}.%I', name || '__rebuild');
    execute format('create table {schema}.%I (like {schema}.%I including all)', name || '__rebuild', name);
    perform {schema}.secure_tenant_table(name || '__rebuild');
    execute format('grant select, insert, update, delete on {schema}.%I to {app_role}, {system_role}', name || '__rebuild');
end $$;

create function {schema}.swap_rebuild(name text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    old_name text;
begin
    if not exists (select from {schema}.projection_tables t where t.name = swap_rebuild.name) then
        raise exception '% is no projection table', name;
    end if;
    execute format('drop table {schema}.%I', name);
    execute format('alter table {schema}.%I rename to %I', name || '__rebuild', name);
    for old_name in
        select indexname from pg_indexes where schemaname = '{schema}' and tablename = name
    loop
        execute format('alter index {schema}.%I rename to %I', old_name, replace(old_name, '__rebuild', ''));
    end loop;
end $$;

revoke execute on all functions in schema {schema} from public;
grant execute on function {schema}.append to {app_role}, {system_role};
grant execute on function {schema}.begin_rebuild, {schema}.swap_rebuild to {system_role};
