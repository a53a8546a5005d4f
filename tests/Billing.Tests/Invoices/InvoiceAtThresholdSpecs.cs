using Microsoft.Extensions.DependencyInjection;
using NodaTime;
using NodaTime.Text;
using Platform.Billing.Invoices;
using Platform.Billing.Rating;
using Platform.Billing.Recurring;
using Platform.Billing.Subscriptions;
using Platform.Billing.Tests.Http;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Tests.Invoices;

/// <summary>Progressive invoices, by the recurring run and by a test clock. Moves the clock, so it has a host of its own.</summary>
public sealed class InvoiceAtThresholdSpecs(OwnBillingHost billing) : IClassFixture<OwnBillingHost>
{
    [Theory]
    // threshold, fee, usage and late usage in cents -> reached
    [InlineData(100, 0, 99, 0, false)]
    [InlineData(100, 0, 100, 0, true)]
    [InlineData(100, 0, 60, 40, true)]
    [InlineData(100, 0, 120, -21, false)]
    [InlineData(100, 1000, 0, 0, false)]
    public void A_threshold_is_reached_by_use_alone(long threshold, long fee, long usage, long late, bool reached) =>
        InvoiceAtThreshold.IsReached(
            new(threshold, Currency.EUR),
            [Line(LineKind.RecurringFee, fee), Line(LineKind.Usage, usage), Line(LineKind.LateUsage, late)]).ShouldBe(reached);

    [Fact]
    public async Task A_period_is_invoiced_as_often_as_its_use_comes_to_the_threshold_and_its_slices_sum_to_the_whole()
    {
        var tenant = await Subscribed(threshold: "50.00");

        // 0.05 a call: 999 calls come to 49.95, 1000 to 50.00.
        await Use(tenant, "1", "2026-03-05T00:00:00Z", "999", now: "2026-03-05T01:00:00Z");
        (await RunAndCount(tenant, "2026-03-05T02:00:00Z")).ShouldBe(0);
        await Use(tenant, "2", "2026-03-05T02:30:00Z", "1", now: "2026-03-05T03:00:00Z");
        (await RunAndCount(tenant, "2026-03-05T04:00:00Z")).ShouldBe(1);
        (await RunAndCount(tenant, "2026-03-05T05:00:00Z")).ShouldBe(1);

        // What was invoiced does not count again, and what comes late does.
        await Use(tenant, "3", "2026-03-05T03:00:00Z", "600", now: "2026-03-20T00:00:00Z");
        await Use(tenant, "4", "2026-03-19T00:00:00Z", "400");
        (await RunAndCount(tenant, "2026-03-20T01:00:00Z")).ShouldBe(2);
        (await RunAndCount(tenant, "2026-04-02T00:00:00Z")).ShouldBe(3);

        var invoices = (await tenant.Viewer.Get("/v1/invoices")).Json.GetProperty("items").EnumerateArray().Reverse().ToArray();
        invoices.Select(invoice => invoice.TryGetProperty("progressive", out var said) && said.GetBoolean()).ShouldBe([true, true, false]);
        invoices.Select(invoice => invoice.GetProperty("total").GetProperty("amount").GetString())
            .ShouldBe(["54.00", "65.00", "12.00"]); // with 4, 15 and 12 of 31 days of the fee
        foreach (var invoice in invoices)
        {
            var replay = await tenant.Viewer.Get($"/v1/invoices/{invoice.GetProperty("invoice_id").GetString()}/replay");
            replay.Json.GetProperty("identical").GetBoolean().ShouldBeTrue(replay.Text);
        }
    }

    [Fact]
    public async Task Many_runners_make_one_invoice_of_one_crossing()
    {
        var tenant = await Subscribed(threshold: "50.00");
        await Use(tenant, "1", "2026-03-05T00:00:00Z", "5000", now: "2026-03-05T01:00:00Z");

        var work = billing.Services.GetServices<IDueWork>().OfType<InvoiceAtThreshold>().Single();
        var made = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ =>
            work.Do(tenant.Id, billing.Clock.Now, Cause.Unknown, BillingHost.Cancellation)));

        made.Sum().ShouldBe(1);
        (await billing.Count("invoices", tenant.Id)).ShouldBe(1);
    }

    [Fact]
    public async Task A_moment_that_is_due_is_the_first_full_hour_by_which_the_threshold_was_reached()
    {
        var tenant = await Subscribed(threshold: "50.00");
        await Use(tenant, "1", "2026-03-02T10:20:00Z", "999", now: "2026-03-09T00:00:00Z");
        await Use(tenant, "2", "2026-03-04T17:45:00Z", "1");
        await Use(tenant, "3", "2026-03-08T00:00:00Z", "7");
        var work = billing.Services.GetServices<IDueWork>().OfType<InvoiceAtThreshold>().Single();

        (await work.NextDue(tenant.Id, At("2026-03-04T17:59:00Z"), BillingHost.Cancellation)).ShouldBeNull();
        (await work.NextDue(tenant.Id, At("2026-03-09T00:00:00Z"), BillingHost.Cancellation)).ShouldBe(At("2026-03-04T18:00:00Z"));

        (await work.Do(tenant.Id, At("2026-03-04T18:00:00Z"), Cause.Unknown, BillingHost.Cancellation)).ShouldBe(1);
        (await work.NextDue(tenant.Id, At("2026-03-09T00:00:00Z"), BillingHost.Cancellation)).ShouldBeNull();
    }

    [Fact]
    public async Task A_sandboxs_clock_stops_where_the_threshold_is_reached()
    {
        var tenant = await Subscribed(threshold: "50.00", sandboxAt: "2026-03-01T00:00:00Z");
        await Advance("2026-03-05T10:20:00Z");
        await Use(tenant, "1", "2026-03-05T10:10:00Z", "999");
        await Use(tenant, "2", "2026-03-05T10:24:00Z", "1");

        var done = (await Advance("2026-04-01T00:00:00Z")).Json.GetProperty("done").EnumerateArray();

        done.Where(it => it.GetProperty("count").GetInt32() > 0)
            .Select(it => (it.GetProperty("at").GetString(), it.GetProperty("work").GetString())).ShouldBe(
                [("2026-03-05T11:00:00Z", "invoice_at_threshold"), ("2026-04-01T00:00:00Z", "close_period")]);

        async Task<Answer> Advance(string to)
        {
            var answer = await tenant.Admin.Post($"/v1/test-clocks/{tenant.Id}/advance", new { to });
            answer.Status.ShouldBe(200, answer.Text);
            return answer;
        }
    }

    [Fact]
    public async Task A_plan_without_a_threshold_is_not_looked_at()
    {
        var tenant = await Subscribed(threshold: null);
        await Use(tenant, "1", "2026-03-05T00:00:00Z", "100000", now: "2026-03-05T01:00:00Z");

        (await RunAndCount(tenant, "2026-03-06T00:00:00Z")).ShouldBe(0);
    }

    [Theory]
    [InlineData("0.00", "EUR", "invoice_threshold.amount")]
    [InlineData("50.00", "USD", "invoice_threshold.currency")]
    public async Task A_threshold_is_an_amount_of_the_plans_currency(string amount, string currency, string field)
    {
        var answer = await billing.Operator.Post("/v1/plans", new
        {
            key = $"p{Guid.CreateVersion7():n}",
            display_name = "Plan",
            recurring_fee = new { amount = "1.00", currency = "EUR" },
            proration = "days",
            charges = Array.Empty<object>(),
            invoice_threshold = new { amount, currency },
        });

        answer.Status.ShouldBe(400, answer.Text);
        answer.Fields.ShouldBe([field]);
    }

    private async Task<TestTenant> Subscribed(string? threshold, string? sandboxAt = null)
    {
        billing.Clock.Set(At("2026-03-01T12:00:00Z"));
        var catalog = await billing.NewCatalog();
        var published = await billing.Operator.Post($"/v1/plans/{catalog.PlanId}/versions", new
        {
            display_name = "Standard",
            recurring_fee = new { amount = "31.00", currency = "EUR" },
            proration = "days",
            charges = new[] { new { model = "per_unit", meter = catalog.Calls, display_name = "Inference calls", unit_price = "0.05" } },
            invoice_threshold = threshold is null ? null : new { amount = threshold, currency = "EUR" },
        });
        published.Status.ShouldBe(201, published.Text);
        var tenant = await billing.NewTenant(sandboxAt: sandboxAt);
        await BillingHost.Subscribe(tenant, catalog);
        return tenant;
    }

    private async Task Use(TestTenant tenant, string id, string time, string calls, string? now = null)
    {
        if (now is not null)
            billing.Clock.Set(At(now));
        (await tenant.Partner.Post("/v1/usage/events", new { id, source = "test", type = "inference.call", time, data = new { calls } }))
            .Status.ShouldBe(200);
    }

    private async Task<long> RunAndCount(TestTenant tenant, string now)
    {
        await billing.RunAt(now);
        return await billing.Count("invoices", tenant.Id);
    }

    private static RatedLine Line(LineKind kind, long cents) => new(
        kind, "A line", Meter: null, Quantity: 1, "unit", UnitAmount: null, new(cents, Currency.EUR), new BillingPeriod(At("2026-03-01T00:00:00Z"), At("2026-04-01T00:00:00Z")));

    private static Instant At(string text) => InstantPattern.ExtendedIso.Parse(text).Value;
}
