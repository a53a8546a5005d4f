using System.Diagnostics;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Entitlements;

/// <summary>What a tenant may use, as it reads it. What is not named here is not bounded.</summary>
/// <param name="Version">0 where nothing was ever stated.</param>
/// <param name="ChangedAt">Null where nothing was ever stated.</param>
public sealed record EntitlementsView(
    TenantId TenantId, long Version, IReadOnlyList<string> Features, IReadOnlyList<EntitledLimit> Limits, Instant? ChangedAt)
{
    public const string Table = "entitlements";

    public static void Map(RouteGroupBuilder entitlements) => entitlements.MapGet("/", Get).WithName("GetEntitlements");

    private static async Task<Ok<EntitlementsView>> Get(Caller caller, Documents documents, CancellationToken cancellation) =>
        TypedResults.Ok(
            await documents.Find(
                caller.TenantId.Value, Table, caller.TenantId.Value, Stored.Json<EntitlementsView>(), cancellation)
            ?? new(caller.TenantId, Version: 0, Features: [], Limits: [], ChangedAt: null));
}

public sealed class EntitlementsProjection : DocumentProjection<EntitlementsView, EntitlementsEvent>
{
    public override string Name => "entitlements";

    protected override string Table => EntitlementsView.Table;

    protected override JsonTypeInfo<EntitlementsView> Json => Stored.Json<EntitlementsView>();

    protected override EntitlementsView? Fold(EntitlementsView? view, EntitlementsEvent @event, RecordedEvent recorded) =>
        @event switch
        {
            EntitlementsChanged it => new(it.TenantId, it.Version, it.Grants.Features, it.Grants.Limits, it.At),
            _ => throw new UnreachableException($"EntitlementsView does not know {@event.GetType().Name}."),
        };
}
