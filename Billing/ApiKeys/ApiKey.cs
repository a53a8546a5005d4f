using System.Diagnostics;
using System.Text.Json.Serialization;
using NodaTime;
using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.EventStore;

namespace Platform.Billing.ApiKeys;

[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(ApiKeyIssued), "api_key.issued.v1")]
[JsonDerivedType(typeof(ApiKeyRevoked), "api_key.revoked.v1")]
public abstract record ApiKeyEvent;

/// <param name="KeyHash">SHA-256 of the whole key, lower-case hexadecimal. The key itself is nowhere.</param>
/// <param name="Salt">What <see cref="ApiKeySecret"/> mixed with the issuer's own key; worthless without it. Hexadecimal.</param>
public sealed record ApiKeyIssued(
    ApiKeyId ApiKeyId, TenantId TenantId, ApiKeyScope Scope, string Name, string KeyHash, string Salt,
    Instant At) : ApiKeyEvent;

public sealed record ApiKeyRevoked(ApiKeyId ApiKeyId, Instant At) : ApiKeyEvent;

public enum ApiKeyStatus
{
    Missing,
    Active,
    Revoked,
}

public sealed record ApiKey(ApiKeyStatus Status, ApiKeyIssued? Issued) : IEvolve<ApiKey, ApiKeyEvent>
{
    public static ApiKey Initial => new(ApiKeyStatus.Missing, Issued: null);

    public static StreamId Stream(TenantId tenant, ApiKeyId key) => new(tenant.Value, "api_key", key.Value);

    public static ApiKey Evolve(ApiKey key, ApiKeyEvent @event) => @event switch
    {
        ApiKeyIssued issued => new(ApiKeyStatus.Active, issued),
        ApiKeyRevoked => key with { Status = ApiKeyStatus.Revoked },
        _ => throw new UnreachableException($"ApiKey does not know {@event.GetType().Name}."),
    };
}
