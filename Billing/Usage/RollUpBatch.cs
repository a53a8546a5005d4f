using System.Runtime.InteropServices;
using System.Text.Json;
using NodaTime;
using Npgsql;
using NpgsqlTypes;
using Platform.Billing.Catalog;
using Platform.Contracts;
using Platform.Contracts.Verification;
using Platform.EventStore;

namespace Platform.Billing.Usage;

/// <summary>
/// Rolls a large batch up in the transaction that takes it: what is in hand need not be read again. Only where nothing of the tenant's usage
/// of that type is behind, the watermark names the very meters that the batch was checked against, and its sums are few beside its
/// events. What is a little behind <see cref="RollUpUsage"/> does within the transaction; all else it does by itself.
/// </summary>
internal sealed class RollUpBatch
{
    // What so many positions, of all tenants, lie behind is read and added within the transaction: what comes in some seconds, because the
    // roller's look is as old as that when much comes.
    private const long LittleBehind = 300_000;

    // Fewer events to a sum, and the tenant would be held for longer than it is worth.
    private const int EventsOfSum = 2;

    private readonly NpgsqlConnection connection;
    private readonly TenantId tenant;
    private readonly IReadOnlyList<MeterView> meters;
    private readonly Answer<IReadOnlyList<Mark>> marks;

    public sealed record Mark(string Type, long RolledUp, HashSet<string> Meters, long Newest);

    /// <summary>Takes the watermarks, if nobody else has them, with whatever else is sent.</summary>
    /// <param name="meters">What reads usage of these types.</param>
    public RollUpBatch(RoundTrip together, TenantId tenant, IEnumerable<string> types, IReadOnlyList<MeterView> meters)
    {
        (connection, this.tenant, this.meters) = (together.Connection, tenant, meters);
        marks = together.Rows(
            """
            select mark.type, mark.position, mark.meters, head.position
            from billing.usage_rollup_marks mark
            join billing.usage_heads head on head.tenant_id = mark.tenant_id and head.type = mark.type
            where mark.tenant_id = $1 and mark.type = any($2)
            for update of mark skip locked
            """,
            row => new Mark(row.GetString(0), row.GetInt64(1), [.. row.GetFieldValue<string[]>(2)], row.GetInt64(3)),
            Sql.P(tenant.Value), Sql.P([.. types.Distinct()]));
    }

    /// <summary>What a batch holds of one type of usage.</summary>
    /// <param name="Newest">The position of the last event.</param>
    /// <param name="Mark">What is rolled up already; null where the batch is left to <see cref="RollUpUsage"/>.</param>
    public sealed record OfType(string Type, long Newest, IReadOnlyList<RolledMeter> Meters, Mark? Mark, IReadOnlyList<UsageSum> Sums);

    /// <summary>What there is to add, by type. Asks nothing of the database, so that it can be worked out while that takes the events.</summary>
    /// <param name="taken">What was new, with its positions, in their order.</param>
    public IReadOnlyList<OfType> Sum(IReadOnlyList<TakenUsage> taken)
    {
        var types = new List<OfType>();
        foreach (var ofType in taken.GroupBy(it => it.Entry.Event.Type, StringComparer.Ordinal).OrderBy(it => it.Key, StringComparer.Ordinal))
        {
            var versions = RolledMeter.Of(meters.Where(meter => meter.EventType == ofType.Key));
            var mark = marks.Value.FirstOrDefault(it => it.Type == ofType.Key);
            var events = ofType.Select(it => it.Entry.Event).ToList();
            var isKnown = mark is not null && mark.Meters.SetEquals(versions.Select(it => it.Id.ToString()));
            List<UsageSum> sums = isKnown ? [.. versions.SelectMany(meter => UsageSum.Of(meter, events))] : [];
            var isWorthIt = sums.Count <= events.Count / EventsOfSum;
            types.Add(new(ofType.Key, ofType.Last().Position, versions, isKnown && isWorthIt ? mark : null, sums));
        }

        return types;
    }

    /// <summary>Notes the new heads of the tenant's usage, and rolls it up.</summary>
    public async Task Add(IReadOnlyList<OfType> types, Instant now, CancellationToken cancellation)
    {
        var together = new RoundTrip(connection);
        List<string> left = [];
        foreach (var it in types)
        {
            together.Write(
                """
                insert into billing.usage_heads as head (tenant_id, type, position) values ($1, $2, $3)
                on conflict (tenant_id, type) do update set position = greatest(head.position, excluded.position)
                """,
                Sql.P(tenant.Value), Sql.P(it.Type), Sql.P(it.Newest));
            if (it.Mark is not { } mark)
                continue;
            if (mark.RolledUp == mark.Newest)
            {
                Write(together, it.Sums);
                RollUpUsage.MoveWatermark(together, tenant, it.Type, it.Meters, it.Newest, now);
            }
            else if (mark.Newest - mark.RolledUp <= LittleBehind)
            {
                left.Add(it.Type);
            }
        }

        await together.Send(cancellation);
        foreach (var type in left)
            await RollUpUsage.RollUpWithin(connection, tenant, type, [.. meters.Where(meter => meter.EventType == type)], now, cancellation);
    }

    private void Write(RoundTrip together, IReadOnlyList<UsageSum> sums)
    {
        if (sums.Count == 0)
            return;
        together.Write(
            RollUpUsage.AddToRollUps(
                """
                select $1, meter, version, hour, array(select jsonb_array_elements_text(dimensions)), quantity, events, quantities
                from unnest($2, $3, $4, $5, $6, $7, $8) as sums (meter, version, hour, dimensions, quantity, events, quantities)
                """),
            Sql.P(tenant.Value), Sql.P([.. sums.Select(it => it.Meter.Meter.Value)]),
            Sql.P([.. sums.Select(it => it.Meter.Version)]), Sql.P([.. sums.Select(it => it.Hour)]),
            new NpgsqlParameter<byte[][]>
            {
                TypedValue = [.. sums.Select(it => JsonSerializer.SerializeToUtf8Bytes(it.Dimensions, BillingJson.Default.StringArray))],
                NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Jsonb,
            },
            new NpgsqlParameter<decimal[]> { TypedValue = [.. sums.Select(it => it.Quantity)] },
            Sql.P([.. sums.Select(it => it.Events)]), Sql.P([.. sums.Select(it => it.Quantities)]));
    }
}

/// <summary>What one batch adds to one row of the roll-ups, as <see cref="RollUpUsage"/> would read it from the ledger.</summary>
/// <param name="Dimensions">Values of the meter's dimensions, in their order, null for events without the member.</param>
/// <param name="Quantities">How many of the events have a quantity.</param>
internal sealed record UsageSum(
    MeterVersionId Meter, Instant Hour, string?[] Dimensions, decimal Quantity, long Events, long Quantities)
{
    // As many as a meter can have dimensions.
    private readonly record struct Cell(Instant Hour, string? First, string? Second, string? Third, string? Fourth);

    private record struct Sum(decimal Quantity, long Events, long Quantities);

    /// <summary>
    /// By hour (UTC) and dimensions. Exact: a quantity is below 10^15 with at most 9 decimals, so that tens of thousands of them fit the 28
    /// digits of a decimal.
    /// </summary>
    public static IEnumerable<UsageSum> Of(RolledMeter meter, IEnumerable<UsageEvent> events)
    {
        var definition = meter.Definition;
        var sums = new Dictionary<Cell, Sum>();
        foreach (var it in events)
        {
            if (!definition.Passes(it.Data))
                continue;
            ref var sum = ref CollectionsMarshal.GetValueRefOrAddDefault(
                sums, new(UsagePart.HourOf(it.Time), Value(0), Value(1), Value(2), Value(3)), out _);
            sum.Events++;
            if (definition.QuantityOf(it.Data) is { } quantity)
            {
                sum.Quantity += quantity;
                sum.Quantities++;
            }

            string? Value(int dimension) =>
                dimension < definition.Dimensions.Count ? it.Data.GetValueOrDefault(definition.Dimensions[dimension]) : null;
        }

        foreach (var (cell, sum) in sums)
        {
            string?[] values = [cell.First, cell.Second, cell.Third, cell.Fourth];
            yield return new(meter.Id, cell.Hour, values[..definition.Dimensions.Count], sum.Quantity, sum.Events, sum.Quantities);
        }
    }
}
