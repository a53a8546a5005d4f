select {schema}.create_document_table('credit_notes');

-- Like invoice_numbers, in a series of its own: the row's lock is held until the note commits, so that a number is never skipped.
create table {schema}.credit_note_numbers (
    issuer uuid not null,
    year   int  not null,
    last   int  not null,
    primary key (issuer, year)
);
grant select, insert, update on {schema}.credit_note_numbers to {app_role};
