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
public static class PreviewInvoice
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

    private static async Task<Results<Ok<InvoiceView>, ProblemHttpResult>> Handle(
        Preview request, Caller caller, EventStore.EventStore store, Documents documents, BillingDatabase database,
        ComposeInvoice compose, TenantClock clock, CancellationToken cancellation)
    {
        var running = new List<(SubscriptionId, Subscription)>();
        foreach (var id in await BillingPeriodRows.Running(database, caller.TenantId, cancellation))
        {
            var (subscription, _) = await store.Load<Subscription, SubscriptionEvent>(
                Subscription.Stream(caller.TenantId, id), cancellation);
            running.Add((id, subscription));
        }

        var ending = EndingTogether(running, request.SubscriptionId);
        if (ending.Count == 0)
            return Problems.NotFound("subscription");

        var now = await clock.Now(caller.TenantId, cancellation);
        var content = await database.Read(
            caller.TenantId,
            async connection => await compose.Compose(
                connection, caller.TenantId, ending,
                await InvoiceTerms.Read(connection, documents, caller.TenantId, now, cancellation),
                await PeriodUsage.NewestPosition(connection, caller.TenantId, cancellation), cancellation),
            cancellation);
        var draft = DraftInvoice.Decide(
            new(InvoiceId.New(), caller.TenantId, content!, now), Invoice.Initial);
        return TypedResults.Ok(draft.Events.Aggregate((InvoiceView?)null, InvoiceView.Fold)!);
    }
}
