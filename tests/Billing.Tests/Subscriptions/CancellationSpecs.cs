using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using NodaTime;
using NodaTime.Text;
using Platform.Billing.Invoices;
using Platform.Billing.Tests.Http;
using Platform.EventStore;
using static Platform.Billing.Tests.Usage.UsageCorrectionSpecs;

namespace Platform.Billing.Tests.Subscriptions;

/// <summary>Cancellations and what comes after them, over months; the clock moves, so this class has a host of its own.</summary>
public sealed class CancellationSpecs(OwnBillingHost billing) : IClassFixture<OwnBillingHost>
{
    [Fact]
    public async Task Now_the_running_period_is_invoiced_as_a_slice_and_no_other_begins()
    {
        var (tenant, subscription) = await New();
        await billing.Use(tenant, "before", "2026-03-10T11:59:59.999999Z", calls: 10);
        await billing.Use(tenant, "after", "2026-03-10T12:00:00Z", calls: 1000);

        var ended = await Post(tenant, subscription, "cancel", new { when = "now" });

        Lines((await Invoices(tenant)).ShouldHaveSingleItem()).ShouldBe(
            [("recurring_fee", "9", "9.00"), ("usage", "0", "0.00"), ("usage", "10", "0.50")]);
        ended.GetProperty("ended_at").GetString().ShouldBe("2026-03-10T12:00:00Z");
        ended.GetProperty("current_period").ValueKind.ShouldBe(JsonValueKind.Null);
        await billing.RunAt("2026-08-01T00:00:00Z");
        (await Invoices(tenant)).Count.ShouldBe(1, "no period begins, and usage of after the end belongs to none");
    }

    [Fact]
    public async Task The_same_cancellation_again_changes_nothing()
    {
        var (tenant, subscription) = await New();
        var key = Guid.CreateVersion7().ToString();

        var first = await tenant.Admin.Post($"/v1/subscriptions/{subscription}/cancel", new { when = "now" }, key);
        var again = await tenant.Admin.Post($"/v1/subscriptions/{subscription}/cancel", new { when = "now" }, key);
        var other = await Post(tenant, subscription, "cancel", new { when = "period_end" });

        first.Status.ShouldBe(200, first.Text);
        again.Text.ShouldBe(first.Text);
        other.GetProperty("ended_at").GetString().ShouldBe("2026-03-10T12:00:00Z");
        (await Invoices(tenant)).Count.ShouldBe(1);
        (await tenant.Admin.Post($"/v1/subscriptions/{subscription}/withdraw-cancellation")).Code.ShouldBe("subscription.ended");
    }

    [Fact]
    public async Task Periods_that_ended_before_are_invoiced_before_the_last_one()
    {
        var (tenant, subscription) = await New("2026-01-01T00:00:00Z");

        await Post(tenant, subscription, "cancel", new { when = "now" });

        (await Invoices(tenant)).Select(Total).ShouldBe(["31.00", "31.00", "9.00"]);
    }

    [Fact]
    public async Task At_the_periods_end_the_recurring_close_makes_the_last_invoice()
    {
        var (tenant, subscription) = await New();
        var cancelled = await Post(tenant, subscription, "cancel", new { when = "period_end" });
        cancelled.GetProperty("ends_at").GetString().ShouldBe("2026-04-01T00:00:00Z");
        cancelled.GetProperty("ended_at").ValueKind.ShouldBe(JsonValueKind.Null);
        await billing.Use(tenant, "1", "2026-03-31T23:00:00Z", calls: 10, now: "2026-03-31T23:30:00Z");

        await billing.RunAt("2026-07-01T00:00:00Z");

        (await Invoices(tenant)).Select(Total).ShouldBe(["31.50"]);
        (await Subscription(tenant, subscription)).GetProperty("ended_at").GetString().ShouldBe("2026-04-01T00:00:00Z");
    }

    [Fact]
    public async Task A_withdrawn_cancellation_never_was()
    {
        var (tenant, subscription) = await New();
        await Post(tenant, subscription, "cancel", new { when = "period_end" });
        var withdrawn = await Post(tenant, subscription, "withdraw-cancellation");
        withdrawn.GetProperty("ends_at").ValueKind.ShouldBe(JsonValueKind.Null);

        await billing.RunAt("2026-05-01T00:00:00Z");

        (await Invoices(tenant)).Select(Total).ShouldBe(["31.00", "31.00"]);
    }

    [Fact]
    public async Task Usage_that_comes_after_the_last_invoice_makes_one_more_and_only_where_there_is_some()
    {
        var (tenant, subscription) = await New();
        await billing.Use(tenant, "known", "2026-03-05T00:00:00Z", calls: 10);
        await Post(tenant, subscription, "cancel", new { when = "now" });
        await billing.Use(tenant, "late", "2026-03-06T00:00:00Z", calls: 20);
        await billing.Use(tenant, "after the end", "2026-03-20T00:00:00Z", calls: 4000, now: "2026-03-25T00:00:00Z");
        await Correct(tenant.Admin, "amend", "known", new { calls = "11" });

        await billing.RunAt("2026-04-01T00:00:00Z");
        Lines((await Invoices(tenant))[1]).ShouldBe([("late_usage", "21", "1.05")]);

        await billing.RunAt("2026-06-01T00:00:00Z");
        (await Invoices(tenant)).Count.ShouldBe(2, "nothing more came");
        await billing.Use(tenant, "very late", "2026-03-07T00:00:00Z", calls: 40);
        var closed = await tenant.Admin.Post($"/v1/subscriptions/{subscription}/close-period");
        closed.Status.ShouldBe(201, closed.Text);
        Lines(closed.Json).ShouldBe([("late_usage", "40", "2.00")]);

        billing.Clock.Set(billing.Clock.Now + Duration.FromDays(1));
        (await tenant.Admin.Post($"/v1/subscriptions/{subscription}/close-period")).Code.ShouldBe("subscription.ended");
        (await tenant.Viewer.Get($"/v1/invoices/{closed.Json.GetProperty("invoice_id").GetGuid()}/usage-proof?source=test&event_id=very%20late"))
            .Status.ShouldBe(200);
        (await tenant.Viewer.Get($"/v1/invoices/{closed.Json.GetProperty("invoice_id").GetGuid()}/usage-proof?source=test&event_id=after%20the%20end"))
            .Status.ShouldBe(404);
    }

    [Fact]
    public async Task Credit_that_no_invoice_used_up_stays_in_the_wallet_until_late_usage_does()
    {
        var (tenant, subscription) = await New();
        await billing.Use(tenant, "1", "2026-03-05T00:00:00Z", calls: 1000);
        (await tenant.Admin.Post($"/v1/subscriptions/{subscription}/close-period")).Status.ShouldBe(201);
        await Correct(tenant.Admin, "void", "1");
        billing.Clock.Set(Instant.FromUtc(2026, 3, 12, 12, 0));

        // Two days owe 2.00, and the void takes 50.00 back.
        await Post(tenant, subscription, "cancel", new { when = "now" });
        (await Balance()).ShouldBe("48.00");
        await billing.Use(tenant, "2", "2026-03-06T00:00:00Z", calls: 100);
        await billing.RunAt("2026-04-01T00:00:00Z");

        (await Balance()).ShouldBe("43.00");
        var late = (await Invoices(tenant))[2];
        Lines(late).ShouldBe([("late_usage", "100", "5.00")]);
        late.GetProperty("amount_due").GetProperty("amount").GetString().ShouldBe("0.00");

        async Task<string?> Balance() =>
            (await tenant.Viewer.Get("/v1/wallet")).Json.GetProperty("balance").GetProperty("amount").GetString();
    }

    [Fact]
    public async Task The_minimum_is_due_where_the_last_period_ends_and_late_usage_counts_against_it()
    {
        var tenant = await billing.NewTenant();
        var catalog = await billing.NewCatalog();
        var plan = await billing.Operator.Post("/v1/plans", new
        {
            key = $"p{Guid.CreateVersion7():n}",
            display_name = "Committed",
            recurring_fee = new { amount = "0.00", currency = "EUR" },
            proration = "days",
            charges = new[] { new { model = "per_unit", meter = catalog.Calls, display_name = "Calls", unit_price = "0.05", minimum_amount = "20" } },
        });
        billing.Clock.Set(Instant.FromUtc(2026, 3, 10, 12, 0));
        var subscription = await BillingHost.Subscribe(tenant, catalog with { PlanId = plan.Json.GetProperty("plan_id").GetGuid() });
        await billing.Use(tenant, "1", "2026-03-05T00:00:00Z", calls: 100);
        await Post(tenant, subscription, "cancel", new { when = "now" });
        await billing.Use(tenant, "2", "2026-03-06T00:00:00Z", calls: 500);

        await billing.RunAt("2026-04-01T00:00:00Z");

        // 100 calls owe 5.00, so 20.00; 600 owe 30.00.
        (await Invoices(tenant)).Select(Total).ShouldBe(["20.00", "10.00"]);
    }

    [Fact]
    public async Task Another_subscription_may_bill_the_meters_from_the_end_on_and_not_before()
    {
        var (tenant, subscription) = await New();
        await Post(tenant, subscription, "cancel", new { when = "now" });
        billing.Clock.Set(Instant.FromUtc(2026, 3, 20, 12, 0));

        var overlapping = await tenant.Admin.Post(
            "/v1/subscriptions", new { plan_id = meters!.PlanId, started_at = "2026-03-10T11:59:59Z" });
        var following = await tenant.Admin.Post(
            "/v1/subscriptions", new { plan_id = meters.PlanId, started_at = "2026-03-10T12:00:00Z" });

        overlapping.Code.ShouldBe("subscription.meter_already_billed");
        following.Status.ShouldBe(201, following.Text);
    }

    [Fact]
    public async Task A_cancellation_names_its_time()
    {
        var (tenant, subscription) = await New();

        var unknown = await tenant.Admin.Post($"/v1/subscriptions/{subscription}/cancel", new { when = "tomorrow" });
        var missing = await tenant.Admin.Post($"/v1/subscriptions/{subscription}/cancel", new { });
        var nobody = await tenant.Admin.Post($"/v1/subscriptions/{Guid.CreateVersion7()}/cancel", new { when = "now" });

        (unknown.Status, missing.Status).ShouldBe((400, 400));
        unknown.Fields.ShouldBe(["when"]);
        missing.Fields.ShouldBe(["when"]);
        nobody.Status.ShouldBe(404);
    }

    [Fact]
    public async Task Views_rebuilt_after_cancellations_are_the_same()
    {
        var (tenant, subscription) = await New();
        await Post(tenant, subscription, "cancel", new { when = "period_end" });
        await Post(tenant, subscription, "withdraw-cancellation");
        await Post(tenant, subscription, "cancel", new { when = "now" });
        await billing.RunAt("2026-06-01T00:00:00Z");
        await billing.RunAt("2027-12-01T00:00:00Z");
        var rebuild = billing.Services.GetRequiredService<Rebuild>();

        foreach (var projection in new[] { "subscriptions", "billing_periods" })
        {
            var live = await Rows(projection);
            await rebuild.Run(projection, BillingHost.Cancellation);
            (await Rows(projection)).ShouldBe(live, projection);
        }

        (await billing.Count("billing_periods", tenant.Id)).ShouldBe(1, "the books are not looked through for ever");

        Task<string[]> Rows(string table) => billing.Strings($"select it::text from billing.{table} it order by 1");
    }

    private TestCatalog? meters;

    private async Task<(TestTenant Tenant, Guid Subscription)> New(string startedAt = "2026-03-01T00:00:00Z")
    {
        billing.Clock.Set(Instant.FromUtc(2026, 3, 10, 12, 0));
        var tenant = await billing.NewTenant();
        meters ??= await billing.NewCatalog();
        return (tenant, await BillingHost.Subscribe(tenant, meters, startedAt));
    }

    private static async Task<JsonElement> Post(TestTenant tenant, Guid subscription, string what, object? body = null)
    {
        var answer = await tenant.Admin.Post($"/v1/subscriptions/{subscription}/{what}", body);
        answer.Status.ShouldBe(200, answer.Text);
        return answer.Json;
    }

    private static async Task<JsonElement> Subscription(TestTenant tenant, Guid subscription) =>
        (await tenant.Viewer.Get($"/v1/subscriptions/{subscription}")).Json;

    /// <summary>The oldest first.</summary>
    private static async Task<List<JsonElement>> Invoices(TestTenant tenant) =>
        [.. (await tenant.Viewer.Get("/v1/invoices")).Json.GetProperty("items").EnumerateArray().Reverse()];

    private static string? Total(JsonElement invoice) => invoice.GetProperty("total").GetProperty("amount").GetString();

    private static (string?, string?, string?)[] Lines(JsonElement invoice) =>
    [
        .. invoice.GetProperty("lines").EnumerateArray().Select(line => (
            line.GetProperty("kind").GetString(), line.GetProperty("quantity").GetString(),
            line.GetProperty("amount").GetProperty("amount").GetString())),
    ];
}
