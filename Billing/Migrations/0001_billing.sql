-- One document per stream, folded by inline projections.
select {schema}.create_document_table('tenants');
select {schema}.create_document_table('api_keys');
select {schema}.create_document_table('meters');
select {schema}.create_document_table('plans');
select {schema}.create_document_table('subscriptions');
select {schema}.create_document_table('invoices');

-- A caller is known by the hash of its key alone, before its tenant is.
create unique index api_keys_hash on {schema}.api_keys ((data ->> 'key_hash'));
-- Keys of the catalog are names that people and plans use; all rows are the operator tenant's.
create unique index meters_key on {schema}.meters ((data ->> 'key'));
create unique index plans_key on {schema}.plans ((data ->> 'key'));

-- The billing periods of each subscription, the running one with no invoice. Folded from subscription events.
create table {schema}.billing_periods (
    tenant_id       uuid        not null,
    subscription_id uuid        not null,
    number          int         not null,
    starts_at       timestamptz not null,
    ends_at         timestamptz not null check (ends_at > starts_at),
    invoice_id      uuid,
    primary key (tenant_id, subscription_id, number),
    unique (tenant_id, subscription_id, starts_at)
);
create index billing_periods_due on {schema}.billing_periods (ends_at) where invoice_id is null;

-- Belongs to no tenant, hence no row-level security: numbers are counted per issuer and year over all tenants. The row's lock
-- is held until the invoice commits, so that a number is never skipped.
create table {schema}.invoice_numbers (
    issuer uuid not null,
    year   int  not null,
    last   int  not null,
    primary key (issuer, year)
);

-- The usage ledger. position grows in commit order per tenant, because writers hold the tenant's lane. Partitioned by month in
-- 0004; what belongs to no month that has a partition stands in the default one, so that no event is ever refused for want of one.
create sequence {schema}.usage_events_position_seq;
create table {schema}.usage_events (
    tenant_id    uuid        not null,
    position     bigint      not null default nextval('{schema}.usage_events_position_seq'),
    time         timestamptz not null,
    received_at  timestamptz not null,
    attempt_id   uuid,
    content_hash bytea       not null,
    source       text        not null,
    id           text        not null,
    type         text        not null,
    subject      text,
    data         jsonb       not null
) partition by range (time);
create index usage_events_position on {schema}.usage_events (tenant_id, position);
create index usage_events_time on {schema}.usage_events using brin (time);
create table {schema}.usage_events_other partition of {schema}.usage_events default;

-- Which worker may report which attempt's use, and for whom.
create table {schema}.usage_attempts (
    tenant_id  uuid        not null,
    attempt_id uuid        not null,
    job_id     uuid        not null,
    worker_id  uuid        not null,
    placed_at  timestamptz not null,
    primary key (tenant_id, attempt_id)
);
create unique index usage_attempts_attempt on {schema}.usage_attempts (attempt_id);

-- The signed batches as they were reported, for whoever verifies the chain.
create table {schema}.usage_batches (
    tenant_id   uuid        not null,
    attempt_id  uuid        not null,
    sequence    bigint      not null,
    hash        text        not null,
    batch       jsonb       not null,
    received_at timestamptz not null,
    primary key (tenant_id, attempt_id, sequence)
);

-- Batches that were not taken into the ledger, with the reason. Those that only came too early are taken when what they
-- waited for arrives, and leave.
create table {schema}.usage_quarantine (
    tenant_id   uuid        not null,
    id          uuid        not null,
    code        text        not null,
    attempt_id  uuid        not null,
    worker_id   uuid        not null,
    sequence    bigint      not null,
    hash        text        not null,
    batch       jsonb       not null,
    received_at timestamptz not null,
    primary key (tenant_id, id),
    unique (tenant_id, attempt_id, sequence, hash)
);
create index usage_quarantine_worker on {schema}.usage_quarantine (worker_id) where code = 'worker_unknown';

-- Belongs to no tenant, hence no row-level security: workers serve all tenants. Every key a worker ever had stays.
create table {schema}.worker_keys (
    worker_id     uuid        not null,
    public_key    text        not null,
    registered_at timestamptz not null,
    primary key (worker_id, public_key)
);

select {schema}.register_projection_table('billing_periods');
select {schema}.secure_tenant_table(name)
from unnest(array['usage_events', 'usage_events_other', 'usage_attempts', 'usage_batches', 'usage_quarantine']) name;

-- The ledger and the batches are append-only for everybody who runs.
grant select, insert on {schema}.usage_events, {schema}.usage_batches, {schema}.usage_attempts to {app_role}, {system_role};
grant select on {schema}.usage_events_other to {app_role}, {system_role};
grant usage on sequence {schema}.usage_events_position_seq to {app_role}, {system_role};
grant select, insert, delete on {schema}.usage_quarantine to {app_role}, {system_role};
grant select, insert, update on {schema}.invoice_numbers to {app_role};
grant select, insert on {schema}.worker_keys to {app_role}, {system_role};
