using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using NodaTime.Text;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.ServiceDefaults;

namespace Platform.Billing.Revenue;

/// <summary>
/// How monthly recurring revenue in one currency moved within a month. What it was at the month's start and all movements sum to what
/// it was at its end.
/// </summary>
/// <param name="Month">Of UTC, for example <c>2026-11</c>.</param>
/// <param name="Contraction">Zero or below, like <paramref name="Churn"/>.</param>
public sealed record MrrMonth(
    string Month, Currency Currency, Money Start, Money New, Money Expansion, Money Contraction, Money Churn, Money Reactivation, Money End)
{
    private const int MonthsMax = 120;

    private static readonly MrrMovementKind[] kinds =
    [
        MrrMovementKind.New, MrrMovementKind.Expansion, MrrMovementKind.Contraction, MrrMovementKind.Churn, MrrMovementKind.Reactivation,
    ];

    /// <param name="Annual">In minor units a year.</param>
    public readonly record struct Moved(YearMonth Month, MrrMovementKind Kind, long Annual);

    /// <summary>
    /// The months of a range. Start and end are rounded, and the movements split what lies between the two, so that they sum to the cent.
    /// Pure.
    /// </summary>
    /// <param name="moved">Everything up to the range's end, from the first movement on.</param>
    /// <param name="to">Included.</param>
    public static IEnumerable<MrrMonth> Of(Currency currency, IReadOnlyCollection<Moved> moved, YearMonth from, YearMonth to)
    {
        var annual = moved.Where(it => it.Month < from).Sum(it => it.Annual);
        for (var month = from; month <= to; month = month.PlusMonths(1))
        {
            long[] by = [.. kinds.Select(kind => moved.Where(it => it.Month == month && it.Kind == kind).Sum(it => it.Annual))];
            var (start, end) = (Rounded(annual), Rounded(annual + by.Sum()));
            var parts = (end - start).SplitBy([.. by.Select(it => MonthlyRecurringRevenue.Exact(it, currency))]);
            yield return new(QueryMonth.Text(month), currency, start, parts[0], parts[1], parts[2], parts[3], parts[4], end);
            annual += by.Sum();
        }

        Money Rounded(long it) => MonthlyRecurringRevenue.Rounded(it, currency);
    }

    public static void Map(RouteGroupBuilder revenue) =>
        revenue.MapGet("/mrr/movements", List).WithName("ListMrrMovements").ForOperators();

    private static async Task<Ok<Page<MrrMonth>>> List(
        string? from, string? to, Currency? currency, BillingDatabase database, CancellationToken cancellation)
    {
        var (first, last) = (QueryMonth.Required(from, "from"), QueryMonth.Required(to, "to"));
        new FieldErrors()
            .Require(first <= last && last < first.PlusMonths(MonthsMax), "to", $"to is from or later; at most {MonthsMax} months.")
            .ThrowIfAny();

        var rows = await database.ReadAllTenants(
            $"""
            select data ->> 'currency', to_char((movement ->> 'at')::timestamptz at time zone 'UTC', 'YYYY-MM'), movement ->> 'kind',
                   sum((movement ->> 'annual')::bigint)::bigint
            from billing.recurring_revenue, jsonb_array_elements(data -> 'movements') each (movement)
            where (movement ->> 'at')::timestamptz < $1 and ($2::text is null or data ->> 'currency' = $2) and {TenantView.IsLive}
            group by 1, 2, 3 order by 1
            """,
            row => (
                Currency: Currency.Parse(row.GetString(0)),
                Moved: new Moved(YearMonthPattern.Iso.Parse(row.GetString(1)).Value, KindNamed(row.GetString(2)), row.GetInt64(3))),
            cancellation,
            Sql.P(QueryMonth.EndOf(last)), Sql.Optional(currency?.Code));
        var months = rows
            .GroupBy(row => row.Currency, row => row.Moved)
            .SelectMany(of => Of(of.Key, [.. of], first, last));
        return TypedResults.Ok(new Page<MrrMonth>([.. months], NextCursor: null));
    }

    private static MrrMovementKind KindNamed(string name) =>
        kinds.Single(kind => JsonNamingPolicy.SnakeCaseLower.ConvertName(kind.ToString()) == name);
}
