using NodaTime;
using Npgsql;
using Platform.Contracts;
using Platform.Contracts.Verification;
using Platform.EventStore;

namespace Platform.Billing.Usage;

/// <summary>
/// Binds usage into the parts that trees of invoices are made of (<see cref="UsagePart"/>): one tenant's usage of one type at a time, its
/// parts and its watermark in one transaction that holds the watermark's row.
/// </summary>
public sealed class SealUsage(BillingDatabase database)
{
    private sealed record Open(Instant Hour, int Part, long First, GrowingMerkleTree Tree)
    {
        public long Last { get; set; }
    }

    /// <summary>Everything that is behind, of all tenants.</summary>
    public async Task<IReadOnlyList<(TenantId Tenant, string Type)>> Behind(CancellationToken cancellation) =>
        await database.ReadAllTenants(
            """
            select head.tenant_id, head.type from billing.usage_heads head
            left join billing.usage_seal_marks mark using (tenant_id, type)
            where head.position > coalesce(mark.position, 0)
            """,
            row => (new TenantId(row.GetGuid(0)), row.GetString(1)),
            cancellation);

    /// <summary>Leaves to another process what that one is binding.</summary>
    public Task Seal(TenantId tenant, string type, CancellationToken cancellation) => database.WriteShared(
        connection => Seal(connection, tenant, type, patient: false, cancellation), cancellation);

    /// <summary>Binds what is behind of these types, in the transaction of who needs it and holds the tenant's lane.</summary>
    /// <param name="together">Sent before anything is bound.</param>
    public static async Task CatchUp(
        RoundTrip together, TenantId tenant, IReadOnlyList<UsageWatermark> marks, IReadOnlySet<string> types, CancellationToken cancellation)
    {
        foreach (var mark in marks.Where(it => it.Bound < it.Newest && types.Contains(it.Type)))
        {
            await together.Send(cancellation);
            await Seal(together.Connection, tenant, mark.Type, patient: true, cancellation);
        }
    }

    private static async Task Seal(
        NpgsqlConnection connection, TenantId tenant, string type, bool patient, CancellationToken cancellation)
    {
        // 1 take the watermark, and see how far the ledger is once it is had
        var together = new RoundTrip(connection) { TimeoutSeconds = 0 };
        together.Write(
            """
            insert into billing.usage_seal_marks (tenant_id, type, position)
            select tenant_id, type, 0 from billing.usage_heads where tenant_id = $1 and type = $2 on conflict do nothing
            """,
            Sql.P(tenant.Value), Sql.P(type));
        var marks = together.Rows(
            $"""
            select position from billing.usage_seal_marks where tenant_id = $1 and type = $2 for update {(patient ? "" : "skip locked")}
            """,
            row => row.GetInt64(0), Sql.P(tenant.Value), Sql.P(type));
        var heads = together.Rows(
            "select position from billing.usage_heads where tenant_id = $1 and type = $2",
            row => row.GetInt64(0), Sql.P(tenant.Value), Sql.P(type));
        await together.Send(cancellation);
        if (marks.Value is not [var after] || heads.Value is not [var through] || after == through)
            return;

        // 2 take up the parts that grow
        var open = together.Rows(
            """
            select distinct on (hour) hour, part, first_position, last_position, size, peaks from billing.usage_seals
            where tenant_id = $1 and type = $2 and hour in (
                select date_bin('1 hour', time, 'epoch') from billing.usage_events
                where tenant_id = $1 and type = $2 and position > $3 and position <= $4)
            order by hour, part desc
            """,
            row => new Open(row.Instant(0), row.GetInt32(1), row.GetInt64(2), new(row.GetInt32(4), Peaks(row.GetFieldValue<byte[]>(5))))
            {
                Last = row.GetInt64(3),
            },
            Sql.P(tenant.Value), Sql.P(type), Sql.P(after), Sql.P(through));
        await together.Send(cancellation);

        // 3 add what is new, and move the watermark
        var parts = await Grown(connection, tenant, type, after, through, open.Value.ToDictionary(it => it.Hour), cancellation);
        together.Write(
            """
            insert into billing.usage_seals (tenant_id, type, hour, part, first_position, last_position, size, peaks)
            select $1, $2, * from unnest($3, $4, $5, $6, $7, $8)
            on conflict (tenant_id, type, hour, part) do update
            set last_position = excluded.last_position, size = excluded.size, peaks = excluded.peaks
            """,
            Sql.P(tenant.Value), Sql.P(type), Sql.P([.. parts.Select(it => it.Hour)]), Sql.P([.. parts.Select(it => it.Part)]),
            Sql.P([.. parts.Select(it => it.First)]), Sql.P([.. parts.Select(it => it.Last)]),
            Sql.P([.. parts.Select(it => (int)it.Tree.Size)]),
            new NpgsqlParameter<byte[][]> { TypedValue = [.. parts.Select(it => Bytes(it.Tree.Peaks))] });
        together.Write(
            "update billing.usage_seal_marks set position = $3 where tenant_id = $1 and type = $2",
            Sql.P(tenant.Value), Sql.P(type), Sql.P(through));
        await together.Send(cancellation);
    }

    private static async Task<IReadOnlyList<Open>> Grown(
        NpgsqlConnection connection, TenantId tenant, string type, long after, long through, Dictionary<Instant, Open> open,
        CancellationToken cancellation)
    {
        var parts = new List<Open>();
        await using var command = connection.Command(
            """
            select date_bin('1 hour', time, 'epoch'), position, source, id, content_hash from billing.usage_events
            where tenant_id = $1 and type = $2 and position > $3 and position <= $4
            order by 1, position
            """,
            Sql.P(tenant.Value), Sql.P(type), Sql.P(after), Sql.P(through));
        command.CommandTimeout = 0; // many events are sorted before the first row comes
        await using var row = await command.ExecuteReaderAsync(cancellation);
        while (await row.ReadAsync(cancellation))
        {
            var (hour, position) = (row.Instant(0), row.GetInt64(1));
            if (!open.TryGetValue(hour, out var part) || part.Tree.Size == UsagePart.SizeMax)
                open[hour] = part = new(hour, part is null ? 0 : part.Part + 1, position, new());
            if (parts is not [.., var last] || last != part)
                parts.Add(part);
            part.Tree.Add(UsageLeaf.Hash(row.GetString(2), row.GetString(3), row.GetFieldValue<byte[]>(4), billedBefore: false, []));
            part.Last = position;
        }

        return parts;
    }

    internal static IReadOnlyList<byte[]> Peaks(byte[] bytes) => [.. bytes.Chunk(32)];

    private static byte[] Bytes(IReadOnlyList<byte[]> peaks) => [.. peaks.SelectMany(peak => peak)];
}
