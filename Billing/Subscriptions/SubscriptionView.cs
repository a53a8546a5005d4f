using System.Diagnostics;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Subscriptions;

/// <summary>The subscription as people read it.</summary>
/// <param name="LastInvoiceId">The invoice of the period before the running one.</param>
public sealed record SubscriptionView(
    SubscriptionId SubscriptionId, PlanId PlanId, int PlanVersion, string TimeZone, int BillingAnchorDay, Instant StartedAt,
    SubscriptionView.RunningPeriod CurrentPeriod, InvoiceId? LastInvoiceId)
{
    public const string Table = "subscriptions";

    /// <param name="Start">Included.</param>
    /// <param name="End">Excluded.</param>
    public sealed record RunningPeriod(int Number, Instant Start, Instant End);

    public static void Map(RouteGroupBuilder subscriptions)
    {
        subscriptions.MapGet("/", List).WithName("ListSubscriptions");
        subscriptions.MapGet("/{id}", Get).WithName("GetSubscription");
    }

    public static Task<SubscriptionView?> Find(
        Documents documents, TenantId tenant, SubscriptionId id, CancellationToken cancellation) =>
        documents.Find(tenant.Value, Table, id.Value, Stored.Json<SubscriptionView>(), cancellation);

    private static async Task<Ok<Page<SubscriptionView>>> List(
        [AsParameters] PageQuery page, Caller caller, Documents documents, CancellationToken cancellation)
    {
        var rows = await documents.List(
            caller.TenantId.Value, Table, Stored.Json<SubscriptionView>(), page.Size + 1, page.After, newestFirst: false,
            cancellation);
        return TypedResults.Ok(page.Of([.. rows.Select(row => row.View)], it => it.SubscriptionId.Value));
    }

    private static async Task<Results<Ok<SubscriptionView>, ProblemHttpResult>> Get(
        SubscriptionId id, Caller caller, Documents documents, CancellationToken cancellation) =>
        await Find(documents, caller.TenantId, id, cancellation) is { } subscription
            ? TypedResults.Ok(subscription)
            : Problems.NotFound("subscription");
}

public sealed class SubscriptionProjection : DocumentProjection<SubscriptionView, SubscriptionEvent>
{
    public override string Name => "subscriptions";

    protected override string Table => SubscriptionView.Table;

    protected override JsonTypeInfo<SubscriptionView> Json => Stored.Json<SubscriptionView>();

    protected override SubscriptionView? Fold(SubscriptionView? view, SubscriptionEvent @event, RecordedEvent recorded) =>
        (view, @event) switch
        {
            (_, SubscriptionStarted it) => new(
                it.SubscriptionId, it.PlanId, it.PlanVersion, it.TimeZone, it.BillingAnchorDay, it.StartedAt,
                new(1, it.StartedAt, it.PeriodEnd), LastInvoiceId: null),
            ({ } open, PeriodClosed it) => open with
            {
                CurrentPeriod = new(it.Number + 1, it.End, it.NextEnd),
                LastInvoiceId = it.InvoiceId,
            },
            _ => throw new UnreachableException($"{@event.GetType().Name} cannot follow {view}."),
        };
}
