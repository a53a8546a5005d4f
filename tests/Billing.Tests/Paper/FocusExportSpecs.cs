using System.Globalization;
using Platform.Billing.Tests.Http;

namespace Platform.Billing.Tests.Paper;

public class FocusExportSpecs(BillingHost billing)
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

    /// <summary>The specification's own table of columns, where its files lie beside the repository.</summary>
    [Fact]
    public async Task Every_mandatory_column_is_there_and_holds_what_the_specification_allows()
    {
        var file = Path.Combine(AppContext.BaseDirectory, "../../../../../shared/traces/focus-1.2/columns.csv");
        Assert.SkipUnless(File.Exists(file), "The FOCUS 1.2 column table is not beside the repository (../shared/traces/focus-1.2).");
        var specified = Parse(await File.ReadAllTextAsync(file, BillingHost.Cancellation));
        var tenant = await Invoiced();

        var rows = Parse((await tenant.Viewer.Get($"/v1/exports/focus?{AllTime}")).Text);

        foreach (var column in specified.Where(column => column["FeatureLevel"] == "Mandatory"))
        {
            rows.ShouldAllBe(row => row.ContainsKey(column["ColumnId"]), column["ColumnId"]);
            if (column["AllowsNulls"] == "False")
                rows.ShouldAllBe(row => row[column["ColumnId"]] != "", column["ColumnId"]);
            if (column["AllowedValues"] is { Length: > 0 } allowed)
                rows.ShouldAllBe(row => row[column["ColumnId"]] == "" || allowed.Split(';').Contains(row[column["ColumnId"]]), column["ColumnId"]);
        }

        rows[0].Keys.Except(specified.Select(column => column["ColumnId"])).ShouldBeEmpty("columns of our own begin with x_");
    }

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
