using System.Text.Json;

namespace Platform.Billing.Tests.Http;

/// <summary>Usage by HTTP: each event once, whatever is sent again.</summary>
public sealed class UsageSpecs(BillingHost billing)
{
    [Fact]
    public async Task The_same_batch_twice_is_taken_once()
    {
        var (tenant, catalog) = await New();
        var batch = new { events = Enumerable.Range(1, 20).Select(i => Event(catalog, $"{i}")).ToArray() };

        var answer = await tenant.Partner.Post("/v1/usage/events", batch);
        answer.Status.ShouldBe(200, answer.Text);
        var first = answer.Json;
        var again = (await tenant.Partner.Post("/v1/usage/events", batch)).Json;

        first.GetProperty("accepted").GetInt32().ShouldBe(20);
        again.GetProperty("accepted").GetInt32().ShouldBe(0);
        again.GetProperty("duplicates").GetInt32().ShouldBe(20);
        (await Total(tenant, catalog)).ShouldBe("20");
    }

    [Fact]
    public async Task The_same_batch_sent_by_many_at_once_is_taken_once()
    {
        var (tenant, catalog) = await New();
        var batch = Enumerable.Range(1, 50).Select(i => Event(catalog, $"{i}")).ToArray();

        var answers = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => tenant.Partner.Post("/v1/usage/events", batch)));

        answers.Sum(answer => answer.Json.GetProperty("accepted").GetInt32()).ShouldBe(50);
        (await billing.Count("usage_events", tenant.Id)).ShouldBe(50);
    }

    [Fact]
    public async Task An_event_with_a_known_id_and_other_content_is_a_conflict_and_changes_nothing()
    {
        var (tenant, _) = await New();
        (await tenant.Partner.Post("/v1/usage/events", Gpu("1", "100"))).Status.ShouldBe(200);

        foreach (var other in new object[] { Gpu("1", "101"), Gpu("1", "100", time: "2026-03-10T11:00:01Z"), Gpu("1", "100", extra: "x") })
        {
            var answer = await tenant.Partner.Post("/v1/usage/events", other);
            answer.Status.ShouldBe(409);
            answer.Code.ShouldBe("usage.conflict");
            answer.Fields.ShouldBe(["id"]);
        }

        (await tenant.Partner.Post("/v1/usage/events", Gpu("1", "100.00"))).Json.GetProperty("duplicates").GetInt32()
            .ShouldBe(1, "trailing zeros are no other content");
        (await tenant.Viewer.Get("/v1/usage/events")).Json.GetProperty("items").EnumerateArray()
            .ShouldHaveSingleItem().GetProperty("data").GetProperty("milliseconds").GetString().ShouldBe("100");
    }

    [Fact]
    public async Task A_batch_says_of_each_event_what_became_of_it()
    {
        var (tenant, catalog) = await New();
        await tenant.Partner.Post("/v1/usage/events", Gpu("known", "100"));

        var answer = await tenant.Partner.Post("/v1/usage/events", new[]
        {
            Event(catalog, "new"), Event(catalog, "new"), Gpu("known", "100"), Gpu("known", "200"), Gpu("negative", "-1"),
            Event(catalog, "new", time: "2026-03-10T11:30:00Z"), new { id = "odd" },
        });

        answer.Status.ShouldBe(200, answer.Text);
        answer.Json.GetProperty("results").EnumerateArray().Select(it => it.GetProperty("status").GetString())
            .ShouldBe(["accepted", "duplicate", "duplicate", "conflict", "rejected", "conflict", "rejected"]);
        Fields(4).ShouldBe(["data.milliseconds"]);
        Fields(6).ShouldBe(["source", "type", "time", "data"]);
        (await billing.Count("usage_events", tenant.Id)).ShouldBe(2);

        string[] Fields(int index) =>
            [.. answer.Json.GetProperty("results")[index].GetProperty("errors").EnumerateObject().Select(it => it.Name)];
    }

    [Fact]
    public async Task Two_tenants_may_use_the_same_id()
    {
        var (one, catalog) = await New();
        var other = await billing.NewTenant();

        foreach (var tenant in new[] { one, other })
            (await tenant.Partner.Post("/v1/usage/events", Event(catalog, "1"))).Json.GetProperty("accepted").GetInt32().ShouldBe(1);
    }

    [Fact]
    public async Task Windows_are_the_tenants_hours_days_and_months()
    {
        var tenant = await billing.NewTenant(timeZone: "America/New_York");
        var catalog = await billing.NewCatalog();
        // New York's clocks go forward on 8 March 2026 at two: that day has 23 hours.
        string[] times =
        [
            "2026-03-01T04:59:59.999999Z", "2026-03-01T05:00:00Z", "2026-03-08T04:59:59Z", "2026-03-08T06:59:59Z",
            "2026-03-08T07:00:00Z", "2026-03-09T03:59:59Z", "2026-03-09T04:00:00Z",
        ];
        await tenant.Partner.Post("/v1/usage/events", times.Select((time, i) => Event(catalog, $"{i}", time)).ToArray());

        (await Windows("month", "2026-02-01T05:00:00Z", "2026-03-10T12:00:00Z")).ShouldBe(["1", "6"]);
        (await Windows("day", "2026-03-07T05:00:00Z", "2026-03-10T04:00:00Z")).ShouldBe(["1", "3", "1"]);
        var hours = await Windows("hour", "2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z");
        hours.Length.ShouldBe(23);
        hours.Index().Where(hour => hour.Item != "0").Select(hour => hour.Index).ShouldBe([1, 2, 22]);

        async Task<string[]> Windows(string window, string from, string to)
        {
            var answer = await tenant.Viewer.Get($"/v1/usage?meter={catalog.Requests}&window={window}&from={from}&to={to}");
            answer.Status.ShouldBe(200, answer.Text);
            return [.. answer.Json.GetProperty("windows").EnumerateArray().Select(it => it.GetProperty("quantity").GetString()!)];
        }
    }

    [Fact]
    public async Task Sums_are_exact()
    {
        var (tenant, catalog) = await New();
        await tenant.Partner.Post(
            "/v1/usage/events",
            Enumerable.Range(0, 10).Select(i => Gpu($"{i}", "0.1")).Append(Gpu("big", "999999999999999.000000001")).ToArray());

        var answer = await tenant.Viewer.Get($"/v1/usage?meter={catalog.Gpu}&from=2026-03-10T00:00:00Z&to=2026-03-11T00:00:00Z");

        answer.Json.GetProperty("total").GetString().ShouldBe("1000000000000000.000000001");
    }

    [Fact]
    public async Task The_ledger_is_read_page_by_page_without_loss_or_repetition()
    {
        var (tenant, catalog) = await New();
        await tenant.Partner.Post("/v1/usage/events", Enumerable.Range(1, 25).Select(i => Event(catalog, $"{i}")).ToArray());

        var (ids, cursor) = (new List<string>(), "");
        do
        {
            var page = (await tenant.Viewer.Get($"/v1/usage/events?limit=10{cursor}")).Json;
            ids.AddRange(page.GetProperty("items").EnumerateArray().Select(it => it.GetProperty("id").GetString()!));
            cursor = page.GetProperty("next_cursor") is { ValueKind: JsonValueKind.String } next ? $"&cursor={next.GetString()}" : null;
        }
        while (cursor is not null);

        ids.ShouldBe(Enumerable.Range(1, 25).Select(i => $"{i}"));
    }

    private async Task<(TestTenant Tenant, TestCatalog Catalog)> New() => (await billing.NewTenant(), await billing.NewCatalog());

    private static async Task<string?> Total(TestTenant tenant, TestCatalog catalog) =>
        (await tenant.Viewer.Get($"/v1/usage?meter={catalog.Requests}&from=2026-03-01T00:00:00Z&to=2026-03-11T00:00:00Z"))
            .Json.GetProperty("total").GetString();

    private static object Event(TestCatalog catalog, string id, string time = "2026-03-10T11:00:00Z") =>
        new { id, source = "test", type = catalog.RequestType, time, data = new { } };

    private static object Gpu(string id, string milliseconds, string time = "2026-03-10T11:00:00Z", string? extra = null) =>
        new { id, source = "test", type = "gpu.time", time, data = extra is null ? (object)new { milliseconds } : new { milliseconds, extra } };
}
