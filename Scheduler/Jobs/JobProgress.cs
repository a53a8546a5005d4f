using System.Text.Json;
using NodaTime;
using Npgsql;
using NpgsqlTypes;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Scheduler.Jobs;

/// <summary>
/// How far the current attempt is, as last heard. It lives beside the events and not among them: it may be lost or repeated
/// without harm, nothing is decided by it, and a long job would bury its history under it. A rebuild of the job views
/// does not bring it back; the next report does.
/// </summary>
/// <param name="Fraction">Done, 0 to 1.</param>
/// <param name="Message">For people: epoch, loss.</param>
public sealed record JobProgress(AttemptId AttemptId, decimal Fraction, string Message, Instant At)
{
    public const string Table = "job_progress";

    /// <summary>Keeps the report if its attempt is the job's current one and nothing newer is known.</summary>
    internal static async Task Keep(EventTransaction transaction, JobId job, JobProgress progress, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand(
            """
            insert into scheduler.job_progress as known (tenant_id, id, version, data)
            select tenant_id, id, 1, $4 from scheduler.job_views
            where tenant_id = $1 and id = $2 and data->>'status' in ('placed', 'running')
                and data->'attempts'->-1->>'attempt_id' = $3
            on conflict (tenant_id, id) do update set data = excluded.data, version = known.version + 1
            where known.data->>'attempt_id' <> excluded.data->>'attempt_id'
                or (known.data->>'at')::timestamptz < (excluded.data->>'at')::timestamptz
            """,
            transaction.Connection)
        {
            Parameters =
            {
                new() { Value = transaction.TenantId },
                new() { Value = job.Value },
                new() { Value = progress.AttemptId.ToString() },
                new()
                {
                    Value = JsonSerializer.Serialize(progress, SchedulerJson.Stored<JobProgress>()),
                    NpgsqlDbType = NpgsqlDbType.Jsonb,
                },
            },
        };
        await command.ExecuteNonQueryAsync(cancellation);
    }
}
