using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Billing.Subscriptions;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Invoices;

public enum UpcomingStatus
{
    /// <summary>The period runs.</summary>
    Draft,

    /// <summary>The period is over and its grace is not: what was used in it may still be reported and corrected.</summary>
    Grace,
}

/// <summary>
/// An invoice that is still to be made, of the running periods that end at one instant, as it would be if nothing more were used until
/// then: computed whenever it is asked for, never stored. What follows a period that is in its grace is listed once that period is closed.
/// </summary>
/// <param name="PeriodEnd">The end of its periods, excluded.</param>
/// <param name="ClosesAt">When it is finalized by itself: the end of the period and the tenant's grace.</param>
/// <param name="Subscriptions">The oldest first, as they stand on the invoice.</param>
/// <param name="Subtotal">Sum of the lines.</param>
/// <param name="Discounts">What coupons take off, in the order in which they do.</param>
/// <param name="Taxes">Per rate, on the lines less their discounts.</param>
/// <param name="TaxTotal">Tax that is added to the lines.</param>
/// <param name="TaxIncluded">Tax that the lines contain.</param>
/// <param name="Total">The subtotal less the discounts, with the tax that is added; before credit, and below zero where it gives back.</param>
/// <param name="Preview">The request that shows it as an invoice.</param>
public sealed record UpcomingInvoice(
    Instant PeriodEnd, UpcomingStatus Status, Instant ClosesAt, IReadOnlyList<UpcomingInvoice.EndingSubscription> Subscriptions,
    IReadOnlyList<InvoiceView.InvoiceLine> Lines, Money Subtotal, IReadOnlyList<InvoiceView.InvoiceDiscount> Discounts, Money DiscountTotal,
    IReadOnlyList<InvoiceView.InvoiceTax> Taxes, Money TaxTotal, Money TaxIncluded, Money Total, UpcomingInvoice.PreviewRequest Preview)
{
    public sealed record EndingSubscription(SubscriptionId SubscriptionId, int PeriodNumber, Instant PeriodStart);

    /// <param name="Body">As JSON.</param>
    public sealed record PreviewRequest(string Method, string Url, PreviewInvoice.Preview Body);

    /// <summary>When and for whom an invoice is still to be made.</summary>
    public sealed record Ending(Instant PeriodEnd, UpcomingStatus Status, Instant ClosesAt, IReadOnlyList<EndingSubscription> Subscriptions);

    /// <summary>Those of all running periods, the first to end first.</summary>
    public static IReadOnlyList<Ending> Of(IEnumerable<SubscriptionView> subscriptions, Duration grace, Instant now) =>
    [
        .. subscriptions.Where(it => it.CurrentPeriod is not null)
            .OrderBy(it => it.StartedAt).ThenBy(it => it.SubscriptionId.Value)
            .GroupBy(it => it.CurrentPeriod!.End)
            .OrderBy(ending => ending.Key)
            .Select(ending => new Ending(
                ending.Key, ending.Key <= now ? UpcomingStatus.Grace : UpcomingStatus.Draft, ending.Key + grace,
                [.. ending.Select(it => new EndingSubscription(it.SubscriptionId, it.CurrentPeriod!.Number, it.CurrentPeriod.Start))])),
    ];

    public static void Map(RouteGroupBuilder invoices) => invoices.MapGet("/upcoming", List).WithName("ListUpcomingInvoices");

    // One page: there are no more than subscriptions that run.
    private static async Task<Ok<Page<UpcomingInvoice>>> List(
        Caller caller, PreviewInvoice previews, Documents documents, BillingDatabase database, TenantClock clock,
        CancellationToken cancellation)
    {
        var tenant = await TenantView.Find(documents, caller.TenantId, cancellation);
        var now = await clock.Now(caller.TenantId, cancellation);
        var subscriptions = await database.Read(
            caller.TenantId, connection => SubscriptionView.All(connection, caller.TenantId, cancellation), cancellation);
        var (running, upcoming) = (await previews.Running(caller.TenantId, cancellation), new List<UpcomingInvoice>());
        foreach (var ending in Of(subscriptions, Duration.FromDays(tenant?.BillingSettings.GraceDays ?? 0), now))
        {
            // It may have been closed since it was read.
            var periods = PreviewInvoice.EndingTogether(running, ending.Subscriptions[0].SubscriptionId);
            if (periods is [{ Period.End: var end }, ..] && end == ending.PeriodEnd)
                upcoming.Add(From(ending, await previews.Draft(caller.TenantId, periods, cancellation)));
        }

        return TypedResults.Ok(new Page<UpcomingInvoice>(upcoming, NextCursor: null));
    }

    private static UpcomingInvoice From(Ending ending, InvoiceView draft) => new(
        ending.PeriodEnd, ending.Status, ending.ClosesAt, ending.Subscriptions, draft.Lines, draft.Subtotal, draft.Discounts,
        draft.DiscountTotal, draft.Taxes, draft.TaxTotal, draft.TaxIncluded, draft.Total,
        new("POST", "/v1/invoices/preview", new(ending.Subscriptions[0].SubscriptionId)));
}
