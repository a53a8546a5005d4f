using FsCheck;
using FsCheck.Fluent;
using NodaTime;
using Platform.Billing.Coupons;
using Platform.Billing.Invoices;
using Platform.Billing.Rating;
using Platform.Billing.Subscriptions;
using Platform.Billing.Taxes;
using Platform.Contracts;
using Platform.EventStore;
using static Platform.Billing.Tests.History;
using Subscription = Platform.Billing.Subscriptions.Subscription;

namespace Platform.Billing.Tests.Invoices;

/// <summary>Coupons and tax together, from lines to the invoice.</summary>
public class DiscountAndTaxSpecs
{
    private static readonly BillingPeriod January = new(FirstOfJanuary, FirstOfFebruary);
    private static readonly Subscription subscription = Fold.After(Subscription.Initial, [Started()]);

    [Fact]
    public void Tax_is_owed_on_what_discounts_leave()
    {
        var content = Content([Line(100_00), Line(50_00, category: "reduced")]);

        content = DiscountAndTax.Of(content, Terms(coupons: [new PercentDiscount(0.25m)], Rate("standard", 0.19m), Rate("reduced", 0.07m)));

        content.Discounts.Single().Amount.ShouldBe(Euro(37_50));
        content.Taxes.Select(tax => (tax.TaxableAmount, tax.Amount)).ShouldBe([(Euro(75_00), Euro(14_25)), (Euro(37_50), Euro(2_63))]);
        content.Total.ShouldBe(Euro(129_38));
    }

    [Fact]
    public void Late_usage_is_taxed_by_the_rate_of_its_own_period()
    {
        var december = Line(100_00) with { Kind = LineKind.LateUsage, Window = new(Instant.FromUtc(2025, 12, 1, 0, 0), FirstOfJanuary) };

        var content = DiscountAndTax.Of(
            Content([Line(100_00), december]),
            Terms(coupons: [], Rate("standard", 0.16m, from: new(2025, 7, 1)), Rate("standard", 0.19m, from: new(2026, 1, 1))));

        content.Taxes.Select(tax => (tax.Rate, tax.Amount)).ShouldBe([(0.19m, Euro(19_00)), (0.16m, Euro(16_00))]);
    }

    [Fact]
    public void A_coupon_of_all_leaves_nothing_to_tax()
    {
        var content = DiscountAndTax.Of(Content([Line(100_00)]), Terms([new PercentDiscount(1m)], Rate("standard", 0.19m)));

        (content.Taxes.Single().Amount, content.Total).ShouldBe((Euro(0), Euro(0)));
    }

    [Fact]
    public void What_an_invoice_was_discounted_by_is_known_without_what_came_after_it()
    {
        var other = new InvoiceId(Guid.Parse("0198c0de-0000-7000-8000-0000000000aa"));
        CouponRedemptionEvent[] history =
        [
            CouponRedeemed(), new RedemptionApplied(other, FirstOfFebruary, Euro(1_00), FirstOfFebruary),
            new RedemptionApplied(TheInvoice, FirstOfMarch, Euro(2_00), FirstOfMarch), new RedemptionEnded(FirstOfMarch + Duration.FromDays(1)),
        ];
        var redeemed = history.Aggregate((RedeemedCoupon?)null, RedeemedCoupon.Fold)!;

        var known = redeemed.KnownAt(FirstOfMarch, TheInvoice);

        (known.Applied.Single().InvoiceId, known.EndedAt).ShouldBe((other, null));
        redeemed.KnownAt(FirstOfMarch, invoice: null).Applied.Count.ShouldBe(2);
    }

    [Fact]
    public void Lines_less_discounts_with_tax_are_the_total_and_every_part_sums() => Check.One(
        Config.QuickThrowOnFailure,
        Prop.ForAll(Worlds, world =>
        {
            var content = DiscountAndTax.Of(Content(world.Lines), world.Terms);
            var drafted = DraftInvoice.Decide(new(TheInvoice, TheTenant, content, FirstOfFebruary), Invoice.Initial);
            var view = drafted.Events.Aggregate((InvoiceView?)null, InvoiceView.Fold)!;
            var invoice = Fold.After(Invoice.Initial, drafted.Events);

            return view.Subtotal - view.DiscountTotal + view.TaxTotal == view.Total
                && view.Total == content.Total && view.Total == invoice.Total
                && invoice.Amounts.Sum(it => it.Amount.MinorUnits) == view.Total.MinorUnits
                && view.Lines.Sum(line => line.DiscountAmount.MinorUnits) == view.DiscountTotal.MinorUnits
                && view.Discounts.Sum(it => it.Amount.MinorUnits) == view.DiscountTotal.MinorUnits
                && view.Lines.Sum(line => line.TaxAmount.MinorUnits) == view.TaxTotal.MinorUnits + view.TaxIncluded.MinorUnits
                && view.Lines.Sum(line => view.NetOf(line).MinorUnits) == (view.Total - view.TaxTotal - view.TaxIncluded).MinorUnits
                && view.Taxes.Sum(tax => tax.TaxableAmount.MinorUnits) == view.Lines.Sum(line => view.NetOf(line).MinorUnits)
                && (view.Subtotal < Euro(0) || view.Subtotal >= view.DiscountTotal);
        }));

    private sealed record World(RatedLine[] Lines, InvoiceTerms Terms);

    private static Arbitrary<World> Worlds => Arb.From(
        from cents in Gen.ListOf(Gen.Choose(-300, 2_000))
        from categories in Gen.ListOf(Gen.Elements("standard", "reduced", "retail"), cents.Count)
        from percents in Gen.ListOf(Gen.Choose(1, 100), 2)
        from fixedCents in Gen.Choose(1, 3_000)
        select new World(
            [.. cents.Zip(categories).Index().Select(it => Line(it.Item.First, it.Item.Second) with { Description = $"line {it.Index}" })],
            Terms(
                [.. percents.Select(percent => new PercentDiscount(percent / 100m)), new FixedDiscount(Euro(fixedCents))],
                Rate("standard", 0.19m), Rate("reduced", 0.07m), Rate("retail", 0.19m) with { Inclusive = true })));

    private static InvoiceContent Content(IReadOnlyList<RatedLine> lines) => new(
        [new(TheSubscription, subscription, January)], Currency.EUR, lines, Discounts: [], Taxes: [],
        new([], Through: 17));

    private static RatedLine Line(long cents, string? category = null) => new(
        LineKind.Usage, "GPU time", "gpu-time", Quantity: 1, "hour", UnitAmount: null, Euro(cents), January, Breakdown: null,
        TheSubscription, subscription.Plans[0], category);

    private static InvoiceTerms Terms(IReadOnlyList<CouponDiscount> coupons, params TaxRateView[] rates) => new(
        [
            .. coupons.Index().Select(it => RedeemedCoupon.Fold(
                null, CouponRedeemed(CouponTerms(it.Item) with { Priority = it.Index }) with { SubscriptionId = null })),
        ],
        TaxProfileSet().Terms, rates);

    private static TaxRateView Rate(string category, decimal rate, LocalDate? from = null) => new(
        TheTaxRate, "DE", category, rate, Inclusive: false, from ?? new(2007, 1, 1), ValidUntil: null, Noon, ArchivedAt: null);

    private static Money Euro(long cents) => new(cents, Currency.EUR);
}
