using Platform.Billing.Tests.Http;

namespace Platform.Billing.Tests.Scenarios;

/// <summary>Coupons and taxes.</summary>
public sealed class DiscountScenarios(BillingHost billing)
{
    [Fact]
    public async Task A_coupon_and_tax_together()
    {
        // A jurisdiction that no other test of the host taxes.
        await Scenario.Post(billing.Operator, "/v1/tax-rates", new { jurisdiction = "IS", rate = "0.24", valid_from = "2020-01-01" });
        var acme = await Scenario.Begin(billing, "2027-01-01", "Atlantic/Reykjavik");
        await acme.Taxed(new { jurisdiction = "IS" });
        var calls = new { model = "per_unit", meter = await acme.Meter("calls", unit: "call"), display_name = "Calls", unit_price = "0.10" };
        await acme.Subscribe(await acme.Plan("Starter", fee: "100.00", [calls]));
        await Scenario.Post(
            billing.Operator, "/v1/coupons",
            new
            {
                code = Code(acme),
                display_name = "A quarter off",
                discount = new { kind = "percent", rate = "0.25" },
                duration = "repeating",
                periods = 2,
            });
        await Scenario.Post(acme.Admin, "/v1/coupons/redemptions", new { code = Code(acme) });
        await acme.AdvanceTo("2027-01-15");
        await acme.Use("calls", "333");
        await acme.AdvanceTo("2027-04-01");

        // January: 133.30 less 33.325, rounded 33.33, leaves 99.97; tax 23.9928, rounded 23.99: 123.96. February: 75.00 + 18.00 = 93.00.
        // March, without the coupon: 124.00.
        await acme.Approved();
    }

    // Codes have no dots.
    private static string Code(Scenario scenario) => scenario.Key("quarter").Replace('.', '-');
}
