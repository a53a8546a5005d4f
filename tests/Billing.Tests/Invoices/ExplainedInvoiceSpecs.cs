using System.Text.Json;
using NodaTime;
using Platform.Billing.Invoices;
using Platform.Billing.Tests.Http;

namespace Platform.Billing.Tests.Invoices;

/// <summary>An invoice shown before its time, made again after it, and explained.</summary>
public sealed class ExplainedInvoiceSpecs(OwnBillingHost billing) : IClassFixture<OwnBillingHost>
{
    [Fact]
    public async Task A_preview_is_the_invoice_that_the_running_period_would_end_on()
    {
        var (tenant, subscription) = await NewTenant();
        await billing.Use(tenant, "used", "2026-03-05T00:00:00Z", calls: 7, now: "2026-03-10T12:00:00Z");

        var preview = await Preview(tenant, new { });
        preview.GetProperty("status").GetString().ShouldBe("draft");
        preview.GetProperty("number").ValueKind.ShouldBe(JsonValueKind.Null);
        (await billing.Count("invoices", tenant.Id)).ShouldBe(0, "a preview stores nothing");
        JsonElement.DeepEquals(await Preview(tenant, new { subscription_id = subscription }), preview).ShouldBeFalse("each preview is a draft of its own");

        await billing.RunAt("2026-04-01T00:00:00Z");
        var invoice = (await Invoices(tenant)).Single();
        foreach (var member in new[] { "billing_period", "subscriptions", "lines", "subtotal", "total" })
            JsonElement.DeepEquals(preview.GetProperty(member), invoice.GetProperty(member)).ShouldBeTrue(member);
    }

    [Fact]
    public async Task A_preview_shows_subscriptions_whose_periods_end_together_and_is_not_found_without_any()
    {
        var (tenant, _) = await NewTenant();
        await BillingHost.Subscribe(tenant, await billing.NewCatalog(), startedAt: "2026-03-05T00:00:00Z");

        (await Preview(tenant, new { })).GetProperty("subscriptions").GetArrayLength().ShouldBe(2);
        (await tenant.Viewer.Post("/v1/invoices/preview", new { subscription_id = Guid.CreateVersion7() })).Status.ShouldBe(404);
        (await (await billing.NewTenant()).Admin.Post("/v1/invoices/preview", new { })).Status.ShouldBe(404);
    }

    [Fact]
    public async Task Every_invoice_of_a_history_with_changes_late_usage_and_corrections_replays_identically()
    {
        var (tenant, subscription) = await NewTenant();
        var other = await billing.NewCatalog();
        await billing.Use(tenant, "first", "2026-03-02T00:00:00Z", calls: 3, now: "2026-03-05T00:00:00Z");
        (await tenant.Admin.Post($"/v1/subscriptions/{subscription}/change-plan", new { plan_id = other.PlanId, when = "now" }))
            .Status.ShouldBe(200);
        await billing.Use(tenant, "late for the first plan", "2026-03-03T00:00:00Z", calls: 5, now: "2026-03-20T00:00:00Z");
        await billing.Use(tenant, "second", "2026-03-19T00:00:00Z", calls: 11);
        await billing.RunAt("2026-04-01T00:00:00Z");
        var voided = await tenant.Admin.Post(
            "/v1/usage/corrections", new { kind = "void", source = "test", id = "second", reason = "never happened" });
        voided.Status.ShouldBeInRange(200, 201, voided.Text);
        await billing.RunAt("2026-05-01T00:00:00Z");

        var invoices = await Invoices(tenant);
        invoices.Count.ShouldBe(3);
        foreach (var invoice in invoices)
        {
            var replay = (await tenant.Viewer.Get($"/v1/invoices/{invoice.GetProperty("invoice_id")}/replay")).Json;
            replay.GetProperty("differences").GetArrayLength().ShouldBe(0, replay.ToString());
            replay.GetProperty("identical").GetBoolean().ShouldBeTrue();
            replay.GetProperty("stored_sha256").GetString().ShouldBe(replay.GetProperty("replayed_sha256").GetString());
        }
    }

    [Fact]
    public async Task A_replay_says_where_books_were_changed_behind_our_back()
    {
        var (tenant, _) = await NewTenant();
        await billing.Use(tenant, "used", "2026-03-05T00:00:00Z", calls: 7, now: "2026-03-10T12:00:00Z");
        await billing.RunAt("2026-04-01T00:00:00Z");
        var id = (await Invoices(tenant)).Single().GetProperty("invoice_id");

        await billing.Execute(
            $$"""
            update billing.usage_rollups set quantity = 8 where tenant_id = '{{tenant.Id}}' and quantity = 7;
            update billing.usage_events set data = '{"calls":"8"}' where tenant_id = '{{tenant.Id}}';
            """);

        var replay = (await tenant.Viewer.Get($"/v1/invoices/{id}/replay")).Json;
        replay.GetProperty("identical").GetBoolean().ShouldBeFalse();
        replay.GetProperty("differences").EnumerateArray().ShouldContain(it =>
            it.GetProperty("stored").GetString()!.Contains("\"quantity\":\"7\"", StringComparison.Ordinal)
            && it.GetProperty("replayed").GetString()!.Contains("\"quantity\":\"8\"", StringComparison.Ordinal));
    }

    [Fact]
    public void A_replay_of_more_or_fewer_events_differs()
    {
        ReplayInvoice.Compare(History.TheInvoice, ["a", "b"], ["a", "b"]).Identical.ShouldBeTrue();
        ReplayInvoice.Compare(History.TheInvoice, ["a", "b"], ["a"]).Differences.ShouldBe([new(2, "b", Replayed: null)]);
        ReplayInvoice.Compare(History.TheInvoice, ["a"], ["a", "b"]).Differences.ShouldBe([new(2, Stored: null, "b")]);
    }

    [Fact]
    public async Task Each_line_leads_to_its_price_its_steps_its_hours_and_its_events()
    {
        var (tenant, _) = await NewTenant();
        await billing.Use(tenant, "one", "2026-03-05T10:10:00Z", calls: 7, now: "2026-03-10T12:00:00Z");
        await billing.Use(tenant, "two", "2026-03-05T10:50:00Z", calls: 2);
        await billing.Use(tenant, "three", "2026-03-06T00:00:00Z", calls: 1);
        await billing.RunAt("2026-04-01T00:00:00Z");
        var id = (await Invoices(tenant)).Single().GetProperty("invoice_id");

        var explained = (await tenant.Viewer.Get($"/v1/invoices/{id}/explain")).Json;
        var fee = Line(explained, "recurring_fee");
        fee.GetProperty("price").GetProperty("plan_version").GetInt32().ShouldBe(1);
        fee.TryGetProperty("usage", out _).ShouldBeFalse();

        var calls = explained.GetProperty("lines").EnumerateArray().Last();
        calls.GetProperty("price").GetProperty("charge").GetProperty("unit_price").GetString().ShouldBe("0.05");
        var step = calls.GetProperty("calculation").EnumerateArray().Single();
        step.GetProperty("quantity").GetString().ShouldBe("10");
        step.GetProperty("amount").GetString().ShouldBe("0.5");
        var usage = calls.GetProperty("usage");
        usage.GetProperty("roll_ups").EnumerateArray()
            .Select(it => (it.GetProperty("hour").GetString(), it.GetProperty("quantity").GetString(), it.GetProperty("events").GetInt64()))
            .ShouldBe([("2026-03-05T10:00:00Z", "9", 2), ("2026-03-06T00:00:00Z", "1", 1)]);
        (await tenant.Viewer.Get(usage.GetProperty("events_url").GetString()!)).Json.GetProperty("items").EnumerateArray()
            .Select(it => it.GetProperty("id").GetString()).ShouldBe(["one", "two", "three"]);

        foreach (var line in explained.GetProperty("lines").EnumerateArray())
        {
            var exact = line.GetProperty("calculation").EnumerateArray().Sum(it => decimal.Parse(it.GetProperty("amount").GetString()!, null));
            decimal.Round(exact, 2, MidpointRounding.AwayFromZero)
                .ShouldBe(decimal.Parse(line.GetProperty("amount").GetProperty("amount").GetString()!, null));
        }
    }

    [Fact]
    public async Task Another_tenants_invoice_is_neither_explained_nor_replayed()
    {
        var (tenant, _) = await NewTenant();
        await billing.RunAt("2026-04-01T00:00:00Z");
        var id = (await Invoices(tenant)).Single().GetProperty("invoice_id");
        var other = await billing.NewTenant();

        foreach (var question in new[] { "explain", "replay" })
        {
            (await tenant.Viewer.Get($"/v1/invoices/{id}/{question}")).Status.ShouldBe(200);
            (await other.Admin.Get($"/v1/invoices/{id}/{question}")).Status.ShouldBe(404);
            (await billing.Anonymous.Get($"/v1/invoices/{id}/{question}")).Status.ShouldBe(401);
        }
    }

    private async Task<(TestTenant Tenant, Guid Subscription)> NewTenant()
    {
        billing.Clock.Set(Instant.FromUtc(2026, 3, 10, 12, 0));
        var tenant = await billing.NewTenant();
        return (tenant, await BillingHost.Subscribe(tenant, await billing.NewCatalog()));
    }

    private static async Task<JsonElement> Preview(TestTenant tenant, object request)
    {
        var preview = await tenant.Viewer.Post("/v1/invoices/preview", request);
        preview.Status.ShouldBe(200, preview.Text);
        return preview.Json;
    }

    private static async Task<IReadOnlyList<JsonElement>> Invoices(TestTenant tenant) =>
        [.. (await tenant.Viewer.Get("/v1/invoices")).Json.GetProperty("items").EnumerateArray()];

    private static JsonElement Line(JsonElement invoice, string kind) =>
        invoice.GetProperty("lines").EnumerateArray().First(line => line.GetProperty("kind").GetString() == kind);
}
