using MassTransit;
using NodaTime;
using Npgsql;

namespace Platform.Billing.Tests.Http;

/// <summary>Who may do and see what.</summary>
public sealed class SecuritySpecs(BillingHost billing)
{
    private const string Anything = "0198c0de-0000-7000-8000-000000000001";

    [Theory]
    [InlineData("GET", "/v1/tenants")]
    [InlineData("GET", $"/v1/tenants/{Anything}")]
    [InlineData("GET", "/v1/wallet")]
    [InlineData("GET", "/v1/credit-notes")]
    [InlineData("GET", "/v1/wallet/grants")]
    [InlineData("GET", "/v1/wallet/transactions")]
    [InlineData("GET", "/v1/api-keys")]
    [InlineData("GET", "/v1/meters")]
    [InlineData("GET", "/v1/plans")]
    [InlineData("GET", "/v1/subscriptions")]
    [InlineData("GET", "/v1/usage")]
    [InlineData("GET", "/v1/usage/events")]
    [InlineData("GET", "/v1/usage/measured-events")]
    [InlineData("GET", "/v1/usage/export")]
    [InlineData("GET", "/v1/usage/attempts")]
    [InlineData("GET", "/v1/usage/quarantine")]
    [InlineData("GET", "/v1/invoices")]
    [InlineData("GET", "/v1/invoices/upcoming")]
    [InlineData("GET", $"/v1/invoices/{Anything}/usage-proof")]
    [InlineData("GET", "/v1/ledger/postings")]
    [InlineData("GET", "/v1/payments")]
    [InlineData("GET", "/v1/refunds")]
    [InlineData("GET", "/v1/payment-methods")]
    [InlineData("GET", "/v1/receivables/ageing")]
    [InlineData("POST", "/v1/payment-methods")]
    [InlineData("POST", $"/v1/payment-methods/{Anything}/detach")]
    [InlineData("POST", $"/v1/invoices/{Anything}/pay")]
    [InlineData("POST", $"/v1/invoices/{Anything}/payments")]
    [InlineData("POST", $"/v1/invoices/{Anything}/void")]
    [InlineData("POST", $"/v1/invoices/{Anything}/write-off")]
    [InlineData("POST", $"/v1/tenants/{Anything}/billing-settings")]
    [InlineData("GET", "/v1/ledger/balances")]
    [InlineData("GET", "/v1/ledger/trial-balance")]
    [InlineData("POST", "/v1/tenants")]
    [InlineData("POST", "/v1/wallet/grants")]
    [InlineData("POST", $"/v1/wallet/grants/{Anything}/void")]
    [InlineData("POST", $"/v1/invoices/{Anything}/credit-notes")]
    [InlineData("POST", "/v1/api-keys")]
    [InlineData("POST", $"/v1/api-keys/{Anything}/revoke")]
    [InlineData("POST", "/v1/meters")]
    [InlineData("POST", $"/v1/meters/{Anything}/versions")]
    [InlineData("POST", "/v1/plans")]
    [InlineData("POST", "/v1/coupons")]
    [InlineData("POST", "/v1/coupons/redemptions")]
    [InlineData("POST", "/v1/subscriptions")]
    [InlineData("POST", $"/v1/subscriptions/{Anything}/close-period")]
    [InlineData("POST", $"/v1/subscriptions/{Anything}/cancel")]
    [InlineData("POST", $"/v1/subscriptions/{Anything}/change-plan")]
    [InlineData("POST", $"/v1/subscriptions/{Anything}/withdraw-cancellation")]
    [InlineData("POST", "/v1/usage/events")]
    [InlineData("GET", $"/v1/test-clocks/{Anything}")]
    [InlineData("POST", $"/v1/test-clocks/{Anything}/advance")]
    public async Task Without_a_valid_key_there_is_nothing(string method, string path)
    {
        foreach (var nobody in new[] { billing.Anonymous, billing.With("pk_" + new string('f', 64)), billing.With("secret") })
        {
            var answer = method == "GET" ? await nobody.Get(path) : await nobody.Post(path, "{}");
            answer.Status.ShouldBe(401, path);
            answer.Code.ShouldBe("auth.key_missing_or_unknown");
        }
    }

    [Fact]
    public async Task A_revoked_key_is_unknown_at_once()
    {
        var tenant = await billing.NewTenant();
        var id = await KeyNamed(tenant, "tenant_viewer");
        (await tenant.Viewer.Get("/v1/invoices")).Status.ShouldBe(200);

        (await tenant.Admin.Post($"/v1/api-keys/{id}/revoke")).Status.ShouldBe(204);

        (await tenant.Viewer.Get("/v1/invoices")).Status.ShouldBe(401);
        (await tenant.Admin.Post($"/v1/api-keys/{id}/revoke")).Status.ShouldBe(204, "revoking twice changes nothing");
    }

    [Theory]
    // path -> who is refused
    [InlineData("/v1/tenants", "admin viewer partner")]
    [InlineData("/v1/wallet/grants", "admin viewer partner")]
    [InlineData($"/v1/wallet/grants/{Anything}/void", "admin viewer partner")]
    [InlineData($"/v1/invoices/{Anything}/credit-notes", "admin viewer partner")]
    [InlineData("/v1/meters", "admin viewer partner")]
    [InlineData($"/v1/meters/{Anything}/versions", "admin viewer partner")]
    [InlineData("/v1/plans", "admin viewer partner")]
    [InlineData($"/v1/plans/{Anything}/versions", "admin viewer partner")]
    [InlineData("/v1/coupons", "admin viewer partner")]
    [InlineData("/v1/tax-rates", "admin viewer partner")]
    [InlineData($"/v1/tax-rates/{Anything}/archive", "admin viewer partner")]
    [InlineData($"/v1/coupons/{Anything}/archive", "admin viewer partner")]
    [InlineData("/v1/coupons/redemptions", "viewer partner")]
    [InlineData($"/v1/coupons/redemptions/{Anything}/end", "viewer partner")]
    [InlineData("/v1/api-keys", "viewer partner")]
    [InlineData($"/v1/api-keys/{Anything}/revoke", "viewer partner")]
    [InlineData("/v1/subscriptions", "viewer partner")]
    [InlineData($"/v1/subscriptions/{Anything}/close-period", "viewer partner")]
    [InlineData($"/v1/subscriptions/{Anything}/cancel", "viewer partner")]
    [InlineData($"/v1/subscriptions/{Anything}/change-plan", "viewer partner")]
    [InlineData($"/v1/subscriptions/{Anything}/withdraw-cancellation", "viewer partner")]
    [InlineData($"/v1/subscriptions/{Anything}/trial", "viewer partner")]
    [InlineData("/v1/usage/events", "viewer")]
    [InlineData($"/v1/test-clocks/{Anything}/advance", "viewer partner")]
    [InlineData("/v1/payment-methods", "viewer partner")]
    [InlineData($"/v1/payment-methods/{Anything}/detach", "viewer partner")]
    [InlineData($"/v1/invoices/{Anything}/pay", "viewer partner")]
    [InlineData($"/v1/invoices/{Anything}/payments", "admin viewer partner")]
    [InlineData($"/v1/invoices/{Anything}/void", "admin viewer partner")]
    [InlineData($"/v1/invoices/{Anything}/write-off", "admin viewer partner")]
    [InlineData($"/v1/tenants/{Anything}/billing-settings", "admin viewer partner")]
    public async Task A_scope_that_is_too_small_is_forbidden(string path, string refused)
    {
        var tenant = await billing.NewTenant();

        foreach (var (name, caller) in new[] { ("admin", tenant.Admin), ("viewer", tenant.Viewer), ("partner", tenant.Partner) })
        {
            var answer = await caller.Post(path, "{}");
            if (refused.Split(' ').Contains(name))
                answer.Code.ShouldBe("auth.scope_forbidden", $"{name} {path}");
            else
                answer.Status.ShouldNotBe(403, $"{name} {path}");
        }
    }

    [Theory]
    [InlineData("/v1/tenants")]
    [InlineData("/v1/usage/quarantine")]
    [InlineData("/v1/ledger/trial-balance")]
    [InlineData("/v1/receivables/ageing")]
    public async Task What_concerns_all_tenants_is_for_operators(string path)
    {
        var tenant = await billing.NewTenant();

        (await tenant.Admin.Get(path)).Status.ShouldBe(403);
        (await billing.Operator.Get(path)).Status.ShouldBe(200);
    }

    [Fact]
    public async Task An_admin_cannot_make_an_operator()
    {
        var tenant = await billing.NewTenant();

        var answer = await tenant.Admin.Post("/v1/api-keys", new { name = "root", scope = "operator" });

        answer.Status.ShouldBe(422);
        answer.Fields.ShouldBe(["scope"]);
        (await billing.Operator.For(tenant.Id).Post("/v1/api-keys", new { name = "root", scope = "operator" })).Status.ShouldBe(422);
    }

    [Fact]
    public async Task Another_tenants_anything_is_not_there()
    {
        var owner = await billing.NewTenant();
        var stranger = await billing.NewTenant();
        var catalog = await billing.NewCatalog();
        var subscription = await BillingHost.Subscribe(owner, catalog);
        var invoice = (await owner.Admin.Post($"/v1/subscriptions/{subscription}/close-period")).Json.GetProperty("invoice_id").GetGuid();
        var key = await KeyNamed(owner, "partner");
        using var worker = new WorkerUsage(owner.Id, billing.Clock.Now - Duration.FromHours(1));
        await billing.Bus.Publish(worker.Placed, BillingHost.Cancellation);
        await BillingHost.Eventually(async () => await billing.Count("usage_attempts", owner.Id) == 1, "the attempt is known");
        await owner.Admin.Post("/v1/usage/events", new
        {
            id = "1",
            source = "s",
            type = "inference.call",
            time = "2026-03-10T11:00:00Z",
            data = new { calls = "1" },
        });

        string[] things =
        [
            $"/v1/tenants/{owner.Id}", $"/v1/subscriptions/{subscription}", $"/v1/invoices/{invoice}",
            $"/v1/usage/attempts/{worker.Placed.AttemptId}/chain",
        ];
        foreach (var path in things)
        {
            (await owner.Viewer.Get(path)).Status.ShouldBe(200, path);
            var answer = await stranger.Admin.Get(path);
            answer.Status.ShouldBe(404, path);
            answer.Code.ShouldEndWith(".not_found");
        }

        foreach (var path in new[] { $"/v1/subscriptions/{subscription}/close-period", $"/v1/api-keys/{key}/revoke" })
            (await stranger.Admin.Post(path)).Status.ShouldBe(404, path);

        string[] lists =
        [
            "/v1/subscriptions", "/v1/invoices", "/v1/usage/events", "/v1/usage/attempts",
            $"/v1/invoices?subscription_id={subscription}", $"/v1/usage/attempts?job_id={worker.Placed.JobId}",
        ];
        foreach (var path in lists)
        {
            (await owner.Viewer.Get(path)).Json.GetProperty("items").GetArrayLength().ShouldBe(1, path);
            (await stranger.Admin.Get(path)).Json.GetProperty("items").GetArrayLength().ShouldBe(0, path);
        }

        (await stranger.Admin.Get("/v1/api-keys")).Text.ShouldNotContain(key);
        var usage = $"/v1/usage?meter={catalog.Calls}&from=2026-03-01T00:00:00Z&to=2026-03-11T00:00:00Z";
        (await owner.Viewer.Get(usage)).Json.GetProperty("total").GetString().ShouldBe("1");
        (await stranger.Viewer.Get(usage)).Json.GetProperty("total").GetString().ShouldBe("0");

        // Naming the tenant does not help; an operator may.
        (await stranger.Admin.For(owner.Id).Get($"/v1/invoices/{invoice}")).Status.ShouldBe(404);
        (await billing.Operator.For(owner.Id).Get($"/v1/invoices/{invoice}")).Status.ShouldBe(200);
    }

    [Fact]
    public async Task The_database_itself_shows_the_application_nothing_without_a_tenant()
    {
        var tenant = await billing.NewTenant();
        await BillingHost.Subscribe(tenant, await billing.NewCatalog());
        var tables = await billing.Strings(
            """
            select c.table_name::text from information_schema.columns c
            join information_schema.tables t using (table_schema, table_name)
            where c.table_schema = 'billing' and c.column_name = 'tenant_id' and t.table_type = 'BASE TABLE'
            """);

        tables.ShouldContain("usage_events");
        string[] written = ["usage_log", "usage_identity_log"];
        foreach (var table in tables.Except(written))
            (await billing.CountAsApplication(table)).ShouldBe(0, table);
        foreach (var table in written)
        {
            (await Should.ThrowAsync<PostgresException>(() => billing.CountAsApplication(table)))
                .SqlState.ShouldBe(PostgresErrorCodes.InsufficientPrivilege, $"{table} is written and never read");
        }

        (await billing.Count("subscriptions", tenant.Id)).ShouldBe(1);
    }

    private static async Task<string> KeyNamed(TestTenant tenant, string name) =>
        (await tenant.Admin.Get("/v1/api-keys")).Json.GetProperty("items").EnumerateArray()
            .Single(key => key.GetProperty("name").GetString() == name).GetProperty("api_key_id").GetString()!;
}
