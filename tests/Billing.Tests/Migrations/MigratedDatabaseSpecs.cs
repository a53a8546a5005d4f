using System.Globalization;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Platform.Billing.Tests.Http;
using Platform.EventStore;

namespace Platform.Billing.Tests.Migrations;

/// <summary>A database that an older version filled goes on: what it holds is read, and the next close continues its books.</summary>
public abstract class MigratedDatabaseSpecs(OldDatabase billing)
{
    private Caller Operator => billing.Operator.For(billing.Tenant);

    [Fact]
    public async Task Invoices_of_before_are_read_and_explained_and_differ_in_their_root_alone()
    {
        var invoices = (await Operator.Get("/v1/invoices?limit=200")).Json.GetProperty("items").EnumerateArray().TakeLast(2).Reverse().ToList();
        invoices.Select(it => (Text(it, "number"), Text(it, "status"), Amount(it, "total"), Amount(it, "credit_applied")))
            .ShouldBe([("2026-000001", "paid", 29.21m, 20.00m), ("2026-000002", "paid", 68.15m, 0m)]);

        foreach (var invoice in invoices)
        {
            var id = Text(invoice, "invoice_id");
            var explained = await Operator.Get($"/v1/invoices/{id}/explain");
            explained.Status.ShouldBe(200, explained.Text);
            explained.Json.GetProperty("lines").GetArrayLength().ShouldBe(invoice.GetProperty("lines").GetArrayLength());

            // Trees were in the order of the ledger: nothing else may differ.
            var replayed = (await Operator.Get($"/v1/invoices/{id}/replay")).Json;
            var difference = replayed.GetProperty("differences").EnumerateArray().ShouldHaveSingleItem();
            var (stored, again) = (Text(difference, "stored")!.Split(' '), Text(difference, "replayed")!.Split(' '));
            stored[..^1].ShouldBe(again[..^1]);
            stored[^1].ShouldBe(Text(invoice.GetProperty("usage_tree"), "root"));

            foreach (var paper in new[] { "pdf", "ubl" })
                (await Operator.Get($"/v1/invoices/{id}/{paper}")).Status.ShouldBe(200, paper);
        }

        var proof = await Operator.Get($"/v1/invoices/{Text(invoices[1], "invoice_id")}/usage-proof?source=test&event_id=january%201");
        (proof.Status, proof.Code).ShouldBe((404, "usage_event.not_found"));
    }

    [Fact]
    public async Task What_stands_beside_the_invoices_is_read()
    {
        var note = (await Operator.Get("/v1/credit-notes")).Json.GetProperty("items").EnumerateArray().Last();
        (Text(note, "number"), Amount(note, "total"), Amount(note, "tax_total")).ShouldBe(("CN-2026-000001", 1.19m, billing.CreditedTax));
        foreach (var path in new[]
        {
            "subscriptions", "payments", "payment-methods", "refunds", "wallet", "wallet/transactions", "coupons/redemptions", "invoices/upcoming",
            "entitlements", "ledger/postings", "usage/rollups", "usage/conflicts", "plans", "products", "meters", "api-keys",
        })
        {
            var answer = await Operator.Get($"/v1/{path}");
            answer.Status.ShouldBe(200, $"{path}: {answer.Text}");
        }

        (await billing.Operator.Get("/v1/revenue/mrr?month=2026-02")).Status.ShouldBe(200);
        (await billing.Operator.Get("/v1/revenue/by-product?from=2026-01-01T00:00:00Z&to=2026-03-01T00:00:00Z")).Status.ShouldBe(200);
        var totals = (await billing.Operator.Get("/v1/ledger/trial-balance")).Json.GetProperty("totals").EnumerateArray().ShouldHaveSingleItem();
        Amount(totals, "debit").ShouldBe(Amount(totals, "credit"));
    }

    [Fact]
    public async Task The_next_close_goes_on_with_the_next_number_and_binds_its_usage_in_the_new_way()
    {
        await billing.RunAt("2026-03-01T00:00:00Z");

        var invoice = (await Operator.Get("/v1/invoices?limit=1")).Json.GetProperty("items")[0];
        Text(invoice, "number").ShouldBe("2026-000003");
        Text(invoice.GetProperty("billing_period"), "start").ShouldBe("2026-01-31T23:00:00Z");
        invoice.GetProperty("lines").EnumerateArray().Where(line => Text(line, "unit") == "call")
            .Select(line => (Text(line, "kind"), Text(line, "quantity"))).ShouldBe([("usage", "7"), ("usage", "7")]);
        var id = Text(invoice, "invoice_id");
        (await Operator.Get($"/v1/invoices/{id}/replay")).Json.GetProperty("identical").GetBoolean().ShouldBeTrue();
        (await Operator.Get($"/v1/invoices/{id}/usage-proof?source=test&event_id=february")).Status.ShouldBe(200);

        var note = await Operator.Post($"/v1/invoices/{id}/credit-notes", new
        {
            lines = new[] { new { line = 1, amount = new { amount = "1.00", currency = "EUR" } } },
            reason = "Not as agreed",
        });
        note.Status.ShouldBe(201, note.Text);
        Text(note.Json, "number").ShouldBe("CN-2026-000002");
    }

    [Fact]
    public async Task Every_view_made_again_from_the_old_events_is_the_same()
    {
        var rebuild = billing.Services.GetRequiredService<Rebuild>();
        foreach (var projection in rebuild.Projections)
        {
            var live = await Rows(projection);
            await rebuild.Run(projection, BillingHost.Cancellation);
            (await Rows(projection)).ShouldBe(live, projection);
        }

        Task<string[]> Rows(string table) => billing.Strings($"select it::text from billing.{table} it order by 1");
    }

    private static string? Text(JsonElement of, string name) => of.GetProperty(name).GetString();

    private static decimal Amount(JsonElement of, string name) =>
        decimal.Parse(of.GetProperty(name).GetProperty("amount").GetString()!, CultureInfo.InvariantCulture);
}

public sealed class MigratedFrom0120Specs(DatabaseOf0120 billing) : MigratedDatabaseSpecs(billing), IClassFixture<DatabaseOf0120>;

public sealed class MigratedFrom0080Specs(DatabaseOf0080 billing) : MigratedDatabaseSpecs(billing), IClassFixture<DatabaseOf0080>;
