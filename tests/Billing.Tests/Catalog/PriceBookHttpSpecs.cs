using Platform.Billing.Tests.Http;

namespace Platform.Billing.Tests.Catalog;

/// <summary>Products and the price book as operators write them and tenants read them.</summary>
public sealed class PriceBookHttpSpecs(BillingHost billing)
{
    [Fact]
    public async Task A_product_is_defined_and_plans_name_it()
    {
        var key = NewKey();
        var product = await billing.Operator.Post("/v1/products", new { key, display_name = "Leases", business = "hardware_leases" });
        product.Status.ShouldBe(201, product.Text);
        var id = product.Json.GetProperty("product_id").GetString();
        (await billing.Operator.Get($"/v1/products/{id}")).Text.ShouldBe(product.Text);

        var plan = await billing.Operator.Post("/v1/plans", Plan(id));
        plan.Status.ShouldBe(201, plan.Text);
        plan.Json.GetProperty("versions")[0].GetProperty("product_id").GetString().ShouldBe(id);

        var taken = await billing.Operator.Post("/v1/products", new { key, display_name = "Again", business = "consulting" });
        (taken.Status, taken.Code).ShouldBe((409, "product.key_taken"));
        var unknown = await billing.Operator.Post("/v1/plans", Plan(Guid.CreateVersion7().ToString()));
        (unknown.Status, unknown.Code).ShouldBe((422, "plan.product_unknown"));
        unknown.Fields.ShouldBe(["product_id"]);
    }

    [Fact]
    public async Task The_price_at_an_instant_is_the_tenants_own_before_the_books()
    {
        var (tenant, other) = (await billing.NewTenant(), await billing.NewTenant());
        var key = NewKey();
        await Publish(key, "2.10", "2026-01-01T00:00:00Z");
        await Publish(key, "1.90", "2026-04-01T00:00:00Z");
        await Publish(key, "1.50", "2026-03-01T00:00:00Z", tenant, until: "2026-05-01T00:00:00Z");

        (await At(tenant, "2026-02-28T23:59:59Z")).ShouldBe("2.10");
        (await At(tenant, "2026-03-01T00:00:00Z")).ShouldBe("1.50");
        (await At(tenant, "2026-05-01T00:00:00Z")).ShouldBe("1.90");
        (await At(other, "2026-03-01T00:00:00Z")).ShouldBe("2.10");
        (await At(other, "2019-03-01T00:00:00Z")).ShouldBe("2.10");
        (await Listed(tenant, "")).ShouldBe(["2.10", "1.90"], ignoreOrder: true);
        (await Listed(tenant, "&overrides=true")).ShouldBe(["1.50"]);
        (await Listed(other, "&overrides=true")).ShouldBeEmpty();

        async Task<string?> At(TestTenant of, string at) => (await of.Viewer.Get($"/v1/prices?key={key}&at={at}")).Json.GetProperty("items")
            .EnumerateArray().Single().GetProperty("unit_amount").GetString();

        async Task<string?[]> Listed(TestTenant of, string query) =>
        [
            .. (await of.Viewer.Get($"/v1/prices?key={key}{query}")).Json.GetProperty("items").EnumerateArray()
                .Select(price => price.GetProperty("unit_amount").GetString()),
        ];
    }

    [Fact]
    public async Task What_was_billed_keeps_its_price()
    {
        var tenant = await billing.NewTenant();
        var subscription = await BillingHost.Subscribe(tenant, await billing.NewCatalog());
        var key = NewKey();
        await Publish(key, "2.10", "2026-01-01T00:00:00Z");
        (await tenant.Admin.Post($"/v1/subscriptions/{subscription}/close-period")).Status.ShouldBe(201);

        var refused = await billing.Operator.Post("/v1/prices", Price(key, "1.50", "2026-03-10T11:59:59Z", tenant));

        (refused.Status, refused.Code).ShouldBe((422, "price.retroactive"));
        await Publish(key, "1.50", "2026-03-10T12:00:00Z", tenant);
    }

    [Theory]
    [InlineData("""{"key":"Gpu","currency":"USD","unit_amount":"1"}""", "key")]
    [InlineData("""{"key":"gpu","currency":"USD","unit_amount":"-1"}""", "unit_amount")]
    [InlineData("""{"key":"gpu","currency":"USD","unit_amount":"0.0000000000001"}""", "unit_amount")]
    [InlineData("""{"key":"gpu","currency":"US","unit_amount":"1"}""", "currency")]
    [InlineData("""{"key":"gpu","currency":"USD","unit_amount":"1","valid_from":"soon"}""", "valid_from")]
    public async Task What_makes_no_sense_is_named(string body, string field)
    {
        var answer = await billing.Operator.Post("/v1/prices", body);

        answer.Status.ShouldBe(400, answer.Text);
        answer.Fields.ShouldBe([field]);
    }

    [Fact]
    public async Task Only_operators_write_prices_and_products_and_a_price_at_an_instant_needs_a_key()
    {
        var tenant = await billing.NewTenant();

        (await tenant.Admin.Post("/v1/prices", Price("gpu", "1", from: null))).Status.ShouldBe(403);
        (await tenant.Admin.Post("/v1/products", new { key = "gpu", display_name = "GPU", business = "consulting" })).Status.ShouldBe(403);
        (await tenant.Viewer.Get("/v1/prices?at=2026-03-01T00:00:00Z")).Fields.ShouldBe(["key"]);
    }

    private async Task Publish(string key, string amount, string from, TestTenant? tenant = null, string? until = null)
    {
        var published = await billing.Operator.Post("/v1/prices", Price(key, amount, from, tenant, until));
        published.Status.ShouldBe(201, published.Text);
    }

    private static object Price(string key, string amount, string? from, TestTenant? tenant = null, string? until = null) => new
    {
        key,
        currency = "EUR",
        unit_amount = amount,
        valid_from = from,
        tenant_id = tenant?.Id.ToString(),
        valid_until = until,
    };

    private static object Plan(string? product) => new
    {
        key = NewKey(),
        display_name = "Standard",
        recurring_fee = new { amount = "0.00", currency = "EUR" },
        proration = "none",
        charges = Array.Empty<object>(),
        product_id = product,
    };

    private static string NewKey() => $"t{Guid.CreateVersion7():n}";
}
