using Platform.Billing.Tests.Http;
using static Platform.Billing.Tests.Usage.UsageConflictSpecs;

namespace Platform.Billing.Tests.Usage;

/// <summary>How much a request may hold, and that what is wrong in it keeps nothing else out.</summary>
public sealed class UsageLimitSpecs(BillingHost billing)
{
    [Fact]
    public async Task Ten_thousand_events_are_taken_and_one_more_is_refused_whole()
    {
        var (tenant, catalog) = (await billing.NewTenant(), await billing.NewCatalog());
        var batch = Enumerable.Range(1, 10_001).Select(i => Call($"{i}", 1)).ToArray();

        var refused = await tenant.Partner.Post("/v1/usage/events", batch);
        refused.Status.ShouldBe(413);
        refused.Code.ShouldBe("usage.too_large");
        refused.Fields.ShouldBe(["events"]);
        refused.Text.ShouldContain("10000");
        (await Total(tenant, catalog.Calls)).ShouldBe("0");

        var taken = await tenant.Partner.Post("/v1/usage/events", new { events = batch[1..] });
        taken.Status.ShouldBe(200);
        taken.Json.GetProperty("accepted").GetInt32().ShouldBe(10_000);
        (await Total(tenant, catalog.Calls)).ShouldBe("10000");
    }

    [Fact]
    public async Task A_body_over_16_MiB_is_refused_with_the_limit()
    {
        var tenant = await billing.NewTenant();

        var answer = await tenant.Partner.Post("/v1/usage/events", $"[{new string(' ', 16 * 1024 * 1024)}]");

        answer.Status.ShouldBe(413);
        answer.Code.ShouldBe("usage.too_large");
        answer.Fields.ShouldBe(["body"]);
        answer.Text.ShouldContain("16 MiB");
    }

    [Fact]
    public async Task Three_bad_events_keep_no_other_out_and_repeats_are_judged_in_order()
    {
        var (tenant, catalog) = (await billing.NewTenant(), await billing.NewCatalog());
        object[] batch =
        [
            Call("1", 1), Call("bad", -1), Call("1", 1), Call("1", 2), Call("late", 4, "2020-01-01T00:00:00Z"), Call("2", 2),
            new { id = "odd\0", source = "test" }, Call("1", 2), Call("2", 2), Call("3", 4),
        ];

        var answer = await tenant.Partner.Post("/v1/usage/events", batch);

        answer.Status.ShouldBe(200, answer.Text);
        answer.Json.GetProperty("results").EnumerateArray().Select(it => it.GetProperty("status").GetString()).ShouldBe(
            [
                "accepted", "rejected", "duplicate", "conflict", "rejected", "accepted", "rejected", "conflict", "duplicate", "accepted",
            ]);
        (await Total(tenant, catalog.Calls)).ShouldBe("7");
        (await billing.Count("usage_conflicts", tenant.Id)).ShouldBe(1);
    }

    [Fact]
    public async Task An_event_whose_text_is_no_text_keeps_no_other_out()
    {
        var (tenant, catalog) = (await billing.NewTenant(), await billing.NewCatalog());
        const string rest = """ "source":"test","type":"inference.call","time":"2026-03-09T11:00:00Z" """;

        var answer = await tenant.Partner.Post(
            "/v1/usage/events",
            $$$"""
            [{"id":"\ud800",{{{rest}}},"data":{"calls":"1"}}, {"id":"1",{{{rest}}},"data":{"calls":"2"}},
             {"id":"2",{{{rest}}},"data":{"calls":"4","a\u0000":"x"}}, {"id":"3",{{{rest}}},"data":{"calls":"8","note":"\udfff"}}]
            """);

        answer.Status.ShouldBe(200, answer.Text);
        answer.Json.GetProperty("results").EnumerateArray().Select(it => it.GetProperty("status").GetString())
            .ShouldBe(["rejected", "accepted", "rejected", "rejected"]);
        (await Total(tenant, catalog.Calls)).ShouldBe("2");
    }
}
