using System.Globalization;
using System.Text.Json;
using NodaTime;
using NodaTime.Text;
using Platform.Billing.Tests.Http;

namespace Platform.Billing.Tests.Rating;

/// <summary>Charges that read single events, from the catalog to invoices. Moves the clock, so it has a host of its own.</summary>
public sealed class EventPricePlanSpecs(OwnBillingHost billing) : IClassFixture<OwnBillingHost>
{
    private const string Share =
        """{"model":"percentage","rate":"0.01","fixed_amount":"0.5","free_events":2,"per_event_minimum":"1","per_event_maximum":"5"}""";

    private const string Brought = """{"model":"dynamic","amount_property":"price","multiplier_property":"segments"}""";
    private const string Multiplied = """{"model":"dynamic","unit_amount":"0.333","multiplier_property":"segments"}""";

    [Fact]
    public async Task A_share_with_a_fixed_amount_free_events_and_bounds_goes_on_with_what_comes_late_and_what_is_voided()
    {
        var (tenant, meter, _) = await Subscribed(Share);

        // The smallest two, 10 and 20, are free; 30 owes 0.80 and so 1.00, 2 x 100 owe 1.50 each, 900 owes 9.50 and so 5.00.
        foreach (var (id, amount) in new[] { ("1", "100"), ("2", "10"), ("3", "900"), ("4", "30"), ("5", "100"), ("6", "20"), ("7", "0") })
            await Use(tenant, meter, id, "2026-02-10T10:00:00Z", ("units", amount));
        await billing.RunAt("2026-03-02T00:00:00Z");

        var line = (await Lines(tenant)).ShouldHaveSingleItem();
        (Text(line, "quantity"), Amount(line)).ShouldBe(("1160", "9.00"));
        Steps(line).ShouldBe(["free 2 of 30 = 0", "event 2 of 200 = 3", "event_minimum 1 of 30 = 1", "event_maximum 1 of 900 = 5"]);
        (await Focus(tenant)).ShouldContain(",Standard,");

        // Another small one takes an allowance, so that 20 is to be paid too.
        await Use(tenant, meter, "8", "2026-02-11T10:00:00Z", ("units", "15"));
        await billing.RunAt("2026-04-02T00:00:00Z");
        line = (await Lines(tenant)).Single(it => Text(it, "kind") == "late_usage");
        (Text(line, "quantity"), Amount(line)).ShouldBe(("15", "1.00"));
        Steps(line).ShouldBe(
        [
            "free 2 of 25 = 0", "event 2 of 200 = 3", "event_minimum 2 of 50 = 2", "event_maximum 1 of 900 = 5", "already_billed  of 1160 = -9",
        ]);

        // Without the largest one 5.00 are given back.
        await Correct(tenant, "void", "3");
        await billing.RunAt("2026-05-02T00:00:00Z");
        (await Lines(tenant)).Where(it => Text(it, "kind") == "late_usage").Select(it => (Text(it, "quantity"), Amount(it)))
            .ShouldBe([("-900", "-5.00")]);
        await EveryInvoiceReplays(tenant);
    }

    [Fact]
    public async Task Events_bring_their_prices_and_what_brings_none_is_listed()
    {
        var (tenant, meter, _) = await Subscribed(Brought);
        await Use(tenant, meter, "1", "2026-02-10T10:00:00Z", ("units", "1"), ("price", "2.50"), ("segments", "3"));
        await Use(tenant, meter, "2", "2026-02-10T11:00:00Z", ("units", "1"), ("price", "2.5"));
        await Use(tenant, meter, "3", "2026-02-10T12:00:00Z", ("units", "1"), ("price", "0.105"), ("segments", "1"));
        await Use(tenant, meter, "4", "2026-02-10T13:00:00Z", ("units", "1"), ("segments", "3"));
        await Use(tenant, meter, "5", "2026-02-10T14:00:00Z", ("units", "1"), ("price", "9"), ("segments", "three"));
        await Use(tenant, meter, "6", "2026-02-10T15:00:00Z", ("units", "1"), ("price", "-9"));
        await Use(tenant, meter, "7", "2026-02-10T16:00:00Z", ("units", "1"), ("price", "0"));
        var preview = (await tenant.Viewer.Post("/v1/invoices/preview", new { })).Json.GetProperty("lines")[0];
        await billing.RunAt("2026-03-02T00:00:00Z");

        var line = (await Lines(tenant)).ShouldHaveSingleItem();
        (Text(line, "quantity"), Amount(line)).ShouldBe(("7", "10.11"));
        line.GetProperty("unit_amount").ValueKind.ShouldBe(JsonValueKind.Null);
        Steps(line).ShouldBe(["event 2 of 4 at 2.5 = 10", "event 1 of 1 at 0.105 = 0.105", "unpriced 3 = 0"]);
        JsonElement.DeepEquals(preview, line).ShouldBeTrue(preview.ToString());

        var invoice = Text((await tenant.Viewer.Get("/v1/invoices")).Json.GetProperty("items")[0], "invoice_id");
        var explained = (await tenant.Viewer.Get($"/v1/invoices/{invoice}/explain")).Json.GetProperty("lines")[0];
        Text(explained.GetProperty("price").GetProperty("charge"), "amount_property").ShouldBe("price");
        explained.GetProperty("calculation").GetArrayLength().ShouldBe(3);
        (await tenant.Viewer.Get(Text(explained.GetProperty("usage"), "events_url"))).Json.GetProperty("items").GetArrayLength().ShouldBe(7);
        (await Focus(tenant)).ShouldContain("\n0.11,");
        await EveryInvoiceReplays(tenant);
    }

    [Fact]
    public async Task A_line_of_very_many_prices_is_short_and_exact()
    {
        const int count = 5_000;
        var (tenant, meter, _) = await Subscribed(Brought);
        var reported = await tenant.Partner.Post("/v1/usage/events", Enumerable.Range(1, count).Select(number => new
        {
            id = $"{number}",
            source = "test",
            type = $"{meter}.used",
            time = "2026-02-10T10:00:00Z",
            data = new { units = "1", price = (number / 1000m).ToString(CultureInfo.InvariantCulture) },
        }).ToArray());
        reported.Json.GetProperty("accepted").GetInt32().ShouldBe(count, reported.Text);
        await billing.RunAt("2026-03-02T00:00:00Z");

        // 5000 x 5001 / 2 thousandths; the 50 dearest come to 248.775 of them.
        var line = (await Lines(tenant)).ShouldHaveSingleItem();
        (Text(line, "quantity"), Amount(line)).ShouldBe(("5000", "12502.50"));
        var steps = Steps(line);
        (steps[0], steps[^1], steps.Length).ShouldBe(
            ("event 1 of 1 at 5 = 5", "other_events 4950 of 4950 = 12253.725", 51));
    }

    [Fact]
    public async Task A_meter_that_counts_and_its_filters_decide_which_events_multiply_a_unit_amount()
    {
        var meter = await Meter("count", filters: [new { kind = "equals", property = "region", value = "eu" }]);
        var (tenant, _, _) = await Subscribed("""{"model":"dynamic","unit_amount":"0.2","multiplier_property":"weight"}""", meter: meter);
        await Use(tenant, meter, "1", "2026-02-10T10:00:00Z", ("region", "eu"), ("weight", "1.5"));
        await Use(tenant, meter, "2", "2026-02-10T11:00:00Z", ("region", "eu"), ("weight", "4"));
        await Use(tenant, meter, "3", "2026-02-10T12:00:00Z", ("region", "us"), ("weight", "1000"));
        await billing.RunAt("2026-03-02T00:00:00Z");

        var line = (await Lines(tenant)).ShouldHaveSingleItem();
        (Text(line, "quantity"), Amount(line)).ShouldBe(("2", "1.10"));
        Steps(line).ShouldBe(["event 2 of 5.5 at 0.2 = 1.1"]);
        (await Focus(tenant)).ShouldContain(",Dynamic,");
    }

    [Theory]
    [InlineData(Share)]
    [InlineData("""{"model":"percentage","rate":"0.0123","fixed_amount":"0.05","free_events":3,"free_amount":"12","minimum_amount":"3"}""")]
    [InlineData(Brought)]
    [InlineData(Multiplied)]
    public async Task Slices_late_usage_and_corrections_sum_to_one_run(string charge)
    {
        var (sliced, slicedMeter, subscription) = await Subscribed(charge);
        var (whole, wholeMeter, _) = await Subscribed(charge);
        (string Time, string Units, string Price)[] uses =
        [
            ("2026-02-01T02:40:00Z", "3.1", "1.005"), ("2026-02-01T02:50:00Z", "470", "0.7"), ("2026-02-03T15:00:00Z", "9", "1.005"),
            ("2026-02-14T05:20:00Z", "0.9", "7"), ("2026-02-14T14:14:00Z", "63.5", "0.001"), ("2026-02-14T18:15:00Z", "1", "2"),
            ("2026-02-27T18:14:59Z", "777", "0.333"),
        ];
        foreach (var use in uses)
            await Report(whole, wholeMeter, use);
        await Correct(whole, "void", uses[2].Time);
        await Correct(whole, "amend", uses[0].Time, new { units = "31", price = "1.5", segments = "2" });

        // Two uses come late to slices, one after the month; one is taken back after it, and one becomes another.
        billing.Clock.Set(At("2026-02-01T02:45:00Z"));
        await Report(sliced, slicedMeter, uses[0]);
        await CloseNow(sliced, subscription);
        billing.Clock.Set(At("2026-02-14T14:14:30Z"));
        await Report(sliced, slicedMeter, uses[2]);
        await Report(sliced, slicedMeter, uses[3]);
        await CloseNow(sliced, subscription);
        billing.Clock.Set(At("2026-02-28T18:20:00Z"));
        await Report(sliced, slicedMeter, uses[1]);
        await Report(sliced, slicedMeter, uses[5]);
        await Report(sliced, slicedMeter, uses[6]);
        await billing.RunAt("2026-03-02T00:00:00Z");
        await Report(sliced, slicedMeter, uses[4]);
        await Correct(sliced, "void", uses[2].Time);
        await Correct(sliced, "amend", uses[0].Time, new { units = "31", price = "1.5", segments = "2" });
        await billing.RunAt("2026-04-02T00:00:00Z");

        Sum(await AllLines(sliced)).ShouldBe(Sum(await AllLines(whole)));
        await EveryInvoiceReplays(sliced);

        static Task Report(TestTenant tenant, string meter, (string Time, string Units, string Price) use) =>
            Use(tenant, meter, use.Time, use.Time, ("units", use.Units), ("price", use.Price), ("segments", use.Units));

        // What March owes is not compared.
        static decimal Sum(IEnumerable<JsonElement> lines) => lines.Where(line => At(Text(line, "window_end")) <= At("2026-03-01T00:00:00Z"))
            .Sum(line => decimal.Parse(Amount(line), CultureInfo.InvariantCulture));
    }

    [Fact]
    public async Task A_correction_that_only_moves_an_amount_from_one_event_to_another_is_billed()
    {
        var (tenant, meter, _) = await Subscribed("""{"model":"percentage","rate":"0.01","per_event_minimum":"1"}""");
        await Use(tenant, meter, "1", "2026-02-10T10:00:00Z", ("units", "100"));
        await Use(tenant, meter, "2", "2026-02-10T12:00:00Z", ("units", "100"));
        await billing.RunAt("2026-03-02T00:00:00Z");
        (await Lines(tenant)).Select(Amount).ShouldBe(["2.00"]);

        await Correct(tenant, "amend", "1", new { units = "150" });
        await Correct(tenant, "amend", "2", new { units = "50" });
        await billing.RunAt("2026-04-02T00:00:00Z");
        (await Lines(tenant)).Select(line => (Text(line, "kind"), Text(line, "quantity"), Amount(line)))
            .ShouldBe([("usage", "0", "0.00"), ("late_usage", "0", "0.50")]);
    }

    [Fact]
    public async Task Another_plan_begins_with_allowances_of_its_own_and_what_comes_late_for_the_first_one_is_of_its_terms()
    {
        var (tenant, meter, subscription) = await Subscribed(Share);
        var other = await Plan(meter, """{"model":"percentage","rate":"0.02","free_events":1}""");
        billing.Clock.Set(At("2026-02-15T00:00:00Z"));
        foreach (var amount in new[] { "10", "20", "100" })
            await Use(tenant, meter, $"first {amount}", "2026-02-10T10:00:00Z", ("units", amount));
        var changed = await tenant.Admin.Post(
            $"/v1/subscriptions/{subscription}/change-plan", new { plan_id = other.Json.GetProperty("plan_id").GetGuid(), when = "now" });
        changed.Status.ShouldBe(200, changed.Text);
        (await Lines(tenant)).Select(Amount).ShouldBe(["1.50"]);

        billing.Clock.Set(At("2026-02-28T12:00:00Z"));
        foreach (var amount in new[] { "10", "20", "100" })
            await Use(tenant, meter, $"second {amount}", "2026-02-20T10:00:00Z", ("units", amount));
        await Use(tenant, meter, "late", "2026-02-11T10:00:00Z", ("units", "5"));
        await billing.RunAt("2026-03-02T00:00:00Z");

        // 5 is free instead of 20, which owes the minimum of the first plan; of the second one 10 is free, and 120 owe 2.40.
        (await Lines(tenant)).Select(line => (Text(line, "kind"), Text(line, "quantity"), Amount(line)))
            .ShouldBe([("usage", "130", "2.40"), ("late_usage", "5", "1.00")], ignoreOrder: true);
        await EveryInvoiceReplays(tenant);
    }

    [Fact]
    public async Task A_threshold_is_reached_by_prices_of_events_and_the_period_goes_on_behind_it()
    {
        var (tenant, meter, _) = await Subscribed(Share, threshold: "6.00");
        billing.Clock.Set(At("2026-02-05T00:00:00Z"));
        await Use(tenant, meter, "1", "2026-02-04T10:00:00Z", ("units", "900"));
        await Use(tenant, meter, "2", "2026-02-04T11:00:00Z", ("units", "800"));
        await billing.RunAt("2026-02-05T01:00:00Z");
        (await billing.Count("invoices", tenant.Id)).ShouldBe(0, "both are free, as the smallest two");

        // Two smaller ones are free instead, so that those two owe 5.00 each. Smaller ones yet will make these owe 4.00 and 4.50.
        billing.Clock.Set(At("2026-02-06T00:00:00Z"));
        await Use(tenant, meter, "3", "2026-02-05T10:00:00Z", ("units", "350"));
        await Use(tenant, meter, "4", "2026-02-05T11:00:00Z", ("units", "400"));
        await billing.RunAt("2026-02-06T02:00:00Z");
        (await Lines(tenant)).Select(Amount).ShouldBe(["10.00"]);
        await billing.RunAt("2026-02-06T04:00:00Z");
        (await billing.Count("invoices", tenant.Id)).ShouldBe(1);

        billing.Clock.Set(At("2026-02-07T00:00:00Z"));
        await Use(tenant, meter, "5", "2026-02-06T10:00:00Z", ("units", "1"));
        await Use(tenant, meter, "6", "2026-02-06T11:00:00Z", ("units", "2"));
        await billing.RunAt("2026-03-02T00:00:00Z");
        (await AllLines(tenant)).Sum(line => decimal.Parse(Amount(line), CultureInfo.InvariantCulture)).ShouldBe(5 + 5 + 4 + 4.5m);
        await EveryInvoiceReplays(tenant);
    }

    [Fact]
    public async Task A_trial_lists_events_at_a_price_of_zero()
    {
        var (tenant, meter, _) = await Subscribed(Brought, trialDays: 40);
        await Use(tenant, meter, "1", "2026-02-10T10:00:00Z", ("units", "3"), ("price", "2.50"));
        await billing.RunAt("2026-03-20T00:00:00Z");

        (await Lines(tenant)).Select(line => (Text(line, "kind"), Text(line, "quantity"), Amount(line)))
            .ShouldBe([("recurring_fee", "1", "0.00"), ("usage", "3", "0.00")]);
    }

    [Theory]
    [InlineData(Share, "sum", null)]
    [InlineData(Share, "max", "charges[0].meter")]
    [InlineData(Share, "count", "charges[0].meter")]
    [InlineData("""{"model":"percentage","rate":"0.01","free_amount":"5"}""", "max", null)]
    [InlineData(Brought, "count", null)]
    [InlineData(Brought, "latest", "charges[0].meter")]
    [InlineData(Multiplied, "unique_count", "charges[0].meter")]
    public async Task Terms_for_each_event_need_a_meter_whose_events_add_up(string charge, string aggregation, string? field)
    {
        billing.Clock.Set(At("2026-02-28T00:00:00Z"));
        var plan = await Plan(await Meter(aggregation), charge);

        plan.Status.ShouldBe(field is null ? 201 : 422, plan.Text);
        if (field is not null)
            (plan.Code, plan.Fields.Single()).ShouldBe(("plan.meter_unfit", field));
    }

    private async Task<(TestTenant Tenant, string Meter, Guid Subscription)> Subscribed(
        string charge, string? threshold = null, int trialDays = 0, string? meter = null)
    {
        billing.Clock.Set(At("2026-02-28T12:00:00Z"));
        meter ??= await Meter("sum");
        var plan = await Plan(meter, charge, threshold, trialDays);
        plan.Status.ShouldBe(201, plan.Text);
        var tenant = await billing.NewTenant();
        var started = await tenant.Admin.Post(
            "/v1/subscriptions", new { plan_id = plan.Json.GetProperty("plan_id").GetGuid(), started_at = "2026-02-01T00:00:00Z" });
        started.Status.ShouldBe(201, started.Text);
        return (tenant, meter, started.Json.GetProperty("subscription_id").GetGuid());
    }

    private async Task<string> Meter(string aggregation, object[]? filters = null)
    {
        var key = $"m{Guid.CreateVersion7():n}";
        var defined = await billing.Operator.Post("/v1/meters", new
        {
            key,
            display_name = "Sales",
            event_type = $"{key}.used",
            aggregation,
            value_property = aggregation == "count" ? null : "units",
            unit = "unit",
            filters = filters ?? [],
        });
        defined.Status.ShouldBe(201, defined.Text);
        return key;
    }

    private Task<Answer> Plan(string meter, string terms, string? threshold = null, int trialDays = 0)
    {
        var charge = System.Text.Json.Nodes.JsonNode.Parse(terms)!.AsObject();
        (charge["meter"], charge["display_name"]) = (meter, "Sales");
        return billing.Operator.Post("/v1/plans", new
        {
            key = $"p{Guid.CreateVersion7():n}",
            display_name = "Plan",
            recurring_fee = new { amount = "0.00", currency = "EUR" },
            proration = "days",
            trial_days = trialDays,
            invoice_threshold = threshold is null ? null : new { amount = threshold, currency = "EUR" },
            charges = new[] { charge },
        });
    }

    private static async Task Use(TestTenant tenant, string meter, string id, string time, params (string Name, string Value)[] data)
    {
        var used = await tenant.Partner.Post("/v1/usage/events", new
        {
            id,
            source = "test",
            type = $"{meter}.used",
            time,
            data = data.ToDictionary(member => member.Name, member => member.Value),
        });
        used.Status.ShouldBe(200, used.Text);
        used.Text.ShouldContain("accepted");
    }

    private static async Task Correct(TestTenant tenant, string kind, string id, object? data = null)
    {
        var corrected = await tenant.Admin.Post("/v1/usage/corrections", new { kind, source = "test", id, reason = "wrong", data });
        corrected.Status.ShouldBe(201, corrected.Text);
    }

    private static async Task CloseNow(TestTenant tenant, Guid subscription) =>
        (await tenant.Admin.Post($"/v1/subscriptions/{subscription}/close-period")).Status.ShouldBe(201);

    private static async Task EveryInvoiceReplays(TestTenant tenant)
    {
        foreach (var invoice in (await tenant.Viewer.Get("/v1/invoices?limit=100")).Json.GetProperty("items").EnumerateArray())
        {
            var replayed = await tenant.Viewer.Get($"/v1/invoices/{Text(invoice, "invoice_id")}/replay");
            replayed.Json.GetProperty("identical").GetBoolean().ShouldBeTrue(replayed.Text);
        }
    }

    private static async Task<string> Focus(TestTenant tenant) =>
        (await tenant.Viewer.Get("/v1/exports/focus?from=2026-03-01T00:00:00Z&to=2026-03-03T00:00:00Z")).Text;

    private static async Task<IReadOnlyList<JsonElement>> Lines(TestTenant tenant) =>
        [.. (await tenant.Viewer.Get("/v1/invoices")).Json.GetProperty("items")[0].GetProperty("lines").EnumerateArray()];

    private static async Task<IReadOnlyList<JsonElement>> AllLines(TestTenant tenant) =>
    [
        .. (await tenant.Viewer.Get("/v1/invoices?limit=100")).Json.GetProperty("items").EnumerateArray()
            .SelectMany(invoice => invoice.GetProperty("lines").EnumerateArray()),
    ];

    private static string[] Steps(JsonElement line) =>
    [
        .. line.GetProperty("breakdown").EnumerateArray().Select(step =>
        {
            var each = step.TryGetProperty("unit_amount", out var price) ? $" at {price.GetString()}" : "";
            var quantity = step.TryGetProperty("quantity", out var units) ? $" of {units.GetString()}" : "";
            var events = step.TryGetProperty("events", out var count) ? $"{count.GetInt64()}" : "";
            return $"{Text(step, "step")} {events}{quantity}{each} = {Text(step, "amount")}";
        }),
    ];

    private static string Amount(JsonElement line) => line.GetProperty("amount").GetProperty("amount").GetString()!;

    private static string Text(JsonElement json, string field) => json.GetProperty(field).GetString()!;

    private static Instant At(string text) => InstantPattern.ExtendedIso.Parse(text).Value;
}
