using NodaTime;
using Platform.Billing.Tests.Http;

namespace Platform.Billing.Tests.Subscriptions;

/// <summary>Weeks, quarters and years from start to invoice; the clock moves, so this class has a host of its own.</summary>
public sealed class CycleSpecs(OwnBillingHost billing) : IClassFixture<OwnBillingHost>
{
    [Theory]
    // interval, fee, anchor, start -> invoices until the first of September, with their periods
    [InlineData("week", "7.00", "calendar", "2026-08-15", "2026-08-15..2026-08-17 2.00", "2026-08-17..2026-08-24 7.00", "2026-08-24..2026-08-31 7.00")]
    [InlineData("week", "7.00", "anniversary", "2026-08-15", "2026-08-15..2026-08-22 7.00", "2026-08-22..2026-08-29 7.00")]
    [InlineData("month", "31.00", "anniversary", "2026-06-30", "2026-06-30..2026-07-30 31.00", "2026-07-30..2026-08-30 31.00")]
    [InlineData("quarter", "90.00", "calendar", "2026-02-15", "2026-02-15..2026-04-01 45.00", "2026-04-01..2026-07-01 90.00")]
    [InlineData("quarter", "90.00", "anniversary", "2026-02-28", "2026-02-28..2026-05-28 90.00", "2026-05-28..2026-08-28 90.00")]
    [InlineData("year", "365.00", "calendar", "2025-12-15", "2025-12-15..2026-01-01 17.00")]
    [InlineData("year", "365.00", "anniversary", "2025-09-01", "2025-09-01..2026-09-01 365.00")]
    public async Task Periods_are_invoiced_as_long_as_the_plan_says_from_the_day_that_was_chosen(
        string interval, string fee, string anchor, string start, params string[] invoices)
    {
        billing.Clock.Set(Instant.FromUtc(2026, 8, 31, 12, 0));
        var tenant = await billing.NewTenant();
        var plan = await billing.NewPlan(fee, new { interval });
        var subscription = await tenant.Start(new { plan_id = plan, anchor, started_at = $"{start}T00:00:00Z" });

        await billing.RunAt("2026-09-01T00:00:00Z");

        (await tenant.Invoices()).Select(invoice =>
        {
            var period = invoice.GetProperty("billing_period");
            return $"{period.GetProperty("start").GetString()![..10]}..{period.GetProperty("end").GetString()![..10]} {invoice.Total()}";
        }).ShouldBe(invoices);
        var view = await tenant.Subscription(subscription);
        view.GetProperty("anchor").GetString().ShouldBe(anchor);
        view.GetProperty("plans")[0].GetProperty("cycle").GetProperty("interval").GetString().ShouldBe(interval);
    }

    [Fact]
    public async Task A_month_becomes_a_year_now_and_each_plan_owes_its_part_of_its_own_period()
    {
        var (tenant, subscription) = await New(await billing.NewPlan("31.00"));

        var changed = await tenant.Change(
            subscription, "change-plan", new { plan_id = await billing.NewPlan("365.00", new { interval = "year" }), when = "now" });
        changed.GetProperty("current_period").GetProperty("end").GetString().ShouldBe("2027-01-01T00:00:00Z");
        await billing.RunAt("2027-01-01T00:00:00Z");

        (await tenant.Invoices()).Select(invoice => invoice.Lines().Single()).ShouldBe(
            ["Plan, 9 of 31 days | 03-01..03-10 | 9 | 9.00", "Plan, 297 of 365 days | 03-10..01-01 | 297 | 297.00"]);
    }

    [Fact]
    public async Task A_month_becomes_a_week_at_the_periods_end()
    {
        var (tenant, subscription) = await New(await billing.NewPlan("31.00"));

        var changed = await tenant.Change(
            subscription, "change-plan", new { plan_id = await billing.NewPlan("7.00", new { interval = "week" }), when = "period_end" });
        changed.GetProperty("next_plan").GetProperty("cycle").GetProperty("interval").GetString().ShouldBe("week");
        await billing.RunAt("2026-04-13T00:00:00Z");

        // The first of April was a Wednesday.
        (await tenant.Invoices()).Select(Billed.Total).ShouldBe(["31.00", "5.00", "7.00"]);
    }

    [Fact]
    public async Task Late_usage_of_a_quarter_counts_in_the_quarters_tiers_also_where_months_came_after_it()
    {
        var meters = await billing.NewCatalog();
        var tiers = new[] { new { up_to = (string?)"10", unit_amount = "1" }, new { up_to = (string?)null, unit_amount = "0.5" } };
        var quarterly = await billing.NewPlan(
            "0.00", new { interval = "quarter" }, new { model = "graduated", meter = meters.Calls, display_name = "Calls", tiers });
        var (tenant, subscription) = await New(quarterly, "2026-01-01T00:00:00Z");
        await billing.Use(tenant, "in time", "2026-02-10T00:00:00Z", calls: 8);
        await tenant.Change(subscription, "change-plan", new { plan_id = await billing.NewPlan("0.00"), when = "now" });
        await billing.Use(tenant, "late", "2026-02-11T00:00:00Z", calls: 4);

        await billing.RunAt("2026-04-01T00:00:00Z");

        // Two calls at 1.00 and two at 0.50.
        (await tenant.Invoices()).Select(Billed.Total).ShouldBe(["8.00", "3.00"]);
    }

    [Theory]
    [InlineData("/v1/plans", """{"key":"fortnights","display_name":"P","recurring_fee":{"amount":"1.00","currency":"EUR"},"proration":"days","charges":[],"interval":"fortnight"}""", "interval")]
    [InlineData("/v1/subscriptions", """{"plan_id":"0198c0de-0000-7000-8000-000000000004","anchor":"birthday"}""", "anchor")]
    public async Task What_makes_no_sense_names_its_field(string path, string body, string field)
    {
        var answer = path == "/v1/plans"
            ? await billing.Operator.Post(path, body)
            : await (await billing.NewTenant()).Admin.Post(path, body);

        answer.Status.ShouldBe(400, answer.Text);
        answer.Fields.ShouldBe([field]);
    }

    /// <summary>A subscription at noon of the tenth of March.</summary>
    private async Task<(TestTenant Tenant, Guid Subscription)> New(Guid plan, string startedAt = "2026-03-01T00:00:00Z")
    {
        billing.Clock.Set(Instant.FromUtc(2026, 3, 10, 12, 0));
        var tenant = await billing.NewTenant();
        return (tenant, await tenant.Start(new { plan_id = plan, started_at = startedAt }));
    }
}
