using Microsoft.AspNetCore.Http.HttpResults;
using Platform.Billing.Invoices;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Payments;

/// <summary>
/// Charges the tenant's payment method for what is due of an invoice, now. The answer tells how it ended, or that this is pending.
/// </summary>
public static class PayInvoice
{
    public static Refusal? Refuse(PaymentMethodId? method, Invoice invoice) => OwedInvoice.Refuse(invoice) switch
    {
        { } refusal => refusal,
        _ when method is null => Refusal.Because("payment_method.missing", "There is no payment method to charge."),
        _ => null,
    };

    public static void Map(RouteGroupBuilder invoices) =>
        invoices.MapPost("/{id}/pay", Handle).WithName(nameof(PayInvoice)).ForAdmins().Idempotent();

    private static async Task<Results<Created<PaymentView>, ProblemHttpResult>> Handle(
        InvoiceId id, Caller caller, RequestId requestId, EventStore.EventStore store, BillingDatabase database, Documents documents,
        ChargePayment charge, TenantClock clock, CancellationToken cancellation)
    {
        var (tenant, payment) = (caller.TenantId, new PaymentId(requestId.Value));
        var method = await PaymentMethodRecord.Default(database, tenant, cancellation);
        var (refusal, asked) = await store.Transact<(Refusal?, bool)>(
            tenant.Value,
            caller.Cause,
            async (transaction, token) =>
            {
                var known = await transaction.Load<Payment, PaymentEvent>(Payment.Stream(tenant, payment), token);
                if (known.Exists)
                    return (null, true);

                var (invoice, version) = await transaction.Load<Invoice, InvoiceEvent>(Invoice.Stream(tenant, id), token);
                if (Refuse(method, invoice) is { } no)
                    return (no, false);

                var at = await clock.Now(tenant, token);
                var request = ChargePayment.Request(payment, tenant, id, invoice.Settlement!.AmountDue, method!.Value, at);
                await transaction.Append(Invoice.Stream(tenant, id), version, token, request.Invoice);
                await transaction.Append(Payment.Stream(tenant, payment), expectedVersion: 0, token, request.Payment);
                return (null, false);
            },
            cancellation);
        if (refusal is not null)
            return refusal.ToProblem();

        await charge.Proceed(tenant, payment, asked, caller.Cause, cancellation);
        return TypedResults.Created($"/v1/payments/{payment}", (await PaymentView.Find(documents, tenant, payment, cancellation))!);
    }
}
