using System.Globalization;
using System.Text.Json;
using Platform.Billing.Tests.Http;

namespace Platform.Billing.Tests.Scenarios;

/// <summary>A company that is billed in several currencies.</summary>
public sealed class CurrencyScenarios(BillingHost billing)
{
    [Fact]
    public async Task A_company_in_two_currencies_is_a_tenant_in_each()
    {
        var europe = await Scenario.Begin(billing, "2027-01-01", "Europe/Berlin", "EUR");
        var america = await europe.Sister("2027-01-01", "America/New_York", "USD");
        var calls = await europe.Meter("calls", unit: "call");
        var (inEuros, inDollars) = (await Plan(europe, "Pro-EUR", "50.00", "0.10"), await Plan(america, "Pro-USD", "60.00", "0.12"));
        await europe.Subscribe(inEuros);
        await america.Subscribe(inDollars);
        var foreign = await america.Admin.Post("/v1/subscriptions", new { plan_id = inEuros });
        foreign.Code.ShouldBe("subscription.currency_differs");
        await Scenario.Post(
            europe.Operator, "/v1/wallet/grants",
            new { amount = new { amount = "45.00", currency = "EUR" }, kind = "prepaid", priority = 50, reason = "Paid in advance" });

        foreach (var tenant in new[] { europe, america })
        {
            await tenant.AdvanceTo("2027-01-20");
            await tenant.Use("calls", "100");
            await tenant.AdvanceTo("2027-02-10");
            await tenant.Use("calls", "200");
            await tenant.AdvanceTo("2027-03-02");
        }

        // 50.00 and 10.00, 50.00 and 20.00 in euros, of which credit in euros pays 45.00; 60.00 and 12.00, 60.00 and 24.00 in dollars.
        var invoices = new List<JsonElement>([.. await Invoices(europe), .. await Invoices(america)]);
        TotalsByCurrency(invoices, "total").ShouldBe(["EUR 130.00", "USD 156.00"]);
        TotalsByCurrency(invoices, "amount_due").ShouldBe(["EUR 85.00", "USD 156.00"]);
        (await BooksBalanceIn(europe)).ShouldBe(["EUR"]);
        (await BooksBalanceIn(america)).ShouldBe(["USD"]);
        await europe.Approved(["/v1/wallet", "/v1/ledger/balances"], "A_company_in_two_currencies.euros");
        await america.Approved(["/v1/wallet", "/v1/ledger/balances"], "A_company_in_two_currencies.dollars");

        Task<Guid> Plan(Scenario tenant, string name, string fee, string price) => tenant.Plan(
            name, fee, [new { model = "per_unit", meter = calls, display_name = "Calls", unit_price = price }]);
    }

    private static async Task<IEnumerable<JsonElement>> Invoices(Scenario tenant) =>
        (await tenant.Admin.Get("/v1/invoices")).Json.GetProperty("items").EnumerateArray();

    private static string[] TotalsByCurrency(IEnumerable<JsonElement> invoices, string member) =>
    [
        .. invoices.Select(invoice => invoice.GetProperty(member))
            .GroupBy(amount => amount.GetProperty("currency").GetString())
            .OrderBy(currency => currency.Key, StringComparer.Ordinal)
            .Select(currency => string.Create(CultureInfo.InvariantCulture, $"{currency.Key} {currency.Sum(Amount):0.00}")),
    ];

    private static async Task<string[]> BooksBalanceIn(Scenario tenant) =>
    [
        .. (await tenant.Admin.Get("/v1/ledger/balances")).Json.GetProperty("totals").EnumerateArray()
            .Where(total => Amount(total.GetProperty("debit")) == Amount(total.GetProperty("credit")))
            .Select(total => total.GetProperty("debit").GetProperty("currency").GetString()!),
    ];

    private static decimal Amount(JsonElement money) => decimal.Parse(money.GetProperty("amount").GetString()!, CultureInfo.InvariantCulture);
}
