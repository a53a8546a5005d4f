-- The payment of the top-up that the credit was bought by.
alter table {schema}.credit_grants add column source_payment_id uuid;

-- One row per tenant, folded from its top-ups: the rule in minor units (null without one; next_at is null while it is switched off, and
-- code says why), and the charge whose outcome is unknown.
create table {schema}.top_ups (
    tenant_id   uuid primary key,
    currency    text,
    threshold   bigint,
    amount      bigint,
    monthly_max bigint,
    next_at     timestamptz,
    code        text,
    payment_id  uuid,
    check_at    timestamptz
);
select {schema}.register_projection_table('top_ups');
