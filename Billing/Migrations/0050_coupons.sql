select {schema}.create_document_table('coupons');
select {schema}.create_document_table('coupon_redemptions');

-- All rows of the catalog are the operator tenant's.
create unique index coupons_code on {schema}.coupons ((data -> 'terms' ->> 'code'));
-- A tenant redeems a coupon once.
create unique index coupon_redemptions_coupon on {schema}.coupon_redemptions (tenant_id, (data ->> 'coupon_id'));

-- Belongs to no tenant, hence no row-level security: a coupon's redemptions are counted over all tenants. The row's lock is held
-- until the redemption commits, so that no more are redeemed than there are.
create table {schema}.coupon_redemption_counts (
    coupon_id uuid primary key,
    redeemed  int  not null
);
grant select, insert, update on {schema}.coupon_redemption_counts to {app_role};
grant select on {schema}.coupon_redemption_counts to {system_role};
