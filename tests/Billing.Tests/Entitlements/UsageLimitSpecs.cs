using System.Collections.Concurrent;
using System.Text.Json;
using MassTransit;
using Microsoft.Extensions.DependencyInjection;
using NodaTime;
using NodaTime.Text;
using Platform.Billing.Entitlements;
using Platform.Billing.Recurring;
using Platform.Billing.Tests.Http;
using Platform.Billing.Tests.Subscriptions;
using Platform.EventStore;
using Messages = Platform.Contracts.Messages;

namespace Platform.Billing.Tests.Entitlements;

/// <summary>Limits on what a meter measures in a billing period. Moves the clock, so it has a host of its own.</summary>
public sealed class UsageLimitSpecs(OwnBillingHost billing) : IClassFixture<OwnBillingHost>
{
    [Fact]
    public async Task A_hard_limit_is_told_when_it_is_reached_and_when_it_no_longer_is()
    {
        await using var listening = await Listen();
        var tenant = await Subscribed(Limit("100"));
        await billing.Use(tenant, "1", "2026-03-05T00:00:00Z", calls: 60, now: "2026-03-05T01:00:00Z");
        (await Shown(tenant)).ShouldBe("used 60, remaining 40, reached False, 2026-03-01T00:00:00Z..2026-04-01T00:00:00Z");
        (await VersionAfterRunAt(tenant, "2026-03-05T01:05:00Z")).ShouldBe(1);

        await billing.Use(tenant, "2", "2026-03-05T01:00:00Z", calls: 40);
        (await VersionAfterRunAt(tenant, "2026-03-05T01:10:00Z")).ShouldBe(2);
        (await VersionAfterRunAt(tenant, "2026-03-05T01:15:00Z")).ShouldBe(2, "nothing is new");
        (await Shown(tenant)).ShouldBe("used 100, remaining 0, reached True, 2026-03-01T00:00:00Z..2026-04-01T00:00:00Z");

        var voided = await tenant.Admin.Post(
            "/v1/usage/corrections", new { kind = "void", source = "test", id = "1", reason = "Reported by mistake." });
        voided.Status.ShouldBe(201, voided.Text);
        (await VersionAfterRunAt(tenant, "2026-03-05T01:20:00Z")).ShouldBe(3);
        await billing.Use(tenant, "3", "2026-03-05T01:20:00Z", calls: 61);
        (await VersionAfterRunAt(tenant, "2026-03-05T01:25:00Z")).ShouldBe(4);

        (await VersionAfterRunAt(tenant, "2026-04-01T00:00:00Z")).ShouldBe(5, "another period");
        (await Shown(tenant)).ShouldBe("used 0, remaining 100, reached False, 2026-04-01T00:00:00Z..2026-05-01T00:00:00Z");
        await listening.Heard(tenant, "1 room", "2 reached", "3 room", "4 reached", "5 room");
    }

    [Fact]
    public async Task Another_plan_with_a_higher_limit_lets_go_at_once()
    {
        var tenant = await Subscribed(Limit("100"));
        await billing.Use(tenant, "1", "2026-03-05T00:00:00Z", calls: 150, now: "2026-03-05T01:00:00Z");
        (await VersionAfterRunAt(tenant, "2026-03-05T01:05:00Z")).ShouldBe(2);

        var changed = await tenant.Admin.Post(
            $"/v1/subscriptions/{subscription}/change-plan", new { plan_id = await Plan(Limit("200")), when = "now" });

        changed.Status.ShouldBe(200, changed.Text);
        (await Told(tenant)).ShouldBe("3: usage<=200");
        (await Shown(tenant)).ShouldBe("used 150, remaining 50, reached False, 2026-03-01T00:00:00Z..2026-04-01T00:00:00Z");
    }

    [Fact]
    public async Task A_period_that_is_invoiced_early_goes_on_for_the_limit_and_one_in_its_grace_is_over()
    {
        var tenant = await Subscribed(Limit("100"));
        var graced = await billing.Operator.Post(
            $"/v1/tenants/{tenant.Id}/billing-settings", new { grace_days = 3, payment_terms_days = 14, collection = "manual" });
        graced.Status.ShouldBe(200, graced.Text);
        await billing.Use(tenant, "1", "2026-03-05T00:00:00Z", calls: 100, now: "2026-03-05T01:00:00Z");
        (await tenant.Admin.Post($"/v1/subscriptions/{subscription}/close-period")).Status.ShouldBe(201);
        (await VersionAfterRunAt(tenant, "2026-03-05T01:05:00Z")).ShouldBe(2);
        (await Shown(tenant)).ShouldBe("used 100, remaining 0, reached True, 2026-03-01T00:00:00Z..2026-04-01T00:00:00Z");

        (await VersionAfterRunAt(tenant, "2026-04-01T00:00:00Z")).ShouldBe(3);

        (await billing.Count("invoices", tenant.Id)).ShouldBe(1, "the rest of March is in its grace");
        (await Shown(tenant)).ShouldBe("used 0, remaining 100, reached False, 2026-04-01T00:00:00Z..2026-05-01T00:00:00Z");
    }

    [Fact]
    public async Task A_soft_limit_is_shown_and_told_to_nobody()
    {
        var tenant = await Subscribed(Limit("100", mode: "soft"));
        await billing.Use(tenant, "1", "2026-03-05T00:00:00Z", calls: 150, now: "2026-03-05T01:00:00Z");

        (await VersionAfterRunAt(tenant, "2026-03-05T02:00:00Z")).ShouldBe(1);

        (await Shown(tenant)).ShouldBe("used 150, remaining 0, reached True, 2026-03-01T00:00:00Z..2026-04-01T00:00:00Z");
        (await billing.Count("entitlement_looks", tenant.Id)).ShouldBe(0);
    }

    [Theory]
    [InlineData("usage")]
    [InlineData("jobs.concurrent")]
    public async Task A_limit_per_unit_grows_with_the_quantity_at_its_time(string limit)
    {
        var tenant = await Subscribed(Limit("100", limit: limit, perUnit: true), quantity: 2);
        (await Told(tenant)).ShouldBe($"1: {limit}<=200");
        await tenant.Change(subscription, "change-quantity", new { quantity = 3, when = "now" });
        (await Told(tenant)).ShouldBe($"2: {limit}<=300");

        await tenant.Change(subscription, "change-quantity", new { quantity = 5, when = "period_end" });
        (await Told(tenant)).ShouldBe($"2: {limit}<=300");
        await billing.RunAt("2026-04-01T00:00:00Z");

        (await Told(tenant)).ShouldBe($"3: {limit}<=500");
        (await billing.Count("entitlement_looks", tenant.Id)).ShouldBe(limit == "usage" ? 1 : 0, "jobs are counted by the Scheduler");
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Whatever_is_used_and_voided_what_is_told_is_what_a_sum_over_the_period_says(int seed)
    {
        var (random, now) = (new Random(seed), At("2026-03-01T12:00:00Z"));
        var tenant = await Subscribed(Limit("100"));
        var used = new List<(string Id, Instant Time, int Calls)>();

        for (var step = 0; step < 20; step++)
        {
            now += random.Next(8) == 0 ? Duration.FromDays(random.Next(5, 31)) : Duration.FromHours(random.Next(1, 48));
            billing.Clock.Set(now);
            if (used.Count > 0 && random.Next(3) == 0)
            {
                var voided = used[random.Next(used.Count)];
                used.Remove(voided);
                var answer = await tenant.Admin.Post(
                    "/v1/usage/corrections", new { kind = "void", source = "test", id = voided.Id, reason = "Reported by mistake." });
                answer.Status.ShouldBe(201, answer.Text);
            }
            else
            {
                // Some of it late, maybe of a period that is over.
                var time = now - Duration.FromHours(random.Next(4) == 0 ? random.Next(400) : 0);
                used.Add(($"{step}", time, random.Next(60)));
                await billing.Use(tenant, $"{step}", InstantPattern.ExtendedIso.Format(time), used[^1].Calls);
            }

            await billing.RunAt(InstantPattern.ExtendedIso.Format(now));

            var month = now.InUtc().Date.ToYearMonth();
            var sum = used.Where(it => it.Time >= At("2026-03-01T00:00:00Z") && it.Time.InUtc().Date.ToYearMonth() == month).Sum(it => it.Calls);
            (await Told(tenant)).ShouldEndWith(sum >= 100 ? "usage<=100 reached" : "usage<=100", customMessage: $"step {step}, used {sum}");
        }
    }

    [Fact]
    public async Task Who_used_nothing_since_the_last_look_is_not_looked_at_before_the_period_ends()
    {
        var tenant = await Subscribed(Limit("100"));
        (await IsDue("2026-03-31T23:59:59Z")).ShouldBeFalse();
        (await IsDue("2026-04-01T00:00:00Z")).ShouldBeTrue("another period");

        await billing.Use(tenant, "1", "2026-03-05T00:00:00Z", calls: 1, now: "2026-03-05T01:00:00Z");
        (await IsDue("2026-03-05T01:01:00Z")).ShouldBeTrue("used");
        await billing.RunAt("2026-03-05T01:01:00Z");
        (await IsDue("2026-03-31T23:59:59Z")).ShouldBeFalse();

        var voided = await tenant.Admin.Post(
            "/v1/usage/corrections", new { kind = "void", source = "test", id = "1", reason = "Reported by mistake." });
        voided.Status.ShouldBe(201, voided.Text);
        (await IsDue("2026-03-05T01:02:00Z")).ShouldBeTrue("corrected");

        async Task<bool> IsDue(string at) => (await Work.Due(At(at), after: null, limit: 1000, BillingHost.Cancellation))
            .Any(due => due.TenantId == tenant.Id);
    }

    [Fact]
    public async Task Many_runners_tell_it_once()
    {
        var tenant = await Subscribed(Limit("100"));
        await billing.Use(tenant, "1", "2026-03-05T00:00:00Z", calls: 100, now: "2026-03-05T01:00:00Z");

        var changed = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ =>
            Work.Do(tenant.Id, billing.Clock.Now, Cause.Unknown, BillingHost.Cancellation)));

        changed.Sum().ShouldBe(1);
        (await Told(tenant)).ShouldBe("2: usage<=100 reached");
    }

    [Fact]
    public async Task A_message_that_comes_late_does_not_bring_a_period_back()
    {
        var tenant = await Subscribed(Limit("100"));
        await billing.Use(tenant, "1", "2026-03-05T00:00:00Z", calls: 100, now: "2026-03-05T01:00:00Z");
        await billing.RunAt("2026-04-01T00:00:00Z");

        await Work.Do(tenant.Id, At("2026-03-31T23:59:00Z"), Cause.Unknown, BillingHost.Cancellation);

        (await Told(tenant)).ShouldEndWith("usage<=100");
    }

    [Fact]
    public async Task A_sandboxs_clock_stops_where_use_came_to_the_limit_and_where_the_next_period_begins()
    {
        var tenant = await Subscribed(Limit("100"), sandboxAt: "2026-03-01T00:00:00Z");
        await Advance("2026-03-05T10:00:00Z");
        await billing.Use(tenant, "1", "2026-03-05T10:00:00Z", calls: 100);

        var done = await Advance("2026-06-01T00:00:00Z");

        done.Where(it => it.Work == "review_entitlements").ShouldBe(
            [("2026-03-05T10:00:00Z", "review_entitlements"), ("2026-04-01T00:00:00Z", "review_entitlements")]);
        (await Told(tenant)).ShouldBe("3: usage<=100");

        async Task<(string? At, string? Work)[]> Advance(string to)
        {
            var answer = await tenant.Admin.Post($"/v1/test-clocks/{tenant.Id}/advance", new { to });
            answer.Status.ShouldBe(200, answer.Text);
            return
            [
                .. answer.Json.GetProperty("done").EnumerateArray()
                    .Select(it => (it.GetProperty("at").GetString(), it.GetProperty("work").GetString())),
            ];
        }
    }

    [Theory]
    [InlineData("nobodys", "plan.meter_unknown")]
    [InlineData("largest", "plan.meter_unfit")]
    public async Task A_limit_needs_a_meter_that_adds_up(string meter, string code)
    {
        if (meter == "largest")
        {
            meter = $"t{Guid.CreateVersion7():n}";
            var defined = await billing.Operator.Post("/v1/meters", new
            {
                key = meter,
                display_name = "Largest",
                event_type = meter,
                aggregation = "max",
                value_property = "value",
                unit = "unit",
            });
            defined.Status.ShouldBe(201, defined.Text);
        }

        var answer = await billing.Operator.Post("/v1/plans", Body([new { limit = "usage", meter, max = "1", mode = "hard" }]));

        answer.Status.ShouldBe(422, answer.Text);
        answer.Code.ShouldBe(code);
        answer.Fields.ShouldBe(["entitlements.limits[0].meter"]);
    }

    private TestCatalog catalog = null!;
    private Guid subscription;

    private ReviewEntitlements Work => billing.Services.GetServices<IDueWork>().OfType<ReviewEntitlements>().Single();

    private Func<object> Limit(string max, string mode = "hard", string limit = "usage", bool perUnit = false) =>
        () => new { limit, meter = limit == "usage" ? catalog.Calls : null, max, mode, per_unit = perUnit };

    private async Task<TestTenant> Subscribed(Func<object> limit, int quantity = 1, string? sandboxAt = null)
    {
        billing.Clock.Set(At("2026-03-01T12:00:00Z"));
        catalog = await billing.NewCatalog();
        var tenant = await billing.NewTenant(sandboxAt: sandboxAt);
        subscription = await tenant.Start(new { plan_id = await Plan(limit), started_at = "2026-03-01T00:00:00Z", quantity });
        return tenant;
    }

    private async Task<Guid> Plan(Func<object> limit)
    {
        var plan = await billing.Operator.Post("/v1/plans", Body([limit()]));
        plan.Status.ShouldBe(201, plan.Text);
        return plan.Json.GetProperty("plan_id").GetGuid();
    }

    private static object Body(object[] limits) => new
    {
        key = $"p{Guid.CreateVersion7():n}",
        display_name = "Plan",
        recurring_fee = new { amount = "31.00", currency = "EUR" },
        proration = "days",
        charges = Array.Empty<object>(),
        entitlements = new { limits },
    };

    private async Task<int> VersionAfterRunAt(TestTenant tenant, string now)
    {
        await billing.RunAt(now);
        return (await tenant.Viewer.Get("/v1/entitlements")).Json.GetProperty("version").GetInt32();
    }

    // What was stored for others, not what is worked out when somebody asks.
    private async Task<string> Told(TestTenant tenant)
    {
        var record = (await EntitlementsRecord.Find(billing.Services.GetRequiredService<Documents>(), tenant.Id, BillingHost.Cancellation))!;
        return $"{record.Version}: {string.Join(' ', record.Grants.Limits.Select(it => $"{it.Limit}<={it.Max}{(it.Reached ? " reached" : "")}"))}";
    }

    private static async Task<string> Shown(TestTenant tenant)
    {
        var answer = await tenant.Viewer.Get("/v1/entitlements");
        answer.Status.ShouldBe(200, answer.Text);
        var limit = answer.Json.GetProperty("limits").EnumerateArray().ShouldHaveSingleItem();
        var period = limit.GetProperty("period");
        return $"used {limit.GetProperty("used")}, remaining {limit.GetProperty("remaining")}, reached {limit.GetProperty("reached")}, "
            + $"{period.GetProperty("start")}..{period.GetProperty("end")}";
    }

    private async Task<Listening> Listen()
    {
        var heard = new ConcurrentQueue<Messages.EntitlementsChanged>();
        var endpoint = billing.Services.GetRequiredService<IBusControl>().ConnectReceiveEndpoint(
            $"limited-{Guid.CreateVersion7():n}",
            endpoint => endpoint.Handler<Messages.EntitlementsChanged>(it =>
            {
                heard.Enqueue(it.Message);
                return Task.CompletedTask;
            }));
        await endpoint.Ready;
        return new(endpoint, heard);
    }

    private sealed record Listening(HostReceiveEndpointHandle Endpoint, ConcurrentQueue<Messages.EntitlementsChanged> Messages) : IAsyncDisposable
    {
        public async Task Heard(TestTenant tenant, params string[] expected)
        {
            await BillingHost.Eventually(() => Task.FromResult(Versions().Count() == expected.Length), $"{expected.Length} messages");
            Versions().ShouldBe(expected);

            IEnumerable<string> Versions() => Messages.Where(it => it.TenantId == tenant.Id).DistinctBy(it => it.Version)
                .OrderBy(it => it.Version).Select(it => $"{it.Version} {(it.Limits.Single().Reached ? "reached" : "room")}");
        }

        public async ValueTask DisposeAsync() => await Endpoint.StopAsync(BillingHost.Cancellation);
    }

    private static Instant At(string text) => InstantPattern.ExtendedIso.Parse(text).Value;
}
