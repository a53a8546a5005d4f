using NodaTime;
using Npgsql;
using Platform.Billing.Catalog;
using Platform.Contracts;
using Platform.Contracts.Verification;
using Platform.EventStore;

namespace Platform.Billing.Usage;

/// <summary>
/// Quantities of roll-ups: whole hours are sums that stand there; entries above their watermark are added, those above the position
/// asked for are taken back, and hours that a window or the range cuts in two are measured from their entries.
/// </summary>
internal sealed partial class Measurement
{
    // Looking for so many single hours is cheaper than reading all events of the range.
    private const int CutHoursMax = 64;

    /// <summary>The versions of meters, as text, that the tenant's usage is rolled up for.</summary>
    public static Answer<HashSet<string>> RolledUp(RoundTrip together, TenantId tenant) => together.Ask(
        "select meters from billing.usage_rollup_marks where tenant_id = $1",
        async (row, cancellation) =>
        {
            var versions = new HashSet<string>(StringComparer.Ordinal);
            while (await row.ReadAsync(cancellation))
                versions.UnionWith(row.GetFieldValue<string[]>(0));
            return versions;
        },
        Sql.P(tenant.Value));

    private bool MayBeRolledUp => scope.Version is not null && Meter.RollsUp && CutHours().Count <= CutHoursMax;

    /// <returns>Null where roll-ups do not say.</returns>
    private Answer<bool>? AskRolledUp(RoundTrip together) =>
        MayBeRolledUp && scope.Version is { } version
            ? together.Ask(
                "select from billing.usage_rollup_marks where tenant_id = $1 and type = $2 and $3 = any(meters)",
                (row, cancellation) => row.ReadAsync(cancellation),
                Sql.P(scope.TenantId.Value), Sql.P(Meter.EventType), Sql.P(version.ToString()))
            : null;

    // One statement, hence one snapshot: the watermark, the roll-ups and the entries beside them belong together.
    private string OfRollUps()
    {
        var cut = Add(Instants(CutHours()));
        var starts = Add(Instants(scope.Bounds.SkipLast(1)));
        var version = scope.Version!.Value;
        var dimensions = string.Concat(Meter.Dimensions.Select((_, index) => $", {MeterColumns.Column(index)}"));
        var rolled = string.Concat(Meter.Dimensions.Select((_, index) => $", dimensions[{index + 1}]"));
        var only = string.Concat(scope.Only.Select(filter =>
            $" and {Condition(filter, $"dimensions[{Meter.Dimensions.ToList().IndexOf(filter.Dimension) + 1}]")}"));
        return
            $"""
            with mark as materialized (
                select position from billing.usage_rollup_marks where tenant_id = {tenant} and type = {type}),
            counted as (
                select time, case when position > {through} then -sign else sign end::bigint as sign, data
                from billing.usage_entries
                where tenant_id = {tenant} and type = {type} and time >= {from} and time < {to}
                  and position > least((select position from mark), {through})
                  and position <= greatest((select position from mark), {through})
                  and date_trunc('hour', time, 'UTC') <> all({cut}){EntriesOfCutHours()}),
            {Measured()},
            pieces as (
                select width_bucket(time, {starts}) as piece{dimensions}, sign as events, sign * value as quantity,
                       case when value is null then 0 else sign end as quantities
                from measured
                union all
                select width_bucket(hour, {starts}){rolled}, events, quantity, quantities
                from billing.usage_rollups
                where tenant_id = {tenant} and meter_id = {Add(Sql.P(version.Meter.Value))} and version = {Add(Sql.P(version.Version))}
                  and hour >= {from} and hour < {to} and hour <> all({cut}){only})
            {Cells(OfSums(), having: $"having sum(events) <> 0 or {Everything()}")}
            """;
    }

    // Events that are gone with their month count as they do elsewhere, not at all: nor do their corrections.
    private string EntriesOfCutHours()
    {
        var ranges = CutHours().Select(hour =>
            $"time >= {Add(Sql.P(Instant.Max(hour, scope.Bounds[0])))} and time < {Add(Sql.P(Instant.Min(hour + Duration.FromHours(1), scope.Bounds[^1])))}");
        return CutHours().Count == 0
            ? ""
            : $"""

                union all
                select time, sign, data from billing.usage_entries
                where tenant_id = {tenant} and type = {type} and position <= {through} and ({string.Join(" or ", ranges)})
                  and date_trunc('month', time, 'UTC') <> all (array(select month from billing.usage_gone_months))
                """;
    }

    private IReadOnlyList<Instant> CutHours() =>
        [.. scope.Bounds.Where(bound => !Hours.IsWhole(bound)).Select(UsagePart.HourOf).Distinct()];

    private string OfSums() => Meter.Aggregation switch
    {
        Aggregation.Count => "sum(events)::numeric",
        Aggregation.Average => Quotient("sum(quantity)", "nullif(sum(quantities), 0)"),
        _ => "sum(quantity)",
    };

    // The cell of all windows and groups, which is there without any event too.
    private string Everything()
    {
        var columns = scope.GroupBy.Select(dimension => MeterColumns.Column(Meter.Dimensions.ToList().IndexOf(dimension)));
        return string.Join(" and ", columns.Prepend("piece").Select(column => $"grouping({column}) = 1"));
    }
}
