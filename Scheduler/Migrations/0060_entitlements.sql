-- What a tenant may use, as Billing said it last; null where it said nothing. Messages come in any order, so the version is kept.
alter table {schema}.tenants
    add column entitlements jsonb,
    add column entitlements_version bigint not null default 0;

-- Admission counts a tenant's jobs that have not ended; those that have are most of the table.
create index job_views_not_ended on {schema}.job_views (tenant_id)
    where data->>'status' in ('queued', 'placed', 'running');
