select {schema}.create_document_table('accounts');
select {schema}.create_document_table('balances');
