using System.Globalization;
using FsCheck;
using FsCheck.Fluent;
using NodaTime;
using Platform.Billing.Coupons;
using Platform.Billing.Subscriptions;
using Platform.Contracts;
using static Platform.Billing.Tests.History;

namespace Platform.Billing.Tests.Coupons;

public class ApplyCouponsSpecs
{
    private static readonly BillingPeriod January = new(FirstOfJanuary, FirstOfFebruary);
    private static readonly PlanId OtherPlan = new(Guid.Parse("0198c0de-0000-7000-8000-000000000053"));
    private static readonly SubscriptionId OtherSubscription = new(Guid.Parse("0198c0de-0000-7000-8000-000000000054"));

    [Theory]
    // lines in minor units, coupons by priority (percent or fixed, ! does not stack) -> each coupon's amount: its parts
    [InlineData("EUR", "10000", "25%", "2500: 2500")]
    [InlineData("EUR", "10000", "500", "500: 500")]
    [InlineData("EUR", "100 100 100", "1", "1: 1 0 0")]
    [InlineData("EUR", "100 100 100", "100", "100: 34 33 33")]
    [InlineData("EUR", "100 100 100", "200", "200: 67 67 66")]
    [InlineData("EUR", "1 1 1", "50%", "2: 1 1 0")]
    [InlineData("EUR", "1 0 999", "10%", "100: 0 0 100")]
    [InlineData("EUR", "10", "5%", "1: 1")]
    [InlineData("EUR", "9", "5%", "")]
    [InlineData("EUR", "700 300", "100%", "1000: 700 300")]
    [InlineData("EUR", "700 300", "2000", "1000: 700 300")]
    [InlineData("EUR", "", "25%", "")]
    [InlineData("EUR", "0", "25%", "")]
    // each on what the ones before left
    [InlineData("EUR", "10000", "10% 10%", "1000: 1000 | 900: 900")]
    [InlineData("EUR", "10000", "1000 10%", "1000: 1000 | 900: 900")]
    [InlineData("EUR", "10000", "10% 1000", "1000: 1000 | 1000: 1000")]
    [InlineData("EUR", "1000", "800 800 800", "800: 800 | 200: 200")]
    // a coupon that does not stack
    [InlineData("EUR", "10000", "!10% 10%", "1000: 1000")]
    [InlineData("EUR", "10000", "10% !50%", "1000: 1000")]
    [InlineData("EUR", "10000 0", "!10% !50%", "1000: 1000 0")]
    // negative lines lower what is owed and take no part
    [InlineData("EUR", "10000 -4000", "25%", "1500: 1500 0")]
    [InlineData("EUR", "10000 -4000", "7000", "6000: 6000 0")]
    [InlineData("EUR", "10000 -10000", "100%", "")]
    [InlineData("EUR", "1000 -4000", "100%", "")]
    [InlineData("EUR", "300 300 -100", "250", "250: 125 125 0")]
    // currencies without and with three decimals
    [InlineData("JPY", "100 100 100", "10", "10: 4 3 3")]
    [InlineData("JPY", "1001", "50%", "501: 501")]
    [InlineData("KWD", "1000 2000", "1", "1: 0 1")]
    [InlineData("KWD", "1005", "50%", "503: 503")]
    public void Coupons_take_their_parts_in_order(string currency, string lines, string coupons, string expected)
    {
        var discounts = ApplyCoupons.Apply(Lines(currency, lines), Redeemed(currency, coupons), January, FirstOfFebruary);

        string.Join(" | ", discounts.Select(it =>
            $"{it.Amount.MinorUnits}: {string.Join(' ', it.Parts.Select(part => part.MinorUnits))}")).ShouldBe(expected);
    }

    [Fact]
    public void A_coupon_of_a_plan_or_a_subscription_takes_from_its_lines_alone()
    {
        DiscountableLine[] lines =
        [
            new("a", Euro(10_00), ThePlan, TheSubscription),
            new("b", Euro(20_00), OtherPlan, TheSubscription),
            new("c", Euro(40_00), ThePlan, OtherSubscription),
        ];
        RedeemedCoupon[] redemptions =
        [
            Redemption(CouponTerms(new PercentDiscount(0.5m), ThePlan)) with { SubscriptionId = null },
            Redemption(CouponTerms(new PercentDiscount(0.1m)) with { Priority = 200 }),
        ];

        var discounts = ApplyCoupons.Apply(lines, redemptions, January, FirstOfFebruary);

        discounts.Select(it => it.Parts.Select(part => part.MinorUnits)).ShouldBe([[5_00, 0, 20_00], [50, 2_00, 0]]);
    }

    [Theory]
    // coupon of the plan, coupon of the product -> parts of the lines: the plan's and the product's, the plan's, the product's, neither's
    [InlineData(false, false, "500 1000 2000 4000")]
    [InlineData(true, false, "500 1000 0 0")]
    [InlineData(false, true, "500 0 2000 0")]
    [InlineData(true, true, "500 0 0 0")]
    public void A_coupon_of_a_product_takes_from_lines_that_sell_it_alone(bool ofPlan, bool ofProduct, string parts)
    {
        DiscountableLine[] lines =
        [
            new("a", Euro(10_00), ThePlan, TheSubscription, TheProduct), new("b", Euro(20_00), ThePlan, TheSubscription),
            new("c", Euro(40_00), PlanId: null, TheSubscription, TheProduct), new("d", Euro(80_00), OtherPlan, TheSubscription),
        ];
        var terms = CouponTerms(new PercentDiscount(0.5m)) with
        {
            PlanIds = ofPlan ? [ThePlan] : [],
            ProductIds = ofProduct ? [TheProduct] : [],
        };

        var discount = ApplyCoupons.Apply(lines, [Redemption(terms)], January, FirstOfFebruary).ShouldHaveSingleItem();

        string.Join(' ', discount.Parts.Select(part => part.MinorUnits)).ShouldBe(parts);
    }

    [Fact]
    public void A_coupon_that_does_not_stack_leaves_other_lines_to_others()
    {
        DiscountableLine[] lines = [new("a", Euro(10_00), ThePlan, TheSubscription), new("b", Euro(20_00), OtherPlan, TheSubscription)];
        RedeemedCoupon[] redemptions =
        [
            Redemption(CouponTerms(new PercentDiscount(0.5m), ThePlan) with { Stacks = false }),
            Redemption(CouponTerms(new PercentDiscount(0.1m)) with { Priority = 200 }),
        ];

        var discounts = ApplyCoupons.Apply(lines, redemptions, January, FirstOfFebruary);

        discounts.Select(it => it.Parts.Select(part => part.MinorUnits)).ShouldBe([[5_00, 0], [0, 2_00]]);
    }

    [Fact]
    public void A_coupon_never_makes_a_credit_of_what_another_plan_takes_back()
    {
        DiscountableLine[] lines = [new("a", Euro(100_00), ThePlan, TheSubscription), new("b", Euro(-70_00), OtherPlan, TheSubscription)];

        var discounts = ApplyCoupons.Apply(
            lines, [Redemption(CouponTerms(new PercentDiscount(1m), ThePlan))], January, FirstOfFebruary);

        discounts.Single().Amount.ShouldBe(Euro(30_00));
    }

    [Theory]
    // duration, periods, taken in periods that end in (month of 2026), this period -> holds
    [InlineData(CouponDuration.Once, null, "", 2, true)]
    [InlineData(CouponDuration.Once, null, "2", 2, true)]
    [InlineData(CouponDuration.Once, null, "2", 3, false)]
    [InlineData(CouponDuration.Repeating, 3, "2 3", 4, true)]
    [InlineData(CouponDuration.Repeating, 3, "2 3 4", 4, true)]
    [InlineData(CouponDuration.Repeating, 3, "2 3 4", 5, false)]
    [InlineData(CouponDuration.Forever, null, "2 3 4 5 6 7 8 9 10 11", 12, true)]
    public void A_redemption_is_used_up_by_the_periods_that_it_took_from(
        CouponDuration duration, int? periods, string taken, int month, bool holds)
    {
        var terms = CouponTerms() with { Duration = duration, Periods = periods };
        CouponRedemptionEvent[] history =
        [
            CouponRedeemed(terms),
            .. taken.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(it =>
                new RedemptionApplied(TheInvoice, End(int.Parse(it, CultureInfo.InvariantCulture)), Euro(1_00), Noon)),
        ];

        After(history).Holds(new(End(month - 1), End(month)), End(month)).ShouldBe(holds);
    }

    [Theory]
    [InlineData("2026-02-01T00:00:00Z", null, true)]
    [InlineData("2026-02-01T00:00:01Z", null, false)]
    [InlineData("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z", true)]
    [InlineData("2026-01-01T00:00:00Z", "2026-01-31T23:59:59Z", false)]
    public void A_redemption_holds_for_periods_that_end_while_it_runs(string redeemedAt, string? endedAt, bool holds)
    {
        CouponRedemptionEvent[] history =
        [
            CouponRedeemed() with { At = At(redeemedAt) },
            .. endedAt is null ? [] : new[] { new RedemptionEnded(At(endedAt)) },
        ];

        After(history).Holds(January, FirstOfFebruary).ShouldBe(holds);

        static Instant At(string text) => NodaTime.Text.InstantPattern.ExtendedIso.Parse(text).Value;
    }

    [Fact]
    public void Slices_of_a_period_share_one_fixed_amount_and_what_is_left_of_it_is_lost_with_the_period()
    {
        var slice = Redemption(CouponTerms(new FixedDiscount(Euro(10_00))) with { Duration = CouponDuration.Repeating, Periods = 2 });
        var first = Taken(slice, cents: 4_00, new(FirstOfJanuary, Noon), FirstOfFebruary);
        slice = RedeemedCoupon.Fold(slice, new RedemptionApplied(TheInvoice, FirstOfFebruary, first, Noon));
        var second = Taken(slice, cents: 50_00, new(Noon, FirstOfFebruary), FirstOfFebruary);
        slice = RedeemedCoupon.Fold(slice, new RedemptionApplied(TheInvoice, FirstOfFebruary, second, Noon));
        var next = Taken(slice, cents: 50_00, new(FirstOfFebruary, FirstOfMarch), FirstOfMarch);

        (first, second, next).ShouldBe((Euro(4_00), Euro(6_00), Euro(10_00)));

        static Money Taken(RedeemedCoupon redemption, long cents, BillingPeriod billed, Instant calendarEnd) => ApplyCoupons.Apply(
            [new("a", Euro(cents), ThePlan, TheSubscription)], [redemption], billed, calendarEnd).Single().Amount;
    }

    [Fact]
    public void Parts_sum_exactly_and_leave_no_line_and_no_invoice_below_zero() => Check.One(
        Config.QuickThrowOnFailure,
        Prop.ForAll(Worlds, world =>
        {
            var discounts = ApplyCoupons.Apply(world.Lines, world.Redemptions, January, FirstOfFebruary);

            return discounts.All(it => it.Amount > Euro(0) && it.Parts.Aggregate(Euro(0), (sum, part) => sum + part) == it.Amount)
                && world.Lines.Index().All(line =>
                    discounts.Sum(it => it.Parts[line.Index].MinorUnits) is var off
                    && off >= 0 && off <= Math.Max(0, line.Item.Amount.MinorUnits))
                && (discounts.Count == 0
                    || world.Lines.Sum(line => line.Amount.MinorUnits) >= discounts.Sum(it => it.Amount.MinorUnits));
        }));

    [Fact]
    public void The_order_of_lines_and_of_redemptions_never_matters() => Check.One(
        Config.QuickThrowOnFailure,
        Prop.ForAll(Worlds, world =>
        {
            var one = ApplyCoupons.Apply(world.Lines, world.Redemptions, January, FirstOfFebruary);
            DiscountableLine[] shuffled = [.. world.Lines.OrderByDescending(line => line.Amount.MinorUnits % 7)];
            var other = ApplyCoupons.Apply(shuffled, world.Redemptions.AsEnumerable().Reverse(), January, FirstOfFebruary);

            return ByLine(one, world.Lines).SequenceEqual(ByLine(other, shuffled));

            static IEnumerable<(Guid, string, long)> ByLine(IReadOnlyList<Discount> discounts, DiscountableLine[] lines) => discounts
                .SelectMany(it => it.Parts.Zip(lines).Select(part => (it.Coupon.RedemptionId.Value, part.Second.Key, part.First.MinorUnits)))
                .OrderBy(it => it.Item1).ThenBy(it => it.Key, StringComparer.Ordinal);
        }));

    private sealed record World(DiscountableLine[] Lines, RedeemedCoupon[] Redemptions);

    private static Arbitrary<World> Worlds => Arb.From(
        from amounts in Gen.ListOf(Gen.Choose(-200, 1000))
        from coupons in Gen.ListOf(
            from kind in Gen.Elements(true, false)
            from size in Gen.Choose(1, 100)
            from priority in Gen.Choose(1, 3)
            from stacks in Gen.Elements(true, true, false)
            from plan in Gen.Elements(true, true, false)
            select CouponTerms(
                kind ? new FixedDiscount(Euro(size * 10)) : new PercentDiscount(size / 100m), plan ? [] : [ThePlan]) with
            {
                Priority = priority,
                Stacks = stacks,
            })
        select new World(
            [.. amounts.Index().Select(it => new DiscountableLine(
                $"line {it.Index:000}", Euro(it.Item), it.Index % 2 == 0 ? ThePlan : OtherPlan, TheSubscription))],
            [.. coupons.Index().Select(it => Redemption(it.Item, number: it.Index))]));

    private static DiscountableLine[] Lines(string currency, string amounts) =>
    [
        .. amounts.Split(' ', StringSplitOptions.RemoveEmptyEntries).Index().Select(it => new DiscountableLine(
            $"line {it.Index}", new(long.Parse(it.Item, CultureInfo.InvariantCulture), Currency.Parse(currency)), ThePlan, TheSubscription)),
    ];

    private static RedeemedCoupon[] Redeemed(string currency, string coupons) =>
    [
        .. coupons.Split(' ').Index().Select(it => Redemption(
            CouponTerms(Off(it.Item.TrimStart('!'), currency)) with { Priority = it.Index, Stacks = it.Item[0] != '!' })),
    ];

    private static CouponDiscount Off(string text, string currency) => text[^1] == '%'
        ? new PercentDiscount(decimal.Parse(text[..^1], CultureInfo.InvariantCulture) / 100)
        : new FixedDiscount(new(long.Parse(text, CultureInfo.InvariantCulture), Currency.Parse(currency)));

    private static RedeemedCoupon Redemption(CouponTerms terms, int number = 1) => After(CouponRedeemed(terms) with
    {
        RedemptionId = new(Guid.Parse($"0198c0de-0000-7000-8000-{number + 1:000000000000}")),
    });

    private static RedeemedCoupon After(params CouponRedemptionEvent[] history) =>
        history.Aggregate((RedeemedCoupon?)null, RedeemedCoupon.Fold)!;

    private static Money Euro(long cents) => new(cents, Currency.EUR);

    private static Instant End(int month) => Instant.FromUtc(2026, month, 1, 0, 0);
}
