using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Billing.CreditNotes;
using Platform.Billing.Invoices;
using Platform.Billing.Tenants;
using Platform.Billing.Wallets;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Payments;

/// <summary>
/// Pays back what a payment brought, through the gateway that brought it: what is owed back first, then the rest. Of a top-up that is credit
/// which nobody has used. Of an invoice it is the operator's own expense, at most what was paid for it and not given back in another way: what
/// is not to be owed any more is taken back by a credit note, which refunds by itself.
/// </summary>
public static class RefundPayment
{
    /// <param name="Amount">Above zero, in the payment's currency; all that can be paid back if absent.</param>
    /// <param name="Reason">1 to 500 characters; the tenant reads it.</param>
    public sealed record NewRefund(string Reason, Money? Amount = null);

    /// <param name="Amount">Null for all that can be paid back.</param>
    /// <param name="NotOwed">
    /// What can be paid back at most beyond what is owed back: of a top-up the credit that is unused, of an invoice what was paid for it, by money
    /// or credit, and not given back yet.
    /// </param>
    public sealed record Command(RefundId RefundId, PaymentId PaymentId, Money? Amount, Money NotOwed, string Reason, Instant At);

    public static Decision<PaymentEvent> Decide(Command command, Payment payment)
    {
        if (payment.Find(command.RefundId) is not null)
            return [];
        if (payment.Status is PaymentStatus.Missing)
            return Refusal.Because("payment.not_found", "There is no such payment.");
        if (payment.Status is not PaymentStatus.Succeeded)
            return Refusal.Because("payment.not_received", "Nothing was received by this payment.");
        if (payment.PaymentMethodId is null)
            return Refusal.Because("payment.not_by_gateway", "A bank transfer is paid back by bank.");

        var left = payment.Owed + command.NotOwed < payment.Refundable ? payment.Owed + command.NotOwed : payment.Refundable;
        var amount = command.Amount ?? left;
        if (amount.Currency != left.Currency)
            return Refusal.Because("payment.currency_mismatch", $"The payment is in {left.Currency}.", "amount");
        if (amount > left && amount <= payment.Refundable && payment.Target is InvoiceTarget)
        {
            return Refusal.Because(
                "refund.given_back", $"Of what was paid for the invoice all but {left} was given back, by credit notes or refunds.", "amount");
        }

        if (amount > left)
            return Refusal.Because("refund.exceeds_payment", $"Of the payment {left} can be paid back.", "amount");
        if (amount.MinorUnits <= 0)
            return Refusal.Because("refund.nothing_left", "Nothing of the payment can be paid back.");

        // Nothing is taken from a debt below zero: the tenant has had it already.
        var owed = payment.Owed.MinorUnits > 0 ? payment.Owed : Money.Zero(left.Currency);
        return
        [
            new RefundRequested(
                command.RefundId, command.PaymentId, payment.Target!, amount, FromOwed: amount < owed ? amount : owed, CreditNoteId: null,
                command.Reason, ChargePayment.FirstCheck(command.At), command.At),
        ];
    }

    public static void Map(RouteGroupBuilder payments) =>
        payments.MapPost("/{id}/refunds", Handle).WithName(nameof(RefundPayment)).ForOperators().Idempotent();

    private static async Task<Results<Created<RefundView>, ProblemHttpResult>> Handle(
        PaymentId id, NewRefund request, Caller caller, RequestId requestId, EventStore.EventStore store, Documents documents,
        MakeRefund make, TenantClock clock, CancellationToken cancellation)
    {
        new FieldErrors()
            .Require(request.Amount is not { MinorUnits: <= 0 }, "amount", "More than nothing.")
            .RequireReason(request.Reason)
            .ThrowIfAny();

        var (tenant, refund) = (caller.TenantId, new RefundId(requestId.Value));
        var (refusal, asked) = await store.Transact<(Refusal?, bool)>(
            tenant.Value,
            caller.Cause,
            async (transaction, token) =>
            {
                var stream = Payment.Stream(tenant, id);
                var (payment, version) = await transaction.Load<Payment, PaymentEvent>(stream, token);
                var at = await clock.Now(tenant, token);
                var notOwed = await NotOwed(transaction, id, payment, at, token);
                var decision = Decide(new(refund, id, request.Amount, notOwed, request.Reason, at), payment);
                if (decision.Events is not [RefundRequested requested])
                    return (decision.Refusal, true);

                await transaction.Append(stream, version, token, requested);
                if (requested.Target is TopUpTarget)
                {
                    await transaction.Decide<Wallet, WalletEvent>(
                        Wallet.Stream(tenant), credit => RefundCredit.Decide(requested, credit), token);
                }

                return (null, false);
            },
            cancellation);
        if (refusal is not null)
            return refusal.ToProblem();

        await make.Proceed(tenant, id, refund, asked, caller.Cause, cancellation);
        return TypedResults.Created($"/v1/refunds/{refund}", (await RefundView.Find(documents, tenant, refund, cancellation))!);
    }

    private static async Task<Money> NotOwed(
        EventTransaction transaction, PaymentId id, Payment payment, Instant at, CancellationToken cancellation)
    {
        var tenant = new TenantId(transaction.TenantId);
        switch (payment.Target)
        {
            case TopUpTarget:
                var (wallet, _) = await transaction.Load<Wallet, WalletEvent>(Wallet.Stream(tenant), cancellation);
                return wallet.UnusedOf(id, payment.Amount.Currency, at);
            case InvoiceTarget { InvoiceId: var invoiceId }:
                var (invoice, _) = await transaction.Load<Invoice, InvoiceEvent>(Invoice.Stream(tenant, invoiceId), cancellation);
                var payments = await RefundCreditNote.PaymentsOf(transaction, tenant, invoiceId, cancellation);
                return invoice.Creditable - invoice.Settlement!.AmountDue - RefundCreditNote.Expensed(payments, invoice.Total.Currency);
            default:
                return payment.Amount;
        }
    }
}
