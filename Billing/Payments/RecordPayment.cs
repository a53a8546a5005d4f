using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Billing.Invoices;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Payments;

/// <summary>Records a bank transfer that came for an invoice, for the whole of what is due or a part.</summary>
public static class RecordPayment
{
    /// <param name="Reference">What the transfer was marked with, 1 to 200 characters.</param>
    /// <param name="ReceivedAt">When the money came; now if absent.</param>
    public sealed record NewPayment(Money Amount, string Reference, Instant? ReceivedAt = null);

    /// <summary>More than what is due is refused: where it came from is to be found out first.</summary>
    public static Refusal? Refuse(Money amount, Invoice invoice) => OwedInvoice.Refuse(invoice) switch
    {
        { } refusal => refusal,
        _ when amount.Currency != invoice.Total.Currency =>
            Refusal.Because("payment.currency_mismatch", $"The invoice is in {invoice.Total.Currency}.", "amount"),
        _ when amount > invoice.Settlement!.AmountDue =>
            Refusal.Because("payment.exceeds_amount_due", $"Only {invoice.Settlement.AmountDue} are due.", "amount"),
        _ => null,
    };

    public static void Map(RouteGroupBuilder invoices) =>
        invoices.MapPost("/{id}/payments", Handle).WithName(nameof(RecordPayment)).ForOperators().Idempotent();

    private static async Task<Results<Created<PaymentView>, ProblemHttpResult>> Handle(
        InvoiceId id, NewPayment request, Caller caller, RequestId requestId, EventStore.EventStore store, Documents documents,
        TenantClock clock, CancellationToken cancellation)
    {
        var tenant = caller.TenantId;
        var at = await clock.Now(tenant, cancellation);
        Validate(request, at);
        var received = new PaymentRecorded(
            new(requestId.Value), tenant, id, request.Amount, request.Reference, request.ReceivedAt?.ToMicroseconds() ?? at, at);

        var refusal = await store.Transact(
            tenant.Value,
            caller.Cause,
            async (transaction, token) =>
            {
                var (payment, version) = await transaction.Load<Payment, PaymentEvent>(Payment.Stream(tenant, received.PaymentId), token);
                if (payment.Status != PaymentStatus.Missing)
                    return null;

                var invoice = await transaction.Load<Invoice, InvoiceEvent>(Invoice.Stream(tenant, id), token);
                if (Refuse(request.Amount, invoice.State) is { } no)
                    return no;

                await ApplyPayment.Succeed(
                    transaction, tenant, received.PaymentId, version, Payment.Evolve(payment, received), [received], at, token);
                return null;
            },
            cancellation);
        if (refusal is not null)
            return refusal.ToProblem();

        var view = await PaymentView.Find(documents, tenant, received.PaymentId, cancellation);
        return TypedResults.Created($"/v1/payments/{received.PaymentId}", view!);
    }

    private static void Validate(NewPayment request, Instant now) => new FieldErrors()
        .Require(request.Amount.MinorUnits > 0, "amount", "More than nothing.")
        .Require(
            !string.IsNullOrWhiteSpace(request.Reference) && request.Reference.Length <= 200 && !request.Reference.Any(char.IsControl),
            "reference", "1 to 200 characters are needed.")
        .Require(request.ReceivedAt is null || request.ReceivedAt <= now, "received_at", "It cannot have come yet.")
        .ThrowIfAny();
}
