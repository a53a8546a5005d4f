using System.Globalization;
using System.Text.Json;
using NodaTime.Text;
using Platform.Billing.Tests.Http;

namespace Platform.Billing.Tests.Rating;

/// <summary>Charges at prices of the book, from the catalog to invoices. Moves the clock, so it has a host of its own.</summary>
public sealed class PriceBookPlanSpecs(OwnBillingHost billing) : IClassFixture<OwnBillingHost>
{
    [Fact]
    public async Task A_period_is_priced_by_the_prices_of_its_time_and_a_tenants_override_goes_first()
    {
        var (tenant, charge, _) = await Subscribed();
        billing.Clock.Set(At("2026-02-09T00:00:00Z"));
        await Publish(charge.Price, "3", "2026-02-10T00:00:00Z");
        await Publish(charge.Price, "1", "2026-02-20T00:00:00Z", tenant, until: "2026-02-25T00:00:00Z");
        billing.Clock.Set(At("2026-02-28T00:00:00Z"));
        await Use(tenant, charge, "2026-02-09T23:59:59Z", "5");
        await Use(tenant, charge, "2026-02-10T00:00:00Z", "4");
        await Use(tenant, charge, "2026-02-20T10:00:00Z", "7");
        await Use(tenant, charge, "2026-02-26T10:00:00Z", "1");
        await billing.RunAt("2026-03-02T00:00:00Z");

        // 5 x 2, 4 + 1 at 3, 7 x 1
        var line = (await Lines(tenant)).ShouldHaveSingleItem();
        (Text(line, "quantity"), Amount(line)).ShouldBe(("17", "32.00"));
        line.GetProperty("unit_amount").ValueKind.ShouldBe(JsonValueKind.Null);
        Steps(line).ShouldBe(["5x2=10 from 2026-01-01T00:00:00Z", "5x3=15 from 2026-02-10T00:00:00Z", "7x1=7 from 2026-02-20T00:00:00Z"]);
        line.GetProperty("breakdown").EnumerateArray().Select(step => Text(step, "price_id")).Distinct().Count().ShouldBe(3);
    }

    [Fact]
    public async Task Late_usage_is_priced_at_its_own_time_and_all_lines_sum_to_one_run()
    {
        var (sliced, charge, subscription) = await Subscribed();
        var (whole, wholeCharge, _) = await Subscribed();
        foreach (var key in new[] { charge.Price, wholeCharge.Price })
        {
            billing.Clock.Set(At("2026-02-05T00:00:00Z"));
            await Publish(key, "0.333", "2026-02-10T00:00:00Z");
            await Publish(key, "0.5", "2026-02-20T00:00:00Z");
        }

        (string Time, string Units)[] uses =
        [
            ("2026-02-03T10:00:00Z", "1.5"), ("2026-02-08T10:00:00Z", "3"), ("2026-02-12T10:00:00Z", "7.77"), ("2026-02-12T11:00:00Z", "0.1"),
            ("2026-02-21T10:00:00Z", "9"), ("2026-02-27T10:00:00Z", "0.9"),
        ];

        // A slice that ends within the second price; one use of each price comes late, one of them after the month.
        billing.Clock.Set(At("2026-02-15T12:00:00Z"));
        await Use(sliced, charge, uses[0]);
        await Use(sliced, charge, uses[2]);
        (await sliced.Admin.Post($"/v1/subscriptions/{subscription}/close-period")).Status.ShouldBe(201);
        billing.Clock.Set(At("2026-02-28T12:00:00Z"));
        await Use(sliced, charge, uses[1]);
        await Use(sliced, charge, uses[4]);
        foreach (var use in uses)
            await Use(whole, wholeCharge, use);
        await billing.RunAt("2026-03-02T00:00:00Z");
        await Use(sliced, charge, uses[3]);
        await Use(sliced, charge, uses[5]);
        await billing.RunAt("2026-04-02T00:00:00Z");

        Sum(await AllLines(sliced)).ShouldBe(Sum(await AllLines(whole)));
        var late = (await AllLines(sliced)).Where(line => Text(line, "kind") == "late_usage").ToArray();
        late.Select(line => Text(line, "quantity")).ShouldBe(["3", "1"], ignoreOrder: true);

        static decimal Sum(IEnumerable<JsonElement> lines) => lines.Sum(line => decimal.Parse(Amount(line), CultureInfo.InvariantCulture));
    }

    [Fact]
    public async Task A_later_price_changes_nothing_that_was_billed()
    {
        var (tenant, charge, _) = await Subscribed();
        billing.Clock.Set(At("2026-02-27T00:00:00Z"));
        await Use(tenant, charge, "2026-02-10T00:00:00Z", "4");
        await billing.RunAt("2026-03-02T00:00:00Z");
        await Publish(charge.Price, "9", "2026-03-02T00:00:00Z");
        await Use(tenant, charge, "2026-02-11T00:00:00Z", "1");
        await Use(tenant, charge, "2026-03-02T00:00:00Z", "1");
        await billing.RunAt("2026-04-02T00:00:00Z");

        (await Lines(tenant)).Select(line => (Text(line, "kind"), Amount(line))).ShouldBe([("usage", "9.00"), ("late_usage", "2.00")]);
        foreach (var invoice in (await tenant.Viewer.Get("/v1/invoices")).Json.GetProperty("items").EnumerateArray())
        {
            var replayed = await tenant.Viewer.Get($"/v1/invoices/{Text(invoice, "invoice_id")}/replay");
            replayed.Json.GetProperty("identical").GetBoolean().ShouldBeTrue(replayed.Text);
        }
    }

    [Theory]
    [InlineData("sum", "price", "0", "charges[0].unit_size")]
    [InlineData("sum", "euros", "1", "charges[0].price_key")]
    [InlineData("max", "price", "1", "charges[0].meter")]
    public async Task A_charge_that_cannot_be_priced_is_refused(string aggregation, string key, string size, string field)
    {
        billing.Clock.Set(At("2026-02-28T00:00:00Z"));
        var price = NewKey();
        await Publish(price, "2", "2026-01-01T00:00:00Z");

        var plan = await Plan(await Meter(aggregation), key == "euros" ? NewKey() : price, size);

        plan.Status.ShouldBe(422, plan.Text);
        plan.Fields.ShouldBe([field]);
    }

    private sealed record Charge(string Meter, string Price);

    private async Task<(TestTenant Tenant, Charge Charge, Guid Subscription)> Subscribed()
    {
        billing.Clock.Set(At("2026-02-01T00:00:00Z"));
        var charge = new Charge(await Meter("sum"), NewKey());
        await Publish(charge.Price, "2", "2026-01-01T00:00:00Z");
        var plan = await Plan(charge.Meter, charge.Price, size: null);
        plan.Status.ShouldBe(201, plan.Text);
        var tenant = await billing.NewTenant();
        var started = await tenant.Admin.Post(
            "/v1/subscriptions", new { plan_id = plan.Json.GetProperty("plan_id").GetGuid(), started_at = "2026-02-01T00:00:00Z" });
        started.Status.ShouldBe(201, started.Text);
        return (tenant, charge, started.Json.GetProperty("subscription_id").GetGuid());
    }

    private async Task<string> Meter(string aggregation)
    {
        var key = NewKey();
        var defined = await billing.Operator.Post("/v1/meters", new
        {
            key,
            display_name = "Units",
            event_type = $"{key}.used",
            aggregation,
            value_property = "units",
            unit = "unit",
        });
        defined.Status.ShouldBe(201, defined.Text);
        return key;
    }

    private Task<Answer> Plan(string meter, string price, string? size) => billing.Operator.Post("/v1/plans", new
    {
        key = NewKey(),
        display_name = "Plan",
        recurring_fee = new { amount = "0.00", currency = "EUR" },
        proration = "days",
        charges = new object[] { new { model = "dynamic", meter, display_name = "Use", price_key = price, unit_size = size } },
    });

    private async Task Publish(string key, string amount, string from, TestTenant? tenant = null, string? until = null)
    {
        var published = await billing.Operator.Post("/v1/prices", new
        {
            key,
            currency = "EUR",
            unit_amount = amount,
            valid_from = from,
            tenant_id = tenant?.Id.ToString(),
            valid_until = until,
        });
        published.Status.ShouldBe(201, published.Text);
    }

    private static Task Use(TestTenant tenant, Charge charge, (string Time, string Units) use) => Use(tenant, charge, use.Time, use.Units);

    private static async Task Use(TestTenant tenant, Charge charge, string time, string units) =>
        (await tenant.Partner.Post("/v1/usage/events", new
        {
            id = time,
            source = "test",
            type = $"{charge.Meter}.used",
            time,
            data = new { units },
        })).Status.ShouldBe(200);

    private static async Task<JsonElement[]> Lines(TestTenant tenant) =>
        [.. (await tenant.Viewer.Get("/v1/invoices")).Json.GetProperty("items")[0].GetProperty("lines").EnumerateArray()];

    private static async Task<JsonElement[]> AllLines(TestTenant tenant) =>
    [
        .. (await tenant.Viewer.Get("/v1/invoices")).Json.GetProperty("items").EnumerateArray()
            .SelectMany(invoice => invoice.GetProperty("lines").EnumerateArray()),
    ];

    private static string[] Steps(JsonElement line) =>
    [
        .. line.GetProperty("breakdown").EnumerateArray().Select(step =>
            $"{Text(step, "quantity")}x{Text(step, "unit_amount")}={Text(step, "amount")} from {Text(step, "valid_from")}"),
    ];

    private static string Text(JsonElement element, string member) => element.GetProperty(member).GetString()!;

    private static string Amount(JsonElement line) => line.GetProperty("amount").GetProperty("amount").GetString()!;

    private static NodaTime.Instant At(string text) => InstantPattern.ExtendedIso.Parse(text).Value;

    private static string NewKey() => $"m{Guid.CreateVersion7():n}";
}
