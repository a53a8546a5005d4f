using System.Diagnostics;
using System.Text.Json.Serialization;
using NodaTime;
using Platform.Billing.CreditNotes;
using Platform.Billing.Rating;
using Platform.Billing.Taxes;
using Platform.Billing.Wallets;
using Platform.Contracts;
using Platform.Contracts.Verification;
using Platform.EventStore;

namespace Platform.Billing.Invoices;

[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(InvoiceDrafted), "invoice.drafted.v1")]
[JsonDerivedType(typeof(InvoiceLineAdded), "invoice.line_added.v1")]
[JsonDerivedType(typeof(InvoiceDiscountAdded), "invoice.discount_added.v1")]
[JsonDerivedType(typeof(InvoiceTaxAdded), "invoice.tax_added.v1")]
[JsonDerivedType(typeof(InvoiceFinalized), "invoice.finalized.v1")]
[JsonDerivedType(typeof(InvoicePaymentRequested), "invoice.payment_requested.v1")]
[JsonDerivedType(typeof(InvoicePaymentUnresolved), "invoice.payment_unresolved.v1")]
[JsonDerivedType(typeof(InvoicePaymentDeclined), "invoice.payment_declined.v1")]
[JsonDerivedType(typeof(InvoicePaymentApplied), "invoice.payment_applied.v1")]
[JsonDerivedType(typeof(InvoicePaid), "invoice.paid.v1")]
[JsonDerivedType(typeof(InvoiceOverdue), "invoice.overdue.v1")]
[JsonDerivedType(typeof(InvoiceDunned), "invoice.dunned.v1")]
[JsonDerivedType(typeof(InvoiceDunningEnded), "invoice.dunning_ended.v1")]
[JsonDerivedType(typeof(InvoiceMarkedUncollectible), "invoice.marked_uncollectible.v1")]
[JsonDerivedType(typeof(InvoiceWriteOffReversed), "invoice.write_off_reversed.v1")]
[JsonDerivedType(typeof(InvoiceVoided), "invoice.voided.v1")]
[JsonDerivedType(typeof(CreditNoteIssued), "invoice.credit_note_issued.v1")]
public abstract record InvoiceEvent;

/// <param name="PeriodStart">The earliest start of the periods that the invoice is for.</param>
/// <param name="PeriodEnd">Their end.</param>
/// <param name="TimeZone">The tenant's IANA zone, in which the periods are to be read.</param>
/// <param name="UsageThrough">The newest ledger position that the invoice knew.</param>
/// <param name="Progressive">Use of the running period had come to its plan's threshold; the period goes on.</param>
public sealed record InvoiceDrafted(
    InvoiceId InvoiceId, TenantId TenantId, Currency Currency, Instant PeriodStart, Instant PeriodEnd, string TimeZone,
    IReadOnlyList<InvoicedSubscription> Subscriptions, long UsageThrough, Instant At,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] bool Progressive = false) : InvoiceEvent
{
    // By content, as events are compared.
    public bool Equals(InvoiceDrafted? other) =>
        other is not null
        && (InvoiceId, TenantId, Currency, PeriodStart, PeriodEnd, TimeZone, UsageThrough, At)
            == (other.InvoiceId, other.TenantId, other.Currency, other.PeriodStart, other.PeriodEnd, other.TimeZone, other.UsageThrough, other.At)
        && Progressive == other.Progressive && Subscriptions.SequenceEqual(other.Subscriptions);

    public override int GetHashCode() => InvoiceId.GetHashCode();
}

/// <summary>One subscription's period on an invoice.</summary>
/// <param name="PlanId">The plan that it ran on.</param>
/// <param name="PeriodNumber">The subscription's period: 1 for its first.</param>
/// <param name="PeriodStart">Included.</param>
/// <param name="PeriodEnd">Excluded.</param>
/// <param name="UsageAfter">Usage up to this ledger position was on earlier invoices, where it belonged to their periods.</param>
public sealed record InvoicedSubscription(
    SubscriptionId SubscriptionId, PlanId PlanId, int PlanVersion, int PeriodNumber, Instant PeriodStart, Instant PeriodEnd,
    long UsageAfter);

/// <param name="Line">1 for the first line.</param>
/// <param name="UnitAmount">Exact price of one unit in the invoice's currency; null where the charge has no single one.</param>
/// <param name="WindowStart">Start of the usage or fee that the line is for; of an earlier period where it was reported late.</param>
/// <param name="SubscriptionId">What it is owed for; absent where it is owed for no single one.</param>
/// <param name="PlanId">The plan that the window ran on.</param>
/// <param name="Breakdown">How the amount came about; absent where it is just quantity times unit amount.</param>
/// <param name="TaxCategory">The category of products by which it is taxed; absent for <c>standard</c>.</param>
/// <param name="ProductId">What is sold; absent where that is not told apart.</param>
/// <param name="AddOnId">What the line is for; absent where that is no add-on, and in lines from before they named theirs.</param>
public sealed record InvoiceLineAdded(
    int Line, LineKind Kind, string Description, string? Meter, decimal Quantity, string Unit, decimal? UnitAmount, Money Amount,
    Instant WindowStart, Instant WindowEnd, Instant At,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] SubscriptionId? SubscriptionId = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] PlanId? PlanId = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] int? PlanVersion = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<RatingStep>? Breakdown = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? TaxCategory = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] ProductId? ProductId = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] AddOnId? AddOnId = null)
    : InvoiceEvent;

/// <summary>A part of a discount or tax.</summary>
/// <param name="Line">The number of the line that it falls on.</param>
public sealed record LinePart(int Line, Money Amount);

/// <summary>What a redeemed coupon takes off the lines before.</summary>
/// <param name="Amount">Above zero.</param>
/// <param name="Lines">The lines that it takes from; their parts sum to the amount.</param>
public sealed record InvoiceDiscountAdded(
    CouponRedemptionId RedemptionId, CouponId CouponId, string Code, string Description, Money Amount, IReadOnlyList<LinePart> Lines,
    Instant At) : InvoiceEvent
{
    // By content, as events are compared.
    public bool Equals(InvoiceDiscountAdded? other) =>
        other is not null
        && (RedemptionId, CouponId, Code, Description, Amount, At)
            == (other.RedemptionId, other.CouponId, other.Code, other.Description, other.Amount, other.At)
        && Lines.SequenceEqual(other.Lines);

    public override int GetHashCode() => HashCode.Combine(RedemptionId, Amount);
}

/// <summary>Tax by one rate, on lines less their discounts.</summary>
/// <param name="Rate">A fraction: 0.19 is 19 %.</param>
/// <param name="Inclusive">The lines contain the tax; else it is added to them.</param>
/// <param name="Reason">Why nothing is owed; null where a rate says what is.</param>
/// <param name="CustomerTaxId">The tenant's own; null where it has none.</param>
/// <param name="TaxRateIds">The rates that gave it; several where they are equal, none where nothing is owed for a reason.</param>
/// <param name="TaxableAmount">Of the lines, without the tax that they contain.</param>
/// <param name="Lines">The lines that are taxed by it; their parts sum to the amount.</param>
public sealed record InvoiceTaxAdded(
    string Jurisdiction, decimal Rate, bool Inclusive, TaxTreatment Treatment, string? Reason, string? CustomerTaxId,
    IReadOnlyList<TaxRateId> TaxRateIds, Money TaxableAmount, Money Amount, IReadOnlyList<LinePart> Lines, Instant At) : InvoiceEvent
{
    public bool Equals(InvoiceTaxAdded? other) =>
        other is not null
        && (Jurisdiction, Rate, Inclusive, Treatment, Reason, CustomerTaxId, TaxableAmount, Amount, At) == (
            other.Jurisdiction, other.Rate, other.Inclusive, other.Treatment, other.Reason, other.CustomerTaxId, other.TaxableAmount,
            other.Amount, other.At)
        && TaxRateIds.SequenceEqual(other.TaxRateIds) && Lines.SequenceEqual(other.Lines);

    public override int GetHashCode() => HashCode.Combine(Jurisdiction, Rate, Inclusive, Amount);
}

/// <param name="Number">Gapless per issuer and year, for example <c>2026-000042</c>.</param>
/// <param name="Total">What the lines sum to, or zero where they take back more than they charge.</param>
/// <param name="Amounts">What the lines sum to, by kind and product: the ledger posts from this event alone.</param>
/// <param name="Terms">When and how it is to be paid.</param>
/// <param name="UsageTree">Over the usage events that the invoice counts; absent in events from before there was one.</param>
/// <param name="CreditApplied">What the wallet paid of the total, by grant; absent where it paid nothing.</param>
/// <param name="ToWallet">What the lines take back beyond what they charge; absent where they do not.</param>
public sealed record InvoiceFinalized(
    string Number, Money Total, IReadOnlyList<InvoicedAmount> Amounts, PaymentTerms Terms, Instant At,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] UsageTreeHead? UsageTree = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<CreditPart>? CreditApplied = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] Money? ToWallet = null) : InvoiceEvent
{
    /// <summary>What the lines sum to: below zero where they take back more than they charge.</summary>
    [JsonIgnore]
    public Money Sum => ToWallet is { } excess ? Total - excess : Total;

    /// <summary>What is left to be paid.</summary>
    [JsonIgnore]
    public Money AmountDue => (CreditApplied ?? []).Aggregate(Total, (due, part) => due - part.Amount);

    public bool Equals(InvoiceFinalized? other) =>
        other is not null && Number == other.Number && Total == other.Total && Amounts.SequenceEqual(other.Amounts)
        && Terms == other.Terms && At == other.At && UsageTree == other.UsageTree
        && (CreditApplied ?? []).SequenceEqual(other.CreditApplied ?? []) && ToWallet == other.ToWallet;

    public override int GetHashCode() => HashCode.Combine(Number, Total, At);
}

public enum InvoiceStatus
{
    Missing,
    Draft,

    /// <summary>Owed and not due yet.</summary>
    Finalized,
    Paid,

    /// <summary>Owed and past due.</summary>
    Overdue,

    /// <summary>Given up in the books; it may still be paid.</summary>
    Uncollectible,

    /// <summary>Taken back.</summary>
    Void,
}

/// <summary>Only what the invoice features need to decide. What people read is <see cref="InvoiceView"/>.</summary>
/// <param name="Amounts">What the lines sum to, by kind.</param>
/// <param name="Total">Of a draft, what its lines sum to, which may be below zero.</param>
/// <param name="Settlement">How far it is paid; null while it is a draft.</param>
/// <param name="MovesCredit">It uses credit of the wallet, or gave it some.</param>
/// <param name="Creditable">What credit notes have left of the total.</param>
/// <param name="CreditNotes">Those that were issued.</param>
public sealed record Invoice(
    InvoiceStatus Status, string? Number, Money Total, Money Creditable, IReadOnlyList<InvoicedAmount> Amounts,
    IReadOnlyList<CreditableLine> Lines, bool MovesCredit, IReadOnlyList<CreditNoteId> CreditNotes, Settlement? Settlement)
    : IEvolve<Invoice, InvoiceEvent>
{
    public static Invoice Initial => new(
        InvoiceStatus.Missing, Number: null, Total: default, Creditable: default, Amounts: [], Lines: [], MovesCredit: false,
        CreditNotes: [], Settlement: null);

    /// <summary>What credit notes have left of the tax.</summary>
    public Money TaxLeft => Lines.Aggregate(
        Amounts.FirstOrDefault(it => it.Kind is LineKind.Tax)?.Amount ?? Money.Zero(Total.Currency), (left, line) => left - line.TaxCredited);

    public static StreamId Stream(TenantId tenant, InvoiceId invoice) => new(tenant.Value, "invoice", invoice.Value);

    public static Invoice Evolve(Invoice invoice, InvoiceEvent @event) => @event switch
    {
        InvoiceDrafted drafted => invoice with
        {
            Status = InvoiceStatus.Draft,
            Total = Money.Zero(drafted.Currency),
        },
        InvoiceLineAdded line => invoice with
        {
            Total = invoice.Total + line.Amount,
            Amounts = InvoicedAmount.Add(invoice.Amounts, line.Kind, line.Amount, line.ProductId),
            Lines =
            [
                .. invoice.Lines, CreditableLine.Of(line.Line, line.Kind, line.Description, line.Amount, line.ProductId),
            ],
        },
        InvoiceFinalized it => invoice with
        {
            Status = InvoiceStatus.Finalized,
            Number = it.Number,
            Total = it.Total,
            Creditable = it.Total,
            MovesCredit = it.CreditApplied is not null || it.ToWallet is not null,
            Settlement = Settlement.Of(it),
        },
        CreditNoteIssued it => invoice with
        {
            Settlement = Settlement.Evolve(invoice.Settlement!, it),
            Creditable = invoice.Creditable - it.Total,
            Lines = CreditableLine.Less(invoice.Lines, it.Lines),
            CreditNotes = [.. invoice.CreditNotes, it.CreditNoteId],
        },
        InvoiceDiscountAdded it => invoice with
        {
            Total = invoice.Total - it.Amount,
            Amounts = Less(invoice, invoice.Amounts, LineKind.Discount, it.Lines),
            Lines = CreditableLine.With(invoice.Lines, it.Lines, (line, part) => line with { Amount = line.Amount - part }),
        },
        InvoiceTaxAdded { Inclusive: false } it => invoice with
        {
            Total = invoice.Total + it.Amount,
            Amounts = InvoicedAmount.Add(invoice.Amounts, LineKind.Tax, it.Amount),
            Lines = CreditableLine.With(
                invoice.Lines, it.Lines,
                (line, part) => line with { Amount = line.Amount + part, TaxAmount = line.TaxAmount + part }),
        },
        InvoiceTaxAdded it => invoice with
        {
            Amounts = Less(invoice, InvoicedAmount.Add(invoice.Amounts, LineKind.Tax, it.Amount), LineKind.IncludedTax, it.Lines),
            Lines = CreditableLine.With(invoice.Lines, it.Lines, (line, part) => line with { TaxAmount = line.TaxAmount + part }),
        },
        SettlementEvent it => invoice with
        {
            Status = Settlement.StatusAfter(invoice.Status, it),
            Settlement = Settlement.Evolve(invoice.Settlement!, it),
        },
        _ => throw new UnreachableException($"Invoice does not know {@event.GetType().Name}."),
    };

    // Each part is taken off what its line's product earns.
    private static IReadOnlyList<InvoicedAmount> Less(
        Invoice invoice, IReadOnlyList<InvoicedAmount> amounts, LineKind kind, IReadOnlyList<LinePart> parts) =>
        parts.Aggregate(amounts, (sum, part) => InvoicedAmount.Add(
            sum, kind, Money.Zero(part.Amount.Currency) - part.Amount,
            invoice.Lines.FirstOrDefault(line => line.Number == part.Line)?.ProductId));
}
