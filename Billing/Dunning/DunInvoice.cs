using NodaTime;
using Platform.Billing.Invoices;
using Platform.Billing.Payments;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Dunning;

/// <summary>
/// The schedule of an unpaid invoice: a charge at finalization where collection is automatic, overdue once it is due, dunned on each of
/// the retry days with a charge where there is a payment method, and after the last of them the end. Pure.
/// </summary>
public static class DunInvoice
{
    /// <param name="AsOf">What was scheduled up to here is due. Several retry days that were missed are one step.</param>
    /// <param name="Method">What to charge; null where there is none.</param>
    /// <param name="PaymentId">For the charge, if there is one.</param>
    public sealed record Command(
        Instant AsOf, TenantId TenantId, InvoiceId InvoiceId, PaymentMethodId? Method, PaymentId PaymentId, Instant At);

    /// <param name="Payment">A charge that now has to be made.</param>
    public sealed record Step(IReadOnlyList<SettlementEvent> Events, PaymentRequested? Payment);

    /// <summary>What is to be done next; null where nothing is due, or a charge is open.</summary>
    public static Step? Decide(Command command, Invoice invoice)
    {
        if (invoice.Settlement is not { Payment: null, ScheduledAt: { } scheduled } settlement || scheduled > command.AsOf)
            return null;

        var terms = settlement.Terms;
        // Retry days that have come; at most all of them.
        var reached = terms.RetryDays.TakeWhile((_, retry) => terms.RetryAt(retry) <= command.AsOf).Count();
        return invoice.Status switch
        {
            InvoiceStatus.Finalized when terms.Collection == CollectionMethod.Automatic && settlement.Step is null =>
                Dun(step: 0, terms.DueAt),
            InvoiceStatus.Finalized => new([new InvoiceOverdue(RetryAfter(0), command.At)], Payment: null),
            InvoiceStatus.Overdue when reached > (settlement.Step ?? 0) => Dun(reached, RetryAfter(reached)),
            InvoiceStatus.Overdue => new([new InvoiceDunningEnded(command.At)], Payment: null),
            _ => null,
        };

        Step Dun(int step, Instant next)
        {
            var dunned = new InvoiceDunned(step, next, command.At);
            if (terms.Collection != CollectionMethod.Automatic || command.Method is not { } method)
                return new([dunned], Payment: null);

            var request = ChargePayment.Request(
                command.PaymentId, command.TenantId, command.InvoiceId, settlement.AmountDue, method, command.At);
            return new([dunned, request.Invoice], request.Payment);
        }

        // After the last one the end follows at once, unless a charge is open.
        Instant RetryAfter(int taken) => taken < terms.RetryDays.Count ? terms.RetryAt(taken) : command.AsOf;
    }
}
