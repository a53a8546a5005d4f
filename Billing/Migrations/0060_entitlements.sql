-- One document per tenant: what its running subscriptions grant.
select {schema}.create_document_table('entitlements');
