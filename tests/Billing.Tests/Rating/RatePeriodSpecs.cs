using System.Globalization;
using FsCheck;
using FsCheck.Fluent;
using NodaTime;
using NodaTime.Text;
using Platform.Billing.Rating;
using Platform.Billing.Subscriptions;
using Platform.Contracts;
using static Platform.Billing.Tests.History;

namespace Platform.Billing.Tests.Rating;

public class RatePeriodSpecs
{
    private static readonly BillingPeriod January = new(FirstOfJanuary, FirstOfFebruary);

    [Theory]
    // proration, fee in cents, slice of January -> cents, description
    [InlineData(Proration.Days, 100_00, "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z", 100_00, "Standard")]
    [InlineData(Proration.Days, 100_00, "2026-01-15T00:00:00Z", "2026-02-01T00:00:00Z", 54_84, "Standard, 17 of 31 days")]
    [InlineData(Proration.Days, 100_00, "2026-01-15T23:59:59Z", "2026-02-01T00:00:00Z", 54_84, "Standard, 17 of 31 days")]
    [InlineData(Proration.Days, 100_00, "2026-01-01T00:00:00Z", "2026-01-15T18:00:00Z", 45_16, "Standard, 14 of 31 days")]
    [InlineData(Proration.Days, 100_00, "2026-01-15T08:00:00Z", "2026-01-15T18:00:00Z", 0, "Standard, 0 of 31 days")]
    [InlineData(Proration.Seconds, 100_00, "2026-01-01T00:00:00Z", "2026-01-16T12:00:00Z", 50_00, "Standard, 1339200 of 2678400 seconds")]
    [InlineData(Proration.Seconds, 1, "2026-01-01T00:00:00Z", "2026-01-16T12:00:00Z", 1, "Standard, 1339200 of 2678400 seconds")]
    [InlineData(Proration.Seconds, 1, "2026-01-16T12:00:00Z", "2026-02-01T00:00:00Z", 0, "Standard, 1339200 of 2678400 seconds")]
    [InlineData(Proration.None, 100_00, "2026-01-31T23:00:00Z", "2026-02-01T00:00:00Z", 100_00, "Standard")]
    public void The_fee_of_a_slice(Proration proration, long fee, string start, string end, long cents, string description)
    {
        var lines = RatePeriod.Rate(
            Terms(fee, proration), new(At(start), At(end)), January, DateTimeZone.Utc, usage: []);

        var line = lines.ShouldHaveSingleItem();
        line.Amount.ShouldBe(new(cents, Currency.EUR));
        line.Description.ShouldBe(description);
        line.Kind.ShouldBe(LineKind.RecurringFee);
    }

    [Fact]
    public void Every_amount_of_a_line_can_be_written_and_read_again()
    {
        // 31.00 in 28 days is 1.107142857142... a day.
        var february = new BillingPeriod(FirstOfFebruary, FirstOfMarch);
        var line = RatePeriod.Rate(
            Terms(feeCents: 31_00), new(FirstOfFebruary, FirstOfFebruary + Duration.FromDays(9)), february, DateTimeZone.Utc, [])
            .ShouldHaveSingleItem();

        line.UnitAmount.ShouldBe(1.1071428571m);
        line.Amount.ShouldBe(new(9_96, Currency.EUR));
        Decimals.TryParse(Decimals.Format(line.UnitAmount!.Value), out _).ShouldBeTrue();
    }

    [Fact]
    public void Days_are_the_tenants_days()
    {
        var auckland = DateTimeZoneProviders.Tzdb["Pacific/Auckland"];
        var period = BillingPeriods.Containing(Noon, Monthly, auckland);
        var lines = RatePeriod.Rate(
            Terms(), new(period.Start, At("2026-01-31T11:30:00Z")), BillingPeriods.Containing(period.Start, Monthly, auckland), auckland, []);

        // In Auckland it was the 1st of February already: that is another period, and this one is January, all of it.
        period.Start.ShouldBe(At("2026-01-31T11:00:00Z"));
        lines.ShouldHaveSingleItem().Amount.ShouldBe(new(0, Currency.EUR));
    }

    [Fact]
    public void A_plan_without_a_fee_has_no_fee_line() =>
        RatePeriod.Rate(Terms(feeCents: 0), January, January, DateTimeZone.Utc, usage: []).ShouldBeEmpty();

    [Theory]
    [InlineData("40000000", "0.0000025", 100_00)]
    [InlineData("1", "0.005", 1)]
    [InlineData("1", "0.0049999999", 0)]
    [InlineData("3", "0.0049999999", 1)]
    [InlineData("0", "5", 0)]
    [InlineData("0.5", "0.01", 1)]
    [InlineData("999999999999999.999999999", "0.000000000001", 1_000_00)]
    public void Usage_is_quantity_times_price_rounded_once(string quantity, string price, long cents)
    {
        var lines = RatePeriod.Rate(
            Terms(feeCents: 0, unitPrice: Exact(price)), January, January, DateTimeZone.Utc, [Measured("gpu-time", Exact(quantity))]);

        var line = lines.ShouldHaveSingleItem();
        line.Amount.ShouldBe(new(cents, Currency.EUR));
        line.Quantity.ShouldBe(Exact(quantity));
        line.UnitAmount.ShouldBe(Exact(price));
    }

    [Fact]
    public void Lines_stand_in_the_plans_order_with_late_usage_after_its_meters_own()
    {
        var december = new BillingPeriod(FirstOfJanuary - Duration.FromDays(31), FirstOfJanuary);
        var lines = RatePeriod.Rate(
            Terms(), January, January, DateTimeZone.Utc,
            [
                Measured("inference-calls", 10),
                Measured("gpu-time", 5) with { Window = december, Late = true },
                Measured("gpu-time", 0),
                Measured("unpriced", 7),
                Measured("inference-calls", 0) with { Window = december, Late = true },
            ]);

        lines.Select(line => (line.Kind, line.Meter, line.Window.Start)).ShouldBe(
        [
            (LineKind.RecurringFee, null, FirstOfJanuary),
            (LineKind.Usage, "gpu-time", FirstOfJanuary),
            (LineKind.LateUsage, "gpu-time", december.Start),
            (LineKind.Usage, "inference-calls", FirstOfJanuary),
        ]);
    }

    [Fact]
    public void The_slices_of_a_period_sum_to_its_fee_wherever_it_is_cut() => Check.One(
        Config.QuickThrowOnFailure,
        Prop.ForAll<PositiveInt, int[]>((fee, cuts) =>
        {
            var all = (long)(FirstOfFebruary - FirstOfJanuary).TotalSeconds;
            var ends = cuts.Select(cut => (Math.Abs((long)cut) * 7919 % (all - 1)) + 1).Distinct().Order().Append(all);

            return Enum.GetValues<Proration>().Where(proration => proration != Proration.None).All(proration =>
            {
                var (start, sum) = (FirstOfJanuary, Money.Zero(Currency.EUR));
                foreach (var end in ends.Select(seconds => FirstOfJanuary + Duration.FromSeconds(seconds)))
                {
                    var line = RatePeriod.Rate(Terms(fee.Get, proration), new(start, end), January, DateTimeZone.Utc, []).Single();
                    (start, sum) = (end, sum + line.Amount);
                }

                return sum == new Money(fee.Get, Currency.EUR);
            });
        }));

    private static MeteredQuantity Measured(string meter, decimal quantity) =>
        new(meter, "unit", quantity, January, Late: false);

    private static decimal Exact(string text) => decimal.Parse(text, CultureInfo.InvariantCulture);

    private static Instant At(string text) => InstantPattern.ExtendedIso.Parse(text).Value;
}
