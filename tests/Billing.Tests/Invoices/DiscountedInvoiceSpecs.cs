using System.Globalization;
using System.Text.Json;
using NodaTime;
using Platform.Billing.Tests.Http;

namespace Platform.Billing.Tests.Invoices;

/// <summary>Coupon and tax together over HTTP, from the catalogs to invoice, books and exports. Moves the clock, so it has a host of its own.</summary>
public sealed class DiscountedInvoiceSpecs(OwnBillingHost billing) : IClassFixture<OwnBillingHost>
{
    private static readonly Instant start = Instant.FromUtc(2026, 3, 10, 12, 0);

    [Fact]
    public async Task A_coupon_and_tax_end_in_the_invoice_its_ledger_and_its_papers()
    {
        billing.Clock.Set(start);
        await TaxRates("AT", ("standard", "0.2", false), ("reduced", "0.1", false));
        var tenant = await billing.NewTenant();
        await Set(tenant, "AT", "ATU12345678");
        var catalog = await Catalog(callsCategory: "reduced");
        await BillingHost.Subscribe(tenant, catalog, startedAt: "2026-03-01T00:00:00Z");
        var welcome = await Redeem(tenant, "fixed", "10.00", "once", priority: 1);
        var always = await Redeem(tenant, "percent", "0.1", "forever", priority: 2);
        await billing.Use(tenant, "march", "2026-03-05T00:00:00Z", calls: 101);

        var preview = await tenant.Viewer.Post("/v1/invoices/preview", new { });
        await billing.RunAt("2026-04-01T00:00:01Z");

        // 31.00 + 5.05; 10.00 over both is 8.60 and 1.40; a tenth of 22.40 and 3.65 is 2.61 in all.
        var march = await Newest(tenant);
        Amounts(march).ShouldBe(("36.05", "12.61", "4.36", "27.80"));
        Amounts(preview.Json).ShouldBe(Amounts(march));
        march.GetProperty("discounts").EnumerateArray().Select(it => (Guid(it, "redemption_id"), Amount(it, "amount")))
            .ShouldBe([(welcome, "10.00"), (always, "2.61")]);
        march.GetProperty("lines").EnumerateArray().Select(it => (Amount(it, "discount_amount"), Amount(it, "tax_amount")))
            .ShouldBe([("10.84", "4.03"), ("0.00", "0.00"), ("1.77", "0.33")]);
        march.GetProperty("taxes").EnumerateArray()
            .Select(it => (it.GetProperty("rate").GetString(), Amount(it, "taxable_amount"), Amount(it, "amount")))
            .ShouldBe([("0.2", "20.16", "4.03"), ("0.1", "3.28", "0.33")]);
        march.GetProperty("customer_tax_id").GetString().ShouldBe("ATU12345678");

        // The coupon for one period is used up, the other goes on.
        await billing.RunAt("2026-05-01T00:00:01Z");
        var april = await Newest(tenant);
        Amounts(april).ShouldBe(("31.00", "3.10", "5.58", "33.48"));
        (await Applied(tenant, welcome)).ShouldBe(["10.00"]);
        (await Applied(tenant, always)).ShouldBe(["2.61", "3.10"]);

        // Archived rates and used up coupons change no invoice that was made.
        foreach (var rate in (await tenant.Viewer.Get("/v1/tax-rates?jurisdiction=AT")).Json.GetProperty("items").EnumerateArray())
            (await billing.Operator.Post($"/v1/tax-rates/{Guid(rate, "tax_rate_id")}/archive")).Status.ShouldBe(200);
        foreach (var invoice in new[] { march, april })
        {
            var replay = await tenant.Viewer.Get($"/v1/invoices/{Guid(invoice, "invoice_id")}/replay");
            replay.Json.GetProperty("identical").GetBoolean().ShouldBeTrue(replay.Text);
        }

        // Books and exports say the same.
        var balances = (await tenant.Viewer.Get("/v1/ledger/balances")).Json.GetProperty("balances").EnumerateArray()
            .ToLookup(it => it.GetProperty("account").GetString(), it => Amount(it, "net"));
        balances["tax_payable"].ShouldBe(["-9.94"]);
        balances["receivable"].ShouldBe(["61.28"]);
        var focus = (await tenant.Viewer.Get("/v1/exports/focus?from=2026-04-01T00:00:00Z&to=2026-05-01T00:00:00Z")).Text
            .Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(row => row.TrimEnd('\r').Split(',')).ToList();
        var (billed, category) = (focus[0].IndexOf("BilledCost"), focus[0].IndexOf("ChargeCategory"));
        focus.Skip(1).Sum(row => decimal.Parse(row[billed], CultureInfo.InvariantCulture)).ShouldBe(27.80m);
        focus.Skip(1).Where(row => row[category] == "Tax").Select(row => row[billed]).ShouldBe(["4.03", "0.33"]);
        var ubl = (await tenant.Viewer.Get($"/v1/invoices/{march.GetProperty("invoice_id").GetString()}/ubl")).Text;
        ubl.ShouldContain("<cbc:PayableAmount currencyID=\"EUR\">27.80</cbc:PayableAmount>");
        ubl.ShouldContain("<cbc:CompanyID>ATU12345678</cbc:CompanyID>");
    }

    [Fact]
    public async Task Prices_can_contain_the_tax_and_who_is_exempt_owes_none()
    {
        billing.Clock.Set(start);
        await TaxRates("CH", ("standard", "0.081", true));
        var (taxed, exempt) = (await billing.NewTenant(), await billing.NewTenant());
        await Set(taxed, "CH");
        await Set(exempt, "CH", treatment: "exempt", reason: "Foreign mission");
        var catalog = await billing.NewCatalog();
        foreach (var tenant in new[] { taxed, exempt })
        {
            var subscription = await BillingHost.Subscribe(tenant, catalog, startedAt: "2026-02-01T00:00:00Z");
            (await tenant.Admin.Post($"/v1/subscriptions/{subscription}/close-period")).Status.ShouldBe(201);
        }

        var february = (await taxed.Viewer.Get("/v1/invoices")).Json.GetProperty("items").EnumerateArray().Last();
        (Amounts(february), Amount(february, "tax_included")).ShouldBe((("31.00", "0.00", "0.00", "31.00"), "2.32"));
        Amount(february.GetProperty("taxes")[0], "taxable_amount").ShouldBe("28.68");
        var untaxed = (await exempt.Viewer.Get("/v1/invoices")).Json.GetProperty("items").EnumerateArray().Last().GetProperty("taxes")[0];
        (untaxed.GetProperty("treatment").GetString(), untaxed.GetProperty("reason").GetString(), Amount(untaxed, "amount"))
            .ShouldBe(("exempt", "Foreign mission", "0.00"));
    }

    [Fact]
    public async Task A_coupon_that_is_worth_more_than_the_invoice_leaves_zero_and_no_credit()
    {
        billing.Clock.Set(start);
        var tenant = await billing.NewTenant();
        var subscription = await BillingHost.Subscribe(tenant, await billing.NewCatalog(), startedAt: "2026-03-01T00:00:00Z");
        await Redeem(tenant, "fixed", "1000.00", "once", priority: 1);

        var closed = await tenant.Admin.Post($"/v1/subscriptions/{subscription}/close-period");

        closed.Status.ShouldBe(201, closed.Text);
        Amount(closed.Json, "total").ShouldBe("0.00");
        Amount(closed.Json, "discount_total").ShouldBe(Amount(closed.Json, "subtotal"));
    }

    [Fact]
    public async Task A_coupon_of_a_product_and_categories_of_tax_reach_add_ons_and_fees_in_advance()
    {
        billing.Clock.Set(Instant.FromUtc(2027, 3, 1, 0, 0));
        await TaxRates("NL", ("standard", "0.21", false), ("reduced", "0.09", false), ("books", "0.05", false));
        var tenant = await billing.NewTenant();
        await Set(tenant, "NL");
        var (access, support) = (await Product(), await Product());
        var plan = await Created("/v1/plans", "plan_id", new
        {
            key = $"t{System.Guid.CreateVersion7():n}",
            display_name = "Access",
            recurring_fee = new { amount = "31.00", currency = "EUR" },
            proration = "days",
            fee_timing = "in_advance",
            charges = Array.Empty<object>(),
            product_id = access,
            tax_category = "reduced",
        });
        var addOn = await Created("/v1/add-ons", "add_on_id", new
        {
            key = $"t{System.Guid.CreateVersion7():n}",
            display_name = "Support",
            amount = new { amount = "10.00", currency = "EUR" },
            kind = "recurring",
            product_id = support,
            tax_category = "books",
        });
        await Redeem(tenant, "percent", "0.5", "forever", priority: 1, support);
        var subscription = await BillingHost.Subscribe(tenant, new(plan, "", "", "", ""), "2027-03-01T00:00:00Z");
        var attached = await tenant.Admin.Post($"/v1/subscriptions/{subscription}/add-ons", new { add_on_id = addOn });
        attached.Status.ShouldBe(201, attached.Text);

        await billing.RunAt("2027-04-01T00:00:00Z");

        var invoice = await Newest(tenant);
        invoice.GetProperty("lines").EnumerateArray().Select(it =>
            $"{it.GetProperty("kind")} {Amount(it, "amount")} - {Amount(it, "discount_amount")}, {Amount(it, "tax_amount")} tax as {it.GetProperty("tax_category")}")
            .ShouldBe(["add_on 10.00 - 5.00, 0.25 tax as books", "recurring_fee 31.00 - 0.00, 2.79 tax as reduced"]);
        (await tenant.Viewer.Get($"/v1/invoices/{Guid(invoice, "invoice_id")}/replay")).Json.GetProperty("identical").GetBoolean().ShouldBeTrue();

        Task<Guid> Product() => Created(
            "/v1/products", "product_id", new { key = $"t{System.Guid.CreateVersion7():n}", display_name = "Product", business = "consulting" });

        async Task<Guid> Created(string path, string id, object body)
        {
            var created = await billing.Operator.Post(path, body);
            created.Status.ShouldBe(201, created.Text);
            return Guid(created.Json, id);
        }
    }

    private async Task TaxRates(string jurisdiction, params (string Category, string Rate, bool Inclusive)[] rates)
    {
        foreach (var (category, rate, inclusive) in rates)
        {
            var published = await billing.Operator.Post("/v1/tax-rates", new { jurisdiction, category, rate, inclusive, valid_from = "2020-01-01" });
            published.Status.ShouldBe(201, published.Text);
        }
    }

    private async Task Set(TestTenant tenant, string jurisdiction, string? tax_id = null, string treatment = "taxable", string? reason = null)
    {
        var set = await billing.Operator.Put($"/v1/tenants/{tenant.Id}/tax-profile", new { jurisdiction, tax_id, treatment, reason });
        set.Status.ShouldBe(200, set.Text);
    }

    private async Task<Guid> Redeem(
        TestTenant tenant, string kind, string worth, string duration, int priority, params Guid[] product_ids)
    {
        var code = $"c{System.Guid.CreateVersion7():n}";
        object discount = kind == "fixed" ? new { kind, amount = new { amount = worth, currency = "EUR" } } : new { kind, rate = worth };
        var coupon = await billing.Operator.Post("/v1/coupons", new { code, display_name = "Offer", discount, duration, priority, product_ids });
        coupon.Status.ShouldBe(201, coupon.Text);
        var redeemed = await tenant.Admin.Post("/v1/coupons/redemptions", new { code });
        redeemed.Status.ShouldBe(201, redeemed.Text);
        return Guid(redeemed.Json, "redemption_id");
    }

    // The plan of the host's catalog, with a tax category of its own for calls.
    private async Task<TestCatalog> Catalog(string callsCategory)
    {
        var catalog = await billing.NewCatalog();
        var version = await billing.Operator.Post($"/v1/plans/{catalog.PlanId}/versions", new
        {
            display_name = "Standard",
            recurring_fee = new { amount = "31.00", currency = "EUR" },
            proration = "days",
            charges = new object[]
            {
                new { model = "per_unit", meter = catalog.Gpu, display_name = "GPU time", unit_price = "0.0001" },
                new { model = "per_unit", meter = catalog.Calls, display_name = "Inference calls", unit_price = "0.05", tax_category = callsCategory },
            },
        });
        version.Status.ShouldBe(201, version.Text);
        return catalog;
    }

    private static async Task<JsonElement> Newest(TestTenant tenant) =>
        (await tenant.Viewer.Get("/v1/invoices")).Json.GetProperty("items")[0];

    private static async Task<string[]> Applied(TestTenant tenant, Guid redemption) =>
    [
        .. (await tenant.Viewer.Get($"/v1/coupons/redemptions/{redemption}")).Json.GetProperty("applied").EnumerateArray()
            .Select(it => Amount(it, "amount")),
    ];

    private static (string, string, string, string) Amounts(JsonElement invoice) => (
        Amount(invoice, "subtotal"), Amount(invoice, "discount_total"), Amount(invoice, "tax_total"), Amount(invoice, "total"));

    private static string Amount(JsonElement of, string field) => of.GetProperty(field).GetProperty("amount").GetString()!;

    private static Guid Guid(JsonElement of, string field) => of.GetProperty(field).GetGuid();
}
