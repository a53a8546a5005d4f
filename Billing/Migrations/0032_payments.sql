select {schema}.create_document_table('payment_methods');
select {schema}.create_document_table('payments');
-- A gateway names a payment alone and knows no tenants.
create unique index payments_id on {schema}.payments (id);

-- The books of the sandbox gateway, which stands for another company's system: it belongs to no tenant, and nothing else reads it.
create table {schema}.sandbox_charges (
    payment_id uuid   primary key,
    token      text   not null,
    currency   text   not null,
    amount     bigint not null,
    outcome    text   not null,
    code       text
);
grant select, insert on {schema}.sandbox_charges to {system_role};
