using System.Collections.Concurrent;
using System.Text.Json;
using MassTransit;
using Microsoft.Extensions.DependencyInjection;
using Platform.Billing.Tests.Http;
using Messages = Platform.Contracts.Messages;

namespace Platform.Billing.Tests.Entitlements;

/// <summary>From a plan's version to what its subscriber may use, and what other processes are told of it.</summary>
public sealed class EntitlementHttpSpecs(BillingHost billing)
{
    private static readonly object eight = new
    {
        features = new[] { "pool.spot" },
        limits = new[] { new { limit = "jobs.concurrent", max = "8", mode = "hard" } },
    };

    private static readonly object reserved = new { features = new[] { "pool.reserved" } };

    [Fact]
    public async Task A_subscription_grants_what_its_plan_states_until_it_changes_or_ends()
    {
        var told = new ConcurrentQueue<Messages.EntitlementsChanged>();
        var tenant = await billing.NewTenant();
        var listening = billing.Services.GetRequiredService<IBusControl>().ConnectReceiveEndpoint(
            $"entitled-{Guid.CreateVersion7():n}",
            endpoint => endpoint.Handler<Messages.EntitlementsChanged>(it =>
            {
                if (it.Message.TenantId == tenant.Id)
                    told.Enqueue(it.Message);
                return Task.CompletedTask;
            }));
        await listening.Ready;
        (await Entitled(tenant)).ShouldBe("0: ");

        var subscription = await Subscribe(tenant, await Plan(eight));
        (await Entitled(tenant)).ShouldBe("1: pool.spot jobs.concurrent<=8");
        var other = await Subscribe(tenant, await Plan(eight));
        (await Entitled(tenant)).ShouldBe("2: pool.spot jobs.concurrent<=16");

        var changed = await tenant.Admin.Post(
            $"/v1/subscriptions/{other}/change-plan", new { plan_id = await Plan(entitlements: null), when = "now" });
        changed.Status.ShouldBe(200, changed.Text);
        (await Entitled(tenant)).ShouldBe("3: pool.spot jobs.concurrent<=8");

        (await tenant.Admin.Post($"/v1/subscriptions/{subscription}/cancel", new { when = "now" })).Status.ShouldBe(200);
        (await Entitled(tenant)).ShouldBe("4: ");

        await BillingHost.Eventually(() => Task.FromResult(told.Count == 4), "four messages");
        told.OrderBy(it => it.Version).Select(it => it.Limits.SingleOrDefault()?.Max).ShouldBe([8m, 16m, 8m, null]);
        await listening.StopAsync(BillingHost.Cancellation);
    }

    [Fact]
    public async Task A_plan_shows_what_it_grants_and_the_same_again_is_no_new_version()
    {
        var plan = await Plan(eight);
        var again = await billing.Operator.Post($"/v1/plans/{plan}/versions", Version(eight));
        again.Json.GetProperty("latest_version").GetInt32().ShouldBe(1, again.Text);

        var next = await billing.Operator.Post($"/v1/plans/{plan}/versions", Version(reserved));

        var versions = next.Json.GetProperty("versions");
        versions[0].GetProperty("entitlements").GetRawText().ShouldBe(
            """{"features":["pool.spot"],"limits":[{"limit":"jobs.concurrent","max":"8","mode":"hard"}]}""");
        versions[1].GetProperty("entitlements").GetRawText().ShouldBe("""{"features":["pool.reserved"],"limits":[]}""");
    }

    [Theory]
    [InlineData("""{"features":["Pool"]}""", "entitlements.features[0]")]
    [InlineData("""{"limits":[{"limit":"jobs","max":"8","mode":"hard"}]}""", "entitlements.limits[0].limit")]
    [InlineData("""{"limits":[{"limit":"gpu.milli","max":"-1","mode":"hard"}]}""", "entitlements.limits[0].max")]
    [InlineData("""{"limits":[{"limit":"gpu.milli","max":"1.5","mode":"hard"}]}""", "entitlements.limits[0].max")]
    [InlineData("""{"limits":[{"limit":"gpu.milli","max":"1","mode":"firm"}]}""", "entitlements.limits[0].mode")]
    [InlineData(
        """{"limits":[{"limit":"gpu.milli","max":"1","mode":"soft"},{"limit":"gpu.milli","max":"2","mode":"soft"}]}""",
        "entitlements.limits[1].limit")]
    [InlineData("""{"limits":[{"limit":"usage","max":"1","mode":"hard"}]}""", "entitlements.limits[0].meter")]
    [InlineData("""{"limits":[{"limit":"gpu.milli","meter":"gpu","max":"1","mode":"hard"}]}""", "entitlements.limits[0].meter")]
    [InlineData("""{"limits":[{"limit":"usage","meter":"gpu","max":"-0.1","mode":"hard"}]}""", "entitlements.limits[0].max")]
    [InlineData("""{"limits":[{"limit":"usage","meter":"gpu","max":"0.0000000000001","mode":"hard"}]}""", "entitlements.limits[0].max")]
    [InlineData("""{"limits":[{"limit":"gpu.milli","max":"1","mode":"hard","reached":true}]}""", "entitlements.limits[0].reached")]
    [InlineData(
        """{"limits":[{"limit":"usage","meter":"gpu","max":"1","mode":"soft"},{"limit":"usage","meter":"gpu","max":"2","mode":"soft"}]}""",
        "entitlements.limits[1].limit")]
    public async Task What_makes_no_sense_is_named(string entitlements, string field)
    {
        var answer = await billing.Operator.Post(
            "/v1/plans",
            $$$"""{"key":"never","display_name":"Never","recurring_fee":{"amount":"0.00","currency":"EUR"},"proration":"none","charges":[],"entitlements":{{{entitlements}}}}""");

        answer.Status.ShouldBe(400, answer.Text);
        answer.Fields.ShouldBe([field]);
    }

    private static async Task<Guid> Subscribe(TestTenant tenant, Guid plan)
    {
        var started = await tenant.Admin.Post("/v1/subscriptions", new { plan_id = plan, started_at = "2026-03-01T00:00:00Z" });
        started.Status.ShouldBe(201, started.Text);
        return started.Json.GetProperty("subscription_id").GetGuid();
    }

    private static async Task<string> Entitled(TestTenant tenant)
    {
        var answer = await tenant.Viewer.Get("/v1/entitlements");
        answer.Status.ShouldBe(200, answer.Text);
        var features = answer.Json.GetProperty("features").EnumerateArray().Select(feature => feature.GetString());
        var limits = answer.Json.GetProperty("limits").EnumerateArray().Select(limit => $"{limit.GetProperty("limit")}<={limit.GetProperty("max")}");
        return $"{answer.Json.GetProperty("version")}: {string.Join(' ', [.. features, .. limits])}";
    }

    private async Task<Guid> Plan(object? entitlements)
    {
        var version = JsonSerializer.SerializeToNode(Version(entitlements))!.AsObject();
        version["key"] = $"t{Guid.CreateVersion7():n}";
        var plan = await billing.Operator.Post("/v1/plans", version.ToJsonString());
        plan.Status.ShouldBe(201, plan.Text);
        return plan.Json.GetProperty("plan_id").GetGuid();
    }

    private static object Version(object? entitlements) => new
    {
        display_name = "Standard",
        recurring_fee = new { amount = "0.00", currency = "EUR" },
        proration = "none",
        charges = Array.Empty<object>(),
        entitlements,
    };
}
