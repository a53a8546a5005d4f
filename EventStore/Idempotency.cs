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

    /// <summary>The same request runs right now elsewhere.</summary>
    public sealed record InProgress : IdempotencyClaim;
}

/// <summary>
/// Idempotency keys of HTTP writes, per tenant. A claim is a lease: when its holder dies, a retry takes it over after
/// the lease time. Work done under a claim must itself be idempotent on the key (derive ids from it), because the holder
/// may die between its commit and <see cref="Complete"/>.
/// </summary>
public sealed class IdempotencyKeys
{
    /// <param name="fingerprint">SHA-256 over method, path and body.</param>
    public Task<IdempotencyClaim> Claim(Guid tenantId, string key, byte[] fingerprint, CancellationToken cancellation) =>
        throw new NotImplementedException();

    public Task Complete(Guid tenantId, string key, StoredResponse response, CancellationToken cancellation) =>
        throw new NotImplementedException();

    /// <summary>Gives the key back after a failure that is worth a retry.</summary>
    public Task Abandon(Guid tenantId, string key, CancellationToken cancellation) => throw new NotImplementedException();
}
