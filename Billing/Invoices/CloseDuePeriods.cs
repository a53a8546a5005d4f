using NodaTime;
using Platform.Billing.Recurring;
using Platform.Billing.Subscriptions;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Invoices;

/// <summary>
/// Closes every period whose end has come and whose grace is over, and invoices it: after an outage each end gets an invoice of its own,
/// in order.
/// </summary>
public sealed class CloseDuePeriods(
    BillingDatabase database, Documents documents, EventStore.EventStore store, InvoicePeriod invoices) : IDueWork
{
    // Enough to share a commit, few enough that nobody who writes in the lane waits long.
    private const int TenantsTogether = 16;

    public string Name => "close_period";

    public Task<IReadOnlyList<DueTenant>> Due(Instant asOf, DueTenant? after, int limit, CancellationToken cancellation) =>
        BillingPeriodRows.Due(database, asOf, after, limit, cancellation);

    public async Task<Instant?> NextDue(TenantId tenant, Instant upTo, CancellationToken cancellation)
    {
        var grace = await Grace(tenant, cancellation);
        return await BillingPeriodRows.NextEnd(database, tenant, upTo - grace, cancellation) + grace;
    }

    /// <returns>How many invoices it made.</returns>
    public Task<int> Do(TenantId tenant, Instant asOf, Cause cause, CancellationToken cancellation) =>
        Do([tenant], asOf, cause, cancellation);

    /// <summary>Those of one lane, a few at a time; the lanes take turns, because groups of one lane wait for each other.</summary>
    public IEnumerable<IReadOnlyList<TenantId>> Groups(IEnumerable<TenantId> tenants) => tenants
        .GroupBy(tenant => store.LaneOf(tenant.Value))
        .SelectMany(lane => lane.Chunk(TenantsTogether).Index())
        .OrderBy(group => group.Index)
        .Select(group => group.Item);

    /// <returns>How many invoices it made.</returns>
    public Task<int> Do(IReadOnlyList<TenantId> group, Instant asOf, Cause cause, CancellationToken cancellation) =>
        invoices.CloseEnded(group, asOf, afterGrace: true, cause, cancellation);

    private async Task<Duration> Grace(TenantId tenant, CancellationToken cancellation) =>
        Duration.FromDays((await TenantView.Find(documents, tenant, cancellation))?.BillingSettings.GraceDays ?? 0);
}
