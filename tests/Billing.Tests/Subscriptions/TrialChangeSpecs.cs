using Microsoft.Extensions.DependencyInjection;
using NodaTime;
using Platform.Billing.Tests.Http;
using Platform.EventStore;

namespace Platform.Billing.Tests.Subscriptions;

/// <summary>Trials that end earlier or later than agreed, and what is owed then; the clock moves, so this class has a host of its own.</summary>
public sealed class TrialChangeSpecs(OwnBillingHost billing) : IClassFixture<OwnBillingHost>
{
    [Theory]
    // fee timing, anchor, end that is asked for on the tenth; none is now -> lines about the fee of all invoices until the first of May
    [InlineData("in_arrears", "calendar", null, "Plan, free trial | 03-01..03-10 | 1 | 0.00", "Plan, 22 of 31 days | 03-10..04-01 | 22 | 22.00", "Plan | 04-01..05-01 | 1 | 31.00")]
    [InlineData("in_arrears", "calendar", "2026-03-12T00:00:00Z", "Plan, free trial | 03-01..03-12 | 1 | 0.00", "Plan, 20 of 31 days | 03-12..04-01 | 20 | 20.00", "Plan | 04-01..05-01 | 1 | 31.00")]
    [InlineData("in_arrears", "calendar", "2026-04-11T00:00:00Z", "Plan, free trial | 03-01..04-11 | 1 | 0.00", "Plan, 20 of 30 days | 04-11..05-01 | 20 | 20.67")]
    [InlineData("in_arrears", "anniversary", "2026-03-12T00:00:00Z", "Plan, free trial | 03-01..03-12 | 1 | 0.00", "Plan | 03-12..04-12 | 1 | 31.00")]
    [InlineData("in_advance", "calendar", null, "Plan, free trial | 03-01..03-10 | 1 | 0.00", "Plan, 22 of 31 days | 03-10..04-01 | 22 | 22.00", "Plan | 04-01..05-01 | 1 | 31.00", "Plan | 05-01..06-01 | 1 | 31.00")]
    [InlineData("in_advance", "anniversary", "2026-04-11T00:00:00Z", "Plan, free trial | 03-01..04-11 | 1 | 0.00", "Plan | 04-11..05-11 | 1 | 31.00")]
    public async Task The_fee_is_owed_from_where_the_trial_ended(string timing, string anchor, string? endsAt, params string[] lines)
    {
        var (tenant, subscription) = await OnTrial(timing, anchor);

        var changed = await billing.Operator.For(tenant.Id).Post($"/v1/subscriptions/{subscription}/trial", new { ends_at = endsAt });
        changed.Status.ShouldBe(200, changed.Text);
        await billing.RunAt("2026-05-01T00:00:00Z");

        (await tenant.Invoices()).SelectMany(Billed.Lines).ShouldBe(lines);
    }

    [Fact]
    public async Task A_trial_that_ends_now_charges_what_is_used_from_now_on_and_each_invoice_is_made_again_byte_for_byte()
    {
        var (tenant, subscription) = await OnTrial("in_arrears", "calendar", new
        {
            model = "per_unit",
            meter = (await billing.NewCatalog()).Calls,
            display_name = "Calls",
            unit_price = "0.05",
        });
        await billing.Use(tenant, "free", "2026-03-09T00:00:00Z", calls: 100);

        var view = await tenant.Change(subscription, "trial");
        view.GetProperty("trial_end").GetString().ShouldBe("2026-03-10T12:00:00Z");
        view.GetProperty("current_period").GetProperty("start").GetString().ShouldBe("2026-03-10T12:00:00Z");
        await billing.Use(tenant, "paid", "2026-03-11T00:00:00Z", calls: 10, now: "2026-03-11T00:00:00Z");
        await billing.Use(tenant, "free, late", "2026-03-02T00:00:00Z", calls: 20);
        await billing.RunAt("2026-04-01T00:00:00Z");

        var invoices = await tenant.Invoices();
        invoices.Select(Billed.Lines).ShouldBe(
        [
            ["Plan, free trial | 03-01..03-10 | 1 | 0.00", "Calls, free trial | 03-01..03-10 | 100 | 0.00"],
            [
                "Plan, 22 of 31 days | 03-10..04-01 | 22 | 22.00", "Calls | 03-10..04-01 | 10 | 0.50",
                "Calls, free trial, reported late | 03-01..03-10 | 20 | 0.00",
            ],
        ]);
        foreach (var invoice in invoices)
        {
            var replayed = await tenant.Viewer.Get($"/v1/invoices/{invoice.GetProperty("invoice_id").GetGuid()}/replay");
            replayed.Json.GetProperty("identical").GetBoolean().ShouldBeTrue(replayed.Text);
        }
    }

    [Fact]
    public async Task A_request_that_comes_again_changes_the_trial_once()
    {
        var (tenant, subscription) = await OnTrial("in_arrears", "calendar");
        var key = Guid.CreateVersion7().ToString();

        var first = await tenant.Admin.Post($"/v1/subscriptions/{subscription}/trial", new { }, key);
        billing.Clock.Set(Instant.FromUtc(2026, 3, 11, 12, 0));
        var again = await tenant.Admin.Post($"/v1/subscriptions/{subscription}/trial", new { }, key);
        var late = await tenant.Admin.Post($"/v1/subscriptions/{subscription}/trial", new { });

        again.Text.ShouldBe(first.Text);
        late.Status.ShouldBe(409, late.Text);
        late.Code.ShouldBe("subscription.not_on_trial");
        (await tenant.Invoices()).Count.ShouldBe(1);
    }

    [Fact]
    public async Task Views_rebuilt_after_it_are_the_same()
    {
        var (tenant, subscription) = await OnTrial("in_advance", "anniversary");
        await tenant.Change(subscription, "change-plan", new { plan_id = await billing.NewPlan("365.00", new { interval = "year" }), when = "period_end" });
        (await billing.Operator.For(tenant.Id).Post($"/v1/subscriptions/{subscription}/trial", new { ends_at = "2026-03-20T00:00:00Z" }))
            .Status.ShouldBe(200);
        var view = await tenant.Subscription(subscription);
        view.GetProperty("next_plan").GetProperty("effective_at").GetString().ShouldBe("2026-03-20T00:00:00Z");
        await billing.RunAt("2026-03-20T00:00:00Z");
        (await tenant.Subscription(subscription)).GetProperty("current_period").GetProperty("end").GetString().ShouldBe("2027-03-20T00:00:00Z");

        foreach (var projection in new[] { "subscriptions", "billing_periods", "entitlements", "recurring_revenue" })
        {
            var live = await Rows(projection);
            await billing.Services.GetRequiredService<Rebuild>().Run(projection, BillingHost.Cancellation);
            (await Rows(projection)).ShouldBe(live, projection);
        }

        Task<string[]> Rows(string table) => billing.Strings($"select it::text from billing.{table} it order by 1");
    }

    [Theory]
    [InlineData("2026-03-09T00:00:00Z", 422, "subscription.trial_end_passed")]
    [InlineData("2028-03-09T00:00:00Z", 422, "subscription.trial_too_long")]
    [InlineData("2026-03-16T00:00:00Z", 403, "subscription.trial_extension.forbidden")]
    public async Task A_refusal_names_the_field(string endsAt, int status, string code)
    {
        var (tenant, subscription) = await OnTrial("in_arrears", "calendar");

        var answer = await tenant.Admin.Post($"/v1/subscriptions/{subscription}/trial", new { ends_at = endsAt });

        answer.Status.ShouldBe(status, answer.Text);
        answer.Code.ShouldBe(code);
        answer.Fields.ShouldBe(["ends_at"]);
    }

    /// <summary>From the first of March to the fifteenth; it is the tenth at noon.</summary>
    private async Task<(TestTenant Tenant, Guid Subscription)> OnTrial(string timing, string anchor, params object[] charges)
    {
        billing.Clock.Set(Instant.FromUtc(2026, 3, 1, 0, 0));
        var tenant = await billing.NewTenant();
        var plan = await billing.NewPlan("31.00", new { trial_days = 14, fee_timing = timing }, charges);
        var subscription = await tenant.Start(new { plan_id = plan, anchor });
        billing.Clock.Set(Instant.FromUtc(2026, 3, 10, 12, 0));
        return (tenant, subscription);
    }
}
