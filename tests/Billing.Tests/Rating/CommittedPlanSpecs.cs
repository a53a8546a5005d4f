using System.Text.Json;
using NodaTime;
using NodaTime.Text;
using Platform.Billing.Tests.Http;

namespace Platform.Billing.Tests.Rating;

/// <summary>Commitments in a plan, from the catalog to invoices. Moves the clock, so it has a host of its own.</summary>
public sealed class CommittedPlanSpecs(OwnBillingHost billing) : IClassFixture<OwnBillingHost>
{
    // February in Kathmandu: 28 days, which begin at 18:15 UTC.
    private const string Start = "2026-01-31T18:15:00Z";

    // February is over, and not closed yet.
    private const string Reported = "2026-02-28T18:20:00Z";

    [Fact]
    public async Task A_months_unused_commitment_is_on_its_invoice()
    {
        var (tenant, meter, _) = await Subscribed(new { window = "day", unit_amount = "2", committed_quantity = "5", overage_factor = "1.5" });

        // 27 days owe their commitment, and one has 7 units: 5 x 2 + 2 x 2 x 1.5.
        await Use(tenant, meter, "2026-02-10T18:14:00Z", "3");
        await Use(tenant, meter, "2026-02-09T18:15:00Z", "4");
        await billing.RunAt("2026-03-02T00:00:00Z");

        var line = (await Lines(tenant)).ShouldHaveSingleItem();
        Text(line, "quantity").ShouldBe("7");
        Amount(line).ShouldBe("286.00");
        line.GetProperty("breakdown").EnumerateArray()
            .Select(step => (Text(step, "step"), step.GetProperty("windows").GetInt32(), Text(step, "quantity"), Text(step, "amount")))
            .ShouldBe([("committed", 1, "5", "10"), ("overage", 1, "2", "6"), ("true_up", 27, "135", "270")]);
    }

    [Fact]
    public async Task A_window_that_a_slice_cuts_pays_its_commitment_once()
    {
        var (tenant, meter, subscription) = await Subscribed(new { window = "hour", unit_amount = "2", committed_quantity = "5" });

        // Of March, which began at 18:15, six hours are over at 01:00, and the one to 01:15 has used 2 of its 5 units.
        billing.Clock.Set(At("2026-03-01T01:00:00Z"));
        await Use(tenant, meter, "2026-03-01T00:30:00Z", "2");
        await CloseNow(tenant, subscription);
        (await Lines(tenant)).Select(Amount).ShouldBe(["64.00"]);

        // 6 units in that hour owe 12, of which 4 are billed; the next one owes 10, and the one to 03:15 is not over.
        billing.Clock.Set(At("2026-03-01T03:00:00Z"));
        await Use(tenant, meter, "2026-03-01T01:05:00Z", "4");
        await CloseNow(tenant, subscription);
        (await Lines(tenant)).Select(Amount).ShouldBe(["18.00"]);
    }

    [Theory]
    [InlineData("""{"window":"hour","unit_amount":"0.333","committed_quantity":"5","overage_factor":"1.5"}""")]
    [InlineData("""{"window":"day","unit_amount":"0.333","committed_amount":"7.77","overage_factor":"1.5","true_up":"period"}""")]
    [InlineData("""{"window":"hour","committed_quantity":"1.5","overage_factor":"2","bands":[{"from":"08:30","to":"20:00","unit_amount":"0.333"},{"from":"20:00","to":"08:30","unit_amount":"0.111"}]}""")]
    [InlineData("""{"window":"day","unit_amount":"0.333","committed_quantity":"5","true_up":"none","minimum_amount":"500"}""")]
    public async Task Slices_late_usage_and_corrections_sum_to_one_run(string charge)
    {
        var terms = JsonSerializer.Deserialize<Dictionary<string, object>>(charge)!;
        var (sliced, slicedMeter, slicedSubscription) = await Subscribed(terms);
        var (whole, wholeMeter, _) = await Subscribed(terms);
        (string Time, string Units)[] uses =
        [
            ("2026-02-01T02:40:00Z", "3.1"), ("2026-02-01T02:50:00Z", "4.7"), ("2026-02-03T15:00:00Z", "9"), ("2026-02-14T05:20:00Z", "0.9"),
            ("2026-02-14T14:14:00Z", "6.35"), ("2026-02-14T18:15:00Z", "1"), ("2026-02-28T18:14:59Z", "7.77"),
        ];
        foreach (var (time, units) in uses)
            await Use(whole, wholeMeter, time, units);
        await Correct(whole, "2026-02-03T15:00:00Z");

        // Cut within an hour and a day; two uses come late to slices, one after the month, and one is taken back after it.
        billing.Clock.Set(At("2026-02-01T02:45:00Z"));
        await Use(sliced, slicedMeter, uses[0]);
        await CloseNow(sliced, slicedSubscription);
        billing.Clock.Set(At("2026-02-14T14:14:30Z"));
        await Use(sliced, slicedMeter, uses[2]);
        await Use(sliced, slicedMeter, uses[3]);
        await CloseNow(sliced, slicedSubscription);
        billing.Clock.Set(At(Reported));
        await Use(sliced, slicedMeter, uses[1]);
        await Use(sliced, slicedMeter, uses[5]);
        await Use(sliced, slicedMeter, uses[6]);
        await billing.RunAt("2026-03-02T00:00:00Z");
        await Use(sliced, slicedMeter, uses[4]);
        await Correct(sliced, "2026-02-03T15:00:00Z");
        await billing.RunAt("2026-04-02T00:00:00Z");

        Sum(await AllLines(sliced)).ShouldBe(Sum(await AllLines(whole)));

        // What March owes is not compared.
        static decimal Sum(IEnumerable<JsonElement> lines) => lines
            .Where(line => Text(line, "kind") is "usage" or "late_usage" && At(Text(line, "window_end")) <= At("2026-02-28T18:15:00Z"))
            .Sum(line => decimal.Parse(Amount(line), System.Globalization.CultureInfo.InvariantCulture));
    }

    [Fact]
    public async Task A_correction_that_only_moves_use_to_another_window_is_billed()
    {
        var (tenant, meter, _) = await Subscribed(new { window = "hour", unit_amount = "2", committed_quantity = "5", true_up = "none", overage_factor = "1.5" });
        await Use(tenant, meter, "2026-02-10T10:00:00Z", "5");
        await Use(tenant, meter, "2026-02-10T12:00:00Z", "5");
        await billing.RunAt("2026-03-02T00:00:00Z");
        (await Lines(tenant)).Select(Amount).ShouldBe(["20.00"]);

        // The same units, in one hour: five of them are overage.
        await Correct(tenant, "2026-02-10T12:00:00Z");
        await Use(tenant, meter, "2026-02-10T10:05:00Z", "5");
        await billing.RunAt("2026-04-02T00:00:00Z");
        (await Lines(tenant)).Select(line => (Text(line, "kind"), Text(line, "quantity"), Amount(line)))
            .ShouldBe([("usage", "0", "0.00"), ("late_usage", "0", "5.00")]);
    }

    [Fact]
    public async Task A_share_of_what_was_sold_is_billed()
    {
        var (tenant, meter, _) = await Subscribed(new { rate = "0.013", free_amount = "100" }, "percentage");
        await Use(tenant, meter, "2026-02-10T10:00:00Z", "150");
        await Use(tenant, meter, "2026-02-11T10:00:00Z", "150");
        await billing.RunAt("2026-03-02T00:00:00Z");

        (await Lines(tenant)).Select(line => (Text(line, "quantity"), Amount(line))).ShouldBe([("300", "2.60")]);
    }

    [Fact]
    public async Task Windows_need_a_meter_that_adds_up()
    {
        var plan = await Plan(await Meter("max"), new { window = "hour", unit_amount = "2", committed_quantity = "5" }, "windowed_commitment");

        plan.Status.ShouldBe(422, plan.Text);
        plan.Code.ShouldBe("plan.meter_unfit");
        plan.Fields.ShouldBe(["charges[0].meter"]);
    }

    private async Task<(TestTenant Tenant, string Meter, Guid Subscription)> Subscribed(object terms, string model = "windowed_commitment")
    {
        billing.Clock.Set(At(Reported));
        var meter = await Meter("sum");
        var plan = await Plan(meter, terms, model);
        plan.Status.ShouldBe(201, plan.Text);
        var tenant = await billing.NewTenant("Asia/Kathmandu");
        var started = await tenant.Admin.Post(
            "/v1/subscriptions", new { plan_id = plan.Json.GetProperty("plan_id").GetGuid(), started_at = Start });
        started.Status.ShouldBe(201, started.Text);
        return (tenant, meter, started.Json.GetProperty("subscription_id").GetGuid());
    }

    private async Task<string> Meter(string aggregation)
    {
        var key = $"m{Guid.CreateVersion7():n}";
        (await billing.Operator.Post("/v1/meters", new
        {
            key,
            display_name = "GPU hours",
            event_type = $"{key}.used",
            aggregation,
            value_property = "units",
            unit = "unit",
        })).Status.ShouldBe(201);
        return key;
    }

    private Task<Answer> Plan(string meter, object terms, string model)
    {
        var charge = JsonSerializer.SerializeToNode(terms)!.AsObject();
        (charge["model"], charge["meter"], charge["display_name"]) = (model, meter, "GPU hours");
        return billing.Operator.Post("/v1/plans", new
        {
            key = $"p{Guid.CreateVersion7():n}",
            display_name = "Plan",
            recurring_fee = new { amount = "0.00", currency = "EUR" },
            proration = "days",
            charges = new[] { charge },
        });
    }

    private static Task Use(TestTenant tenant, string meter, (string Time, string Units) use) => Use(tenant, meter, use.Time, use.Units);

    private static async Task Use(TestTenant tenant, string meter, string time, string units) =>
        (await tenant.Partner.Post("/v1/usage/events", new { id = time, source = "test", type = $"{meter}.used", time, data = new { units } }))
            .Status.ShouldBe(200);

    private static async Task Correct(TestTenant tenant, string id) =>
        (await tenant.Admin.Post("/v1/usage/corrections", new { kind = "void", source = "test", id, reason = "twice" })).Status.ShouldBe(201);

    private static async Task CloseNow(TestTenant tenant, Guid subscription) =>
        (await tenant.Admin.Post($"/v1/subscriptions/{subscription}/close-period")).Status.ShouldBe(201);

    private static async Task<IReadOnlyList<JsonElement>> Lines(TestTenant tenant) =>
        [.. (await tenant.Viewer.Get("/v1/invoices")).Json.GetProperty("items")[0].GetProperty("lines").EnumerateArray()];

    private static async Task<IReadOnlyList<JsonElement>> AllLines(TestTenant tenant) =>
    [
        .. (await tenant.Viewer.Get("/v1/invoices?limit=100")).Json.GetProperty("items").EnumerateArray()
            .SelectMany(invoice => invoice.GetProperty("lines").EnumerateArray()),
    ];

    private static string Amount(JsonElement line) => line.GetProperty("amount").GetProperty("amount").GetString()!;

    private static string Text(JsonElement json, string field) => json.GetProperty(field).GetString()!;

    private static Instant At(string text) => InstantPattern.ExtendedIso.Parse(text).Value;
}
