using Microsoft.Extensions.DependencyInjection;
using NodaTime;
using Platform.Billing.Payments;
using Platform.Billing.Tests.Http;
using Platform.EventStore;
using static Platform.Billing.Tests.Payments.PaymentWorld;

namespace Platform.Billing.Tests.Payments;

/// <summary>How money is paid back, by the sandbox gateway.</summary>
public sealed class RefundHttpSpecs(BillingHost billing)
{
    private static readonly Duration CheckAfter = Duration.FromMinutes(10);

    [Theory]
    // token, at once, once the gateway was asked again, and the books then
    [InlineData("tok_success", "succeeded", "succeeded", "cash 5.00, refund_expense 4.00, revenue -9.00")]
    [InlineData("tok_refund_decline", "failed account_closed", "failed account_closed", "cash 9.00, refund_expense 4.00, refunds_payable -4.00, revenue -9.00")]
    [InlineData("tok_refund_timeout", "pending", "succeeded", "cash 5.00, refund_expense 4.00, revenue -9.00")]
    [InlineData("tok_refund_pending", "pending", "pending", "cash 9.00, refund_expense 4.00, refunds_payable -4.00, revenue -9.00")]
    public async Task A_refund_ends_as_the_gateway_says_and_is_made_once(string token, string atOnce, string later, string books)
    {
        var (tenant, payment) = await Paid(token);

        var made = await Refund(tenant, payment, new { amount = Euro("4.00"), reason = "Not as agreed" });

        made.Status.ShouldBe(201, made.Text);
        (await RefundsOf(tenant)).ShouldBe([atOnce]);
        await billing.SettleRefunds(tenant, CheckAfter);
        (await RefundsOf(tenant)).ShouldBe([later]);
        (await Refunds(tenant)).ShouldBe(1);
        string.Join(", ", await Balances(tenant)).ShouldBe(books);
        (await tenant.Viewer.Get($"/v1/payments/{payment}")).Json.GetProperty("refunded").GetProperty("amount").GetString()
            .ShouldBe(later == "succeeded" ? "4.00" : "0.00");
    }

    [Fact]
    public async Task Eight_refunds_at_once_pay_back_no_more_than_was_received()
    {
        var (tenant, payment) = await Paid("tok_success");

        var answers = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(
            () => Refund(tenant, payment, new { amount = Euro("2.00"), reason = "r" }))));

        answers.Count(answer => answer.Status == 201).ShouldBe(4);
        answers.Where(answer => answer.Status != 201).ShouldAllBe(answer => answer.Code == "refund.exceeds_payment");
        (await Refund(tenant, payment, new { reason = "r" })).Json.GetProperty("amount").GetProperty("amount").GetString().ShouldBe("1.00");
        (await Refund(tenant, payment, new { reason = "r" })).Code.ShouldBe("refund.nothing_left");
        (await Balances(tenant)).ShouldBe(["refund_expense 9.00", "revenue -9.00"]);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_crash_before_or_after_the_refund_neither_loses_nor_doubles_it(bool heard)
    {
        var (tenant, payment) = await Paid("tok_refund_pending");
        var refund = (await Refund(tenant, payment, new { amount = Euro("4.00"), reason = "r" })).Json.GetProperty("refund_id").GetGuid();
        await billing.Execute($"delete from billing.sandbox_refunds where refund_id = '{refund}'");
        await billing.Execute($"update billing.sandbox_charges set token = 'tok_success' where payment_id = '{payment}'");
        await Should.ThrowAsync<OperationCanceledException>(() => CrashingGateway.Refund(billing, heard).Proceed(
            tenant.Id, new(payment), new(refund), asked: false, Cause.Unknown, BillingHost.Cancellation));
        (await Refunds(tenant), (await RefundsOf(tenant)).Single()).ShouldBe((heard ? 1 : 0, "pending"));

        await billing.SettleRefunds(tenant, CheckAfter);

        (await Refunds(tenant), (await RefundsOf(tenant)).Single()).ShouldBe((1, "succeeded"));
    }

    [Fact]
    public async Task Webhooks_at_once_and_again_and_contrary_ones_pay_back_once()
    {
        var (tenant, payment) = await Paid("tok_refund_pending");
        var refund = (await Refund(tenant, payment, new { reason = "r" })).Json.GetProperty("refund_id").GetGuid();
        var told = new { refund_id = refund, outcome = "succeeded" };

        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() => billing.Webhook(told))));
        (await billing.Webhook(new { refund_id = refund, outcome = "declined", code = "late" })).Status.ShouldBe(204);

        (await RefundsOf(tenant)).ShouldBe(["succeeded"]);
        (await Balances(tenant)).ShouldBe(["refund_expense 9.00", "revenue -9.00"]);
        (await billing.Webhook(new { refund_id = Guid.CreateVersion7(), outcome = "succeeded" })).Code.ShouldBe("refund.not_found");
        (await billing.Webhook(new { outcome = "succeeded" })).Fields.ShouldBe(["payment_id"]);
        (await billing.Webhook(new { refund_id = refund, payment_id = payment, outcome = "succeeded" })).Fields.ShouldBe(["payment_id"]);
    }

    [Fact]
    public async Task What_was_received_beyond_what_was_due_is_paid_back_first()
    {
        var (tenant, invoice) = await billing.Owing("tok_decline");
        await billing.Collect(tenant);
        var payment = await PaymentOf(tenant);
        var transfer = new { amount = Euro("6.00"), reference = "RE 2026-000042" };
        var @operator = billing.Operator.For(tenant.Id);
        var byBank = (await @operator.Post($"/v1/invoices/{invoice}/payments", transfer)).Json.GetProperty("payment_id").GetGuid();
        await billing.Webhook(new { payment_id = payment, outcome = "succeeded" });
        (await Balances(tenant)).ShouldBe(["cash 15.00", "refunds_payable -6.00", "revenue -9.00"]);

        (await Refund(tenant, payment, new { amount = Euro("6.00"), reason = "Paid twice" })).Status.ShouldBe(201);

        (await Balances(tenant)).ShouldBe(["cash 9.00", "revenue -9.00"]);
        (await Refund(tenant, byBank, new { reason = "r" })).Code.ShouldBe("payment.not_by_gateway");
    }

    [Fact]
    public async Task Refunds_and_credit_notes_together_give_back_no_more_than_was_paid()
    {
        var (tenant, payment) = await Paid("tok_success");
        var invoice = (await tenant.Viewer.Get("/v1/invoices")).Json.GetProperty("items")[0].GetProperty("invoice_id").GetGuid();

        (await Note("4.00")).Status.ShouldBe(201, "to the wallet");
        var refused = await Refund(tenant, payment, new { amount = Euro("5.01"), reason = "Goodwill" });
        (refused.Status, refused.Code).ShouldBe((422, "refund.given_back"));
        refused.Fields.ShouldBe(["amount"]);
        (await Refund(tenant, payment, new { amount = Euro("3.00"), reason = "Goodwill" })).Status.ShouldBe(201);

        refused = await Note("2.01");
        (refused.Status, refused.Code).ShouldBe((422, "credit_note.refunded_before"));
        (await Note("2.00")).Status.ShouldBe(201);
        (await Refund(tenant, payment, new { reason = "Goodwill" })).Code.ShouldBe("refund.nothing_left");
        (await Balances(tenant)).ShouldBe(["cash 6.00", "refund_expense 3.00", "revenue -3.00", "wallet -6.00"]);

        Task<Answer> Note(string amount) => billing.Operator.For(tenant.Id).Post(
            $"/v1/invoices/{invoice}/credit-notes", new { lines = new[] { new { line = 1, amount = Euro(amount) } }, reason = "Not as agreed" });
    }

    [Fact]
    public async Task Of_a_top_up_unused_credit_is_paid_back_and_gone_from_the_wallet()
    {
        var tenant = await billing.NewTenant();
        await Attach(tenant, "tok_success");
        var payment = (await tenant.Admin.Post("/v1/wallet/top-ups", new { amount = Euro("50.00") })).Json.GetProperty("payment_id").GetGuid();
        await billing.Invoiced(tenant);
        (await Refund(tenant, payment, new { amount = Euro("41.01"), reason = "r" })).Code.ShouldBe("refund.exceeds_payment");

        (await Refund(tenant, payment, new { reason = "No longer needed" })).Status.ShouldBe(201);

        (await tenant.Viewer.Get("/v1/wallet")).Json.GetProperty("balance").GetProperty("amount").GetString().ShouldBe("0.00");
        var left = (await tenant.Viewer.Get("/v1/wallet/transactions")).Json.GetProperty("items")[0];
        (left.GetProperty("type").GetString(), left.GetProperty("payment_id").GetGuid(), left.GetProperty("reason").GetString())
            .ShouldBe(("refunded", payment, "No longer needed"));
        (await Balances(tenant)).ShouldBe(["cash 9.00", "revenue -9.00"]);
        (await billing.Operator.For(tenant.Id).Post($"/v1/wallet/grants/{payment}/void", new { reason = "r" })).Code
            .ShouldBe("wallet.credit_bought");
    }

    [Fact]
    public async Task What_could_not_be_paid_back_of_a_top_up_is_owed_and_tried_again()
    {
        var tenant = await billing.NewTenant();
        await Attach(tenant, "tok_refund_decline");
        var payment = (await tenant.Admin.Post("/v1/wallet/top-ups", new { amount = Euro("50.00") })).Json.GetProperty("payment_id").GetGuid();

        (await Refund(tenant, payment, new { reason = "r" })).Json.GetProperty("status").GetString().ShouldBe("failed");
        (await Balances(tenant)).ShouldBe(["cash 50.00", "refunds_payable -50.00"]);
        await billing.Execute($"update billing.sandbox_charges set token = 'tok_success' where payment_id = '{payment}'");
        (await Refund(tenant, payment, new { reason = "r" })).Json.GetProperty("status").GetString().ShouldBe("succeeded");

        (await Balances(tenant)).ShouldBeEmpty();
    }

    [Fact]
    public async Task A_repeated_request_refunds_once_and_only_operators_refund()
    {
        var (tenant, payment) = await Paid("tok_success");
        var (key, body) = (Guid.CreateVersion7().ToString(), new { amount = Euro("4.00"), reason = "r" });

        var first = await billing.Operator.For(tenant.Id).Post($"/v1/payments/{payment}/refunds", body, key);

        (await billing.Operator.For(tenant.Id).Post($"/v1/payments/{payment}/refunds", body, key)).Text.ShouldBe(first.Text);
        (await Refunds(tenant)).ShouldBe(1);
        (await tenant.Admin.Post($"/v1/payments/{payment}/refunds", body)).Status.ShouldBe(403);
        var (stranger, _) = await Paid("tok_success");
        (await Refund(stranger, payment, body)).Code.ShouldBe("payment.not_found");
        (await stranger.Viewer.Get($"/v1/refunds/{first.Json.GetProperty("refund_id").GetGuid()}")).Code.ShouldBe("refund.not_found");
        (await tenant.Viewer.Get($"/v1/refunds?payment_id={payment}")).Json.GetProperty("items").GetArrayLength().ShouldBe(1);
    }

    [Theory]
    [InlineData("""{"amount":{"amount":"0.00","currency":"EUR"},"reason":"r"}""", 400, "amount")]
    [InlineData("""{"amount":{"amount":"9.01","currency":"EUR"},"reason":"r"}""", 422, "amount")]
    [InlineData("""{"amount":{"amount":"1.00","currency":"USD"},"reason":"r"}""", 422, "amount")]
    [InlineData("""{"amount":{"amount":"1.00","currency":"EUR"},"reason":" "}""", 400, "reason")]
    [InlineData("""{"amount":{"amount":"1.00","currency":"EUR"}}""", 400, "reason")]
    public async Task A_wrong_refund_is_refused_by_its_field(string body, int status, string field)
    {
        var (tenant, payment) = await Paid("tok_success");

        var answer = await Refund(tenant, payment, body);

        answer.Status.ShouldBe(status, answer.Text);
        answer.Fields.ShouldBe([field], answer.Text);
        (await billing.Count("refunds", tenant.Id)).ShouldBe(0);
    }

    private static object Euro(string amount) => new { amount, currency = "EUR" };

    /// <summary>A tenant whose invoice of 9.00 was charged.</summary>
    private async Task<(TestTenant Tenant, Guid Payment)> Paid(string token)
    {
        var (tenant, _) = await billing.Owing(token);
        await billing.Collect(tenant);
        return (tenant, await PaymentOf(tenant));
    }

    private Task<Answer> Refund(TestTenant tenant, Guid payment, object body) =>
        billing.Operator.For(tenant.Id).Post($"/v1/payments/{payment}/refunds", body);

    private static async Task<string[]> RefundsOf(TestTenant tenant) =>
    [
        .. (await tenant.Viewer.Get("/v1/refunds")).Json.GetProperty("items").EnumerateArray().Select(refund =>
            refund.GetProperty("code").GetString() is { } code
                ? $"{refund.GetProperty("status").GetString()} {code}"
                : refund.GetProperty("status").GetString()!),
    ];

    /// <summary>How many refunds the gateway made for the tenant.</summary>
    private async Task<int> Refunds(TestTenant tenant) => (await billing.Strings(
        $"""
        select made.refund_id::text from billing.sandbox_refunds made
        join billing.payments payment on payment.id = made.payment_id where payment.tenant_id = '{tenant.Id}'
        """)).Length;
}
