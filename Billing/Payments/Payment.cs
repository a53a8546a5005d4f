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
public sealed record Payment(PaymentStatus Status, PaymentTarget? Target, Money Amount, PaymentMethodId? PaymentMethodId)
    : IEvolve<Payment, PaymentEvent>
{
    public static Payment Initial => new(PaymentStatus.Missing, Target: null, Amount: default, PaymentMethodId: null);

    public static StreamId Stream(TenantId tenant, PaymentId payment) => new(tenant.Value, "payment", payment.Value);

    public static Payment Evolve(Payment payment, PaymentEvent @event) => @event switch
    {
        PaymentRequested it => new(PaymentStatus.Pending, it.Target, it.Amount, it.PaymentMethodId),
        PaymentRecorded it => new(PaymentStatus.Pending, new InvoiceTarget(it.InvoiceId), it.Amount, PaymentMethodId: null),
        PaymentSucceeded => payment with { Status = PaymentStatus.Succeeded },
        PaymentDeclined => payment with { Status = PaymentStatus.Declined },
        _ => throw new UnreachableException($"Payment does not know {@event.GetType().Name}."),
    };
}
