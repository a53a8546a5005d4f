using NodaTime;
using Npgsql;
using Platform.EventStore;

namespace Platform.Billing.Usage;

/// <summary>An event that was new, and where it stands in the ledger.</summary>
internal readonly record struct TakenUsage(UsageDelivery Delivery, UsageDelivery.Entry Entry, long Position);

/// <summary>
/// The way of a tenant's large batch into the ledger, in the transaction that holds the tenant's lane: its identities in one call, what was
/// new of it by COPY, and its roll-ups from what is in hand.
/// </summary>
internal static class UsageCopy
{
    // So many keys still stay out of the large object heap, whose collections stop everybody.
    private const int ChunkRows = 4 * PositionsAtOnce;

    // The database gives so many positions at a time.
    private const int PositionsAtOnce = 1_024;

    /// <returns>Of each delivery what became of its events, in order.</returns>
    public static async Task<IReadOnlyList<UsageOutcome[]>> Append(
        EventTransaction transaction, IReadOnlyList<UsageDelivery> deliveries, Instant receivedAt, CancellationToken cancellation)
    {
        var rows = new UsageBatchRows(deliveries, ChunkRows);
        var together = new RoundTrip(transaction.Connection);
        var identities = rows.Chunks.Select(chunk => TakeIdentities(together, transaction, chunk)).ToList();
        var rollUp = new RollUpBatch(
            together, transaction, deliveries.SelectMany(it => it.Events).Select(it => it.Type), deliveries[^1].Meters);
        await together.Send(cancellation);

        var taken = rows.Chunks.Zip(identities).SelectMany(it => New(it.First, it.Second.Value)).ToList();
        if (taken.Count > 0)
        {
            await Copy(transaction.Connection, taken, receivedAt, cancellation);
            await rollUp.Add(taken, receivedAt, cancellation);
        }

        return rows.Outcomes([.. identities.Select(it => it.Value.Known)]);
    }

    /// <param name="Known">Content that the ledger has of each row already, null for what is new; null where all is.</param>
    /// <param name="Befores">The position before the first of each so many rows.</param>
    private sealed record Identities(Guid?[]? Known, long[] Befores);

    private static Answer<Identities> TakeIdentities(RoundTrip together, EventTransaction transaction, IReadOnlyList<UsageRow> chunk)
    {
        var columns = new UsageColumns(chunk);
        var ranges = columns.KeyRanges();
        return together.Ask(
            "select known, befores from billing.take_usage_identities($1, $2, $3, $4, $5, $6)",
            async (row, token) =>
            {
                await row.ReadAsync(token);
                return new Identities(row.IsDBNull(0) ? null : row.GetFieldValue<Guid?[]>(0), row.GetFieldValue<long[]>(1));
            },
            Sql.P(transaction.TenantId), columns.Keys, columns.Contents, columns.Times, ranges.Firsts, ranges.Lasts);
    }

    private static IEnumerable<TakenUsage> New(IReadOnlyList<UsageRow> chunk, Identities identities)
    {
        for (var i = 0; i < chunk.Count; i++)
        {
            if (identities.Known?[i] is null)
                yield return new(chunk[i].Delivery, chunk[i].Entry, identities.Befores[i / PositionsAtOnce] + 1 + i % PositionsAtOnce);
        }
    }

    private static async Task Copy(
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
