using System.Text.Json;
using NodaTime;
using Platform.Billing.Tests.Http;

namespace Platform.Billing.Tests.Subscriptions;

/// <summary>Seats and pauses from the request to the invoice; the clock moves, so this class has a host of its own.</summary>
public sealed class QuantitySpecs(OwnBillingHost billing) : IClassFixture<OwnBillingHost>
{
    [Fact]
    public async Task Seats_owe_the_fee_each_by_days_and_the_usage_of_the_period_stays_in_one_piece()
    {
        var meters = await billing.NewCatalog();
        var tiers = new[] { new { up_to = (string?)"10", unit_amount = "1" }, new { up_to = (string?)null, unit_amount = "0.5" } };
        var (tenant, subscription) = await New(
            new { quantity = 2 }, new { model = "graduated", meter = meters.Calls, display_name = "Calls", tiers });
        await billing.Use(tenant, "before", "2026-03-05T00:00:00Z", calls: 8);

        var changed = await tenant.Change(subscription, "change-quantity", new { quantity = 5, when = "now" });
        changed.GetProperty("quantity").GetInt32().ShouldBe(5);
        await billing.Use(tenant, "after", "2026-03-11T00:00:00Z", calls: 4, now: "2026-03-12T00:00:00Z");
        await tenant.Change(subscription, "change-quantity", new { quantity = 1, when = "period_end" });
        await billing.RunAt("2026-05-01T00:00:00Z");

        (await tenant.Invoices()).Select(Billed.Lines).ShouldBe(
        [
            [
                "Plan, quantity 2, 9 of 31 days | 03-01..03-10 | 18 | 18.00",
                "Plan, quantity 5, 22 of 31 days | 03-10..04-01 | 110 | 110.00",
                "Calls | 03-01..04-01 | 12 | 11.00",
            ],
            ["Plan | 04-01..05-01 | 1 | 31.00", "Calls | 04-01..05-01 | 0 | 0.00"],
        ]);
    }

    [Fact]
    public async Task A_change_counts_from_a_day_of_the_running_period_that_is_over()
    {
        var (tenant, subscription) = await New(new { quantity = 2 });
        await tenant.Change(subscription, "change-quantity", new { quantity = 9, when = "now" });
        await tenant.Change(subscription, "change-quantity", new { quantity = 3, effective_at = "2026-03-05T15:00:00Z" });

        await billing.RunAt("2026-04-01T00:00:00Z");

        (await tenant.Invoices())[0].Lines().ShouldBe(
            ["Plan, quantity 2, 4 of 31 days | 03-01..03-05 | 8 | 8.00", "Plan, quantity 3, 27 of 31 days | 03-05..04-01 | 81 | 81.00"]);
    }

    [Fact]
    public async Task Of_two_changes_on_a_day_the_last_counts_and_the_quantity_goes_along_to_another_plan()
    {
        var (tenant, subscription) = await New(new { quantity = 2 });
        await tenant.Change(subscription, "change-quantity", new { quantity = 900, when = "now" });
        billing.Clock.Set(Instant.FromUtc(2026, 3, 10, 18, 0));
        await tenant.Change(subscription, "change-quantity", new { quantity = 4, when = "now" });
        billing.Clock.Set(Instant.FromUtc(2026, 3, 20, 18, 0));
        await tenant.Change(subscription, "change-plan", new { plan_id = await billing.NewPlan("62.00"), when = "now" });

        await billing.RunAt("2026-04-01T00:00:00Z");

        (await tenant.Invoices()).SelectMany(Billed.Lines).ShouldBe(
        [
            "Plan, quantity 2, 9 of 31 days | 03-01..03-10 | 18 | 18.00",
            "Plan, quantity 4, 10 of 31 days | 03-10..03-20 | 40 | 40.00",
            "Plan, quantity 4, 12 of 31 days | 03-20..04-01 | 48 | 96.00",
        ]);
    }

    [Fact]
    public async Task A_pause_stops_the_fee_and_what_is_used_meanwhile_is_charged()
    {
        var meters = await billing.NewCatalog();
        var (tenant, subscription) = await New(
            new { }, new { model = "per_unit", meter = meters.Calls, display_name = "Calls", unit_price = "0.05" });
        (await tenant.Change(subscription, "pause", new { when = "now" })).GetProperty("paused").GetBoolean().ShouldBeTrue();
        await billing.Use(tenant, "1", "2026-03-11T00:00:00Z", calls: 10, now: "2026-03-20T12:00:00Z");
        (await tenant.Change(subscription, "resume")).GetProperty("paused").GetBoolean().ShouldBeFalse();

        await billing.RunAt("2026-04-01T00:00:00Z");

        (await tenant.Invoices())[0].Lines().ShouldBe(
        [
            "Plan, 9 of 31 days | 03-01..03-10 | 9 | 9.00",
            "Plan, paused, 10 of 31 days | 03-10..03-20 | 0 | 0.00",
            "Plan, 12 of 31 days | 03-20..04-01 | 12 | 12.00",
            "Calls | 03-01..04-01 | 10 | 0.50",
        ]);
    }

    [Fact]
    public async Task A_pause_to_come_begins_with_the_next_period_unless_it_is_taken_back()
    {
        var (tenant, subscription) = await New(new { });
        (await tenant.Change(subscription, "pause", new { when = "period_end" })).GetProperty("paused").GetBoolean().ShouldBeFalse();
        await tenant.Change(subscription, "resume");
        await billing.RunAt("2026-04-10T12:00:00Z");
        await tenant.Change(subscription, "pause", new { when = "period_end" });
        await billing.RunAt("2026-06-10T12:00:00Z");
        (await tenant.Subscription(subscription)).GetProperty("paused").GetBoolean().ShouldBeTrue();
        await tenant.Change(subscription, "resume");
        await billing.RunAt("2026-07-01T00:00:00Z");

        (await tenant.Invoices()).SelectMany(Billed.Lines).ShouldBe(
        [
            "Plan | 03-01..04-01 | 1 | 31.00",
            "Plan | 04-01..05-01 | 1 | 31.00",
            "Plan, paused | 05-01..06-01 | 0 | 0.00",
            "Plan, paused, 9 of 30 days | 06-01..06-10 | 0 | 0.00",
            "Plan, 21 of 30 days | 06-10..07-01 | 21 | 21.70",
        ]);
    }

    [Theory]
    [InlineData("change-quantity", """{"quantity":0,"when":"now"}""", 400, "request.invalid", "quantity")]
    [InlineData("change-quantity", """{"quantity":1000001,"when":"now"}""", 400, "request.invalid", "quantity")]
    [InlineData("change-quantity", """{"when":"now"}""", 400, "request.invalid", "quantity")]
    [InlineData("change-quantity", """{"quantity":3}""", 400, "request.invalid", "when")]
    [InlineData("change-quantity", """{"quantity":3,"when":"now","effective_at":"2026-03-05T00:00:00Z"}""", 400, "request.invalid", "when")]
    [InlineData("change-quantity", """{"quantity":3,"when":"yesterday"}""", 400, "request.invalid", "when")]
    [InlineData("change-quantity", """{"quantity":3,"effective_at":"2026-02-28T23:59:59Z"}""", 422, "subscription.not_in_period", "effective_at")]
    [InlineData("change-quantity", """{"quantity":3,"effective_at":"2026-04-01T00:00:01Z"}""", 422, "subscription.not_in_period", "effective_at")]
    [InlineData("pause", "{}", 400, "request.invalid", "when")]
    public async Task What_makes_no_sense_names_its_field(string what, string body, int status, string code, string field)
    {
        var (tenant, subscription) = await New(new { });

        var answer = await tenant.Admin.Post($"/v1/subscriptions/{subscription}/{what}", body);

        (answer.Status, answer.Code).ShouldBe((status, code), answer.Text);
        answer.Fields.ShouldBe([field]);
        (await tenant.Subscription(subscription)).GetProperty("quantity").GetInt32().ShouldBe(1);
    }

    [Fact]
    public async Task A_change_sent_again_changes_nothing_and_only_administrators_change()
    {
        var (tenant, subscription) = await New(new { });
        var (path, key) = ($"/v1/subscriptions/{subscription}/change-quantity", Guid.CreateVersion7().ToString());

        var first = await tenant.Admin.Post(path, new { quantity = 3, when = "now" }, key);
        var again = await tenant.Admin.Post(path, new { quantity = 3, when = "now" }, key);
        (await tenant.Viewer.Post(path, new { quantity = 4, when = "now" })).Status.ShouldBe(403);

        again.Text.ShouldBe(first.Text);
        first.Json.GetProperty("fee").GetProperty("steps").EnumerateArray()
            .Select(step => step.GetProperty("quantity").GetInt32()).ShouldBe([1, 3]);
        (await (await billing.NewTenant()).Admin.Post(path, new { quantity = 4, when = "now" })).Status.ShouldBe(404);
    }

    /// <summary>A subscription of 31.00 from the first of March, at noon of the tenth.</summary>
    private async Task<(TestTenant Tenant, Guid Subscription)> New(object terms, params object[] charges)
    {
        billing.Clock.Set(Instant.FromUtc(2026, 3, 10, 12, 0));
        var tenant = await billing.NewTenant();
        var body = JsonSerializer.SerializeToNode(terms)!.AsObject();
        body["plan_id"] = await billing.NewPlan("31.00", terms: null, charges);
        body["started_at"] = "2026-03-01T00:00:00Z";
        return (tenant, await tenant.Start(body.ToJsonString()));
    }
}
