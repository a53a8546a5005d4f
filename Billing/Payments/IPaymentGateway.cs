using Platform.Contracts;

namespace Platform.Billing.Payments;

/// <summary>How a charge or a refund ended.</summary>
public enum ChargeOutcome
{
    Succeeded,
    Declined,

    /// <summary>Not known yet: the gateway tells later, or is asked again.</summary>
    Pending,
}

/// <param name="Code">Why it was declined, for programs; null else.</param>
public sealed record GatewayAnswer(ChargeOutcome Outcome, string? Code = null);

/// <summary>
/// Whoever moves the money. Called outside of every transaction, so each call may be repeated after a crash, and each may fail without
/// saying whether it took effect.
/// </summary>
public interface IPaymentGateway
{
    /// <summary>Permanent: stored with each payment method.</summary>
    string Name { get; }

    /// <summary>Whether a token has the look of one that this gateway gave.</summary>
    bool Knows(string token);

    /// <summary>Moves the amount once, however often it is asked under the same id; a repetition has the answer of the first.</summary>
    Task<GatewayAnswer> Charge(PaymentId payment, string token, Money amount, CancellationToken cancellation);

    /// <summary>How a charge ended; null for an id under which none was ever asked for.</summary>
    Task<GatewayAnswer?> Find(PaymentId payment, CancellationToken cancellation);

    /// <summary>
    /// Pays back part of a charge once, however often it is asked under the same id; a repetition has the answer of the first.
    /// </summary>
    Task<GatewayAnswer> Refund(RefundId refund, PaymentId payment, Money amount, CancellationToken cancellation);

    /// <summary>How a refund ended; null for an id under which none was ever asked for.</summary>
    Task<GatewayAnswer?> FindRefund(RefundId refund, CancellationToken cancellation);
}
