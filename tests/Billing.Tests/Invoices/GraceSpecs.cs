using System.Text.Json;
using NodaTime;
using NodaTime.Text;
using Platform.Billing.Invoices;
using Platform.Billing.Rating;
using Platform.Billing.Subscriptions;
using Platform.Billing.Tests.Http;
using Platform.Contracts;
using Platform.EventStore;
using Subscription = Platform.Billing.Subscriptions.Subscription;

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

        (await Upcoming(tenant)).ShouldBe(["2026-04-01T00:00:00Z draft, closes 2026-04-04T00:00:00Z, 1 from 2026-03-01T00:00:00Z"]);

        await billing.RunAt("2026-04-03T23:59:59Z");
        (await Invoices()).ShouldBeEmpty("the grace is not over");
        await billing.Use(tenant, "reported within the grace", "2026-03-31T23:00:00Z", calls: 4);
        (await Upcoming(tenant)).ShouldBe(["2026-04-01T00:00:00Z grace, closes 2026-04-04T00:00:00Z, 1 from 2026-03-01T00:00:00Z"]);
        (await Previewed(tenant)).ShouldBe("31.20");
        var coming = (await tenant.Viewer.Get("/v1/invoices/upcoming")).Json.GetProperty("items")[0];
        await billing.RunAt("2026-04-04T00:00:00Z");

        var invoice = (await Invoices()).Single();
        invoice.GetProperty("finalized_at").GetString().ShouldBe(coming.GetProperty("closes_at").GetString());
        foreach (var part in new[] { "lines", "subtotal", "discounts", "discount_total", "taxes", "tax_total", "tax_included", "total" })
            coming.GetProperty(part).GetRawText().ShouldBe(invoice.GetProperty(part).GetRawText(), part);
        invoice.GetProperty("total").GetProperty("amount").GetString().ShouldBe("31.20");
        invoice.GetProperty("lines").EnumerateArray().Select(line => line.GetProperty("kind").GetString()).ShouldNotContain("late_usage");
        invoice.GetProperty("billing_period").GetProperty("end").GetString().ShouldBe("2026-04-01T00:00:00Z");
        (await Upcoming(tenant)).ShouldBe(["2026-05-01T00:00:00Z draft, closes 2026-05-04T00:00:00Z, 2 from 2026-04-01T00:00:00Z"]);

        async Task<IReadOnlyList<JsonElement>> Invoices() =>
            [.. (await tenant.Viewer.Get("/v1/invoices")).Json.GetProperty("items").EnumerateArray()];
    }

    [Fact]
    public async Task Invoices_are_listed_by_status_and_those_to_come_are_elsewhere()
    {
        billing.Clock.Set(Instant.FromUtc(2026, 3, 10, 12, 0));
        var tenant = await billing.NewTenant();
        var subscription = await BillingHost.Subscribe(tenant, await billing.NewCatalog());
        (await tenant.Admin.Post($"/v1/subscriptions/{subscription}/close-period")).Status.ShouldBe(201);

        (await Count("finalized"), await Count("paid"), await Count("void")).ShouldBe((1, 0, 0));
        foreach (var status in new[] { "draft", "grace" })
        {
            var elsewhere = await tenant.Viewer.Get($"/v1/invoices?status={status}");
            elsewhere.Status.ShouldBe(400);
            elsewhere.Json.GetProperty("errors").GetProperty("status")[0].GetString()!.ShouldContain("/v1/invoices/upcoming");
        }

        (await tenant.Viewer.Get("/v1/invoices?status=open")).Json.GetProperty("errors").GetProperty("status")[0].GetString()
            .ShouldBe("One of finalized, paid, overdue, uncollectible, void.");

        async Task<int> Count(string status) =>
            (await tenant.Viewer.Get($"/v1/invoices?status={status}")).Json.GetProperty("items").GetArrayLength();
    }

    [Fact]
    public async Task Who_has_no_subscription_has_no_invoice_to_come() =>
        (await Upcoming(await billing.NewTenant())).ShouldBeEmpty();

    [Theory]
    // ends of running periods of subscriptions that began one after the other, days of grace -> invoices to come; it is the tenth at noon
    [InlineData("04-01 04-01", 0, "04-01 draft 04-01: 1 2")]
    [InlineData("04-05 03-15 04-05", 3, "03-15 draft 03-18: 2", "04-05 draft 04-08: 1 3")]
    [InlineData("03-10 04-01", 3, "03-10 grace 03-13: 1", "04-01 draft 04-04: 2")]
    [InlineData("03-09 03-10", 30, "03-09 grace 04-08: 1", "03-10 grace 04-09: 2")]
    public void There_is_one_for_each_end_of_running_periods(string ends, int graceDays, params string[] expected)
    {
        var running = ends.Split(' ').Select((end, index) => Running(index + 1, end)).Reverse();
        var draft = InvoiceView.Fold(view: null, History.Drafted())!;

        PreviewInvoice.ByEnd(running)
            .Select(ending => UpcomingInvoice.Of(ending, draft, Duration.FromDays(graceDays), Instant.FromUtc(2026, 3, 10, 12, 0)))
            .Select(it => $"{Day(it.PeriodEnd)} {it.Status.ToString().ToLowerInvariant()} {Day(it.ClosesAt)}: "
                + string.Join(' ', it.Subscriptions.Select(ending => ending.PeriodNumber)))
            .ShouldBe(expected);
    }

    private static string Day(Instant at) => at.ToString("MM-dd", System.Globalization.CultureInfo.InvariantCulture);

    private static EndingPeriod Running(int number, string end)
    {
        var start = Instant.FromUtc(2026, 1, number, 0, 0);
        var period = new BillingPeriod(start, LocalDatePattern.Iso.Parse($"2026-{end}").Value.AtMidnight().InUtc().ToInstant());
        var subscription = Fold.After(Subscription.Initial, [History.Started() with { StartedAt = start, PeriodEnd = period.End }]);
        return new(SubscriptionId.New(), subscription with { PeriodNumber = number }, period);
    }

    private static async Task<string[]> Upcoming(TestTenant tenant)
    {
        var answer = await tenant.Viewer.Get("/v1/invoices/upcoming");
        answer.Status.ShouldBe(200, answer.Text);
        return
        [
            .. answer.Json.GetProperty("items").EnumerateArray().Select(it =>
            {
                var ending = it.GetProperty("subscriptions").EnumerateArray().Single();
                return $"{it.GetProperty("period_end")} {it.GetProperty("status")}, closes {it.GetProperty("closes_at")}, "
                    + $"{ending.GetProperty("period_number")} from {ending.GetProperty("period_start")}";
            }),
        ];
    }

    // As the entry says how.
    private static async Task<string?> Previewed(TestTenant tenant)
    {
        var preview = (await tenant.Viewer.Get("/v1/invoices/upcoming")).Json.GetProperty("items")[0].GetProperty("preview");
        preview.GetProperty("method").GetString().ShouldBe("POST");
        var answer = await tenant.Viewer.Post(preview.GetProperty("url").GetString()!, preview.GetProperty("body").GetRawText());
        answer.Status.ShouldBe(200, answer.Text);
        return answer.Json.GetProperty("total").GetProperty("amount").GetString();
    }
}
