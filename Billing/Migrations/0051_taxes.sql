select {schema}.create_document_table('tax_rates');
select {schema}.create_document_table('tax_profiles');

-- One rate of a jurisdiction and category begins on a day; one that was archived makes room. All rows are the operator tenant's.
create unique index tax_rates_day on {schema}.tax_rates
    ((data ->> 'jurisdiction'), (data ->> 'category'), (data ->> 'valid_from')) where data ->> 'archived_at' is null;
