select {schema}.create_document_table('add_ons');
create unique index add_ons_key on {schema}.add_ons ((data ->> 'key'));

select {schema}.create_document_table('subscribed_add_ons');
create index subscribed_add_ons_subscription on {schema}.subscribed_add_ons (tenant_id, (data ->> 'subscription_id'));
