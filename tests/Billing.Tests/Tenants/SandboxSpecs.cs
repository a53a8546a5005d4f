using Platform.Billing.Tests.Http;

namespace Platform.Billing.Tests.Tenants;

/// <summary>A sandbox's time is its own. The recurring run concerns all tenants, so this class has a host of its own.</summary>
public sealed class SandboxSpecs(OwnBillingHost billing) : IClassFixture<OwnBillingHost>
{
    [Fact]
    public async Task A_sandbox_shows_its_clock_and_a_live_tenant_has_none()
    {
        var (sandbox, live) = (await billing.NewTenant(sandboxAt: "2028-02-01T00:00:00Z"), await billing.NewTenant());

        var seen = (await sandbox.Viewer.Get($"/v1/tenants/{sandbox.Id}")).Json;
        seen.GetProperty("sandbox").GetBoolean().ShouldBeTrue();
        seen.GetProperty("clock").GetString().ShouldBe("2028-02-01T00:00:00Z");
        seen = (await live.Viewer.Get($"/v1/tenants/{live.Id}")).Json;
        seen.GetProperty("sandbox").GetBoolean().ShouldBeFalse();
        seen.GetProperty("clock").ValueKind.ShouldBe(System.Text.Json.JsonValueKind.Null);
    }

    [Fact]
    public async Task A_sandbox_begins_now_where_nothing_else_is_asked_for()
    {
        var tenant = await billing.Operator.Post(
            "/v1/tenants", new { name = "Acme", currency = "EUR", time_zone = "Etc/UTC", sandbox = true });

        tenant.Json.GetProperty("clock").GetString().ShouldBe(tenant.Json.GetProperty("registered_at").GetString());
    }

    [Theory]
    [InlineData(false, "2028-02-01T00:00:00Z")]
    [InlineData(true, "1999-12-31T23:59:59Z")]
    [InlineData(true, "2100-01-01T00:00:00Z")]
    public async Task A_clock_that_makes_no_sense_is_refused(bool sandbox, string clock)
    {
        var refused = await billing.Operator.Post(
            "/v1/tenants", new { name = "Acme", currency = "EUR", time_zone = "Etc/UTC", sandbox, clock });

        refused.Status.ShouldBe(400);
        refused.Fields.ShouldBe(["clock"]);
    }

    [Fact]
    public async Task What_is_decided_for_a_sandbox_is_decided_by_its_clock()
    {
        var catalog = await billing.NewCatalog();
        var tenant = await billing.NewTenant(sandboxAt: "2028-02-10T12:00:00Z");

        // Real time is March 2026: the usage of then is old for the sandbox, and its present lies in the future.
        (await tenant.Admin.Post("/v1/subscriptions", new { plan_id = catalog.PlanId, started_at = "2028-02-10T12:00:01Z" }))
            .Code.ShouldBe("subscription.starts_in_future");
        var started = await tenant.Admin.Post("/v1/subscriptions", new { plan_id = catalog.PlanId });
        started.Json.GetProperty("started_at").GetString().ShouldBe("2028-02-10T12:00:00Z");
        (await Report("1", "2028-02-10T12:05:00Z")).Status.ShouldBe(200);
        (await Report("2", "2028-02-10T12:05:01Z")).Code.ShouldBe("usage.time_in_future");
        (await Report("3", "2026-03-10T12:00:00Z")).Code.ShouldBe("usage.time_too_old");

        Task<Answer> Report(string id, string time) => tenant.Partner.Post(
            "/v1/usage/events", new { id, source = "test", type = "inference.call", time, data = new { calls = "1" } });
    }

    [Fact]
    public async Task The_recurring_run_leaves_sandboxes_alone()
    {
        var catalog = await billing.NewCatalog();
        var (sandbox, live) = (await billing.NewTenant(sandboxAt: "2026-01-15T00:00:00Z"), await billing.NewTenant());
        foreach (var tenant in new[] { sandbox, live })
            await BillingHost.Subscribe(tenant, catalog, startedAt: "2026-01-10T00:00:00Z");

        await billing.RunAt("2026-03-10T12:00:00Z");

        (await sandbox.Viewer.Get("/v1/invoices")).Json.GetProperty("items").GetArrayLength().ShouldBe(0);
        (await live.Viewer.Get("/v1/invoices")).Json.GetProperty("items").GetArrayLength().ShouldBe(2);
    }
}
