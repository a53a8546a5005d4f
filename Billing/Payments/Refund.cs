using NodaTime;
using Platform.Contracts;

namespace Platform.Billing.Payments;

/// <summary>
/// Part of what a payment brought is paid back. It is an event of the payment, so that whoever decides about the next refund knows what
/// all before it took.
/// </summary>
public abstract record RefundEvent(RefundId RefundId) : PaymentEvent;

/// <summary>Recorded before the gateway is asked, which is asked under this id alone, however often.</summary>
/// <param name="Target">What the payment paid.</param>
/// <param name="FromOwed">What of the amount was owed back already: an excess, or a refund that failed.</param>
/// <param name="CreditNoteId">The note that takes the amount back from the invoice; null where no note does.</param>
/// <param name="CheckAt">When the gateway is asked for the outcome, if none has come by then.</param>
public sealed record RefundRequested(
    RefundId RefundId, PaymentId PaymentId, PaymentTarget Target, Money Amount, Money FromOwed, CreditNoteId? CreditNoteId, string Reason,
    Instant CheckAt, Instant At) : RefundEvent(RefundId);

/// <summary>The gateway did not say how the refund ended.</summary>
/// <param name="CheckAt">When it is asked again.</param>
public sealed record RefundUnresolved(RefundId RefundId, Instant CheckAt, Instant At) : RefundEvent(RefundId);

public sealed record RefundSucceeded(RefundId RefundId, Money Amount, Instant At) : RefundEvent(RefundId);

/// <summary>The money was not paid back. It is owed to the tenant all the same, and a further refund takes it first.</summary>
/// <param name="Code">The gateway's, for programs: <c>account_closed</c>.</param>
public sealed record RefundFailed(RefundId RefundId, Money Amount, string Code, Instant At) : RefundEvent(RefundId);

public enum RefundStatus
{
    /// <summary>The gateway was or will be asked, and has not said how it ended.</summary>
    Pending,
    Succeeded,
    Failed,
}

public sealed record Refund(RefundId RefundId, RefundStatus Status, Money Amount, Instant RequestedAt, Instant CheckAt);
