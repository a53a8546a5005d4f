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

    private static readonly SharedQuery<TenantId, string[]> rolledUp = new(
        """
        select place, meters from unnest($1) with ordinality asked (tenant_id, place) join billing.usage_rollup_marks using (tenant_id)
        """,
        tenants => [Sql.P([.. tenants.Select(it => it.Value)])],
        row => row.GetFieldValue<string[]>(1));

    // Also of a type that was never used. One statement, hence one snapshot, as below.
    private static readonly SharedQuery<MeasuredScope, (string Quantity, string Events)> sums = new(
        """
        select place, trim_scale(coalesce(sums.quantity, 0))::text, coalesce(sums.events, 0)::text
        from unnest($1, $2, $3, $4, $5, $6, $7, $8) with ordinality
            asked (tenant_id, type, meter_version, meter_id, version, since, until, through, place)
        left join billing.usage_heads head on head.tenant_id = asked.tenant_id and head.type = asked.type
        left join billing.usage_rollup_marks mark on mark.tenant_id = asked.tenant_id and mark.type = asked.type
        cross join lateral (
            select sum(quantity) as quantity, sum(events) as events from billing.usage_rollups rolled
            where rolled.tenant_id = asked.tenant_id and rolled.meter_id = asked.meter_id and rolled.version = asked.version
              and hour >= since and hour < until) sums
        where head.position is null
           or head.position <= through and mark.position = head.position and meter_version = any (mark.meters)
        """,
        scopes =>
        [
            Sql.P([.. scopes.Select(it => it.TenantId.Value)]), Sql.P([.. scopes.Select(it => it.Meter.EventType)]),
            Sql.P([.. scopes.Select(it => it.Version.ToString()!)]), Sql.P([.. scopes.Select(it => it.Version!.Value.Meter.Value)]),
            Sql.P([.. scopes.Select(it => it.Version!.Value.Version)]), Sql.P([.. scopes.Select(it => it.Bounds[0])]),
            Sql.P([.. scopes.Select(it => it.Bounds[^1])]), Sql.P([.. scopes.Select(it => it.Through!.Value)]),
        ],
        row => (row.GetString(1), row.GetString(2)));

    /// <summary>The versions of meters, as text, that the tenant's usage is rolled up for.</summary>
    public static Answer<HashSet<string>> RolledUp(RoundTrip together, TenantId tenant) =>
        together.Ask(rolledUp, tenant, rows => rows.SelectMany(versions => versions).ToHashSet(StringComparer.Ordinal));

    /// <summary>
    /// The quantity of all of the scope where roll-ups alone have it: they know all of the ledger, and nothing that is not asked for. Most
    /// often they do, and then many quantities cost little more than one.
    /// </summary>
    /// <param name="scope">Of a meter that adds up, over one window of whole hours, at a position.</param>
    /// <returns>Null where it takes <see cref="Quantities(RoundTrip, MeasuredScope, HashSet{string})"/>.</returns>
    public static Answer<decimal?> Sum(RoundTrip together, MeasuredScope scope) => together.Ask(
        sums, scope,
        rows => rows is [var sum] ? Exact(scope.Meter.Aggregation is Aggregation.Count ? sum.Events : sum.Quantity) : default(decimal?));

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
