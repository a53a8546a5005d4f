using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Billing.Catalog;
using Platform.Billing.Subscriptions;
using Platform.Billing.Tenants;
using Platform.Billing.Usage;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Revenue;

/// <summary>
/// What a live tenant earned the operator in a time, less what its use cost: revenue of the invoices whose billing period begins in the
/// time, with all that was taken back of them since, and the cost of what was used in it.
/// </summary>
/// <param name="Cost">The sum of <paramref name="Costs"/>, rounded once.</param>
/// <param name="MarginRate">Margin by revenue, rounded to four decimals; null without revenue.</param>
/// <param name="Costs">By meter and rate.</param>
public sealed record TenantMargin(
    TenantId TenantId, string Name, Currency Currency, Money Revenue, Money Cost, Money Margin, decimal? MarginRate,
    IReadOnlyList<TenantMargin.MeterCost> Costs)
{
    // As many as a price has.
    private const int AmountDecimals = 12;

    /// <param name="Start">Where the rate begins to hold within the time; included.</param>
    /// <param name="End">Where it ceases to; excluded.</param>
    /// <param name="Quantity">What was used.</param>
    /// <param name="Amount">Quantity times unit cost in major units, to 12 decimals.</param>
    public sealed record MeterCost(
        string Meter, CostRateId CostRateId, Instant Start, Instant End, decimal Quantity, decimal UnitCost, decimal Amount);

    public static TenantMargin Of(TenantView tenant, Money revenue, IReadOnlyList<MeterCost> costs)
    {
        var cost = Money.Round(costs.Sum(it => it.Amount), tenant.Currency);
        var margin = revenue - cost;
        decimal? rate = revenue.MinorUnits == 0 ? null : decimal.Round(margin.Amount / revenue.Amount, 4, MidpointRounding.AwayFromZero);
        return new(tenant.TenantId, tenant.Name, tenant.Currency, revenue, cost, margin, rate, costs);
    }

    public static void Map(RouteGroupBuilder revenue) => revenue.MapGet("/margins", List).WithName("ListMargins").ForOperators();

    private static async Task<Ok<Page<TenantMargin>>> List(
        [AsParameters] PageQuery page, string? from, string? to, BillingDatabase database, Documents documents,
        CancellationToken cancellation)
    {
        var time = new BillingPeriod(QueryInstant.Required(from, "from"), QueryInstant.Required(to, "to"));
        new FieldErrors()
            .Require(Hours.IsWhole(time.Start), "from", Hours.Rule)
            .Require(Hours.IsWhole(time.End), "to", Hours.Rule)
            .Require(time.Start < time.End, "to", "to is after from.")
            .ThrowIfAny();

        var tenants = await documents.ListAllTenants(
            TenantView.Table, Stored.Json<TenantView>(), page.Size + 1, page.After, newestFirst: false, cancellation,
            $"data ->> 'clock' is null and tenant_id <> '{TenantId.Operator}'");
        Guid[] ids = [.. tenants.Select(row => row.TenantId)];
        var revenue = await RevenueOf(ids, time, database, cancellation);
        var rates = CostRateView.Cut(await CostRateView.All(documents, cancellation), time);
        var costs = await CostsOf(ids, rates, database, documents, cancellation);
        return TypedResults.Ok(page.Of(
            [
                .. tenants.Select(row => row.View).Select(tenant => Of(
                    tenant, new(revenue.GetValueOrDefault(tenant.TenantId), tenant.Currency),
                    [.. costs[tenant.TenantId].Where(it => it.Rate.Currency == tenant.Currency).Select(it => it.Cost)])),
            ],
            margin => margin.TenantId.Value));
    }

    // All that was posted about an invoice belongs to its period, whenever it was.
    private static async Task<Dictionary<TenantId, long>> RevenueOf(
        Guid[] tenants, BillingPeriod time, BillingDatabase database, CancellationToken cancellation)
    {
        var rows = await database.ReadAllTenants(
            """
            select invoice.tenant_id, (-sum(entry.amount))::bigint
            from billing.invoices invoice
            join billing.ledger_postings posting on posting.tenant_id = invoice.tenant_id and posting.stream_id = invoice.id
            join billing.ledger_entries entry on entry.tenant_id = posting.tenant_id and entry.position = posting.position
            where invoice.tenant_id = any($1) and entry.account = 'revenue'
              and (invoice.data -> 'billing_period' ->> 'start')::timestamptz >= $2
              and (invoice.data -> 'billing_period' ->> 'start')::timestamptz < $3
            group by 1
            """,
            row => (Tenant: new TenantId(row.GetGuid(0)), Revenue: row.GetInt64(1)),
            cancellation,
            Sql.P(tenants), Sql.P(time.Start), Sql.P(time.End));
        return rows.ToDictionary(row => row.Tenant, row => row.Revenue);
    }

    private static async Task<ILookup<TenantId, (CostRateView Rate, MeterCost Cost)>> CostsOf(
        Guid[] tenants, IReadOnlyList<CostRateView.Part> parts, BillingDatabase database, Documents documents,
        CancellationToken cancellation)
    {
        var known = await MeterView.OfKeys(documents, parts.Select(part => part.Rate.Meter), cancellation);
        var meters = known.ToDictionary(meter => meter.Key);
        var rows = await database.ReadAllTenants(
            """
            select rollup.tenant_id, part.place, sum(rollup.quantity), sum(rollup.events)::numeric
            from unnest($2, $3, $4, $5) with ordinality part (meter_id, version, starts, ends, place)
            join billing.usage_rollups rollup
              on rollup.tenant_id = any($1) and rollup.meter_id = part.meter_id and rollup.version = part.version
             and rollup.hour >= part.starts and rollup.hour < part.ends
            group by 1, 2 order by 1, 2
            """,
            row =>
            {
                var part = parts[(int)row.GetInt64(1) - 1];
                var counts = meters[part.Rate.Meter].DefinitionOf(part.Rate.MeterVersion)!.Aggregation is Aggregation.Count;
                return (Tenant: new TenantId(row.GetGuid(0)), part.Rate, Cost: CostOf(part, row.GetDecimal(counts ? 3 : 2)));
            },
            cancellation,
            Sql.P(tenants), Sql.P([.. parts.Select(it => it.Rate.MeterId.Value)]), Sql.P([.. parts.Select(it => it.Rate.MeterVersion)]),
            Sql.P([.. parts.Select(it => it.Time.Start)]), Sql.P([.. parts.Select(it => it.Time.End)]));
        return rows.ToLookup(row => row.Tenant, row => (row.Rate, row.Cost));
    }

    private static MeterCost CostOf(CostRateView.Part part, decimal quantity) => new(
        part.Rate.Meter, part.Rate.CostRateId, part.Time.Start, part.Time.End, Decimals.Canonical(quantity), part.Rate.UnitCost,
        Decimals.Canonical(decimal.Round(quantity * part.Rate.UnitCost, AmountDecimals, MidpointRounding.AwayFromZero)));
}
