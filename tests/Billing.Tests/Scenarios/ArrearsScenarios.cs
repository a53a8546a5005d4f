using Platform.Billing.Tests.Http;

namespace Platform.Billing.Tests.Scenarios;

/// <summary>Plans that bill in arrears: what a company owes for the time that has passed.</summary>
public sealed class ArrearsScenarios(BillingHost billing)
{
    [Fact]
    public async Task Monthly_fee_and_usage()
    {
        var acme = await Scenario.Begin(billing, "2027-01-15T09:00", "Europe/Berlin");
        var plan = await acme.Plan("Starter", fee: "31.00", [await PerUnit(acme, "calls", "0.05")]);
        await acme.Subscribe(plan);

        await acme.AdvanceTo("2027-01-20");
        await acme.Use("calls", "100");
        await acme.AdvanceTo("2027-02-10");
        await acme.Use("calls", "250.5");
        await acme.AdvanceTo("2027-04-01");

        // 17 of 31 days and 100 calls: 17.00 + 5.00. All February: 31.00 + 12.525, rounded away from zero. March: 31.00 alone.
        await acme.Approved();
    }

    [Fact]
    public async Task Anchor_day_31_in_a_leap_year()
    {
        var acme = await Scenario.Begin(billing, "2028-01-31", "America/New_York", "USD", anchorDay: 31);
        await acme.Subscribe(await acme.Plan("Starter", fee: "99.00", []));

        await acme.AdvanceTo("2028-06-01");

        // February 29, March 31, April 30, May 31: each period is whole and owes 99.00.
        await acme.Approved();
    }

    [Fact]
    public async Task Usage_at_midnight_while_clocks_change()
    {
        var acme = await Scenario.Begin(billing, "2028-03-01", "Europe/Berlin");
        await acme.Subscribe(await acme.Plan("Metered", fee: "0.00", [await PerUnit(acme, "calls", "1.00")]));

        // In UTC a month begins at 23:00 in winter and at 22:00 in summer.
        await acme.AdvanceTo("2028-11-02");
        foreach (var (at, calls) in new[]
        {
            ("2028-03-31T23:59", "1"), ("2028-04-01T00:00", "10"), ("2028-10-31T23:59", "100"), ("2028-11-01T00:00", "1000"),
        })
        {
            await acme.Use("calls", calls, at);
        }

        await acme.AdvanceTo("2028-12-02");

        // All but November's 1000 came late, for the month that the wall clock showed.
        await acme.Approved();
    }

    [Fact]
    public async Task Graduated_tiers_begin_anew_each_period()
    {
        var acme = await Scenario.Begin(billing, "2027-05-01");
        var tokens = await acme.Meter("tokens", unit: "token");
        var charge = new
        {
            model = "graduated",
            meter = tokens,
            display_name = "Tokens",
            tiers = new object[]
            {
                new { up_to = "1000", unit_amount = "0.02", flat_amount = "5" },
                new { up_to = "5000", unit_amount = "0.01" },
                new { up_to = (string?)null, unit_amount = "0.005", flat_amount = "1" },
            },
        };
        await acme.Subscribe(await acme.Plan("Tokens", fee: "10.00", [charge]));

        await acme.AdvanceTo("2027-05-20");
        await acme.Use("tokens", "6001");
        await acme.AdvanceTo("2027-06-20");
        await acme.Use("tokens", "1000");
        await acme.AdvanceTo("2027-08-01");

        // May: 5 + 20 + 40 + 1 + 1001 x 0.005 = 71.005, a line of 71.01. June: 5 + 20. July: tier 1's flat 5. Each with a fee of 10.
        await acme.Approved();
    }

    [Fact]
    public async Task Packages_free_units_and_a_minimum()
    {
        var acme = await Scenario.Begin(billing, "2027-02-01");
        object[] charges =
        [
            new
            {
                model = "package", meter = await acme.Meter("images", unit: "image"), display_name = "Images",
                package_size = "100", package_amount = "3.00", free_units = "50",
            },
            new
            {
                model = "per_unit", meter = await acme.Meter("hours", unit: "hour"), display_name = "GPU hours",
                unit_price = "2.50", minimum_amount = "20",
            },
        ];
        await acme.Subscribe(await acme.Plan("Studio", fee: "0.00", charges));

        await acme.AdvanceTo("2027-02-10");
        await acme.Use("images", "251");
        await acme.Use("hours", "12.25");
        await acme.AdvanceTo("2027-04-01");

        // February: (251 - 50) / 100 are three packages, 9.00; 12.25 hours 30.625. March: no package, and the minimum of 20.
        await acme.Approved();
    }

    [Fact]
    public async Task A_volume_price_that_falls_gives_back_what_was_too_much()
    {
        var acme = await Scenario.Begin(billing, "2027-01-01");
        var charge = new
        {
            model = "volume",
            meter = await acme.Meter("hours", unit: "hour"),
            display_name = "GPU hours",
            tiers = new object[]
            {
                new { up_to = "10", unit_amount = "10" },
                new { up_to = (string?)null, unit_amount = "5" },
            },
        };
        var subscription = await acme.Subscribe(await acme.Plan("Volume", fee: "0.00", [charge]));
        await acme.Use("hours", "8");
        await acme.AdvanceTo("2027-01-10");
        await Scenario.Post(acme.Admin, $"/v1/subscriptions/{subscription}/close-period");
        await acme.Use("hours", "4");
        await acme.AdvanceTo("2027-02-10");
        await acme.Use("hours", "10");
        await acme.AdvanceTo("2027-03-01");
        await acme.Use("hours", "2", at: "2027-02-27");
        await acme.Use("hours", "3");
        await acme.AdvanceTo("2027-05-01");

        // January: 80.00 for 8 hours, and all 12 owe 60.00: 20.00 go into the wallet. February: 100.00, of which it pays 20.00. With the 2 late
        // hours February owes 60.00: 40.00 come back beside March's 30.00, and 10.00 are left.
        await acme.Approved(alsoPaths: ["/v1/wallet"]);
    }

    [Fact]
    public async Task Late_usage_after_the_invoice()
    {
        var acme = await Scenario.Begin(billing, "2027-01-01");
        await acme.Subscribe(await acme.Plan("Metered", fee: "10.00", [await PerUnit(acme, "calls", "0.10")]));
        await acme.AdvanceTo("2027-01-31");
        await acme.Use("calls", "100");
        await acme.AdvanceTo("2027-02-03");

        await acme.Use("calls", "20", at: "2027-01-31T23:59");
        await acme.Use("calls", "7");
        await acme.AdvanceTo("2027-03-01");

        // January: 10 + 10. February: 10 + 0.70, and 2.00 for January.
        await acme.Approved();
    }

    [Fact]
    public async Task A_correction_of_a_closed_period_is_taken_back_from_what_comes()
    {
        var acme = await Scenario.Begin(billing, "2027-01-01");
        await acme.Subscribe(await acme.Plan("Metered", fee: "10.00", [await PerUnit(acme, "calls", "0.10")]));
        await acme.AdvanceTo("2027-01-15");
        var wrong = await acme.Use("calls", "150");
        await acme.Use("calls", "5");
        await acme.AdvanceTo("2027-02-03");

        await acme.Void(wrong);
        await acme.AdvanceTo("2027-04-01");

        // January: 10 + 15.50. February: 10 - 15.00 is nothing owed and 5.00 kept; March: 10 less these 5.00.
        await acme.Approved();
    }

    [Fact]
    public async Task Cancelled_at_the_end_of_the_period_with_usage_that_comes_afterwards()
    {
        var acme = await Scenario.Begin(billing, "2027-06-01", "Pacific/Pago_Pago", "USD");
        var subscription = await acme.Subscribe(await acme.Plan("Metered", fee: "30.00", [await PerUnit(acme, "calls", "0.10")]));
        await acme.AdvanceTo("2027-06-10");
        await acme.Use("calls", "10");
        await Scenario.Post(acme.Admin, $"/v1/subscriptions/{subscription}/cancel", new { when = "period_end" });
        await acme.AdvanceTo("2027-07-02");

        await acme.Use("calls", "5", at: "2027-06-30T23:59");
        await acme.Use("calls", "1000", at: "2027-07-01T00:00");
        await acme.AdvanceTo("2028-12-01");

        // June: 30 + 1.00. Its late 0.50 by itself. What was used after the end is on no invoice, and nothing follows.
        await acme.Approved();
    }

    [Fact]
    public async Task Cancelled_now()
    {
        var acme = await Scenario.Begin(billing, "2027-06-01", "Pacific/Kiritimati", "USD");
        var subscription = await acme.Subscribe(await acme.Plan("Metered", fee: "30.00", [await PerUnit(acme, "calls", "0.10")]));
        await acme.AdvanceTo("2027-06-11T12:00");
        await acme.Use("calls", "10", at: "2027-06-11T11:59");
        await Scenario.Post(acme.Admin, $"/v1/subscriptions/{subscription}/cancel", new { when = "now" });
        await acme.AdvanceTo("2027-09-01");

        // Ten days of thirty: the day on which a plan ends is not owed, only what was used on it, 1.00.
        await acme.Approved();
    }

    [Fact]
    public async Task Plan_changed_at_the_end_of_the_period()
    {
        var acme = await Scenario.Begin(billing, "2027-01-01");
        var small = await acme.Plan("Small", fee: "10.00", [await PerUnit(acme, "calls", "0.10")]);
        var large = await acme.Plan("Large", fee: "100.00", [Charge(acme, "calls", "0.01")]);
        var subscription = await acme.Subscribe(small);
        await acme.AdvanceTo("2027-01-10");
        await acme.Use("calls", "100");
        await Scenario.Post(acme.Admin, $"/v1/subscriptions/{subscription}/change-plan", new { plan_id = large, when = "period_end" });
        await acme.AdvanceTo("2027-02-10");
        await acme.Use("calls", "100");
        await acme.Use("calls", "50", at: "2027-01-20");
        await acme.AdvanceTo("2027-03-01");

        // January: 10 + 10.00. February: 100 + 1.00, and January's late 50 at the price of then: 5.00.
        await acme.Approved();
    }

    [Fact]
    public async Task Two_upgrades_within_a_day()
    {
        var acme = await Scenario.Begin(billing, "2027-06-01", "Europe/Berlin");
        var small = await acme.Plan("Small", fee: "30.00", [await PerUnit(acme, "calls", "0.10")]);
        var medium = await acme.Plan("Medium", fee: "60.00", [Charge(acme, "calls", "0.05")]);
        var large = await acme.Plan("Large", fee: "90.00", [Charge(acme, "calls", "0.02")]);
        var subscription = await acme.Subscribe(small);
        await acme.AdvanceTo("2027-06-11T09:00");
        await acme.Use("calls", "10", at: "2027-06-11T08:00");
        await Scenario.Post(acme.Admin, $"/v1/subscriptions/{subscription}/change-plan", new { plan_id = medium, when = "now" });
        await acme.AdvanceTo("2027-06-11T17:00");
        await acme.Use("calls", "10", at: "2027-06-11T16:00");
        await Scenario.Post(acme.Admin, $"/v1/subscriptions/{subscription}/change-plan", new { plan_id = large, when = "now" });
        await acme.AdvanceTo("2027-07-01");

        // Ten days of 30 at 30.00; the eleventh belongs to the last plan of the day, so Medium owes no fee; twenty days at 90.00.
        await acme.Approved();
    }

    [Fact]
    public async Task Two_subscriptions_on_one_invoice()
    {
        var acme = await Scenario.Begin(billing, "2027-01-01");
        await acme.Subscribe(await acme.Plan("Inference", fee: "10.00", [await PerUnit(acme, "calls", "0.10")]));
        await acme.AdvanceTo("2027-01-15");
        await acme.Subscribe(await acme.Plan("Training", fee: "62.00", [await PerUnit(acme, "hours", "2.50")]));
        await acme.Use("calls", "30");
        await acme.Use("hours", "4.5");
        await acme.AdvanceTo("2027-03-01");

        // January: 10.00 + 3.00, and of the second 17 of 31 days, 34.00, + 11.25. February: 72.00, and no usage.
        await acme.Approved();
    }

    [Fact]
    public async Task An_invoice_at_the_threshold_and_the_rest_at_the_end()
    {
        var acme = await Scenario.Begin(billing, "2027-01-01");
        await acme.Subscribe(await acme.Plan(
            "Metered", fee: "31.00", [await PerUnit(acme, "calls", "0.10")],
            also: new { invoice_threshold = new { amount = "50.00", currency = "EUR" } }));
        await acme.AdvanceTo("2027-01-10");
        await acme.Use("calls", "400");
        await acme.AdvanceTo("2027-01-12");
        await acme.Use("calls", "150");
        await acme.AdvanceTo("2027-01-20");
        await acme.Use("calls", "70");
        await acme.AdvanceTo("2027-02-01");

        // By one o'clock on January 12 use has come to 55.00: with 11 of 31 days of the fee, 66.00. The rest: 20.00 + 7.00.
        await acme.Approved();
    }

    [Fact]
    public async Task Yen_have_no_cents_and_dinars_have_a_thousand()
    {
        var tokyo = await Scenario.Begin(billing, "2027-01-10", "Asia/Tokyo", "JPY");
        await tokyo.Subscribe(await tokyo.Plan("Starter", fee: "1000", [await PerUnit(tokyo, "calls", "0.3")]));
        await tokyo.Use("calls", "5");
        await tokyo.AdvanceTo("2027-02-01");
        var kuwait = await Scenario.Begin(billing, "2027-01-10", "Asia/Kuwait", "KWD");
        await kuwait.Subscribe(await kuwait.Plan("Starter", fee: "10.000", [await PerUnit(kuwait, "calls", "0.0003")]));
        await kuwait.Use("calls", "5");
        await kuwait.AdvanceTo("2027-02-01");

        // 22 of 31 days: 709.68 is 710 yen, and 1.5 are 2. 7.0968 are 7.097 dinars, and 0.0015 are 0.002.
        await tokyo.Approved(name: "Yen_have_no_cents");
        await kuwait.Approved(name: "Dinars_have_a_thousand");
    }

    private static async Task<object> PerUnit(Scenario scenario, string meter, string price)
    {
        await scenario.Meter(meter, unit: "call");
        return Charge(scenario, meter, price);
    }

    private static object Charge(Scenario scenario, string meter, string price) =>
        new { model = "per_unit", meter = scenario.Key(meter), display_name = "Calls", unit_price = price };
}
