using System.Globalization;
using NodaTime;
using Platform.Billing.Catalog;
using Platform.Billing.Revenue;
using Platform.Billing.Subscriptions;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.Testing;
using static Platform.Billing.Tests.History;

namespace Platform.Billing.Tests.Revenue;

using CostRateSpec = Spec<CostRate, CostRateEvent>;

public class CostRateSpecs
{
    private static readonly PublishCostRate.Command Publish = new(
        TheCostRate, new("gpu-time", 0.0004m, Currency.EUR), Meter(Aggregation.Sum), FirstOfFebruary, Noon);

    [Fact]
    public void A_rate_is_published_for_the_newest_version_of_its_meter() =>
        CostRateSpec.Given().When(rate => PublishCostRate.Decide(Publish, rate)).Then(CostRatePublished());

    [Fact]
    public void A_repeated_request_publishes_nothing() =>
        CostRateSpec.Given(CostRatePublished()).When(rate => PublishCostRate.Decide(Publish, rate)).ThenNothing();

    [Fact]
    public void A_rate_of_no_meter_is_refused() =>
        CostRateSpec.Given().When(rate => PublishCostRate.Decide(Publish with { Meter = null }, rate)).ThenRefused("cost_rate.meter_unknown");

    [Fact]
    public void A_rate_of_no_version_of_its_meter_is_refused() => CostRateSpec.Given()
        .When(rate => PublishCostRate.Decide(Publish with { Rate = Publish.Rate with { MeterVersion = 2 } }, rate))
        .ThenRefused("cost_rate.meter_unknown");

    [Fact]
    public void A_meter_whose_parts_do_not_sum_has_no_cost() => CostRateSpec.Given()
        .When(rate => PublishCostRate.Decide(Publish with { Meter = Meter(Aggregation.Average) }, rate))
        .ThenRefused("cost_rate.meter_unfit");

    [Theory]
    // rates as day:cost in the order in which they were published -> which holds from day to day, of the 10th to the 20th
    [InlineData("", "")]
    [InlineData("1:0.1", "10-20 0.1")]
    [InlineData("10:0.1", "10-20 0.1")]
    [InlineData("15:0.1", "15-20 0.1")]
    [InlineData("20:0.1", "")]
    [InlineData("1:0.1 5:0.2", "10-20 0.2")]
    [InlineData("5:0.2 1:0.1", "10-20 0.2")]
    [InlineData("1:0.1 15:0.2", "10-15 0.1 15-20 0.2")]
    [InlineData("1:0.1 12:0.2 18:0.3 25:0.4", "10-12 0.1 12-18 0.2 18-20 0.3")]
    [InlineData("1:0.1 15:0.2 15:0.3", "10-15 0.1 15-20 0.3")]
    [InlineData("1:0.1 20:0.2", "10-20 0.1")]
    public void A_rate_holds_until_the_next_one_begins(string published, string holding)
    {
        var rates = published.Split(' ', StringSplitOptions.RemoveEmptyEntries).Index().Select(it =>
        {
            var (day, cost) = (it.Item.Split(':')[0], it.Item.Split(':')[1]);
            return Rate(Day(int.Parse(day, CultureInfo.InvariantCulture)), decimal.Parse(cost, CultureInfo.InvariantCulture)) with
            {
                PublishedAt = Noon + Duration.FromHours(it.Index),
            };
        });

        var parts = CostRateView.Cut(rates, new(Day(10), Day(20)));

        string.Join(' ', parts.Select(it => string.Create(
            CultureInfo.InvariantCulture, $"{it.Time.Start.InUtc().Day}-{it.Time.End.InUtc().Day} {it.Rate.UnitCost}"))).ShouldBe(holding);
    }

    [Fact]
    public void Meters_and_currencies_have_rates_of_their_own()
    {
        CostRateView[] rates =
        [
            Rate(Day(1), 0.1m), Rate(Day(15), 0.2m) with { Currency = Currency.USD }, Rate(Day(12), 0.3m) with { Meter = "calls" },
        ];

        CostRateView.Cut(rates, new(Day(10), Day(20))).Select(it => (it.Rate.UnitCost, it.Time.Start.InUtc().Day)).ShouldBe(
            [(0.1m, 10), (0.2m, 15), (0.3m, 12)], ignoreOrder: true);
    }

    [Theory]
    // revenue, costs -> cost, margin, margin by revenue
    [InlineData("10.00", "", "0", "10.00", "1")]
    [InlineData("10.00", "2.50", "2.50", "7.50", "0.75")]
    [InlineData("10.00", "0.004 0.004 0.004", "0.01", "9.99", "0.999")]
    [InlineData("10.00", "0.005", "0.01", "9.99", "0.999")]
    [InlineData("3.00", "4.00", "4.00", "-1.00", "-0.3333")]
    [InlineData("0.00", "4.00", "4.00", "-4.00", null)]
    [InlineData("0.00", "", "0", "0", null)]
    public void A_margin_is_revenue_less_costs_that_are_rounded_once(string revenue, string costs, string cost, string margin, string? rate)
    {
        var of = TenantMargin.Of(
            new(TheTenant, "Acme", Currency.EUR, "Etc/UTC", BillingAnchorDay: 1, Noon), Euro(revenue),
            [
                .. costs.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(amount => new TenantMargin.MeterCost(
                    "gpu-time", TheCostRate, Day(1), Day(2), Quantity: 1, UnitCost: 1, decimal.Parse(amount, CultureInfo.InvariantCulture))),
            ]);

        (of.Revenue, of.Cost, of.Margin).ShouldBe((Euro(revenue), Euro(cost), Euro(margin)));
        of.MarginRate.ShouldBe(rate is null ? null : decimal.Parse(rate, CultureInfo.InvariantCulture));
    }

    private static Money Euro(string amount) => Money.Round(decimal.Parse(amount, CultureInfo.InvariantCulture), Currency.EUR);

    private static Instant Day(int day) => Instant.FromUtc(2026, 3, day, 0, 0);

    private static CostRateView Rate(Instant from, decimal cost) =>
        new(TheCostRate, TheMeter, "gpu-time", MeterVersion: 1, Currency.EUR, cost, from, Noon);

    private static MeterView Meter(Aggregation aggregation)
    {
        var definition = MeterDefined().Definition with { Aggregation = aggregation };
        return new(
            TheMeter, "gpu-time", definition.DisplayName, definition.EventType, aggregation, definition.ValueProperty, definition.Unit, Noon,
            LatestVersion: 1, [new(Version: 1, definition, Noon)]);
    }
}
