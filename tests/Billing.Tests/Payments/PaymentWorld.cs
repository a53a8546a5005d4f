using System.Text;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using NodaTime;
using Platform.Billing.Dunning;
using Platform.Billing.Payments;
using Platform.Billing.Recurring;
using Platform.Billing.Tests.Http;
using Platform.Billing.Wallets;
using Platform.EventStore;

namespace Platform.Billing.Tests.Payments;

/// <summary>Steps of tests about payments.</summary>
internal static class PaymentWorld
{
    extension(BillingHost billing)
    {
        /// <summary>A tenant that owes an invoice of 9.00 and nothing after it, with a payment method if one is named.</summary>
        public async Task<(TestTenant Tenant, Guid Invoice)> Owing(
            string? token = null, string currency = "EUR", object? settings = null)
        {
            var tenant = await billing.NewTenant(currency: currency);
            if (settings is not null)
                (await billing.Operator.Post($"/v1/tenants/{tenant.Id}/billing-settings", settings)).Status.ShouldBe(200);
            if (token is not null)
                await Attach(tenant, token);
            return (tenant, await billing.Invoiced(tenant, currency));
        }

        /// <summary>One more invoice of 9.00, of a subscription of its own that ends with it.</summary>
        public async Task<Guid> Invoiced(TestTenant tenant, string currency = "EUR")
        {
            var plan = await billing.Operator.Post("/v1/plans", new
            {
                key = $"p{Guid.CreateVersion7():n}",
                display_name = "Fee alone",
                recurring_fee = new { amount = "31.00", currency },
                proration = "days",
                charges = Array.Empty<object>(),
            });
            var subscription = await tenant.Admin.Post(
                "/v1/subscriptions", new { plan_id = plan.Json.GetProperty("plan_id").GetGuid(), started_at = "2026-03-01T00:00:00Z" });
            subscription.Status.ShouldBe(201, subscription.Text);
            var id = subscription.Json.GetProperty("subscription_id").GetGuid();
            (await tenant.Admin.Post($"/v1/subscriptions/{id}/cancel", new { when = "now" })).Status.ShouldBe(200);
            return (await tenant.Viewer.Get("/v1/invoices")).Json.GetProperty("items")[0].GetProperty("invoice_id").GetGuid();
        }

        /// <summary>What is due for the tenant by now, or later.</summary>
        public Task<int> Collect(TestTenant tenant, Duration later = default) =>
            billing.Services.GetServices<IDueWork>().OfType<CollectInvoices>().Single()
                .Do(tenant.Id, billing.Clock.Now + later, Cause.Unknown, BillingHost.Cancellation);

        /// <summary>What is due for the tenant's wallet by now, or later.</summary>
        public Task<int> TopUp(TestTenant tenant, Duration later = default) =>
            billing.Services.GetServices<IDueWork>().OfType<KeepToppedUp>().Single()
                .Do(tenant.Id, billing.Clock.Now + later, Cause.Unknown, BillingHost.Cancellation);

        /// <summary>What is due for the tenant's refunds by now, or later.</summary>
        public Task<int> SettleRefunds(TestTenant tenant, Duration later = default) =>
            billing.Services.GetServices<IDueWork>().OfType<SettleRefunds>().Single()
                .Do(tenant.Id, billing.Clock.Now + later, Cause.Unknown, BillingHost.Cancellation);

        /// <summary>How many charges the gateway made for the tenant.</summary>
        public async Task<int> Charges(TestTenant tenant) => (await billing.Strings(
            $"""
            select charge.payment_id::text from billing.sandbox_charges charge
            join billing.payments payment on payment.id = charge.payment_id where payment.tenant_id = '{tenant.Id}'
            """)).Length;

        public async Task<Answer> Webhook(object told, string? secret = BillingHost.WebhookSecret, int ageSeconds = 0)
        {
            var body = JsonSerializer.Serialize(told);
            using var http = billing.NewClient("");
            using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/payment-webhooks/sandbox")
            {
                Content = new StringContent(body, Encoding.UTF8, "application/json"),
            };
            request.Headers.Authorization = null;
            if (secret is not null)
            {
                request.Headers.Add("Platform-Signature", SandboxWebhook.Sign(
                    secret, billing.Clock.Now.ToUnixTimeSeconds() - ageSeconds, Encoding.UTF8.GetBytes(body)));
            }

            using var response = await http.SendAsync(request, BillingHost.Cancellation);
            return new((int)response.StatusCode, await response.Content.ReadAsStringAsync(BillingHost.Cancellation), response.Headers);
        }
    }

    public static async Task Attach(TestTenant tenant, string token)
    {
        var attached = await tenant.Admin.Post("/v1/payment-methods", new { token });
        attached.Status.ShouldBe(201, attached.Text);
    }

    /// <summary>Status, paid and due of the invoice.</summary>
    public static async Task<string> StateOf(TestTenant tenant, Guid invoice)
    {
        var view = (await tenant.Viewer.Get($"/v1/invoices/{invoice}")).Json;
        return $"{view.GetProperty("status").GetString()}, {Amount("amount_paid")} paid, {Amount("amount_due")} due";

        string? Amount(string name) => view.GetProperty(name).GetProperty("amount").GetString();
    }

    /// <summary>Status and code of each payment.</summary>
    public static async Task<string[]> PaymentsOf(TestTenant tenant) =>
    [
        .. (await tenant.Viewer.Get("/v1/payments")).Json.GetProperty("items").EnumerateArray().Select(payment =>
            payment.GetProperty("code").GetString() is { } code
                ? $"{payment.GetProperty("status").GetString()} {code}"
                : payment.GetProperty("status").GetString()!),
    ];

    /// <summary>The only payment, or the only one that is pending.</summary>
    public static async Task<Guid> PaymentOf(TestTenant tenant)
    {
        var payments = (await tenant.Viewer.Get("/v1/payments")).Json.GetProperty("items").EnumerateArray().ToList();
        return (payments is [var only] ? only : payments.Single(it => it.GetProperty("status").GetString() == "pending"))
            .GetProperty("payment_id").GetGuid();
    }

    /// <summary>Accounts that are not at zero.</summary>
    public static async Task<string[]> Balances(TestTenant tenant) =>
    [
        .. (await tenant.Viewer.Get("/v1/ledger/balances")).Json.GetProperty("balances").EnumerateArray()
            .Select(balance => (
                Account: balance.GetProperty("account").GetString(), Net: balance.GetProperty("net").GetProperty("amount").GetString()))
            .Where(balance => balance.Net is not ("0.00" or "0"))
            .Select(balance => $"{balance.Account} {balance.Net}"),
    ];
}
