-- Billing suspends and reinstates; standing_at dates the newest word of it.
alter table {schema}.tenants add column suspended boolean not null default false, add column standing_at timestamptz;
