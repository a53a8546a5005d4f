using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.ServiceDefaults;

namespace Platform.Billing.Usage;

/// <summary>One attempt at a tenant's job, and how many signed batches the ledger holds of it.</summary>
public sealed record AttemptView(AttemptId AttemptId, JobId JobId, WorkerId WorkerId, Instant PlacedAt, long Batches)
{
    public const string Columns =
        """
        attempt_id, job_id, worker_id, placed_at,
        (select count(*) from billing.usage_batches taken
         where taken.tenant_id = usage_attempts.tenant_id and taken.attempt_id = usage_attempts.attempt_id)
        """;

    public static void Map(RouteGroupBuilder usage)
    {
        usage.MapGet("/attempts", List).WithName("ListAttempts");
        usage.MapGet("/attempts/{id}/chain", AttemptChain.Get).WithName("GetAttemptChain");
    }

    public static AttemptView Row(Npgsql.NpgsqlDataReader row) => new(
        new(row.GetGuid(0)), new(row.GetGuid(1)), new(row.GetGuid(2)), row.Instant(3), row.GetInt64(4));

    private static async Task<Ok<Page<AttemptView>>> List(
        [AsParameters] PageQuery page, JobId? job_id, Caller caller, BillingDatabase database, CancellationToken cancellation)
    {
        var rows = await database.Read(
            caller.TenantId,
            $"""
            select {Columns} from billing.usage_attempts
            where tenant_id = $1 and ($2 is null or job_id = $2) and ($3 is null or attempt_id > $3)
            order by attempt_id limit $4
            """,
            Row,
            cancellation,
            Sql.P(caller.TenantId.Value), Sql.Optional(job_id?.Value), Sql.Optional(page.After), Sql.P(page.Size + 1));
        return TypedResults.Ok(page.Of(rows, attempt => attempt.AttemptId.Value));
    }
}

/// <summary>
/// Everything a tenant needs to verify an attempt's bill by itself: the batches as the worker signed them, the worker's key, and
/// what our own verification says. <c>UsageChain</c> in the contracts says what is hashed and signed.
/// </summary>
/// <param name="PublicKey">ECDSA P-256 subject public key info, base64; null before the worker registered.</param>
/// <param name="Fault">The first batch that is wrong or missing; null where the chain holds.</param>
public sealed record AttemptChain(
    AttemptId AttemptId, JobId JobId, WorkerId WorkerId, string? PublicKey, bool Verified, ChainFault? Fault,
    IReadOnlyList<UsageReported> Batches)
{
    internal static async Task<Results<Ok<AttemptChain>, ProblemHttpResult>> Get(
        AttemptId id, Caller caller, BillingDatabase database, CancellationToken cancellation)
    {
        var found = await database.Read(
            caller.TenantId,
            $"select {AttemptView.Columns} from billing.usage_attempts where tenant_id = $1 and attempt_id = $2",
            AttemptView.Row, cancellation, Sql.P(caller.TenantId.Value), Sql.P(id.Value));
        if (found is not [var attempt])
            return Problems.NotFound("attempt");

        var batches = await database.Read(
            caller.TenantId,
            "select batch from billing.usage_batches where tenant_id = $1 and attempt_id = $2 order by sequence",
            row => JsonSerializer.Deserialize(row.GetString(0), Stored.Json<UsageReported>())!,
            cancellation, Sql.P(caller.TenantId.Value), Sql.P(id.Value));
        var keys = await database.Read(
            caller.TenantId,
            "select public_key from billing.worker_keys where worker_id = $1 order by registered_at desc",
            row => row.GetString(0), cancellation, Sql.P(attempt.WorkerId.Value));

        // A worker may have got another key since; the chain is held against the one that signed its first batch.
        var key = batches is [var first, ..] ? keys.FirstOrDefault(it => UsageChain.IsSignedBy(first, it)) : null;
        key ??= keys is [var newest, ..] ? newest : null;
        var fault = batches.Count == 0 || key is null ? null : UsageChain.Verify(batches, key);
        return TypedResults.Ok(new AttemptChain(
            attempt.AttemptId, attempt.JobId, attempt.WorkerId, key, Verified: key is not null && fault is null, fault, batches));
    }
}
