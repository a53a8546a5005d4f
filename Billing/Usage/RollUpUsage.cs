using System.Globalization;
using NodaTime;
using Npgsql;
using Platform.Billing.Catalog;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Usage;

/// <summary>
/// Brings the sums by hour up to the ledger: one tenant's usage of one type at a time, its rows and its watermark in one transaction
/// that holds the watermark's row. Corrections are entries at positions of their own, so that adding up what is above the watermark
/// is exact, whatever its time.
/// </summary>
public sealed class RollUpUsage(BillingDatabase database, Documents documents, TimeProvider clock)
{
    // One statement reads the entries once for so many meters.
    private const int MetersAtOnce = 40;

    /// <summary>Everything that is behind, of all tenants: new usage, and usage that a new meter or version reads.</summary>
    public async Task<IReadOnlyList<(TenantId Tenant, string Type)>> Behind(CancellationToken cancellation) =>
        await database.ReadAllTenants(
            """
            with catalog as (
                select meter.data ->> 'event_type' as type, count(*) as versions
                from billing.meters meter, jsonb_array_elements(meter.data -> 'versions') each (published)
                where published -> 'definition' ->> 'aggregation' in ('sum', 'count', 'average')
                group by 1)
            select head.tenant_id, head.type
            from billing.usage_heads head
            left join billing.usage_rollup_marks mark using (tenant_id, type)
            left join catalog using (type)
            where head.position > coalesce(mark.position, 0) or coalesce(catalog.versions, 0) > coalesce(cardinality(mark.meters), 0)
            """,
            row => (new TenantId(row.GetGuid(0)), row.GetString(1)),
            cancellation);

    /// <summary>What reads any of these types. A version that is published later is behind, so whoever read this before leaves it to the next look.</summary>
    public Task<IReadOnlyList<MeterView>> MetersOf(IEnumerable<string> types, CancellationToken cancellation) =>
        MeterView.OfEventTypes(documents, types, cancellation);

    /// <summary>Leaves to another process what that one is rolling up.</summary>
    /// <param name="meters">As <see cref="MetersOf"/> gave them.</param>
    public Task RollUp(TenantId tenant, string type, IReadOnlyList<MeterView> meters, CancellationToken cancellation) => database.WriteShared(
        connection => RollUp(connection, tenant, type, meters, clock.Now(), patient: false, again: false, cancellation), cancellation);

    /// <summary>
    /// The same in the transaction of who holds the tenant and wrote usage in it: nothing is behind once it is committed, so who
    /// writes next can add what it writes by itself (<see cref="RollUpBatch"/>).
    /// </summary>
    internal static Task RollUpWithin(
        NpgsqlConnection connection, TenantId tenant, string type, IReadOnlyList<MeterView> meters, Instant now,
        CancellationToken cancellation) =>
        RollUp(connection, tenant, type, meters, now, patient: false, again: false, cancellation);

    /// <summary>
    /// Everything behind that these meters read, in the transaction of who needs it and holds the tenant's lane: most often nothing, because
    /// usage is rolled up within seconds.
    /// </summary>
    /// <param name="together">Sent before anything is rolled up.</param>
    public async Task CatchUp(
        RoundTrip together, TenantId tenant, IReadOnlyList<UsageWatermark> marks, IReadOnlyList<MeterDefinition> meters,
        CancellationToken cancellation)
    {
        foreach (var mark in marks.Where(it =>
            it.RolledUp < it.Newest && meters.Any(meter => meter.RollsUp && meter.EventType == it.Type)))
        {
            await together.Send(cancellation);
            await RollUp(
                together.Connection, tenant, mark.Type, await MetersOf([mark.Type], cancellation), clock.Now(), patient: true, again: false,
                cancellation);
        }
    }

    /// <summary>
    /// Makes all roll-ups again from the ledger, beside the running processes: readers see the old ones until the new ones are there.
    /// Those of months that retention took stay as they are.
    /// </summary>
    /// <returns>How many watermarks there are.</returns>
    public async Task<int> Rebuild(CancellationToken cancellation)
    {
        var marks = await database.ReadAllTenants(
            "select tenant_id, type from billing.usage_rollup_marks order by tenant_id, type",
            row => (Tenant: new TenantId(row.GetGuid(0)), Type: row.GetString(1)),
            cancellation);
        foreach (var (tenant, type) in marks)
        {
            var meters = await MetersOf([type], cancellation);
            await database.WriteShared(
                connection => RollUp(connection, tenant, type, meters, clock.Now(), patient: true, again: true, cancellation), cancellation);
        }

        return marks.Count;
    }

    /// <param name="meters">Every version of every meter that reads the type.</param>
    private static async Task RollUp(
        NpgsqlConnection connection, TenantId tenant, string type, IReadOnlyList<MeterView> meters, Instant now, bool patient, bool again,
        CancellationToken cancellation)
    {
        // A new meter over old events takes as long as it takes.
        var together = new RoundTrip(connection) { TimeoutSeconds = 0 };

        // 1 take the watermark, and see how far the ledger is once it is had
        together.Write(
            """
            insert into billing.usage_rollup_marks (tenant_id, type, position, reached_at, meters)
            select tenant_id, type, 0, '-infinity', '{}' from billing.usage_heads where tenant_id = $1 and type = $2
            on conflict do nothing
            """,
            Sql.P(tenant.Value), Sql.P(type));
        var marks = together.Rows(
            $"""
            select position, meters from billing.usage_rollup_marks where tenant_id = $1 and type = $2
            for update {(patient ? "" : "skip locked")}
            """,
            row => (Position: row.GetInt64(0), Meters: row.GetFieldValue<string[]>(1)),
            Sql.P(tenant.Value), Sql.P(type));
        var heads = together.Rows(
            "select position from billing.usage_heads where tenant_id = $1 and type = $2", row => row.GetInt64(0),
            Sql.P(tenant.Value), Sql.P(type));
        await together.Send(cancellation);
        if (marks.Value is not [var mark])
            return;

        // 2 add what is new, and for who is new all; the catalog only grows, so nobody is missing whom the watermark names
        var through = heads.Value[0];
        var versions = RolledMeter.Of(meters);
        if (again)
            Delete(together, tenant, versions);
        var known = versions.Where(meter => !again && mark.Meters.Contains(meter.Id.ToString())).ToList();
        Add(together, tenant, type, mark.Position, through, known, again);
        Add(together, tenant, type, after: 0, through, [.. versions.Except(known)], again);

        // 3 move the watermark
        MoveWatermark(together, tenant, type, versions, through, now);
        await together.Send(cancellation);
    }

    /// <summary>SQL that adds to the rows of the roll-ups.</summary>
    /// <param name="sums">A query of all columns of such rows, each row once.</param>
    internal static string AddToRollUps(string sums) =>
        $"""
        insert into billing.usage_rollups as rolled (tenant_id, meter_id, version, hour, dimensions, quantity, events, quantities)
        {sums}
        on conflict (tenant_id, meter_id, version, hour, dimensions) do update
        set quantity = rolled.quantity + excluded.quantity, events = rolled.events + excluded.events,
            quantities = rolled.quantities + excluded.quantities
        """;

    /// <param name="versions">All that are rolled up to there.</param>
    internal static void MoveWatermark(
        RoundTrip together, TenantId tenant, string type, IReadOnlyList<RolledMeter> versions, long through, Instant now) => together.Write(
        "update billing.usage_rollup_marks set position = $3, reached_at = $4, meters = $5 where tenant_id = $1 and type = $2",
        Sql.P(tenant.Value), Sql.P(type), Sql.P(through), Sql.P(now), Sql.P([.. versions.Select(meter => meter.Id.ToString())]));

    private static void Delete(RoundTrip together, TenantId tenant, IReadOnlyList<RolledMeter> meters) => together.Write(
        """
        delete from billing.usage_rollups
        where tenant_id = $1 and meter_id = any($2)
          and date_trunc('month', hour, 'UTC') <> all (array(select month from billing.usage_gone_months))
        """,
        Sql.P(tenant.Value), Sql.P([.. meters.Select(meter => meter.Id.Meter.Value).Distinct()]));

    private static void Add(
        RoundTrip together, TenantId tenant, string type, long after, long through, IReadOnlyList<RolledMeter> meters, bool again)
    {
        if (after == through)
            return;
        foreach (var some in meters.Chunk(MetersAtOnce))
        {
            List<NpgsqlParameter> parameters =
                [Sql.P(tenant.Value), Sql.P(type), Sql.P(after), Sql.P(through), new NpgsqlParameter<bool> { TypedValue = again }];
            var sums = string.Join("\n    union all\n", some.Select(meter => Sums(meter, Name)));
            var once = some.Length == 1 ? "not materialized" : "materialized";
            together.Write(
                // What is gone cannot be read again: its corrections alone would be wrong.
                $"""
                with entries as {once} (
                    select time, sign, data from billing.usage_entries
                    where tenant_id = $1 and type = $2 and position > $3 and position <= $4
                      and not exists (
                          select from billing.usage_gone_months gone
                          where gone.month = date_trunc('month', time, 'UTC') and ($5 or usage_entries.position <= gone.position)))
                {AddToRollUps(sums)}
                """,
                [.. parameters]);

            string Name(NpgsqlParameter parameter)
            {
                parameters.Add(parameter);
                return string.Create(CultureInfo.InvariantCulture, $"${parameters.Count}");
            }
        }
    }

    // In steps, which offset 0 keeps apart: merged, each would be computed as often as the next mentions it.
    private static string Sums(RolledMeter meter, Func<NpgsqlParameter, string> name)
    {
        var columns = new MeterColumns(meter.Definition, name);
        var where = string.Join(" and ", columns.Conditions().Prepend("true"));
        return
            $"""
            select $1, {name(Sql.P(meter.Id.Meter.Value))}, {name(Sql.P(meter.Id.Version))}, hour, dimensions,
                   coalesce(sum(case sign when 1 then value else -value end), 0), sum(sign), coalesce(sum(sign) filter (where value is not null), 0)
            from (
                select hour, dimensions, sign, {(meter.Definition.ReadsQuantity ? MeterColumns.QuantityOf("text") : "null::numeric")} as value
                from (
                    select date_bin('1 hour', time, 'epoch') as hour, array[{string.Join(", ", columns.Dimensions())}]::text[] as dimensions,
                           sign, {columns.Text(meter.Definition.ValueProperty)} as text
                    from entries where {where} offset 0) read
                offset 0) valued
            group by hour, dimensions
            """;
    }
}
