using NodaTime;
using Platform.Billing.Invoices;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.EventStore;
using Messages = Platform.Contracts.Messages;

namespace Platform.Billing.Dunning;

/// <summary>
/// A tenant is suspended while dunning of any of its invoices has ended without payment, and in good standing otherwise. Other processes
/// learn of each change.
/// </summary>
public static class TenantStanding
{
    /// <param name="othersUnpaid">Dunning of another invoice has ended too, and that is not settled.</param>
    public static Decision<TenantEvent> Decide(InvoiceId id, Invoice invoice, bool othersUnpaid, Instant at, Tenant tenant)
    {
        var unpaid = invoice is { Settlement.DunningEnded: true, Status: not (InvoiceStatus.Paid or InvoiceStatus.Void) };
        return (tenant.SuspendedAt, unpaid) switch
        {
            (null, true) => [new TenantSuspended(id, at)],
            (not null, false) when invoice is { Settlement.DunningEnded: true } && !othersUnpaid => [new TenantReinstated(at)],
            _ => [],
        };
    }

    /// <summary>What other processes learn of it.</summary>
    public static IEnumerable<object> Publish(TenantId tenant, IEnumerable<TenantEvent> events) => events.Select(it => it switch
    {
        TenantSuspended suspended => new Messages.TenantSuspended(tenant, suspended.At),
        TenantReinstated reinstated => (object)new Messages.TenantReinstated(tenant, reinstated.At),
        _ => throw new InvalidOperationException($"{it.GetType().Name} changes nobody's standing."),
    });

    /// <summary>Called in the transaction that changed the invoice.</summary>
    public static async Task Reconsider(
        EventTransaction transaction, TenantId tenant, InvoiceId id, Invoice invoice, Instant at, CancellationToken cancellation)
    {
        if (invoice.Settlement is not { DunningEnded: true })
            return;

        var othersUnpaid = await Receivables.AnyUnpaidBeside(transaction.Connection, tenant, id, cancellation);
        var (state, version) = await transaction.Load<Tenant, TenantEvent>(Tenant.Stream(tenant), cancellation);
        var events = Decide(id, invoice, othersUnpaid, at, state).Events;
        if (events.Count == 0)
            return;

        await transaction.Append(Tenant.Stream(tenant), version, cancellation, events);
        foreach (var message in Publish(tenant, events))
            transaction.Publish(message);
    }
}
