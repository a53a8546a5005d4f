select {schema}.create_document_table('refunds');
-- A gateway names a refund alone and knows no tenants.
create unique index refunds_id on {schema}.refunds (id);
create index refunds_pending on {schema}.refunds (tenant_id) where data ->> 'status' = 'pending';

-- The books of the sandbox gateway, like sandbox_charges.
create table {schema}.sandbox_refunds (
    refund_id  uuid   primary key,
    payment_id uuid   not null,
    currency   text   not null,
    amount     bigint not null,
    outcome    text   not null,
    code       text
);
grant select, insert on {schema}.sandbox_refunds to {system_role};
