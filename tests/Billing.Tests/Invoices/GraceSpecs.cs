using System.Text.Json;
using NodaTime;
using Platform.Billing.Tests.Http;

namespace Platform.Billing.Tests.Invoices;

/// <summary>The days between the end of a period and its invoice.</summary>
public sealed class GraceSpecs(OwnBillingHost billing) : IClassFixture<OwnBillingHost>
{
    [Fact]
    public async Task A_period_is_closed_after_its_grace_and_counts_what_is_reported_within_it()
    {
        billing.Clock.Set(Instant.FromUtc(2026, 3, 10, 12, 0));
        var tenant = await billing.NewTenant();
        await BillingHost.Subscribe(tenant, await billing.NewCatalog(), startedAt: "2026-03-01T00:00:00Z");
        var settings = new { grace_days = 3, payment_terms_days = 14, collection = "manual" };
        (await billing.Operator.Post($"/v1/tenants/{tenant.Id}/billing-settings", settings)).Status.ShouldBe(200);

        await billing.RunAt("2026-04-03T23:59:59Z");
        (await Invoices()).ShouldBeEmpty("the grace is not over");
        await billing.Use(tenant, "reported within the grace", "2026-03-31T23:00:00Z", calls: 4);
        await billing.RunAt("2026-04-04T00:00:00Z");

        var invoice = (await Invoices()).Single();
        invoice.GetProperty("total").GetProperty("amount").GetString().ShouldBe("31.20");
        invoice.GetProperty("lines").EnumerateArray().Select(line => line.GetProperty("kind").GetString()).ShouldNotContain("late_usage");
        invoice.GetProperty("billing_period").GetProperty("end").GetString().ShouldBe("2026-04-01T00:00:00Z");

        async Task<IReadOnlyList<JsonElement>> Invoices() =>
            [.. (await tenant.Viewer.Get("/v1/invoices")).Json.GetProperty("items").EnumerateArray()];
    }
}
