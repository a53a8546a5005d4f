select {schema}.create_document_table('wallet_transactions');

-- One row per grant of credit, in minor units of the currency; number is the place of the grant in its wallet. Folded from wallet
-- events. That nothing is spent twice is decided under the tenant's lane; the check is there in case it ever is not.
create table {schema}.credit_grants (
    tenant_id         uuid        not null,
    grant_id          uuid        not null,
    number            bigint      not null,
    kind              text        not null,
    priority          int         not null,
    currency          text        not null,
    amount            bigint      not null,
    remaining         bigint      not null check (remaining between 0 and amount),
    expires_at        timestamptz,
    reason            text        not null,
    source_invoice_id uuid,
    granted_at        timestamptz not null,
    primary key (tenant_id, grant_id)
);
create index credit_grants_expiry on {schema}.credit_grants (expires_at) where remaining > 0;

select {schema}.register_projection_table('credit_grants');
