using NodaTime;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Payments;

/// <summary>
/// Brings a requested refund to its end as <see cref="ChargePayment"/> does a charge: the gateway is asked outside of every transaction,
/// under the refund's id, and what it says is recorded once.
/// </summary>
public sealed partial class MakeRefund(EventStore.EventStore store, IPaymentGateway gateway, TenantClock clock, ILogger<MakeRefund> logger)
{
    /// <summary>What the gateway said, once: what is known already, and a failure after a success, change nothing.</summary>
    public static Decision<PaymentEvent> Conclude(RefundId id, GatewayAnswer answer, Instant at, Payment payment) =>
        (payment.Find(id), answer.Outcome) switch
        {
            ({ Status: not RefundStatus.Succeeded } refund, ChargeOutcome.Succeeded) => [new RefundSucceeded(id, refund.Amount, at)],
            ({ Status: RefundStatus.Pending } refund, ChargeOutcome.Declined) =>
                [new RefundFailed(id, refund.Amount, answer.Code ?? "declined", at)],
            ({ Status: RefundStatus.Pending } refund, ChargeOutcome.Pending) =>
                [new RefundUnresolved(id, ChargePayment.NextCheck(refund.RequestedAt, at), at)],
            _ => [],
        };

    /// <param name="asked">The gateway may have been asked before.</param>
    public async Task Proceed(
        TenantId tenant, PaymentId paymentId, RefundId id, bool asked, Cause cause, CancellationToken cancellation)
    {
        var (payment, _) = await store.Load<Payment, PaymentEvent>(Payment.Stream(tenant, paymentId), cancellation);
        if (payment.Find(id) is not { Status: RefundStatus.Pending } refund)
            return;

        GatewayAnswer answer;
        try
        {
            answer = (asked ? await gateway.FindRefund(id, cancellation) : null)
                ?? await gateway.Refund(id, paymentId, refund.Amount, cancellation);
        }
        catch (Exception error) when (error is not OperationCanceledException)
        {
            // It may have taken effect: only the gateway knows.
            Unanswered(tenant, id, error);
            answer = new(ChargeOutcome.Pending);
        }

        await Record(tenant, paymentId, id, answer, cause, cancellation);
    }

    public async Task Record(
        TenantId tenant, PaymentId paymentId, RefundId id, GatewayAnswer answer, Cause cause, CancellationToken cancellation)
    {
        var at = await clock.Now(tenant, cancellation);
        await store.Decide<Payment, PaymentEvent>(
            Payment.Stream(tenant, paymentId), payment => Conclude(id, answer, at, payment), cause, cancellation);
    }

    [LoggerMessage(EventId = 21, Level = LogLevel.Warning, Message = "The gateway did not say what became of {RefundId} of {TenantId}")]
    private partial void Unanswered(TenantId tenantId, RefundId refundId, Exception error);
}
