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
/// An invoice that is still to be made, of the running periods that end at one instant. What follows a period that is in its grace is listed
/// once that period is closed.
/// </summary>
/// <param name="PeriodEnd">The end of its periods, excluded.</param>
/// <param name="ClosesAt">When it is finalized by itself: the end of the period and the tenant's grace.</param>
/// <param name="Subscriptions">The oldest first, as they stand on the invoice.</param>
/// <param name="Preview">The request that shows it as it stands now.</param>
public sealed record UpcomingInvoice(
    Instant PeriodEnd, UpcomingStatus Status, Instant ClosesAt, IReadOnlyList<UpcomingInvoice.EndingSubscription> Subscriptions,
    UpcomingInvoice.PreviewRequest Preview)
{
    public sealed record EndingSubscription(SubscriptionId SubscriptionId, int PeriodNumber, Instant PeriodStart);

    /// <param name="Body">As JSON.</param>
    public sealed record PreviewRequest(string Method, string Url, PreviewInvoice.Preview Body);

    /// <summary>Those of all running periods, the first to end first.</summary>
    public static IReadOnlyList<UpcomingInvoice> Of(IEnumerable<SubscriptionView> subscriptions, Duration grace, Instant now) =>
    [
        .. subscriptions.Where(it => it.CurrentPeriod is not null)
            .OrderBy(it => it.StartedAt).ThenBy(it => it.SubscriptionId.Value)
            .GroupBy(it => it.CurrentPeriod!.End)
            .OrderBy(ending => ending.Key)
            .Select(ending => new UpcomingInvoice(
                ending.Key, ending.Key <= now ? UpcomingStatus.Grace : UpcomingStatus.Draft, ending.Key + grace,
                [.. ending.Select(it => new EndingSubscription(it.SubscriptionId, it.CurrentPeriod!.Number, it.CurrentPeriod.Start))],
                new("POST", "/v1/invoices/preview", new(ending.First().SubscriptionId)))),
    ];

    public static void Map(RouteGroupBuilder invoices) => invoices.MapGet("/upcoming", List).WithName("ListUpcomingInvoices");

    // One page: there are no more than subscriptions that run.
    private static async Task<Ok<Page<UpcomingInvoice>>> List(
        Caller caller, Documents documents, BillingDatabase database, TenantClock clock, CancellationToken cancellation)
    {
        var tenant = await TenantView.Find(documents, caller.TenantId, cancellation);
        var now = await clock.Now(caller.TenantId, cancellation);
        var subscriptions = await database.Read(
            caller.TenantId, connection => SubscriptionView.All(connection, caller.TenantId, cancellation), cancellation);
        return TypedResults.Ok(new Page<UpcomingInvoice>(
            Of(subscriptions, Duration.FromDays(tenant?.BillingSettings.GraceDays ?? 0), now), NextCursor: null));
    }
}
