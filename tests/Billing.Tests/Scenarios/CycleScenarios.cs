using Platform.Billing.Tests.Http;

namespace Platform.Billing.Tests.Scenarios;

/// <summary>Periods of other lengths than a month.</summary>
public sealed class CycleScenarios(BillingHost billing)
{
    [Fact]
    public async Task A_quarterly_plan_by_the_calendar()
    {
        var acme = await Scenario.Begin(billing, "2027-02-20", "Europe/Berlin", anchorDay: 15);
        await acme.Subscribe(await acme.Plan("Quarterly", fee: "90.00", [], also: new { interval = "quarter" }));

        await acme.AdvanceTo("2027-10-15");

        // From February 20 to April 15 are 54 of the quarter's 90 days: 54.00. Then whole quarters.
        await acme.Approved();
    }

    [Fact]
    public async Task A_year_plan_changed_within_a_leap_year()
    {
        var acme = await Scenario.Begin(billing, "2027-06-15", "Europe/Berlin");
        var silver = await acme.Plan("Silver", fee: "366.00", [], also: new { interval = "year" });
        var gold = await acme.Plan("Gold", fee: "732.00", [], also: new { interval = "year" });
        var subscription = await acme.Subscribe(silver, new { anchor = "anniversary" });
        await acme.AdvanceTo("2028-03-01T10:00");
        await Scenario.Post(acme.Admin, $"/v1/subscriptions/{subscription}/change-plan", new { plan_id = gold, when = "now" });
        await acme.AdvanceTo("2029-06-15");

        // The year from June 15 has 366 days: 260 to March 1 at 1.00, 106 at 2.00, and then a whole year for 732.00.
        await acme.Approved();
    }

    [Fact]
    public async Task A_week_of_an_hour_less()
    {
        var acme = await Scenario.Begin(billing, "2028-03-22T15:00", "Europe/Berlin");
        await acme.Subscribe(await acme.Plan("Weekly", fee: "7.00", [], also: new { interval = "week" }));

        await acme.AdvanceTo("2028-04-03");

        // Wednesday to Sunday are 5 of 7 days; the Sunday has 23 hours and is a day like any other.
        await acme.Approved();
    }
}
