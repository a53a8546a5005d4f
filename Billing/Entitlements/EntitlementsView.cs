using System.Diagnostics;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Entitlements;

/// <summary>What a tenant may use, as other processes were told.</summary>
public sealed record EntitlementsRecord(TenantId TenantId, long Version, Grants Grants, Instant ChangedAt)
{
    public const string Table = "entitlements";

    /// <summary>Null where nothing was ever stated.</summary>
    public static Task<EntitlementsRecord?> Find(Documents documents, TenantId tenant, CancellationToken cancellation) =>
        documents.Find(tenant.Value, Table, tenant.Value, Stored.Json<EntitlementsRecord>(), cancellation);
}

/// <summary>What a tenant may use, and what it has used, as it reads it now. What is not named here is not bounded.</summary>
/// <param name="Version">What other processes were told last; 0 where nothing was ever stated.</param>
/// <param name="ChangedAt">Null where nothing was ever stated.</param>
public sealed record EntitlementsView(
    TenantId TenantId, long Version, IReadOnlyList<string> Features, IReadOnlyList<EntitlementsView.LimitView> Limits, Instant? ChangedAt)
{
    /// <param name="Max">The most that is within the limit, of all subscriptions and their quantities together.</param>
    /// <param name="Meter">With <c>usage</c>: the key of the meter.</param>
    /// <param name="Period">With <c>usage</c>: what was used in this billing period counts.</param>
    /// <param name="Used">With <c>usage</c>: what the meter measured in the period.</param>
    /// <param name="Remaining">With <c>usage</c>: 0 or above.</param>
    /// <param name="Reached">
    /// With <c>usage</c>: nothing remains. Where the limit is hard, further jobs are refused within a minute or so.
    /// </param>
    public sealed record LimitView(
        string Limit, decimal Max, LimitMode Mode,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Meter = null,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] LimitPeriod? Period = null,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] decimal? Used = null,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] decimal? Remaining = null,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] bool? Reached = null);

    /// <param name="Start">Included.</param>
    /// <param name="End">Excluded.</param>
    public sealed record LimitPeriod(Instant Start, Instant End);

    public static void Map(RouteGroupBuilder entitlements) => entitlements.MapGet("/", Get).WithName("GetEntitlements");

    private static async Task<Ok<EntitlementsView>> Get(
        Caller caller, Documents documents, BillingDatabase database, TenantClock clock, CancellationToken cancellation)
    {
        var now = await clock.Now(caller.TenantId, cancellation);
        var current = await database.Read(
            caller.TenantId, connection => CurrentEntitlements.Read(connection, caller.TenantId, documents, now, cancellation), cancellation);
        var told = await EntitlementsRecord.Find(documents, caller.TenantId, cancellation);
        return TypedResults.Ok(new EntitlementsView(
            caller.TenantId, told?.Version ?? 0, current.Grants.Features,
            [
                .. current.Grants.Limits.Where(limit => !limit.IsUsage).Select(limit => new LimitView(limit.Limit, limit.Max, limit.Mode)),
                .. current.Usage.Select(it => new LimitView(
                    it.Limit.Limit, it.Limit.Max, it.Limit.Mode, it.Limit.Meter, new(it.Period.Start, it.Period.End), it.Used, it.Remaining,
                    it.IsReached)),
            ],
            told?.ChangedAt));
    }
}

public sealed class EntitlementsProjection : DocumentProjection<EntitlementsRecord, EntitlementsEvent>
{
    public override string Name => "entitlements";

    protected override string Table => EntitlementsRecord.Table;

    protected override JsonTypeInfo<EntitlementsRecord> Json => Stored.Json<EntitlementsRecord>();

    protected override EntitlementsRecord? Fold(EntitlementsRecord? view, EntitlementsEvent @event, RecordedEvent recorded) =>
        @event switch
        {
            EntitlementsChanged it => new(it.TenantId, it.Version, it.Grants, it.At),
            _ => throw new UnreachableException($"Entitlements do not know {@event.GetType().Name}."),
        };
}
