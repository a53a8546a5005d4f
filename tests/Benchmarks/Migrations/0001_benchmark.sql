select {schema}.create_document_table('meters');

-- The rows of the log without the event store: no lane, no row-level security, one index.
create table {schema}.bare (like {schema}.events, primary key (tenant_id, stream_type, stream_id, version));
