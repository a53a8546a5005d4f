select {schema}.create_document_table('products');
create unique index products_key on {schema}.products ((data ->> 'key'));

-- The book's own prices are the operator's rows, those agreed with a tenant that tenant's.
select {schema}.create_document_table('prices');
create index prices_key on {schema}.prices (tenant_id, (data ->> 'key'));
