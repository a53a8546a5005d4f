using NodaTime;
using Platform.Billing.Recurring;
using Platform.Billing.Subscriptions;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Invoices;

/// <summary>Closes every period whose end has come, and invoices it: after an outage each gets an invoice of its own, in order.</summary>
public sealed class CloseDuePeriods(BillingDatabase database, InvoicePeriod invoices) : IDueWork
{
    public string Name => "close_period";

    public Task<IReadOnlyList<DueTenant>> Due(Instant asOf, DueTenant? after, int limit, CancellationToken cancellation) =>
        BillingPeriodRows.Due(database, asOf, after, limit, cancellation);

    public async Task<Instant?> NextDue(TenantId tenant, Instant upTo, CancellationToken cancellation) =>
        await BillingPeriodRows.Ending(database, tenant, upTo, cancellation) is [var first, ..] ? first.End : null;

    /// <returns>How many invoices it made.</returns>
    public async Task<int> Do(TenantId tenant, Instant asOf, Cause cause, CancellationToken cancellation)
    {
        var made = 0;
        foreach (var (subscription, _) in await BillingPeriodRows.Ending(database, tenant, asOf, cancellation))
            made += await invoices.CloseEnded(tenant, subscription, asOf, cause, cancellation);
        return made;
    }
}
