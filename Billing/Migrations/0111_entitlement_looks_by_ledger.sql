-- With a hard limit on usage, a tenant is looked at once its ledger has grown beyond this position; null without one.
alter table {schema}.entitlement_looks add column usage_through bigint;
