using System.IO.Pipelines;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Platform.Billing.Tests.Http;
using static Platform.Billing.Tests.Usage.UsageConflictSpecs;

namespace Platform.Billing.Tests.Usage;

/// <summary>A host that takes one stream at a time and nothing beside it.</summary>
public sealed class NarrowBillingHost : BillingHost
{
    protected override IReadOnlyDictionary<string, string> Settings => new Dictionary<string, string> { ["Usage:WaitingMiBMax"] = "1" };
}

/// <summary>Usage as a stream of lines.</summary>
public sealed class UsageStreamSpecs(BillingHost billing, NarrowBillingHost narrow) : IClassFixture<NarrowBillingHost>
{
    [Fact]
    public async Task Each_line_is_answered_in_order_and_a_bad_one_by_its_number()
    {
        var (tenant, catalog) = (await billing.NewTenant(), await billing.NewCatalog());
        string[] lines =
        [
            Json(Call("1", 1)), Json(Call("1", 1)), "", "{\"id\": 1", Json(Call("1", 2)), new string('x', 300 * 1024),
            Json(Call("bad", -1)), Json(Call("2", 4)),
        ];

        var answers = await Stream(billing.Http(tenant.Partner.Key), string.Join("\r\n", lines));

        answers.Select(it => (it.GetProperty("line").GetInt32(), it.GetProperty("status").GetString())).ShouldBe(
            [
                (1, "accepted"), (2, "duplicate"), (4, "rejected"), (5, "conflict"), (6, "rejected"), (7, "rejected"), (8, "accepted"),
            ]);
        answers[2].GetProperty("code").GetString().ShouldBe("usage.malformed");
        answers[4].GetProperty("code").GetString().ShouldBe("usage.too_large");
        answers[5].GetProperty("errors").TryGetProperty("data.calls", out _).ShouldBeTrue();
        (await Total(tenant, catalog.Calls)).ShouldBe("5");
    }

    [Fact]
    public async Task Many_chunks_sent_twice_are_taken_once()
    {
        var (tenant, catalog) = (await billing.NewTenant(), await billing.NewCatalog());
        var body = string.Concat(Enumerable.Range(1, 12_345).Select(i => Json(Call($"{i}", 1)) + "\n"));

        var first = await Stream(billing.Http(tenant.Partner.Key), body);
        var again = await Stream(billing.Http(tenant.Partner.Key), body);

        first.Select(it => it.GetProperty("line").GetInt32()).ShouldBe(Enumerable.Range(1, 12_345));
        first.ShouldAllBe(it => it.GetProperty("status").GetString() == "accepted");
        again.ShouldAllBe(it => it.GetProperty("status").GetString() == "duplicate");
        (await Total(tenant, catalog.Calls)).ShouldBe("12345");
    }

    [Fact]
    public async Task What_came_is_stored_and_answered_before_the_rest_is_sent_and_more_than_the_limit_is_asked_to_come_again()
    {
        var (tenant, _) = (await narrow.NewTenant(), await narrow.NewCatalog());
        var sending = new Pipe();
        using var http = narrow.Http(tenant.Partner.Key);
        using var request = Request(new StreamContent(sending.Reader.AsStream()));
        await Send(Json(Call("1", 1)) + "\n" + Json(Call("2", 1)));

        using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, BillingHost.Cancellation);
        using var answers = new StreamReader(await response.Content.ReadAsStreamAsync(BillingHost.Cancellation));
        Status(await answers.ReadLineAsync(BillingHost.Cancellation)).ShouldBe("accepted");
        (await narrow.Count("usage_events", tenant.Id)).ShouldBe(1, "the second line has no end yet");

        var refused = await tenant.Partner.Post("/v1/usage/events", Call("3", 1));
        refused.Status.ShouldBe(429);
        refused.Code.ShouldBe("usage.busy");
        refused.Headers.RetryAfter!.Delta.ShouldBe(TimeSpan.FromSeconds(1));

        await Send("\n");
        Status(await answers.ReadLineAsync(BillingHost.Cancellation)).ShouldBe("accepted");
        await sending.Writer.CompleteAsync();
        (await answers.ReadLineAsync(BillingHost.Cancellation)).ShouldBeNull();
        await BillingHost.Eventually(
            async () => (await tenant.Partner.Post("/v1/usage/events", Call("3", 1))).Status == 200, "there is room again");
        (await narrow.Count("usage_events", tenant.Id)).ShouldBe(3);

        async Task Send(string text)
        {
            await sending.Writer.WriteAsync(Encoding.UTF8.GetBytes(text), BillingHost.Cancellation);
            await sending.Writer.FlushAsync(BillingHost.Cancellation);
        }
    }

    private static async Task<List<JsonElement>> Stream(HttpClient http, string body)
    {
        using var client = http;
        using var request = Request(new StringContent(body));
        using var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, BillingHost.Cancellation);
        response.EnsureSuccessStatusCode();
        response.Content.Headers.ContentType!.MediaType.ShouldBe("application/x-ndjson");
        var text = await response.Content.ReadAsStringAsync(BillingHost.Cancellation);
        return [.. text.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonDocument.Parse(line).RootElement)];
    }

    private static HttpRequestMessage Request(HttpContent content)
    {
        content.Headers.ContentType = new MediaTypeHeaderValue("application/x-ndjson");
        return new(HttpMethod.Post, "/v1/usage/events") { Content = content };
    }

    private static string Json(object it) => JsonSerializer.Serialize(it);

    private static string Status(string? line) => JsonDocument.Parse(line!).RootElement.GetProperty("status").GetString()!;
}
