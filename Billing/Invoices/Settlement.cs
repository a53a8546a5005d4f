using System.Diagnostics;
using NodaTime;
using Platform.Billing.CreditNotes;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Invoices;

/// <summary>What happens to an invoice once it is owed.</summary>
public abstract record SettlementEvent : InvoiceEvent;

/// <summary>A charge of the whole amount due is under way; until its outcome is known nothing else happens to the invoice.</summary>
/// <param name="CheckAt">When the gateway is asked for the outcome, if none has come by then.</param>
public sealed record InvoicePaymentRequested(PaymentId PaymentId, Money Amount, Instant CheckAt, Instant At) : SettlementEvent;

/// <summary>The gateway did not say how the charge ended.</summary>
/// <param name="CheckAt">When it is asked again.</param>
public sealed record InvoicePaymentUnresolved(PaymentId PaymentId, Instant CheckAt, Instant At) : SettlementEvent;

public sealed record InvoicePaymentDeclined(PaymentId PaymentId, string Code, Instant At) : SettlementEvent;

/// <param name="Amount">What it pays of the invoice; zero where that was paid in another way meanwhile.</param>
public sealed record InvoicePaymentApplied(PaymentId PaymentId, Money Amount, Instant At) : SettlementEvent;

/// <summary>Nothing is due any more.</summary>
public sealed record InvoicePaid(Instant At) : SettlementEvent;

/// <summary>It was not paid when it was due.</summary>
/// <param name="NextStepAt">When it is dunned.</param>
public sealed record InvoiceOverdue(Instant NextStepAt, Instant At) : SettlementEvent;

/// <summary>The tenant was asked to pay; where collection is automatic and there is a payment method, a charge follows.</summary>
/// <param name="Step">0 at finalization, then 1 for the first of the retry days; missed ones are skipped.</param>
/// <param name="NextStepAt">When the next step is due.</param>
public sealed record InvoiceDunned(int Step, Instant NextStepAt, Instant At) : SettlementEvent;

/// <summary>The schedule is through and the invoice is not paid; the tenant is suspended.</summary>
public sealed record InvoiceDunningEnded(Instant At) : SettlementEvent;

/// <summary>Given up in the books; the tenant owes it all the same.</summary>
/// <param name="Amount">What was due.</param>
public sealed record InvoiceMarkedUncollectible(Money Amount, string Reason, Instant At) : SettlementEvent;

/// <summary>Precedes a payment of what was given up.</summary>
public sealed record InvoiceWriteOffReversed(Money Amount, Instant At) : SettlementEvent;

/// <summary>Owed no more, as if it had not been invoiced.</summary>
/// <param name="Amounts">What it was made of, for the ledger to take back.</param>
public sealed record InvoiceVoided(Money Total, IReadOnlyList<InvoicedAmount> Amounts, string Reason, Instant At) : SettlementEvent
{
    public bool Equals(InvoiceVoided? other) =>
        other is not null && Total == other.Total && Amounts.SequenceEqual(other.Amounts) && Reason == other.Reason && At == other.At;

    public override int GetHashCode() => HashCode.Combine(Total, Reason, At);
}

/// <summary>A charge whose outcome is not known.</summary>
public sealed record OpenPayment(PaymentId PaymentId, Instant RequestedAt, Instant CheckAt);

/// <summary>How far a finalized invoice is paid, and what is done next about it.</summary>
/// <param name="AmountDue">What can still be paid; also of an invoice that was given up.</param>
/// <param name="Step">The last step of dunning; null before the first.</param>
/// <param name="ScheduledAt">When the next step is due, while no payment is open; null where there is none.</param>
/// <param name="DunningEnded">The schedule is through without success.</param>
public sealed record Settlement(
    Money AmountDue, Money AmountPaid, PaymentTerms Terms, OpenPayment? Payment, int? Step, Instant? ScheduledAt, bool DunningEnded)
{
    public Instant? NextStepAt => Payment?.CheckAt ?? ScheduledAt;

    public static Settlement Of(InvoiceFinalized it) => new(
        it.AmountDue, Money.Zero(it.Total.Currency), it.Terms, Payment: null, Step: null, it.Terms.FirstStepAt(it.At), DunningEnded: false);

    public static Settlement Evolve(Settlement settlement, SettlementEvent @event) => @event switch
    {
        InvoicePaymentRequested it => settlement with { Payment = new(it.PaymentId, it.At, it.CheckAt) },
        InvoicePaymentUnresolved it => settlement with { Payment = settlement.Payment! with { CheckAt = it.CheckAt } },
        InvoicePaymentDeclined it => settlement with { Payment = settlement.PaymentWithout(it.PaymentId) },
        InvoicePaymentApplied it => settlement with
        {
            Payment = settlement.PaymentWithout(it.PaymentId),
            AmountDue = settlement.AmountDue - it.Amount,
            AmountPaid = settlement.AmountPaid + it.Amount,
        },
        CreditNoteIssued it => settlement with { AmountDue = settlement.AmountDue - it.ReducesDue },
        InvoicePaid => settlement with { ScheduledAt = null },
        InvoiceOverdue it => settlement with { ScheduledAt = it.NextStepAt },
        InvoiceDunned it => settlement with { Step = it.Step, ScheduledAt = it.NextStepAt },
        InvoiceDunningEnded => settlement with { ScheduledAt = null, DunningEnded = true },
        InvoiceMarkedUncollectible => settlement with { ScheduledAt = null },
        InvoiceWriteOffReversed => settlement,
        InvoiceVoided it => settlement with { ScheduledAt = null, AmountDue = Money.Zero(it.Total.Currency) },
        _ => throw new UnreachableException($"Settlement does not know {@event.GetType().Name}."),
    };

    public static InvoiceStatus StatusAfter(InvoiceStatus status, SettlementEvent @event) => @event switch
    {
        InvoicePaid => InvoiceStatus.Paid,
        InvoiceOverdue => InvoiceStatus.Overdue,
        InvoiceMarkedUncollectible => InvoiceStatus.Uncollectible,
        InvoiceVoided => InvoiceStatus.Void,
        _ => status,
    };

    // The outcome of an earlier charge may come while a later one is open.
    private OpenPayment? PaymentWithout(PaymentId concluded) => Payment?.PaymentId == concluded ? null : Payment;
}

/// <summary>What every change of an invoice that is owed asks of it.</summary>
internal static class OwedInvoice
{
    public static Refusal? Refuse(Invoice invoice) => invoice switch
    {
        { Status: InvoiceStatus.Missing } => Refusal.Because("invoice.not_found", "There is no such invoice."),
        { Status: InvoiceStatus.Draft } => Refusal.Because("invoice.not_finalized", "The invoice is a draft: nothing is owed yet."),
        { Status: InvoiceStatus.Paid } => Refusal.Because("invoice.paid", "The invoice is paid."),
        { Status: InvoiceStatus.Void } => Refusal.Because("invoice.void", "The invoice is void."),
        { Settlement.Payment: not null } =>
            Refusal.Because("invoice.payment_in_progress", "A charge is under way; try again when its outcome is known."),
        _ => null,
    };
}
