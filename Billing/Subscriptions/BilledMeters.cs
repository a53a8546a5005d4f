using NodaTime;
using Platform.Billing.Catalog;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Subscriptions;

/// <summary>
/// Meters that subscriptions of a tenant bill already: two of them billing one meter at one time would bring the same usage onto two
/// invoices. Read in the tenant's lane, so that nobody starts or changes another subscription meanwhile.
/// </summary>
public static class BilledMeters
{
    /// <param name="from">What ended up to here bills nothing from here on.</param>
    /// <param name="except">The subscription that asks.</param>
    public static async Task<HashSet<string>> Read(
        EventTransaction transaction, Documents documents, Instant from, SubscriptionId except, CancellationToken cancellation)
    {
        var meters = new HashSet<string>();
        foreach (var (plan, version) in (await SubscriptionView.All(transaction, cancellation))
            .Where(view => view.SubscriptionId != except)
            .SelectMany(view => BillsFrom(view, from))
            .Distinct())
        {
            // Versions of plans never change, so they need not be read in the transaction.
            if ((await PlanView.Find(documents, plan, cancellation))?.TermsOf(version) is { } terms)
                meters.UnionWith(terms.Charges.Select(charge => charge.Meter));
        }

        return meters;
    }

    private static IEnumerable<(PlanId Plan, int Version)> BillsFrom(SubscriptionView view, Instant from) =>
    [
        .. view.Plans.Where(span => span.End is null || span.End > from).Select(span => (span.PlanId, span.PlanVersion)),
        .. view.NextPlan is { } next ? new[] { (next.PlanId, next.PlanVersion) } : [],
    ];
}
