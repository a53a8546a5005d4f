using System.Globalization;
using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using NpgsqlTypes;
using Platform.Billing.Catalog;
using Platform.Billing.Subscriptions;
using Platform.Billing.Tenants;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Usage;

/// <summary>How much one meter measured, hour by hour, day by day or month by month of the tenant's time zone.</summary>
public static class UsageByWindow
{
    private const int WindowsMax = 2000;

    /// <param name="Windows">All windows from the first to the last instant asked for, also those without usage.</param>
    public sealed record MeteredUsage(
        string Meter, string Unit, string TimeZone, string Window, decimal Total, IReadOnlyList<UsageWindow> Windows);

    /// <param name="Start">Included.</param>
    /// <param name="End">Excluded.</param>
    public sealed record UsageWindow(Instant Start, Instant End, decimal Quantity);

    /// <summary>
    /// The starts of all windows that touch [from, to), cut to it, and <paramref name="to"/> itself at the end. Days begin at
    /// the zone's first moment of the day; hours are counted from there, so that a day of 23 or 25 hours has as many.
    /// </summary>
    public static IReadOnlyList<Instant> Boundaries(string window, Instant from, Instant to, DateTimeZone zone)
    {
        var starts = new List<Instant>();
        var date = from.InZone(zone).Date;
        if (window == "month")
            date = date.With(DateAdjusters.StartOfMonth);

        while (BillingPeriods.StartOfDay(date, zone) is var start && start < to && starts.Count <= WindowsMax)
        {
            var next = window == "month" ? date.PlusMonths(1) : date.PlusDays(1);
            if (window == "hour")
            {
                for (var end = Instant.Min(BillingPeriods.StartOfDay(next, zone), to); start < end; start += Duration.FromHours(1))
                    starts.Add(start);
            }
            else
            {
                starts.Add(start);
            }

            date = next;
        }

        // The last start at or before `from` is where the first window is cut; a skipped day is no window.
        return [from, .. starts.Where(start => start > from).Distinct(), to];
    }

    public static void Map(RouteGroupBuilder usage) => usage.MapGet("/", Handle).WithName(nameof(UsageByWindow));

    private static async Task<Results<Ok<MeteredUsage>, ProblemHttpResult>> Handle(
        string? meter, string? window, string? from, string? to, Caller caller, Documents documents, BillingDatabase database,
        CancellationToken cancellation)
    {
        var (start, end) = (QueryInstant.Required(from, "from"), QueryInstant.Required(to, "to"));
        var unit = window ?? "day";
        new FieldErrors()
            .Require(!string.IsNullOrEmpty(meter), "meter", "The key of a meter is needed.")
            .Require(unit is "hour" or "day" or "month", "window", "hour, day or month.")
            .Require(start < end, "to", "to is after from.")
            .Require(end - start <= Duration.FromDays(3660), "to", "At most ten years.")
            .ThrowIfAny();

        if (await MeterView.OfKeys(documents, [meter!], cancellation) is not [var found])
            return Problems.NotFound("meter");
        if (await TenantView.Find(documents, caller.TenantId, cancellation) is not { } tenant)
            return Problems.NotFound("tenant");

        var boundaries = Boundaries(unit, start, end, DateTimeZoneProviders.Tzdb[tenant.TimeZone]);
        if (boundaries.Count > WindowsMax)
            throw new InvalidRequestException("window", $"That is more than {WindowsMax} windows; ask for larger ones or less time.");

        // width_bucket numbers the windows from 1, by their starts.
        var rows = await database.Read(
            caller.TenantId,
            """
            select width_bucket(time, $5), trim_scale(coalesce(case when $6 is null then sum(sign)::numeric else sum(
                sign * case when data ->> $6 ~ '^[0-9]+([.][0-9]+)?$' then (data ->> $6)::numeric end) end, 0))::text
            from billing.usage_entries
            where tenant_id = $1 and type = $2 and time >= $3 and time < $4
            group by 1
            """,
            row => (Window: row.GetInt32(0), Quantity: decimal.Parse(row.GetString(1), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture)),
            cancellation,
            Sql.P(caller.TenantId.Value), Sql.P(found.EventType), Sql.P(start), Sql.P(end),
            new() { Value = boundaries.Select(it => it.ToDateTimeUtc()).ToArray(), NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.TimestampTz },
            Sql.Optional(found.ValueProperty));

        var quantities = rows.ToDictionary(row => row.Window, row => row.Quantity);
        var windows = Enumerable.Range(1, boundaries.Count - 1)
            .Select(i => new UsageWindow(boundaries[i - 1], boundaries[i], quantities.GetValueOrDefault(i)))
            .ToList();
        return TypedResults.Ok(new MeteredUsage(
            found.Key, found.Unit, tenant.TimeZone, unit, windows.Sum(it => it.Quantity), windows));
    }
}
