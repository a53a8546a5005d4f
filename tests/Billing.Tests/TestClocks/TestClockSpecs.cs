using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using NodaTime;
using NodaTime.Text;
using Platform.Billing.Recurring;
using Platform.Billing.TestClocks;
using Platform.Billing.Tests.Http;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Tests.TestClocks;

/// <summary>A sandbox taken through time. Real time and its run concern all tenants, so this class has a host of its own.</summary>
public sealed class TestClockSpecs(OwnBillingHost billing) : IClassFixture<OwnBillingHost>
{
    [Fact]
    public async Task Fourteen_months_at_once_make_every_invoice_at_its_time_over_a_leap_day_and_both_clock_changes()
    {
        var catalog = await billing.NewCatalog();
        var tenant = await billing.NewTenant("Europe/Berlin", anchorDay: 31, sandboxAt: "2027-12-10T00:00:00Z");
        await BillingHost.Subscribe(tenant, catalog, startedAt: "2027-12-10T00:00:00Z");

        var answer = await Advance(tenant, "2029-02-10T00:00:00Z");

        answer.Status.ShouldBe(200, answer.Text);
        answer.Json.GetProperty("clock").GetString().ShouldBe("2029-02-10T00:00:00Z");
        // The last day of each month, or its 31st, begins in Berlin.
        string[] ends =
        [
            "2027-12-30T23:00:00Z", "2028-01-30T23:00:00Z", "2028-02-28T23:00:00Z", "2028-03-30T22:00:00Z", "2028-04-29T22:00:00Z",
            "2028-05-30T22:00:00Z", "2028-06-29T22:00:00Z", "2028-07-30T22:00:00Z", "2028-08-30T22:00:00Z", "2028-09-29T22:00:00Z",
            "2028-10-30T23:00:00Z", "2028-11-29T23:00:00Z", "2028-12-30T23:00:00Z", "2029-01-30T23:00:00Z",
        ];
        Done(answer).Where(it => it.Work == "close_period").ShouldBe(ends.Select(end => (end, "close_period", 1)));
        var invoices = await Invoices(tenant);
        invoices.Select(it => it.GetProperty("billing_period").GetProperty("end").GetString()).ShouldBe(ends);
        invoices.Select(it => it.GetProperty("finalized_at").GetString()).ShouldBe(ends, "each is dated when it was due");
        invoices.Select(it => it.GetProperty("number").GetString()).ShouldBe(
            ["TEST-2027-000001", .. Enumerable.Range(1, 12).Select(i => $"TEST-2028-{i:000000}"), "TEST-2029-000001"]);
        // 21 of the 31 days from November 30 to December 31, and then whole months.
        invoices.Select(Total).ShouldBe(["21.00", .. Enumerable.Repeat("31.00", 13)]);
    }

    [Fact]
    public async Task Usage_is_taken_at_the_sandboxs_time_and_billed_in_its_period()
    {
        var catalog = await billing.NewCatalog();
        var tenant = await billing.NewTenant(sandboxAt: "2028-02-01T00:00:00Z");
        await BillingHost.Subscribe(tenant, catalog, startedAt: "2028-02-01T00:00:00Z");
        await Advance(tenant, "2028-02-29T23:00:00Z");
        await billing.Use(tenant, "1", "2028-02-29T22:59:59Z", calls: 20);
        await Advance(tenant, "2028-03-02T00:00:00Z");
        await billing.Use(tenant, "2", "2028-02-10T00:00:00Z", calls: 40);
        await billing.Use(tenant, "3", "2028-03-01T00:00:00Z", calls: 60);

        await Advance(tenant, "2028-04-01T00:00:00Z");

        // February: 31.00 + 20 x 0.05. March: 31.00 + 60 x 0.05, and 40 x 0.05 of February that came late.
        (await Invoices(tenant)).Select(Total).ShouldBe(["32.00", "36.00"]);
    }

    [Fact]
    public async Task Each_sandbox_has_its_own_time_and_live_tenants_and_their_numbers_are_left_alone()
    {
        var catalog = await billing.NewCatalog();
        var (early, late, live) = (
            await billing.NewTenant(sandboxAt: "2026-01-01T00:00:00Z"), await billing.NewTenant(sandboxAt: "2030-01-01T00:00:00Z"),
            await billing.NewTenant());
        await BillingHost.Subscribe(early, catalog, startedAt: "2026-01-01T00:00:00Z");
        await BillingHost.Subscribe(late, catalog, startedAt: "2030-01-01T00:00:00Z");
        await BillingHost.Subscribe(live, catalog, startedAt: "2026-01-01T00:00:00Z");

        await PayLate(early);

        await Advance(early, "2026-03-01T00:00:00Z");
        await Advance(late, "2030-02-01T00:00:00Z");

        (await Invoices(early)).Select(Number).ShouldBe(["TEST-2026-000001", "TEST-2026-000002"]);
        (await Invoices(late)).Select(Number).ShouldBe(["TEST-2030-000001"]);
        (await Invoices(live)).ShouldBeEmpty();
        (await Clock(early)).ShouldBe(("2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z"));

        await billing.RunAt("2026-03-10T12:00:00Z");
        (await Invoices(live)).Select(Number).ShouldBe(["2026-000001", "2026-000002"]);
        (await Invoices(early)).Count.ShouldBe(2);

        var focus = await billing.Operator.Get("/v1/exports/focus?from=2026-01-01T00:00:00Z&to=2031-01-01T00:00:00Z");
        focus.Text.ShouldContain("2026-000002");
        focus.Text.ShouldNotContain("TEST-");
        (await late.Viewer.Get("/v1/exports/focus?from=2026-01-01T00:00:00Z&to=2031-01-01T00:00:00Z")).Text.ShouldContain("TEST-2030-000001");
    }

    [Fact]
    public async Task A_crash_at_any_step_is_finished_by_the_same_request_with_the_same_invoices()
    {
        var catalog = await billing.NewCatalog();
        var to = InstantPattern.ExtendedIso.Parse("2028-05-15T00:00:00Z").Value;
        string[] expected = ["2028-02-01", "2028-03-01", "2028-04-01", "2028-05-01"];

        // Four periods end on the way, and each close can be hit before it and after it.
        for (var step = 0; step < 8; step++)
        {
            var tenant = await billing.NewTenant(sandboxAt: "2028-01-01T00:00:00Z");
            await PayLate(tenant);
            await BillingHost.Subscribe(tenant, catalog, startedAt: "2028-01-01T00:00:00Z");
            await billing.Use(tenant, "1", "2028-01-01T00:00:00Z", calls: step);

            await Should.ThrowAsync<CrashException>(() => Pass(tenant, to, [.. Works.Select(work => new Crashing(work, step))]));
            (await Invoices(tenant)).Count.ShouldBe((step + 1) / 2);
            var (finished, _) = await Pass(tenant, to, Works);

            finished!.Clock.ShouldBe(to);
            finished.Done.Sum(it => it.Count).ShouldBe(4 - (step + 1) / 2);
            var invoices = await Invoices(tenant);
            invoices.Select(it => it.GetProperty("finalized_at").GetString()![..10]).ShouldBe(expected);
            invoices.Select(Number).ShouldBe(Enumerable.Range(1, 4).Select(i => $"TEST-2028-{i:000000}"));
            invoices.Sum(it => decimal.Parse(Total(it)!, System.Globalization.CultureInfo.InvariantCulture)).ShouldBe(124 + 0.05m * step);
        }
    }

    [Fact]
    public async Task Of_several_advances_at_once_each_is_done_or_told_to_come_again()
    {
        var tenant = await billing.NewTenant(sandboxAt: "2028-01-01T00:00:00Z");
        await BillingHost.Subscribe(tenant, await billing.NewCatalog(), startedAt: "2028-01-01T00:00:00Z");

        var answers = await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => Advance(tenant, "2029-01-01T00:00:00Z")));

        answers.Where(it => it.Status != 200).ShouldAllBe(it => it.Status == 409 && it.Code == "test_clock.advancing");
        answers.ShouldContain(it => it.Status == 200);
        (await Invoices(tenant)).Select(it => it.GetProperty("subscriptions")[0].GetProperty("period_number").GetInt32())
            .ShouldBe(Enumerable.Range(1, 12));
        (await Advance(tenant, "2029-01-01T00:00:00Z")).Json.GetProperty("done").GetArrayLength().ShouldBe(0);
    }

    [Fact]
    public async Task What_is_due_at_the_very_instant_is_done_and_what_is_due_after_it_is_not()
    {
        var tenant = await billing.NewTenant(sandboxAt: "2028-01-01T00:00:00Z");
        await BillingHost.Subscribe(tenant, await billing.NewCatalog(), startedAt: "2028-01-01T00:00:00Z");

        (await Advance(tenant, "2028-01-31T23:59:59.999999Z")).Json.GetProperty("done").GetArrayLength().ShouldBe(0);
        // Nothing is charged without a payment method; the look at the invoice was due all the same.
        Done(await Advance(tenant, "2028-02-01T00:00:00Z")).ShouldBe(
            [("2028-02-01T00:00:00Z", "close_period", 1), ("2028-02-01T00:00:00Z", "collect_invoice", 0)]);
    }

    [Fact]
    public async Task A_cancelled_subscription_leaves_nothing_due_once_its_usage_is_too_old_to_come()
    {
        var tenant = await billing.NewTenant(sandboxAt: "2028-01-01T00:00:00Z");
        var subscription = await BillingHost.Subscribe(tenant, await billing.NewCatalog(), startedAt: "2028-01-01T00:00:00Z");
        await Advance(tenant, "2028-01-10T00:00:00Z");
        (await tenant.Admin.Post($"/v1/subscriptions/{subscription}/cancel", new { when = "period_end" })).Status.ShouldBe(200);

        var advanced = await Advance(tenant, "2030-01-01T00:00:00Z");
        advanced.Status.ShouldBe(200, advanced.Text);

        // 400 days of looks for late usage, of which nothing came: they were due all the same, so they are listed.
        Done(advanced).Where(it => it.Work == "close_period").ShouldBe(
            [("2028-02-01T00:00:00Z", "close_period", 1), .. Enumerable.Range(2, 14).Select(i => (Month(i), "close_period", 0))]);
        (await Invoices(tenant)).Select(Total).ShouldBe(["31.00"]);
        (await Clock(tenant)).ShouldBe(("2030-01-01T00:00:00Z", null));
    }

    [Fact]
    public async Task Who_may_not_advance_a_clock_and_where_to_it_cannot_go()
    {
        var (sandbox, live) = (await billing.NewTenant(sandboxAt: "2028-01-01T00:00:00Z"), await billing.NewTenant());

        (await Advance(sandbox, "2027-12-31T23:59:59Z")).ShouldSatisfyAllConditions(
            it => it.Status.ShouldBe(422), it => it.Code.ShouldBe("test_clock.backwards"), it => it.Fields.ShouldBe(["to"]));
        (await Advance(sandbox, "2033-01-01T00:00:01Z")).ShouldSatisfyAllConditions(
            it => it.Status.ShouldBe(422), it => it.Code.ShouldBe("test_clock.too_far"), it => it.Fields.ShouldBe(["to"]));
        (await Advance(live, "2028-01-01T00:00:00Z")).ShouldSatisfyAllConditions(
            it => it.Status.ShouldBe(409), it => it.Code.ShouldBe("test_clock.live_tenant"));
        (await live.Admin.Post($"/v1/test-clocks/{sandbox.Id}/advance", new { to = "2028-02-01T00:00:00Z" })).Status.ShouldBe(404);
        (await live.Admin.Get($"/v1/test-clocks/{sandbox.Id}")).Status.ShouldBe(404);
        (await live.Admin.Get($"/v1/test-clocks/{live.Id}")).Status.ShouldBe(404);
        (await sandbox.Viewer.Post($"/v1/test-clocks/{sandbox.Id}/advance", new { to = "2028-02-01T00:00:00Z" })).Status.ShouldBe(403);
        (await billing.Operator.Post($"/v1/test-clocks/{TenantId.New()}/advance", new { to = "2028-02-01T00:00:00Z" })).Status.ShouldBe(404);
        (await Clock(sandbox)).ShouldBe(("2028-01-01T00:00:00Z", null));

        (await billing.Operator.Post($"/v1/test-clocks/{sandbox.Id}/advance", new { to = "2028-02-01T00:00:00Z" })).Status.ShouldBe(200);
        (await Clock(sandbox)).ShouldBe(("2028-02-01T00:00:00Z", null));
    }

    /// <summary>So late that nothing about payments is due in the time that a test is about.</summary>
    private async Task PayLate(TestTenant tenant) => (await billing.Operator.Post(
        $"/v1/tenants/{tenant.Id}/billing-settings", new { grace_days = 0, payment_terms_days = 365, collection = "manual" }))
        .Status.ShouldBe(200);

    private IReadOnlyList<IDueWork> Works => [.. billing.Services.GetServices<IDueWork>()];

    private Task<(PassTime.Passed?, Refusal?)> Pass(TestTenant tenant, Instant to, IReadOnlyList<IDueWork> works) =>
        new PassTime(billing.Services.GetRequiredService<EventStore.EventStore>(), billing.Services.GetRequiredService<BillingDatabase>(), works)
            .To(tenant.Id, to, Cause.Unknown, BillingHost.Cancellation);

    private static Task<Answer> Advance(TestTenant tenant, string to) =>
        tenant.Admin.Post($"/v1/test-clocks/{tenant.Id}/advance", new { to });

    private static async Task<(string?, string?)> Clock(TestTenant tenant)
    {
        var clock = (await tenant.Viewer.Get($"/v1/test-clocks/{tenant.Id}")).Json;
        return (clock.GetProperty("clock").GetString(), clock.GetProperty("next_due_at").GetString());
    }

    private static string Month(int after) => $"{new LocalDate(2028, 1, 1).PlusMonths(after):uuuu-MM-dd}T00:00:00Z";

    private static IEnumerable<(string At, string Work, int Count)> Done(Answer answer) => answer.Json.GetProperty("done").EnumerateArray()
        .Select(it => (it.GetProperty("at").GetString()!, it.GetProperty("work").GetString()!, it.GetProperty("count").GetInt32()));

    /// <summary>Oldest first.</summary>
    private static async Task<List<JsonElement>> Invoices(TestTenant tenant) =>
        [.. (await tenant.Viewer.Get("/v1/invoices")).Json.GetProperty("items").EnumerateArray().Reverse()];

    private static string? Number(JsonElement invoice) => invoice.GetProperty("number").GetString();

    private static string? Total(JsonElement invoice) => invoice.GetProperty("total").GetProperty("amount").GetString();

    private sealed class CrashException : Exception;

    /// <summary>Dies at its nth step, of which it takes one before and one after all that it does at a moment.</summary>
    private sealed class Crashing(IDueWork work, int diesAt) : IDueWork
    {
        private int step;

        public string Name => work.Name;

        public Task<IReadOnlyList<DueTenant>> Due(Instant asOf, DueTenant? after, int limit, CancellationToken cancellation) =>
            work.Due(asOf, after, limit, cancellation);

        public Task<Instant?> NextDue(TenantId tenant, Instant upTo, CancellationToken cancellation) => work.NextDue(tenant, upTo, cancellation);

        public async Task<int> Do(TenantId tenant, Instant asOf, Cause cause, CancellationToken cancellation)
        {
            Step();
            var count = await work.Do(tenant, asOf, cause, cancellation);
            Step();
            return count;
        }

        private void Step()
        {
            if (step++ == diesAt)
                throw new CrashException();
        }
    }
}
