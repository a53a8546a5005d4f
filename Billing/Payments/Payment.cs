using System.Diagnostics;
using System.Text.Json.Serialization;
using NodaTime;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Payments;

[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(PaymentRequested), "payment.requested.v1")]
[JsonDerivedType(typeof(PaymentRecorded), "payment.recorded.v1")]
[JsonDerivedType(typeof(PaymentSucceeded), "payment.succeeded.v1")]
[JsonDerivedType(typeof(PaymentDeclined), "payment.declined.v1")]
[JsonDerivedType(typeof(RefundRequested), "refund.requested.v1")]
[JsonDerivedType(typeof(RefundUnresolved), "refund.unresolved.v1")]
[JsonDerivedType(typeof(RefundSucceeded), "refund.succeeded.v1")]
[JsonDerivedType(typeof(RefundFailed), "refund.failed.v1")]
public abstract record PaymentEvent;

/// <summary>Recorded before the gateway is asked, which is asked under this id alone, however often.</summary>
public sealed record PaymentRequested(
    PaymentId PaymentId, TenantId TenantId, PaymentTarget Target, Money Amount, PaymentMethodId PaymentMethodId, Instant At) : PaymentEvent;

/// <summary>An operator saw money on a bank account.</summary>
/// <param name="Reference">What the transfer was marked with.</param>
public sealed record PaymentRecorded(
    PaymentId PaymentId, TenantId TenantId, InvoiceId InvoiceId, Money Amount, string Reference, Instant ReceivedAt, Instant At)
    : PaymentEvent;

/// <param name="Amount">What was received.</param>
/// <param name="Applied">What of it pays the invoice, or became credit.</param>
/// <param name="Excess">The rest, which is to be paid back: the invoice was paid in another way meanwhile.</param>
public sealed record PaymentSucceeded(PaymentTarget Target, Money Amount, Money Applied, Money Excess, Instant At) : PaymentEvent;

/// <param name="Code">The gateway's, for programs: <c>insufficient_funds</c>.</param>
public sealed record PaymentDeclined(string Code, Instant At) : PaymentEvent;

public enum PaymentStatus
{
    Missing,

    /// <summary>The gateway was or will be asked, and has not said how it ended.</summary>
    Pending,
    Succeeded,
    Declined,
}

/// <param name="Target">What it pays; null while it is missing.</param>
/// <param name="PaymentMethodId">What is charged; null for a bank transfer.</param>
/// <param name="Refundable">What was received and is neither paid back nor about to be.</param>
/// <param name="Owed">
/// What of that is owed back: received beyond what was due, or meant to be paid back in vain. Below zero where that was paid back twice,
/// because the gateway first said that it had failed.
/// </param>
/// <param name="Expensed">What refunds took of it at the operator's expense: neither owed back nor taken back by a credit note.</param>
public sealed record Payment(
    PaymentStatus Status, PaymentTarget? Target, Money Amount, PaymentMethodId? PaymentMethodId, Money Refundable, Money Owed,
    Money Expensed, IReadOnlyList<Refund> Refunds) : IEvolve<Payment, PaymentEvent>
{
    public static Payment Initial => new(
        PaymentStatus.Missing, Target: null, Amount: default, PaymentMethodId: null, Refundable: default, Owed: default,
        Expensed: default, Refunds: []);

    public static StreamId Stream(TenantId tenant, PaymentId payment) => new(tenant.Value, "payment", payment.Value);

    public Refund? Find(RefundId refund) => Refunds.FirstOrDefault(it => it.RefundId == refund);

    public static Payment Evolve(Payment payment, PaymentEvent @event) => @event switch
    {
        PaymentRequested it => Pending(it.Target, it.Amount, it.PaymentMethodId),
        PaymentRecorded it => Pending(new InvoiceTarget(it.InvoiceId), it.Amount, method: null),
        PaymentSucceeded it => payment with { Status = PaymentStatus.Succeeded, Refundable = it.Amount, Owed = it.Excess },
        PaymentDeclined => payment with { Status = PaymentStatus.Declined },
        RefundRequested it => payment with
        {
            Refundable = payment.Refundable - it.Amount,
            Owed = payment.Owed - it.FromOwed,
            Expensed = it.CreditNoteId is null ? payment.Expensed + it.Amount - it.FromOwed : payment.Expensed,
            Refunds = [.. payment.Refunds, new(it.RefundId, RefundStatus.Pending, it.Amount, it.At, it.CheckAt)],
        },
        RefundUnresolved it => payment.With(it.RefundId, refund => refund with { CheckAt = it.CheckAt }),
        // The money has moved also where the gateway first said otherwise.
        RefundSucceeded it when payment.Find(it.RefundId) is { Status: RefundStatus.Failed } => (payment with
        {
            Refundable = payment.Refundable - it.Amount,
            Owed = payment.Owed - it.Amount,
        }).With(it.RefundId, refund => refund with { Status = RefundStatus.Succeeded }),
        RefundSucceeded it => payment.With(it.RefundId, refund => refund with { Status = RefundStatus.Succeeded }),
        RefundFailed it => (payment with
        {
            Refundable = payment.Refundable + it.Amount,
            Owed = payment.Owed + it.Amount,
        }).With(it.RefundId, refund => refund with { Status = RefundStatus.Failed }),
        _ => throw new UnreachableException($"Payment does not know {@event.GetType().Name}."),
    };

    private static Payment Pending(PaymentTarget target, Money amount, PaymentMethodId? method)
    {
        var nothing = Money.Zero(amount.Currency);
        return new(PaymentStatus.Pending, target, amount, method, Refundable: nothing, Owed: nothing, Expensed: nothing, Refunds: []);
    }

    private Payment With(RefundId id, Func<Refund, Refund> change) => this with
    {
        Refunds = [.. Refunds.Select(refund => refund.RefundId == id ? change(refund) : refund)],
    };
}
