using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using NodaTime;
using NodaTime.Text;
using Platform.Billing.Tests.Http;

namespace Platform.Billing.Tests.Paper;

/// <summary>Moves the clock, so it has a host of its own.</summary>
public sealed class FocusExportSpecs(OwnBillingHost billing) : IClassFixture<OwnBillingHost>
{
    private const string AllTime = "from=2020-01-01T00:00:00Z&to=2030-01-01T00:00:00Z";

    [Fact]
    public async Task The_rows_of_an_invoice_sum_to_its_total_in_the_columns_that_FOCUS_wants()
    {
        var tenant = await billing.NewTenant();
        var catalog = await billing.NewCatalog();
        var subscription = await BillingHost.Subscribe(tenant, catalog);
        await tenant.Partner.Post("/v1/usage/events", new
        {
            id = "1",
            source = "test, \"quoted\"",
            type = "inference.call",
            time = "2026-03-02T00:00:00Z",
            data = new { calls = "7" },
        });
        var invoice = (await tenant.Admin.Post($"/v1/subscriptions/{subscription}/close-period")).Json;

        var rows = Parse((await tenant.Viewer.Get($"/v1/exports/focus?{AllTime}")).Text);

        rows.Count.ShouldBe(3);
        rows.Sum(row => decimal.Parse(row["BilledCost"], CultureInfo.InvariantCulture))
            .ShouldBe(decimal.Parse(invoice.GetProperty("total").GetProperty("amount").GetString()!, CultureInfo.InvariantCulture));
        rows.ShouldAllBe(row => row["BillingAccountId"] == tenant.Id.ToString() && row["InvoiceId"] == invoice.GetProperty("number").GetString());
        rows.Select(row => row["ChargeCategory"]).ShouldBe(["Purchase", "Usage", "Usage"]);
        var calls = rows.Single(row => row["SkuMeter"] == catalog.Calls);
        (calls["ConsumedQuantity"], calls["ConsumedUnit"], calls["ListUnitPrice"], calls["ContractedCost"]).ShouldBe(("7", "call", "0.05", "0.35"));
    }

    [Fact]
    public async Task An_operator_who_acts_for_no_tenant_gets_all_of_them_and_a_tenant_its_own()
    {
        var (one, other) = (await Invoiced(), await Invoiced());

        new[] { one.Id.ToString(), other.Id.ToString() }
            .ShouldBeSubsetOf(Accounts((await billing.Operator.Get($"/v1/exports/focus?{AllTime}")).Text));
        Accounts((await billing.Operator.For(one.Id).Get($"/v1/exports/focus?{AllTime}")).Text).ShouldBe([one.Id.ToString()]);
        Accounts((await other.Viewer.Get($"/v1/exports/focus?{AllTime}")).Text).ShouldBe([other.Id.ToString()]);
        Parse((await other.Viewer.Get("/v1/exports/focus?from=2020-01-01T00:00:00Z&to=2020-02-01T00:00:00Z")).Text).ShouldBeEmpty();
        (await other.Viewer.Get("/v1/exports/focus?from=2020-01-01T00:00:00Z")).Status.ShouldBe(400);

        static IEnumerable<string> Accounts(string csv) => Parse(csv).Select(row => row["BillingAccountId"]).Distinct();
    }

    [Fact]
    public async Task Rows_name_what_was_sold_and_corrections_name_the_charge_that_they_take_back()
    {
        var (tenant, invoice) = await Everything(jurisdiction: "DE");
        var note = await billing.Operator.For(tenant.Id).Post($"/v1/invoices/{invoice.GetProperty("invoice_id")}/credit-notes", new
        {
            lines = new[] { new { line = 1, amount = new { amount = "11.90", currency = "EUR" } } },
            reason = "Not as agreed",
        });
        note.Status.ShouldBe(201, note.Text);
        var number = note.Json.GetProperty("number").GetString();

        var rows = Parse((await tenant.Viewer.Get($"/v1/exports/focus?{AllTime}")).Text);

        rows.Select(row => (
                row["ServiceName"], row["ServiceCategory"], row["ChargeCategory"], row["ChargeClass"], row["ChargeFrequency"], row["BilledCost"],
                row["x_CreditNoteNumber"] == number))
            .ShouldBe(
                [
                    // 31.00 and 40 calls at 0.05, each less the coupon's tenth, and 10.00 of an add-on without it.
                    ("Cluster", "Compute", "Purchase", "", "Recurring", "27.90", false),
                    ("Cluster", "Compute", "Usage", "", "Usage-Based", "1.80", false),
                    ("Advice", "Other", "Purchase", "", "One-Time", "10.00", false),
                    ("Cluster", "Compute", "Tax", "", "One-Time", "5.64", false),
                    ("Advice", "Other", "Tax", "", "One-Time", "1.90", false),
                    ("Cluster", "Compute", "Purchase", "Correction", "Recurring", "-10.00", true),
                    ("Cluster", "Compute", "Tax", "Correction", "One-Time", "-1.90", true),
                ]);
        rows.ShouldAllBe(row => row["InvoiceId"] == invoice.GetProperty("number").GetString());
        rows[5]["SkuPriceId"].ShouldBe(rows[0]["SkuPriceId"]);
        rows[5]["PricingQuantity"].ShouldBe("", "an amount is taken back and not a quantity");
        Billed(rows).ShouldBe(Amount(invoice, "total") - 11.90m);
        Billed(rows.Where(row => row["x_CreditNoteNumber"] == "")).ShouldBe(Amount(invoice, "total"));
    }

    [Theory]
    [InlineData("recurring", "Recurring")]
    [InlineData("one_off", "One-Time")]
    public async Task An_add_on_without_a_product_is_sold_with_its_plan_as_often_as_it_is_owed(string kind, string frequency)
    {
        var tenant = await billing.NewTenant();
        var subscription = await BillingHost.Subscribe(tenant, await billing.NewCatalog());
        var addOn = await billing.Operator.Post("/v1/add-ons", new
        {
            key = $"t{Guid.CreateVersion7():n}",
            display_name = "Static address",
            amount = new { amount = "31.00", currency = "EUR" },
            kind,
        });
        addOn.Status.ShouldBe(201, addOn.Text);
        var attached = await tenant.Admin.Post(
            $"/v1/subscriptions/{subscription}/add-ons", new { add_on_id = addOn.Json.GetProperty("add_on_id").GetString() });
        attached.Status.ShouldBe(201, attached.Text);
        billing.Clock.Set(billing.Clock.Now + Duration.FromDays(1));
        (await tenant.Admin.Post($"/v1/subscriptions/{subscription}/close-period")).Status.ShouldBe(201);

        var row = Parse((await tenant.Viewer.Get($"/v1/exports/focus?{AllTime}")).Text)
            .Single(it => it["ChargeDescription"].StartsWith("Static address", StringComparison.Ordinal));

        (row["ChargeFrequency"], row["ServiceName"], row["ChargeCategory"]).ShouldBe((frequency, "Standard", "Purchase"));
        (row["SkuId"], row["SkuPriceId"]).ShouldBe((addOn.Json.GetProperty("add_on_id").GetString(), row["SkuId"]));
    }

    [Theory]
    // terms -> rows as category quantity unit x price = cost (consumed) price's name
    [InlineData("""{"model":"per_unit","unit_price":"0.05"}""", "Standard 7 call x 0.05 = 0.35 (7)")]
    [InlineData(
        """{"model":"graduated","tiers":[{"up_to":"5","unit_amount":"2"},{"up_to":null,"unit_amount":"1","flat_amount":"3"}]}""",
        "Standard 5 call x 2 = 10 (5) /tier/1",
        "Standard 2 call x 1 = 2 (2) /tier/2",
        "Standard 1 Count x 3 = 3 (0) /tier/2/flat")]
    [InlineData("""{"model":"package","package_size":"4","package_amount":"3"}""", "Standard 2 4 call x 3 = 6 (7)")]
    [InlineData(
        """{"model":"windowed_commitment","window":"day","unit_amount":"2","committed_quantity":"5","true_up":"none"}""",
        "Committed 5 call x 2 = 10 (5) /committed",
        "Standard 2 call x 2 = 4 (2) /overage")]
    [InlineData("""{"model":"dynamic","price_key":"PRICE"}""", "Dynamic 7 call x 2 = 14 (7)")]
    [InlineData("""{"model":"dynamic","price_key":"PRICE","unit_size":"2"}""", "Dynamic 3.5 2 call x 2 = 7 (7)")]
    public async Task Use_has_a_row_for_each_price_of_its_charge(string terms, params string[] expected)
    {
        var (tenant, catalog, price) = (await billing.NewTenant(), await billing.NewCatalog(), $"p{Guid.CreateVersion7():n}");
        var published = await billing.Operator.Post("/v1/prices", new { key = price, currency = "EUR", unit_amount = "2" });
        published.Status.ShouldBe(201, published.Text);
        var charge = JsonNode.Parse(terms.Replace("PRICE", price, StringComparison.Ordinal))!.AsObject();
        (charge["meter"], charge["display_name"]) = (catalog.Calls, "Inference calls");
        var plan = await billing.Operator.Post("/v1/plans", new
        {
            key = price,
            display_name = "Plan",
            recurring_fee = new { amount = "0.00", currency = "EUR" },
            proration = "days",
            charges = new[] { charge },
        });
        plan.Status.ShouldBe(201, plan.Text);
        var started = await tenant.Admin.Post(
            "/v1/subscriptions", new { plan_id = plan.Json.GetProperty("plan_id").GetString(), started_at = "2026-03-01T00:00:00Z" });
        // After the price began to hold.
        billing.Clock.Set(billing.Clock.Now + Duration.FromHours(1));
        await billing.Use(tenant, "1", InstantPattern.ExtendedIso.Format(billing.Clock.Now - Duration.FromMinutes(30)), calls: 7);
        var closed = await tenant.Admin.Post($"/v1/subscriptions/{started.Json.GetProperty("subscription_id").GetString()}/close-period");
        closed.Status.ShouldBe(201, closed.Text);

        var rows = Parse((await tenant.Viewer.Get($"/v1/exports/focus?{AllTime}")).Text);

        var charged = $"{plan.Json.GetProperty("plan_id").GetString()}/1/{catalog.Calls}";
        rows.Select(row =>
        {
            row["SkuPriceId"].ShouldStartWith(charged);
            return $"{row["PricingCategory"]} {row["PricingQuantity"]} {row["PricingUnit"]} x {row["ContractedUnitPrice"]} = {row["ContractedCost"]}"
                + $" ({row["ConsumedQuantity"]}) {row["SkuPriceId"][charged.Length..]}".TrimEnd();
        }).ShouldBe(expected);
        rows.ShouldAllBe(row => row["x_InvoiceLine"] == "1" && row["ConsumedUnit"] == "call");
        Conforms(rows);
    }

    [Fact]
    public async Task A_void_invoice_charges_nothing()
    {
        var tenant = await Invoiced();
        var id = (await tenant.Viewer.Get("/v1/invoices")).Json.GetProperty("items")[0].GetProperty("invoice_id").GetString();
        var voided = await billing.Operator.For(tenant.Id).Post($"/v1/invoices/{id}/void", new { reason = "Wrong customer" });
        voided.Status.ShouldBe(200, voided.Text);

        Parse((await tenant.Viewer.Get($"/v1/exports/focus?{AllTime}")).Text).ShouldBeEmpty();
    }

    // FOCUS 1.2: the columns of ours that must be there, those that may be empty, and what the others may hold.
    private static readonly string[] mandatory =
    [
        "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd", "BillingPeriodStart", "ChargeCategory",
        "ChargeClass", "ChargeDescription", "ChargePeriodEnd", "ChargePeriodStart", "ContractedCost", "EffectiveCost", "InvoiceIssuerName",
        "ListCost", "PricingQuantity", "PricingUnit", "ProviderName", "PublisherName", "ServiceCategory", "ServiceName",
    ];

    private static readonly string[] nullable =
    [
        "BillingAccountName", "ChargeClass", "ChargeDescription", "ConsumedQuantity", "ConsumedUnit", "ContractedUnitPrice", "InvoiceId",
        "ListUnitPrice", "PricingCategory", "PricingQuantity", "PricingUnit", "SkuId", "SkuMeter", "SkuPriceId", "SubAccountId",
    ];

    // Needed of use and purchases, unless they are corrected, and senseless of tax.
    private static readonly string[] priced =
        ["PricingQuantity", "PricingCategory", "SkuId", "SkuPriceId", "ContractedUnitPrice", "ListUnitPrice"];

    private const string Number = @"^-?\d+(\.\d+)?$", Price = @"^\d+(\.\d+)?$", Time = @"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$";

    private static readonly Dictionary<string, string> formats = new()
    {
        ["BilledCost"] = Number,
        ["BillingCurrency"] = "^[A-Z]{3}$",
        ["BillingPeriodEnd"] = Time,
        ["BillingPeriodStart"] = Time,
        ["ChargeCategory"] = "^(Usage|Purchase|Tax|Credit|Adjustment)$",
        ["ChargeClass"] = "^Correction$",
        ["ChargeFrequency"] = "^(One-Time|Recurring|Usage-Based)$",
        ["ChargePeriodEnd"] = Time,
        ["ChargePeriodStart"] = Time,
        ["ConsumedQuantity"] = Number,
        ["ContractedCost"] = Number,
        ["ContractedUnitPrice"] = Price,
        ["EffectiveCost"] = Number,
        ["ListCost"] = Number,
        ["ListUnitPrice"] = Price,
        ["PricingCategory"] = "^(Standard|Dynamic|Committed|Other)$",
        ["PricingQuantity"] = Number,
        ["ServiceCategory"] =
            "^(AI and Machine Learning|Analytics|Business Applications|Compute|Databases|Developer Tools|Multicloud|Identity|Integration"
            + "|Internet of Things|Management and Governance|Media|Migration|Mobile|Networking|Security|Storage|Web|Other)$",
    };

    [Fact]
    public async Task Every_mandatory_column_is_there_and_each_holds_what_the_specification_allows()
    {
        var (tenant, invoice) = await Everything(jurisdiction: "FR");
        var note = await billing.Operator.For(tenant.Id).Post($"/v1/invoices/{invoice.GetProperty("invoice_id")}/credit-notes", new
        {
            lines = new[] { new { line = 2 }, new { line = 3 } },
            reason = "Not as agreed",
        });
        note.Status.ShouldBe(201, note.Text);
        await billing.Use(tenant, "late", "2026-03-03T00:00:00Z", calls: 5);
        billing.Clock.Set(billing.Clock.Now + Duration.FromHours(1));
        var subscription = invoice.GetProperty("subscriptions")[0].GetProperty("subscription_id").GetString();
        var next = await tenant.Admin.Post($"/v1/subscriptions/{subscription}/close-period");
        next.Status.ShouldBe(201, next.Text);

        var rows = Parse((await tenant.Viewer.Get($"/v1/exports/focus?{AllTime}")).Text);

        var names = rows[0].Keys.ToList();
        mandatory.ShouldBeSubsetOf(names);
        // By name, those of our own last.
        names.ShouldBe([.. names.OrderBy(name => name.StartsWith("x_", StringComparison.Ordinal)).ThenBy(name => name, StringComparer.Ordinal)]);
        Conforms(rows);
        rows.Count(row => row["ChargeClass"] == "Correction" && row["ChargeCategory"] == "Usage").ShouldBe(2, "a credited and a late line");
        foreach (var of in rows.GroupBy(row => row["InvoiceId"]))
        {
            var total = (await tenant.Viewer.Get("/v1/invoices")).Json.GetProperty("items").EnumerateArray()
                .Where(it => it.GetProperty("number").GetString() == of.Key)
                .Sum(it => Amount(it, "total") - Amount(it, "to_wallet"));
            var credited = of.Key == invoice.GetProperty("number").GetString() ? Amount(note.Json, "total") : 0;
            Billed(of).ShouldBe(total - credited, of.Key);
        }
    }

    private static void Conforms(List<Dictionary<string, string>> rows)
    {
        foreach (var row in rows)
        {
            foreach (var (name, value) in row.Where(it => !it.Key.StartsWith("x_", StringComparison.Ordinal)))
            {
                if (value == "")
                    nullable.ShouldContain(name, row["ChargeDescription"]);
                else if (formats.TryGetValue(name, out var format))
                    value.ShouldMatch(format, name);
            }

            // What only some categories have.
            var (isTax, isCorrection) = (row["ChargeCategory"] == "Tax", row["ChargeClass"] == "Correction");
            (row["PricingQuantity"] == "").ShouldBe(row["PricingUnit"] == "", row["ChargeDescription"]);
            if (isTax)
                priced.ShouldAllBe(name => row[name] == "", row["ChargeDescription"]);
            else if (!isCorrection)
                priced.ShouldAllBe(name => row[name] != "", row["ChargeDescription"]);
            if (row["ConsumedQuantity"] != "" || row["ChargeCategory"] == "Usage" && !isCorrection)
                (row["ChargeCategory"], row["ConsumedQuantity"] == "").ShouldBe(("Usage", false), row["ChargeDescription"]);
            if (row["ContractedUnitPrice"] is { Length: > 0 } price)
                Exact(row["ContractedCost"]).ShouldBe(Exact(price) * Exact(row["PricingQuantity"]), row["ChargeDescription"]);
        }
    }

    /// <summary>The specification's own table of columns, where its files lie beside the repository.</summary>
    [Fact]
    public async Task The_specifications_table_of_columns_knows_each_of_ours()
    {
        var file = Path.Combine(AppContext.BaseDirectory, "../../../../../shared/traces/focus-1.2/columns.csv");
        Assert.SkipUnless(File.Exists(file), "The FOCUS 1.2 column table is not beside the repository (../shared/traces/focus-1.2).");
        var specified = Parse(await File.ReadAllTextAsync(file, BillingHost.Cancellation)).ToDictionary(column => column["ColumnId"]);
        var tenant = await Invoiced();

        var ours = Parse((await tenant.Viewer.Get($"/v1/exports/focus?{AllTime}")).Text)[0].Keys;

        ours.Where(name => !specified.ContainsKey(name)).ShouldBe(["x_CreditNoteNumber", "x_InvoiceLine"]);
        specified.Values.Where(column => column["FeatureLevel"] == "Mandatory").Select(column => column["ColumnId"])
            .ShouldBe(mandatory, ignoreOrder: true);
        specified.Values.Where(column => column["AllowsNulls"] == "True").Select(column => column["ColumnId"]).Intersect(ours)
            .ShouldBe(nullable, ignoreOrder: true);
    }

    /// <summary>An invoice with a fee, use and an add-on of two products, with a coupon and tax.</summary>
    private async Task<(TestTenant Tenant, JsonElement Invoice)> Everything(string jurisdiction)
    {
        var name = $"t{Guid.CreateVersion7():n}";
        var (tenant, catalog) = (await billing.NewTenant(), await billing.NewCatalog());
        var cluster = await Made("/v1/products", new { key = $"{name}.cluster", display_name = "Cluster", business = "hardware_leases" });
        var advice = await Made("/v1/products", new { key = $"{name}.advice", display_name = "Advice", business = "consulting" });
        var plan = await Made("/v1/plans", new
        {
            key = name,
            display_name = "By the month",
            recurring_fee = new { amount = "31.00", currency = "EUR" },
            proration = "none",
            product_id = cluster.GetProperty("product_id").GetString(),
            charges = new object[] { new { model = "per_unit", meter = catalog.Calls, display_name = "Inference calls", unit_price = "0.05" } },
        });
        var addOn = await Made("/v1/add-ons", new
        {
            key = name,
            display_name = "Set-up",
            amount = new { amount = "10.00", currency = "EUR" },
            kind = "one_off",
            product_id = advice.GetProperty("product_id").GetString(),
        });
        await Made("/v1/tax-rates", new { jurisdiction, rate = "0.19", valid_from = "2026-01-01" });
        var code = name.ToUpperInvariant();
        await Made("/v1/coupons", new
        {
            code,
            display_name = "A tenth",
            discount = new { kind = "percent", rate = "0.1" },
            duration = "forever",
            product_ids = new[] { cluster.GetProperty("product_id").GetString() },
        });
        (await billing.Operator.Put($"/v1/tenants/{tenant.Id}/tax-profile", new { jurisdiction })).Status.ShouldBe(200);
        (await tenant.Admin.Post("/v1/coupons/redemptions", new { code })).Status.ShouldBe(201);
        var started = await tenant.Admin.Post(
            "/v1/subscriptions", new { plan_id = plan.GetProperty("plan_id").GetString(), started_at = "2026-03-01T00:00:00Z" });
        var subscription = started.Json.GetProperty("subscription_id").GetString();
        (await tenant.Admin.Post($"/v1/subscriptions/{subscription}/add-ons", new { add_on_id = addOn.GetProperty("add_on_id").GetString() }))
            .Status.ShouldBe(201);
        await billing.Use(tenant, "1", "2026-03-02T00:00:00Z", calls: 40);
        // What is attached at the instant of the close belongs to the next period.
        billing.Clock.Set(billing.Clock.Now + Duration.FromHours(1));
        var closed = await tenant.Admin.Post($"/v1/subscriptions/{subscription}/close-period");
        closed.Status.ShouldBe(201, closed.Text);
        return (tenant, closed.Json);

        async Task<JsonElement> Made(string path, object body)
        {
            var made = await billing.Operator.Post(path, body);
            made.Status.ShouldBe(201, made.Text);
            return made.Json;
        }
    }

    private static decimal Exact(string text) => decimal.Parse(text, CultureInfo.InvariantCulture);

    private static decimal Billed(IEnumerable<Dictionary<string, string>> rows) =>
        rows.Sum(row => decimal.Parse(row["BilledCost"], CultureInfo.InvariantCulture));

    private static decimal Amount(JsonElement of, string name) =>
        decimal.Parse(of.GetProperty(name).GetProperty("amount").GetString()!, CultureInfo.InvariantCulture);

    private async Task<TestTenant> Invoiced()
    {
        var tenant = await billing.NewTenant();
        var subscription = await BillingHost.Subscribe(tenant, await billing.NewCatalog());
        (await tenant.Admin.Post($"/v1/subscriptions/{subscription}/close-period")).Status.ShouldBe(201);
        return tenant;
    }

    private static List<Dictionary<string, string>> Parse(string csv)
    {
        var records = new List<List<string>> { new() };
        var (field, quoted) = (new System.Text.StringBuilder(), false);
        for (var i = 0; i < csv.Length; i++)
        {
            switch (csv[i])
            {
                case '"' when quoted && i + 1 < csv.Length && csv[i + 1] == '"':
                    field.Append(csv[i++]);
                    break;
                case '"':
                    quoted = !quoted;
                    break;
                case ',' when !quoted:
                case '\n' when !quoted:
                    records[^1].Add(field.ToString());
                    field.Clear();
                    if (csv[i] == '\n')
                        records.Add([]);
                    break;
                case '\r' when !quoted:
                    break;
                default:
                    field.Append(csv[i]);
                    break;
            }
        }

        return [.. records.Skip(1).Where(record => record.Count > 0).Select(record =>
            records[0].Zip(record).ToDictionary(pair => pair.First, pair => pair.Second))];
    }
}
