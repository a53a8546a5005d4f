using System.Text.Json;
using MassTransit;
using NodaTime;
using Npgsql;
using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.EventStore;

namespace Platform.Billing.Usage;

/// <summary>
/// Takes a worker's signed batch into the ledger, or into quarantine: never both, never neither. A batch is known by attempt and
/// sequence number, so a redelivery finds its own work and changes nothing.
/// </summary>
public sealed class TakeUsageBatch(EventStore.EventStore store, BillingDatabase database, TimeProvider clock)
{
    /// <returns>Null where the batch is in the ledger, else the code that it is in quarantine for.</returns>
    public async Task<string?> Take(UsageReported batch, Cause cause, CancellationToken cancellation)
    {
        var foreign = await ForeignAttempt(batch, cancellation);
        return await store.Transact(
            batch.TenantId.Value,
            cause,
            (transaction, token) => Take(transaction, batch, foreign, clock.Now(), token),
            cancellation);
    }

    /// <summary>Tries the tenant's batches again that waited for a placement or a worker's key.</summary>
    internal static async Task Release(
        EventTransaction transaction, string code, Guid? attempt, Guid? worker, Instant now, CancellationToken cancellation)
    {
        var waiting = new List<UsageReported>();
        await using (var command = transaction.Connection.Command(
            """
            delete from billing.usage_quarantine
            where tenant_id = $1 and code = $2 and ($3 is null or attempt_id = $3) and ($4 is null or worker_id = $4)
            returning batch
            """,
            Sql.P(transaction.TenantId), Sql.P(code), Sql.Optional(attempt), Sql.Optional(worker)))
        await using (var reader = await command.ExecuteReaderAsync(cancellation))
        {
            while (await reader.ReadAsync(cancellation))
                waiting.Add(JsonSerializer.Deserialize(reader.GetString(0), Stored.Json<UsageReported>())!);
        }

        foreach (var batch in waiting.OrderBy(batch => batch.Sequence))
            await Take(transaction, batch, foreign: null, now, cancellation);
    }

    private static async Task<string?> Take(
        EventTransaction transaction, UsageReported batch, PlacedAttempt? foreign, Instant now, CancellationToken cancellation)
    {
        var connection = transaction.Connection;
        var (mine, before, after) = await Neighbours(connection, batch, cancellation);
        if (mine == batch.Hash)
            return null;

        var context = new BatchContext(
            await Attempt(connection, batch, cancellation) ?? foreign, await WorkerKeys(connection, batch.WorkerId, cancellation),
            before, after, now);
        var fault = UsageBatchCheck.Fault(batch, context) ?? (mine is null ? null : "sequence_repeated");
        var reportedBy = $"worker/{batch.WorkerId}";
        if (fault is not null)
        {
            await Quarantine(connection, batch, fault, now, cancellation);
            // The worker signed two contents for one number. The tenant sees both, and pays for the first.
            if (mine is not null && fault is ("sequence_repeated" or "link_broken"))
                await UsageLedger.ListConflicts(transaction, UsageOfBatch.Events(batch), reportedBy, now, cancellation);
            return fault;
        }

        await using var insert = connection.Command(
            """
            insert into billing.usage_batches (tenant_id, attempt_id, sequence, hash, batch, received_at)
            values ($1, $2, $3, $4, $5, $6)
            """,
            Sql.P(batch.TenantId.Value), Sql.P(batch.AttemptId.Value), Sql.P(batch.Sequence), Sql.P(batch.Hash),
            Sql.Json(Json(batch)), Sql.P(now));
        await insert.ExecuteNonQueryAsync(cancellation);

        var outcomes = await UsageLedger.Append(
            transaction, UsageOfBatch.Events(batch), batch.AttemptId.Value, reportedBy, now, cancellation);
        if (outcomes.Any(outcome => outcome != UsageOutcome.Accepted))
            throw new InvalidOperationException($"Events of {batch.AttemptId} batch {batch.Sequence} were in the ledger before it.");
        return null;
    }

    // A batch names the tenant it claims to be for. If the attempt is another tenant's, row-level security hides it from that
    // tenant's transaction, and the batch would wait for a placement that never comes.
    private async Task<PlacedAttempt?> ForeignAttempt(UsageReported batch, CancellationToken cancellation)
    {
        var found = await database.ReadAllTenants(
            "select tenant_id, job_id, worker_id from billing.usage_attempts where attempt_id = $1 and tenant_id <> $2",
            row => new PlacedAttempt(batch.AttemptId, new(row.GetGuid(0)), new(row.GetGuid(1)), new(row.GetGuid(2))),
            cancellation,
            Sql.P(batch.AttemptId.Value), Sql.P(batch.TenantId.Value));
        return found is [var attempt] ? attempt : null;
    }

    private static async Task<PlacedAttempt?> Attempt(
        NpgsqlConnection connection, UsageReported batch, CancellationToken cancellation)
    {
        await using var command = connection.Command(
            "select job_id, worker_id from billing.usage_attempts where tenant_id = $1 and attempt_id = $2",
            Sql.P(batch.TenantId.Value), Sql.P(batch.AttemptId.Value));
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        return await reader.ReadAsync(cancellation)
            ? new(batch.AttemptId, batch.TenantId, new(reader.GetGuid(0)), new(reader.GetGuid(1)))
            : null;
    }

    // The shared lock makes this wait for a registration that is being stored right now, and the registration for us: it then
    // sees the batch that it must release.
    private static async Task<IReadOnlyCollection<string>> WorkerKeys(
        NpgsqlConnection connection, WorkerId worker, CancellationToken cancellation)
    {
        await using (var locking = connection.Command(
            "select pg_advisory_xact_lock_shared(hashtextextended('worker_keys/' || $1, 0))", Sql.P(worker.ToString())))
        {
            await locking.ExecuteNonQueryAsync(cancellation);
        }

        await using var command = connection.Command(
            "select public_key from billing.worker_keys where worker_id = $1", Sql.P(worker.Value));
        var keys = new List<string>();
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
            keys.Add(reader.GetString(0));
        return keys;
    }

    private static async Task<(string? Mine, string? Before, string? NamedByNext)> Neighbours(
        NpgsqlConnection connection, UsageReported batch, CancellationToken cancellation)
    {
        await using var command = connection.Command(
            """
            select sequence - $3, hash, batch ->> 'previous_hash' from billing.usage_batches
            where tenant_id = $1 and attempt_id = $2 and sequence between $3 - 1 and $3 + 1
            """,
            Sql.P(batch.TenantId.Value), Sql.P(batch.AttemptId.Value),
            Sql.P(Math.Clamp(batch.Sequence, long.MinValue + 1, long.MaxValue - 1)));
        (string? Mine, string? Before, string? NamedByNext) found = default;
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
        {
            found = reader.GetInt64(0) switch
            {
                -1 => found with { Before = reader.GetString(1) },
                0 => found with { Mine = reader.GetString(1) },
                _ => found with { NamedByNext = reader.GetString(2) },
            };
        }

        return found;
    }

    private static async Task Quarantine(
        NpgsqlConnection connection, UsageReported batch, string code, Instant now, CancellationToken cancellation)
    {
        await using var command = connection.Command(
            """
            insert into billing.usage_quarantine
                (tenant_id, id, code, attempt_id, worker_id, sequence, hash, batch, received_at)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
            on conflict (tenant_id, attempt_id, sequence, hash) do nothing
            """,
            Sql.P(batch.TenantId.Value), Sql.P(Guid.CreateVersion7(now.ToDateTimeOffset())), Sql.P(code),
            Sql.P(batch.AttemptId.Value), Sql.P(batch.WorkerId.Value), Sql.P(batch.Sequence), Sql.P(batch.Hash),
            Sql.Json(Json(batch)), Sql.P(now));
        await command.ExecuteNonQueryAsync(cancellation);
    }

    private static string Json(UsageReported batch) => JsonSerializer.Serialize(batch, Stored.Json<UsageReported>());
}

/// <summary>Metered use from workers.</summary>
public sealed partial class UsageReportedConsumer(TakeUsageBatch usage, ILogger<UsageReportedConsumer> logger)
    : IConsumer<UsageReported>
{
    public async Task Consume(ConsumeContext<UsageReported> context)
    {
        var batch = context.Message;
        var cause = new Cause(context.CorrelationId ?? context.ConversationId, context.MessageId, $"worker/{batch.WorkerId}");
        if (await usage.Take(batch, cause, context.CancellationToken) is { } code)
            Quarantined(batch.AttemptId, batch.Sequence, code);
    }

    [LoggerMessage(EventId = 20, Level = LogLevel.Warning, Message = "Batch {Sequence} of attempt {AttemptId} is in quarantine: {Code}")]
    private partial void Quarantined(AttemptId attemptId, long sequence, string code);
}
