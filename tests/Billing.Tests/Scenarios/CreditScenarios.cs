using System.Text.Json;
using Platform.Billing.Tests.Http;

namespace Platform.Billing.Tests.Scenarios;

/// <summary>Credit that a company has before it owes.</summary>
public sealed class CreditScenarios(BillingHost billing)
{
    [Fact]
    public async Task Prepaid_credit_burns_down_after_what_is_promised_for_a_time()
    {
        var acme = await Scenario.Begin(billing, "2027-01-01");
        var calls = new { model = "per_unit", meter = await acme.Meter("calls", unit: "call"), display_name = "Calls", unit_price = "0.10" };
        await acme.Subscribe(await acme.Plan("Prepaid", fee: "0.00", [calls]));
        await Grant(acme, "100.00", "prepaid", priority: 50, expiresAt: null);
        await Grant(acme, "20.00", "promotional", priority: 10, expiresAt: "2027-02-15T00:00:00Z");
        await Grant(acme, "5.00", "promotional", priority: 60, expiresAt: "2027-02-20T00:00:00Z");
        foreach (var (at, used) in new[] { ("2027-01-20", "500"), ("2027-02-20", "400"), ("2027-03-20", "500") })
        {
            await acme.AdvanceTo(at);
            await acme.Use("calls", used);
        }

        await acme.AdvanceTo("2027-04-01");

        // January's 50.00: 20.00 promised and 30.00 prepaid. The last 5.00 expire unused. February's 40.00: prepaid. March's 50.00: the
        // prepaid 30.00 that are left, and 20.00 are owed.
        await acme.Approved(["/v1/wallet", "/v1/wallet/transactions"]);
    }

    [Fact]
    public async Task Prepaid_credit_is_topped_up_by_itself()
    {
        var acme = await Scenario.Begin(billing, "2027-01-01", "Europe/Berlin");
        var calls = new { model = "per_unit", meter = await acme.Meter("calls", unit: "call"), display_name = "Calls", unit_price = "0.10" };
        await acme.Subscribe(await acme.Plan("Prepaid", fee: "0.00", [calls]));
        await Scenario.Post(acme.Admin, "/v1/payment-methods", new { token = "tok_success" });
        await Scenario.Post(acme.Admin, "/v1/wallet/top-ups", new { amount = new { amount = "30.00", currency = "EUR" } });
        await Grant(acme, "40.00", "promotional", priority: 10, expiresAt: "2027-02-20T00:00:00Z");
        var rule = await acme.Admin.Put("/v1/wallet/top-up-rule", new
        {
            threshold = new { amount = "35.00", currency = "EUR" },
            amount = new { amount = "35.00", currency = "EUR" },
            monthly_max = new { amount = "35.00", currency = "EUR" },
        });
        rule.Status.ShouldBe(200, rule.Text);
        foreach (var (at, used) in new[] { ("2027-01-20", "200"), ("2027-02-10", "400"), ("2027-03-10", "600") })
        {
            await acme.AdvanceTo(at);
            await acme.Use("calls", used);
        }

        await acme.AdvanceTo("2027-05-02");

        // January's 20.00: promotional. The other 20.00 of it expire in February and leave 30.00, so 35.00 are bought. February's 40.00
        // leave 25.00, and March's 35.00 are bought. March's 60.00 take all 60.00, and April's 35.00 are bought.
        await acme.Approved(["/v1/wallet", "/v1/wallet/transactions", "/v1/payments", "/v1/wallet/top-up-rule"]);
    }

    [Fact]
    public async Task A_charged_invoice_is_credited_with_its_tax_and_paid_back()
    {
        // A jurisdiction that no other test of the host taxes.
        await Scenario.Post(billing.Operator, "/v1/tax-rates", new { jurisdiction = "NO", rate = "0.25", valid_from = "2020-01-01" });
        var acme = await Scenario.Begin(billing, "2027-01-01", "Europe/Oslo");
        await acme.Taxed(new { jurisdiction = "NO" });
        var calls = new { model = "per_unit", meter = await acme.Meter("calls", unit: "call"), display_name = "Calls", unit_price = "0.10" };
        await acme.Subscribe(await acme.Plan("Starter", fee: "100.00", [calls]));
        await Scenario.Post(acme.Admin, "/v1/payment-methods", new { token = "tok_refund_timeout" });
        await acme.AdvanceTo("2027-01-15");
        await acme.Use("calls", "333");
        await acme.AdvanceTo("2027-02-05");
        var invoice = (await acme.Admin.Get("/v1/invoices")).Json.GetProperty("items")[0].GetProperty("invoice_id").GetString();

        await Credit(acme, invoice, new { line = 1, amount = new { amount = "33.34", currency = "EUR" } }, "refund");
        await Credit(acme, invoice, new { line = 2, amount = (object?)null }, "wallet");
        await acme.AdvanceTo("2027-03-01");

        // January: 133.30 and 33.33 of tax (33.325, rounded), charged. Of the fee 33.34 are paid back, 6.67 of it tax; the gateway's answer is
        // lost and asked for ten minutes later. The calls, 41.63 with their tax, become credit, which February's invoice uses.
        await acme.Approved(["/v1/credit-notes", "/v1/refunds", "/v1/payments", "/v1/ledger/balances"]);
    }

    private static Task<JsonElement> Credit(Scenario scenario, string? invoice, object line, string outcome) => Scenario.Post(
        scenario.Operator, $"/v1/invoices/{invoice}/credit-notes", new { lines = new[] { line }, outcome, reason = "Not as agreed" });

    private static Task<JsonElement> Grant(Scenario scenario, string amount, string kind, int priority, string? expiresAt) => Scenario.Post(
        scenario.Operator, "/v1/wallet/grants",
        new { amount = new { amount, currency = "EUR" }, kind, reason = "Agreed", priority, expires_at = expiresAt });
}
