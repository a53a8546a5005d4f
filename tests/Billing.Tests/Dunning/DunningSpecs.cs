using System.Collections.Concurrent;
using MassTransit;
using Microsoft.Extensions.DependencyInjection;
using NodaTime;
using Platform.Billing.Tests.Http;
using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.EventStore;
using static Platform.Billing.Tests.Payments.PaymentWorld;

namespace Platform.Billing.Tests.Dunning;

/// <summary>Unpaid invoices over weeks; the clock moves, so this class has a host of its own.</summary>
public sealed class DunningSpecs(OwnBillingHost billing) : IClassFixture<OwnBillingHost>
{
    private static readonly int[] afterTwoDays = [2];
    private static readonly int[] twiceOnADay = [3, 3];

    [Fact]
    public async Task From_a_declined_charge_to_suspension_and_back()
    {
        var (tenant, invoice) = await Owing("tok_decline");
        var told = new ConcurrentQueue<object>();
        var bus = billing.Services.GetRequiredService<IBusControl>();
        var listening = bus.ConnectReceiveEndpoint($"told-{Guid.CreateVersion7():n}", endpoint =>
        {
            endpoint.Handler<TenantSuspended>(it => Tell(it.Message.TenantId, it.Message));
            endpoint.Handler<TenantReinstated>(it => Tell(it.Message.TenantId, it.Message));
        });
        await listening.Ready;

        await billing.RunAt("2026-03-10T12:01:00Z");
        (await StateOf(tenant, invoice)).ShouldBe("finalized, 0.00 paid, 9.00 due");
        await billing.RunAt("2026-03-24T11:59:59Z");
        (await StateOf(tenant, invoice)).ShouldStartWith("finalized");
        await billing.RunAt("2026-03-24T12:00:00Z");
        (await StateOf(tenant, invoice)).ShouldBe("overdue, 0.00 paid, 9.00 due");
        foreach (var day in new[] { "25", "26", "27", "29", "30" })
            await billing.RunAt($"2026-03-{day}T12:00:00Z");
        (await PaymentsOf(tenant)).Length.ShouldBe(4, "at finalization and on three of the retry days");
        (await SuspendedAt(tenant)).ShouldBeNull();

        await billing.RunAt("2026-03-31T12:00:00Z");
        (await SuspendedAt(tenant)).ShouldBe("2026-03-31T12:00:00Z");
        (await PaymentsOf(tenant)).ShouldAllBe(payment => payment == "declined insufficient_funds");
        (await PaymentsOf(tenant)).Length.ShouldBe(5);
        await billing.RunAt("2026-06-01T12:00:00Z");
        (await PaymentsOf(tenant)).Length.ShouldBe(5, "nobody is dunned for ever");

        await Attach(tenant, "tok_success");
        (await tenant.Admin.Post($"/v1/invoices/{invoice}/pay")).Json.GetProperty("status").GetString().ShouldBe("succeeded");
        (await StateOf(tenant, invoice)).ShouldBe("paid, 9.00 paid, 0.00 due");
        (await SuspendedAt(tenant)).ShouldBeNull();
        await BillingHost.Eventually(() => Task.FromResult(told.Count == 2), "both are told");
        told.ShouldBe(
            [
                new TenantSuspended(tenant.Id, Instant.FromUtc(2026, 3, 31, 12, 0)),
                new TenantReinstated(tenant.Id, Instant.FromUtc(2026, 6, 1, 12, 0)),
            ],
            ignoreOrder: true);

        // The host is this class's, but its other tests suspend tenants too.
        Task Tell(TenantId who, object message)
        {
            if (who == tenant.Id)
                told.Enqueue(message);
            return Task.CompletedTask;
        }
    }

    [Fact]
    public async Task A_tenant_stays_suspended_until_the_last_of_its_invoices_is_settled()
    {
        var (tenant, first) = await Owing(token: null);
        var second = await billing.Invoiced(tenant);
        var third = await billing.Invoiced(tenant);
        await billing.RunAt("2026-04-20T12:00:00Z");
        var @operator = billing.Operator.For(tenant.Id);
        (await SuspendedAt(tenant)).ShouldNotBeNull();

        (await @operator.Post($"/v1/invoices/{first}/void", new { reason = "Wrong" })).Status.ShouldBe(200);
        (await SuspendedAt(tenant)).ShouldNotBeNull();
        (await @operator.Post($"/v1/invoices/{second}/write-off", new { reason = "Insolvent" })).Status.ShouldBe(200);
        (await Pay(third)).Status.ShouldBe(201);
        (await SuspendedAt(tenant)).ShouldNotBeNull("what was given up is owed all the same");
        (await Pay(second)).Status.ShouldBe(201);
        (await SuspendedAt(tenant)).ShouldBeNull();

        Task<Answer> Pay(Guid invoice) => @operator.Post(
            $"/v1/invoices/{invoice}/payments", new { amount = new { amount = "9.00", currency = "EUR" }, reference = "RE" });
    }

    [Fact]
    public async Task An_invoice_keeps_the_settings_of_its_finalization()
    {
        var (tenant, invoice) = await Owing(
            token: null, new { grace_days = 0, payment_terms_days = 3, collection = "manual", retry_days = afterTwoDays });
        var changed = await billing.Operator.Post(
            $"/v1/tenants/{tenant.Id}/billing-settings", new { grace_days = 0, payment_terms_days = 60, collection = "automatic" });
        changed.Status.ShouldBe(200, changed.Text);

        (await tenant.Viewer.Get($"/v1/invoices/{invoice}")).Json.GetProperty("due_at").GetString().ShouldBe("2026-03-13T12:00:00Z");
        await billing.RunAt("2026-03-13T12:00:00Z");
        (await StateOf(tenant, invoice)).ShouldStartWith("overdue");
        await billing.RunAt("2026-03-15T12:00:00Z");
        (await SuspendedAt(tenant)).ShouldBe("2026-03-15T12:00:00Z");
    }

    [Fact]
    public async Task Settings_that_make_no_sense_are_refused_by_field()
    {
        var (tenant, _) = await Owing(token: null);
        var path = $"/v1/tenants/{tenant.Id}/billing-settings";

        var refused = await billing.Operator.Post(
            path, new { grace_days = -1, payment_terms_days = 366, collection = "manual", retry_days = twiceOnADay });
        refused.Fields.ShouldBe(["grace_days", "payment_terms_days", "retry_days"], ignoreOrder: true);
        (await billing.Operator.Post(path, new { grace_days = 0, payment_terms_days = 14, collection = "sometimes" }))
            .Fields.ShouldBe(["collection"]);
        var nobody = await billing.Operator.Post(
            $"/v1/tenants/{Guid.CreateVersion7()}/billing-settings",
            new { grace_days = 0, payment_terms_days = 14, collection = "manual" });
        nobody.Code.ShouldBe("tenant.not_found");
    }

    [Fact]
    public async Task What_is_owed_ages_by_days_past_due_in_each_currency()
    {
        var (tenant, invoice) = await Owing(token: null, currency: "GBP");
        string[] buckets = ["current", "days_1_to_30", "days_31_to_60", "days_61_to_90", "days_over_90", "total"];

        // Due on the 24th of March at noon.
        (await Ageing("2026-03-24T12:00:00Z")).ShouldBe("9.00 0.00 0.00 0.00 0.00 9.00");
        (await Ageing("2026-03-24T12:00:01Z")).ShouldBe("0.00 9.00 0.00 0.00 0.00 9.00");
        (await Ageing("2026-04-23T12:00:00Z")).ShouldBe("0.00 9.00 0.00 0.00 0.00 9.00");
        (await Ageing("2026-04-23T12:00:01Z")).ShouldBe("0.00 0.00 9.00 0.00 0.00 9.00");
        (await Ageing("2026-05-23T12:00:01Z")).ShouldBe("0.00 0.00 0.00 9.00 0.00 9.00");
        (await Ageing("2026-06-22T12:00:01Z")).ShouldBe("0.00 0.00 0.00 0.00 9.00 9.00");
        await billing.Operator.For(tenant.Id).Post(
            $"/v1/invoices/{invoice}/payments", new { amount = new { amount = "4.00", currency = "GBP" }, reference = "RE" });
        (await Ageing("2026-06-22T12:00:01Z")).ShouldBe("0.00 0.00 0.00 0.00 5.00 5.00");
        var writtenOff = await billing.Operator.For(tenant.Id).Post($"/v1/invoices/{invoice}/write-off", new { reason = "Insolvent" });
        writtenOff.Status.ShouldBe(200, writtenOff.Text);
        (await Ageing("2026-06-22T12:00:01Z")).ShouldBeNull();

        async Task<string?> Ageing(string now)
        {
            billing.Clock.Set(NodaTime.Text.InstantPattern.ExtendedIso.Parse(now).Value);
            var pounds = (await billing.Operator.Get("/v1/receivables/ageing")).Json.GetProperty("items").EnumerateArray()
                .Where(currency => currency.GetProperty("currency").GetString() == "GBP").ToList();
            return pounds is [var only]
                ? string.Join(' ', buckets.Select(bucket => only.GetProperty(bucket).GetProperty("amount").GetString()))
                : null;
        }
    }

    [Fact]
    public async Task Views_rebuilt_after_dunning_are_the_same()
    {
        var (tenant, invoice) = await Owing("tok_decline");
        await billing.RunAt("2026-04-20T12:00:00Z");
        await billing.Operator.For(tenant.Id).Post($"/v1/invoices/{invoice}/write-off", new { reason = "Insolvent" });
        await Owing("tok_pending");
        await billing.RunAt("2026-04-21T12:00:00Z");
        var rebuild = billing.Services.GetRequiredService<Rebuild>();

        foreach (var projection in new[] { "receivables", "payments", "payment_methods", "invoices", "tenants", "ledger_entries" })
        {
            var live = await Rows(projection);
            await rebuild.Run(projection, BillingHost.Cancellation);
            (await Rows(projection)).ShouldBe(live, projection);
        }

        Task<string[]> Rows(string table) => billing.Strings($"select it::text from billing.{table} it order by 1");
    }

    private async Task<(TestTenant Tenant, Guid Invoice)> Owing(string? token, object? settings = null, string currency = "EUR")
    {
        billing.Clock.Set(Instant.FromUtc(2026, 3, 10, 12, 0));
        return await billing.Owing(token, currency, settings);
    }

    private async Task<string?> SuspendedAt(TestTenant tenant) =>
        (await billing.Operator.Get($"/v1/tenants/{tenant.Id}")).Json.GetProperty("suspended_at").GetString();
}
