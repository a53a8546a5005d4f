using System.Globalization;
using FsCheck;
using FsCheck.Fluent;
using NodaTime;
using Platform.Billing.Coupons;
using Platform.Billing.Invoices;
using Platform.Billing.Paper;
using Platform.Billing.Rating;
using Platform.Billing.Subscriptions;
using Platform.Billing.Taxes;
using Platform.Billing.Tests.Rating;
using Platform.Contracts;
using static Platform.Billing.Tests.History;

namespace Platform.Billing.Tests.Paper;

/// <summary>Lines of an invoice by their unit prices, as FOCUS wants them.</summary>
public class PricedPartSpecs
{
    private static readonly Dictionary<string, PriceModel> prices = new(RateSpecs.Prices)
    {
        ["cents"] = new GraduatedPrice([new(1, 0.333m), new(2, 0.333m), new(null, 0.333m)], Limits.None),
    };

    /// <summary>
    /// One line per case: the price, what was billed of the period before, the quantity or events (amount or x multiplier), the discount as
    /// a percentage, the tax that the price contains as one, and the parts as quantity unit x price = billed (consumed) name.
    /// </summary>
    public static TheoryData<string, string, string, int, int, string> Cases => new()
    {
        { "unit", "", "3", 0, 0, "3 call x 2.5 = 7.50 (3)" },
        { "unit.free10", "", "12", 0, 0, "2 call x 2.5 = 5.00 (2) | 10 call x 0 = 0.00 (10) free" },
        { "unit.min100", "", "10", 0, 0, "10 call x 2.5 = 25.00 (10) | 1 Count x 75 = 75.00 (0) minimum" },
        { "unit.max100", "", "50", 0, 0, "50 call x 2.5 = 125.00 (50) | -1 Count x 25 = -25.00 (0) maximum" },
        { "unit", "2", "3", 0, 0, "5 call x 2.5 = 12.50 (5) | -1 Count x 5 = -5.00 (-2) already_billed" },
        { "flat", "", "7", 0, 0, "1 Count x 30 = 30.00 (7)" },
        { "grad", "", "0", 0, 0, "0 call x 10 = 0.00 (0) tier/1 | 1 Count x 2 = 2.00 (0) tier/1/flat" },
        {
            "grad", "", "12", 0, 0,
            "10 call x 10 = 100.00 (10) tier/1 | 1 Count x 2 = 2.00 (0) tier/1/flat | "
            + "2 call x 5 = 10.00 (2) tier/2 | 1 Count x 3 = 3.00 (0) tier/2/flat"
        },
        {
            "cents", "", "3", 0, 0,
            "1 call x 0.333 = 0.34 (1) tier/1 | 1 call x 0.333 = 0.33 (1) tier/2 | 1 call x 0.333 = 0.33 (1) tier/3"
        },
        {
            "cents", "", "3", 10, 0,
            "1 call x 0.333 = 0.30 (1) tier/1 | 1 call x 0.333 = 0.30 (1) tier/2 | 1 call x 0.333 = 0.30 (1) tier/3"
        },
        {
            "cents", "", "3", 100, 0,
            "1 call x 0.333 = 0.00 (1) tier/1 | 1 call x 0.333 = 0.00 (1) tier/2 | 1 call x 0.333 = 0.00 (1) tier/3"
        },
        { "volume", "", "11", 0, 25, "11 call x 6.4 = 70.40 (11) tier/2 | 1 Count x 4 = 4.00 (0) tier/2/flat" },
        {
            "volume", "15", "1", 0, 0,
            "16 call x 5 = 80.00 (16) tier/3 | 1 Count x 7 = 7.00 (0) tier/3/flat | "
            + "-1 Count x 125 = -125.00 (-15) already_billed"
        },
        { "package", "", "21", 0, 0, "3 10 call x 4 = 12.00 (21)" },
        { "pct", "", "200", 0, 0, "200 call x 0.013 = 2.60 (200)" },
        {
            "gpct", "", "150", 0, 0,
            "100 call x 0.02 = 2.00 (100) tier/1 | 1 Count x 1 = 1.00 (0) tier/1/flat | "
            + "50 call x 0.01 = 0.50 (50) tier/2 | 1 Count x 2 = 2.00 (0) tier/2/flat"
        },
        {
            "pct.free2", "", "100,200,300", 0, 0,
            "300 call x 0 = 0.00 (300) free | 300 call x 0.01 = 3.00 (300) | 1 Events x 0.5 = 0.50 (0) flat"
        },
        {
            "pct.1to5", "", "50,200,1000", 0, 0,
            "200 call x 0.01 = 2.00 (200) | 1 Events x 1 = 1.00 (50) event_minimum | "
            + "1 Events x 5 = 5.00 (1000) event_maximum"
        },
        { "dynamic", "", "5x3,2", 0, 0, "3 Count x 5 = 15.00 (2) | 1 Count x 2 = 2.00 (0)" },
        { "dynamic", "", "5,-", 0, 0, "1 Count x 5 = 5.00 (2) | 1 Events x 0 = 0.00 (0) unpriced" },
        { "dynamic", "", "", 0, 0, "0 call x 0 = 0.00 (0)" },
        { "h5.x1.5", "", "6", 0, 0, "5 call x 2 = 10.00 (5) committed | 1 call x 3 = 3.00 (1) overage" },
        { "h5", "", "3", 0, 0, "3 call x 2 = 6.00 (3) committed | 2 call x 2 = 4.00 (0) true_up" },
        { "h$10.x1.5", "", "6", 0, 0, "1 Count x 10 = 10.00 (6) committed | 2 EUR x 1.5 = 3.00 (0) overage" },
        { "h$10.x1.5", "", "3", 0, 0, "1 Count x 6 = 6.00 (3) committed | 1 Count x 4 = 4.00 (0) true_up" },
        { "bands", "", "2", 0, 0, "2 call x 1 = 2.00 (2) 20:00-08:00" },
        { "book", "", "7", 0, 0, "1.75 4 call x 3 = 5.25 (7)" },
        { "book.3", "", "5", 0, 0, "1.666666666666666666666666667 3 call x 3 = 5.00 (5)" },
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public void Each_part_of_a_line_costs_its_quantity_times_its_price(
        string price, string before, string measured, int discount, int tax, string parts)
    {
        var (invoice, unitSize) = Invoiced(price, before, measured, discount, tax);

        string.Join(" | ", PricedPart.Of(invoice, invoice.Lines[0], unitSize).Select(part =>
                $"{Product(part)} ({Text(part.Consumed)}) {part.PriceName}".TrimEnd()))
            .ShouldBe(parts);
    }

    [Theory]
    [InlineData(10, "10.3333333333", "103.33", "10 day x 10.3333333333 = 103.33")]
    [InlineData(-1, "31", "-31.00", "-1 day x 31 = -31.00")]
    [InlineData(1, "1.0333333333", "1.04", "1 Count x 1.04 = 1.04")]
    [InlineData(-1, "1.0333333333", "-1.04", "-1 Count x 1.04 = -1.04")]
    public void A_fee_that_is_no_product_is_charged_once(int days, string unitAmount, string amount, string part)
    {
        var invoice = Invoice(new(
            1, LineKind.RecurringFee, "Standard", Meter: null, days, "day", Number(unitAmount), Money.Round(Number(amount), Currency.EUR),
            FirstOfJanuary, FirstOfFebruary, FirstOfFebruary));

        var only = PricedPart.Of(invoice, invoice.Lines[0], unitSize: 1).ShouldHaveSingleItem();

        Product(only).ShouldBe(part);
        (only.Describe(invoice.Lines[0], DateTimeZone.Utc), only.PriceName, only.PricingCategory).ShouldBe(("Standard", null, "Standard"));
    }

    [Fact]
    public void Parts_sum_to_the_line_to_the_cent_whatever_it_is_priced_by_and_however_it_is_cut() => Check.One(
        Config.QuickThrowOnFailure,
        Prop.ForAll<int[], byte, byte>((any, discount, tax) => RateSpecs.Prices.Values.All(price =>
        {
            var (quantity, billed) = (0m, 0m);
            decimal[] quantities = [.. any.Select(Quantity), 0];
            return quantities.Index().All(part =>
            {
                var last = part.Index == quantities.Length - 1;
                var slice = Rate.Slice(price, Measured.Units(quantity + part.Item), last, billed, quantity, Currency.EUR);
                (quantity, billed) = (quantity + part.Item, billed + slice.Amount);
                return Holds(Invoice(Line(part.Item, slice.Rounded, slice.Breakdown), discount % 101, tax % 31), discount % 101);
            });
        })));

    [Fact]
    public void Parts_of_events_sum_to_the_line_too() => Check.One(
        Config.QuickThrowOnFailure,
        Prop.ForAll<int[], byte, byte>((any, discount, tax) => RateSpecs.Prices.Values.All(price =>
        {
            PricedEvent[] events = [.. any.Select((each, index) => new PricedEvent(
                each % 5 == 0 ? null : Quantity(each), index % 2 == 0 ? null : Math.Abs(each % 7)))];
            var rated = Rate.Of(price, new(events.Length, events), periodEnd: true);
            var line = Line(events.Length, Money.Round(rated.Amount, Currency.EUR), rated.Breakdown);
            return Holds(Invoice(line, discount % 101, tax % 31), discount % 101);
        })));

    private static bool Holds(InvoiceView invoice, int discount)
    {
        var line = invoice.Lines[0];
        var parts = PricedPart.Of(invoice, line, unitSize: 1);
        var taxed = invoice.TaxOf(line) is { Inclusive: true } tax ? 1 + tax.Rate : 1;
        var kept = line.Amount.MinorUnits > 0 ? 1 - discount / 100m : 1;

        return parts.Aggregate(Money.Zero(Currency.EUR), (sum, part) => sum + part.Billed) == invoice.NetOf(line)
            && parts.Sum(part => part.Consumed) == line.Quantity
            && Math.Abs(parts.Sum(part => part.Cost) * taxed - line.Amount.Amount) <= 0.005m + tiny
            && parts.All(part => part.UnitPrice >= 0 && part.Cost == Decimals.Canonical(part.Quantity * part.UnitPrice)
                // A cent for the part's own rounding, one for its tax's, and what rounding the discount does.
                && Math.Abs(part.Billed.Amount - part.Cost * kept)
                    <= 0.02m + Math.Abs(part.Cost) * 0.005m / Math.Max(line.Amount.Amount, 0.01m));
    }

    // Of products with more digits than a decimal has.
    private const decimal tiny = 0.000000001m;

    private static (InvoiceView Invoice, decimal UnitSize) Invoiced(string name, string before, string measured, int discount, int tax)
    {
        var events = Events(measured);
        var price = name switch
        {
            "book" => Book(4),
            "book.3" => Book(3),
            _ => prices.TryGetValue(name, out var known) ? known : CommitmentSpecs.Prices[name],
        };
        var quantity = price switch
        {
            DynamicPrice => events.Length,
            PercentagePrice => events.Sum(it => it.Amount ?? 0),
            _ => Number(measured),
        };
        var already = before.Length == 0 ? 0 : Number(before);
        var billed = already == 0 ? 0 : Rate.Of(price, Measured.Units(already), periodEnd: false).Amount;

        // The first hour of the period, which is a window.
        var hour = new BillingPeriod(FirstOfJanuary, FirstOfJanuary + Duration.FromHours(1));
        var all = new Measured(quantity + already, price is PercentagePrice or DynamicPrice ? events : [])
        {
            Windows = new(hour, DateTimeZone.Utc, quantity == 0 ? [] : [new(FirstOfJanuary, quantity)]),
        };
        var slice = Rate.Slice(price, all, periodEnd: true, billed, already, Currency.EUR);
        return (
            Invoice(Line(quantity, slice.Rounded, slice.Breakdown), discount, tax),
            price switch { PackagePrice it => it.PackageSize, BookPrice it => it.UnitSize, _ => 1 });
    }

    private static BookPrice Book(decimal size) =>
        new(new([new(PriceId.New(), 3, FirstOfJanuary, ValidUntil: null, FirstOfJanuary)], []), size, Limits.None);

    private static InvoiceLineAdded Line(decimal quantity, Money amount, IReadOnlyList<RatingStep> breakdown) => new(
        1, LineKind.Usage, "Calls", "calls", quantity, "call", UnitAmount: null, amount, FirstOfJanuary, FirstOfFebruary, FirstOfFebruary,
        Breakdown: breakdown);

    /// <param name="discount">In percent; what is below zero has none.</param>
    /// <param name="tax">Contained in the line, in percent.</param>
    private static InvoiceView Invoice(InvoiceLineAdded line, int discount = 0, int tax = 0)
    {
        var off = line.Amount.MinorUnits > 0 ? Money.Round(line.Amount.Amount * discount / 100, Currency.EUR) : Money.Zero(Currency.EUR);
        var left = line.Amount - off;
        var rate = tax / 100m;
        // The tax is rounded over all lines of its rate, so that a line's part of it is rounded down or up.
        var exact = left.Amount * rate / (1 + rate) * Currency.EUR.MinorUnitsPerMajor;
        var contained = new Money((long)(tax % 2 == 0 ? Math.Floor(exact) : Math.Ceiling(exact)), Currency.EUR);
        InvoiceEvent[] events =
        [
            new InvoiceDrafted(
                TheInvoice, TheTenant, Currency.EUR, FirstOfJanuary, FirstOfFebruary, "Etc/UTC", [], UsageThrough: 0, FirstOfFebruary),
            line,
            .. off.MinorUnits == 0
                ? Array.Empty<InvoiceEvent>()
                : [new InvoiceDiscountAdded(CouponRedemptionId.New(), CouponId.New(), "OFF", "Off", off, [new(1, off)], FirstOfFebruary)],
            .. tax == 0
                ? Array.Empty<InvoiceEvent>()
                :
                [
                    new InvoiceTaxAdded(
                        "DE", rate, Inclusive: true, TaxTreatment.Taxable, Reason: null, CustomerTaxId: null, [], left - contained, contained,
                        [new(1, contained)], FirstOfFebruary),
                ],
        ];
        return events.Aggregate((InvoiceView?)null, InvoiceView.Fold)!;
    }

    // An amount, an amount x its multiplier, or - for one that brings no price.
    private static PricedEvent[] Events(string text) =>
    [
        .. text.Split(',', StringSplitOptions.RemoveEmptyEntries).Select(each => each == "-"
            ? new PricedEvent()
            : each.Split('x') is var it && it.Length == 2 ? new(Number(it[0]), Number(it[1])) : new(Number(it[0]))),
    ];

    private static string Product(PricedPart part) =>
        $"{Text(part.Quantity)} {part.Unit} x {Text(part.UnitPrice)} = {Text(part.Billed.Amount)}";

    // Thousandths, so that cents have to be rounded, over all tiers.
    private static decimal Quantity(int any) => Math.Abs((long)any * 7919 % 40_000) / 1000m;

    private static string Text(decimal number) => Decimals.Format(number);

    private static decimal Number(string text) => decimal.Parse(text, CultureInfo.InvariantCulture);
}
