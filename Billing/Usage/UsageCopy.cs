using NodaTime;
using Npgsql;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Usage;

/// <summary>An event that was new, and where it stands in the ledger.</summary>
internal readonly record struct TakenUsage(UsageDelivery Delivery, UsageDelivery.Entry Entry, long Position);

/// <summary>
/// The way of a tenant's large batch into the ledger, in the transaction that holds the tenant: a look at what is known of it, the identities
/// and then the events of what is new by COPY, and its roll-ups from what is in hand.
/// </summary>
internal static class UsageCopy
{
    // The database gives so many positions at a time.
    private const int PositionsAtOnce = 1_024;

    /// <param name="deliveries">Of one tenant.</param>
    /// <returns>Of each delivery what became of its events, in order.</returns>
    public static async Task<IReadOnlyList<UsageOutcome[]>> Append(
        NpgsqlConnection connection, IReadOnlyList<UsageDelivery> deliveries, Instant receivedAt, CancellationToken cancellation)
    {
        var tenant = new TenantId(deliveries[0].TenantId);
        var batch = new UsageBatchRows(deliveries, chunkRows: int.MaxValue);
        var rows = batch.Chunks[0];
        var together = new RoundTrip(connection);
        var ledger = Begin(together, tenant, rows);
        var rollUp = new RollUpBatch(
            together, tenant, deliveries.SelectMany(it => it.Events).Select(it => it.Type), deliveries[^1].Meters);
        await together.Send(cancellation);

        var taken = New(rows, ledger.Value);
        if (taken.Count > 0)
        {
            var sums = Task.Run(() => rollUp.Sum(taken), cancellation);
            await CopyIdentities(connection, taken, cancellation);
            await CopyEvents(connection, taken, receivedAt, cancellation);
            await rollUp.Add(await sums, receivedAt, cancellation);
        }

        return batch.Outcomes((_, row) => ledger.Value.Known(rows[row].Entry.Key));
    }

    /// <summary>What the ledger said when the copy began.</summary>
    /// <param name="Contents">By key, of all rows that it has, and possibly of others.</param>
    /// <param name="Befores">The position before the first of each so many rows.</param>
    private sealed record Ledger(Dictionary<Guid, Guid> Contents, long[] Befores)
    {
        public Guid? Known(Guid key) => Contents.TryGetValue(key, out var content) ? content : null;
    }

    private static Answer<Ledger> Begin(RoundTrip together, TenantId tenant, IReadOnlyList<UsageRow> rows)
    {
        var columns = new UsageColumns(rows);
        var ranges = columns.KeyRanges();
        return together.Ask(
            "select known_key, known_content, befores from billing.begin_usage_copy($1, $2, $3, $4)",
            async (row, token) =>
            {
                await row.ReadAsync(token);
                var contents = row.IsDBNull(0) ? [] : row.GetFieldValue<Guid[]>(0).Zip(row.GetFieldValue<Guid[]>(1), KeyValuePair.Create);
                return new Ledger(new(contents), row.GetFieldValue<long[]>(2));
            },
            Sql.P(tenant.Value), columns.Keys, ranges.Firsts, ranges.Lasts);
    }

    private static List<TakenUsage> New(IReadOnlyList<UsageRow> rows, Ledger ledger)
    {
        var taken = new List<TakenUsage>(rows.Count);
        foreach (var (delivery, entry) in rows)
        {
            if (ledger.Known(entry.Key) is not null)
                continue;
            var (block, place) = Math.DivRem(taken.Count, PositionsAtOnce);
            taken.Add(new(delivery, entry, ledger.Befores[block] + 1 + place));
        }

        return taken;
    }

    // In the order of their index, where neighbours lie in one page.
    private static async Task CopyIdentities(NpgsqlConnection connection, IReadOnlyList<TakenUsage> taken, CancellationToken cancellation)
    {
        await using var copy = await connection.BeginRawBinaryCopyAsync(
            "copy billing.usage_identity_log (key, content, time, position) from stdin (format binary)", cancellation);
        var rows = new CopyRows();
        var sorted = taken.ToArray();
        Array.Sort(Array.ConvertAll(sorted, it => UsageColumns.Number(it.Entry.Key)), sorted);
        foreach (var (_, entry, position) in sorted)
        {
            rows.Row(columns: 4);
            rows.Add(entry.Key);
            rows.Add(entry.Content);
            rows.Add(entry.Event.Time);
            rows.Add(position);
            if (rows.IsFull)
                await rows.Send(copy, cancellation);
        }

        rows.End();
        await rows.Send(copy, cancellation);
    }

    private static async Task CopyEvents(
        NpgsqlConnection connection, IReadOnlyList<TakenUsage> taken, Instant receivedAt, CancellationToken cancellation)
    {
        await using var copy = await connection.BeginRawBinaryCopyAsync(
            """
            copy billing.usage_log (position, time, received_at, attempt_id, content_hash, source, id, type, subject, data)
            from stdin (format binary)
            """,
            cancellation);
        var rows = new CopyRows();
        foreach (var (delivery, entry, position) in taken)
        {
            var it = entry.Event;
            rows.Row(columns: 10);
            rows.Add(position);
            rows.Add(it.Time);
            rows.Add(receivedAt);
            rows.Add(delivery.AttemptId);
            rows.Add(entry.Hash);
            rows.Add(it.Source);
            rows.Add(it.Id);
            rows.Add(it.Type);
            rows.Add(it.Subject);
            rows.AddJson(entry.Data);
            if (rows.IsFull)
                await rows.Send(copy, cancellation);
        }

        rows.End();
        await rows.Send(copy, cancellation);
    }
}
