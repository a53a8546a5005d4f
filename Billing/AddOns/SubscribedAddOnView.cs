using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Npgsql;
using Platform.Billing.Subscriptions;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.AddOns;

/// <summary>An add-on that a subscription has or had.</summary>
/// <param name="Amount">Of one of it: for each whole billing period, or once.</param>
/// <param name="RemovedAt">Null while the subscription has it.</param>
/// <param name="TaxCategory">The category of products by which it is taxed; absent for <c>standard</c>.</param>
public sealed record SubscribedAddOnView(
    SubscribedAddOnId SubscribedAddOnId, SubscriptionId SubscriptionId, AddOnId AddOnId, string DisplayName, Money Amount,
    AddOnKind Kind, int Quantity, Instant AttachedAt, Instant? RemovedAt,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] ProductId? ProductId = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? TaxCategory = null)
{
    public const string Table = "subscribed_add_ons";

    private static readonly SharedQuery<(TenantId Tenant, SubscriptionId Id), SubscribedAddOnView> ofSubscriptions = new(
        """
        select place, data from unnest($1, $2) with ordinality asked (tenant_id, subscription_id, place)
        join billing.subscribed_add_ons added
          on added.tenant_id = asked.tenant_id and data ->> 'subscription_id' = asked.subscription_id order by added.id
        """,
        asked => [Sql.P([.. asked.Select(it => it.Tenant.Value)]), Sql.P([.. asked.Select(it => it.Id.ToString())])],
        row => JsonSerializer.Deserialize(row.GetFieldValue<byte[]>(1), Stored.Json<SubscribedAddOnView>())!);

    public static void Map(RouteGroupBuilder subscriptions) =>
        subscriptions.MapGet("/{id}/add-ons", List).WithName("ListSubscribedAddOns");

    public static Task<SubscribedAddOnView?> Find(
        Documents documents, TenantId tenant, SubscribedAddOnId addOn, CancellationToken cancellation) =>
        documents.Find(tenant.Value, Table, addOn.Value, Stored.Json<SubscribedAddOnView>(), cancellation);

    /// <summary>Those that a subscription ever had, oldest first, as they are in the transaction.</summary>
    public static Answer<IReadOnlyList<SubscribedAddOnView>> Of(RoundTrip together, TenantId tenant, SubscriptionId subscription) =>
        together.Ask(ofSubscriptions, (tenant, subscription));

    private static async Task<Results<Ok<Page<SubscribedAddOnView>>, ProblemHttpResult>> List(
        SubscriptionId id, [AsParameters] PageQuery page, Caller caller, Documents documents, CancellationToken cancellation) =>
        await SubscriptionView.Find(documents, caller.TenantId, id, cancellation) is null
            ? Problems.NotFound("subscription")
            : await documents.PageOf<SubscribedAddOnView>(
                caller.TenantId, Table, page, newestFirst: false, cancellation, "data ->> 'subscription_id' = $1",
                Sql.P(id.ToString()));
}

public sealed class SubscribedAddOnProjection : DocumentProjection<SubscribedAddOnView, SubscribedAddOnEvent>
{
    public override string Name => "subscribed_add_ons";

    protected override string Table => SubscribedAddOnView.Table;

    protected override JsonTypeInfo<SubscribedAddOnView> Json => Stored.Json<SubscribedAddOnView>();

    protected override SubscribedAddOnView? Fold(SubscribedAddOnView? view, SubscribedAddOnEvent @event, RecordedEvent recorded) =>
        (view, @event) switch
        {
            (_, AddOnAttached it) => new(
                it.SubscribedAddOnId, it.SubscriptionId, it.AddOnId, it.DisplayName, it.Amount, it.Kind, it.Quantity, it.At,
                RemovedAt: null, it.ProductId, it.TaxCategory),
            ({ } attached, AddOnRemoved it) => attached with { RemovedAt = it.At },
            _ => throw new UnreachableException($"{@event.GetType().Name} cannot follow {view}."),
        };
}
