using System.IO.Compression;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using NodaTime;
using Platform.Billing.Tests.Http;
using Platform.Billing.Usage;
using static Platform.Billing.Tests.Usage.UsageConflictSpecs;

namespace Platform.Billing.Tests.Usage;

/// <summary>What leaves the ledger with time, and what does not. In a database of its own: it concerns all tenants.</summary>
public sealed class RetainUsageSpecs(OwnBillingHost billing) : IClassFixture<OwnBillingHost>, IDisposable
{
    private static readonly UsageLimits limits = new(Duration.FromMinutes(5), Duration.FromDays(400));
    private static readonly Instant later = Instant.FromUtc(2026, 8, 1, 0, 0);

    private readonly string archive = Directory.CreateTempSubdirectory("usage-archive-").FullName;

    [Fact]
    public async Task Old_months_are_archived_and_dropped_while_identities_and_open_periods_stay()
    {
        var (tenant, catalog) = (await billing.NewTenant(), await billing.NewCatalog());
        await Report(
            tenant, Call("april", 1, "2025-04-30T23:59:59.999999Z"), Call("may", 2, "2025-05-01T00:00:00Z"),
            Call("march", 4, "2026-03-01T00:00:00Z"));

        // 1 an open billing period keeps all it may touch
        var subscriber = await billing.NewTenant();
        await BillingHost.Subscribe(subscriber, await billing.NewCatalog(), startedAt: "2025-05-15T00:00:00Z");
        var report = await Retain(identityMonths: 24);
        report.ShouldContain(line => line.StartsWith("usage_events_202504: 1 events archived", StringComparison.Ordinal));
        report.ShouldContain("usage_events_202505: kept, a billing period that touches it is open");
        (await Ids(tenant)).ShouldBe(["may", "march"]);
        Archived("usage_events_202504").ShouldHaveSingleItem().GetProperty("id").GetString().ShouldBe("april");

        // 2 then it goes too; what is still young stays, also when it is done again
        await billing.Execute("update billing.billing_periods set invoice_id = gen_random_uuid() where invoice_id is null");
        (await Retain(identityMonths: 24)).ShouldContain(line => line.StartsWith("usage_events_202505: 1 events", StringComparison.Ordinal));
        (await Retain(identityMonths: 24)).ShouldBe(["0 identities forgotten"]);
        (await Ids(tenant)).ShouldBe(["march"]);

        // what was counted stays counted, also when its sums are made again; who did not count it then cannot
        var rollUp = billing.Services.GetRequiredService<RollUpUsage>();
        (await Total(tenant, catalog.Calls)).ShouldBe("7");
        await rollUp.Rebuild(BillingHost.Cancellation);
        (await Total(tenant, catalog.Calls)).ShouldBe("7");
        var later = await billing.NewCatalog();
        await UsageRollUpSpecs.RolledUp(billing);
        (await Total(tenant, later.Calls)).ShouldBe("4");

        // 3 the identity is known without its event: no second charge, and a listed conflict
        (await tenant.Partner.Post("/v1/usage/events", Call("april", 1, "2026-03-02T00:00:00Z"))).Status.ShouldBe(409);
        (await tenant.Viewer.Get("/v1/usage/conflicts")).Json.GetProperty("items")[0].GetProperty("kept").ValueKind.ShouldBe(JsonValueKind.Null);

        // 4 until it is forgotten as well
        (await Retain(identityMonths: 13)).ShouldBe(["2 identities forgotten"]);
        (await tenant.Partner.Post("/v1/usage/events", Call("april", 1, "2026-03-02T00:00:00Z"))).Status.ShouldBe(200);
        (await Ids(tenant)).ShouldBe(["march", "april"]);
    }

    [Fact]
    public async Task A_month_that_is_not_rolled_up_stays()
    {
        var tenant = await billing.NewTenant();
        await billing.NewCatalog();
        await Report(tenant, Call("1", 1, "2025-03-30T00:00:00Z"));
        // Neither behind nor ahead, so that nobody rolls it up meanwhile.
        foreach (var table in new[] { "usage_rollup_marks", "usage_heads" })
            await billing.Execute($"update billing.{table} set position = 0 where tenant_id = '{tenant.Id}'");
        (await Retain(identityMonths: 24)).ShouldContain("usage_events_202503: kept, it is not rolled up yet");

        await billing.Execute(
            $"update billing.usage_heads set position = (select max(position) from billing.usage_events) where tenant_id = '{tenant.Id}'");
        await UsageRollUpSpecs.RolledUp(billing);
        (await Retain(identityMonths: 13)).ShouldContain(
            line => line.StartsWith("usage_events_202503: 1 events archived", StringComparison.Ordinal));
    }

    [Fact]
    public void Nothing_leaves_that_could_be_reported_again()
    {
        var impatient = new UsageRetention(Period.FromMonths(1), Period.FromMonths(1), Archive: null);

        impatient.KeptFrom(later, limits).ShouldBe((later - limits.AgeMax, later - limits.AgeMax));
        (impatient with { Raw = Period.FromMonths(24) }).KeptFrom(later, limits).Identity.ShouldBe(
            Instant.FromUtc(2024, 8, 1, 0, 0), "an identity stays as long as its event");
    }

    [Fact]
    public async Task An_event_of_a_month_without_a_partition_is_taken_and_moves_when_the_month_is_made()
    {
        var (tenant, catalog) = (await billing.NewTenant(), await billing.NewCatalog());
        await billing.Execute("drop table if exists billing.usage_events_202509");
        await Report(tenant, Call("1", 1, "2025-09-30T23:00:00Z"));
        (await billing.Count("usage_events_other", tenant.Id)).ShouldBe(1);

        await billing.Execute("select billing.make_usage_months('2025-09-01T00:00:00Z', '2025-09-01T00:00:00Z')");

        (await billing.Count("usage_events_other", tenant.Id)).ShouldBe(0);
        (await billing.Count("usage_events_202509", tenant.Id)).ShouldBe(1);
        (await billing.CountAsApplication("usage_events_202509")).ShouldBe(0, "a partition hides tenants as the table does");
        (await Total(tenant, catalog.Calls)).ShouldBe("1");
    }

    public void Dispose() => Directory.Delete(archive, recursive: true);

    private Task<IReadOnlyList<string>> Retain(int identityMonths) => RetainUsage.Run(
        billing.OwnerConnection, new(Period.FromMonths(13), Period.FromMonths(identityMonths), archive), limits, later, BillingHost.Cancellation);

    private List<JsonElement> Archived(string month)
    {
        using var file = File.OpenRead(Directory.GetFiles(archive, $"{month}.*.ndjson.gz").ShouldHaveSingleItem());
        using var lines = new StreamReader(new GZipStream(file, CompressionMode.Decompress));
        return [.. lines.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonDocument.Parse(line).RootElement)];
    }

    private async Task Report(TestTenant tenant, params object[] events)
    {
        (await tenant.Partner.Post("/v1/usage/events", events)).Json.GetProperty("accepted").GetInt32().ShouldBe(events.Length);
        await UsageRollUpSpecs.RolledUp(billing);
    }

    private static async Task<string?[]> Ids(TestTenant tenant) =>
        [.. (await tenant.Viewer.Get("/v1/usage/events")).Json.GetProperty("items").EnumerateArray().Select(it => it.GetProperty("id").GetString())];
}
