using System.Diagnostics;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.ApiKeys;

/// <summary>A key as its tenant sees it. Nobody sees the key itself after it was issued.</summary>
public sealed record ApiKeyView(ApiKeyId ApiKeyId, string Name, ApiKeyScope Scope, Instant IssuedAt, Instant? RevokedAt)
{
    public static void Map(RouteGroupBuilder keys) => keys.MapGet("/", List).WithName("ListApiKeys");

    private static Task<Ok<Page<ApiKeyView>>> List(
        [AsParameters] PageQuery page, Caller caller, Documents documents, CancellationToken cancellation) =>
        documents.PageOf<ApiKeyRecord, ApiKeyView>(
            caller.TenantId, ApiKeyRecord.Table, page, newestFirst: false, key => key.ToView(), cancellation);
}

/// <summary>A key as it is stored and looked up.</summary>
public sealed record ApiKeyRecord(
    ApiKeyId ApiKeyId, TenantId TenantId, string Name, ApiKeyScope Scope, string KeyHash, Instant IssuedAt, Instant? RevokedAt)
{
    public const string Table = "api_keys";

    public ApiKeyView ToView() => new(ApiKeyId, Name, Scope, IssuedAt, RevokedAt);
}

public sealed class ApiKeyProjection : DocumentProjection<ApiKeyRecord, ApiKeyEvent>
{
    public override string Name => "api_keys";

    protected override string Table => ApiKeyRecord.Table;

    protected override JsonTypeInfo<ApiKeyRecord> Json => Stored.Json<ApiKeyRecord>();

    protected override ApiKeyRecord? Fold(ApiKeyRecord? view, ApiKeyEvent @event, RecordedEvent recorded) => (view, @event) switch
    {
        (_, ApiKeyIssued it) => new(it.ApiKeyId, it.TenantId, it.Name, it.Scope, it.KeyHash, it.At, RevokedAt: null),
        ({ } issued, ApiKeyRevoked it) => issued with { RevokedAt = it.At },
        _ => throw new UnreachableException($"{@event.GetType().Name} cannot follow {view}."),
    };
}
