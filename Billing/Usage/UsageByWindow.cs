using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Billing.Catalog;
using Platform.Billing.Subscriptions;
using Platform.Billing.Tenants;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Usage;

/// <summary>How much one meter measured, hour by hour, day by day or month by month of the tenant's time zone, and by dimensions.</summary>
public static class UsageByWindow
{
    private const int WindowsMax = 2000;

    /// <param name="Version">The meter's version that measured.</param>
    /// <param name="Total">Measured over the whole time: the sum of the windows where the meter sums or counts.</param>
    /// <param name="Windows">All windows from the first to the last instant asked for, also those without usage.</param>
    /// <param name="Groups">One per combination of the dimensions asked for; empty where none was.</param>
    public sealed record MeteredUsage(
        string Meter, int Version, Aggregation Aggregation, string Unit, string TimeZone, string Window, decimal Total,
        IReadOnlyList<UsageWindow> Windows, IReadOnlyList<UsageGroup> Groups);

    /// <param name="Dimensions">Null stands for the events without the member.</param>
    /// <param name="Windows">Those with events.</param>
    public sealed record UsageGroup(
        IReadOnlyDictionary<string, string?> Dimensions, decimal Total, IReadOnlyList<UsageWindow> Windows);

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
        [AsParameters] UsageQuery query, string? window, string? group_by, Caller caller, Documents documents,
        BillingDatabase database, TenantClock clock, CancellationToken cancellation)
    {
        var unit = window ?? "day";
        if (unit is not ("hour" or "day" or "month"))
            throw new InvalidRequestException("window", "hour, day or month.");
        var (asked, problem) = await query.Read(caller.TenantId, documents, clock, cancellation);
        if (asked is null)
            return problem!;
        if (await TenantView.Find(documents, caller.TenantId, cancellation) is not { } tenant)
            return Problems.NotFound("tenant");

        var boundaries = Boundaries(unit, asked.Scope.Bounds[0], asked.Scope.Bounds[^1], DateTimeZoneProviders.Tzdb[tenant.TimeZone]);
        if (boundaries.Count > WindowsMax)
            throw new InvalidRequestException("window", $"That is more than {WindowsMax} windows; ask for larger ones or less time.");

        var scope = asked.Scope with { Bounds = boundaries, GroupBy = UsageQuery.Dimensions(group_by, asked.Scope.Meter) };
        try
        {
            var cells = await database.Read(
                caller.TenantId, connection => Measurement.Quantities(connection, scope, cancellation), cancellation);
            return cells.Count <= Measurement.CellsMax
                ? TypedResults.Ok(Usage(asked, scope, tenant.TimeZone, unit, cells))
                : throw new InvalidRequestException("group_by", $"That is more than {Measurement.CellsMax} numbers; ask for less.");
        }
        catch (OverflowException)
        {
            return Problems.Problem(
                StatusCodes.Status422UnprocessableEntity, "usage.quantity_too_large", "The quantity has more than 28 digits.",
                new Dictionary<string, string[]> { ["meter"] = ["Ask for less time."] });
        }
    }

    private static MeteredUsage Usage(
        UsageQuery.Asked asked, MeasuredScope scope, string timeZone, string window, IReadOnlyList<MeasuredCell> cells)
    {
        var together = cells.Where(cell => cell.Group is null).ToList();
        var quantities = together.Where(cell => cell.Window is not null).ToDictionary(cell => cell.Window!.Value, cell => cell.Quantity);
        var groups = cells.Where(cell => cell.Group is not null)
            .GroupBy(cell => string.Join('\n', cell.Group!.Select(value => value is null ? "0" : $"1{value.Length}:{value}")))
            .Select(group => new UsageGroup(
                scope.GroupBy.Zip(group.First().Group!).ToDictionary(it => it.First, it => it.Second),
                group.Single(cell => cell.Window is null).Quantity,
                [.. group.Where(cell => cell.Window is not null).OrderBy(cell => cell.Window).Select(cell => Window(cell.Window!.Value, cell.Quantity))]))
            .OrderBy(group => string.Join('\n', group.Dimensions.Values), StringComparer.Ordinal);

        return new(
            asked.Meter.Key, asked.Version, scope.Meter.Aggregation, scope.Meter.Unit, timeZone, window,
            together.Single(cell => cell.Window is null).Quantity,
            [.. Enumerable.Range(1, scope.Bounds.Count - 1).Select(number => Window(number, quantities.GetValueOrDefault(number)))],
            [.. groups]);

        UsageWindow Window(int number, decimal quantity) => new(scope.Bounds[number - 1], scope.Bounds[number], quantity);
    }
}
