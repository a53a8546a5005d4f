using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using NodaTime;
using NodaTime.Text;
using Platform.Billing.Invoices;
using Platform.Billing.Subscriptions;
using Platform.Billing.Tests.Http;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Tests.Subscriptions;

/// <summary>Plans changed and what each of them bills, over months; the clock moves, so this class has a host of its own.</summary>
public sealed class PlanChangeSpecs(OwnBillingHost billing) : IClassFixture<OwnBillingHost>
{
    private static readonly object Graduated = new[]
    {
        new { up_to = (string?)"10", unit_amount = "1" }, new { up_to = (string?)null, unit_amount = "0.5" },
    };

    [Fact]
    public async Task Now_each_plan_bills_its_part_of_the_month_and_its_tiers_begin_at_zero()
    {
        var (tenant, subscription, calls) = await New();
        var tiers = await Plan("62.00", new { model = "graduated", meter = calls, display_name = "Calls", tiers = Graduated });
        await billing.Use(tenant, "1", "2026-03-10T11:59:59.999999Z", calls: 12);
        await billing.Use(tenant, "2", "2026-03-10T12:00:00Z", calls: 12);

        var changed = await Change(tenant, subscription, new { plan_id = tiers, when = "now" });
        changed.GetProperty("plan_id").GetGuid().ShouldBe(tiers);
        changed.GetProperty("plans").GetArrayLength().ShouldBe(2);
        changed.GetProperty("current_period").GetProperty("end").GetString().ShouldBe("2026-04-01T00:00:00Z");
        await billing.RunAt("2026-04-01T00:00:00Z");

        var invoices = await Invoices(tenant);
        Lines(invoices[0]).ShouldBe([("recurring_fee", "9", "9.00"), ("usage", "12", "0.60")]);
        Lines(invoices[1]).ShouldBe([("recurring_fee", "22", "44.00"), ("usage", "12", "11.00")]);
        invoices.Count.ShouldBe(2);
    }

    [Fact]
    public async Task From_a_day_that_is_over_its_use_and_its_fee_are_the_new_plans()
    {
        var (tenant, subscription, calls) = await New();
        await billing.Use(tenant, "before", "2026-03-04T12:00:00Z", calls: 10);
        await billing.Use(tenant, "after", "2026-03-05T12:00:00Z", calls: 10);

        await Change(tenant, subscription, new { plan_id = await Plan("62.00", Call(calls, "1")), effective_at = "2026-03-05T00:00:00Z" });
        await billing.Use(tenant, "late", "2026-03-04T13:00:00Z", calls: 20);
        await billing.RunAt("2026-04-01T00:00:00Z");

        (await Invoices(tenant)).Select(Lines).ShouldBe(
        [
            [("recurring_fee", "4", "4.00"), ("usage", "10", "0.50")],
            [("recurring_fee", "27", "54.00"), ("usage", "10", "10.00"), ("late_usage", "20", "1.00")],
        ]);
    }

    [Fact]
    public async Task At_the_periods_end_the_next_period_is_on_the_new_plan()
    {
        var (tenant, subscription, calls) = await New();
        var dear = await Plan("62.00", Call(calls, "1"));
        var scheduled = await Change(tenant, subscription, new { plan_id = dear, when = "period_end" });
        scheduled.GetProperty("plan_id").GetGuid().ShouldNotBe(dear);
        scheduled.GetProperty("next_plan").GetProperty("effective_at").GetString().ShouldBe("2026-04-01T00:00:00Z");
        await billing.Use(tenant, "1", "2026-03-31T23:00:00Z", calls: 2, now: "2026-04-01T00:01:00Z");
        await billing.Use(tenant, "2", "2026-04-01T00:00:00Z", calls: 2);

        await billing.RunAt("2026-05-01T00:00:00Z");

        (await Invoices(tenant)).Select(Total).ShouldBe(["31.10", "64.00"]);
    }

    [Fact]
    public async Task A_change_to_come_is_taken_back_by_choosing_the_plan_that_runs()
    {
        var (tenant, subscription, calls) = await New();
        var running = (await Subscription(tenant, subscription)).GetProperty("plan_id").GetGuid();
        await Change(tenant, subscription, new { plan_id = await Plan("62.00", Call(calls, "1")), when = "period_end" });

        (await Change(tenant, subscription, new { plan_id = running, when = "period_end" })).GetProperty("next_plan").ValueKind
            .ShouldBe(JsonValueKind.Null);

        await billing.RunAt("2026-05-01T00:00:00Z");
        (await Invoices(tenant)).Select(Total).ShouldBe(["31.00", "31.00"]);
    }

    [Fact]
    public async Task Two_changes_on_one_day_bill_no_day_and_no_use_twice()
    {
        var (tenant, subscription, calls) = await New();
        var (dear, cheap) = (await Plan("9999.00", Call(calls, "1")), await Plan("15.50", Call(calls, "0.1")));
        await billing.Use(tenant, "1", "2026-03-10T11:00:00Z", calls: 1);
        await billing.Use(tenant, "2", "2026-03-10T13:00:00Z", calls: 1, now: "2026-03-10T13:00:00Z");
        await billing.Use(tenant, "3", "2026-03-10T18:00:00Z", calls: 1, now: "2026-03-10T18:00:00Z");
        billing.Clock.Set(Instant.FromUtc(2026, 3, 10, 12, 0));
        await Change(tenant, subscription, new { plan_id = dear, when = "now" });
        billing.Clock.Set(Instant.FromUtc(2026, 3, 10, 17, 0));
        await Change(tenant, subscription, new { plan_id = cheap, when = "now" });

        await billing.RunAt("2026-04-01T00:00:00Z");

        // The day belongs to the last plan of it: 9 days at 1.00, 22 at 0.50.
        (await Invoices(tenant)).Select(Lines).ShouldBe(
        [
            [("recurring_fee", "9", "9.00"), ("usage", "1", "0.05")],
            [("recurring_fee", "0", "0.00"), ("usage", "1", "1.00")],
            [("recurring_fee", "22", "11.00"), ("usage", "1", "0.10")],
        ]);
    }

    [Fact]
    public async Task Late_usage_of_a_plans_time_is_billed_by_that_plan_where_its_tiers_stood()
    {
        var (tenant, subscription, calls) = await New();
        await billing.Use(tenant, "on the plan before", "2026-03-05T00:00:00Z", calls: 6);
        var tiers = await Plan("0.00", new { model = "graduated", meter = calls, display_name = "Calls", tiers = Graduated });
        await Change(tenant, subscription, new { plan_id = tiers, when = "now" });
        billing.Clock.Set(Instant.FromUtc(2026, 3, 15, 12, 0));
        await billing.Use(tenant, "in time", "2026-03-12T00:00:00Z", calls: 9);
        var without = await Plan("0.00", new { model = "per_unit", meter = meters!.Gpu, display_name = "GPU", unit_price = "1" });
        await Change(tenant, subscription, new { plan_id = without, when = "now" });
        await billing.Use(tenant, "late", "2026-03-13T00:00:00Z", calls: 3);
        await billing.Use(tenant, "of the first plan", "2026-03-09T00:00:00Z", calls: 20);
        await billing.Use(tenant, "nobody's", "2026-03-15T12:00:00Z", calls: 500);

        await billing.RunAt("2026-04-01T00:00:00Z");

        // 9 calls owe 9.00 and 12 owe 11.00; the newest plan counts no calls, its GPU time is none.
        var last = (await Invoices(tenant))[^1];
        Lines(last).ShouldBe([("usage", "0", "0.00"), ("late_usage", "3", "2.00"), ("late_usage", "20", "1.00")]);
        last.GetProperty("lines")[1].GetProperty("plan_id").GetGuid().ShouldBe(tiers);
        last.GetProperty("lines")[0].GetProperty("plan_id").GetGuid().ShouldBe(without);
        last.GetProperty("usage_tree").GetProperty("size").GetInt32().ShouldBe(2);
        (await Proof("late")).ShouldBe(200);
        (await Proof("nobody%27s")).ShouldBe(404);
        await billing.RunAt("2026-06-01T00:00:00Z");
        (await Invoices(tenant)).Skip(4).SelectMany(Lines).ShouldAllBe(line => line.Kind == "usage", "once");

        async Task<int> Proof(string id) => (await tenant.Viewer.Get(
            $"/v1/invoices/{last.GetProperty("invoice_id").GetGuid()}/usage-proof?source=test&event_id={id}")).Status;
    }

    [Fact]
    public async Task What_is_cancelled_may_still_change_for_the_rest_of_its_last_period()
    {
        var (tenant, subscription, calls) = await New();
        (await tenant.Admin.Post($"/v1/subscriptions/{subscription}/cancel", new { when = "period_end" })).Status.ShouldBe(200);

        await Change(tenant, subscription, new { plan_id = await Plan("62.00", Call(calls, "1")), when = "now" });
        await billing.RunAt("2026-06-01T00:00:00Z");

        (await Invoices(tenant)).Select(Total).ShouldBe(["9.00", "44.00"]);
        (await Subscription(tenant, subscription)).GetProperty("ended_at").GetString().ShouldBe("2026-04-01T00:00:00Z");
    }

    [Theory]
    [InlineData("change", "9.00 44.00")]
    [InlineData("cancel", "9.00")]
    public async Task What_a_crash_left_after_the_request_the_recurring_close_does(string what, string totals)
    {
        var (tenant, subscription, calls) = await New();
        var dear = new PlanId(await Plan("62.00", Call(calls, "1")));
        var now = billing.Clock.Now;
        var stream = Billing.Subscriptions.Subscription.Stream(tenant.Id, new(subscription));

        // Only the request is recorded, as when the process ends right after it.
        await billing.Services.GetRequiredService<EventStore.EventStore>().Transact(
            tenant.Id.Value,
            Cause.Unknown,
            (transaction, cancellation) => transaction.Append(
                stream, expectedVersion: 1, cancellation,
                what == "change"
                    ? new PlanChangeScheduled(dear, PlanVersion: 1, History.Monthly, History.TheFee, now, now)
                    : new CancellationScheduled(now, now)),
            BillingHost.Cancellation);
        await billing.RunAt("2026-04-01T00:00:00Z");

        (await Invoices(tenant)).Select(Total).ShouldBe(totals.Split(' '));
    }

    [Fact]
    public async Task A_minimum_is_due_where_its_plan_ends()
    {
        var (tenant, subscription, calls) = await New();
        var committed = await Plan(
            "0.00", new { model = "per_unit", meter = calls, display_name = "Calls", unit_price = "1", minimum_amount = "20" });
        await Change(tenant, subscription, new { plan_id = committed, when = "now" });
        await billing.Use(tenant, "1", "2026-03-11T00:00:00Z", calls: 5, now: "2026-03-12T12:00:00Z");
        (await tenant.Admin.Post($"/v1/subscriptions/{subscription}/close-period")).Status.ShouldBe(201);
        await billing.Use(tenant, "2", "2026-03-13T00:00:00Z", calls: 6, now: "2026-03-14T12:00:00Z");

        await Change(tenant, subscription, new { plan_id = await Plan("0.00", Call(calls, "2")), when = "now" });
        await billing.Use(tenant, "3", "2026-03-11T01:00:00Z", calls: 10);
        await billing.RunAt("2026-04-01T00:00:00Z");

        // 5 calls, then 11 of them against the minimum of 20, then 21.
        (await Invoices(tenant)).Skip(1).Select(Total).ShouldBe(["5.00", "15.00", "1.00"]);
    }

    [Fact]
    public async Task A_change_that_makes_no_sense_names_its_field()
    {
        var (tenant, subscription, calls) = await New();
        var dollars = (await billing.NewCatalog("USD")).PlanId;
        var dear = await Plan("62.00", Call(calls, "1"));

        await Refused(new { plan_id = dollars, when = "now" }, 422, "subscription.currency_differs", "plan_id");
        await Refused(new { plan_id = Guid.CreateVersion7(), when = "now" }, 422, "subscription.plan_unknown", "plan_id");
        await Refused(new { plan_id = dear, version = 7, when = "now" }, 422, "subscription.plan_version_unknown", "version");
        await Refused(new { plan_id = dear }, 400, "request.invalid", "when");
        await Refused(new { when = "now" }, 400, "request.invalid", "plan_id");
        await Refused(new { plan_id = dear, when = "now", effective_at = "2026-03-05T00:00:00Z" }, 400, "request.invalid", "when");
        await Refused(new { plan_id = dear, effective_at = "2026-03-01T00:00:00Z" }, 422, "subscription.not_in_period", "effective_at");
        await Refused(new { plan_id = dear, effective_at = "2026-03-10T12:00:01Z" }, 422, "subscription.not_in_period", "effective_at");
        (await tenant.Admin.Post($"/v1/subscriptions/{Guid.CreateVersion7()}/change-plan", new { plan_id = dear, when = "now" }))
            .Status.ShouldBe(404);
        (await Invoices(tenant)).ShouldBeEmpty();

        async Task Refused(object body, int status, string code, string field)
        {
            var answer = await tenant.Admin.Post($"/v1/subscriptions/{subscription}/change-plan", body);
            (answer.Status, answer.Code).ShouldBe((status, code), answer.Text);
            answer.Fields.ShouldBe([field]);
        }
    }

    [Fact]
    public async Task No_meter_is_billed_by_two_subscriptions_also_where_one_is_to_change()
    {
        var (tenant, subscription, _) = await New();
        var other = await billing.NewCatalog();
        await Change(tenant, subscription, new { plan_id = other.PlanId, when = "period_end" });
        (await tenant.Admin.Post("/v1/subscriptions", new { plan_id = other.PlanId })).Code.ShouldBe("subscription.meter_already_billed");

        await Change(tenant, subscription, new { plan_id = meters!.PlanId, when = "now" });
        (await tenant.Admin.Post("/v1/subscriptions", new { plan_id = other.PlanId })).Status.ShouldBe(201);
        (await tenant.Admin.Post($"/v1/subscriptions/{subscription}/change-plan", new { plan_id = other.PlanId, when = "now" })).Code
            .ShouldBe("subscription.meter_already_billed");
    }

    [Fact]
    public async Task Changes_at_once_follow_one_another_without_a_gap()
    {
        var (tenant, subscription, calls) = await New();
        var plans = new List<Guid>();
        for (var i = 0; i < 6; i++)
            plans.Add(await Plan($"{i + 1}.00", Call(calls, "1")));

        var answers = await Task.WhenAll(plans.Select(plan => tenant.Admin.Post(
            $"/v1/subscriptions/{subscription}/change-plan", new { plan_id = plan, when = "now" })));

        answers.ShouldAllBe(answer =>
            answer.Status == 200 || answer.Code == "subscription.period_empty" || answer.Code == "subscription.period_ended");
        answers.Count(answer => answer.Status == 200).ShouldBe(1, "the clock stands");
        (await Invoices(tenant)).Select(Total).ShouldBe(["9.00"]);
        var kept = (await Subscription(tenant, subscription)).GetProperty("plan_id").GetGuid();
        plans.ShouldContain(kept);
    }

    [Fact]
    public async Task Whatever_the_order_of_use_changes_and_the_end_each_use_is_billed_once_by_the_plan_of_its_time()
    {
        var seed = System.Security.Cryptography.RandomNumberGenerator.GetInt32(int.MaxValue);
        TestContext.Current.TestOutputHelper?.WriteLine($"seed {seed}");
        var random = new Random(seed);
        for (var round = 0; round < 4; round++)
        {
            var (tenant, subscription, calls) = await New();
            Guid[] plans =
            [
                await Plan("10.00", Call(calls, "1")), await Plan("7.00", Call(calls, "2")),
                await Plan("5.00", new { model = "per_unit", meter = meters!.Gpu, display_name = "GPU", unit_price = "1" }),
            ];
            decimal?[] prices = [1m, 2m, null];
            var start = Instant.FromUtc(2026, 3, 1, 0, 0);
            var spans = new List<(Instant From, decimal? Price)> { (start, 0.05m) };
            var used = new List<(Instant Time, int Calls)>();
            for (var step = 0; step < 25; step++)
            {
                billing.Clock.Set(billing.Clock.Now + Duration.FromHours(random.Next(1, 60)));
                switch (random.Next(5))
                {
                    case 0:
                        var to = random.Next(3);
                        await Change(tenant, subscription, new { plan_id = plans[to], when = "now" });
                        spans.Add((billing.Clock.Now, prices[to]));
                        break;
                    case 1:
                        await tenant.Admin.Post($"/v1/subscriptions/{subscription}/close-period");
                        break;
                    default:
                        var span = (int)(billing.Clock.Now - start).TotalSeconds;
                        used.Add((start + Duration.FromSeconds(random.Next(span)), random.Next(1, 50)));
                        await billing.Use(tenant, $"{step}", InstantPattern.ExtendedIso.Format(used[^1].Time), used[^1].Calls);
                        break;
                }
            }

            billing.Clock.Set(billing.Clock.Now + Duration.FromHours(1));
            (await tenant.Admin.Post($"/v1/subscriptions/{subscription}/cancel", new { when = "now" })).Status.ShouldBe(200);
            used.Add((start + Duration.FromHours(3), 7));
            await billing.Use(tenant, "after the last invoice", "2026-03-01T03:00:00Z", calls: 7);
            await billing.RunAt(InstantPattern.ExtendedIso.Format(billing.Clock.Now + Duration.FromDays(32)));

            var owed = used.Sum(it => it.Calls * (spans.Last(span => span.From <= it.Time).Price ?? 0));
            (await Invoices(tenant)).SelectMany(Lines).Where(line => line.Kind is "usage" or "late_usage")
                .Sum(line => decimal.Parse(line.Amount!, System.Globalization.CultureInfo.InvariantCulture)).ShouldBe(owed);
        }
    }

    [Fact]
    public async Task Views_rebuilt_after_changes_of_plan_are_the_same()
    {
        var (tenant, subscription, calls) = await New();
        await Change(tenant, subscription, new { plan_id = await Plan("62.00", Call(calls, "1")), when = "now" });
        billing.Clock.Set(Instant.FromUtc(2026, 3, 12, 12, 0));
        await Change(tenant, subscription, new { plan_id = meters!.PlanId, when = "period_end" });
        var rebuild = billing.Services.GetRequiredService<Rebuild>();

        foreach (var projection in new[] { "subscriptions", "billing_periods" })
        {
            var live = await Rows(projection);
            await rebuild.Run(projection, BillingHost.Cancellation);
            (await Rows(projection)).ShouldBe(live, projection);
        }

        Task<string[]> Rows(string table) => billing.Strings($"select it::text from billing.{table} it order by 1");
    }

    private TestCatalog? meters;

    /// <summary>A subscription from the first of March, noon of the tenth, 1.00 a day and 0.05 a call.</summary>
    private async Task<(TestTenant Tenant, Guid Subscription, string Calls)> New()
    {
        billing.Clock.Set(Instant.FromUtc(2026, 3, 10, 12, 0));
        var tenant = await billing.NewTenant();
        meters ??= await billing.NewCatalog();
        var first = await Plan("31.00", Call(meters.Calls, "0.05"));
        return (tenant, await BillingHost.Subscribe(tenant, meters with { PlanId = first }), meters.Calls);
    }

    private static object Call(string meter, string price) =>
        new { model = "per_unit", meter, display_name = "Calls", unit_price = price };

    private async Task<Guid> Plan(string fee, object charge)
    {
        var plan = await billing.Operator.Post("/v1/plans", new
        {
            key = $"p{Guid.CreateVersion7():n}",
            display_name = "Plan",
            recurring_fee = new { amount = fee, currency = "EUR" },
            proration = "days",
            charges = new[] { charge },
        });
        plan.Status.ShouldBe(201, plan.Text);
        return plan.Json.GetProperty("plan_id").GetGuid();
    }

    private static async Task<JsonElement> Change(TestTenant tenant, Guid subscription, object body)
    {
        var answer = await tenant.Admin.Post($"/v1/subscriptions/{subscription}/change-plan", body);
        answer.Status.ShouldBe(200, answer.Text);
        return answer.Json;
    }

    private static async Task<JsonElement> Subscription(TestTenant tenant, Guid subscription) =>
        (await tenant.Viewer.Get($"/v1/subscriptions/{subscription}")).Json;

    /// <summary>The oldest first.</summary>
    private static async Task<List<JsonElement>> Invoices(TestTenant tenant) =>
        [.. (await tenant.Viewer.Get("/v1/invoices?limit=200")).Json.GetProperty("items").EnumerateArray().Reverse()];

    private static string? Total(JsonElement invoice) => invoice.GetProperty("total").GetProperty("amount").GetString();

    private static (string? Kind, string? Quantity, string? Amount)[] Lines(JsonElement invoice) =>
    [
        .. invoice.GetProperty("lines").EnumerateArray().Select(line => (
            line.GetProperty("kind").GetString(), line.GetProperty("quantity").GetString(),
            line.GetProperty("amount").GetProperty("amount").GetString())),
    ];
}
