using System.Diagnostics;
using Platform.Billing.Invoices;
using Platform.Billing.Payments;
using Platform.Billing.Rating;

namespace Platform.Billing.Ledger;

/// <summary>
/// The accounting rules: which events move money between accounts, and how. Pure. An event carries all that its posting needs,
/// because a posting is made from it alone.
/// </summary>
public static class Postings
{
    /// <summary>Every event type that <see cref="Of"/> knows a rule for.</summary>
    public static readonly IReadOnlySet<Type> Sources = new HashSet<Type>
    {
        typeof(InvoiceFinalized), typeof(InvoiceVoided), typeof(InvoiceMarkedUncollectible), typeof(InvoiceWriteOffReversed),
        typeof(PaymentSucceeded),
    };

    /// <summary>Null where the event moved nothing: an invoice of zero.</summary>
    public static Posting? Of(object @event) => @event switch
    {
        // The tenant owes the total, and each kind of line says what for.
        InvoiceFinalized it => Posting.Balanced(
            it.At,
            [
                Entry.Debit(Account.Receivable, it.Total),
                .. it.Amounts.Select(each => Entry.Credit(AccountOf(each.Kind), each.Amount, each.Kind)),
            ]),
        InvoiceVoided it => Posting.Balanced(
            it.At,
            [
                Entry.Credit(Account.Receivable, it.Total),
                .. it.Amounts.Select(each => Entry.Debit(AccountOf(each.Kind), each.Amount, each.Kind)),
            ]),
        InvoiceMarkedUncollectible it => Posting.Balanced(
            it.At, Entry.Debit(Account.BadDebt, it.Amount), Entry.Credit(Account.Receivable, it.Amount)),
        InvoiceWriteOffReversed it => Posting.Balanced(
            it.At, Entry.Debit(Account.Receivable, it.Amount), Entry.Credit(Account.BadDebt, it.Amount)),
        PaymentSucceeded it => Posting.Balanced(
            it.At,
            Entry.Debit(Account.Cash, it.Amount), Entry.Credit(Account.Receivable, it.Applied),
            Entry.Credit(Account.RefundsPayable, it.Excess)),
        _ => throw new UnreachableException($"No posting is known for {@event.GetType().Name}."),
    };

    /// <summary>What a line's amount is credited to.</summary>
    public static Account AccountOf(LineKind kind) => kind switch
    {
        LineKind.RecurringFee or LineKind.Usage or LineKind.LateUsage or LineKind.AddOn or LineKind.Discount or LineKind.IncludedTax =>
            Account.Revenue,
        LineKind.Tax => Account.TaxPayable,
        LineKind.CreditBroughtForward or LineKind.CreditCarriedForward => Account.Wallet,
        _ => throw new UnreachableException($"No account is known for lines of {kind}."),
    };
}
