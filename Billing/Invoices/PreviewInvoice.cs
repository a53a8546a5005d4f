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

    /// <summary>
    /// Periods that end together stand on one invoice: those that end first come first, and of each invoice the oldest subscription.
    /// </summary>
    public static IReadOnlyList<IReadOnlyList<EndingPeriod>> ByEnd(IEnumerable<EndingPeriod> running) =>
    [
        .. running.OrderBy(it => it.Subscription.Plans[0].Start).ThenBy(it => it.SubscriptionId.Value)
            .GroupBy(it => it.Period.End).OrderBy(together => together.Key)
            .Select(together => (IReadOnlyList<EndingPeriod>)[.. together]),
    ];

    /// <summary>The tenant's running periods, by their end.</summary>
    public async Task<IReadOnlyList<IReadOnlyList<EndingPeriod>>> Running(TenantId tenant, CancellationToken cancellation)
    {
        var running = new List<EndingPeriod>();
        foreach (var id in await BillingPeriodRows.Running(database, tenant, cancellation))
        {
            var (subscription, _) = await store.Load<Subscription, SubscriptionEvent>(Subscription.Stream(tenant, id), cancellation);
            if (subscription is { Exists: true, EndedAt: null })
                running.Add(new(id, subscription, new(subscription.PeriodStart, subscription.PeriodEnd)));
        }

        return ByEnd(running);
    }

    /// <summary>The invoice as it stands now.</summary>
    /// <param name="ending">At least one period, as <see cref="ByEnd"/> gave them.</param>
    public async Task<InvoiceView> Draft(TenantId tenant, IReadOnlyList<EndingPeriod> ending, CancellationToken cancellation)
    {
        var now = await clock.Now(tenant, cancellation);
        var content = await database.Read(
            tenant,
            async connection => await compose.Compose(
                new(connection), tenant, ending, await InvoiceTerms.Read(connection, documents, tenant, now, cancellation),
                await PeriodUsage.NewestPosition(connection, tenant, cancellation), cancellation),
            cancellation);
        var draft = DraftInvoice.Decide(new(InvoiceId.New(), tenant, content!, now), Invoice.Initial);
        return draft.Events.Aggregate((InvoiceView?)null, InvoiceView.Fold)!;
    }

    private static async Task<Results<Ok<InvoiceView>, ProblemHttpResult>> Handle(
        Preview request, Caller caller, PreviewInvoice previews, CancellationToken cancellation)
    {
        var ending = (await previews.Running(caller.TenantId, cancellation))
            .FirstOrDefault(together => request.SubscriptionId is not { } id || together.Any(it => it.SubscriptionId == id));
        return ending is null
            ? Problems.NotFound("subscription")
            : TypedResults.Ok(await previews.Draft(caller.TenantId, ending, cancellation));
    }
}
