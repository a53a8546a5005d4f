using Microsoft.Extensions.DependencyInjection;
using NodaTime;
using Platform.Billing.Tenants;
using Platform.Billing.Tests.Http;
using Platform.Billing.Tests.Payments;
using Platform.Billing.Wallets;
using Platform.EventStore;
using static Platform.Billing.Tests.Payments.PaymentWorld;

namespace Platform.Billing.Tests.Wallets;

/// <summary>Credit that is bought, by hand and by a rule.</summary>
public sealed class TopUpHttpSpecs(BillingHost billing)
{
    private static readonly Duration CheckAfter = Duration.FromMinutes(10);

    [Theory]
    // token, at once, credit at once, once the gateway was asked again, credit then
    [InlineData("tok_success", "succeeded", "50.00", "succeeded", "50.00")]
    [InlineData("tok_decline", "declined insufficient_funds", "0.00", "declined insufficient_funds", "0.00")]
    [InlineData("tok_timeout", "pending", "0.00", "succeeded", "50.00")]
    [InlineData("tok_timeout_decline", "pending", "0.00", "declined card_expired", "0.00")]
    [InlineData("tok_pending", "pending", "0.00", "pending", "0.00")]
    public async Task Credit_is_there_when_and_only_when_the_charge_succeeds(
        string token, string atOnce, string creditAtOnce, string later, string creditLater)
    {
        var tenant = await With(token);

        var made = await tenant.Admin.Post("/v1/wallet/top-ups", Fifty);

        made.Status.ShouldBe(201, made.Text);
        made.Json.GetProperty("target").GetRawText().ShouldBe("""{"kind":"top_up","automatic":false}""");
        ((await PaymentsOf(tenant)).Single(), await Balance(tenant)).ShouldBe((atOnce, creditAtOnce));
        await billing.TopUp(tenant, CheckAfter);
        ((await PaymentsOf(tenant)).Single(), await Balance(tenant)).ShouldBe((later, creditLater));
        (await billing.Charges(tenant)).ShouldBe(1);
        (await Balances(tenant)).ShouldBe(creditLater == "50.00" ? ["cash 50.00", "wallet -50.00"] : []);
    }

    [Fact]
    public async Task The_grant_bears_the_payments_id_and_pays_the_next_invoice()
    {
        var tenant = await With("tok_success");
        var payment = (await tenant.Admin.Post("/v1/wallet/top-ups", Fifty)).Json.GetProperty("payment_id").GetString();

        await billing.Invoiced(tenant);

        var grant = (await tenant.Viewer.Get($"/v1/wallet/grants/{payment}")).Json;
        (Amount(grant, "remaining"), grant.GetProperty("kind").GetString(), grant.GetProperty("source_payment_id").GetString())
            .ShouldBe(("41.00", "prepaid", payment));
        (await Balances(tenant)).ShouldBe(["cash 50.00", "revenue -9.00", "wallet -41.00"]);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_crash_before_or_after_the_charge_neither_loses_nor_doubles_it(bool charged)
    {
        var tenant = await With("tok_success");
        await Rule(tenant, new { threshold = Euro("20.00"), amount = Euro("50.00"), monthly_max = (object?)null });
        await Should.ThrowAsync<OperationCanceledException>(
            () => Crashing(charged).Do(tenant.Id, billing.Clock.Now, Cause.Unknown, BillingHost.Cancellation));
        ((await PaymentsOf(tenant)).Single(), await Balance(tenant)).ShouldBe(("pending", "0.00"));
        (await billing.TopUp(tenant)).ShouldBe(0, "whoever made it may still be at it");

        await billing.TopUp(tenant, CheckAfter);

        (await billing.Charges(tenant)).ShouldBe(1);
        ((await PaymentsOf(tenant)).Single(), await Balance(tenant)).ShouldBe(("succeeded", "50.00"));
    }

    [Fact]
    public async Task Webhooks_at_once_and_again_and_contrary_ones_grant_once()
    {
        var tenant = await With("tok_pending");
        await tenant.Admin.Post("/v1/wallet/top-ups", Fifty);
        (await tenant.Admin.Post("/v1/wallet/top-ups", Fifty)).Code.ShouldBe("wallet.top_up_in_progress");
        var told = new { payment_id = await PaymentOf(tenant), outcome = "succeeded" };

        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() => billing.Webhook(told))));
        (await billing.Webhook(new { told.payment_id, outcome = "declined", code = "late" })).Status.ShouldBe(204);

        (await PaymentsOf(tenant)).ShouldBe(["succeeded"]);
        (await billing.Count("credit_grants", tenant.Id)).ShouldBe(1);
        (await Balances(tenant)).ShouldBe(["cash 50.00", "wallet -50.00"]);
    }

    [Fact]
    public async Task A_success_after_a_decline_is_credit_all_the_same()
    {
        var tenant = await With("tok_decline");
        await tenant.Admin.Post("/v1/wallet/top-ups", Fifty);

        await billing.Webhook(new { payment_id = await PaymentOf(tenant), outcome = "succeeded" });

        ((await PaymentsOf(tenant)).Single(), await Balance(tenant)).ShouldBe(("succeeded", "50.00"));
    }

    [Fact]
    public async Task A_repeated_request_charges_once_and_a_payment_method_can_be_named()
    {
        var tenant = await With("tok_success");
        var named = (await tenant.Viewer.Get("/v1/payment-methods")).Json.GetProperty("items")[0].GetProperty("payment_method_id").GetGuid();
        await Attach(tenant, "tok_decline");
        var (key, body) = (Guid.CreateVersion7().ToString(), new { amount = Euro("50.00"), payment_method_id = named });

        var first = await tenant.Admin.Post("/v1/wallet/top-ups", body, key);

        (await tenant.Admin.Post("/v1/wallet/top-ups", body, key)).Text.ShouldBe(first.Text);
        (await billing.Charges(tenant), await Balance(tenant)).ShouldBe((1, "50.00"));
        await tenant.Admin.Post($"/v1/payment-methods/{named}/detach");
        var refused = await tenant.Admin.Post("/v1/wallet/top-ups", body);
        (refused.Code, refused.Fields.Single()).ShouldBe(("payment_method.not_attached", "payment_method_id"));
    }

    [Theory]
    [InlineData("""{"amount":{"amount":"0.00","currency":"EUR"}}""", 400, "amount")]
    [InlineData("""{"amount":{"amount":"-1.00","currency":"EUR"}}""", 400, "amount")]
    [InlineData("""{"amount":{"amount":"1.00","currency":"USD"}}""", 422, "amount")]
    [InlineData("""{"payment_method_id":null}""", 400, "amount")]
    [InlineData("""{"amount":{"amount":"1.00","currency":"EUR"},"payment_method_id":"0198c0de-0000-7000-8000-00000000ffff"}""", 422, "payment_method_id")]
    public async Task A_wrong_top_up_is_refused_by_its_field(string body, int status, string field)
    {
        var tenant = await With("tok_success");

        var answer = await tenant.Admin.Post("/v1/wallet/top-ups", body);

        answer.Status.ShouldBe(status, answer.Text);
        answer.Fields.ShouldBe([field], answer.Text);
        (await billing.Count("payments", tenant.Id)).ShouldBe(0);
    }

    [Fact]
    public async Task A_rule_tops_up_after_an_invoice_and_leaves_enough_alone()
    {
        var tenant = await With("tok_success");
        await billing.Grant(tenant, "25.00", "promotional");
        await Rule(tenant, new { threshold = Euro("20.00"), amount = Euro("50.00"), monthly_max = Euro("50.00") });
        (await billing.TopUp(tenant)).ShouldBe(0, "25.00 are enough");

        await billing.Invoiced(tenant);
        var made = await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => Task.Run(() => billing.TopUp(tenant))));

        made.Sum().ShouldBe(1);
        (await Balance(tenant)).ShouldBe("66.00");
        (await tenant.Viewer.Get("/v1/payments")).Json.GetProperty("items")[0].GetProperty("target").GetRawText()
            .ShouldBe("""{"kind":"top_up","automatic":true}""");
        (await tenant.Viewer.Get("/v1/wallet/top-up-rule")).Json.GetProperty("next_at").GetString().ShouldBe("2026-04-01T00:00:00Z");
    }

    [Fact]
    public async Task A_rule_whose_charges_are_declined_is_switched_off_until_it_is_set_again()
    {
        var tenant = await With("tok_decline");
        var rule = new { threshold = Euro("20.00"), amount = Euro("50.00") };
        await Rule(tenant, rule);

        foreach (var day in new[] { 0, 1, 2, 3, 4, 10 })
            await billing.TopUp(tenant, Duration.FromDays(day));

        (await PaymentsOf(tenant)).Length.ShouldBe(3);
        var off = (await tenant.Viewer.Get("/v1/wallet/top-up-rule")).Json;
        (off.GetProperty("status").GetString(), off.GetProperty("code").GetString()).ShouldBe(("switched_off", "insufficient_funds"));
        await Attach(tenant, "tok_success");
        (await billing.TopUp(tenant, Duration.FromDays(20))).ShouldBe(0);
        await Rule(tenant, rule);
        (await billing.TopUp(tenant)).ShouldBe(1);
        ((await tenant.Viewer.Get("/v1/wallet/top-up-rule")).Json.GetProperty("status").GetString(), await Balance(tenant))
            .ShouldBe(("active", "50.00"));
    }

    [Fact]
    public async Task A_rule_is_read_by_all_of_its_tenant_set_by_its_administrators_and_gone_when_it_is_removed()
    {
        var tenant = await With("tok_success");
        var rule = new { threshold = Euro("20.00"), amount = Euro("50.00"), monthly_max = Euro("200.00") };
        (await tenant.Viewer.Get("/v1/wallet/top-up-rule")).Code.ShouldBe("top_up_rule.not_found");
        (await tenant.Viewer.Put("/v1/wallet/top-up-rule", rule)).Status.ShouldBe(403);
        (await billing.Operator.For(tenant.Id).Put("/v1/wallet/top-up-rule", rule)).Status.ShouldBe(200);

        (await tenant.Viewer.Get("/v1/wallet/top-up-rule")).Text.ShouldBe(
            """{"threshold":{"amount":"20.00","currency":"EUR"},"amount":{"amount":"50.00","currency":"EUR"}"""
            + ""","monthly_max":{"amount":"200.00","currency":"EUR"},"status":"active","code":null,"next_at":"2026-03-10T12:00:00Z"}""");

        (await tenant.Admin.Delete("/v1/wallet/top-up-rule")).Status.ShouldBe(204);
        (await tenant.Admin.Delete("/v1/wallet/top-up-rule")).Status.ShouldBe(204);
        (await tenant.Viewer.Get("/v1/wallet/top-up-rule")).Code.ShouldBe("top_up_rule.not_found");
        (await billing.TopUp(tenant)).ShouldBe(0);
    }

    [Theory]
    [InlineData("""{"threshold":{"amount":"0.00","currency":"EUR"},"amount":{"amount":"50.00","currency":"EUR"}}""", 400, "threshold")]
    [InlineData("""{"threshold":{"amount":"20.00","currency":"EUR"},"amount":{"amount":"0.00","currency":"EUR"}}""", 400, "amount")]
    [InlineData("""{"threshold":{"amount":"20.00","currency":"EUR"},"amount":{"amount":"10.00","currency":"EUR"}}""", 422, "amount")]
    [InlineData("""{"threshold":{"amount":"20.00","currency":"EUR"}}""", 400, "amount")]
    [InlineData("""{"threshold":{"amount":"20.00","currency":"EUR"},"amount":{"amount":"50.00","currency":"USD"}}""", 422, "amount")]
    [InlineData("""{"threshold":{"amount":"20.00","currency":"EUR"},"amount":{"amount":"50.00","currency":"EUR"},"monthly_max":{"amount":"40.00","currency":"EUR"}}""", 422, "monthly_max")]
    public async Task A_wrong_rule_is_refused_by_its_field(string body, int status, string field)
    {
        var tenant = await With("tok_success");

        var answer = await tenant.Admin.Put("/v1/wallet/top-up-rule", body);

        answer.Status.ShouldBe(status, answer.Text);
        answer.Fields.ShouldBe([field], answer.Text);
    }

    private static object Fifty => new { amount = Euro("50.00") };

    private static object Euro(string amount) => new { amount, currency = "EUR" };

    private async Task<TestTenant> With(string token)
    {
        var tenant = await billing.NewTenant();
        await Attach(tenant, token);
        return tenant;
    }

    private static async Task Rule(TestTenant tenant, object rule)
    {
        var set = await tenant.Admin.Put("/v1/wallet/top-up-rule", rule);
        set.Status.ShouldBe(200, set.Text);
    }

    private static async Task<string?> Balance(TestTenant tenant) => Amount((await tenant.Viewer.Get("/v1/wallet")).Json, "balance");

    private static string? Amount(System.Text.Json.JsonElement of, string name) => of.GetProperty(name).GetProperty("amount").GetString();

    private KeepToppedUp Crashing(bool charged) => new(
        billing.Services.GetRequiredService<EventStore.EventStore>(), billing.Services.GetRequiredService<BillingDatabase>(),
        billing.Services.GetRequiredService<Documents>(), CrashingGateway.Charge(billing, charged),
        billing.Services.GetRequiredService<TenantClock>());
}
