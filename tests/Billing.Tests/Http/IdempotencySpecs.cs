namespace Platform.Billing.Tests.Http;

/// <summary>A request that is sent again does nothing again.</summary>
public sealed class IdempotencySpecs(BillingHost billing)
{
    [Theory]
    [InlineData("/v1/tenants")]
    [InlineData("/v1/api-keys")]
    [InlineData("/v1/meters")]
    [InlineData("/v1/plans")]
    [InlineData("/v1/subscriptions")]
    public async Task A_write_without_an_Idempotency_Key_names_it(string path)
    {
        var answer = await billing.Operator.Post(path, Body(path, "a"), idempotencyKey: "");

        answer.Status.ShouldBe(400);
        answer.Fields.ShouldBe(["Idempotency-Key"]);
    }

    [Theory]
    [InlineData("/v1/tenants")]
    [InlineData("/v1/api-keys")]
    [InlineData("/v1/meters")]
    [InlineData("/v1/plans")]
    public async Task The_same_request_again_gets_the_same_answer_and_another_body_is_a_conflict(string path)
    {
        var key = Guid.CreateVersion7().ToString();
        var name = $"n{Guid.CreateVersion7():n}";

        var first = await billing.Operator.Post(path, Body(path, name), key);
        var again = await billing.Operator.Post(path, Body(path, name), key);
        var other = await billing.Operator.Post(path, Body(path, name + "x"), key);

        first.Status.ShouldBe(201, first.Text);
        again.Status.ShouldBe(201);
        again.Text.ShouldBe(first.Text);
        again.Headers.GetValues("Idempotency-Replayed").ShouldBe(["true"]);
        other.Status.ShouldBe(409);
        other.Code.ShouldBe("idempotency.key_reused");
        other.Text.ShouldNotContain("pk_");
    }

    [Fact]
    public async Task A_period_is_closed_once_by_one_key()
    {
        var tenant = await billing.NewTenant();
        var subscription = await BillingHost.Subscribe(tenant, await billing.NewCatalog());
        var key = Guid.CreateVersion7().ToString();

        var first = await tenant.Admin.Post($"/v1/subscriptions/{subscription}/close-period", body: null, key);
        var again = await tenant.Admin.Post($"/v1/subscriptions/{subscription}/close-period", body: null, key);

        first.Status.ShouldBe(201, first.Text);
        again.Text.ShouldBe(first.Text);
        (await billing.Count("invoices", tenant.Id)).ShouldBe(1);
    }

    [Fact]
    public async Task A_retry_of_a_request_that_was_cut_off_is_told_when_to_come_again_and_is_taken_then()
    {
        var (key, body) = (Guid.CreateVersion7().ToString(), Body("/v1/tenants", $"n{Guid.CreateVersion7():n}"));
        var first = await billing.Operator.Post("/v1/tenants", body, key);
        // As a process leaves it that was killed between its commit and its answer, most of a minute ago.
        await Lease("clock_timestamp() + interval '20 seconds'");

        var waiting = await billing.Operator.Post("/v1/tenants", body, key);
        (waiting.Status, waiting.Code).ShouldBe((409, "idempotency.in_progress"));
        waiting.Headers.RetryAfter!.Delta!.Value.TotalSeconds.ShouldBeInRange(1, 20);

        await Lease("'-infinity'");
        var again = await billing.Operator.Post("/v1/tenants", body, key);
        again.Status.ShouldBe(201, again.Text);
        again.Json.GetProperty("tenant_id").GetString().ShouldBe(first.Json.GetProperty("tenant_id").GetString());

        Task Lease(string until) => billing.Execute(
            $"update billing.idempotency_keys set status_code = null, leased_until = {until} where key = '{key}'");
    }

    [Fact]
    public async Task A_refusal_is_not_kept_the_same_request_may_succeed_later()
    {
        var (key, name) = (Guid.CreateVersion7().ToString(), $"n{Guid.CreateVersion7():n}");
        var plan = $$"""
            {"key":"{{name}}","display_name":"P","recurring_fee":{"amount":"1.00","currency":"EUR"},"proration":"none",
             "charges":[{"model":"per_unit","meter":"{{name}}","display_name":"C","unit_price":"1"}]}
            """;

        (await billing.Operator.Post("/v1/plans", plan, key)).Status.ShouldBe(422);
        (await billing.Operator.Post("/v1/meters", Body("/v1/meters", name))).Status.ShouldBe(201);
        (await billing.Operator.Post("/v1/plans", plan, key)).Status.ShouldBe(201);
    }

    [Fact]
    public async Task No_secret_of_an_issued_key_is_in_the_database()
    {
        var issued = await billing.Operator.Post("/v1/api-keys", new { name = "secret", scope = "partner" });
        var secret = issued.Json.GetProperty("key").GetString()!["pk_".Length..];

        var tables = await billing.Strings("select table_name::text from information_schema.tables where table_schema = 'billing'");
        foreach (var table in tables)
        {
            var rows = await billing.Strings(
                $"select 'x' from billing.{table} it where it::text like '%{secret}%' or it::text like '%' || encode('{secret}', 'hex') || '%'");
            rows.ShouldBeEmpty(table);
        }
    }

    [Fact]
    public async Task Two_meters_or_plans_cannot_have_one_key()
    {
        var name = $"n{Guid.CreateVersion7():n}";
        foreach (var (path, code) in new[] { ("/v1/meters", "meter.key_taken"), ("/v1/plans", "plan.key_taken") })
        {
            (await billing.Operator.Post(path, Body(path, name))).Status.ShouldBe(201);
            var second = await billing.Operator.Post(path, Body(path, name));
            second.Status.ShouldBe(409);
            second.Code.ShouldBe(code);
        }
    }

    private static string Body(string path, string name) => path switch
    {
        "/v1/tenants" => $$"""{"name":"{{name}}","currency":"EUR","time_zone":"Etc/UTC"}""",
        "/v1/api-keys" => $$"""{"name":"{{name}}","scope":"partner"}""",
        "/v1/meters" =>
            $$"""{"key":"{{name}}","display_name":"M","event_type":"{{name}}","aggregation":"count","unit":"call"}""",
        "/v1/plans" =>
            $$"""{"key":"{{name}}","display_name":"P","recurring_fee":{"amount":"1.00","currency":"EUR"},"proration":"none","charges":[]}""",
        _ => """{"plan_id":"0198c0de-0000-7000-8000-000000000001"}""",
    };
}
