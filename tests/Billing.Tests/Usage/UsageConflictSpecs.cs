using System.Text.Json;
using Platform.Billing.Tests.Http;

namespace Platform.Billing.Tests.Usage;

/// <summary>One identity is one charge, whatever else is sent under it; what was refused can be read.</summary>
public sealed class UsageConflictSpecs(BillingHost billing)
{
    public static TheoryData<string, object> Others => new()
    {
        { "another timestamp", Call("1", 5, "2026-03-09T11:00:01Z") },
        { "another amount", Call("1", 6) },
        { "another month", Call("1", 5, "2026-02-09T11:00:00Z") },
        { "another month and amount", Call("1", 7, "2025-12-31T23:59:59Z") },
        { "another type", new { id = "1", source = "test", type = "gpu.time", time = "2026-03-09T11:00:00Z", data = new { milliseconds = "5" } } },
    };

    [Theory]
    [MemberData(nameof(Others))]
    public async Task A_retry_with_other_content_is_never_a_second_charge(string what, object other)
    {
        var (tenant, catalog) = (await billing.NewTenant(), await billing.NewCatalog());
        (await tenant.Partner.Post("/v1/usage/events", Call("1", 5))).Status.ShouldBe(200);

        for (var i = 0; i < 2; i++)
        {
            var answer = await tenant.Partner.Post("/v1/usage/events", new[] { other, Call("1", 5) });
            answer.Json.GetProperty("results").EnumerateArray().Select(it => it.GetProperty("status").GetString())
                .ShouldBe(["conflict", "duplicate"], what);
        }

        (await Total(tenant, catalog.Calls)).ShouldBe("5");
        (await Total(tenant, catalog.Gpu)).ShouldBe("0");
        var conflict = (await Conflicts(tenant.Viewer)).ShouldHaveSingleItem("the same content is listed once");
        conflict.GetProperty("source").GetString().ShouldBe("test");
        conflict.GetProperty("id").GetString().ShouldBe("1");
        conflict.GetProperty("kept").GetProperty("data").GetProperty("calls").GetString().ShouldBe("5");
        conflict.GetProperty("kept").GetProperty("time").GetString().ShouldBe("2026-03-09T11:00:00Z");
        JsonSerializer.Serialize(conflict.GetProperty("refused").GetProperty("data"))
            .ShouldBe(JsonSerializer.Serialize(JsonSerializer.SerializeToElement(other).GetProperty("data")));
        conflict.GetProperty("reported_by").GetString()!.ShouldStartWith("api_key/");
        conflict.GetProperty("reported_at").GetString().ShouldBe("2026-03-10T12:00:00Z");
    }

    [Fact]
    public async Task Sixteen_clients_with_one_identity_and_sixteen_amounts_are_charged_once()
    {
        var (tenant, catalog) = (await billing.NewTenant(), await billing.NewCatalog());

        var answers = await Task.WhenAll(Enumerable.Range(1, 16)
            .Select(amount => tenant.Partner.Post("/v1/usage/events", new[] { Call("1", amount) })));

        answers.Sum(answer => answer.Json.GetProperty("accepted").GetInt32()).ShouldBe(1);
        answers.Sum(answer => answer.Json.GetProperty("conflicts").GetInt32()).ShouldBe(15);
        var winner = Array.FindIndex(answers, answer => answer.Json.GetProperty("accepted").GetInt32() == 1) + 1;
        (await Total(tenant, catalog.Calls)).ShouldBe($"{winner}");
        (await Conflicts(tenant.Viewer)).Select(it => it.GetProperty("refused").GetProperty("data").GetProperty("calls").GetString())
            .ShouldBe(Enumerable.Range(1, 16).Where(amount => amount != winner).Select(amount => $"{amount}"), ignoreOrder: true);
    }

    [Fact]
    public async Task Through_HTTP_and_bus_at_once_one_is_charged_and_the_others_are_told_of()
    {
        var (tenant, catalog) = (await billing.NewTenant(), await billing.NewCatalog());
        using var worker = new WorkerUsage(tenant.Id, billing.Clock.Now - NodaTime.Duration.FromHours(1));
        await billing.Bus.Publish(worker.Registered, BillingHost.Cancellation);
        await billing.Bus.Publish(worker.Placed, BillingHost.Cancellation);
        await BillingHost.Eventually(
            async () => await billing.Count("usage_attempts", tenant.Id) == 1
                && (await billing.Strings($"select 'x' from billing.worker_keys where worker_id = '{worker.Registered.WorkerId}'")).Length == 1,
            "worker and attempt are known");
        // Two contents that the worker signed for the same number; the second also has an event that the first has not.
        var one = worker.Next(1_000);
        var other = worker.Sign(one with { Use = one.Use with { GpuMilliseconds = 9_000, InferenceCalls = 3 } });
        var stolen = new
        {
            id = $"{worker.Placed.AttemptId}/1/gpu.time",
            source = $"worker/{worker.Registered.WorkerId}",
            type = "gpu.time",
            time = "2026-03-10T11:00:00Z",
            data = new { milliseconds = "7" },
        };

        var bus = Task.WhenAll(new[] { one, other, one, other }.Select(batch => billing.Bus.Publish(batch, BillingHost.Cancellation)));
        var http = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => tenant.Partner.Post("/v1/usage/events", stolen)));
        await bus;

        http.ShouldAllBe(answer => answer.Status == 422 && answer.Code == "usage.source_reserved");
        await BillingHost.Eventually(async () => (await Conflicts(tenant.Viewer)).Count == 1, "the second content is listed");
        await BillingHost.Eventually(async () => await billing.Count("usage_quarantine", tenant.Id) == 1, "and kept apart");
        var conflict = (await Conflicts(tenant.Viewer)).ShouldHaveSingleItem();
        conflict.GetProperty("reported_by").GetString().ShouldBe($"worker/{worker.Registered.WorkerId}");
        var kept = conflict.GetProperty("kept").GetProperty("data").GetProperty("milliseconds").GetString();
        (await Total(tenant, catalog.Gpu)).ShouldBe(kept);
        (await billing.Count("usage_batches", tenant.Id)).ShouldBe(1);
        (await Total(tenant, catalog.Calls)).ShouldBe(kept == "9000" ? "3" : "0", "of one batch, never of both");
    }

    [Fact]
    public async Task The_list_is_paged_and_the_tenants_own()
    {
        var (tenant, stranger) = (await billing.NewTenant(), await billing.NewTenant());
        await billing.NewCatalog();
        await tenant.Partner.Post("/v1/usage/events", Call("1", 1));
        await tenant.Partner.Post("/v1/usage/events", Enumerable.Range(2, 25).Select(amount => Call("1", amount)).ToArray());

        var (amounts, cursor) = (new List<string>(), "");
        do
        {
            var page = (await tenant.Viewer.Get($"/v1/usage/conflicts?limit=10{cursor}")).Json;
            amounts.AddRange(page.GetProperty("items").EnumerateArray()
                .Select(it => it.GetProperty("refused").GetProperty("data").GetProperty("calls").GetString()!));
            cursor = page.GetProperty("next_cursor") is { ValueKind: JsonValueKind.String } next ? $"&cursor={next.GetString()}" : null;
        }
        while (cursor is not null);

        amounts.ShouldBe(Enumerable.Range(2, 25).Select(amount => $"{amount}"));
        (await Conflicts(stranger.Admin)).ShouldBeEmpty();
        (await billing.Anonymous.Get("/v1/usage/conflicts")).Status.ShouldBe(401);
    }

    [Theory]
    [InlineData("usage_conflicts")]
    [InlineData("usage_corrections")]
    [InlineData("usage_events")]
    [InlineData("usage_trees")]
    [InlineData("usage_identities")]
    public async Task Nobody_who_runs_can_change_or_delete_what_was_written(string table)
    {
        var rights = await billing.Strings(
            $"""
            select has_table_privilege(role, 'billing.{table}', right_to)::text
            from unnest(array['billing_app', 'billing_system']) role, unnest(array['update', 'delete', 'truncate']) right_to
            """);

        rights.ShouldBe(Enumerable.Repeat("false", 6));
        (await billing.Strings($"select relrowsecurity::text from pg_class where oid = 'billing.{table}'::regclass")).ShouldBe(["true"]);
    }

    internal static object Call(string id, int calls, string time = "2026-03-09T11:00:00Z", string source = "test") =>
        new { id, source, type = "inference.call", time, data = new { calls = $"{calls}" } };

    internal static async Task<string?> Total(TestTenant tenant, string meter)
    {
        var answer = await tenant.Viewer.Get($"/v1/usage?meter={meter}&window=month&from=2025-01-01T00:00:00Z&to=2028-01-01T00:00:00Z");
        answer.Status.ShouldBe(200, answer.Text);
        return answer.Json.GetProperty("total").GetString();
    }

    private static async Task<List<JsonElement>> Conflicts(Caller caller) =>
        [.. (await caller.Get("/v1/usage/conflicts")).Json.GetProperty("items").EnumerateArray()];
}
