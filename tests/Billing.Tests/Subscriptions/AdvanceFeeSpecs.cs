using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using NodaTime;
using Platform.Billing.Rating;
using Platform.Billing.Tests.Http;
using Platform.EventStore;

namespace Platform.Billing.Tests.Subscriptions;

/// <summary>Fees that are owed when their period begins, and trials before them; the clock moves, so this class has a host of its own.</summary>
public sealed class AdvanceFeeSpecs(OwnBillingHost billing) : IClassFixture<OwnBillingHost>
{
    private static readonly object InAdvance = new { fee_timing = "in_advance" };

    [Fact]
    public async Task The_first_fee_is_invoiced_at_the_start_and_each_close_bills_usage_and_the_next_fee()
    {
        var (tenant, subscription) = await New(InAdvance);
        (await tenant.Invoices())[0].Lines().ShouldBe(["Plan | 03-01..04-01 | 1 | 31.00"]);
        var view = await tenant.Subscription(subscription);
        view.GetProperty("current_period").GetProperty("number").GetInt32().ShouldBe(1);
        view.GetProperty("prepaid").GetProperty("window").GetProperty("end").GetString().ShouldBe("2026-04-01T00:00:00Z");
        await billing.Use(tenant, "1", "2026-03-05T00:00:00Z", calls: 10);

        await billing.RunAt("2026-05-01T00:00:00Z");

        (await tenant.Invoices()).Skip(1).Select(Billed.Lines).ShouldBe(
        [
            ["Calls | 03-01..04-01 | 10 | 0.50", "Plan | 04-01..05-01 | 1 | 31.00"],
            ["Calls | 04-01..05-01 | 0 | 0.00", "Plan | 05-01..06-01 | 1 | 31.00"],
        ]);
    }

    [Fact]
    public async Task A_start_sent_again_is_invoiced_once_and_one_within_a_period_owes_its_part()
    {
        billing.Clock.Set(Instant.FromUtc(2026, 3, 10, 12, 0));
        var tenant = await billing.NewTenant();
        var (plan, key) = (await billing.NewPlan("31.00", InAdvance), Guid.CreateVersion7().ToString());

        var first = await tenant.Admin.Post("/v1/subscriptions", new { plan_id = plan }, key);
        var again = await tenant.Admin.Post("/v1/subscriptions", new { plan_id = plan }, key);

        first.Status.ShouldBe(201, first.Text);
        again.Text.ShouldBe(first.Text);
        (await tenant.Invoices()).ShouldHaveSingleItem().Lines().ShouldBe(["Plan, 22 of 31 days | 03-10..04-01 | 22 | 22.00"]);
    }

    [Fact]
    public async Task A_start_whose_invoice_a_crash_prevented_is_invoiced_by_the_recurring_close()
    {
        billing.Clock.Set(Instant.FromUtc(2026, 3, 10, 12, 0));
        var (tenant, now) = (await billing.NewTenant(), billing.Clock.Now);
        var started = History.Started() with
        {
            TenantId = tenant.Id,
            PlanId = new(await billing.NewPlan("31.00", InAdvance)),
            Cycle = History.Monthly with { FeeTiming = FeeTiming.InAdvance },
            StartedAt = now,
            PeriodEnd = now,
        };

        // Only the start is recorded, as when the process ends right after it.
        await billing.Services.GetRequiredService<EventStore.EventStore>().Transact(
            tenant.Id.Value,
            Cause.Unknown,
            (transaction, cancellation) => transaction.Append(
                Billing.Subscriptions.Subscription.Stream(tenant.Id, started.SubscriptionId), expectedVersion: 0, cancellation, started),
            BillingHost.Cancellation);
        await billing.RunAt("2026-03-10T12:01:00Z");

        (await tenant.Invoices()).ShouldHaveSingleItem().Lines().ShouldBe(["Plan, 22 of 31 days | 03-10..04-01 | 22 | 22.00"]);
    }

    [Theory]
    // terms of the other plan of 62.00 -> lines of the invoice of the change, lines about the fee at the month's end
    [InlineData("in_advance", "Plan, unused, 22 of 31 days | 03-10..04-01 | -22 | -22.00", "Plan, 22 of 31 days | 03-10..04-01 | 22 | 44.00", "Plan | 04-01..05-01 | 1 | 62.00")]
    [InlineData("in_arrears", "Plan, unused, 22 of 31 days | 03-10..04-01 | -22 | -22.00", null, "Plan, 22 of 31 days | 03-10..04-01 | 22 | 44.00")]
    public async Task A_plan_that_changes_now_gives_back_what_was_prepaid_and_the_other_is_owed_by_its_own_timing(
        string timing, string unused, string? owed, string atMonthsEnd)
    {
        var (tenant, subscription) = await New(InAdvance);

        await tenant.Change(
            subscription, "change-plan", new { plan_id = await billing.NewPlan("62.00", new { fee_timing = timing }), when = "now" });
        await billing.RunAt("2026-04-01T00:00:00Z");

        var invoices = await tenant.Invoices();
        FeeLines(invoices[1]).ShouldBe(owed is null ? [unused] : [unused, owed]);
        FeeLines(invoices[2]).ShouldBe([atMonthsEnd]);
        invoices.Sum(invoice => decimal.Parse(
                invoice.GetProperty("subtotal").GetProperty("amount").GetString()!, System.Globalization.CultureInfo.InvariantCulture))
            .ShouldBe(timing == "in_advance" ? 31 - 22 + 44 + 62 : 31 - 22 + 44);
    }

    [Fact]
    public async Task From_arrears_to_advance_at_the_periods_end_both_fees_meet_on_one_invoice()
    {
        var (tenant, subscription) = await New(new { });
        await tenant.Change(subscription, "change-plan", new { plan_id = await billing.NewPlan("62.00", InAdvance), when = "period_end" });

        await billing.RunAt("2026-04-01T00:00:00Z");

        FeeLines((await tenant.Invoices()).ShouldHaveSingleItem())
            .ShouldBe(["Plan | 03-01..04-01 | 1 | 31.00", "Plan | 04-01..05-01 | 1 | 62.00"]);
    }

    [Theory]
    // request -> lines about the fee of the last invoice
    [InlineData("""{"when":"now"}""", "Plan, unused, 22 of 31 days | 03-10..04-01 | -22 | -22.00")]
    [InlineData("""{"when":"now","refund":"prorated"}""", "Plan, unused, 22 of 31 days | 03-10..04-01 | -22 | -22.00")]
    [InlineData("""{"when":"now","refund":"none"}""")]
    [InlineData("""{"when":"period_end"}""")]
    public async Task A_cancellation_gives_back_what_was_prepaid_unless_it_is_not_to(string request, params string[] lines)
    {
        var (tenant, subscription) = await New(InAdvance);

        (await tenant.Admin.Post($"/v1/subscriptions/{subscription}/cancel", request)).Status.ShouldBe(200);
        await billing.RunAt("2026-06-01T00:00:00Z");

        var invoices = await tenant.Invoices();
        invoices.Count.ShouldBe(2);
        FeeLines(invoices[1]).ShouldBe(lines);
    }

    [Fact]
    public async Task A_period_that_is_closed_early_was_paid_for_to_its_end()
    {
        var (tenant, subscription) = await New(InAdvance);
        (await tenant.Admin.Post($"/v1/subscriptions/{subscription}/close-period")).Status.ShouldBe(201);

        await billing.RunAt("2026-04-01T00:00:00Z");

        (await tenant.Invoices()).Skip(1).Select(FeeLines).ShouldBe([[], ["Plan | 04-01..05-01 | 1 | 31.00"]]);
    }

    [Fact]
    public async Task Quantities_and_pauses_are_settled_with_the_period_against_what_was_prepaid()
    {
        var (tenant, subscription) = await New(InAdvance);
        await tenant.Change(subscription, "change-quantity", new { quantity = 3, when = "now" });
        billing.Clock.Set(Instant.FromUtc(2026, 3, 20, 12, 0));
        await tenant.Change(subscription, "pause", new { when = "now" });
        billing.Clock.Set(Instant.FromUtc(2026, 3, 30, 12, 0));
        await tenant.Change(subscription, "resume");

        await billing.RunAt("2026-04-01T00:00:00Z");

        FeeLines((await tenant.Invoices())[1]).ShouldBe(
        [
            "Plan, quantity 3 instead of 1, 10 of 31 days | 03-10..03-20 | 20 | 20.00",
            "Plan, paused, 10 of 31 days | 03-20..03-30 | -10 | -10.00",
            "Plan, quantity 3 instead of 1, 2 of 31 days | 03-30..04-01 | 4 | 4.00",
            "Plan, quantity 3 | 04-01..05-01 | 3 | 93.00",
        ]);
    }

    [Fact]
    public async Task Late_usage_of_the_first_period_is_billed_as_ever()
    {
        var (tenant, _) = await New(InAdvance);
        await billing.Use(tenant, "in time", "2026-03-05T00:00:00Z", calls: 10);
        await billing.RunAt("2026-04-01T00:00:00Z");
        await billing.Use(tenant, "late", "2026-03-06T00:00:00Z", calls: 20, now: "2026-04-02T00:00:00Z");

        await billing.RunAt("2026-05-01T00:00:00Z");

        (await tenant.Invoices())[2].Lines().ShouldBe(
        [
            "Calls | 04-01..05-01 | 0 | 0.00", "Calls, reported late | 03-01..04-01 | 20 | 1.00", "Plan | 05-01..06-01 | 1 | 31.00",
        ]);
    }

    [Fact]
    public async Task Every_invoice_of_a_life_with_all_of_it_is_previewed_and_made_again_byte_for_byte()
    {
        var (tenant, subscription) = await New(new { trial_days = 3, fee_timing = "in_advance" }, new { quantity = 2 });
        await billing.Use(tenant, "1", "2026-03-02T00:00:00Z", calls: 10);
        await billing.RunAt("2026-03-10T12:00:00Z");
        await tenant.Change(subscription, "change-quantity", new { quantity = 5, effective_at = "2026-03-07T00:00:00Z" });
        await tenant.Change(subscription, "pause", new { when = "now" });
        await billing.Use(tenant, "2", "2026-03-10T00:00:00Z", calls: 10, now: "2026-03-15T12:00:00Z");
        await tenant.Change(subscription, "resume");
        (await tenant.Viewer.Post("/v1/invoices/preview", new { })).Json.Lines().ShouldBe(
        [
            "Plan, quantity 5 instead of 2, 3 of 31 days | 03-07..03-10 | 9 | 9.00",
            "Plan, paused, 5 of 31 days | 03-10..03-15 | -10 | -10.00",
            "Plan, quantity 5 instead of 2, 17 of 31 days | 03-15..04-01 | 51 | 51.00",
            "Calls | 03-04..04-01 | 10 | 0.50",
            "Plan, quantity 5 | 04-01..05-01 | 5 | 155.00",
        ]);
        await tenant.Change(
            subscription, "change-plan", new { plan_id = await billing.NewPlan("365.00", new { interval = "year" }), effective_at = "2026-03-14T00:00:00Z" });
        await billing.Use(tenant, "late", "2026-03-03T00:00:00Z", calls: 10);
        billing.Clock.Set(Instant.FromUtc(2026, 6, 10, 12, 0));
        await tenant.Change(subscription, "cancel", new { when = "now" });

        var invoices = await tenant.Invoices();
        invoices.Count.ShouldBe(3, "the trial, the first plan and the year");
        foreach (var invoice in invoices)
        {
            var replayed = await tenant.Viewer.Get($"/v1/invoices/{invoice.GetProperty("invoice_id").GetGuid()}/replay");
            replayed.Json.GetProperty("identical").GetBoolean().ShouldBeTrue(replayed.Text);
        }
    }

    [Fact]
    public async Task A_trial_owes_neither_fee_nor_usage_and_the_first_paid_period_follows_it()
    {
        var (tenant, subscription) = await New(new { trial_days = 14 });
        (await tenant.Subscription(subscription)).GetProperty("trial_end").GetString().ShouldBe("2026-03-15T00:00:00Z");
        await billing.Use(tenant, "1", "2026-03-05T00:00:00Z", calls: 10);
        await billing.RunAt("2026-03-16T00:00:00Z");
        await billing.Use(tenant, "2", "2026-03-15T00:00:00Z", calls: 4);
        await billing.Use(tenant, "late", "2026-03-06T00:00:00Z", calls: 5);

        await billing.RunAt("2026-04-01T00:00:00Z");

        (await tenant.Invoices()).Select(Billed.Lines).ShouldBe(
        [
            ["Plan, free trial | 03-01..03-15 | 1 | 0.00", "Calls, free trial | 03-01..03-15 | 10 | 0.00"],
            [
                "Plan, 17 of 31 days | 03-15..04-01 | 17 | 17.00", "Calls | 03-15..04-01 | 4 | 0.20",
                "Calls, free trial, reported late | 03-01..03-15 | 5 | 0.00",
            ],
        ]);
    }

    [Theory]
    // terms of the plan, start -> lines about the fee until the middle of April
    [InlineData("in_advance", "anniversary", "Plan, free trial | 03-01..03-15 | 1 | 0.00", "Plan | 03-15..04-15 | 1 | 31.00", "Plan | 04-15..05-15 | 1 | 31.00")]
    [InlineData("in_advance", "calendar", "Plan, free trial | 03-01..03-15 | 1 | 0.00", "Plan, 17 of 31 days | 03-15..04-01 | 17 | 17.00", "Plan | 04-01..05-01 | 1 | 31.00")]
    [InlineData("in_arrears", "anniversary", "Plan, free trial | 03-01..03-15 | 1 | 0.00", "Plan | 03-15..04-15 | 1 | 31.00")]
    public async Task After_the_trial_the_fee_is_owed_by_timing_and_anchor(string timing, string anchor, params string[] lines)
    {
        var (tenant, _) = await New(new { trial_days = 14, fee_timing = timing }, new { anchor });

        await billing.RunAt("2026-04-15T00:00:00Z");

        (await tenant.Invoices()).SelectMany(FeeLines).ShouldBe(lines);
    }

    [Fact]
    public async Task A_plan_changed_within_the_trial_is_on_trial_to_the_same_end()
    {
        var (tenant, subscription) = await New(new { trial_days = 30 }, new { trial_end = "2026-03-20T12:00:00Z" });
        await tenant.Change(subscription, "change-plan", new { plan_id = await billing.NewPlan("62.00", InAdvance), when = "now" });

        await billing.RunAt("2026-03-21T00:00:00Z");

        (await tenant.Invoices()).SelectMany(FeeLines).ShouldBe(
        [
            "Plan, free trial | 03-01..03-10 | 1 | 0.00", "Plan, free trial | 03-10..03-20 | 1 | 0.00",
            "Plan, 12 of 31 days | 03-20..04-01 | 12 | 24.00",
        ]);
    }

    [Fact]
    public async Task What_is_cancelled_in_the_trial_owes_nothing()
    {
        var (tenant, subscription) = await New(new { trial_days = 14, fee_timing = "in_advance" });
        var cancelled = await tenant.Change(subscription, "cancel", new { when = "period_end" });
        cancelled.GetProperty("ends_at").GetString().ShouldBe("2026-03-15T00:00:00Z");

        await billing.RunAt("2026-06-01T00:00:00Z");

        (await tenant.Invoices()).Select(Billed.Total).ShouldBe(["0.00"]);
    }

    [Theory]
    [InlineData("/v1/subscriptions", """{"plan_id":"$plan","trial_end":"2029-01-01T00:00:00Z"}""", 422, "subscription.trial_too_long", "trial_end")]
    [InlineData("/v1/subscriptions", """{"plan_id":"$plan","quantity":0}""", 400, "request.invalid", "quantity")]
    [InlineData("/v1/plans", """{"key":"k","display_name":"P","recurring_fee":{"amount":"1.00","currency":"EUR"},"proration":"days","charges":[],"trial_days":731}""", 400, "request.invalid", "trial_days")]
    [InlineData("/v1/plans", """{"key":"k","display_name":"P","recurring_fee":{"amount":"1.00","currency":"EUR"},"proration":"days","charges":[],"fee_timing":"sometime"}""", 400, "request.invalid", "fee_timing")]
    [InlineData("/v1/plans", """{"key":"k","display_name":"P","recurring_fee":{"amount":"1000000000.00","currency":"EUR"},"proration":"days","charges":[]}""", 400, "request.invalid", "recurring_fee.amount")]
    public async Task What_makes_no_sense_names_its_field(string path, string body, int status, string code, string field)
    {
        billing.Clock.Set(Instant.FromUtc(2026, 3, 10, 12, 0));
        var caller = path == "/v1/plans" ? billing.Operator : (await billing.NewTenant()).Admin;

        var answer = await caller.Post(path, body.Replace("$plan", $"{await billing.NewPlan("1.00")}", StringComparison.Ordinal));

        (answer.Status, answer.Code).ShouldBe((status, code), answer.Text);
        answer.Fields.ShouldBe([field]);
    }

    [Fact]
    public async Task Views_rebuilt_after_all_of_it_are_the_same()
    {
        var (tenant, subscription) = await New(new { trial_days = 14, fee_timing = "in_advance" }, new { quantity = 2 });
        await billing.RunAt("2026-03-16T00:00:00Z");
        await tenant.Change(subscription, "change-quantity", new { quantity = 5, when = "period_end" });
        await tenant.Change(subscription, "pause", new { when = "now" });
        await billing.RunAt("2026-04-02T00:00:00Z");
        await tenant.Change(subscription, "resume");
        var (other, _) = await New(InAdvance);
        await billing.RunAt("2026-05-01T00:00:00Z");
        var rebuild = billing.Services.GetRequiredService<Rebuild>();

        foreach (var projection in new[] { "subscriptions", "billing_periods" })
        {
            var live = await Rows(projection);
            await rebuild.Run(projection, BillingHost.Cancellation);
            (await Rows(projection)).ShouldBe(live, projection);
        }

        (await billing.Count("billing_periods", other.Id)).ShouldBe(4, "the start, March, April and May");

        Task<string[]> Rows(string table) => billing.Strings($"select it::text from billing.{table} it order by 1");
    }

    private TestCatalog? meters;

    /// <summary>A subscription of 31.00 and 0.05 a call from the first of March, at noon of the tenth.</summary>
    private async Task<(TestTenant Tenant, Guid Subscription)> New(object terms, object? start = null)
    {
        billing.Clock.Set(Instant.FromUtc(2026, 3, 10, 12, 0));
        var tenant = await billing.NewTenant();
        meters ??= await billing.NewCatalog();
        var body = JsonSerializer.SerializeToNode(start ?? new { })!.AsObject();
        body["plan_id"] = await billing.NewPlan(
            "31.00", terms, new { model = "per_unit", meter = meters.Calls, display_name = "Calls", unit_price = "0.05" });
        body["started_at"] = "2026-03-01T00:00:00Z";
        return (tenant, await tenant.Start(body.ToJsonString()));
    }

    private static string[] FeeLines(JsonElement invoice) =>
        [.. invoice.Lines().Where(line => line.StartsWith("Plan", StringComparison.Ordinal))];
}
