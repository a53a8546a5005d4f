using System.Text;
using Platform.Billing.Tests.Http;
using static Platform.Billing.Tests.Usage.MeterHistory;

namespace Platform.Billing.Tests.Usage;

/// <summary>What it measures is the process's, so nothing else runs meanwhile.</summary>
[CollectionDefinition(nameof(UsageExportMemorySpecs), DisableParallelization = true)]
[Collection(nameof(UsageExportMemorySpecs))]
public sealed class UsageExportMemorySpecs(BillingHost billing)
{
    [Theory]
    [InlineData("csv")]
    [InlineData("ndjson")]
    public async Task Many_events_are_streamed_without_being_held(string format)
    {
        const int count = 150_000;
        var (tenant, type) = (await billing.NewTenant(), await NewType(billing));
        var meter = await Define(billing, type, "count");
        await billing.Execute(
            $"""
            insert into billing.usage_events (tenant_id, source, id, type, subject, time, received_at, content_hash, data)
            select '{tenant.Id}', 'test', i::text, '{type}', null, '2026-03-09T06:00:00Z', '2026-03-10T12:00:00Z', '\x00',
                   jsonb_build_object('text', repeat('x', 400))
            from generate_series(1, {count}) i
            """);
        using var client = billing.NewClient(tenant.Viewer.Key);
        var before = GC.GetTotalMemory(forceFullCollection: true);
        var (lines, bytes, most) = (0, 0L, 0L);

        using var response = await client.GetAsync(
            new Uri($"/v1/usage/export?meter={meter}&from=2026-03-09T00:00:00Z&to=2026-03-10T00:00:00Z&format={format}", UriKind.Relative),
            HttpCompletionOption.ResponseHeadersRead, BillingHost.Cancellation);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(BillingHost.Cancellation), Encoding.UTF8);
        while (await reader.ReadLineAsync(BillingHost.Cancellation) is { } line)
        {
            bytes += line.Length;
            if (++lines % 25_000 == 0)
                most = Math.Max(most, GC.GetTotalMemory(forceFullCollection: true) - before);
        }

        lines.ShouldBe(format == "csv" ? count + 1 : count);
        bytes.ShouldBeGreaterThan(70_000_000);
        most.ShouldBeLessThan(bytes / 10, "live memory while it streams");
        TestContext.Current.TestOutputHelper?.WriteLine($"{bytes} bytes sent, at most {most} bytes more in use");
    }
}
