-- Sandboxes are to try billing out: their jobs are not taken. A tenant never becomes one or stops being one.
alter table {schema}.tenants add column sandbox boolean not null default false;
