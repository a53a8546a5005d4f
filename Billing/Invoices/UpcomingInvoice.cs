using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
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

    /// <param name="ending">Its periods, as <see cref="PreviewInvoice.ByEnd"/> gave them.</param>
    /// <param name="draft">What it would be now.</param>
    public static UpcomingInvoice Of(IReadOnlyList<EndingPeriod> ending, InvoiceView draft, Duration grace, Instant now)
    {
        var end = ending[0].Period.End;
        return new(
            end, end <= now ? UpcomingStatus.Grace : UpcomingStatus.Draft, end + grace,
            [.. ending.Select(it => new EndingSubscription(it.SubscriptionId, it.Subscription.PeriodNumber, it.Period.Start))],
            draft.Lines, draft.Subtotal, draft.Discounts, draft.DiscountTotal, draft.Taxes, draft.TaxTotal, draft.TaxIncluded, draft.Total,
            new("POST", "/v1/invoices/preview", new(ending[0].SubscriptionId)));
    }

    public static void Map(RouteGroupBuilder invoices) => invoices.MapGet("/upcoming", List).WithName("ListUpcomingInvoices");

    // One page: there are no more than subscriptions that run.
    private static async Task<Ok<Page<UpcomingInvoice>>> List(
        Caller caller, PreviewInvoice previews, Documents documents, TenantClock clock, CancellationToken cancellation)
    {
        var tenant = await TenantView.Find(documents, caller.TenantId, cancellation);
        var (grace, now) = (Duration.FromDays(tenant?.BillingSettings.GraceDays ?? 0), await clock.Now(caller.TenantId, cancellation));
        var upcoming = new List<UpcomingInvoice>();
        foreach (var ending in await previews.Running(caller.TenantId, cancellation))
            upcoming.Add(Of(ending, await previews.Draft(caller.TenantId, ending, cancellation), grace, now));

        return TypedResults.Ok(new Page<UpcomingInvoice>(upcoming, NextCursor: null));
    }
}
