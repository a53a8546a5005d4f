using Platform.Billing.Tests.Http;

namespace Platform.Billing.Tests.Scenarios;

/// <summary>Invoices that are not paid, until they are.</summary>
public sealed class DunningScenarios(BillingHost billing)
{
    [Fact]
    public async Task Dunned_to_suspension_and_recovered()
    {
        var acme = await Scenario.Begin(billing, "2027-01-01", "Europe/Berlin");
        await Scenario.Post(acme.Admin, "/v1/payment-methods", new { token = "tok_decline" });
        await acme.Subscribe(await acme.Plan("Starter", fee: "50.00", []));
        await acme.AdvanceTo("2027-02-23");
        (await SuspendedAt(acme)).ShouldBe("2027-02-21T23:00:00Z");

        await Scenario.Post(acme.Admin, "/v1/payment-methods", new { token = "tok_success" });
        var invoice = (await acme.Admin.Get("/v1/invoices")).Json.GetProperty("items")[0].GetProperty("invoice_id").GetGuid();
        await Scenario.Post(acme.Admin, $"/v1/invoices/{invoice}/pay");
        await acme.AdvanceTo("2027-03-02");

        // January's 50.00 is tried on February 1 and on the days 1, 3, 5 and 7 after it is due on the 15th, in vain, and paid on the 23rd.
        // February's is paid at once.
        (await SuspendedAt(acme)).ShouldBeNull();
        await acme.Approved(["/v1/payments"]);
    }

    private static async Task<string?> SuspendedAt(Scenario scenario) =>
        (await scenario.Admin.Get($"/v1/tenants/{scenario.Id}")).Json.GetProperty("suspended_at").GetString();
}
