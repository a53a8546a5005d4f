select {schema}.create_document_table('accounts');
select {schema}.create_document_table('balances');

-- What a log without lanes would be: numbered by a sequence, followed by number. Belongs to no tenant.
create table {schema}.naive_log (number bigserial primary key, event_id uuid not null);
grant select, insert on {schema}.naive_log to {app_role};
grant usage on {schema}.naive_log_number_seq to {app_role};
