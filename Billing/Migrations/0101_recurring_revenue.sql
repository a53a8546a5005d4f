-- One document per tenant, under the tenant's own id: what recurs of it, and how that moved.
select {schema}.create_document_table('recurring_revenue');

select {schema}.create_document_table('cost_rates');
