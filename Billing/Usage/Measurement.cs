using System.Diagnostics;
using System.Globalization;
using NodaTime;
using Npgsql;
using NpgsqlTypes;
using Platform.Billing.Catalog;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Usage;

/// <summary>Usage of one value, or of none, of a dimension.</summary>
/// <param name="Values">Any of these; null among them is an event without the member.</param>
public sealed record DimensionFilter(string Dimension, IReadOnlyList<string?> Values);

/// <summary>What is to be measured.</summary>
/// <param name="Bounds">Starts of windows in order, and the last one's end: at least two instants.</param>
/// <param name="Through">The ledger as it was at this position; null is now.</param>
/// <param name="HoldsUntil">No gauge's level is known beyond this instant.</param>
public sealed record MeasuredScope(
    TenantId TenantId, MeterDefinition Meter, IReadOnlyList<Instant> Bounds, long? Through = null, Instant? HoldsUntil = null)
{
    public IReadOnlyList<DimensionFilter> Only { get; init; } = [];

    /// <summary>Dimensions of the meter; every combination of their values is measured by itself, and all together too.</summary>
    public IReadOnlyList<string> GroupBy { get; init; } = [];

    /// <summary>Which version of which meter it is; null measures events alone, without their roll-ups.</summary>
    public MeterVersionId? Version { get; init; }
}

/// <param name="Window">From 1; null for the whole time.</param>
/// <param name="Group">Values of the dimensions asked for, null for events without one; null itself for all groups together.</param>
public sealed record MeasuredCell(int? Window, IReadOnlyList<string?>? Group, decimal Quantity);

/// <summary>
/// The one place that knows how a meter makes quantities of events: for the portal, for invoices and for the events behind a number.
/// It reads the events as they count at a ledger position: voided ones not at all, amended ones with their data of then. All
/// arithmetic is PostgreSQL's exact numeric.
/// </summary>
internal sealed partial class Measurement
{
    /// <summary>More numbers than that are not given at once: rows end after one more.</summary>
    public const int CellsMax = 20_000;

    private readonly MeasuredScope scope;
    private readonly List<NpgsqlParameter> parameters = [];
    private readonly MeterColumns columns;
    private readonly string tenant, type, from, to, through;

    private Measurement(MeasuredScope scope)
    {
        this.scope = scope;
        columns = new(scope.Meter, Add);
        tenant = Add(Sql.P(scope.TenantId.Value));
        type = Add(Sql.P(scope.Meter.EventType));
        to = Add(Sql.P(scope.Bounds[^1]));
        through = Add(Sql.P(scope.Through ?? long.MaxValue));
        // A gauge's level comes from any time before.
        from = Gauge ? "'-infinity'::timestamptz" : Add(Sql.P(scope.Bounds[0]));
    }

    private MeterDefinition Meter => scope.Meter;

    private bool Gauge => Meter.Aggregation is Aggregation.WeightedSum;

    /// <summary>
    /// Quantities per window, per group, of both and of all, on a connection whose transaction is under way. A window or group without
    /// events has none, but there always is the one of all.
    /// </summary>
    public static async Task<IReadOnlyList<MeasuredCell>> Quantities(
        NpgsqlConnection connection, MeasuredScope scope, CancellationToken cancellation)
    {
        var together = new RoundTrip(connection);
        var measurement = new Measurement(scope);
        var isRolledUp = measurement.AskRolledUp(together);
        await together.Send(cancellation);
        var cells = measurement.Ask(together, isRolledUp?.Value == true);
        await together.Send(cancellation);
        return cells.Value;
    }

    /// <summary>The same, asked together with other things.</summary>
    /// <param name="rolledUp">As <see cref="RolledUp"/> answered.</param>
    public static Answer<IReadOnlyList<MeasuredCell>> Quantities(RoundTrip together, MeasuredScope scope, HashSet<string> rolledUp) =>
        new Measurement(scope).Ask(together, rolledUp.Contains(scope.Version.ToString()!));

    /// <summary>One quantity over the whole scope.</summary>
    public static async Task<decimal> Total(NpgsqlConnection connection, MeasuredScope scope, CancellationToken cancellation) =>
        (await Quantities(connection, scope, cancellation)).First(cell => cell is { Window: null, Group: null }).Quantity;

    /// <summary>
    /// The events that such quantities are made of, oldest position first: those of the time, and for a gauge also those that set its
    /// levels at the start. Rows for <see cref="MeasuredEvent"/>.
    /// </summary>
    public static (string Sql, NpgsqlParameter[] Parameters) Events(MeasuredScope scope, long after, int? limit)
    {
        var it = new Measurement(scope);
        var start = it.Gauge ? it.Add(Sql.P(scope.Bounds[0])) : "";
        var standing = it.Gauge ? $", {it.Held()}" : "";
        var sql =
            $"""
            with {it.Counted()}, {it.Measured()}{standing}
            select position, source, id, type, subject, time, received_at, attempt_id, data, trim_scale(value)::text
            from {(it.Gauge ? $"held where (time >= {start} or until > {start}) and" : "measured where")} position > {it.Add(Sql.P(after))}
            order by position
            """;
        if (limit is { } rows)
            sql += $" limit {it.Add(Sql.P(rows))}";
        return (sql, [.. it.parameters]);
    }

    private Answer<IReadOnlyList<MeasuredCell>> Ask(RoundTrip together, bool isRolledUp)
    {
        var sql = isRolledUp && MayBeRolledUp ? OfRollUps() : OfEvents();
        return together.Rows(sql, Cell, [.. parameters]);
    }

    private static MeasuredCell Cell(NpgsqlDataReader row) => new(
        row.IsDBNull(0) ? null : row.GetInt32(0), row.GetBoolean(1) ? null : row.GetFieldValue<string?[]>(2), Exact(row.GetString(3)));

    private string OfEvents() =>
        $"with {Counted()}, {Measured()}, {(Gauge ? Levels() : Pieces())} {Cells(Aggregate(), having: "")}";

    private string Cells(string aggregate, string having)
    {
        string[] groups = [.. scope.GroupBy.Select(dimension => MeterColumns.Column(Meter.Dimensions.ToList().IndexOf(dimension)))];
        var group = string.Join(", ", groups);
        var sets = groups.Length == 0 ? "(piece), ()" : $"(piece, {group}), (piece), ({group}), ()";
        return
            $"""
            select case grouping(piece) when 0 then piece end, {(groups.Length == 0 ? "true" : $"grouping({groups[0]}) = 1")},
                   array[{group}]::text[], trim_scale(coalesce({aggregate}, 0))::text
            from pieces
            group by grouping sets ({sets}) {having}
            limit {CellsMax + 1}
            """;
    }

    private string Counted() =>
        $"""
        corrected as materialized (
            select distinct on (source, event_id) source, event_id, after from billing.usage_corrections
            where tenant_id = {tenant} and type = {type} and time >= {from} and time < {to} and position <= {through}
            order by source, event_id, position desc),
        counted as (
            select event.position, event.source, event.id, event.type, event.subject, event.time, event.received_at,
                   event.attempt_id, case when corrected.source is null then event.data else corrected.after end as data
            from billing.usage_events event
            left join corrected on corrected.source = event.source and corrected.event_id = event.id
            where event.tenant_id = {tenant} and event.type = {type} and event.time >= {from} and event.time < {to}
              and event.position <= {through} and (corrected.source is null or corrected.after is not null))
        """;

    // Every row of counted that the meter reads, with its value and dimensions.
    private string Measured()
    {
        var value = columns.Value();
        var dimensions = columns.Dimensions().Select((dimension, index) => $", {dimension} as {MeterColumns.Column(index)}");
        string[] conditions =
        [
            .. columns.Conditions(),
            .. scope.Only.Select(filter => Condition(filter, $"data ->> {Add(Sql.P(filter.Dimension))}")),
            .. Gauge ? [$"{value} is not null"] : Array.Empty<string>(),
        ];
        var where = conditions.Length == 0 ? "" : $" where {string.Join(" and ", conditions)}";
        return $"measured as (select counted.*, {value} as value{string.Concat(dimensions)} from counted{where})";
    }

    // width_bucket numbers the windows from 1, by their starts. offset 0 keeps the planner from computing a value at each mention.
    private string Pieces() =>
        $"pieces as (select measured.*, width_bucket(time, {Add(Instants(scope.Bounds.SkipLast(1)))}) as piece from measured offset 0)";

    // Each level, cut by the windows that it touches; its value is value times seconds.
    private string Levels()
    {
        var starts = scope.Bounds.SkipLast(1);
        var ends = scope.Bounds.Skip(1).Select(end => scope.HoldsUntil is { } known ? Instant.Min(end, known) : end);
        return $"""
        {Held()},
        windows as (
            select number::int, starts_at, ends_at
            from unnest({Add(Instants(starts))}, {Add(Instants(ends))}) with ordinality as each (starts_at, ends_at, number)
            where starts_at < ends_at),
        pieces as (
            select held.time, held.position, number as piece{string.Concat(Meter.Dimensions.Select((_, index) => $", {MeterColumns.Column(index)}"))},
                   value * extract(epoch from least(until, ends_at) - greatest(time, starts_at)) as value
            from held join windows on time < ends_at and until > starts_at)
        """;
    }

    private string Held()
    {
        var gauges = Meter.Dimensions.Count == 0
            ? ""
            : $"partition by {string.Join(", ", Meter.Dimensions.Select((_, index) => MeterColumns.Column(index)))} ";
        return
            $"""
            held as (
                select measured.*, lead(time, 1, 'infinity'::timestamptz) over ({gauges}order by time, position) as until from measured)
            """;
    }

    private string Aggregate() => Meter.Aggregation switch
    {
        Aggregation.Sum => "sum(value)",
        Aggregation.Count => "count(*)::numeric",
        Aggregation.Max => "max(value)",
        Aggregation.Latest => "(array_agg(value order by time desc, position desc) filter (where value is not null))[1]",
        Aggregation.UniqueCount => $"count(distinct data ->> {Add(Sql.P(Meter.ValueProperty!))})::numeric",
        Aggregation.Average => Quotient("sum(value)", "nullif(count(value), 0)"),
        Aggregation.Percentile =>
            $"""
            (array_agg(value order by value) filter (where value is not null))[
                ceil({Add(Sql.P(Meter.Percentile!.Value))} * 0.01 * count(value))::int]
            """,
        Aggregation.WeightedSum => Quotient("sum(value)", Meter.TimeUnit is TimeUnit.Hour ? "3600" : "1"),
        _ => throw new UnreachableException($"No aggregation {Meter.Aggregation}."),
    };

    // numeric division loses digits in a way of its own; whole numbers divide exactly. Half up, to 12 decimals.
    private static string Quotient(string dividend, string divisor) =>
        $"div({dividend} * 2000000000000 + {divisor}, 2 * {divisor}) * 0.000000000001";

    private string Condition(DimensionFilter filter, string dimension)
    {
        var values = $"coalesce({dimension} = any({Add(Sql.P([.. filter.Values.OfType<string>()]))}), false)";
        return filter.Values.Contains(null) ? $"({values} or {dimension} is null)" : values;
    }

    private string Add(NpgsqlParameter parameter)
    {
        parameters.Add(parameter);
        return $"${parameters.Count}";
    }

    private static NpgsqlParameter Instants(IEnumerable<Instant> values) => new()
    {
        Value = values.Select(it => it.ToDateTimeUtc()).ToArray(),
        NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.TimestampTz,
    };

    private static decimal Exact(string text) =>
        decimal.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var exact) && Decimals.Format(exact) == text
            ? exact
            : throw new OverflowException("A quantity of usage has more than 28 digits.");
}
