using Platform.Billing.Tests.Http;
using static Platform.Billing.Tests.Payments.PaymentWorld;

namespace Platform.Billing.Tests.Wallets;

/// <summary>Wallets and refunds in the run over all tenants. Moves the clock, so it has a host of its own.</summary>
public sealed class KeepToppedUpSpecs(OwnBillingHost billing) : IClassFixture<OwnBillingHost>
{
    [Fact]
    public async Task The_recurring_run_tops_up_live_tenants_and_asks_after_what_is_open()
    {
        var tokens = new[] { "tok_refund_timeout", "tok_timeout", "tok_decline" };
        var live = await Task.WhenAll(tokens.Select(token => With(token)));
        var (enough, sandbox) = (await With("tok_success"), await With("tok_success", sandboxAt: "2026-03-01T00:00:00Z"));
        await billing.Grant(enough, "20.00", "promotional");

        await billing.RunAt("2026-03-10T12:00:01Z");

        (await Credits(live)).ShouldBe(["50.00", "0.00", "0.00"]);
        (await Credits(enough, sandbox)).ShouldBe(["20.00", "0.00"], "one has enough, and the other's time stands still");
        var payment = await PaymentOf(live[0]);
        var refund = await billing.Operator.For(live[0].Id).Post($"/v1/payments/{payment}/refunds", new { reason = "No longer needed" });
        refund.Json.GetProperty("status").GetString().ShouldBe("pending");
        (await live[0].Admin.Delete("/v1/wallet/top-up-rule")).Status.ShouldBe(204);

        // Ten minutes later the gateway says what it did; a day later the declined one is tried again.
        await billing.RunAt("2026-03-10T12:10:01Z");
        (await Credits(live)).ShouldBe(["0.00", "50.00", "0.00"]);
        (await live[0].Viewer.Get("/v1/refunds")).Json.GetProperty("items")[0].GetProperty("status").GetString().ShouldBe("succeeded");
        (await PaymentsOf(live[2])).Length.ShouldBe(1);
        await billing.RunAt("2026-03-11T12:00:01Z");
        (await PaymentsOf(live[2])).Length.ShouldBe(2);
        (await PaymentsOf(live[1])).Length.ShouldBe(1);
    }

    private async Task<TestTenant> With(string token, string? sandboxAt = null)
    {
        var tenant = await billing.NewTenant(sandboxAt: sandboxAt);
        await Attach(tenant, token);
        var rule = new { threshold = Euro("20.00"), amount = Euro("50.00") };
        (await tenant.Admin.Put("/v1/wallet/top-up-rule", rule)).Status.ShouldBe(200);
        return tenant;
    }

    private static async Task<string?[]> Credits(params TestTenant[] tenants)
    {
        var wallets = await Task.WhenAll(tenants.Select(tenant => tenant.Viewer.Get("/v1/wallet")));
        return [.. wallets.Select(wallet => wallet.Json.GetProperty("balance").GetProperty("amount").GetString())];
    }

    private static object Euro(string amount) => new { amount, currency = "EUR" };
}
