using NodaTime;
using Platform.Billing.Subscriptions;
using Platform.Contracts;

namespace Platform.Billing.Rating;

/// <summary>What one meter measured in one window.</summary>
/// <param name="Late">
/// The usage, or its correction, belongs to a period that was closed before the ledger knew it; <paramref name="Window"/> is that
/// period. Negative where corrections take back more than was reported late.
/// </param>
/// <param name="AlreadyBilled">
/// What the same billing period by the calendar was charged for before this: on earlier invoices, and late usage rated with it.
/// Null where no part of that period was ever billed.
/// </param>
public sealed record MeteredQuantity(
    string Meter, string Unit, decimal Quantity, BillingPeriod Window, bool Late, decimal? AlreadyBilled = null)
{
    /// <summary>When all of it was used, what was billed already included; null where the price does not depend on it.</summary>
    public WindowedUse? Windows { get; init; }

    /// <summary>The part of it that was billed already; null where nothing was.</summary>
    public WindowedUse? WindowsBilled { get; init; }

    /// <summary>What its events come to, what was billed already included; null where the price reads none.</summary>
    public IReadOnlyList<RatingStep>? Tallied { get; init; }

    /// <summary>What those of them come to that were billed already; null where none were.</summary>
    public IReadOnlyList<RatingStep>? TalliedBilled { get; init; }
}

public enum LineKind
{
    RecurringFee,
    Usage,
    LateUsage,

    /// <summary>What the subscription has beside its plan.</summary>
    AddOn,

    /// <summary>What coupons take off, negative. No line of its own, but an amount of the invoice.</summary>
    Discount,

    /// <summary>Tax, for the authorities. No line of its own, but an amount of the invoice.</summary>
    Tax,

    /// <summary>Tax that the lines contain, negative: what was invoiced by them and is not earned.</summary>
    IncludedTax,
}

/// <summary>One line of an invoice with what explains it.</summary>
/// <param name="UnitAmount">Exact price of one unit, before rounding; null where the charge has no single one.</param>
/// <param name="Amount">Rounded once.</param>
/// <param name="Breakdown">How the amount came about; null where it is just quantity times unit amount.</param>
/// <param name="SubscriptionId">What it is owed for; null where it is owed for no single one.</param>
/// <param name="Plan">What ran in the window.</param>
/// <param name="TaxCategory">The category of products by which it is taxed; null for <c>standard</c>.</param>
public sealed record RatedLine(
    LineKind Kind, string Description, string? Meter, decimal Quantity, string Unit, decimal? UnitAmount, Money Amount,
    BillingPeriod Window, IReadOnlyList<RatingStep>? Breakdown = null, SubscriptionId? SubscriptionId = null, PlanSpan? Plan = null,
    string? TaxCategory = null)
{
    /// <summary>What is sold; null where that is not told apart.</summary>
    public ProductId? ProductId { get; init; }

    /// <summary>What the line is for; null where that is no add-on.</summary>
    public AddOnId? AddOnId { get; init; }
}

/// <summary>
/// Turns a period's usage and a plan's terms into lines. Pure: the same input gives the same lines for ever. Amounts are exact
/// decimals until the line, and each line is rounded once, half away from zero.
/// </summary>
public static class RatePeriod
{
    /// <param name="period">What is billed: a whole billing period or a slice of one.</param>
    /// <param name="zone">The tenant's, for proration by days.</param>
    /// <param name="whole">The billing period by the calendar that <paramref name="period"/> lies in.</param>
    /// <param name="usage">At most one on-time quantity per meter, any number of late ones.</param>
    /// <param name="planEnds">These terms bill nothing after <paramref name="period"/>, so what is owed at a period's end is due.</param>
    /// <param name="fee">The fee once, in arrears, if absent.</param>
    public static IReadOnlyList<RatedLine> Rate(
        PlanTerms terms, BillingPeriod period, BillingPeriod whole, DateTimeZone zone, IReadOnlyCollection<MeteredQuantity> usage,
        bool planEnds = false, FeeBasis? fee = null) =>
    [
        .. RecurringFee.Lines(terms, period, whole, zone, fee ?? new([new(period, Quantity: 1)]), planEnds)
            .Select(line => line with { TaxCategory = terms.TaxCategory }),
        .. Lines(terms, usage, quantity => quantity.Late ? quantity.Window.Start < whole.Start : planEnds || period.End == whole.End),
    ];

    /// <summary>Late usage of a time that nothing else is owed for any more.</summary>
    public static IReadOnlyList<RatedLine> RateLate(PlanTerms terms, IReadOnlyCollection<MeteredQuantity> usage) =>
        [.. Lines(terms, [.. usage.Where(quantity => quantity.Late)], _ => true)];

    private static IEnumerable<RatedLine> Lines(
        PlanTerms terms, IReadOnlyCollection<MeteredQuantity> usage, Func<MeteredQuantity, bool> periodEnded) =>
        terms.Charges.SelectMany(charge => usage
            .Where(quantity => quantity.Meter == charge.Meter && (!quantity.Late || MayOwe(quantity)))
            .OrderBy(quantity => quantity.Late).ThenBy(quantity => quantity.Window.Start)
            .Select(quantity => Line(charge, quantity, periodEnded(quantity), terms.Currency) with
            {
                TaxCategory = charge.TaxCategory ?? terms.TaxCategory,
            })
            .Where(line => line is not { Kind: LineKind.LateUsage, Quantity: 0, Amount.MinorUnits: 0 }));

    // Corrections that only move use from one window to another, or from one event to another, change what is owed and no quantity.
    private static bool MayOwe(MeteredQuantity late) => late is not { Quantity: 0, Windows: null, Tallied: null };

    // Usage is what the calendar's period owes after it minus what it owed before, so that tiers, free units and limits go on over
    // slices and late reports, and all lines of a period sum to what one run over it would owe.
    private static RatedLine Line(Charge charge, MeteredQuantity usage, bool periodEnded, Currency currency)
    {
        var price = charge.ToPrice();
        var before = usage.AlreadyBilled is { } billed
            ? Rating.Rate.Of(
                price, new(billed, []) { Windows = usage.WindowsBilled, Tallied = usage.TalliedBilled },
                periodEnd: usage.Late && periodEnded).Amount
            : 0;
        var soFar = new Measured((usage.AlreadyBilled ?? 0) + usage.Quantity, []) { Windows = usage.Windows, Tallied = usage.Tallied };
        var slice = Rating.Rate.Slice(price, soFar, periodEnded, before, usage.AlreadyBilled, currency);

        var unitAmount = (price as PerUnitPrice)?.UnitAmount;
        var isPlain = unitAmount is { } each && Money.Round(usage.Quantity * each, currency) == slice.Rounded;
        var (kind, description) = usage.Late
            ? (LineKind.LateUsage, $"{charge.DisplayName}, {(usage.Quantity < 0 ? "corrected" : "reported late")}")
            : (LineKind.Usage, charge.DisplayName);

        return new(
            kind, description, charge.Meter, usage.Quantity, usage.Unit, unitAmount, slice.Rounded, usage.Window,
            isPlain ? null : slice.Breakdown);
    }
}
