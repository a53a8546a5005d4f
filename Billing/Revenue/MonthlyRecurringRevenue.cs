using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Billing.Tenants;
using Platform.Billing.Usage;
using Platform.Contracts;
using Platform.ServiceDefaults;

namespace Platform.Billing.Revenue;

/// <summary>What recurs of live tenants at a moment, as it is known now.</summary>
public static class MonthlyRecurringRevenue
{
    /// <param name="AsOf">Excluded where it is the end of a month: what changes then belongs to the next one.</param>
    /// <param name="Items">One per currency in which anything recurs.</param>
    public sealed record Mrr(Instant AsOf, IReadOnlyList<CurrencyMrr> Items);

    /// <param name="Amount">Monthly recurring revenue: a twelfth of the run rate, rounded once.</param>
    /// <param name="AnnualRunRate">What recurs in a year; exact.</param>
    /// <param name="Tenants">Of how many tenants something recurs.</param>
    public sealed record CurrencyMrr(Currency Currency, Money Amount, Money AnnualRunRate, long Tenants);

    /// <summary>A twelfth of what recurs in a year, exact, in major units.</summary>
    public static decimal Exact(long annual, Currency currency) => new Money(annual, currency).Amount / 12;

    public static Money Rounded(long annual, Currency currency) => Money.Round(Exact(annual, currency), currency);

    public static void Map(RouteGroupBuilder revenue) =>
        revenue.MapGet("/mrr", Get).WithName("GetMonthlyRecurringRevenue").ForOperators();

    // The month's end or, of a month that has not ended, now; now too where neither is named.
    private static async Task<Ok<Mrr>> Get(
        string? as_of, string? month, Currency? currency, BillingDatabase database, TimeProvider clock, CancellationToken cancellation)
    {
        new FieldErrors().Require(as_of is null || month is null, "month", "Either month or as_of.").ThrowIfAny();
        var now = clock.Now();
        var end = QueryMonth.Optional(month, "month") is { } named ? QueryMonth.EndOf(named) : (Instant?)null;
        var asOf = QueryInstant.Optional(as_of, "as_of") ?? (end <= now ? end.Value : now);
        var before = asOf == end ? asOf : asOf + Duration.FromTicks(10);

        var items = await database.ReadAllTenants(
            $"""
            select currency, sum(annual)::bigint, count(*)
            from (
                select data ->> 'currency' as currency, sum((movement ->> 'annual')::bigint) as annual
                from billing.recurring_revenue, jsonb_array_elements(data -> 'movements') each (movement)
                where (movement ->> 'at')::timestamptz < $1 and ($2::text is null or data ->> 'currency' = $2) and {TenantView.IsLive}
                group by tenant_id, data ->> 'currency'
            ) paying
            where annual > 0 group by currency order by currency
            """,
            row =>
            {
                var (of, annual) = (Currency.Parse(row.GetString(0)), row.GetInt64(1));
                return new CurrencyMrr(of, Rounded(annual, of), new(annual, of), row.GetInt64(2));
            },
            cancellation,
            Sql.P(before), Sql.Optional(currency?.Code));
        return TypedResults.Ok(new Mrr(asOf, items));
    }
}
