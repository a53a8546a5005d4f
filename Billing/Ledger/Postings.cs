using System.Diagnostics;
using NodaTime;
using Platform.Billing.CreditNotes;
using Platform.Billing.Invoices;
using Platform.Billing.Payments;
using Platform.Billing.Rating;
using Platform.Billing.Wallets;
using Platform.Contracts;

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
        typeof(CreditNoteIssued), typeof(PaymentSucceeded), typeof(CreditGranted), typeof(CreditConsumed), typeof(CreditExpired),
        typeof(CreditVoided), typeof(RefundRequested), typeof(RefundSucceeded),
    };

    /// <summary>Null where the event moved nothing: an invoice of zero, or what another event has posted.</summary>
    public static Posting? Of(object @event) => @event switch
    {
        // The tenant owes the total, and each kind of line says what for. What becomes credit is posted by its grant.
        InvoiceFinalized it => Posting.Balanced(
            it.At,
            [
                Entry.Debit(Account.Receivable, it.Sum),
                .. it.Amounts.Select(each => Entry.Credit(AccountOf(each.Kind), each.Amount, each.Kind, each.ProductId)),
            ]),
        InvoiceVoided it => Posting.Balanced(
            it.At,
            [
                Entry.Credit(Account.Receivable, it.Total),
                .. it.Amounts.Select(each => Entry.Debit(AccountOf(each.Kind), each.Amount, each.Kind, each.ProductId)),
            ]),
        InvoiceMarkedUncollectible it => Posting.Balanced(
            it.At, Entry.Debit(Account.BadDebt, it.Amount), Entry.Credit(Account.Receivable, it.Amount)),
        InvoiceWriteOffReversed it => Posting.Balanced(
            it.At, Entry.Debit(Account.Receivable, it.Amount), Entry.Credit(Account.BadDebt, it.Amount)),
        PaymentSucceeded it => Posting.Balanced(
            it.At,
            Entry.Debit(Account.Cash, it.Amount),
            Entry.Credit(it.Target is TopUpTarget ? Account.Wallet : Account.Receivable, it.Applied),
            Entry.Credit(Account.RefundsPayable, it.Excess)),
        // What was owed back already is among the payable refunds; the rest joins it, and leaves when the money does. What could not be
        // paid back stays among them.
        RefundRequested it => Moved(it.At, SourceOf(it), Account.RefundsPayable, it.Amount - it.FromOwed),
        RefundSucceeded it => Moved(it.At, Account.RefundsPayable, Account.Cash, it.Amount),
        CreditNoteIssued it => Posting.Balanced(
            it.At,
            [
                .. it.Lines.GroupBy(line => (line.Kind, line.ProductId)).Select(sold => Entry.Debit(
                    AccountOf(sold.Key.Kind), sold.Aggregate(Money.Zero(it.Total.Currency), (sum, line) => sum + line.Net),
                    sold.Key.Kind, sold.Key.ProductId)),
                Entry.Debit(AccountOf(LineKind.Tax), it.TaxTotal, LineKind.Tax),
                Entry.Credit(Account.Receivable, it.Total),
            ]),
        // Its payment has posted the money and the credit that it became.
        CreditGranted { SourcePaymentId: not null } => null,
        CreditGranted it => Moved(it.At, SourceOf(it.Kind), Account.Wallet, it.Amount),
        CreditConsumed it => Moved(it.At, Account.Wallet, Account.Receivable, it.Amount),
        // What was paid for and never used is earned; what was given costs nothing after all.
        CreditExpired it => Moved(
            it.At, Account.Wallet, it.Kind is CreditKind.Prepaid ? Account.BreakageRevenue : SourceOf(it.Kind), it.Amount),
        CreditVoided it => Moved(it.At, Account.Wallet, SourceOf(it.Kind), it.Amount),
        _ => throw new UnreachableException($"No posting is known for {@event.GetType().Name}."),
    };

    private static Posting? Moved(Instant at, Account debit, Account credit, Money amount) =>
        Posting.Balanced(at, Entry.Debit(debit, amount), Entry.Credit(credit, amount));

    // An adjustment was owed less than nothing on an invoice before it became credit.
    private static Account SourceOf(CreditKind kind) => kind switch
    {
        CreditKind.Prepaid => Account.Cash,
        CreditKind.Promotional => Account.PromotionExpense,
        CreditKind.Adjustment => Account.Receivable,
        _ => throw new UnreachableException($"No account is known for credit of {kind}."),
    };

    private static Account SourceOf(RefundRequested refund) => refund switch
    {
        { Target: TopUpTarget } => Account.Wallet,
        // The note was credited to what is owed.
        { CreditNoteId: not null } => Account.Receivable,
        _ => Account.RefundExpense,
    };

    /// <summary>What a line's amount is credited to.</summary>
    public static Account AccountOf(LineKind kind) => kind switch
    {
        LineKind.RecurringFee or LineKind.Usage or LineKind.LateUsage or LineKind.AddOn or LineKind.Discount or LineKind.IncludedTax =>
            Account.Revenue,
        LineKind.Tax => Account.TaxPayable,
        _ => throw new UnreachableException($"No account is known for lines of {kind}."),
    };
}
