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
    /// <inheritdoc cref="Append(NpgsqlConnection, IReadOnlyList{UsageDelivery}, Instant, CancellationToken)"/>
    /// <param name="reportedBy">Who sent the events: an API key or a worker.</param>
    /// <param name="attemptId">The attempt whose signed batch the events come from; null for reported usage.</param>
    public static async Task<IReadOnlyList<UsageOutcome>> Append(
        EventTransaction transaction, IReadOnlyList<UsageEvent> events, Guid? attemptId, string reportedBy, Instant receivedAt,
        CancellationToken cancellation) =>
        (await Append(
            transaction.Connection, [new(transaction.TenantId, events, attemptId, reportedBy)], receivedAt, cancellation))[0];

    /// <summary>
    /// Takes what is new, in one round trip, and says of each delivery's events what became of them, in order. Conflicts are listed.
    /// </summary>
    /// <param name="connection">Has a transaction that holds the lanes of all the deliveries' tenants.</param>
    public static async Task<IReadOnlyList<IReadOnlyList<UsageOutcome>>> Append(
        NpgsqlConnection connection, IReadOnlyList<UsageDelivery> deliveries, Instant receivedAt, CancellationToken cancellation)
    {
        var batch = new UsageBatchRows(deliveries);
        var known = batch.Count == 0 ? [] : await Take(connection, batch, receivedAt, cancellation);
        var outcomes = batch.Outcomes(known);
        for (var i = 0; i < deliveries.Count; i++)
        {
            if (outcomes[i].Contains(UsageOutcome.Conflict))
                await ListConflicts(connection, deliveries[i], receivedAt, cancellation);
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
        var rows = new UsageColumns([.. delivery.Entries.Select(entry => (delivery, entry))]);
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

    private static async Task<Guid?[]> Take(
        NpgsqlConnection connection, UsageBatchRows batch, Instant receivedAt, CancellationToken cancellation)
    {
        await using var command = new NpgsqlBatch(connection);
        foreach (var rows in batch.Chunks())
        {
            command.BatchCommands.Add(new("select billing.take_usage($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)")
            {
                Parameters =
                {
                    rows.Tenants, rows.Keys, rows.Contents, rows.Times, rows.Attempts, rows.Hashes, rows.Sources, rows.Ids,
                    rows.Types, rows.Subjects, rows.Datas, Sql.P(receivedAt),
                },
            });
        }

        var known = new List<Guid?>(batch.Count);
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        do
        {
            while (await reader.ReadAsync(cancellation))
                known.AddRange(reader.GetFieldValue<Guid?[]>(0));
        }
        while (await reader.NextResultAsync(cancellation));
        return [.. known];
    }
}
