-- What was sold, on entries of revenue whose lines name it.
alter table {schema}.ledger_entries add column product_id uuid;
-- Revenue of a time, over all tenants.
create index ledger_postings_at on {schema}.ledger_postings (at);
