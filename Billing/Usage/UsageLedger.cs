using NodaTime;
using Npgsql;
using Platform.EventStore;

namespace Platform.Billing.Usage;

/// <summary>
/// The append-only ledger. Written in the tenants' lanes, so that a tenant's positions become visible in the order in which they
/// were given: a reader that has seen a position has seen everything before it.
/// </summary>
public static class UsageLedger
{
    // PostgreSQL holds the arrays of a call in memory up to its work_mem, and writes larger ones to disk before it reads them. Here it
    // keeps all that is made for a chunk out of the large object heap, whose collections stop everybody. A call has 1,024 positions to give.
    private const int ChunkRows = 1_000;

    /// <summary>Takes what is new and says of each event what became of it, in order. Conflicts are listed.</summary>
    /// <param name="reportedBy">Who sent the events: an API key or a worker.</param>
    /// <param name="attemptId">The attempt whose signed batch the events come from; null for reported usage.</param>
    public static async Task<IReadOnlyList<UsageOutcome>> Append(
        EventTransaction transaction, IReadOnlyList<UsageEvent> events, Guid? attemptId, string reportedBy, Instant receivedAt,
        CancellationToken cancellation)
    {
        if (events.Count == 0)
            return [];

        var delivery = new UsageDelivery(transaction.TenantId, events, attemptId, reportedBy);
        var rows = new UsageBatchRows([delivery], ChunkRows);
        await using var batch = new NpgsqlBatch(transaction.Connection);
        AddTo(batch, rows, receivedAt);
        IReadOnlyList<UsageOutcome> outcomes;
        await using (var reader = await batch.ExecuteReaderAsync(cancellation))
            outcomes = rows.Outcomes(await Known(reader))[0];

        if (outcomes.Contains(UsageOutcome.Conflict))
            await ListConflicts(transaction.Connection, delivery, receivedAt, cancellation);
        return outcomes;
    }

    /// <summary>
    /// The same for several deliveries in one transaction: of several tenants, or large ones of one tenant, which are copied.
    /// </summary>
    public static Task<IReadOnlyList<UsageOutcome[]>> Append(
        EventStore.EventStore store, IReadOnlyList<UsageDelivery> deliveries, Instant receivedAt, CancellationToken cancellation) =>
        deliveries.All(it => it.IsLarge && it.TenantId == deliveries[0].TenantId)
            ? AppendLarge(store, deliveries, receivedAt, cancellation)
            : AppendTogether(store, deliveries, receivedAt, cancellation);

    private static Task<IReadOnlyList<UsageOutcome[]>> AppendLarge(
        EventStore.EventStore store, IReadOnlyList<UsageDelivery> deliveries, Instant receivedAt, CancellationToken cancellation) =>
        store.TransactBeside(
            deliveries[0].TenantId,
            async (connection, token) =>
            {
                var outcomes = await UsageCopy.Append(connection, deliveries, receivedAt, token);
                foreach (var (delivery, ofDelivery) in deliveries.Zip(outcomes))
                {
                    if (ofDelivery.Contains(UsageOutcome.Conflict))
                        await ListConflicts(connection, delivery, receivedAt, token);
                }

                return outcomes;
            },
            cancellation);

    // A conflict is listed in a transaction of its own: who was not told of it because of a crash between them sends again, and it is
    // found again.
    private static async Task<IReadOnlyList<UsageOutcome[]>> AppendTogether(
        EventStore.EventStore store, IReadOnlyList<UsageDelivery> deliveries, Instant receivedAt, CancellationToken cancellation)
    {
        var rows = new UsageBatchRows(deliveries, ChunkRows);
        var known = rows.IsEmpty
            ? []
            : await store.Together(
                [.. deliveries.Select(delivery => delivery.TenantId).Distinct()], batch => AddTo(batch, rows, receivedAt), Known,
                cancellation);
        var outcomes = rows.Outcomes(known);
        for (var i = 0; i < deliveries.Count; i++)
        {
            if (!outcomes[i].Contains(UsageOutcome.Conflict))
                continue;
            var delivery = deliveries[i];
            await store.Transact(
                delivery.TenantId,
                Cause.Unknown,
                async (transaction, token) =>
                {
                    await ListConflicts(transaction.Connection, delivery, receivedAt, token);
                    return true;
                },
                cancellation);
        }

        return outcomes;
    }

    /// <summary>
    /// Lists those of the events that the ledger has with other content, each content once; takes none of them into the ledger.
    /// </summary>
    public static Task ListConflicts(
        EventTransaction transaction, IReadOnlyList<UsageEvent> events, string reportedBy, Instant reportedAt,
        CancellationToken cancellation) =>
        ListConflicts(
            transaction.Connection, new(transaction.TenantId, events, AttemptId: null, reportedBy), reportedAt, cancellation);

    // The log may have given the month of the kept event away by now; its identity remains.
    private static async Task ListConflicts(
        NpgsqlConnection connection, UsageDelivery delivery, Instant reportedAt, CancellationToken cancellation)
    {
        var rows = new UsageColumns([.. delivery.Entries.Select(entry => new UsageRow(delivery, entry))]);
        await using var command = connection.Command(
            """
            insert into billing.usage_conflicts
                (tenant_id, source, event_id, content_hash, type, subject, time, data, kept_type, kept_subject, kept_time, kept_data,
                 reported_by, reported_at)
            select $1, refused.source, refused.id, refused.hash, refused.type, refused.subject, refused.time, refused.data,
                   kept.type, kept.subject, known.time, kept.data, $11, $12
            from unnest($2, $3, $4, $5, $6, $7, $8, $9, $10) with ordinality
                as refused (key, content, time, hash, source, id, type, subject, data, place)
            join billing.usage_identities known
              on known.tenant_id = $1 and known.key = refused.key and known.content <> refused.content
            left join billing.usage_events kept
              on kept.tenant_id = $1 and kept.position = known.position and kept.time = known.time
            order by refused.place
            on conflict (tenant_id, source, event_id, content_hash) do nothing
            """,
            [
                Sql.P(delivery.TenantId), rows.Keys, rows.Contents, rows.Times, rows.Hashes, rows.Sources, rows.Ids, rows.Types,
                rows.Subjects, rows.Datas, Sql.P(delivery.ReportedBy), Sql.P(reportedAt),
            ]);
        await command.ExecuteNonQueryAsync(cancellation);
    }

    private static void AddTo(NpgsqlBatch batch, UsageBatchRows rows, Instant receivedAt)
    {
        foreach (var chunk in rows.Chunks.Select(it => new UsageColumns(it)))
        {
            var ranges = chunk.KeyRanges();
            batch.BatchCommands.Add(new("select billing.take_usage($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)")
            {
                Parameters =
                {
                    chunk.Tenants, chunk.Keys, chunk.Contents, chunk.Times, chunk.Attempts, chunk.Hashes, chunk.Sources, chunk.Ids,
                    chunk.Types, chunk.Subjects, chunk.Datas, Sql.P(receivedAt), ranges.Tenants, ranges.Firsts, ranges.Lasts,
                },
            });
        }
    }

    // Of each chunk the content that the ledger had of each row before, null for what was new; null where all was.
    private static async Task<IReadOnlyList<Guid?[]?>> Known(NpgsqlDataReader reader)
    {
        var known = new List<Guid?[]?>();
        do
        {
            while (await reader.ReadAsync())
                known.Add(await reader.IsDBNullAsync(0) ? null : reader.GetFieldValue<Guid?[]>(0));
        }
        while (await reader.NextResultAsync());
        return known;
    }
}
