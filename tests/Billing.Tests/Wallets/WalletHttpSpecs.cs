using System.Text.Json;
using Platform.Billing.Tests.Http;

namespace Platform.Billing.Tests.Wallets;

/// <summary>The wallet as operators fill it and tenants read it.</summary>
public sealed class WalletHttpSpecs(BillingHost billing)
{
    [Fact]
    public async Task A_tenant_reads_its_balance_and_its_grants_in_the_order_of_their_use()
    {
        var tenant = await billing.NewTenant();
        (await tenant.Viewer.Get("/v1/wallet")).Text.ShouldBe("""{"balance":{"amount":"0.00","currency":"EUR"},"grants":[]}""");

        var prepaid = await billing.Grant(tenant, "100.00", "prepaid");
        var expiring = await billing.Grant(tenant, "20.00", "promotional", expiresAt: "2026-06-01T00:00:00Z");
        var first = await billing.Grant(tenant, "5.00", "promotional", priority: 10);

        var wallet = (await tenant.Viewer.Get("/v1/wallet")).Json;
        Amount(wallet.GetProperty("balance")).ShouldBe("125.00");
        Ids(wallet.GetProperty("grants")).ShouldBe([first, expiring, prepaid]);
        Ids((await tenant.Viewer.Get("/v1/wallet/grants")).Json.GetProperty("items")).ShouldBe([prepaid, expiring, first], ignoreOrder: true);
        var grant = (await tenant.Viewer.Get($"/v1/wallet/grants/{expiring}")).Json;
        (Amount(grant.GetProperty("remaining")), grant.GetProperty("kind").GetString(), grant.GetProperty("expires_at").GetString())
            .ShouldBe(("20.00", "promotional", "2026-06-01T00:00:00Z"));
    }

    [Fact]
    public async Task A_repeated_request_grants_once()
    {
        var tenant = await billing.NewTenant();
        var key = Guid.CreateVersion7().ToString();
        var body = new { amount = new { amount = "10.00", currency = "EUR" }, kind = "promotional", reason = "Welcome" };

        var answers = await Task.WhenAll(Enumerable.Range(0, 8)
            .Select(_ => billing.Operator.For(tenant.Id).Post("/v1/wallet/grants", body, key)));

        answers.ShouldAllBe(answer => answer.Status == 201 || answer.Code == "idempotency.in_progress");
        (await billing.Operator.For(tenant.Id).Post("/v1/wallet/grants", body, key)).Status.ShouldBe(201);
        Amount((await tenant.Viewer.Get("/v1/wallet")).Json.GetProperty("balance")).ShouldBe("10.00");
    }

    [Fact]
    public async Task What_is_voided_is_gone_and_the_transactions_say_why()
    {
        var tenant = await billing.NewTenant();
        var grant = await billing.Grant(tenant, "10.00", "promotional");
        await billing.Grant(tenant, "1.00", "prepaid");

        var voided = await billing.Operator.For(tenant.Id).Post($"/v1/wallet/grants/{grant}/void", new { reason = "Wrong tenant" });

        Amount(voided.Json.GetProperty("remaining")).ShouldBe("0.00");
        Amount((await tenant.Viewer.Get("/v1/wallet")).Json.GetProperty("balance")).ShouldBe("1.00");
        var first = (await tenant.Viewer.Get("/v1/wallet/transactions?limit=2")).Json;
        var second = (await tenant.Viewer.Get($"/v1/wallet/transactions?limit=2&cursor={first.GetProperty("next_cursor").GetString()}")).Json;
        first.GetProperty("items").EnumerateArray().Concat(second.GetProperty("items").EnumerateArray())
            .Select(it => (
                it.GetProperty("number").GetInt32(), it.GetProperty("type").GetString(), Amount(it.GetProperty("amount")),
                it.GetProperty("reason").GetString()))
            .ShouldBe([(3, "voided", "-10.00", "Wrong tenant"), (2, "granted", "1.00", "Credit"), (1, "granted", "10.00", "Credit")]);
        first.GetProperty("items")[0].GetProperty("parts")[0].GetProperty("grant_id").GetString().ShouldBe(grant);
        second.GetProperty("next_cursor").ValueKind.ShouldBe(JsonValueKind.Null);
    }

    [Theory]
    [InlineData("""{"amount":{"amount":"0.00","currency":"EUR"},"kind":"prepaid","reason":"r"}""", 400, "amount")]
    [InlineData("""{"amount":{"amount":"-1.00","currency":"EUR"},"kind":"prepaid","reason":"r"}""", 400, "amount")]
    [InlineData("""{"amount":{"amount":"1000000000000000.00","currency":"EUR"},"kind":"prepaid","reason":"r"}""", 400, "amount")]
    [InlineData("""{"amount":{"amount":"1.00","currency":"USD"},"kind":"prepaid","reason":"r"}""", 422, "amount")]
    [InlineData("""{"amount":{"amount":"1.00","currency":"EUR"},"kind":"cash","reason":"r"}""", 400, "kind")]
    [InlineData("""{"amount":{"amount":"1.00","currency":"EUR"},"kind":"adjustment","reason":"r"}""", 422, "kind")]
    [InlineData("""{"amount":{"amount":"1.00","currency":"EUR"},"reason":"r"}""", 400, "kind")]
    [InlineData("""{"amount":{"amount":"1.00","currency":"EUR"},"kind":"prepaid","reason":" "}""", 400, "reason")]
    [InlineData("""{"amount":{"amount":"1.00","currency":"EUR"},"kind":"prepaid","reason":"r","priority":101}""", 400, "priority")]
    [InlineData("""{"amount":{"amount":"1.00","currency":"EUR"},"kind":"prepaid","reason":"r","priority":-1}""", 400, "priority")]
    [InlineData("""{"amount":{"amount":"1.00","currency":"EUR"},"kind":"prepaid","reason":"r","expires_at":"2026-01-01T00:00:00Z"}""", 422, "expires_at")]
    public async Task A_wrong_grant_is_refused_by_its_field(string body, int status, string field)
    {
        var tenant = await billing.NewTenant();

        var answer = await billing.Operator.For(tenant.Id).Post("/v1/wallet/grants", body);

        (answer.Status, answer.Fields).ShouldSatisfyAllConditions(
            it => it.Status.ShouldBe(status, answer.Text), it => it.Fields.ShouldBe([field], answer.Text));
        (await billing.Count("wallet_transactions", tenant.Id)).ShouldBe(0);
    }

    [Fact]
    public async Task Nobody_sees_or_voids_anothers_credit()
    {
        var (owner, stranger) = (await billing.NewTenant(), await billing.NewTenant());
        var grant = await billing.Grant(owner, "10.00", "prepaid");

        (await stranger.Admin.Get($"/v1/wallet/grants/{grant}")).Code.ShouldBe("credit_grant.not_found");
        foreach (var list in new[] { "/v1/wallet/grants", "/v1/wallet/transactions" })
            (await stranger.Admin.Get(list)).Json.GetProperty("items").GetArrayLength().ShouldBe(0, list);
        (await billing.Operator.For(stranger.Id).Post($"/v1/wallet/grants/{grant}/void", new { reason = "r" })).Status.ShouldBe(404);
        Amount((await owner.Viewer.Get("/v1/wallet")).Json.GetProperty("balance")).ShouldBe("10.00");
    }

    private static string[] Ids(JsonElement grants) =>
        [.. grants.EnumerateArray().Select(grant => grant.GetProperty("grant_id").GetString()!)];

    private static string? Amount(JsonElement money) => money.GetProperty("amount").GetString();
}
