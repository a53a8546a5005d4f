-- Pages of tenants whose periods end at one moment, which for most is the first of a month, are read from the index alone.
drop index {schema}.billing_periods_due;
create index billing_periods_due on {schema}.billing_periods (ends_at, tenant_id) where invoice_id is null;

-- The sandboxes, whom recurring work leaves out.
create index tenants_sandbox on {schema}.tenants (tenant_id) where data ->> 'clock' is not null;
