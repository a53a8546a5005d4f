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
    public async Task A_trial_that_is_extended_and_then_ended_early()
    {
        var acme = await Scenario.Begin(billing, "2027-03-01", "Europe/Berlin");
        var subscription = await acme.Subscribe(
            await acme.Plan("Starter", fee: "31.00", [await Calls(acme, "0.10")], also: new { trial_days = 14, fee_timing = "in_advance" }),
            new { anchor = "anniversary" });
        await acme.AdvanceTo("2027-03-10");
        await acme.Use("calls", "50");
        await Scenario.Post(acme.Operator, $"/v1/subscriptions/{subscription}/trial", new { ends_at = "2027-03-30T22:00:00Z" });
        await acme.AdvanceTo("2027-03-20");
        await acme.Use("calls", "30");
        await acme.AdvanceTo("2027-03-22");
        await Scenario.Post(acme.Admin, $"/v1/subscriptions/{subscription}/trial");
        await acme.Use("calls", "10");
        await acme.AdvanceTo("2027-05-01");

        // The trial's 80 calls at zero, and the first month in advance from March 22: 31.00. On April 22, 10 calls, 1.00, and 31.00.
        await acme.Approved();
    }

    [Fact]
    public async Task Seats_share_a_limit_on_usage_that_begins_anew_each_month()
    {
        var acme = await Scenario.Begin(billing, "2027-04-01");
        var calls = await Calls(acme, "0.10");
        var limit = new { limit = "usage", meter = acme.Key("calls"), max = "100", mode = "hard", per_unit = true };
        var subscription = await acme.Subscribe(
            await acme.Plan("Team", fee: "15.00", [calls], also: new { entitlements = new { limits = new[] { limit } } }), new { quantity = 2 });
        await acme.AdvanceTo("2027-04-10");
        await acme.Use("calls", "200");
        (await Reached(acme)).ShouldBeTrue("two seats have 200 calls");
        await acme.AdvanceTo("2027-04-11");
        await Scenario.Post(acme.Admin, $"/v1/subscriptions/{subscription}/change-quantity", new { quantity = 3, when = "now" });
        (await Reached(acme)).ShouldBeFalse("three have 300");
        await acme.Use("calls", "120");
        (await Reached(acme)).ShouldBeTrue();
        await acme.AdvanceTo("2027-05-02");
        await acme.Use("calls", "40");

        // April: 10 of 30 days of two seats, 10.00, and 20 of three, 30.00, and 320 calls, 32.00. In May 260 of 300 calls are left.
        await acme.Approved(["/v1/entitlements"]);
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

    private static async Task<bool> Reached(Scenario scenario) =>
        (await scenario.Admin.Get("/v1/entitlements")).Json.GetProperty("limits")[0].GetProperty("reached").GetBoolean();

    private static async Task<object> Calls(Scenario scenario, string price, bool known = false) => new
    {
        model = "per_unit",
        meter = known ? scenario.Key("calls") : await scenario.Meter("calls", unit: "call"),
        display_name = "Calls",
        unit_price = price,
    };
}
