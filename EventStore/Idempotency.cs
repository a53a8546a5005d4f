using Npgsql;
using static Platform.EventStore.Database;

namespace Platform.EventStore;

/// <summary>The answer that was given to an idempotent HTTP write.</summary>
public sealed record StoredResponse(int StatusCode, string? ContentType, string? Location, byte[] Body);

/// <summary>How a write with an <c>Idempotency-Key</c> goes on.</summary>
public abstract record IdempotencyClaim
{
    private IdempotencyClaim() { }

    /// <summary>
    /// The key is new, or its first try ended without an answer: do the work and call Complete or Abandon.
    /// <paramref name="RequestId"/> is a version 7 UUID made at the key's first claim and kept by every later one: whoever
    /// names new things by it cannot make them twice. A redone version 0 append then conflicts and finds its own work.
    /// </summary>
    public sealed record Claimed(Guid RequestId) : IdempotencyClaim;

    /// <summary>The same request was answered before.</summary>
    public sealed record Answered(StoredResponse Response) : IdempotencyClaim;

    /// <summary>The key was used with another request.</summary>
    public sealed record Mismatch : IdempotencyClaim;

    /// <summary>
    /// The same request runs right now elsewhere, or whoever ran it died and its lease has not ended yet: nobody can tell. The longer that
    /// goes on, the likelier is the second, so waits double up to the lease's end.
    /// </summary>
    /// <param name="AskAgainIn">At least a second.</param>
    public sealed record InProgress(TimeSpan AskAgainIn) : IdempotencyClaim
    {
        /// <param name="left">What is left of the lease.</param>
        public static InProgress Of(TimeSpan lease, TimeSpan left) =>
            new(TimeSpan.FromTicks(Math.Max(Math.Min((lease - left).Ticks, left.Ticks), TimeSpan.TicksPerSecond)));
    }
}

/// <summary>
/// Idempotency keys of HTTP writes, per tenant. A claim is a lease: when its holder dies, a retry takes it over after
/// the lease time. Work done under a claim must itself be idempotent on the key (derive ids from it), because the holder
/// may die between its commit and <see cref="Complete"/>.
/// </summary>
public sealed class IdempotencyKeys
{
    private readonly Database database;
    private readonly EventStoreOptions options;
    private readonly TimeProvider time;

    internal IdempotencyKeys(Database database, EventStoreOptions options, TimeProvider time) =>
        (this.database, this.options, this.time) = (database, options, time);

    /// <param name="fingerprint">SHA-256 over method, path and body.</param>
    public Task<IdempotencyClaim> Claim(Guid tenantId, string key, byte[] fingerprint, CancellationToken cancellation)
    {
        // A claim has a name, so that the retry of a claim whose answer was lost finds its own and not a stranger's.
        var claim = Guid.CreateVersion7();
        return database.Retry<IdempotencyClaim>(time, cancellation, async () =>
            await Take(tenantId, key, fingerprint, claim, cancellation) is { } request
                ? new IdempotencyClaim.Claimed(request)
                : await Find(tenantId, key, fingerprint, cancellation));
    }

    public Task Complete(Guid tenantId, string key, StoredResponse response, CancellationToken cancellation) =>
        Change(
            tenantId,
            $"""
            update {database.Schema}.idempotency_keys
            set status_code = $3, content_type = $4, location = $5, body = $6
            where tenant_id = $1 and key = $2 and status_code is null
            """,
            () => [Value(tenantId), Text(key), Value(response.StatusCode), Text(response.ContentType),
                Text(response.Location), Value(response.Body)],
            cancellation);

    /// <summary>Gives the key back after a failure that is worth a retry.</summary>
    public Task Abandon(Guid tenantId, string key, CancellationToken cancellation) =>
        Change(
            tenantId,
            $"""
            update {database.Schema}.idempotency_keys
            set leased_until = '-infinity'
            where tenant_id = $1 and key = $2 and status_code is null
            """,
            () => [Value(tenantId), Text(key)],
            cancellation);

    private async Task<Guid?> Take(Guid tenantId, string key, byte[] fingerprint, Guid claim, CancellationToken cancellation)
    {
        await using var batch = database.TenantRead(
            tenantId,
            $"""
            insert into {database.Schema}.idempotency_keys as k (tenant_id, key, request_id, claim_id, leased_until, fingerprint)
            values ($1, $2, $3, $4, clock_timestamp() + $5, $6)
            on conflict (tenant_id, key) do update set claim_id = excluded.claim_id, leased_until = excluded.leased_until
            where k.status_code is null and k.fingerprint = excluded.fingerprint
                and (k.leased_until < clock_timestamp() or k.claim_id = excluded.claim_id)
            returning request_id
            """,
            Value(tenantId), Text(key), Value(Guid.CreateVersion7(time.GetUtcNow())), Value(claim),
            Value(options.IdempotencyLease), Value(fingerprint));
        await using var reader = await batch.ExecuteReaderAsync(cancellation);
        await reader.NextResultAsync(cancellation);
        return await reader.ReadAsync(cancellation) ? reader.GetGuid(0) : null;
    }

    private async Task<IdempotencyClaim> Find(Guid tenantId, string key, byte[] fingerprint, CancellationToken cancellation)
    {
        await using var batch = database.TenantRead(
            tenantId,
            $"""
            select fingerprint, status_code, content_type, location, body,
                extract(epoch from greatest(leased_until, clock_timestamp()) - clock_timestamp())::float8
            from {database.Schema}.idempotency_keys where tenant_id = $1 and key = $2
            """,
            Value(tenantId), Text(key));
        await using var reader = await batch.ExecuteReaderAsync(cancellation);
        await reader.NextResultAsync(cancellation);
        if (!await reader.ReadAsync(cancellation))
            return new IdempotencyClaim.InProgress(TimeSpan.FromSeconds(1));     // forgotten this very moment; the next retry claims it

        if (!reader.GetFieldValue<byte[]>(0).AsSpan().SequenceEqual(fingerprint))
            return new IdempotencyClaim.Mismatch();
        if (await reader.IsDBNullAsync(1, cancellation))
            return IdempotencyClaim.InProgress.Of(options.IdempotencyLease, TimeSpan.FromSeconds(reader.GetDouble(5)));

        return new IdempotencyClaim.Answered(new(
            reader.GetInt32(1),
            await reader.IsDBNullAsync(2, cancellation) ? null : reader.GetString(2),
            await reader.IsDBNullAsync(3, cancellation) ? null : reader.GetString(3),
            reader.GetFieldValue<byte[]>(4)));
    }

    private Task<int> Change(Guid tenantId, string sql, Func<NpgsqlParameter[]> parameters, CancellationToken cancellation) =>
        database.Retry(time, cancellation, async () =>
        {
            await using var batch = database.TenantRead(tenantId, sql, parameters());
            return await batch.ExecuteNonQueryAsync(cancellation);
        });
}
