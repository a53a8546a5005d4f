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
}

/// <summary>What is taken back of one line of the invoice.</summary>
/// <param name="Line">The line's number on the invoice.</param>
/// <param name="ProductId">What the line sold; absent where that is not told apart.</param>
public sealed record CreditedLine(
    int Line, LineKind Kind, string Description, Money Amount,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] ProductId? ProductId = null);

/// <summary>A line of a finalized invoice.</summary>
/// <param name="Left">What credit notes have left of its amount.</param>
/// <param name="ProductId">What it sold; null where that is not told apart.</param>
public sealed record CreditableLine(int Number, LineKind Kind, string Description, Money Left, ProductId? ProductId = null)
{
    public static IReadOnlyList<CreditableLine> Less(IReadOnlyList<CreditableLine> lines, IReadOnlyList<CreditedLine> credited) =>
    [
        .. lines.Select(line => credited.FirstOrDefault(it => it.Line == line.Number) is { } taken
            ? line with { Left = line.Left - taken.Amount }
            : line),
    ];
}

/// <summary>
/// Part of a finalized invoice is taken back. It is an event of the invoice, so that whoever decides about the next one knows what all
/// before it took.
/// </summary>
/// <param name="Number">Gapless per issuer and year in a series of its own, for example <c>CN-2026-000001</c>.</param>
/// <param name="Total">The sum of the lines, and of <paramref name="ReducesDue"/> and <paramref name="ToWallet"/>.</param>
/// <param name="ReducesDue">What is no longer owed.</param>
/// <param name="ToWallet">What had been settled and is credit now.</param>
public sealed record CreditNoteIssued(
    CreditNoteId CreditNoteId, string Number, InvoiceId InvoiceId, string InvoiceNumber, IReadOnlyList<CreditedLine> Lines, Money Total,
    Money ReducesDue, Money ToWallet, string Reason, Instant At) : SettlementEvent
{
    // By content: a list compares by reference.
    public bool Equals(CreditNoteIssued? other) =>
        other is not null
        && (CreditNoteId, Number, InvoiceId, InvoiceNumber, Total, ReducesDue, ToWallet, Reason, At)
            == (other.CreditNoteId, other.Number, other.InvoiceId, other.InvoiceNumber, other.Total, other.ReducesDue, other.ToWallet,
                other.Reason, other.At)
        && Lines.SequenceEqual(other.Lines);

    public override int GetHashCode() => HashCode.Combine(CreditNoteId, Number, Total, At);
}
