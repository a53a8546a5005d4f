-- What the Merkle tree on an invoice is over, and the roots of its chunks of leaves in the order of the ledger, each with the
-- position of its first event: a proof reads one chunk of the ledger again, never all of it.
create table {schema}.usage_trees (
    tenant_id       uuid        not null,
    invoice_id      uuid        not null,
    types           text[]      not null,
    since           timestamptz not null,
    period_start    timestamptz not null,
    period_end      timestamptz not null,
    usage_after     bigint      not null,
    usage_through   bigint      not null,
    chunk_positions bigint[]    not null,
    chunk_roots     bytea[]     not null,
    primary key (tenant_id, invoice_id),
    check (cardinality(chunk_positions) = cardinality(chunk_roots))
);

select {schema}.secure_tenant_table('usage_trees');

-- An invoice never changes, so neither does its tree.
grant select, insert on {schema}.usage_trees to {app_role}, {system_role};
