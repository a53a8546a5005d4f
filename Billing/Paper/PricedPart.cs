using System.Text.Json;
using NodaTime;
using Platform.Billing.Invoices;
using Platform.Billing.Rating;
using Platform.Contracts;

namespace Platform.Billing.Paper;

/// <summary>
/// A part of an invoice's line that has one unit price, as FOCUS wants it of every row of usage and purchases: it costs its quantity times
/// a price that is not below zero. A line whose steps have prices of their own has several parts. Pure.
/// </summary>
/// <param name="Step">What the part is of the line; null where it is all of it.</param>
/// <param name="Quantity">How many times the price; below zero where it takes something off.</param>
/// <param name="UnitPrice">Exact, in major units, without tax.</param>
/// <param name="Consumed">What it used of the line's quantity; the parts of a line sum to that.</param>
/// <param name="Billed">Less its share of discounts and without tax; the parts of a line sum to what the line costs so.</param>
public sealed record PricedPart(RatingStep? Step, decimal Quantity, string Unit, decimal UnitPrice, decimal Consumed, Money Billed)
{
    // As FOCUS writes them.
    private const string Count = "Count", Events = "Events";

    // Of quantities in the ledger.
    private const int QuantityDecimals = 9;

    /// <summary>Exact, before the line was rounded and discounted.</summary>
    public decimal Cost => Decimals.Canonical(Quantity * UnitPrice);

    /// <summary>FOCUS's own word for how the price came about; null for what takes back what was billed before, at whatever price.</summary>
    public string? PricingCategory => Step switch
    {
        { Step: StepKind.AlreadyBilled } => null,
        { Step: StepKind.Committed or StepKind.TrueUp } => "Committed",
        { Step: StepKind.BookPrice or StepKind.OtherEvents or StepKind.Unpriced } => "Dynamic",

        // Events bring a unit amount, or owe a share at a rate that the plan has.
        { Step: StepKind.Event, UnitAmount: not null } => "Dynamic",
        _ => "Standard",
    };

    /// <summary>
    /// Which of its charge's prices it is, the same for ever and for everybody: <c>tier/2</c>, <c>overage</c>. Null for the only one, which
    /// a price of the book is too, whatever it comes to by then.
    /// </summary>
    public string? PriceName => Step is null ? null : string.Join('/', new[]
    {
        Step.Step switch
        {
            StepKind.Flat or StepKind.Units or StepKind.Packages or StepKind.Event or StepKind.BookPrice => null,
            StepKind.Tier => $"tier/{Step.Tier}",
            var kind => JsonNamingPolicy.SnakeCaseLower.ConvertName(kind.ToString()),
        },
        Step.Band,
        Step is { Step: StepKind.Tier or StepKind.Event, FlatAmount: not null } ? "flat" : null,
    }.OfType<string>()) is { Length: > 0 } name ? name : null;

    /// <param name="unitSize">How many units of the meter a package, or a unit that the book prices, has.</param>
    /// <returns>At least one.</returns>
    public static IReadOnlyList<PricedPart> Of(InvoiceView invoice, InvoiceView.InvoiceLine line, decimal unitSize)
    {
        // 1 what has a price of its own
        RatingStep?[] steps = line.Breakdown is { Count: > 0 } breakdown ? [.. breakdown.SelectMany(ByPrice)] : [null];
        (decimal Quantity, string Unit, decimal UnitPrice)[] priced =
            [.. steps.Select(step => step is null ? PriceOf(line) : PriceOf(step, line, unitSize))];

        // 2 what was used; packages and prices of events count something else, and then the first part names all of it
        decimal[] consumed = [.. steps.Select(step => step is null ? line.Quantity : ConsumedBy(step, unitSize))];
        if (consumed.Sum() != line.Quantity)
            consumed = [line.Quantity, .. consumed.Skip(1).Select(_ => 0m)];

        // 3 what the line was rounded to, less discounts
        var charged = line.Amount - line.DiscountAmount;
        var kept = line.Amount.MinorUnits == 0 ? 1 : charged.Amount / line.Amount.Amount;
        var shares = charged.SplitBy([.. priced.Select(part => part.Quantity * part.UnitPrice * kept)]);

        // 4 the tax that is contained
        var (tax, taxed) = invoice.TaxOf(line) is { Inclusive: true } included
            ? (line.TaxAmount, 1 + included.Rate)
            : (Money.Zero(charged.Currency), 1);
        var taxes = tax.SplitBy([.. shares.Select(share => share.Amount * (taxed - 1) / taxed)]);

        return
        [
            .. steps.Select((step, index) => new PricedPart(
                step, priced[index].Quantity, priced[index].Unit, Rate.Exact(priced[index].UnitPrice / taxed), consumed[index],
                shares[index] - taxes[index])),
        ];
    }

    /// <summary>Where it is all of the line, what the line says.</summary>
    /// <param name="zone">In which the beginning of a price of the book is a day.</param>
    public string Describe(InvoiceView.InvoiceLine line, DateTimeZone zone) =>
        Step is null ? line.Description : $"{line.Description}: {StepText.Of(Step, zone)}";

    // What a tier owes when it is entered, and each event beside its share, is a price by itself.
    private static RatingStep[] ByPrice(RatingStep step)
    {
        if (step is not { Step: StepKind.Tier or StepKind.Event, FlatAmount: { } each })
            return [step];

        var flat = each * (step.Events ?? 1);
        var rest = step with { FlatAmount = null, Amount = step.Amount - flat };
        return flat == 0 ? [rest] : [rest, new() { Step = step.Step, Tier = step.Tier, Events = step.Events, FlatAmount = each, Amount = flat }];
    }

    private static (decimal Quantity, string Unit, decimal UnitPrice) PriceOf(InvoiceView.InvoiceLine line) =>
        (InvoiceDocument.UnitPrice(line) ?? (line.Amount.MinorUnits == 0 ? 0 : null)) is { } each
            ? (line.Quantity, line.Unit, each)
            : Once(line.Amount.Amount);

    private static (decimal Quantity, string Unit, decimal UnitPrice) PriceOf(
        RatingStep step, InvoiceView.InvoiceLine line, decimal unitSize) => step switch
        {
            // Earlier invoices were rounded, so what they took is taken back to the cent.
            { Step: StepKind.AlreadyBilled } => Once(Money.Round(step.Amount, line.Amount.Currency).Amount),
            { Step: StepKind.Free, Quantity: { } units } => (units, line.Unit, 0),
            { Step: StepKind.Unpriced, Events: { } events } => (events, Events, 0),
            { FlatAmount: { } each, Events: { } events } => (events, Events, each),
            { Step: StepKind.Packages or StepKind.BookPrice, Quantity: { } units, UnitAmount: { } each } =>
                (units, unitSize == 1 ? line.Unit : $"{Decimals.Format(unitSize)} {line.Unit}", each),

            // What events are multiplied by has no unit that we know.
            { Step: StepKind.Event, Quantity: { } times, UnitAmount: { } each } => (times, Count, each),
            { Quantity: { } units, UnitAmount: { } each } => (units, line.Unit, each * (step.OverageFactor ?? 1)),
            { Quantity: { } amount, Rate: { } rate } => (amount, line.Unit, rate),
            { Step: StepKind.Overage, Quantity: { } spent } => (spent, line.Amount.Currency.Code, step.OverageFactor ?? 1),
            _ => Once(step.Amount),
        };

    private static (decimal Quantity, string Unit, decimal UnitPrice) Once(decimal amount) =>
        (amount < 0 ? -1 : 1, Count, Math.Abs(amount));

    private static decimal ConsumedBy(RatingStep step, decimal unitSize) => step switch
    {
        { Step: StepKind.AlreadyBilled } => -(step.Quantity ?? 0),
        { Step: StepKind.BookPrice, Quantity: { } units } => Decimals.Canonical(decimal.Round(units * unitSize, QuantityDecimals)),
        { Step: StepKind.TrueUp } => 0,
        _ => step.Quantity ?? 0,
    };
}
