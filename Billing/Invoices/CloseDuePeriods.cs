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
public sealed class CloseDuePeriods(BillingDatabase database, Documents documents, InvoicePeriod invoices) : IDueWork
{
    public string Name => "close_period";

    public Task<IReadOnlyList<DueTenant>> Due(Instant asOf, DueTenant? after, int limit, CancellationToken cancellation) =>
        BillingPeriodRows.Due(database, asOf, after, limit, cancellation);

    public async Task<Instant?> NextDue(TenantId tenant, Instant upTo, CancellationToken cancellation)
    {
        var grace = await Grace(tenant, cancellation);
        return await BillingPeriodRows.NextEnd(database, tenant, upTo - grace, cancellation) + grace;
    }

    /// <returns>How many invoices it made.</returns>
    public async Task<int> Do(TenantId tenant, Instant asOf, Cause cause, CancellationToken cancellation) =>
        await invoices.CloseEnded(tenant, asOf - await Grace(tenant, cancellation), cause, cancellation);

    private async Task<Duration> Grace(TenantId tenant, CancellationToken cancellation) =>
        Duration.FromDays((await TenantView.Find(documents, tenant, cancellation))?.BillingSettings.GraceDays ?? 0);
}
