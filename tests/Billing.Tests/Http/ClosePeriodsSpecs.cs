using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using NodaTime;
using Npgsql;
using Platform.Billing.Invoices;
using Platform.Billing.Recurring;
using Platform.Billing.Tests.Usage;
using Platform.Contracts.Messages;
using Platform.EventStore;

namespace Platform.Billing.Tests.Http;

/// <summary>Period runs concern all tenants, so this class has a host of its own.</summary>
public sealed class ClosePeriodsSpecs(OwnBillingHost billing) : IClassFixture<OwnBillingHost>
{
    private static readonly string[] spotPool = ["pool.spot"];

    [Fact]
    public async Task Eight_runners_at_once_make_each_invoice_once_with_numbers_without_a_gap()
    {
        var catalog = await billing.NewCatalog();
        var tenants = new List<TestTenant>();
        for (var i = 0; i < 6; i++)
        {
            tenants.Add(await billing.NewTenant());
            await BillingHost.Subscribe(tenants[i], catalog, startedAt: "2026-01-15T00:00:00Z");
            await Use(tenants[i], "1", "2026-01-20T00:00:00Z");
            await Use(tenants[i], "2", "2026-02-20T00:00:00Z");
        }

        var made = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() => Run())));

        // January's rest and February have ended; March runs.
        made.Sum().ShouldBe(12);
        foreach (var tenant in tenants)
        {
            var invoices = await Invoices(tenant);
            invoices.Select(it => it.GetProperty("subscriptions")[0].GetProperty("period_number").GetInt32()).ShouldBe([2, 1]);
            invoices.Select(Total).ShouldBe(["31.05", "17.05"]);
        }

        var numbers = await billing.Strings("select data ->> 'number' from billing.invoices order by 1");
        numbers.ShouldBe(Enumerable.Range(1, numbers.Length).Select(i => $"2026-{i:000000}"));
        (await Run()).ShouldBe(0, "nothing is left to close");
    }

    [Fact]
    public async Task Eight_runners_put_all_subscriptions_of_a_tenant_whose_periods_end_together_onto_one_invoice()
    {
        var tenant = await billing.NewTenant();
        TestCatalog[] catalogs = [await billing.NewCatalog(), await billing.NewCatalog()];
        var calls = await BillingHost.Subscribe(tenant, catalogs[0], startedAt: "2026-01-01T00:00:00Z");
        var again = await BillingHost.Subscribe(tenant, catalogs[1], startedAt: "2026-02-01T00:00:00Z");
        await Use(tenant, "both meters read it", "2026-02-10T00:00:00Z", calls: 4);

        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() => Run())));

        var invoices = await Invoices(tenant);
        invoices.Select(Total).ShouldBe(["62.40", "31.00"]);
        Of(invoices[0], "subscriptions", "period_number").ShouldBe(["2", "1"]);
        Of(invoices[0], "subscriptions", "subscription_id").ShouldBe([$"{calls}", $"{again}"]);
        Of(invoices[0], "lines", "subscription_id").Distinct().ShouldBe([$"{calls}", $"{again}"]);
        invoices[0].GetProperty("usage_tree").GetProperty("size").GetInt32().ShouldBe(1, "an event is counted once, whoever reads it");
        foreach (var (subscription, count) in new[] { (calls, 2), (again, 1) })
        {
            (await tenant.Viewer.Get($"/v1/invoices?subscription_id={subscription}"))
                .Json.GetProperty("items").GetArrayLength().ShouldBe(count);
        }

        static IEnumerable<string> Of(JsonElement invoice, string list, string member) =>
            invoice.GetProperty(list).EnumerateArray().Select(it => it.GetProperty(member).ToString());
    }

    [Fact]
    public async Task A_close_that_is_rolled_back_leaves_no_gap_in_the_numbers()
    {
        var tenant = await billing.NewTenant();
        await BillingHost.Subscribe(tenant, await billing.NewCatalog(), startedAt: "2026-02-15T00:00:00Z");
        var store = billing.Services.GetRequiredService<EventStore.EventStore>();

        await Should.ThrowAsync<InvalidOperationException>(() => store.Transact<bool>(
            tenant.Id.Value,
            Cause.Unknown,
            async (transaction, cancellation) =>
            {
                var together = new RoundTrip(transaction.Connection);
                InvoiceNumbers.Next(together, [tenant.Id], 2026);
                await together.Send(cancellation);
                throw new InvalidOperationException("After the number was taken.");
            },
            BillingHost.Cancellation));
        await Run();

        var numbers = await billing.Strings("select data ->> 'number' from billing.invoices order by 1");
        numbers.ShouldBe(Enumerable.Range(1, numbers.Length).Select(i => $"2026-{i:000000}"));
    }

    [Fact]
    public async Task Numbers_for_several_tenants_go_by_their_order_in_the_series_of_each_issuer()
    {
        var (live, other) = (await billing.NewTenant(), await billing.NewTenant());
        var sandbox = await billing.NewTenant(sandboxAt: "2026-02-15T00:00:00Z");
        await using var connection = new NpgsqlConnection(billing.OwnerConnection);
        await connection.OpenAsync(BillingHost.Cancellation);
        await using var transaction = await connection.BeginTransactionAsync(BillingHost.Cancellation);
        var together = new RoundTrip(connection);

        // A year in which nothing else is numbered.
        var first = InvoiceNumbers.Next(together, [other.Id, sandbox.Id, live.Id], 2999);
        var then = InvoiceNumbers.Next(together, [live.Id, other.Id], 2999);
        await together.Send(BillingHost.Cancellation);

        first.Value.ShouldBe(["2999-000001", "TEST-2999-000001", "2999-000002"]);
        then.Value.ShouldBe(["2999-000003", "2999-000004"]);
    }

    [Fact]
    public async Task Late_usage_is_on_the_next_invoice_once_with_the_period_it_belongs_to()
    {
        var tenant = await billing.NewTenant();
        var subscription = await BillingHost.Subscribe(tenant, await billing.NewCatalog(), startedAt: "2026-01-01T00:00:00Z");
        await Use(tenant, "in time", "2026-01-31T23:59:59.999999Z", calls: 2);
        await Use(tenant, "next period", "2026-02-01T00:00:00Z", calls: 4);
        await Run();
        await Use(tenant, "late for january", "2026-01-15T00:00:00Z", calls: 8);
        await Use(tenant, "late for february", "2026-02-15T00:00:00Z", calls: 16);
        await Use(tenant, "march", "2026-03-05T00:00:00Z", calls: 32);
        await Use(tenant, "before the subscription", "2025-12-31T00:00:00Z", calls: 64);

        (await tenant.Admin.Post($"/v1/subscriptions/{subscription}/close-period")).Status.ShouldBe(201);
        billing.Clock.Set(billing.Clock.Now + Duration.FromHours(1));
        (await tenant.Admin.Post($"/v1/subscriptions/{subscription}/close-period")).Status.ShouldBe(201);

        var calls = (await Invoices(tenant)).AsEnumerable().Reverse().Select(invoice => invoice.GetProperty("lines").EnumerateArray()
            .Where(line => line.GetProperty("unit").GetString() == "call")
            .Select(line => (
                line.GetProperty("kind").GetString(), line.GetProperty("quantity").GetString(),
                line.GetProperty("window_start").GetString()![..10]))
            .ToArray()).ToList();
        calls[0].ShouldBe([("usage", "2", "2026-01-01")]);
        calls[1].ShouldBe([("usage", "4", "2026-02-01")]);
        calls[2].ShouldBe([("usage", "32", "2026-03-01"), ("late_usage", "8", "2026-01-01"), ("late_usage", "16", "2026-02-01")]);
        calls[3].ShouldBe([("usage", "0", "2026-03-10")]);
    }

    [Fact]
    public async Task A_sender_with_a_fast_clock_closes_no_period_before_its_end()
    {
        var tenant = await billing.NewTenant();
        await BillingHost.Subscribe(tenant, await billing.NewCatalog());

        await billing.Services.GetRequiredService<RunDueWork>()
            .Run(billing.Clock.Now + Duration.FromDays(400), Cause.Unknown, BillingHost.Cancellation);

        (await Invoices(tenant)).ShouldBeEmpty();
    }

    [Fact]
    public async Task One_subscriptions_failure_keeps_no_other_from_its_invoice_and_is_tried_again()
    {
        var (broken, sound) = (await billing.NewTenant(), await billing.NewTenant());
        var catalog = await billing.NewCatalog();
        foreach (var tenant in new[] { broken, sound })
            await BillingHost.Subscribe(tenant, catalog, startedAt: "2026-02-01T00:00:00Z");
        // So much that the amount does not fit into money: 10^15 - 1 calls a hundred thousand times over.
        await billing.Execute(
            $$"""
            insert into billing.usage_events (tenant_id, source, id, type, time, received_at, content_hash, data)
            select '{{broken.Id}}', 'flood', i::text, 'inference.call', '2026-02-10', '2026-02-10', '\x00', '{"calls":"999999999999999"}'
            from generate_series(1, 10000) i;
            insert into billing.usage_heads (tenant_id, type, position)
            select tenant_id, type, max(position) from billing.usage_events where tenant_id = '{{broken.Id}}' group by tenant_id, type
            """);

        await Should.ThrowAsync<AggregateException>(() => Run());
        (await Invoices(broken)).ShouldBeEmpty();
        (await Invoices(sound)).Count.ShouldBe(1);

        await UsageRollUpSpecs.RolledUp(billing);
        await billing.Execute(
            $"""
            delete from billing.usage_events where tenant_id = '{broken.Id}';
            delete from billing.usage_rollup_marks where tenant_id = '{broken.Id}';
            delete from billing.usage_rollups where tenant_id = '{broken.Id}';
            """);
        await Run();
        (await Invoices(broken)).Count.ShouldBe(1);
    }

    [Fact]
    public async Task The_message_of_the_recurring_work_closes_what_ended()
    {
        var tenant = await billing.NewTenant();
        await BillingHost.Subscribe(tenant, await billing.NewCatalog(), startedAt: "2026-02-01T00:00:00Z");

        await billing.Bus.Publish(new CloseBillingPeriods(billing.Clock.Now), BillingHost.Cancellation);

        await BillingHost.Eventually(async () => (await Invoices(tenant)).Count == 1, "February is closed");
    }

    [Fact]
    public async Task Every_view_rebuilt_from_its_events_is_the_same()
    {
        var tenant = await billing.NewTenant();
        var catalog = await billing.NewCatalog();
        var subscription = await BillingHost.Subscribe(tenant, catalog, startedAt: "2026-01-20T00:00:00Z");
        await billing.Operator.Post("/v1/cost-rates", new { meter = catalog.Gpu, unit_cost = "0.00004", currency = "EUR" });
        (await tenant.Admin.Post("/v1/payment-methods", new { token = "tok_success" })).Status.ShouldBe(201);
        await Use(tenant, "1", "2026-01-25T00:00:00Z");
        await OfEverything(tenant, subscription);
        await Run();
        await billing.Operator.Post("/v1/coupons", new { code = "REBUILT", display_name = "A", discount = new { kind = "percent", rate = "0.1" }, duration = "once" });
        await tenant.Admin.Post("/v1/coupons/redemptions", new { code = "REBUILT" });
        await billing.Operator.Post("/v1/tax-rates", new { jurisdiction = "DE", rate = "0.19", valid_from = "2026-01-01" });
        await billing.Operator.Put($"/v1/tenants/{tenant.Id}/tax-profile", new { jurisdiction = "DE" });
        await billing.Grant(tenant, "10.00", "promotional");
        var invoice = (await tenant.Admin.Post($"/v1/subscriptions/{subscription}/close-period")).Json.GetProperty("invoice_id").GetGuid();
        var note = await billing.Operator.For(tenant.Id).Post($"/v1/invoices/{invoice}/credit-notes", new
        {
            lines = new[] { new { line = 1, amount = new { amount = "0.50", currency = "EUR" } } },
            reason = "Not as agreed",
        });
        note.Status.ShouldBe(201, note.Text);
        var credit = new { amount = "10.00", currency = "EUR" };
        var bought = await tenant.Admin.Post("/v1/wallet/top-ups", new { amount = credit });
        var path = $"/v1/payments/{bought.Json.GetProperty("payment_id").GetString()}/refunds";
        (await billing.Operator.For(tenant.Id).Post(path, new { reason = "No longer needed" })).Status.ShouldBe(201);
        (await tenant.Admin.Put("/v1/wallet/top-up-rule", new { threshold = credit, amount = credit })).Status.ShouldBe(200);
        await Run();
        var rebuild = billing.Services.GetRequiredService<Rebuild>();
        rebuild.Projections.ShouldBe(
            [
                "tenants", "api_keys", "meters", "products", "prices", "plans", "add_ons", "subscriptions", "subscribed_add_ons",
                "billing_periods", "entitlements", "invoices", "ledger_entries", "receivables", "payment_methods", "payments",
                "coupons", "coupon_redemptions", "tax_rates", "tax_profiles",
                "credit_notes", "credit_grants", "wallet_transactions", "top_ups", "recurring_revenue", "cost_rates", "refunds",
            ],
            ignoreOrder: true);

        foreach (var projection in rebuild.Projections)
        {
            var live = await Rows(projection);
            live.ShouldNotBeEmpty(projection);
            await rebuild.Run(projection, BillingHost.Cancellation);
            (await Rows(projection)).ShouldBe(live, projection);
        }

        Task<string[]> Rows(string table) => billing.Strings($"select it::text from billing.{table} it order by 1");
    }

    [Fact]
    public async Task Yen_have_no_decimals()
    {
        var tenant = await billing.NewTenant(currency: "JPY");
        var subscription = await BillingHost.Subscribe(tenant, await billing.NewCatalog("JPY"), startedAt: "2026-03-01T00:00:00Z");
        await Use(tenant, "1", "2026-03-05T00:00:00Z", calls: 10);

        var invoice = (await tenant.Admin.Post($"/v1/subscriptions/{subscription}/close-period")).Json;

        // 9 of 31 days of 3100, and 10 calls at 0.05: half a yen is a whole one.
        Total(invoice).ShouldBe("901");
    }

    // Something of each kind that a tenant need not have.
    private async Task OfEverything(TestTenant tenant, Guid subscription)
    {
        var name = $"t{Guid.CreateVersion7():n}";
        var nothing = new { amount = "0.00", currency = "EUR" };
        await Posted(billing.Operator, "/v1/products", new { key = name, display_name = "Inference", business = "model_services" });
        await Posted(billing.Operator, "/v1/prices", new { key = name, currency = "EUR", unit_amount = "2" });
        var addOn = await Posted(
            billing.Operator, "/v1/add-ons", new { key = name, display_name = "Address", amount = nothing, kind = "recurring" });
        await Posted(tenant.Admin, $"/v1/subscriptions/{subscription}/add-ons", new { add_on_id = addOn.GetProperty("add_on_id").GetString() });
        var plan = await Posted(billing.Operator, "/v1/plans", new
        {
            key = name,
            display_name = "Pools",
            recurring_fee = nothing,
            proration = "none",
            charges = Array.Empty<object>(),
            entitlements = new { features = spotPool },
        });
        await Posted(tenant.Admin, "/v1/subscriptions", new { plan_id = plan.GetProperty("plan_id").GetString() });

        static async Task<JsonElement> Posted(Caller by, string path, object body)
        {
            var answer = await by.Post(path, body);
            answer.Status.ShouldBe(201, answer.Text);
            return answer.Json;
        }
    }

    private Task<int> Run() => billing.Services.GetRequiredService<RunDueWork>()
        .Run(billing.Clock.Now, Cause.Unknown, BillingHost.Cancellation);

    private static async Task Use(TestTenant tenant, string id, string time, int calls = 1) =>
        (await tenant.Partner.Post("/v1/usage/events", new
        {
            id,
            source = "test",
            type = "inference.call",
            time,
            data = new { calls = $"{calls}" },
        })).Status.ShouldBe(200);

    private static async Task<List<JsonElement>> Invoices(TestTenant tenant) =>
        [.. (await tenant.Viewer.Get("/v1/invoices")).Json.GetProperty("items").EnumerateArray()];

    private static string? Total(JsonElement invoice) => invoice.GetProperty("total").GetProperty("amount").GetString();
}
