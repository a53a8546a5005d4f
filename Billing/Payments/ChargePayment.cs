using NodaTime;
using Platform.Billing.Invoices;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Payments;

/// <summary>
/// Brings a requested payment to its end: the gateway is asked outside of every transaction, under the payment's id, and what it says
/// is recorded once. A crash in between leaves the payment pending; whoever comes next asks the gateway what became of it.
/// </summary>
public sealed partial class ChargePayment(
    EventStore.EventStore store, Documents documents, IPaymentGateway gateway, TenantClock clock, ILogger<ChargePayment> logger)
{
    private static readonly Duration CheckAfterMin = Duration.FromMinutes(10);
    private static readonly Duration CheckAfterMax = Duration.FromDays(1);

    /// <summary>The request of a charge, to be appended to the invoice and to the payment's new stream.</summary>
    public static (InvoicePaymentRequested Invoice, PaymentRequested Payment) Request(
        PaymentId id, TenantId tenant, InvoiceId invoice, Money amount, PaymentMethodId method, Instant at) =>
        (new(id, amount, FirstCheck(at), at), new(id, tenant, new InvoiceTarget(invoice), amount, method, at));

    /// <summary>When the gateway is asked for the outcome of what was asked of it now, if none has come by then.</summary>
    public static Instant FirstCheck(Instant requestedAt) => requestedAt + CheckAfterMin;

    /// <summary>Waits twice as long each time.</summary>
    public static Instant NextCheck(Instant requestedAt, Instant now) =>
        now + Duration.Max(CheckAfterMin, Duration.Min(CheckAfterMax, now - requestedAt));

    /// <param name="asked">The gateway may have been asked before.</param>
    /// <returns>Whether it is known now how the payment ended.</returns>
    public async Task<bool> Proceed(TenantId tenant, PaymentId id, bool asked, Cause cause, CancellationToken cancellation)
    {
        var (payment, _) = await store.Load<Payment, PaymentEvent>(Payment.Stream(tenant, id), cancellation);
        if (payment is not { Status: PaymentStatus.Pending, PaymentMethodId: { } methodId })
            return true;

        var method = await PaymentMethodRecord.Find(documents, tenant, methodId, cancellation);
        GatewayAnswer answer;
        try
        {
            answer = (asked ? await gateway.Find(id, cancellation) : null)
                ?? await gateway.Charge(id, method!.Token, payment.Amount, cancellation);
        }
        catch (Exception error) when (error is not OperationCanceledException)
        {
            // It may have taken effect: only the gateway knows.
            Unanswered(tenant, id, error);
            answer = new(ChargeOutcome.Pending);
        }

        await Record(tenant, id, answer, cause, cancellation);
        return answer.Outcome != ChargeOutcome.Pending;
    }

    /// <summary>Records what the gateway said, once: what is known already, and a decline after a success, change nothing.</summary>
    /// <returns>False for a payment that does not exist.</returns>
    public Task<bool> Record(
        TenantId tenant, PaymentId id, GatewayAnswer answer, Cause cause, CancellationToken cancellation) =>
        store.Transact(
            tenant.Value,
            cause,
            async (transaction, token) =>
            {
                var (payment, version) = await transaction.Load<Payment, PaymentEvent>(Payment.Stream(tenant, id), token);
                var at = await clock.Now(tenant, token);
                switch (payment.Status, answer.Outcome)
                {
                    case (PaymentStatus.Missing, _):
                        return false;

                    // A success is one also where the gateway first said otherwise: the money has moved.
                    case (PaymentStatus.Pending or PaymentStatus.Declined, ChargeOutcome.Succeeded):
                        await ApplyPayment.Succeed(transaction, tenant, id, version, payment, before: [], at, token);
                        return true;

                    case (PaymentStatus.Pending, ChargeOutcome.Declined):
                        var code = answer.Code ?? "declined";
                        await transaction.Append(Payment.Stream(tenant, id), version, token, new PaymentDeclined(code, at));
                        await ApplyPayment.Decline(transaction, tenant, id, payment.Target!, code, at, token);
                        return true;

                    case (PaymentStatus.Pending, ChargeOutcome.Pending):
                        await ApplyPayment.LeaveOpen(transaction, tenant, id, payment.Target!, at, token);
                        return true;

                    default:
                        return true;
                }
            },
            cancellation);

    [LoggerMessage(EventId = 20, Level = LogLevel.Warning, Message = "The gateway did not say what became of {PaymentId} of {TenantId}")]
    private partial void Unanswered(TenantId tenantId, PaymentId paymentId, Exception error);
}
