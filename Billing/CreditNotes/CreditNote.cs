using System.Text.Json.Serialization;
using NodaTime;
using Platform.Billing.Invoices;
using Platform.Billing.Rating;
using Platform.Contracts;

namespace Platform.Billing.CreditNotes;

/// <summary>What becomes of the amount that a credit note takes back.</summary>
public enum CreditNoteOutcome
{
    /// <summary>The tenant owes less of the invoice.</summary>
    ReduceDue,

    /// <summary>What was settled already becomes credit in the wallet.</summary>
    Wallet,

    /// <summary>What was paid through a gateway is paid back through it.</summary>
    Refund,
}

/// <summary>What is taken back of one line of the invoice.</summary>
/// <param name="Line">The line's number on the invoice.</param>
/// <param name="Amount">With its tax.</param>
/// <param name="TaxAmount">What of the amount is tax, which the line contained or which was added to it.</param>
/// <param name="ProductId">What the line sold; absent where that is not told apart.</param>
public sealed record CreditedLine(
    int Line, LineKind Kind, string Description, Money Amount, Money TaxAmount,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] ProductId? ProductId = null)
{
    /// <summary>Without tax.</summary>
    [JsonIgnore]
    public Money Net => Amount - TaxAmount;
}

/// <summary>A line of a finalized invoice.</summary>
/// <param name="Amount">Less its discounts and with its tax: all lines sum to the invoice's total.</param>
/// <param name="TaxAmount">What of the amount is tax.</param>
/// <param name="Credited">What credit notes took of the amount.</param>
/// <param name="TaxCredited">What they took of the tax.</param>
/// <param name="ProductId">What it sold; null where that is not told apart.</param>
public sealed record CreditableLine(
    int Number, LineKind Kind, string Description, Money Amount, Money TaxAmount, Money Credited, Money TaxCredited, ProductId? ProductId)
{
    public Money Left => Amount - Credited;

    public static CreditableLine Of(int number, LineKind kind, string description, Money amount, ProductId? product)
    {
        var nothing = Money.Zero(amount.Currency);
        return new(number, kind, description, amount, TaxAmount: nothing, Credited: nothing, TaxCredited: nothing, product);
    }

    /// <summary>
    /// Takes part of the line, with the tax of all that is taken by then less the tax that was taken before: however a line is sliced,
    /// its slices' tax sums to its own.
    /// </summary>
    /// <param name="amount">Above zero and at most what is left.</param>
    /// <param name="taxMax">What is left of the invoice's tax, which is less than its lines' together where others take back.</param>
    public CreditedLine Take(Money amount, Money taxMax)
    {
        var reached = Money.Round(TaxAmount.Amount * (Credited + amount).Amount / Amount.Amount, Amount.Currency);
        var most = Math.Max(0, Math.Min(amount.MinorUnits, taxMax.MinorUnits));
        var tax = new Money(Math.Clamp((reached - TaxCredited).MinorUnits, 0, most), Amount.Currency);
        return new(Number, Kind, Description, amount, tax, ProductId);
    }

    public static IReadOnlyList<CreditableLine> Less(IReadOnlyList<CreditableLine> lines, IReadOnlyList<CreditedLine> credited) =>
    [
        .. lines.Select(line => credited.FirstOrDefault(it => it.Line == line.Number) is { } taken
            ? line with { Credited = line.Credited + taken.Amount, TaxCredited = line.TaxCredited + taken.TaxAmount }
            : line),
    ];

    /// <summary>Lines with their parts of a discount or tax; a line's number is its place.</summary>
    public static IReadOnlyList<CreditableLine> With(
        IReadOnlyList<CreditableLine> lines, IReadOnlyList<LinePart> parts, Func<CreditableLine, Money, CreditableLine> with)
    {
        CreditableLine[] changed = [.. lines];
        foreach (var (line, amount) in parts)
            changed[line - 1] = with(changed[line - 1], amount);
        return changed;
    }
}

/// <summary>
/// Part of a finalized invoice is taken back. It is an event of the invoice, so that whoever decides about the next one knows what all
/// before it took.
/// </summary>
/// <param name="Number">Gapless per issuer and year in a series of its own, for example <c>CN-2026-000001</c>.</param>
/// <param name="TaxTotal">What of the total is tax.</param>
/// <param name="Total">The sum of the lines, and of what becomes of it in the three ways.</param>
/// <param name="ReducesDue">What is no longer owed.</param>
/// <param name="ToWallet">What had been settled and is credit now.</param>
/// <param name="ToRefund">What had been paid through a gateway and is paid back through it.</param>
public sealed record CreditNoteIssued(
    CreditNoteId CreditNoteId, string Number, InvoiceId InvoiceId, string InvoiceNumber, IReadOnlyList<CreditedLine> Lines, Money TaxTotal,
    Money Total, Money ReducesDue, Money ToWallet, Money ToRefund, string Reason, Instant At) : SettlementEvent
{
    // By content: a list compares by reference.
    public bool Equals(CreditNoteIssued? other) =>
        other is not null
        && (CreditNoteId, Number, InvoiceId, InvoiceNumber, TaxTotal, Total, ReducesDue, ToWallet, ToRefund, Reason, At)
            == (other.CreditNoteId, other.Number, other.InvoiceId, other.InvoiceNumber, other.TaxTotal, other.Total, other.ReducesDue,
                other.ToWallet, other.ToRefund, other.Reason, other.At)
        && Lines.SequenceEqual(other.Lines);

    public override int GetHashCode() => HashCode.Combine(CreditNoteId, Number, Total, At);
}
