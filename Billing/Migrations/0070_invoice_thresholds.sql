-- When a tenant's running periods are to be looked at again for the thresholds of its plans; no row: now.
create table {schema}.threshold_looks (
    tenant_id uuid        primary key,
    next_at   timestamptz not null
);
select {schema}.secure_tenant_table('threshold_looks');
grant select, insert, update on {schema}.threshold_looks to {app_role};
grant select on {schema}.threshold_looks to {system_role};

-- Only the few plans with a threshold are followed to their subscriptions.
create index subscriptions_plan on {schema}.subscriptions ((data ->> 'plan_id'));
create index plans_threshold on {schema}.plans (id) where jsonb_path_exists(data, '$.versions[*].invoice_threshold');
