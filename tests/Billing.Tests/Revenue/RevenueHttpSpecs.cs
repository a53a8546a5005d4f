using System.Globalization;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Platform.Billing.Tests.Http;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Tests.Revenue;

/// <summary>
/// What operators see of revenue. These views are over all tenants, so each test has a currency of its own, and the clock moves, so
/// they have a host of their own.
/// </summary>
public sealed class RevenueHttpSpecs(OwnBillingHost billing) : IClassFixture<OwnBillingHost>
{
    [Fact]
    public async Task What_recurs_is_shown_at_a_moment_and_as_it_moved_and_a_rebuild_says_the_same()
    {
        await billing.RunAt("2026-03-01T00:00:00Z");
        var catalog = await billing.NewCatalog("CHF");
        var tenant = await billing.NewTenant(currency: "CHF");
        var subscription = await BillingHost.Subscribe(tenant, catalog);
        await BillingHost.Subscribe(await billing.NewTenant(currency: "CHF", sandboxAt: "2026-03-01T00:00:00Z"), catalog);
        await billing.RunAt("2026-04-10T00:00:00Z");
        await Changed(tenant, subscription, "change-quantity", new { quantity = 2, when = "now" });
        await billing.RunAt("2026-05-05T00:00:00Z");
        await Changed(tenant, subscription, "cancel", new { when = "period_end" });

        (await Mrr("as_of=2026-03-15T00:00:00Z")).ShouldBe("2026-03-15T00:00:00Z: 31.00 a month, 372.00 a year, 1 tenants");
        (await Mrr("month=2026-03")).ShouldBe("2026-04-01T00:00:00Z: 31.00 a month, 372.00 a year, 1 tenants");
        (await Mrr("as_of=2026-04-10T00:00:00Z")).ShouldBe("2026-04-10T00:00:00Z: 62.00 a month, 744.00 a year, 1 tenants");
        (await Mrr("month=2026-12")).ShouldBe("2026-05-05T00:00:00Z: 62.00 a month, 744.00 a year, 1 tenants");
        (await Mrr("as_of=2026-02-28T23:59:59Z")).ShouldBe("2026-02-28T23:59:59Z: ");
        // What is agreed for a time to come is known already, and the same once it has come.
        string[] moved =
        [
            "2026-02: 0.00 + 0.00 + 0.00 + 0.00 = 0.00", "2026-03: 0.00 + 31.00 + 0.00 + 0.00 = 31.00",
            "2026-04: 31.00 + 0.00 + 31.00 + 0.00 = 62.00", "2026-05: 62.00 + 0.00 + 0.00 + 0.00 = 62.00",
            "2026-06: 62.00 + 0.00 + 0.00 + -62.00 = 0.00",
        ];
        (await Movements()).ShouldBe(moved);
        await billing.RunAt("2026-06-02T00:00:00Z");
        (await Movements()).ShouldBe(moved);
        (await Mrr("")).ShouldBe("2026-06-02T00:00:00Z: ");

        var live = await Rows();
        await billing.Services.GetRequiredService<Rebuild>().Run("recurring_revenue", BillingHost.Cancellation);
        (await Rows()).ShouldBe(live);

        async Task<string> Mrr(string query)
        {
            var mrr = (await Read($"mrr?currency=CHF&{query}")).Json;
            return $"{mrr.GetProperty("as_of")}: " + string.Join(", ", mrr.GetProperty("items").EnumerateArray().Select(it =>
                $"{Amount(it, "amount")} a month, {Amount(it, "annual_run_rate")} a year, {it.GetProperty("tenants")} tenants"));
        }

        async Task<string[]> Movements() =>
        [
            .. Items(await Read("mrr/movements?currency=CHF&from=2026-02&to=2026-06")).Select(it =>
                $"{it.GetProperty("month")}: {Amount(it, "start")} + {Amount(it, "new")} + {Amount(it, "expansion")} + {Amount(it, "churn")}"
                    + $" = {Amount(it, "end")}"),
        ];

        Task<string[]> Rows() => billing.Strings("select data::text from billing.recurring_revenue where data ->> 'currency' = 'CHF' order by id");
    }

    [Fact]
    public async Task Products_earn_what_the_books_say_less_discounts_contained_tax_and_what_was_taken_back()
    {
        await billing.RunAt("2026-03-01T00:00:00Z");
        var (tenant, other) = (await billing.NewTenant(currency: "SEK"), await billing.NewTenant(currency: "SEK"));
        var product = await Created("/v1/products", new { key = $"t{Guid.CreateVersion7():n}", display_name = "Inference", business = "model_services" }, "product_id");
        var (sold, unnamed) = (await Plan("31.00", product), await Plan("20.00", product: null));
        await Discounted(tenant);
        foreach (var plan in (Guid[])[sold, unnamed])
            await BillingHost.Subscribe(tenant, new(plan, "", "", "", ""));
        await BillingHost.Subscribe(other, new(unnamed, "", "", "", ""));
        await billing.RunAt("2026-04-01T00:00:00Z");

        // Of each line a tenth is a discount, and a fifth of the rest is tax.
        (await Revenue("2026-04-01T00:00:00Z", "2026-04-02T00:00:00Z")).ShouldBe(
        [
            "Inference 22.32: discount -3.10, included_tax -5.58, recurring_fee 31.00",
            "? 34.40: discount -2.00, included_tax -3.60, recurring_fee 40.00",
        ]);

        await billing.RunAt("2026-04-02T00:00:00Z");
        var invoice = Items(await tenant.Viewer.Get("/v1/invoices"))[0];
        var line = invoice.GetProperty("lines").EnumerateArray().Single(it => Amount(it, "amount") == "31.00").GetProperty("number").GetInt32();
        await Created(
            $"/v1/invoices/{invoice.GetProperty("invoice_id")}/credit-notes",
            new { lines = new[] { new { line, amount = new { amount = "5.00", currency = "SEK" } } }, reason = "Slow" }, "credit_note_id", tenant);
        var voided = await billing.Operator.For(other.Id).Post(
            $"/v1/invoices/{Items(await other.Viewer.Get("/v1/invoices"))[0].GetProperty("invoice_id")}/void", new { reason = "Wrong" });
        voided.Status.ShouldBe(200, voided.Text);

        // Of the 5.00 that are credited a fifth is tax.
        (await Revenue("2026-03-01T00:00:00Z", "2026-05-01T00:00:00Z")).ShouldBe(
        [
            "Inference 18.32: discount -3.10, included_tax -5.58, recurring_fee 27.00",
            "? 14.40: discount -2.00, included_tax -3.60, recurring_fee 20.00",
        ]);
        ByKind(Items(await Read("by-product?currency=SEK&from=2026-03-01T00:00:00Z&to=2026-05-01T00:00:00Z"))
            .SelectMany(it => it.GetProperty("kinds").EnumerateArray())
            .Select(it => (it.GetProperty("kind").GetString()!, Parsed(it, "amount")))).ShouldBe(await Books());
        (await Revenue("2026-04-03T00:00:00Z", "2026-05-01T00:00:00Z")).ShouldBeEmpty();
        Items(await tenant.Viewer.Get("/v1/ledger/postings"))[0].GetProperty("entries").EnumerateArray()
            .Where(entry => entry.TryGetProperty("product_id", out var named) && named.GetGuid() == product)
            .Select(entry => entry.GetProperty("kind").GetString()).ShouldBe(["recurring_fee", "discount", "included_tax"]);

        async Task<string[]> Revenue(string from, string to) =>
        [
            .. Items(await Read($"by-product?currency=SEK&from={from}&to={to}")).Select(it =>
                $"{(it.GetProperty("product_id").ValueKind is JsonValueKind.Null ? "?" : it.GetProperty("display_name"))} {Amount(it, "revenue")}: "
                    + string.Join(", ", it.GetProperty("kinds").EnumerateArray().Select(kind => $"{kind.GetProperty("kind")} {Amount(kind, "amount")}"))),
        ];

        // The revenue accounts of both tenants: a credit is revenue.
        async Task<SortedDictionary<string, decimal>> Books()
        {
            var accounts = new List<(string, decimal)>();
            foreach (var each in (TestTenant[])[tenant, other])
            {
                accounts.AddRange((await each.Viewer.Get("/v1/ledger/balances")).Json.GetProperty("balances").EnumerateArray()
                    .Where(it => it.GetProperty("account").GetString() == "revenue")
                    .Select(it => (it.GetProperty("kind").GetString()!, -Parsed(it, "net"))));
            }

            return ByKind(accounts);
        }

        static SortedDictionary<string, decimal> ByKind(IEnumerable<(string Kind, decimal Amount)> amounts) =>
            new(amounts.GroupBy(it => it.Kind).ToDictionary(kind => kind.Key, kind => kind.Sum(it => it.Amount)));

        async Task Discounted(TestTenant to)
        {
            var code = $"c{Guid.CreateVersion7():n}";
            await Created("/v1/coupons", new { code, display_name = "Tenth", discount = new { kind = "percent", rate = "0.1" }, duration = "forever" }, "coupon_id");
            (await to.Admin.Post("/v1/coupons/redemptions", new { code })).Status.ShouldBe(201);
            await Created("/v1/tax-rates", new { jurisdiction = "SE", rate = "0.25", valid_from = "2020-01-01", inclusive = true }, "tax_rate_id");
            (await billing.Operator.Put($"/v1/tenants/{to.Id}/tax-profile", new { jurisdiction = "SE" })).Status.ShouldBe(200);
        }

        Task<Guid> Plan(string fee, Guid? product) => Created(
            "/v1/plans",
            new
            {
                key = $"t{Guid.CreateVersion7():n}",
                display_name = "Plan",
                recurring_fee = new { amount = fee, currency = "SEK" },
                proration = "days",
                charges = Array.Empty<object>(),
                product_id = product,
            },
            "plan_id");
    }

    [Fact]
    public async Task A_tenants_margin_is_what_its_periods_earned_less_what_its_use_cost_at_the_rates_of_its_time()
    {
        await billing.RunAt("2026-03-01T00:00:00Z");
        var (tenant, idle) = (await billing.NewTenant(currency: "NOK"), await billing.NewTenant(currency: "NOK"));
        var catalog = await billing.NewCatalog("NOK");
        await BillingHost.Subscribe(tenant, catalog);
        await CostRate(catalog.Calls, "0.02", "2026-03-15T00:00:00Z");
        await CostRate(catalog.Calls, "0.01", "2026-03-01T00:00:00Z");
        await CostRate(catalog.Calls, "9", "2026-03-01T00:00:00Z", "USD");
        await CostRate(catalog.Requests, "1", "2026-01-01T00:00:00Z");
        await billing.Use(tenant, "before", "2026-03-14T23:59:59Z", calls: 100, now: "2026-03-15T00:00:00Z");
        await billing.Use(tenant, "after", "2026-03-15T00:00:00Z", calls: 50);
        var request = await tenant.Partner.Post(
            "/v1/usage/events", new { id = "request", source = "test", type = catalog.RequestType, time = "2026-03-10T00:00:00Z", data = new { } });
        request.Status.ShouldBe(200, request.Text);
        await billing.RunAt("2026-04-01T00:00:00Z");

        // Usage that nothing bills is rolled up within seconds.
        await BillingHost.Eventually(async () => (await Margin(tenant)).GetProperty("costs").GetArrayLength() == 3, "all use is rolled up");

        var margin = await Margin(tenant);
        margin.GetProperty("costs").EnumerateArray().Select(it =>
            $"{it.GetProperty("quantity").GetString()} x {it.GetProperty("unit_cost").GetString()} = {it.GetProperty("amount").GetString()}")
            .ShouldBe(["100 x 0.01 = 1", "50 x 0.02 = 1", "1 x 1 = 1"], ignoreOrder: true);
        (Amount(margin, "revenue"), Amount(margin, "cost"), Amount(margin, "margin")).ShouldBe(("38.50", "3.00", "35.50"));
        margin.GetProperty("margin_rate").GetString().ShouldBe("0.9221");
        var nothing = await Margin(idle);
        (Amount(nothing, "revenue"), Amount(nothing, "cost"), nothing.GetProperty("margin_rate").ValueKind).ShouldBe(("0.00", "0.00", JsonValueKind.Null));

        // The invoice was made in April, and is March's revenue all the same.
        Amount(await Margin(tenant, "2026-04-01T00:00:00Z", "2026-05-01T00:00:00Z"), "revenue").ShouldBe("0.00");
        Amount(await Margin(tenant, "2026-03-15T00:00:00Z", "2026-03-16T00:00:00Z"), "cost").ShouldBe("1.00");
        Items(await billing.Operator.Get($"/v1/cost-rates?meter={catalog.Calls}")).Length.ShouldBe(3);

        async Task CostRate(string meter, string cost, string from, string currency = "NOK")
        {
            var id = await Created("/v1/cost-rates", new { meter, unit_cost = cost, currency, effective_from = from }, "cost_rate_id");
            (await billing.Operator.Get($"/v1/cost-rates/{id}")).Json.GetProperty("unit_cost").GetString().ShouldBe(cost);
        }

        // Page by page, as somebody reads it who knows how many tenants there are.
        async Task<JsonElement> Margin(TestTenant of, string from = "2026-03-01T00:00:00Z", string to = "2026-04-01T00:00:00Z")
        {
            for (string? cursor = null; ;)
            {
                var page = await Read($"margins?limit=1&from={from}&to={to}" + (cursor is null ? "" : $"&cursor={cursor}"));
                var item = Items(page).ShouldHaveSingleItem();
                item.GetProperty("tenant_id").GetGuid().ShouldNotBe(TenantId.Operator.Value, "who bills is no tenant that is billed");
                if (item.GetProperty("tenant_id").GetGuid() == of.Id.Value)
                    return item;
                cursor = page.Json.GetProperty("next_cursor").GetString();
                cursor.ShouldNotBeNull();
            }
        }
    }

    [Theory]
    [InlineData("mrr?month=2026-13", "month")]
    [InlineData("mrr?month=9999-12", "month")]
    [InlineData("mrr?month=-0001-12", "month")]
    [InlineData("mrr?as_of=9999-12-31T23:59:59Z", "as_of")]
    [InlineData("mrr?as_of=-0001-12-31T23:59:59Z", "as_of")]
    [InlineData("mrr?month=2026-03&as_of=2026-03-01T00:00:00Z", "month")]
    [InlineData("mrr?as_of=yesterday", "as_of")]
    [InlineData("mrr?currency=EURO", "currency")]
    [InlineData("mrr/movements?to=2026-03", "from")]
    [InlineData("mrr/movements?from=2026-03&to=2026-02", "to")]
    [InlineData("mrr/movements?from=2016-03&to=2026-03", "to")]
    [InlineData("by-product?to=2026-03-01T00:00:00Z", "from")]
    [InlineData("by-product?from=2026-03-01T00:00:00Z&to=2026-03-01T00:00:00Z", "to")]
    [InlineData("margins?from=2026-03-01T00:30:00Z&to=2026-03-02T00:00:00Z", "from")]
    [InlineData("margins?from=2026-03-01T00:00:00Z&to=2026-03-01T00:00:00Z", "to")]
    public async Task A_question_that_makes_no_sense_is_refused_by_its_field(string query, string field)
    {
        var answer = await billing.Operator.Get($"/v1/revenue/{query}");

        answer.Status.ShouldBe(400, answer.Text);
        answer.Fields.ShouldBe([field]);
    }

    [Theory]
    [InlineData("""{"meter":"no-such-meter","unit_cost":"1","currency":"EUR"}""", 422, "meter")]
    [InlineData("""{"meter":"gpu","unit_cost":"-1","currency":"EUR"}""", 400, "unit_cost")]
    [InlineData("""{"meter":"gpu","unit_cost":"1","currency":"EUR","effective_from":"2026-03-01T00:30:00Z"}""", 400, "effective_from")]
    [InlineData("""{"meter":"gpu","unit_cost":"1","currency":"EURO"}""", 400, "currency")]
    public async Task A_cost_rate_that_makes_no_sense_is_refused_by_its_field(string body, int status, string field)
    {
        var answer = await billing.Operator.Post("/v1/cost-rates", body);

        answer.Status.ShouldBe(status, answer.Text);
        answer.Fields.ShouldBe([field]);
    }

    [Fact]
    public async Task Revenue_and_costs_are_the_operators()
    {
        var tenant = await billing.NewTenant();

        foreach (var path in (string[])["revenue/mrr", "revenue/mrr/movements", "revenue/by-product", "revenue/margins", "cost-rates"])
            (await tenant.Admin.Get($"/v1/{path}")).Status.ShouldBe(403, path);
        (await tenant.Admin.Post("/v1/cost-rates", "{}")).Status.ShouldBe(403);
        (await billing.Anonymous.Get("/v1/revenue/mrr")).Status.ShouldBe(401);
        (await billing.CountAsApplication("recurring_revenue")).ShouldBe(0);
    }

    private async Task<Answer> Read(string query)
    {
        var answer = await billing.Operator.Get($"/v1/revenue/{query}");
        answer.Status.ShouldBe(200, answer.Text);
        return answer;
    }

    private async Task<Guid> Created(string path, object body, string id, TestTenant? of = null)
    {
        var created = await (of is null ? billing.Operator : billing.Operator.For(of.Id)).Post(path, body);
        created.Status.ShouldBe(201, created.Text);
        return created.Json.GetProperty(id).GetGuid();
    }

    private static async Task Changed(TestTenant tenant, Guid subscription, string how, object body)
    {
        var changed = await tenant.Admin.Post($"/v1/subscriptions/{subscription}/{how}", body);
        changed.Status.ShouldBe(200, changed.Text);
    }

    private static JsonElement[] Items(Answer answer) => [.. answer.Json.GetProperty("items").EnumerateArray()];

    private static string? Amount(JsonElement of, string field) => of.GetProperty(field).GetProperty("amount").GetString();

    private static decimal Parsed(JsonElement of, string field) => decimal.Parse(Amount(of, field)!, CultureInfo.InvariantCulture);
}
