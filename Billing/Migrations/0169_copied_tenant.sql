-- Whose the rows of a COPY are, worked out when it begins and not again for each row, as what may change would be: that is what immutable says
-- here. A statement that is kept would keep the tenant with it, so nothing but a COPY, which never is, writes to the tables above the ledger.
create function {schema}.copied_tenant() returns uuid
language sql immutable parallel safe
as $$ select nullif(current_setting('platform.tenant', true), '')::uuid $$;
revoke execute on function {schema}.copied_tenant from public;
grant execute on function {schema}.copied_tenant to {app_role};

alter table {schema}.usage_log alter tenant_id set default {schema}.copied_tenant();
alter table {schema}.usage_identity_log alter tenant_id set default {schema}.copied_tenant();

create function {schema}.refuse_insert() returns void
language plpgsql as $$
begin
    raise feature_not_supported using message = 'usage is copied into the ledger and not inserted';
end $$;
revoke execute on function {schema}.refuse_insert from public;
grant execute on function {schema}.refuse_insert to {app_role};

create rule copied_only as on insert to {schema}.usage_log do instead select {schema}.refuse_insert();
create rule copied_only as on insert to {schema}.usage_identity_log do instead select {schema}.refuse_insert();
