-- Each plan of a subscription bills the types that its charges read, in the time in which it ran: one element per type and plan
-- in each of the three arrays.
alter table {schema}.usage_trees alter column since type timestamptz[] using array_fill(since, array[cardinality(types)]);
alter table {schema}.usage_trees add column until timestamptz[];
update {schema}.usage_trees set until = array_fill(period_end, array[cardinality(types)]);
alter table {schema}.usage_trees
    alter column until set not null,
    add check (cardinality(since) = cardinality(types) and cardinality(until) = cardinality(types));
