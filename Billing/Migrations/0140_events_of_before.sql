-- Nothing was released yet when these events got their shapes of today; databases from before are brought to them here, once. Their views are
-- made again afterwards (`rebuild all`).

-- What puts a subscription on a plan carries the fee, which is the plan's.
update {schema}.events started
set data = started.data || jsonb_build_object('recurring_fee', published.data -> 'terms' -> 'recurring_fee')
from {schema}.events published
where started.type in ('subscription.started.v1', 'subscription.plan_change_scheduled.v1', 'subscription.plan_changed.v1')
  and not started.data ? 'recurring_fee'
  and published.type = 'plan.version_published.v1'
  and published.data ->> 'plan_id' = started.data ->> 'plan_id' and published.data ->> 'version' = started.data ->> 'plan_version';

-- Payments paid invoices alone.
update {schema}.events
set data = (data - 'invoice_id') || jsonb_build_object('target', jsonb_build_object('kind', 'invoice', 'invoice_id', data -> 'invoice_id'))
where type in ('payment.requested.v1', 'payment.succeeded.v1') and not data ? 'target';

-- Credit notes took back no tax and were not paid back through a gateway.
update {schema}.events
set data = data
    || jsonb_build_object(
        'lines', (select jsonb_agg(line || jsonb_build_object('tax_amount', nothing) order by place)
                  from jsonb_array_elements(data -> 'lines') with ordinality each (line, place)),
        'tax_total', nothing, 'to_refund', nothing)
from (
    select tenant_id as t, stream_type as s, stream_id as i, version as v, data -> 'total' || jsonb_build_object(
        'amount', regexp_replace(regexp_replace(data -> 'total' ->> 'amount', '^[0-9]+', '0'), '[1-9]', '0', 'g')) as nothing
    from {schema}.events where type = 'invoice.credit_note_issued.v1' and not data ? 'tax_total') note
where (tenant_id, stream_type, stream_id, version) = (t, s, i, v);

-- Coupons named plans alone.
update {schema}.events set data = jsonb_set(data, '{terms,product_ids}', '[]')
where type in ('coupon.created.v1', 'coupon.redeemed.v1') and not data -> 'terms' ? 'product_ids';
