-- Trees in the order of the ledger have no parts by the hour (0121), and nobody can make them. Their invoices keep the root that they
-- bear; single events of theirs are not proved any more.
do $$
begin
    if exists (
        select from information_schema.columns
        where table_schema = '{schema}' and table_name = 'usage_trees' and column_name = 'chunk_positions')
    then
        truncate {schema}.usage_trees;
    end if;
end
$$;
