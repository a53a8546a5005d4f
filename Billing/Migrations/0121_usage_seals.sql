-- The tree over an invoice's usage is made of parts: events of one type and hour, at most 1,024, in the order of the ledger. They are bound
-- while the period runs, so that its close reads parts and not events. peaks are the roots of a part's whole subtrees, 32 bytes each, the
-- largest first: a part that is not full yet grows from there. Corrections are not in them; a part of whose events one was corrected is
-- bound anew from the ledger.
create table {schema}.usage_seals (
    tenant_id      uuid        not null,
    type           text        not null,
    hour           timestamptz not null,
    part           int         not null,
    first_position bigint      not null,
    last_position  bigint      not null,
    size           int         not null,
    peaks          bytea       not null,
    primary key (tenant_id, type, hour, part)
) with (fillfactor = 80);
-- What came late: parts of closed hours that were added to.
create index usage_seals_last on {schema}.usage_seals (tenant_id, type, last_position);

-- How far the ledger is in them, per tenant and type of usage.
create table {schema}.usage_seal_marks (
    tenant_id uuid   not null,
    type      text   not null,
    position  bigint not null,
    primary key (tenant_id, type)
) with (fillfactor = 50);

select {schema}.secure_tenant_table(name) from unnest(array['usage_seals', 'usage_seal_marks']) name;
grant select, insert, update on {schema}.usage_seals, {schema}.usage_seal_marks to {app_role}, {system_role};
grant delete on {schema}.usage_seals to {system_role};

-- The parts of an invoice's tree, in their order; roots are 32 bytes each, one after the other. Trees in the order of the ledger have no
-- parts, and nobody can make them: their invoices keep the root that they bear, but single events of theirs are not proved any more.
truncate {schema}.usage_trees;
alter table {schema}.usage_trees
    drop column chunk_positions, drop column chunk_roots,
    add column part_types text[] not null, add column part_hours timestamptz[] not null, add column part_positions bigint[] not null,
    add column part_sizes int[] not null, add column part_roots bytea not null;
alter table {schema}.usage_trees add check (
    cardinality(part_types) = cardinality(part_hours) and cardinality(part_types) = cardinality(part_positions)
    and cardinality(part_types) = cardinality(part_sizes) and 32 * cardinality(part_types) = octet_length(part_roots));
