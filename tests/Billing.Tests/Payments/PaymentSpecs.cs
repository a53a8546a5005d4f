using Microsoft.Extensions.DependencyInjection;
using NodaTime;
using Platform.Billing.Dunning;
using Platform.Billing.Payments;
using Platform.Billing.Tenants;
using Platform.Billing.Tests.Http;
using Platform.EventStore;
using static Platform.Billing.Tests.Payments.PaymentWorld;

namespace Platform.Billing.Tests.Payments;

/// <summary>How invoices are paid, by the sandbox gateway and by bank transfer.</summary>
public sealed class PaymentSpecs(BillingHost billing)
{
    private const string Owed = "finalized, 0.00 paid, 9.00 due";
    private const string Paid = "paid, 9.00 paid, 0.00 due";

    private static readonly Duration CheckAfter = Duration.FromMinutes(10);

    [Theory]
    // token, at once, invoice at once, once the gateway was asked again, invoice then
    [InlineData("tok_success", "succeeded", Paid, "succeeded", Paid)]
    [InlineData("tok_decline", "declined insufficient_funds", Owed, "declined insufficient_funds", Owed)]
    [InlineData("tok_timeout", "pending", Owed, "succeeded", Paid)]
    [InlineData("tok_timeout_decline", "pending", Owed, "declined card_expired", Owed)]
    [InlineData("tok_pending", "pending", Owed, "pending", Owed)]
    public async Task A_charge_ends_as_the_gateway_says_and_is_made_once(
        string token, string atOnce, string invoiceAtOnce, string later, string invoiceLater)
    {
        var (tenant, invoice) = await billing.Owing(token);

        (await billing.Collect(tenant)).ShouldBe(1);
        (await PaymentsOf(tenant)).ShouldBe([atOnce]);
        (await StateOf(tenant, invoice)).ShouldBe(invoiceAtOnce);

        await billing.Collect(tenant, CheckAfter);
        (await PaymentsOf(tenant)).ShouldBe([later]);
        (await StateOf(tenant, invoice)).ShouldBe(invoiceLater);
        (await billing.Charges(tenant)).ShouldBe(1);
        (await Balances(tenant)).ShouldBe(later == "succeeded" ? ["cash 9.00", "revenue -9.00"] : ["receivable 9.00", "revenue -9.00"]);
    }

    [Fact]
    public async Task Collectors_at_once_make_one_charge()
    {
        var (tenant, invoice) = await billing.Owing("tok_success");

        var made = await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => Task.Run(() => billing.Collect(tenant))));

        made.Sum().ShouldBe(1);
        (await billing.Charges(tenant)).ShouldBe(1);
        (await StateOf(tenant, invoice)).ShouldBe(Paid);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_crash_before_or_after_the_charge_neither_loses_nor_doubles_it(bool charged)
    {
        var (tenant, invoice) = await billing.Owing("tok_success");
        await Should.ThrowAsync<OperationCanceledException>(
            () => Crashing(charged).Do(tenant.Id, billing.Clock.Now, Cause.Unknown, BillingHost.Cancellation));
        (await billing.Charges(tenant)).ShouldBe(charged ? 1 : 0);
        (await PaymentsOf(tenant)).ShouldBe(["pending"]);
        (await billing.Collect(tenant)).ShouldBe(0, "whoever made it may still be at it");

        await billing.Collect(tenant, CheckAfter);

        (await billing.Charges(tenant)).ShouldBe(1);
        (await PaymentsOf(tenant)).ShouldBe(["succeeded"]);
        (await StateOf(tenant, invoice)).ShouldBe(Paid);
    }

    [Fact]
    public async Task A_webhook_ends_a_pending_charge_and_a_duplicate_or_contrary_one_changes_nothing()
    {
        var (tenant, invoice) = await billing.Owing("tok_pending");
        await billing.Collect(tenant);
        var told = new { payment_id = await PaymentOf(tenant), outcome = "succeeded" };

        (await billing.Webhook(told)).Status.ShouldBe(204);
        var events = await billing.Count("events", tenant.Id);
        (await billing.Webhook(told)).Status.ShouldBe(204);
        (await billing.Webhook(new { told.payment_id, outcome = "declined", code = "late" })).Status.ShouldBe(204);
        (await billing.Count("events", tenant.Id)).ShouldBe(events);

        (await PaymentsOf(tenant)).ShouldBe(["succeeded"]);
        (await StateOf(tenant, invoice)).ShouldBe(Paid);
        (await Balances(tenant)).ShouldBe(["cash 9.00", "revenue -9.00"]);
    }

    [Fact]
    public async Task Eight_webhooks_at_once_pay_once()
    {
        var (tenant, invoice) = await billing.Owing("tok_pending");
        await billing.Collect(tenant);
        var told = new { payment_id = await PaymentOf(tenant), outcome = "succeeded" };

        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() => billing.Webhook(told))));

        (await StateOf(tenant, invoice)).ShouldBe(Paid);
        (await Balances(tenant)).ShouldBe(["cash 9.00", "revenue -9.00"]);
    }

    [Fact]
    public async Task A_success_that_comes_after_the_invoice_was_paid_otherwise_is_owed_back()
    {
        var (tenant, invoice) = await billing.Owing("tok_decline");
        await billing.Collect(tenant);
        var payment = await PaymentOf(tenant);
        (await billing.Operator.For(tenant.Id).Post($"/v1/invoices/{invoice}/payments", Transfer("9.00"))).Status.ShouldBe(201);

        (await billing.Webhook(new { payment_id = payment, outcome = "succeeded" })).Status.ShouldBe(204);

        (await PaymentsOf(tenant)).ShouldBe(["succeeded", "succeeded"]);
        (await StateOf(tenant, invoice)).ShouldBe(Paid);
        (await tenant.Viewer.Get($"/v1/payments/{payment}")).Json.GetProperty("excess").GetProperty("amount").GetString().ShouldBe("9.00");
        (await Balances(tenant)).ShouldBe(["cash 18.00", "refunds_payable -9.00", "revenue -9.00"]);
    }

    [Fact]
    public async Task A_webhook_counts_only_with_the_gateways_own_and_fresh_signature()
    {
        var (tenant, _) = await billing.Owing("tok_pending");
        await billing.Collect(tenant);
        var told = new { payment_id = await PaymentOf(tenant), outcome = "succeeded" };

        foreach (var forged in new[]
        {
            await billing.Webhook(told, secret: null), await billing.Webhook(told, secret: "guessed"),
            await billing.Webhook(told, ageSeconds: 301), await billing.Webhook(told, ageSeconds: -301),
        })
        {
            (forged.Status, forged.Code).ShouldBe((401, "webhook.signature_invalid"));
        }

        (await PaymentsOf(tenant)).ShouldBe(["pending"]);
        (await billing.Webhook(new { payment_id = Guid.CreateVersion7(), outcome = "succeeded" })).Code.ShouldBe("payment.not_found");
        (await billing.Webhook(new { told.payment_id, outcome = "pending" })).Fields.ShouldBe(["outcome"]);
        (await billing.Webhook(new { told.payment_id })).Fields.ShouldBe(["outcome"]);
    }

    [Fact]
    public async Task Bank_transfers_pay_an_invoice_in_parts()
    {
        var (tenant, invoice) = await billing.Owing(settings: Manual);
        var path = $"/v1/invoices/{invoice}/payments";
        var @operator = billing.Operator.For(tenant.Id);
        var key = Guid.CreateVersion7().ToString();

        var first = await @operator.Post(path, Transfer("4.00"), key);
        (await @operator.Post(path, Transfer("4.00"), key)).Text.ShouldBe(first.Text);
        (await StateOf(tenant, invoice)).ShouldBe("finalized, 4.00 paid, 5.00 due");
        (await @operator.Post(path, Transfer("5.01"))).Code.ShouldBe("payment.exceeds_amount_due");
        (await @operator.Post(path, Transfer("5.00", currency: "USD"))).Code.ShouldBe("payment.currency_mismatch");
        (await @operator.Post(path, Transfer("0.00"))).Fields.ShouldBe(["amount"]);
        var refused = await @operator.Post(
            path, new { amount = new { amount = "1.00", currency = "EUR" }, reference = " ", received_at = "2030-01-01T00:00:00Z" });
        refused.Fields.ShouldBe(["reference", "received_at"], ignoreOrder: true);
        (await @operator.Post(path, Transfer("5.00"))).Status.ShouldBe(201);

        (await StateOf(tenant, invoice)).ShouldBe(Paid);
        (await @operator.Post(path, Transfer("1.00"))).Code.ShouldBe("invoice.paid");
        (await PaymentsOf(tenant)).ShouldBe(["succeeded", "succeeded"]);
        (await Balances(tenant)).ShouldBe(["cash 9.00", "revenue -9.00"]);
    }

    [Fact]
    public async Task A_tenant_pays_with_its_newest_payment_method_when_it_likes()
    {
        var (tenant, invoice) = await billing.Owing(settings: Manual);
        (await tenant.Admin.Post($"/v1/invoices/{invoice}/pay")).Code.ShouldBe("payment_method.missing");
        await Attach(tenant, "tok_decline");
        var key = Guid.CreateVersion7().ToString();

        var declined = await tenant.Admin.Post($"/v1/invoices/{invoice}/pay", idempotencyKey: key);
        (declined.Status, declined.Json.GetProperty("status").GetString()).ShouldBe((201, "declined"));
        (await tenant.Admin.Post($"/v1/invoices/{invoice}/pay", idempotencyKey: key)).Text.ShouldBe(declined.Text);
        await Attach(tenant, "tok_pending");
        (await tenant.Admin.Post($"/v1/invoices/{invoice}/pay")).Json.GetProperty("status").GetString().ShouldBe("pending");
        (await tenant.Admin.Post($"/v1/invoices/{invoice}/pay")).Code.ShouldBe("invoice.payment_in_progress");
        await billing.Webhook(new { payment_id = await PaymentOf(tenant), outcome = "declined", code = "stolen_card" });
        await Attach(tenant, "tok_success");

        (await tenant.Admin.Post($"/v1/invoices/{invoice}/pay")).Json.GetProperty("status").GetString().ShouldBe("succeeded");
        (await PaymentsOf(tenant)).ShouldBe(["declined insufficient_funds", "declined stolen_card", "succeeded"], ignoreOrder: true);
        (await tenant.Admin.Post($"/v1/invoices/{invoice}/pay")).Code.ShouldBe("invoice.paid");
    }

    [Fact]
    public async Task A_payment_method_is_a_token_that_nobody_sees_again()
    {
        var tenant = await billing.NewTenant();
        await Attach(tenant, "tok_success");

        foreach (var wrong in new[] { "4242424242424242", "4242-4242-4242-4242", "tok_unknown", "", "tok success" })
            (await tenant.Admin.Post("/v1/payment-methods", new { token = wrong })).Fields.ShouldBe(["token"], wrong);
        var listed = await tenant.Viewer.Get("/v1/payment-methods");
        listed.Text.ShouldNotContain("tok_success");
        var method = listed.Json.GetProperty("items").EnumerateArray().ShouldHaveSingleItem();

        var id = method.GetProperty("payment_method_id").GetGuid();
        (await tenant.Admin.Post($"/v1/payment-methods/{id}/detach")).Status.ShouldBe(204);
        (await tenant.Admin.Post($"/v1/payment-methods/{id}/detach")).Status.ShouldBe(204);
        (await tenant.Admin.Post($"/v1/payment-methods/{Guid.CreateVersion7()}/detach")).Code.ShouldBe("payment_method.not_found");
        var invoice = await billing.Invoiced(tenant);
        (await tenant.Admin.Post($"/v1/invoices/{invoice}/pay")).Code.ShouldBe("payment_method.missing");
    }

    [Fact]
    public async Task A_void_leaves_nothing_in_the_books_and_a_write_off_leaves_bad_debt_until_it_is_paid()
    {
        var (tenant, voided) = await billing.Owing(settings: Manual);
        var @operator = billing.Operator.For(tenant.Id);

        (await @operator.Post($"/v1/invoices/{voided}/void", new { reason = "Wrong customer" })).Status.ShouldBe(200);
        (await StateOf(tenant, voided)).ShouldBe("void, 0.00 paid, 0.00 due");
        (await Balances(tenant)).ShouldBeEmpty();
        (await @operator.Post($"/v1/invoices/{voided}/void", new { reason = "" })).Fields.ShouldBe(["reason"]);

        var givenUp = await billing.Invoiced(tenant);
        (await @operator.Post($"/v1/invoices/{givenUp}/write-off", new { reason = "Insolvent" })).Status.ShouldBe(200);
        (await StateOf(tenant, givenUp)).ShouldBe("uncollectible, 0.00 paid, 9.00 due");
        (await Balances(tenant)).ShouldBe(["bad_debt 9.00", "revenue -9.00"]);

        (await @operator.Post($"/v1/invoices/{givenUp}/payments", Transfer("4.00"))).Status.ShouldBe(201);
        (await Balances(tenant)).ShouldBe(["bad_debt 5.00", "cash 4.00", "revenue -9.00"]);
        (await @operator.Post($"/v1/invoices/{givenUp}/payments", Transfer("5.00"))).Status.ShouldBe(201);
        (await StateOf(tenant, givenUp)).ShouldBe(Paid);
        (await Balances(tenant)).ShouldBe(["cash 9.00", "revenue -9.00"]);
    }

    private static object Manual => new { grace_days = 0, payment_terms_days = 14, collection = "manual" };

    private static object Transfer(string amount, string currency = "EUR") =>
        new { amount = new { amount, currency }, reference = "RE 2026-000042" };

    private CollectInvoices Crashing(bool charged) => new(
        billing.Services.GetRequiredService<EventStore.EventStore>(), billing.Services.GetRequiredService<BillingDatabase>(),
        CrashingGateway.Charge(billing, charged), billing.Services.GetRequiredService<TenantClock>());
}
