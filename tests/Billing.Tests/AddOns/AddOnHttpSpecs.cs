using System.Text.Json;
using Platform.Billing.Tests.Http;

namespace Platform.Billing.Tests.AddOns;

/// <summary>Add-ons from the catalog to invoices. Moves the clock, so it has a host of its own.</summary>
public sealed class AddOnHttpSpecs(OwnBillingHost billing) : IClassFixture<OwnBillingHost>
{
    [Fact]
    public async Task A_recurring_add_on_is_on_every_invoice_and_a_one_off_one_on_the_next_with_their_products()
    {
        await billing.RunAt("2026-03-01T00:00:00Z");
        var tenant = await billing.NewTenant();
        var subscription = await BillingHost.Subscribe(tenant, await billing.NewCatalog());
        var (product, recurring) = (await Product(), await AddOn("recurring", "31.00"));
        await billing.RunAt("2026-03-11T10:00:00Z");
        var address = await Attach(tenant, subscription, recurring, quantity: 2);
        await Attach(tenant, subscription, await AddOn("one_off", "99.00", product), quantity: 1);

        await billing.RunAt("2026-04-01T00:00:00Z");
        (await AddOnLines(tenant)).ShouldBe(["62.00 Static address, 21 of 31 days = 42.00", "99.00 Static address = 99.00"], ignoreOrder: true);
        var lines = (await tenant.Viewer.Get("/v1/invoices")).Json.GetProperty("items")[0].GetProperty("lines").EnumerateArray();
        lines.Count(line => line.TryGetProperty("product_id", out var named) && named.GetString() == product).ShouldBe(1);

        await billing.RunAt("2026-05-01T00:00:00Z");
        (await AddOnLines(tenant)).ShouldBe(["31.00 Static address = 62.00"]);

        await billing.RunAt("2026-05-11T10:00:00Z");
        var removed = await tenant.Admin.Post($"/v1/subscriptions/{subscription}/add-ons/{address}/remove");
        removed.Status.ShouldBe(200, removed.Text);
        removed.Json.GetProperty("removed_at").GetString().ShouldBe("2026-05-11T10:00:00Z");
        await billing.RunAt("2026-06-01T00:00:00Z");
        (await AddOnLines(tenant)).ShouldBe(["62.00 Static address, 10 of 31 days = 20.00"]);
        await billing.RunAt("2026-07-01T00:00:00Z");
        (await AddOnLines(tenant)).ShouldBeEmpty();

        await EveryInvoiceReplays(tenant);
    }

    [Fact]
    public async Task A_line_names_its_add_on_and_one_from_before_lines_did_so_replays_without_it()
    {
        await billing.RunAt("2026-10-01T00:00:00Z");
        var tenant = await billing.NewTenant();
        var subscription = await BillingHost.Subscribe(tenant, await billing.NewCatalog(), "2026-10-01T00:00:00Z");
        var recurring = await AddOn("recurring", "31.00");
        await Attach(tenant, subscription, recurring, quantity: 2);
        await billing.RunAt("2026-11-01T00:00:00Z");

        var invoice = (await tenant.Viewer.Get("/v1/invoices")).Json.GetProperty("items")[0];
        Named(invoice).ShouldBe([null, recurring, null, null], ignoreOrder: true);
        Named((await tenant.Viewer.Get($"/v1/invoices/{invoice.GetProperty("invoice_id")}/explain")).Json)
            .ShouldBe([null, recurring, null, null], ignoreOrder: true);
        var named = await EveryInvoiceReplays(tenant);

        await billing.Execute(
            $"update billing.events set data = data - 'add_on_id' where tenant_id = '{tenant.Id}' and type = 'invoice.line_added.v1'");
        (await EveryInvoiceReplays(tenant)).ShouldNotBe(named);

        static IEnumerable<string?> Named(JsonElement of) => of.GetProperty("lines").EnumerateArray()
            .Select(line => line.TryGetProperty("add_on_id", out var addOn) ? addOn.GetString() : null);
    }

    /// <returns>What their events come to.</returns>
    private static async Task<IReadOnlyList<string?>> EveryInvoiceReplays(TestTenant tenant)
    {
        var hashes = new List<string?>();
        foreach (var invoice in (await tenant.Viewer.Get("/v1/invoices")).Json.GetProperty("items").EnumerateArray())
        {
            var replayed = await tenant.Viewer.Get($"/v1/invoices/{invoice.GetProperty("invoice_id")}/replay");
            replayed.Json.GetProperty("identical").GetBoolean().ShouldBeTrue(replayed.Text);
            hashes.Add(replayed.Json.GetProperty("stored_sha256").GetString());
        }

        return hashes;
    }

    [Fact]
    public async Task What_cannot_be_attached_or_removed_is_refused()
    {
        await billing.RunAt("2026-08-01T00:00:00Z");
        var (tenant, other) = (await billing.NewTenant(), await billing.NewTenant());
        var subscription = await BillingHost.Subscribe(tenant, await billing.NewCatalog(), "2026-08-01T00:00:00Z");
        var addOn = await AddOn("one_off", "99.00");
        var attached = await Attach(tenant, subscription, addOn, quantity: 1);

        var nameless = await billing.Operator.Post("/v1/add-ons", new
        {
            key = $"t{Guid.CreateVersion7():n}",
            display_name = "Static address",
            amount = new { amount = "1.00", currency = "EUR" },
            kind = "recurring",
            tax_category = "No category",
        });
        (nameless.Status, nameless.Fields.ShouldHaveSingleItem()).ShouldBe((400, "tax_category"));
        await Refused(tenant, addOn, quantity: 0, (400, "request.invalid"), "quantity");
        await Refused(tenant, Guid.CreateVersion7().ToString(), quantity: 1, (422, "add_on.unknown"), "add_on_id");
        await Refused(other, addOn, quantity: 1, (404, "subscription.not_found"));
        var stolen = await other.Admin.Post($"/v1/subscriptions/{subscription}/add-ons/{attached}/remove");
        (stolen.Status, stolen.Code).ShouldBe((404, "subscribed_add_on.not_found"));
        (await tenant.Viewer.Get($"/v1/subscriptions/{subscription}/add-ons")).Json.GetProperty("items").GetArrayLength().ShouldBe(1);
        var foreign = await other.Viewer.Get($"/v1/subscriptions/{subscription}/add-ons");
        (foreign.Status, foreign.Code).ShouldBe((404, "subscription.not_found"));

        await billing.RunAt("2026-09-01T00:00:00Z");
        var late = await tenant.Admin.Post($"/v1/subscriptions/{subscription}/add-ons/{attached}/remove");
        (late.Status, late.Code).ShouldBe((409, "subscribed_add_on.billed"));

        async Task Refused(TestTenant by, string id, int quantity, (int, string) answer, params string[] fields)
        {
            var refused = await by.Admin.Post($"/v1/subscriptions/{subscription}/add-ons", new { add_on_id = id, quantity });
            (refused.Status, refused.Code).ShouldBe(answer, refused.Text);
            refused.Fields.ShouldBe(fields);
        }
    }

    private static async Task<string?[]> AddOnLines(TestTenant tenant) =>
    [
        .. (await tenant.Viewer.Get("/v1/invoices")).Json.GetProperty("items")[0].GetProperty("lines").EnumerateArray()
            .Where(line => line.GetProperty("kind").GetString() == "add_on")
            .Select(line =>
            {
                var each = line.GetProperty("unit").GetString() == "day" ? "62.00" : line.GetProperty("unit_amount").GetString();
                return $"{each} {line.GetProperty("description")} = {line.GetProperty("amount").GetProperty("amount")}";
            }),
    ];

    private async Task<string?> Product()
    {
        var product = await billing.Operator.Post(
            "/v1/products", new { key = $"t{Guid.CreateVersion7():n}", display_name = "Set-up", business = "consulting" });
        product.Status.ShouldBe(201, product.Text);
        return product.Json.GetProperty("product_id").GetString();
    }

    private async Task<string> AddOn(string kind, string amount, string? product = null)
    {
        var addOn = await billing.Operator.Post("/v1/add-ons", new
        {
            key = $"t{Guid.CreateVersion7():n}",
            display_name = "Static address",
            amount = new { amount, currency = "EUR" },
            kind,
            product_id = product,
        });
        addOn.Status.ShouldBe(201, addOn.Text);
        return addOn.Json.GetProperty("add_on_id").GetString()!;
    }

    private static async Task<string?> Attach(TestTenant tenant, Guid subscription, string addOn, int quantity)
    {
        var attached = await tenant.Admin.Post($"/v1/subscriptions/{subscription}/add-ons", new { add_on_id = addOn, quantity });
        attached.Status.ShouldBe(201, attached.Text);
        return attached.Json.GetProperty("subscribed_add_on_id").GetString();
    }
}
