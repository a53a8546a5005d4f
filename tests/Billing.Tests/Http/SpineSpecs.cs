using System.Text.Json;
using System.Text.RegularExpressions;
using MassTransit;
using Microsoft.Extensions.DependencyInjection;
using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.Testing;

namespace Platform.Billing.Tests.Http;

/// <summary>From a new tenant to its invoice, over HTTP and the bus alone.</summary>
public sealed partial class SpineSpecs(BillingHost billing)
{
    [Fact]
    public async Task A_tenants_metered_job_becomes_an_invoice_it_can_verify()
    {
        var tenant = await billing.NewTenant(timeZone: "Europe/Berlin");
        var catalog = await billing.NewCatalog();
        var subscription = await BillingHost.Subscribe(tenant, catalog, startedAt: "2026-03-01T12:00:00+01:00");
        using var worker = new WorkerUsage(tenant.Id, billing.Clock.Now - NodaTime.Duration.FromHours(1));

        await billing.Bus.Publish(worker.Registered, BillingHost.Cancellation);
        await billing.Bus.Publish(worker.Placed, BillingHost.Cancellation);
        foreach (var batch in new[] { worker.Next(10_000.5m), worker.Next(9_999.5m), worker.Next(1_234, calls: 7) })
            await billing.Bus.Publish(batch, BillingHost.Cancellation);
        await BillingHost.Eventually(async () => await billing.Count("usage_events", tenant.Id) == 4, "four usage events");
        (await tenant.Partner.Post("/v1/usage/events", new
        {
            id = "partner-1",
            source = "isv/acme",
            type = "inference.call",
            time = "2026-03-09T23:30:00+01:00",
            data = new { calls = "3" },
        })).Status.ShouldBe(200);

        var closed = await tenant.Admin.Post($"/v1/subscriptions/{subscription}/close-period");

        closed.Status.ShouldBe(201, closed.Text);
        Approve.Text(Scrubbed(closed.Json, catalog) + "\n", "invoice.json");
        var id = closed.Json.GetProperty("invoice_id").GetString();
        (await tenant.Viewer.Get($"/v1/invoices/{id}")).Text.ShouldBe(closed.Text);
        (await tenant.Viewer.Get("/v1/invoices")).Json.GetProperty("items")[0].GetProperty("invoice_id").GetString().ShouldBe(id);

        // The tenant holds the batches against the worker's key by itself.
        var attempts = await tenant.Viewer.Get($"/v1/usage/attempts?job_id={worker.Placed.JobId}");
        attempts.Json.GetProperty("items")[0].GetProperty("batches").GetInt64().ShouldBe(3);
        var chain = (await tenant.Viewer.Get($"/v1/usage/attempts/{worker.Placed.AttemptId}/chain")).Json;
        chain.GetProperty("verified").GetBoolean().ShouldBeTrue();
        chain.GetProperty("fault").ValueKind.ShouldBe(JsonValueKind.Null);
        var batches = chain.GetProperty("batches").Deserialize<UsageReported[]>(ContractsJson.Options)!;
        var key = chain.GetProperty("public_key").GetString()!;
        UsageChain.Verify(batches, key).ShouldBeNull();
        UsageChain.Verify([.. batches.Where(batch => batch.Sequence != 2)], key).ShouldNotBeNull();
    }

    [Fact]
    public async Task What_happened_is_told_to_other_processes()
    {
        var told = new System.Collections.Concurrent.ConcurrentQueue<object>();
        var listening = billing.Services.GetRequiredService<IBusControl>().ConnectReceiveEndpoint($"told-{Guid.CreateVersion7():n}", endpoint =>
        {
            endpoint.Handler<TenantRegistered>(it => Tell(it.Message));
            endpoint.Handler<ApiKeyIssued>(it => Tell(it.Message));
            endpoint.Handler<ApiKeyRevoked>(it => Tell(it.Message));
            endpoint.Handler<InvoiceFinalized>(it => Tell(it.Message));
        });
        await listening.Ready;

        var tenant = await billing.NewTenant();
        var subscription = await BillingHost.Subscribe(tenant, await billing.NewCatalog());
        var keys = (await tenant.Admin.Get("/v1/api-keys")).Json.GetProperty("items");
        var partner = keys.EnumerateArray().Single(key => key.GetProperty("name").GetString() == "partner").GetProperty("api_key_id");
        (await tenant.Admin.Post($"/v1/api-keys/{partner.GetString()}/revoke")).Status.ShouldBe(204);
        (await tenant.Admin.Post($"/v1/subscriptions/{subscription}/close-period")).Status.ShouldBe(201);

        // The bus is shared; what other tests' tenants do is not this test's.
        await BillingHost.Eventually(
            () => Task.FromResult(Of<InvoiceFinalized>(it => it.TenantId).Count == 1), "the invoice is told");
        Of<TenantRegistered>(it => it.TenantId).Single().Currency.ShouldBe(Currency.EUR);
        Of<ApiKeyIssued>(it => it.TenantId).Select(it => it.Scope).ShouldBe(
            [ApiKeyScope.TenantAdmin, ApiKeyScope.TenantViewer, ApiKeyScope.Partner], ignoreOrder: true);
        Of<ApiKeyIssued>(it => it.TenantId).Select(it => it.KeyHash)
            .ShouldContain(Billing.ApiKeys.ApiKeySecret.HashOf(tenant.Admin.Key));
        Of<ApiKeyRevoked>(it => it.TenantId).Single().ApiKeyId.ToString().ShouldBe(partner.GetString());
        Of<InvoiceFinalized>(it => it.TenantId).Single().SubscriptionIds.ShouldBe([new(subscription)]);
        await listening.StopAsync(BillingHost.Cancellation);

        Task Tell(object message)
        {
            told.Enqueue(message);
            return Task.CompletedTask;
        }

        List<TMessage> Of<TMessage>(Func<TMessage, TenantId> tenantOf) =>
            [.. told.OfType<TMessage>().Where(message => tenantOf(message) == tenant.Id)];
    }

    // Ids are new in each run and with them the hash over the usage, as are the catalog's keys and the number, which all tests of the
    // host count on.
    private static string Scrubbed(JsonElement invoice, TestCatalog catalog)
    {
        var text = Pretty.Json(invoice)
            .Replace(catalog.Gpu, "gpu-time", StringComparison.Ordinal)
            .Replace(catalog.Calls, "inference-calls", StringComparison.Ordinal);
        var ids = new Dictionary<string, string>();
        text = Uuid().Replace(text, id => ids.TryGetValue(id.Value, out var known) ? known : ids[id.Value] = $"(id {ids.Count + 1})");
        return Number().Replace(Hash().Replace(text, "(hash)"), "(number)");
    }

    [GeneratedRegex("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")]
    private static partial Regex Uuid();

    [GeneratedRegex("[0-9a-f]{64}")]
    private static partial Regex Hash();

    [GeneratedRegex("2026-[0-9]{6}")]
    private static partial Regex Number();
}
