using System.Diagnostics;
using NodaTime;
using Platform.Billing.Dunning;
using Platform.Billing.Invoices;
using Platform.Billing.Wallets;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Payments;

/// <summary>
/// What a payment pays is told of its outcome, in the transaction that records it. Money that has come pays the invoice, and what is
/// beyond that is to be paid back; or it becomes credit.
/// </summary>
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

        return new(new(new InvoiceTarget(invoiceId), amount, applied, amount - applied, at), events);
    }

    /// <summary>The payment's success, with what it does to the invoice and the tenant's standing, or to the wallet.</summary>
    public static Task Succeed(
        EventTransaction transaction, TenantId tenant, PaymentId id, long version, Payment payment,
        IReadOnlyList<PaymentEvent> before, Instant at, CancellationToken cancellation) => payment.Target switch
        {
            InvoiceTarget(var invoice) => ToInvoice(transaction, tenant, id, version, payment, before, invoice, at, cancellation),
            TopUpTarget target => ToWallet(transaction, tenant, id, version, payment, target, at, cancellation),
            var other => throw new UnreachableException($"No payment pays {other}."),
        };

    /// <summary>The gateway declined the charge: what it was for may be paid in another way.</summary>
    public static Task Decline(
        EventTransaction transaction, TenantId tenant, PaymentId id, PaymentTarget target, string code, Instant at,
        CancellationToken cancellation) => target switch
        {
            InvoiceTarget(var invoice) => WhileOpen(
                transaction, tenant, id, invoice, _ => new InvoicePaymentDeclined(id, code, at), cancellation),
            _ => transaction.Decide<TopUps, TopUpEvent>(
                TopUps.Stream(tenant), topUps => TopUpWallet.Decline(id, code, at, topUps), cancellation),
        };

    /// <summary>The gateway did not say how the charge ended: it is asked again.</summary>
    public static Task LeaveOpen(
        EventTransaction transaction, TenantId tenant, PaymentId id, PaymentTarget target, Instant at, CancellationToken cancellation) =>
        target switch
        {
            InvoiceTarget(var invoice) => WhileOpen(
                transaction, tenant, id, invoice,
                open => new InvoicePaymentUnresolved(id, ChargePayment.NextCheck(open.RequestedAt, at), at), cancellation),
            _ => transaction.Decide<TopUps, TopUpEvent>(
                TopUps.Stream(tenant), topUps => TopUpWallet.LeaveOpen(id, at, topUps), cancellation),
        };

    private static async Task ToInvoice(
        EventTransaction transaction, TenantId tenant, PaymentId id, long version, Payment payment,
        IReadOnlyList<PaymentEvent> before, InvoiceId invoiceId, Instant at, CancellationToken cancellation)
    {
        var stream = Invoice.Stream(tenant, invoiceId);
        var (invoice, invoiceVersion) = await transaction.Load<Invoice, InvoiceEvent>(stream, cancellation);
        var application = Decide(id, invoiceId, payment.Amount, at, invoice);

        await transaction.Append(Payment.Stream(tenant, id), version, cancellation, [.. before, application.Payment]);
        await transaction.Append(stream, invoiceVersion, cancellation, application.Invoice);
        await TenantStanding.Reconsider(
            transaction, tenant, invoiceId, Fold.After<Invoice, InvoiceEvent>(invoice, application.Invoice), at, cancellation);
    }

    private static async Task ToWallet(
        EventTransaction transaction, TenantId tenant, PaymentId id, long version, Payment payment, TopUpTarget target, Instant at,
        CancellationToken cancellation)
    {
        var nothing = Money.Zero(payment.Amount.Currency);
        await transaction.Append(
            Payment.Stream(tenant, id), version, cancellation,
            new PaymentSucceeded(target, payment.Amount, Applied: payment.Amount, Excess: nothing, at));
        await transaction.Decide<Wallet, WalletEvent>(
            Wallet.Stream(tenant), wallet => TopUpWallet.Credit(id, payment.Amount, at, wallet), cancellation);
        await transaction.Decide<TopUps, TopUpEvent>(
            TopUps.Stream(tenant), _ => [new TopUpSucceeded(id, payment.Amount, at)], cancellation);
    }

    private static async Task WhileOpen(
        EventTransaction transaction, TenantId tenant, PaymentId id, InvoiceId invoiceId, Func<OpenPayment, SettlementEvent> what,
        CancellationToken cancellation)
    {
        var stream = Invoice.Stream(tenant, invoiceId);
        var (invoice, version) = await transaction.Load<Invoice, InvoiceEvent>(stream, cancellation);
        if (invoice.Settlement?.Payment is { } open && open.PaymentId == id)
            await transaction.Append(stream, version, cancellation, what(open));
    }
}
