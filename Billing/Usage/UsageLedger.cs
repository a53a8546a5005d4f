using System.Text.Json;
using NodaTime;
using Npgsql;
using NpgsqlTypes;
using Platform.EventStore;

namespace Platform.Billing.Usage;

/// <summary>
/// The append-only ledger. Written in the tenant's lane, so that a tenant's positions become visible in the order in which they
/// were given: a reader that has seen a position has seen everything before it.
/// </summary>
public static class UsageLedger
{
    /// <summary>Takes what is new, in one statement, and says of each event what became of it, in order. Conflicts are listed.</summary>
    /// <param name="reportedBy">Who sent the events: an API key or a worker.</param>
    /// <param name="attemptId">The attempt whose signed batch the events come from; null for reported usage.</param>
    public static async Task<IReadOnlyList<UsageOutcome>> Append(
        EventTransaction transaction, IReadOnlyList<UsageEvent> events, Guid? attemptId, string reportedBy, Instant receivedAt,
        CancellationToken cancellation)
    {
        if (events.Count == 0)
            return [];

        var hashes = events.Select(it => it.ContentHash()).ToArray();
        var added = await Insert(transaction, events, hashes, attemptId, receivedAt, cancellation);
        var known = await Hashes(transaction, events, cancellation);

        var outcomes = new UsageOutcome[events.Count];
        for (var i = 0; i < events.Count; i++)
        {
            var identity = (events[i].Source, events[i].Id);
            outcomes[i] = !known[identity].AsSpan().SequenceEqual(hashes[i]) ? UsageOutcome.Conflict
                : added.Remove(identity) ? UsageOutcome.Accepted
                : UsageOutcome.Duplicate;
        }

        if (outcomes.Contains(UsageOutcome.Conflict))
            await ListConflicts(transaction, events, reportedBy, receivedAt, cancellation);
        return outcomes;
    }

    /// <summary>
    /// Lists those of the events that the ledger has with other content, each content once; takes none of them into the ledger.
    /// </summary>
    public static async Task ListConflicts(
        EventTransaction transaction, IReadOnlyList<UsageEvent> events, string reportedBy, Instant reportedAt,
        CancellationToken cancellation)
    {
        await using var command = transaction.Connection.Command(
            """
            insert into billing.usage_conflicts
                (tenant_id, source, event_id, content_hash, type, subject, time, data, kept_type, kept_subject, kept_time, kept_data,
                 reported_by, reported_at)
            select $1, refused.source, refused.id, refused.content_hash, refused.type, refused.subject, refused.time, refused.data,
                   kept.type, kept.subject, kept.time, kept.data, $9, $10
            from unnest($2, $3, $4, $5, $6, $7, $8) with ordinality
                as refused (source, id, type, subject, time, content_hash, data, place)
            join billing.usage_events kept
              on kept.tenant_id = $1 and kept.source = refused.source and kept.id = refused.id
             and kept.content_hash <> refused.content_hash
            order by refused.place
            on conflict (tenant_id, source, event_id, content_hash) do nothing
            """,
            [
                Sql.P(transaction.TenantId), .. Arrays(events, [.. events.Select(it => it.ContentHash())]), Sql.P(reportedBy),
                Sql.P(reportedAt),
            ]);
        await command.ExecuteNonQueryAsync(cancellation);
    }

    // Within one statement the first of two equal identities wins; the second one then is a duplicate or a conflict with it.
    private static async Task<HashSet<(string Source, string Id)>> Insert(
        EventTransaction transaction, IReadOnlyList<UsageEvent> events, byte[][] hashes, Guid? attemptId, Instant receivedAt,
        CancellationToken cancellation)
    {
        await using var command = transaction.Connection.Command(
            """
            insert into billing.usage_events
                (tenant_id, source, id, type, subject, time, received_at, content_hash, data, attempt_id)
            select $1, source, id, type, subject, time, $9, content_hash, data, $10
            from unnest($2, $3, $4, $5, $6, $7, $8) with ordinality
                as reported (source, id, type, subject, time, content_hash, data, place)
            order by place
            on conflict (tenant_id, source, id) do nothing
            returning source, id
            """,
            [Sql.P(transaction.TenantId), .. Arrays(events, hashes), Sql.P(receivedAt), Sql.Optional(attemptId)]);

        var added = new HashSet<(string, string)>();
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
            added.Add((reader.GetString(0), reader.GetString(1)));
        return added;
    }

    private static async Task<Dictionary<(string Source, string Id), byte[]>> Hashes(
        EventTransaction transaction, IReadOnlyList<UsageEvent> events, CancellationToken cancellation)
    {
        await using var command = transaction.Connection.Command(
            """
            select source, id, content_hash from billing.usage_events
            where tenant_id = $1 and (source, id) in (select * from unnest($2, $3))
            """,
            Sql.P(transaction.TenantId),
            Sql.P([.. events.Select(it => it.Source)]),
            Sql.P([.. events.Select(it => it.Id)]));

        var known = new Dictionary<(string, string), byte[]>();
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
            known[(reader.GetString(0), reader.GetString(1))] = reader.GetFieldValue<byte[]>(2);
        return known;
    }

    // One array per column: source, id, type, subject, time, content hash, data.
    private static NpgsqlParameter[] Arrays(IReadOnlyList<UsageEvent> events, byte[][] hashes) =>
    [
        Sql.P([.. events.Select(it => it.Source)]),
        Sql.P([.. events.Select(it => it.Id)]),
        Sql.P([.. events.Select(it => it.Type)]),
        new() { Value = events.Select(it => it.Subject).ToArray(), NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Text },
        new() { Value = events.Select(it => it.Time.ToDateTimeUtc()).ToArray(), NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.TimestampTz },
        new() { Value = hashes, NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Bytea },
        new() { Value = events.Select(DataJson).ToArray(), NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Jsonb },
    ];

    private static string DataJson(UsageEvent it) =>
        JsonSerializer.Serialize(it.Data.ToDictionary(), BillingJson.Default.DictionaryStringString);
}
