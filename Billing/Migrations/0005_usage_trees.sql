-- What the Merkle tree on an invoice is over, and the roots of its chunks of leaves in the order of the ledger, each with the
-- position of its first event: a proof reads one chunk of the ledger again, never all of it.
-- Each plan of each subscription on the invoice bills the types that its charges read, in the time in which it ran: one element per
-- type and plan in each of the first six arrays.
create table {schema}.usage_trees (
    tenant_id       uuid          not null,
    invoice_id      uuid          not null,
    types           text[]        not null,
    since           timestamptz[] not null,
    until           timestamptz[] not null,
    period_starts   timestamptz[] not null,
    period_ends     timestamptz[] not null,
    usage_after     bigint[]      not null,
    usage_through   bigint        not null,
    chunk_positions bigint[]      not null,
    chunk_roots     bytea[]       not null,
    primary key (tenant_id, invoice_id),
    check (cardinality(since) = cardinality(types) and cardinality(until) = cardinality(types)
        and cardinality(period_starts) = cardinality(types) and cardinality(period_ends) = cardinality(types)
        and cardinality(usage_after) = cardinality(types)),
    check (cardinality(chunk_positions) = cardinality(chunk_roots))
);

select {schema}.secure_tenant_table('usage_trees');

-- An invoice never changes, so neither does its tree.
grant select, insert on {schema}.usage_trees to {app_role}, {system_role};
