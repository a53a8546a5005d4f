using NodaTime;
using Platform.Billing.Dunning;
using Platform.Billing.Invoices;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Payments;

/// <summary>Money has come: it pays the invoice, and what is beyond that is to be paid back. Pure, but for <see cref="Record"/>.</summary>
public static class ApplyPayment
{
    public sealed record Application(PaymentSucceeded Payment, IReadOnlyList<SettlementEvent> Invoice);

    public static Application Decide(PaymentId id, InvoiceId invoiceId, Money amount, Instant at, Invoice invoice)
    {
        var due = invoice.Settlement!.AmountDue;
        var applied = amount < due ? amount : due;
        List<SettlementEvent> events = [];
        if (invoice.Status == InvoiceStatus.Uncollectible && applied.MinorUnits > 0)
            events.Add(new InvoiceWriteOffReversed(applied, at));
        events.Add(new InvoicePaymentApplied(id, applied, at));
        if (applied == due && invoice.Status is not (InvoiceStatus.Paid or InvoiceStatus.Void))
            events.Add(new InvoicePaid(at));

        return new(new(invoiceId, amount, applied, amount - applied, at), events);
    }

    /// <summary>In one transaction: the payment's success, what it does to the invoice, and to the tenant's standing.</summary>
    public static async Task Record(
        EventTransaction transaction, TenantId tenant, PaymentId id, long version, Payment payment,
        IReadOnlyList<PaymentEvent> before, Instant at, CancellationToken cancellation)
    {
        var stream = Invoice.Stream(tenant, payment.InvoiceId);
        var (invoice, invoiceVersion) = await transaction.Load<Invoice, InvoiceEvent>(stream, cancellation);
        var application = Decide(id, payment.InvoiceId, payment.Amount, at, invoice);

        await transaction.Append(Payment.Stream(tenant, id), version, cancellation, [.. before, application.Payment]);
        await transaction.Append(stream, invoiceVersion, cancellation, application.Invoice);
        await TenantStanding.Reconsider(
            transaction, tenant, payment.InvoiceId, Fold.After<Invoice, InvoiceEvent>(invoice, application.Invoice), at, cancellation);
    }
}
