-- One row per finalized invoice, folded from its events. check_at is set while a charge's outcome is unknown.
create table {schema}.receivables (
    tenant_id     uuid        not null,
    invoice_id    uuid        not null,
    currency      text        not null,
    status        text        not null,
    amount_due    bigint      not null check (amount_due >= 0),
    due_at        timestamptz not null,
    scheduled_at  timestamptz,
    payment_id    uuid,
    check_at      timestamptz,
    dunning_ended boolean     not null default false,
    next_step_at  timestamptz generated always as (coalesce(check_at, scheduled_at)) stored,
    primary key (tenant_id, invoice_id)
);
create index receivables_due on {schema}.receivables (next_step_at, tenant_id) where next_step_at is not null;
create index receivables_owed on {schema}.receivables (tenant_id) where amount_due > 0;
select {schema}.register_projection_table('receivables');
