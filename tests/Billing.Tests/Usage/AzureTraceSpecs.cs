using System.Globalization;
using System.Runtime.CompilerServices;
using NodaTime;
using NodaTime.Text;
using Platform.Billing.Tests.Http;
using static Platform.Billing.Tests.Usage.UsageConflictSpecs;

namespace Platform.Billing.Tests.Usage;

/// <summary>One hour of an LLM service as Azure published it: times, context tokens and generated tokens of 8,819 requests.</summary>
public sealed class AzureTraceSpecs(BillingHost billing)
{
    private const int Seed = 20231116;

    [Fact]
    public async Task A_real_trace_sent_twice_and_shuffled_is_counted_once_to_the_token()
    {
        var file = Path.Combine(Root(), "..", "shared", "traces", "azure-llm-2023", "AzureLLMInferenceTrace_code.csv");
        Assert.SkipUnless(File.Exists(file), $"Azure's trace is not at {Path.GetFullPath(file)}.");
        var tenant = await billing.NewTenant();
        var (type, context, generated) = await Meters();
        var requests = Read(file, type);
        requests.Count.ShouldBe(8_819);

        object[] twice = [.. requests, .. requests];
        new Random(Seed).Shuffle(twice);
        var answers = new List<Answer>();
        foreach (var wave in twice.Chunk(397).Chunk(4))
            answers.AddRange(await Task.WhenAll(wave.Select(batch => tenant.Partner.Post("/v1/usage/events", batch))));

        answers.ShouldAllBe(answer => answer.Status == 200);
        answers.Sum(answer => answer.Json.GetProperty("accepted").GetInt32()).ShouldBe(8_819);
        answers.Sum(answer => answer.Json.GetProperty("duplicates").GetInt32()).ShouldBe(8_819);
        (await Total(tenant, context)).ShouldBe("18059974", $"seed {Seed}");
        (await Total(tenant, generated)).ShouldBe("245896", $"seed {Seed}");
    }

    private async Task<(string Type, string Context, string Generated)> Meters()
    {
        var type = $"llm.t{Guid.CreateVersion7():n}";
        foreach (var tokens in new[] { "context_tokens", "generated_tokens" })
        {
            var defined = await billing.Operator.Post("/v1/meters", new
            {
                key = $"{type}.{tokens}",
                display_name = tokens,
                event_type = type,
                aggregation = "sum",
                value_property = tokens,
                unit = "token",
            });
            defined.Status.ShouldBe(201, defined.Text);
        }

        return (type, $"{type}.context_tokens", $"{type}.generated_tokens");
    }

    // The trace has no ids, and requests of one instant: a row's number is its id. Its times are moved to what may be reported.
    private static List<object> Read(string file, string type)
    {
        var moved = Instant.FromUtc(2026, 3, 9, 0, 0) - Instant.FromUtc(2023, 11, 16, 0, 0);
        return [.. File.ReadLines(file).Skip(1).Select((line, row) =>
        {
            var columns = line.Split(',');
            var at = LocalDateTimePattern.CreateWithInvariantCulture("uuuu-MM-dd HH:mm:ss.FFFFFFF").Parse(columns[0]).Value.InUtc().ToInstant();
            return (object)new
            {
                id = $"request-{row.ToString(CultureInfo.InvariantCulture)}",
                source = "azure/code",
                type,
                time = InstantPattern.ExtendedIso.Format(at + moved),
                data = new { context_tokens = columns[1], generated_tokens = columns[2] },
            };
        })];
    }

    private static string Root([CallerFilePath] string here = "") =>
        Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, "..", "..", ".."));
}
