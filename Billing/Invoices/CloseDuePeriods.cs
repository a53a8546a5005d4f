using NodaTime;
using Platform.Billing.Recurring;
using Platform.Billing.Subscriptions;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Invoices;

/// <summary>Closes every period whose end has come, and invoices it: after an outage each end gets an invoice of its own, in order.</summary>
public sealed class CloseDuePeriods(BillingDatabase database, InvoicePeriod invoices) : IDueWork
{
    public string Name => "close_period";

    public Task<IReadOnlyList<DueTenant>> Due(Instant asOf, DueTenant? after, int limit, CancellationToken cancellation) =>
        BillingPeriodRows.Due(database, asOf, after, limit, cancellation);

    public Task<Instant?> NextDue(TenantId tenant, Instant upTo, CancellationToken cancellation) =>
        BillingPeriodRows.NextEnd(database, tenant, upTo, cancellation);

    /// <returns>How many invoices it made.</returns>
    public Task<int> Do(TenantId tenant, Instant asOf, Cause cause, CancellationToken cancellation) =>
        invoices.CloseEnded(tenant, asOf, cause, cancellation);
}
