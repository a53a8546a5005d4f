using Platform.Billing.Tests.Http;

namespace Platform.Billing.Tests.Scenarios;

/// <summary>Fees in advance, trials, pauses and seats.</summary>
public sealed class AdvanceScenarios(BillingHost billing)
{
    [Fact]
    public async Task A_trial_and_then_an_upgrade()
    {
        var acme = await Scenario.Begin(billing, "2027-03-01", "Europe/Berlin");
        var small = await acme.Plan("Small", fee: "31.00", [await Calls(acme, "0.10")], also: new { trial_days = 14 });
        var large = await acme.Plan("Large", fee: "62.00", [await Calls(acme, "0.05", known: true)]);
        var subscription = await acme.Subscribe(small);
        await acme.AdvanceTo("2027-03-05");
        await acme.Use("calls", "50");
        await acme.AdvanceTo("2027-03-20");
        await acme.Use("calls", "10", at: "2027-03-19");
        await Scenario.Post(acme.Admin, $"/v1/subscriptions/{subscription}/change-plan", new { plan_id = large, when = "now" });
        await acme.AdvanceTo("2027-04-01");

        // The trial's 50 calls at zero. March 15 to 20: 5 of 31 days, 5.00, and 1.00 of calls. Then 12 of 31 days at 62.00: 24.00.
        await acme.Approved();
    }

    [Fact]
    public async Task A_downgrade_at_once_gives_back_what_was_paid_in_advance()
    {
        var acme = await Scenario.Begin(billing, "2027-06-01");
        var large = await acme.Plan("Large", fee: "90.00", [], also: new { fee_timing = "in_advance" });
        var small = await acme.Plan("Small", fee: "30.00", [], also: new { fee_timing = "in_advance" });
        var subscription = await acme.Subscribe(large);
        await acme.AdvanceTo("2027-06-16");
        await Scenario.Post(acme.Admin, $"/v1/subscriptions/{subscription}/change-plan", new { plan_id = small, when = "now" });
        await acme.AdvanceTo("2027-09-01");

        // June in advance: 90.00. On June 16, 15 of 30 days go back, 45.00, and 15 of 30 at 30.00 are owed, 15.00: 30.00 to the good,
        // which July's 30.00 uses up. August: 30.00.
        await acme.Approved();
    }

    [Fact]
    public async Task A_pause_within_a_month()
    {
        var acme = await Scenario.Begin(billing, "2027-01-01");
        var subscription = await acme.Subscribe(await acme.Plan("Starter", fee: "31.00", [await Calls(acme, "0.10")]));
        await acme.AdvanceTo("2027-01-11");
        await Scenario.Post(acme.Admin, $"/v1/subscriptions/{subscription}/pause", new { when = "now" });
        await acme.AdvanceTo("2027-01-15");
        await acme.Use("calls", "10");
        await acme.AdvanceTo("2027-01-21");
        await Scenario.Post(acme.Admin, $"/v1/subscriptions/{subscription}/resume");
        await acme.AdvanceTo("2027-03-01");

        // January: 10 days, nothing for 10, and 11 days of 1.00; what was used while paused is charged, 1.00. February: 31.00.
        await acme.Approved();
    }

    [Fact]
    public async Task Seats_are_added_within_a_month()
    {
        var acme = await Scenario.Begin(billing, "2027-04-01");
        var subscription = await acme.Subscribe(await acme.Plan("Team", fee: "15.00", []), new { quantity = 4 });
        await acme.AdvanceTo("2027-04-21");
        await Scenario.Post(acme.Admin, $"/v1/subscriptions/{subscription}/change-quantity", new { quantity = 6, when = "now" });
        await acme.AdvanceTo("2027-06-01");

        // April: 20 of 30 days of four seats, 40.00, and 10 of six, 30.00. May: 90.00.
        await acme.Approved();
    }

    private static async Task<object> Calls(Scenario scenario, string price, bool known = false) => new
    {
        model = "per_unit",
        meter = known ? scenario.Key("calls") : await scenario.Meter("calls", unit: "call"),
        display_name = "Calls",
        unit_price = price,
    };
}
