using System.Text.Json;
using FsCheck;
using FsCheck.Fluent;
using NodaTime;
using NodaTime.Text;
using Platform.Billing.Tests.Http;
using static Platform.Billing.Tests.Usage.MeterHistory;
using static Platform.Billing.Tests.Usage.UsageCorrectionSpecs;

namespace Platform.Billing.Tests.Usage;

/// <summary>What invoices bill of meters that do more than sum; the clock moves, so this class has a host of its own.</summary>
public sealed class MeteredPeriodSpecs(OwnBillingHost billing) : IClassFixture<OwnBillingHost>
{
    private static readonly Instant Start = Instant.FromUtc(2026, 3, 10, 12, 0);

    [Fact]
    public async Task A_slice_bills_what_the_peak_grew_by_and_late_usage_what_it_changed_by()
    {
        var (tenant, subscription, type, meters) = await New("max");
        await Send(tenant, type, "1", Start - Duration.FromHours(1), "5");
        Lines(await Close(tenant, subscription), meters[0]).ShouldBe(["usage 5"]);

        // The same month by the calendar: a lower peak adds nothing, a late higher one is a line of its own.
        await Send(tenant, type, "2", Start + Duration.FromHours(1), "4");
        await Send(tenant, type, "3", Start - Duration.FromHours(2), "7");
        Lines(await Close(tenant, subscription), meters[0]).ShouldBe(["usage 0", "late_usage 2"]);

        await Correct(tenant.Admin, "void", "3");
        await Send(tenant, type, "4", Start + Duration.FromHours(30), "6");
        Lines(await Close(tenant, subscription), meters[0]).ShouldBe(["usage 1", "late_usage -2"]);
    }

    [Fact]
    public async Task A_level_that_was_learned_late_is_billed_in_every_period_that_it_held_in()
    {
        var (tenant, subscription, type, meters) = await New("weighted_sum");
        (await Close(tenant, subscription)).GetProperty("lines").GetArrayLength().ShouldBe(1);
        billing.Clock.Set(Instant.FromUtc(2026, 4, 2, 0, 0));
        await Close(tenant, subscription);      // March's rest by the calendar, and the first day of April

        await Send(tenant, type, "1", Instant.FromUtc(2026, 3, 31, 0, 0), "10");
        var late = await Close(tenant, subscription);

        Lines(late, meters[0]).ShouldBe(["usage 240", "late_usage 240", "late_usage 240"], ignoreOrder: true);
    }

    [Fact]
    public async Task A_plan_bills_by_the_version_of_the_meter_that_it_was_published_with()
    {
        var (tenant, subscription, type, meters) = await New("sum");
        var meter = (await billing.Operator.Get("/v1/meters?limit=200")).Json.GetProperty("items").EnumerateArray()
            .Single(it => it.GetProperty("key").GetString() == meters[0]);
        var published = await billing.Operator.Post(
            $"/v1/meters/{meter.GetProperty("meter_id")}/versions",
            new { display_name = "Peak", aggregation = "max", unit = "peak", value_property = "value" });
        published.Status.ShouldBe(201, published.Text);
        await Send(tenant, type, "1", Start - Duration.FromHours(1), "5");
        await Send(tenant, type, "2", Start - Duration.FromHours(1), "7");

        Lines(await Close(tenant, subscription), meters[0]).ShouldBe(["usage 12"]);

        var plan = await Plan(meters);
        var second = await NewTenant(plan);
        await Send(second.Tenant, type, "1", Start - Duration.FromHours(1), "5");
        await Send(second.Tenant, type, "2", Start - Duration.FromHours(1), "7");
        billing.Clock.Set(Start);
        Lines(await Close(second.Tenant, second.Subscription), meters[0]).ShouldBe(["usage 7"]);
    }

    [Fact]
    public async Task A_plan_names_a_version_that_the_meter_has()
    {
        var meter = await Define(billing, await NewType(billing), "count");

        var answer = await billing.Operator.Post("/v1/plans", PlanOf([(object)new
        {
            model = "per_unit",
            meter,
            meter_version = 2,
            display_name = "M",
            unit_price = "1",
        }]));

        answer.Status.ShouldBe(422, answer.Text);
        answer.Fields.ShouldBe(["charges[0].meter_version"]);
    }

    /// <param name="Kind">0 sends, 1 voids, 2 amends, 3 closes.</param>
    /// <param name="Id">Few, so that they meet.</param>
    /// <param name="Days">How long ago the usage was.</param>
    public sealed record Step(int Kind, int Id, string Value, int Days);

    [Fact]
    public void All_invoices_together_bill_of_each_month_what_one_run_over_it_measures()
    {
        var step =
            from kind in Gen.Frequency((10, Gen.Constant(0)), (2, Gen.Constant(1)), (3, Gen.Constant(2)), (3, Gen.Constant(3)))
            from id in Gen.Choose(1, 12)
            from value in Gen.Elements("0", "1", "2.5", "7", "13")
            from days in Gen.Elements(0, 0, 1, 20, 45, 70, 90)
            select new Step(kind, id, value, days);
        var seed = (ulong)System.Security.Cryptography.RandomNumberGenerator.GetInt32(int.MaxValue);
        TestContext.Current.TestOutputHelper?.WriteLine($"FsCheck seed ({seed},1)");

        Check.One(
            Config.QuickThrowOnFailure.WithMaxTest(8).WithReplay(new Replay(new Rnd(seed, 1), null)),
            Prop.ForAll(step.ListOf(35).ToArbitrary(), steps => Run([.. steps]).GetAwaiter().GetResult()));
    }

    private async Task Run(IReadOnlyList<Step> steps)
    {
        var begin = Start - Duration.FromDays(80);
        var (tenant, subscription, type, meters) = await New(begin, Aggregations);
        var counted = new Dictionary<int, CountedEvent?>();
        foreach (var (order, step) in steps.Index())
        {
            var known = counted.TryGetValue(step.Id, out var kept);
            if (step.Kind == 0 && !known)
            {
                var time = billing.Clock.Now - Duration.FromDays(step.Days);
                await Send(tenant, type, $"{step.Id}", time, step.Value);
                counted[step.Id] = new(time, order, step.Value, Region: null, Model: null);
            }
            else if (step.Kind == 1 && kept is not null)
            {
                await Correct(tenant.Admin, "void", $"{step.Id}");
                counted[step.Id] = null;
            }
            else if (step.Kind == 2 && kept is not null)
            {
                await Correct(tenant.Admin, "amend", $"{step.Id}", new { value = step.Value });
                counted[step.Id] = kept with { Value = step.Value };
            }
            else if (step.Kind == 3)
            {
                await Close(tenant, subscription);
            }
        }

        billing.Clock.Set(billing.Clock.Now + Duration.FromDays(1));
        await Close(tenant, subscription);
        var lines = (await tenant.Viewer.Get("/v1/invoices?limit=200")).Json.GetProperty("items").EnumerateArray()
            .SelectMany(invoice => invoice.GetProperty("lines").EnumerateArray())
            .Where(line => line.GetProperty("meter").ValueKind == JsonValueKind.String).ToList();
        var end = lines.Max(line => At(line, "window_end"));
        CountedEvent[] events = [.. counted.Values.OfType<CountedEvent>()];
        foreach (var (aggregation, meter) in Aggregations.Zip(meters))
        {
            for (var month = begin.InUtc().Date.With(DateAdjusters.StartOfMonth); ; month = month.PlusMonths(1))
            {
                var (from, to) = (Utc(month), Utc(month.PlusMonths(1)));
                if (from >= end)
                    break;
                lines.Where(line => line.GetProperty("meter").GetString() == meter && At(line, "window_start") >= from && At(line, "window_start") < to)
                    .Sum(line => Number(line, "quantity"))
                    .ShouldBe(
                        CountedEvent.Aggregate(aggregation, events, Instant.Max(from, begin), Instant.Min(to, end), Instant.MaxValue),
                        $"{aggregation} in {month}");
            }
        }

        static Instant Utc(LocalDate date) => date.AtMidnight().InUtc().ToInstant();
    }

    private Task<(TestTenant Tenant, Guid Subscription, string Type, string[] Meters)> New(string aggregation) =>
        New(Start - Duration.FromDays(1), aggregation);

    private async Task<(TestTenant Tenant, Guid Subscription, string Type, string[] Meters)> New(Instant begin, params string[] aggregations)
    {
        billing.Clock.Set(Start);
        var type = await NewType(billing);
        var meters = new List<string>();
        foreach (var aggregation in aggregations)
            meters.Add(await Define(billing, type, aggregation));

        var (tenant, subscription) = await NewTenant(await Plan([.. meters]), begin);
        return (tenant, subscription, type, [.. meters]);
    }

    private async Task<(TestTenant Tenant, Guid Subscription)> NewTenant(Guid plan, Instant? begin = null)
    {
        var tenant = await billing.NewTenant();
        var started = await tenant.Admin.Post(
            "/v1/subscriptions",
            new { plan_id = plan, started_at = InstantPattern.ExtendedIso.Format(begin ?? Start - Duration.FromDays(1)) });
        started.Status.ShouldBe(201, started.Text);
        return (tenant, started.Json.GetProperty("subscription_id").GetGuid());
    }

    private async Task<Guid> Plan(string[] meters)
    {
        var plan = await billing.Operator.Post("/v1/plans", PlanOf(
            [.. meters.Select(meter => (object)new { model = "per_unit", meter, display_name = meter, unit_price = "1" })]));
        plan.Status.ShouldBe(201, plan.Text);
        return plan.Json.GetProperty("plan_id").GetGuid();
    }

    private static object PlanOf(object[] charges) => new
    {
        key = $"p{Guid.CreateVersion7():n}",
        display_name = "Plan",
        recurring_fee = new { amount = "0.00", currency = "EUR" },
        proration = "days",
        charges,
    };

    private static async Task Send(TestTenant tenant, string type, string id, Instant time, string value) =>
        (await tenant.Partner.Post("/v1/usage/events", Event(type, id, time, ("value", value)))).Status.ShouldBe(200);

    /// <summary>Closes the running period now, and all before it; a day later the next one can be closed.</summary>
    private async Task<JsonElement> Close(TestTenant tenant, Guid subscription)
    {
        var closed = await tenant.Admin.Post($"/v1/subscriptions/{subscription}/close-period");
        closed.Status.ShouldBe(201, closed.Text);
        billing.Clock.Set(billing.Clock.Now + Duration.FromDays(1));
        return closed.Json;
    }

    private static string[] Lines(JsonElement invoice, string meter) =>
    [
        .. invoice.GetProperty("lines").EnumerateArray().Where(line => line.GetProperty("meter").GetString() == meter)
            .Select(line => $"{line.GetProperty("kind").GetString()} {line.GetProperty("quantity").GetString()}"),
    ];
}
