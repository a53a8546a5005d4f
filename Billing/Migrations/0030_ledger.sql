-- Double entry, folded from events. position is the event's number in its lane, so one tenant never has it twice.
create table {schema}.ledger_postings (
    tenant_id   uuid        not null,
    position    bigint      not null,
    event_type  text        not null,
    stream_type text        not null,
    stream_id   uuid        not null,
    at          timestamptz not null,
    primary key (tenant_id, position)
);
create index ledger_postings_stream on {schema}.ledger_postings (tenant_id, stream_id, position);

-- Minor units, above zero a debit, below zero a credit; per position and currency they sum to zero. kind is empty where the
-- account is not kept by it.
create table {schema}.ledger_entries (
    tenant_id uuid     not null,
    position  bigint   not null,
    place     int      not null,
    account   text     not null,
    kind      text     not null,
    currency  text     not null,
    amount    bigint   not null check (amount <> 0),
    primary key (tenant_id, position, place)
);

create table {schema}.ledger_balances (
    tenant_id uuid   not null,
    account   text   not null,
    kind      text   not null,
    currency  text   not null,
    debit     bigint not null,
    credit    bigint not null,
    primary key (tenant_id, account, kind, currency)
);

select {schema}.register_projection_table(name) from unnest(array['ledger_postings', 'ledger_entries', 'ledger_balances']) name;
