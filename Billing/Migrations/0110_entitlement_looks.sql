-- When a tenant's entitlements are to be worked out again though no subscription changes; a tenant without a row needs no look.
create table {schema}.entitlement_looks (
    tenant_id uuid        primary key,
    next_at   timestamptz not null
);
select {schema}.secure_tenant_table('entitlement_looks');
grant select, insert, update, delete on {schema}.entitlement_looks to {app_role};
grant select on {schema}.entitlement_looks to {system_role};
create index entitlement_looks_due on {schema}.entitlement_looks (next_at, tenant_id);
