using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Billing.Subscriptions;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;
using Subscription = Platform.Billing.Subscriptions.Subscription;

namespace Platform.Billing.Invoices;

/// <summary>
/// Shows the invoice that running periods would end on if nothing more were used until then. Nothing is stored, and no credit of
/// earlier invoices is set off.
/// </summary>
public sealed class PreviewInvoice(
    EventStore.EventStore store, Documents documents, BillingDatabase database, ComposeInvoice compose, TenantClock clock)
{
    /// <param name="SubscriptionId">The invoice on which its running period ends; of the first to end if absent.</param>
    public sealed record Preview(SubscriptionId? SubscriptionId = null);

    public static void Map(RouteGroupBuilder invoices) => invoices.MapPost("/preview", Handle).WithName(nameof(PreviewInvoice));

    /// <summary>Those periods among the running ones that end together: with the chosen subscription's, or first.</summary>
    public static IReadOnlyList<EndingPeriod> EndingTogether(
        IEnumerable<(SubscriptionId Id, Subscription Subscription)> running, SubscriptionId? chosen)
    {
        var ending = running
            .Where(it => it.Subscription is { Exists: true, EndedAt: null })
            .Select(it => new EndingPeriod(
                it.Id, it.Subscription, new BillingPeriod(it.Subscription.PeriodStart, it.Subscription.PeriodEnd)))
            .ToList();
        var end = chosen is { } id
            ? ending.FirstOrDefault(it => it.SubscriptionId == id)?.Period.End
            : ending.Count > 0 ? ending.Min(it => it.Period.End) : null;
        return [.. ending.Where(it => it.Period.End == end).OrderBy(it => it.Subscription.Plans[0].Start).ThenBy(it => it.SubscriptionId.Value)];
    }

    /// <summary>The tenant's subscriptions that have a running period.</summary>
    public async Task<IReadOnlyList<(SubscriptionId Id, Subscription Subscription)>> Running(TenantId tenant, CancellationToken cancellation)
    {
        var running = new List<(SubscriptionId, Subscription)>();
        foreach (var id in await BillingPeriodRows.Running(database, tenant, cancellation))
        {
            var (subscription, _) = await store.Load<Subscription, SubscriptionEvent>(Subscription.Stream(tenant, id), cancellation);
            running.Add((id, subscription));
        }

        return running;
    }

    /// <summary>The invoice as it stands now.</summary>
    /// <param name="ending">At least one period, as <see cref="EndingTogether"/> gave them.</param>
    public async Task<InvoiceView> Draft(TenantId tenant, IReadOnlyList<EndingPeriod> ending, CancellationToken cancellation)
    {
        var now = await clock.Now(tenant, cancellation);
        var content = await database.Read(
            tenant,
            async connection => await compose.Compose(
                connection, tenant, ending, await InvoiceTerms.Read(connection, documents, tenant, now, cancellation),
                await PeriodUsage.NewestPosition(connection, tenant, cancellation), cancellation),
            cancellation);
        var draft = DraftInvoice.Decide(new(InvoiceId.New(), tenant, content!, now), Invoice.Initial);
        return draft.Events.Aggregate((InvoiceView?)null, InvoiceView.Fold)!;
    }

    private static async Task<Results<Ok<InvoiceView>, ProblemHttpResult>> Handle(
        Preview request, Caller caller, PreviewInvoice previews, CancellationToken cancellation)
    {
        var ending = EndingTogether(await previews.Running(caller.TenantId, cancellation), request.SubscriptionId);
        return ending.Count == 0
            ? Problems.NotFound("subscription")
            : TypedResults.Ok(await previews.Draft(caller.TenantId, ending, cancellation));
    }
}
