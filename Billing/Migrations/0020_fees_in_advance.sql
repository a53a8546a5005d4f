-- A fee in advance is billed at the moment in which the subscription begins: a period without length, and the first with length begins
-- there too.
alter table {schema}.billing_periods
    drop constraint billing_periods_check,
    drop constraint billing_periods_tenant_id_subscription_id_starts_at_key,
    add check (ends_at >= starts_at),
    add unique (tenant_id, subscription_id, starts_at, ends_at);
