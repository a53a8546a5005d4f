using Platform.Billing.Tests.Http;

namespace Platform.Billing.Tests.Scenarios;

/// <summary>Use that is promised.</summary>
public sealed class CommitmentScenarios(BillingHost billing)
{
    [Fact]
    public async Task A_commitment_by_the_day_is_trued_up()
    {
        var acme = await Scenario.Begin(billing, "2027-02-01", "Europe/Berlin");
        var hours = new
        {
            model = "windowed_commitment",
            meter = await acme.Meter("hours", unit: "hour"),
            display_name = "GPU hours",
            window = "day",
            unit_amount = "2",
            committed_quantity = "5",
            overage_factor = "1.5",
        };
        await acme.Subscribe(await acme.Plan("Committed", fee: "10.00", [hours]));
        await acme.AdvanceTo("2027-02-12");
        await acme.Use("hours", "7", at: "2027-02-10T12:00");
        await acme.Use("hours", "3", at: "2027-02-11T23:59");
        await acme.AdvanceTo("2027-03-01");

        // 28 days owe 5 hours at 2.00, 280.00, used or not; the tenth's two hours more cost 3.00 each. With the fee: 296.00.
        await acme.Approved();
    }
}
